#!/usr/bin/env python3
"""Fails if cuda/ does not use CUB and Thrust as it should.

    uses_cccl.py [ROOT]       ROOT is the repository (default: that of this file)

- Code in cuda/, comments aside, names cub:: and thrust::.
- Files that a build for CPUs compiles include neither, so that it needs no CUDA toolkit: .cpp and .hpp.
- What includes a header of theirs also includes cuda/cccl.cuh, which checks their namespace, and no file names that
  namespace but cmake/ConcordTargets.cmake.

Standard library only.
"""

import re
import sys
from pathlib import Path

PACKAGES = ("cub", "thrust")
SOURCE = {".hpp", ".cpp", ".cu", ".cuh"}
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
INCLUDE = re.compile(r"^\s*#\s*include\s*<(?:cub|thrust)/", re.MULTILINE)
NAMESPACE = "concord_cccl"


def complaints(root):
    code = {path: COMMENT.sub("", path.read_text(encoding="utf-8"))
            for folder in ("common", "cpu", "cuda", "tests/cuda", "tests/support")
            for path in sorted((root / folder).rglob("*")) if path.suffix in SOURCE}
    for package in PACKAGES:
        used = [path for path, text in code.items() if path.is_relative_to(root / "cuda") and
                path.name != "cccl.cuh" and re.search(rf"\b{package}::\w", text)]
        if not used:
            yield f"cuda/ does not use {package}::"
    for path, text in code.items():
        name = path.relative_to(root)
        if INCLUDE.search(text):
            if path.suffix in (".hpp", ".cpp"):
                yield f"{name} includes CUB or Thrust: a build for CPUs has none"
            if path.name != "cccl.cuh" and '#include "cuda/cccl.cuh"' not in text:
                yield f"{name} includes CUB or Thrust without cuda/cccl.cuh"
        if NAMESPACE in text:
            yield f"{name} names {NAMESPACE}: only cmake/ConcordTargets.cmake does"


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    found = list(complaints(root))
    print("\n".join(found) if found else "cuda/ uses CUB and Thrust")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
