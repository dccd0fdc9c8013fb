#!/usr/bin/env python3
"""Fails if a change raises a count by more than 1%. The counts do not depend on the machine.

    gate.py --build DIR            the library in DIR against the recorded figures (recorded.json)
    gate.py --build DIR --record   writes them anew; the commit must say why
    gate.py BASE [COMMIT]          two commits, or a commit and the working tree, both built here

One thread with AVX2 does fixed work (probe.cpp). The gate counts distances and hops per insertion and query,
bytes allocated, bytes kept and instructions (callgrind), and compares the digest, which must be the same. A
ShardedIndex of one shard may take at most 2% more instructions than the Index that it is. The gate needs only
the standard library, and valgrind for the instructions. Exit code 0 = no worse, 1 = worse, 2 = cannot tell.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RECORDED = HERE / "recorded.json"
GATE = ROOT / "build" / "gate"
WORSE = 0.01  # of the recorded figure
ONE_SHARD, ITS_INDEX, SHARD_COST = "1-shard", "l2sq-float", 0.02  # cases of the same work
COUNTED = ("build_counted", "search_counted")  # functions of probe.cpp
BUILD_INSTRUCTIONS, SEARCH_INSTRUCTIONS = "instructions of the build", "instructions of the search"


class CannotTell(Exception):
    """What keeps the gate from an answer."""


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, check=False,
                          **options)
    if done.returncode != 0:
        raise CannotTell(f"{command[0]} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


# ------------------------------------------------------------------------------------------- measure


def compiler():
    return os.environ.get("CXX", "c++")


def compile_probe(source, build, folder):
    """The probe of this tree with the library of `build` and the headers of its `source`."""
    program = pathlib.Path(folder) / "probe"
    run(compiler(), "-std=c++20", "-O2", HERE / "probe.cpp", f"-I{source / 'common' / 'include'}",
        pathlib.Path(build) / "libconcord.a", "-pthread", "-o", program)
    return program


def environment():
    # AVX2 is what valgrind runs and what every machine of the last decade has.
    return {"PATH": os.environ.get("PATH", ""), "CONCORD_ISA": "avx2"}


def instructions(program, folder):
    """Pairs (build, search), a pair for each case, in their order."""
    if not shutil.which("valgrind"):
        raise CannotTell("valgrind is not installed; --no-instructions leaves the instructions out")
    out = pathlib.Path(folder) / "callgrind.out"
    toggles = [f"--{what}={name}" for name in COUNTED for what in ("toggle-collect", "dump-after")]
    run("valgrind", "--tool=callgrind", "--collect-atstart=no", *toggles, f"--callgrind-out-file={out}",
        program, env=environment())
    dumps = {int(path.suffix[1:]): path for path in pathlib.Path(folder).glob("callgrind.out.*")}
    found = []
    for _, path in sorted(dumps.items()):
        text = path.read_text()
        trigger = re.search(r"^desc: Trigger: --dump-after=(\w+)$", text, re.MULTILINE)
        total = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
        if trigger and total:
            found.append((trigger[1], int(total[1])))
    if [name for name, _ in found] != list(COUNTED) * (len(found) // 2):
        raise CannotTell(f"callgrind counted {[name for name, _ in found]}")
    counts = [count for _, count in found]
    return list(zip(counts[::2], counts[1::2], strict=True))


def measure(source, build, with_instructions=True):
    """Figures by case, and the compiler, without which instructions cannot be compared."""
    with tempfile.TemporaryDirectory() as folder:
        program = compile_probe(source, build, folder)
        cases = [json.loads(line) for line in run(program, env=environment()).splitlines()]
        if with_instructions:
            for case, (building, searching) in zip(cases, instructions(program, folder), strict=True):
                case[BUILD_INSTRUCTIONS], case[SEARCH_INSTRUCTIONS] = building, searching
    if any(case.pop("isa") != "avx2" for case in cases):
        raise CannotTell("this processor has no AVX2")
    version = run(compiler(), "--version").splitlines()[0]
    return {"compiler": version, "cases": {case.pop("case"): case for case in cases}}


# ------------------------------------------------------------------------------------------- compare


def compare(before, after):
    """Lines of a table, and what is worse."""
    lines, worse = [], []
    skipped = set()
    if before["compiler"] != after["compiler"]:
        skipped = {BUILD_INSTRUCTIONS, SEARCH_INSTRUCTIONS}
        lines.append(f"instructions are not compared: {before['compiler']} then, {after['compiler']} now")
    if not before["cases"].keys() <= after["cases"].keys():
        worse.append(f"the cases were {', '.join(before['cases'])} and are {', '.join(after['cases'])}")
    for name in before["cases"].keys() & after["cases"].keys():
        old, new = before["cases"][name], after["cases"][name]
        for what in old.keys() - skipped:
            if what not in new:
                worse.append(f"{name}: {what} was not counted")
    for name, new in after["cases"].items():
        old = before["cases"].get(name, {})
        for what, now in new.items():
            if what in skipped or what not in old:
                continue
            then = old[what]
            if what == "digest":
                verdict = "" if now == then else "DIFFERENT"
                lines.append(f"{name:<14} {what:<34} {then}  {now}  {verdict}".rstrip())
            else:
                change = (now - then) / then if then else float(now > 0)
                verdict = "WORSE" if change > WORSE else "better: record it" if change < -WORSE else ""
                lines.append(f"{name:<14} {what:<34} {then:>16,.10g} {now:>16,.10g} {change:>+9.3%}  {verdict}"
                             .rstrip())
            if verdict.isupper():
                worse.append(f"{name}: {what} was {then}, is {now}")
    return lines, worse


def shard_costs(figures):
    """What is worse where a ShardedIndex has one shard."""
    shard, index = figures["cases"].get(ONE_SHARD, {}), figures["cases"].get(ITS_INDEX, {})
    return [f"{ONE_SHARD}: {what} are {shard[what]}, and {index[what]} without shards"
            for what in (BUILD_INSTRUCTIONS, SEARCH_INSTRUCTIONS)
            if what in shard and shard[what] > index[what] * (1 + SHARD_COST)]


def verdict(before, after):
    lines, worse = compare(before, after)
    worse += shard_costs(after)
    print("\n".join(lines))
    if not worse:
        print(f"gate: no figure is more than {WORSE:.0%} worse")
        return 0
    print("gate: worse:", *worse, sep="\n  ")
    print("If that is the price of something better, say so in the commit and record it: "
          "bench/gate/gate.py --build DIR --record")
    return 1


# ------------------------------------------------------------------------------------------- commits


def build_commit(commit):
    """Source and build of a commit in build/gate/COMMIT, or of the working tree."""
    if commit is None:
        source, build = ROOT, GATE / "tree"
    else:
        name = run("git", "-C", ROOT, "rev-parse", f"{commit}^{{commit}}")[:12]
        source, build = GATE / name / "source", GATE / name / "build"
        if not source.exists():
            extract(name, source)
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DCONCORD_CUDA=OFF", "-DCONCORD_TESTS=OFF", "-DCONCORD_BENCH=OFF"]
    if shutil.which("ccache"):
        options.append("-DCMAKE_CXX_COMPILER_LAUNCHER=ccache")
    # The folders of all commits lie alike, so that ccache knows the files that two have in common.
    variables = {"CCACHE_SLOPPINESS": "pch_defines,time_macros", "CCACHE_BASEDIR": str(ROOT),
                 "CCACHE_NOHASHDIR": "1", **os.environ}
    run("cmake", "-S", source, "-B", build, "-G", "Ninja", *options, env=variables)
    run("cmake", "--build", build, "--target", "concord_static", env=variables)
    return source, build


def extract(commit, source):
    """The files of a commit, all or none."""
    partial = source.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with tempfile.NamedTemporaryFile(suffix=".tar") as archive:
        run("git", "-C", ROOT, "archive", "-o", archive.name, commit)
        run("tar", "-xf", archive.name, "-C", partial)
    partial.rename(source)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", nargs="?", help="a commit to compare with")
    parser.add_argument("commit", nargs="?", help="a commit to judge; else the working tree")
    parser.add_argument("--build", type=pathlib.Path, help="a release build, without CUDA, of the working tree")
    parser.add_argument("--record", action="store_true", help="write recorded.json")
    parser.add_argument("--recorded", type=pathlib.Path, default=RECORDED, help=argparse.SUPPRESS)
    parser.add_argument("--no-instructions", action="store_true", help="do without valgrind")
    arguments = parser.parse_args()
    counted = not arguments.no_instructions
    try:
        if arguments.base:
            before = measure(*build_commit(arguments.base), counted)
            return verdict(before, measure(*build_commit(arguments.commit), counted))
        if not arguments.build:
            parser.error("give --build DIR, or a commit")
        after = measure(ROOT, arguments.build, counted)
        if arguments.record:
            arguments.recorded.write_text(json.dumps(after, indent=1) + "\n")
            print(f"recorded {arguments.recorded}")
            return 0
        before = json.loads(arguments.recorded.read_text())
        if not counted:
            for case in before["cases"].values():
                case.pop(BUILD_INSTRUCTIONS, None)
                case.pop(SEARCH_INSTRUCTIONS, None)
        return verdict(before, after)
    except CannotTell as problem:
        print(f"gate: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
