#!/usr/bin/env python3
"""Plants faults in the sources, one at a time, and expects a test to fail for each.

    plant.py                                             looks only whether each fault has a place in the sources
    plant.py LIST FOLDER [--only 3,17] [--table]         LIST: device or filters, the files beside this one
                                                         FOLDER: of a copy of the tree and its build, made if missing

All faults of a list are compiled into one copy of the tree, and CONCORD_FAULT in the environment chooses one. So there
is one build, and then a run of the tests for each fault, up to the first test that fails. Prints fault and test; with
--table as Markdown. Exit code 1 if a fault is not found, or if a test fails without one. Needs a compiler, CMake and
GoogleTest, as the tests do.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import device
import filters

ROOT = Path(__file__).resolve().parents[2]
LISTS = {"device": device, "filters": filters}
HEADER = """#pragma once
#include <cstdlib>
namespace concord {
inline const int chosen_fault = [] {
  const char* const text = std::getenv("CONCORD_FAULT");
  return text == nullptr ? 0 : std::atoi(text);
}();
}  // namespace concord
"""
SECONDS = 300  # for one program; a fault may keep it from ending


def parts(text):
    """What is before the part that a fault replaces, the part, and what is behind it."""
    match = re.fullmatch(r"(.*?)\[\[(.*)\]\](.*)", text, re.DOTALL)
    return match.groups() if match else ("", text, "")


def misplaced(name, root):
    """What is wrong with a list, as the sources are now."""
    for number, fault in enumerate(LISTS[name].FAULTS, 1):
        text = "".join(parts(fault.text))
        count = (root / fault.file).read_text(encoding="utf-8").count(text)
        if count != 1:
            yield f"{name}, fault {number}: {fault.file} has {count} times, not once: {text}"


def planted(source, text, chosen):
    """`source` with the faults of one place; chosen: (condition, what stands there instead)."""
    before, part, behind = parts(text)
    both = part
    for condition, other in chosen:
        if part.endswith(";"):
            both = f"if ({condition}) {{ {other} }} else {{ {both} }}"
        else:
            both = f"({condition} ? ({other}) : ({both}))"
    return source.replace(before + part + behind, before + both + behind)


def plant(faults, root):
    """All faults, in a copy of the tree. Its headers may then do what compilers warn of."""
    for name in sorted({fault.file for fault in faults}):
        source = (root / name).read_text(encoding="utf-8")
        places = {}
        for number, fault in enumerate(faults, 1):
            if fault.file == name:
                places.setdefault(fault.text, []).append((f"concord::chosen_fault == {number}", fault.fault))
        for text, chosen in places.items():
            source = planted(source, text, chosen)
        include = '#include "chosen_fault.hpp"\n'
        if name.endswith(".cpp"):
            source = include + source
        else:
            source = source.replace("#pragma once\n", "#pragma once\n#pragma GCC system_header\n" + include, 1)
        (root / name).write_text(source, encoding="utf-8")
    (root / "chosen_fault.hpp").write_text(HEADER, encoding="utf-8")


def build(of, folder):
    """The test programs of a copy of the working tree in `folder`."""
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True).stdout
    folder.mkdir(parents=True)
    tar = subprocess.run(["tar", "-C", ROOT, "--null", "-T", "-", "-c"], check=True, input=names, capture_output=True)
    subprocess.run(["tar", "-C", folder, "-x"], check=True, input=tar.stdout)
    plant(of.FAULTS, folder)
    environment = {**os.environ, "CCACHE_BASEDIR": str(folder), "CCACHE_NOHASHDIR": "1"}
    ccache = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    targets = sorted({f"concord_{group}_{name}" for group, name, _ in of.PROGRAMS})
    for command in (
        ["cmake", "--preset", "cpu", "-DCONCORD_BENCH=OFF", *ccache],
        ["cmake", "--build", "build/cpu", "--target", *targets],
    ):
        subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def found_by(of, folder, number):
    """The first test that fails with a fault, or None."""
    for group, name, tests in of.PROGRAMS:
        program = folder / "build" / "cpu" / "tests" / group / f"concord_{group}_{name}"
        command = [program, f"--gtest_filter={tests}", "--gtest_fail_fast", "--gtest_brief=0"]
        try:
            result = subprocess.run(
                command,
                check=False,
                text=True,
                errors="replace",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=SECONDS,
                cwd=folder,
                env={**os.environ, "CONCORD_FAULT": str(number)},
            )
            output, how = result.stdout, "" if result.returncode == 1 else ", which ends the program"
            if result.returncode == 0:
                continue
        except subprocess.TimeoutExpired as stopped:
            output, how = (stopped.stdout or b"").decode(errors="replace"), ", which does not end"
        failed = re.findall(r"^\[  FAILED  \] ([^\s,]+)", output, re.MULTILINE)
        running = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
        return (failed[:1] or running[-1:])[0] + how
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("list", choices=sorted(LISTS), nargs="?")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only", default="", help="numbers of faults, e.g. 3,17")
    parser.add_argument("--table", action="store_true", help="print Markdown")
    options = parser.parse_args()
    if wrong := [line for name in LISTS for line in misplaced(name, ROOT)]:
        sys.exit("\n".join(wrong))
    if not options.list:
        print(", ".join(f"{len(of.FAULTS)} of {name}" for name, of in LISTS.items()), "have their places")
        return 0
    if not options.folder:
        parser.error("a folder for the copy is missing")
    of, folder = LISTS[options.list], options.folder.resolve()
    if not folder.exists():
        build(of, folder)
    if (test := found_by(of, folder, 0)) is not None:
        sys.exit(f"plant.py: without a fault {test} fails")
    only = {int(number) for number in options.only.split(",") if number}
    unfound = 0
    for number, fault in enumerate(of.FAULTS, 1):
        if only and number not in only:
            continue
        test = found_by(of, folder, number)
        unfound += test is None
        cells = (number, fault.file, fault.what, test or "**nothing**")
        print(("| {} | `{}` | {} | {} |" if options.table else "{:3} {}: {}: {}").format(*cells), flush=True)
    print(f"{unfound} faults were not found", file=sys.stderr)
    return 1 if unfound else 0


if __name__ == "__main__":
    sys.exit(main())
