#!/usr/bin/env python3
"""Fails if a file that states the version of Concord states another one than CMakeLists.txt.

    versions.py [ROOT]        ROOT is the repository (default: that of this file)

CMake itself compares concord/version.h, and conanfile.py reads CMakeLists.txt. Standard library only.
"""

import re
import sys
from pathlib import Path

PROJECT = ("CMakeLists.txt", r"^project\(Concord VERSION (\S+)")
OTHERS = [
    ("python/pyproject.toml", r'^version = "([^"]*)"'),
    ("examples/rust/Cargo.toml", r'^version = "([^"]*)"'),
    ("examples/rust/Cargo.lock", r'^name = "concord"\nversion = "([^"]*)"'),
    ("packaging/vcpkg/concord/vcpkg.json", r'^  "version": "([^"]*)"'),
]


def version_in(root, path, pattern):
    """The one version that a file states, or what is wrong with it."""
    found = re.findall(pattern, (root / path).read_text(encoding="utf-8"), re.MULTILINE)
    return found[0] if len(found) == 1 else f"stated {len(found)} times"


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    expected = version_in(root, *PROJECT)
    findings = [f"{path}: {version}, and not {expected} as in {PROJECT[0]}"
                for path, version in ((other[0], version_in(root, *other)) for other in OTHERS)
                if version != expected]
    print("\n".join(findings) if findings else f"versions: {len(OTHERS)} files have {expected}")
    return 1 if findings or not re.fullmatch(r"\d+\.\d+\.\d+", expected) else 0


if __name__ == "__main__":
    sys.exit(main())
