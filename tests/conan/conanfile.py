"""The test package of conanfile.py: the consumers of tests/install against Concord's package."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, cmake_layout


class ConcordTest(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeToolchain", "CMakeDeps"
    test_type = "explicit"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def build(self):
        cmake = CMake(self)
        cmake.configure(variables={"CONCORD_SHARED": bool(self.dependencies["concord"].options.shared)})
        cmake.build()

    def test(self):
        if can_run(self):
            for program in ("consumer", "consumer_c"):
                self.run(os.path.join(self.cpp.build.bindir, program), env="conanrun")
