"""The recipe of Concord for Conan 2: ``conan create .`` from a checkout. tests/conan.sh runs it."""

import re
from pathlib import Path

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy


class Concord(ConanFile):
    name = "concord"
    license = "MIT"
    description = "HNSW vector index for CPU and GPU that gives the same bytes on both"
    topics = ("hnsw", "vector-search", "nearest-neighbor")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    # CUDA needs a CUDA compiler; with it the static library needs CUDA::cudart_static of the user.
    options = {"shared": [True, False], "cuda": [True, False]}
    default_options = {"shared": False, "cuda": False}
    exports_sources = "CMakeLists.txt", "LICENSE", "cmake/*", "common/*", "cpu/*", "cuda/*"

    def set_version(self):
        text = (Path(self.recipe_folder) / "CMakeLists.txt").read_text(encoding="utf-8")
        self.version = re.search(r"project\(Concord VERSION ([0-9.]+)", text)[1]

    def requirements(self):
        self.requires("xxhash/[>=0.8 <1]", visible=False)  # its header alone

    def validate(self):
        check_min_cppstd(self, 20)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        header = Path(self.dependencies["xxhash"].cpp_info.includedirs[0])
        toolchain.cache_variables["XXHASH_INCLUDE_DIR"] = header.as_posix()
        toolchain.cache_variables["CONCORD_CUDA"] = "ON" if self.options.cuda else "OFF"
        for option in ("CONCORD_TESTS", "CONCORD_BENCH", "CONCORD_WERROR"):
            toolchain.cache_variables[option] = False
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build(target="concord" if self.options.shared else "concord_static")

    def package(self):
        # The installation has both libraries; a package has the one that was asked for.
        library = "libconcord.so*" if self.options.shared else "libconcord.a"
        copy(self, library, self.build_folder, Path(self.package_folder) / "lib")
        include = Path(self.source_folder) / "common" / "include"
        copy(self, "concord/*.h*", include, Path(self.package_folder) / "include")
        copy(self, "LICENSE", self.source_folder, Path(self.package_folder) / "licenses")

    def package_info(self):
        target = "Concord::concord" if self.options.shared else "Concord::concord_static"
        self.cpp_info.set_property("cmake_file_name", "Concord")
        self.cpp_info.set_property("cmake_target_name", target)
        self.cpp_info.set_property("pkg_config_name", "concord")
        self.cpp_info.libs = ["concord"]
        self.cpp_info.system_libs = ["pthread", "m"]
        if not self.options.shared:
            self.cpp_info.defines = ["CONCORD_STATIC"]
