#!/usr/bin/env python3
"""Fails if a kernel spills registers or needs a stack frame, for any GPU it is compiled for.

    check_kernels.py BUILD_DIR [--log FILE] [--library LIBRARY --without LIBRARY]

BUILD_DIR is a build by Ninja with compile_commands.json (the presets' builds are). Makes the objects
of cuda/kernels_*.cu again, which ccache makes quick, and reads what ptxas tells of each kernel
(-Xptxas=-v); with --log, reads the log of a complete build instead. Prints a table of registers. --library with --without
also checks what CUDA adds to the library: LIBRARY of a build for all GPUs against that of a build
for the CPU alone, stripped, at most 15 MB more. Standard library only.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

MAX_ADDED_BYTES = 15_000_000
ENTRY = re.compile(r"Compiling entry function '(\S+)' for '(sm_\w+)'")
FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")


def recompile(commands, build_dir):
    """What the build prints when it makes the kernels' objects again."""
    objects = [words[words.index("-o") + 1] for words in
               (shlex.split(entry["command"]) for entry in commands)]
    for name in objects:
        path = os.path.join(build_dir, name)
        if os.path.exists(path):
            os.remove(path)
    result = subprocess.run(["cmake", "--build", build_dir, "--target", *objects], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode != 0:
        sys.exit(f"check_kernels: the kernels do not compile:\n{result.stdout}")
    return result.stdout


def kernel_commands(build_dir):
    path = os.path.join(build_dir, "compile_commands.json")
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)
    found = [e for e in entries if re.search(r"/cuda/kernels_\w+\.cu$", e["file"])]
    if not found:
        sys.exit(f"check_kernels: {path} names no kernels; is it a build with CUDA?")
    return found


def architectures(commands):
    """Those for which the commands ask machine code, e.g. {'sm_80', 'sm_90'}."""
    return set(re.findall(r"\bsm_\d+\w*", " ".join(e["command"] for e in commands)))


def short_name(symbol):
    """'propose_kernel<0,128>' of a mangled name, for people; without arguments for CUB's."""
    if match := re.search(r"_\w*?3cub\w*?\d+((?:[A-Za-z]*Kernel|static_kernel))", symbol):
        return f"cub::{match.group(1)}"
    match = re.search(r"\d+([a-z_]+_kernel)(I(?:L[bj]\d+E)+E)?", symbol)
    if not match:
        return symbol
    arguments = re.findall(r"L[bj](\d+)E", match.group(2) or "")
    return match.group(1) + (f"<{','.join(arguments)}>" if arguments else "")


def parse(text):
    """{(symbol, architecture): (registers, stack bytes, spill stores, spill loads)}."""
    kernels = {}
    entry = frame = None
    for line in text.splitlines():
        if match := ENTRY.search(line):
            entry, frame = match.groups(), None
        elif entry and frame is None and (match := FRAME.search(line)):
            frame = tuple(map(int, match.groups()))
        elif entry and frame and (match := REGISTERS.search(line)):
            kernels[entry] = (int(match.group(1)), *frame)
            entry = None
    return kernels


def print_table(kernels, targets):
    names = sorted({short_name(symbol) for symbol, _ in kernels})
    width = max(map(len, names))
    print(f"{'registers':{width}}  " + "  ".join(f"{t:>6}" for t in targets))
    for name in names:
        cells = []
        for target in targets:
            found = [f[0] for (symbol, t), f in kernels.items() if t == target and
                     short_name(symbol) == name]
            cells.append(str(max(found)) if found else "")
        print(f"{name:{width}}  " + "  ".join(f"{cell:>6}" for cell in cells))


def complaints(kernels, targets):
    result = []
    for (symbol, target), (_, stack, stores, loads) in sorted(kernels.items()):
        if stack or stores or loads:
            result.append(f"{short_name(symbol)} for {target}: {stack} bytes of stack frame, {stores} "
                          f"of spill stores, {loads} of spill loads")
    for symbol in sorted({symbol for symbol, _ in kernels}):
        absent = [t for t in targets if (symbol, t) not in kernels]
        if absent:
            result.append(f"{short_name(symbol)}: no report for {', '.join(absent)}")
    return result


def stripped_size(library):
    with tempfile.TemporaryDirectory() as scratch:
        copy = os.path.join(scratch, "library.so")
        shutil.copyfile(os.path.realpath(library), copy)
        subprocess.run(["strip", copy], check=True)
        return os.path.getsize(copy)


def size_complaints(library, without):
    added = stripped_size(library) - stripped_size(without)
    print(f"CUDA adds {added / 1e6:.1f} MB to the library (at most {MAX_ADDED_BYTES / 1e6:.0f})")
    return [] if added <= MAX_ADDED_BYTES else [f"CUDA adds {added} bytes to {library}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build_dir")
    parser.add_argument("--log", help="log of a complete build")
    parser.add_argument("--library", help="libconcord.so of that build")
    parser.add_argument("--without", help="libconcord.so of a build without CUDA")
    options = parser.parse_args()
    commands = kernel_commands(options.build_dir)
    targets = sorted(architectures(commands), key=lambda t: int(re.sub(r"\D", "", t)))
    if options.log:
        with open(options.log, encoding="utf-8", errors="replace") as file:
            text = file.read()
    else:
        text = recompile(commands, options.build_dir)
    kernels = parse(text)
    if not kernels:
        sys.exit("check_kernels: no report of ptxas; are the kernels compiled with -Xptxas=-v?")
    print_table(kernels, targets)
    found = complaints(kernels, targets)
    if options.library and options.without:
        found += size_complaints(options.library, options.without)
    print("\n".join(found) if found else
          f"{len(kernels)} kernels for {', '.join(targets)}: no spills, no stack frames")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
