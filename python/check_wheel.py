#!/usr/bin/env python3
"""Make a manylinux wheel of a wheel, and check what is promised of it.

auditwheel must find nothing in it that a Debian 12 (glibc 2.36) lacks. It may link nothing but the C
library and the libgcc that comes with it, must hold one extension module that exports nothing else,
and must not be larger than said.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import zipfile

PLATFORM = "manylinux_2_36_x86_64"
C_LIBRARY = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"} | {
    "ld-linux-x86-64.so.2",
    "libgcc_s.so.1",
}


def output_of(*command: str | pathlib.Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def check_module(module: pathlib.Path) -> list[str]:
    dynamic = output_of("readelf", "-dW", module)
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", dynamic))
    wrong = [f"links {name}" for name in sorted(needed - C_LIBRARY)]
    symbols = output_of("nm", "-D", "--defined-only", module).split()[2::3]
    wrong += [f"exports {name}" for name in symbols if name != "PyInit__concord"]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--most-megabytes", type=float, required=True)
    arguments = parser.parse_args()

    wrong = []
    megabytes = arguments.wheel.stat().st_size / 1e6
    if megabytes > arguments.most_megabytes:
        wrong.append(f"is {megabytes:.2f} MB, more than {arguments.most_megabytes} MB")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(arguments.wheel) as archive:
            archive.extractall(folder)
            names = archive.namelist()
        modules = list(pathlib.Path(folder).rglob("*.so"))
        if len(modules) != 1:
            wrong.append(f"holds {len(modules)} extension modules")
        for module in modules:
            wrong += check_module(module)
    for name in ("concord/py.typed", "concord/_concord.pyi"):
        if name not in names:
            wrong.append(f"lacks {name}")
    for fault in wrong:
        print(f"{arguments.wheel.name} {fault}", file=sys.stderr)
    if wrong:
        return 1
    output_of("auditwheel", "repair", "--plat", PLATFORM, "-w", arguments.output, arguments.wheel)
    print(f"{arguments.wheel.name}: {megabytes:.2f} MB, accepted as {PLATFORM}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
