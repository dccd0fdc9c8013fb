#!/usr/bin/env python3
"""The compute-sanitizer part of a GPU report (report.py), and what its findings mean here.

Two findings are by design, each in functions of its own, and only these are let through:
- racecheck sees the visited table's lossy read-modify-write: VisitedTable::seen, by the relaxed accessors
  of CudaTeam, which nothing else uses. A lost entry costs time and no result.
- initcheck sees the end of a tail's distances: merge_distances reads 16 bytes at a time and does not
  use what is beyond the tail.

The tools name files and lines for certain, and inlined functions only in some versions. So a function is known
by its lines, which `prepare` takes from the sources that it compiles:

    report_sanitizer.py CUDA_FOLDER    prints by_design.json: {tool: [[file, first line, last line], …]}
"""

import json
import os
import re
import shutil
import sys

BY_DESIGN = {"racecheck": [("visited_table.hpp", "seen"), ("cuda_team.cuh", "load_relaxed"),
                           ("cuda_team.cuh", "store_relaxed")],
             "initcheck": [("merge_distances.hpp", "merge_distances")]}


def lines_of(text, function):
    """The first and last line of a function's only definition in a C++ source."""
    found = list(re.finditer(rf"\b{function}\([^;{{]*\{{", text))
    if len(found) != 1:
        raise ValueError(f"{function} is defined {len(found)} times, not once")
    end, depth = found[0].end(), 1
    while depth > 0:
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        end += 1
    return text.count("\n", 0, found[0].start()) + 1, text.count("\n", 0, end) + 1


def by_design(folder):
    """{tool: [[file, first line, last line], …]} of the functions in BY_DESIGN."""
    places = {}
    for tool, functions in BY_DESIGN.items():
        places[tool] = []
        for name, function in functions:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                places[tool].append([name, *lines_of(file.read(), function)])
    return places


def is_in(path, line, places):
    return any(os.path.basename(path) == name and first <= int(line) <= last
               for name, first, last in places)


def find_sanitizer():
    homes = [os.environ.get("CUDA_HOME", ""), "/usr/local/cuda", "/opt/cuda"]
    places = [os.path.join(h, sub) for h in homes if h for sub in ("bin", "compute-sanitizer")]
    return shutil.which("compute-sanitizer") or next(
        (p for p in (os.path.join(d, "compute-sanitizer") for d in places)
         if os.access(p, os.X_OK)), None)


def races(output, places):
    """Racecheck's reports as (those with all accesses in the places, the others), each a list of texts."""
    benign, others = [], []
    for report in re.split(r"=========[^\n]*Race reported between", output)[1:]:
        lines = report.splitlines()
        accesses = [lines[0]] + [line for line in lines[1:] if re.search(r"=+\s+and .*access", line)]
        found = [re.search(r" in (\S+?):(\d+)", access) for access in accesses]
        known = all(place and is_in(*place.groups(), places) for place in found)
        (benign if known else others).append(" / ".join(accesses).strip())
    return benign, others


def found_races(output, places):
    """Whether racecheck reported a race that is not the visited table's."""
    return bool(races(output, places)[1])


def ends_of_tails(output, places):
    """Initcheck's reports as (loads of 16 bytes within the places, the others), each a list of texts."""
    benign, others = [], []
    for report in re.split(r"=========[^\n]*Uninitialized ", output)[1:]:
        first = report.split("\n", 1)[0]
        frames = re.findall(r" in (\S+?):(\d+)", report)
        end = "read of size 16 bytes" in first and any(is_in(*frame, places) for frame in frames)
        (benign if end else others).append("Uninitialized " + first)
    return benign, others


CANARY = "a planted race"  # if this is not found, that nothing else is found says nothing

JUDGES = {"racecheck": (races, "in the visited table, which may lose entries by design"),
          "initcheck": (ends_of_tails, "at the ends of tails, read by 16 bytes and not used")}


def sanitizer_result(check, target, code, output, places):
    """What the report says of one run; `ok` unless it found what is not in the tool's `places`."""
    summary = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: .*", output)
    text = summary[-1] if summary else "no time" if code is None else output.strip()[-200:]
    ok = code == 0
    if check in JUDGES and summary:
        judge, design = JUDGES[check]
        benign, others = judge(output, places)
        ok = not others and (code == 0 or bool(benign))
        if benign:
            text += f"; {len(benign)} of them {design}"
        if others:
            text += "; " + "; ".join(others[:3])
    return {"tool": check, "target": target, "exit_code": code, "ok": ok, "summary": text}


def plan(session):
    """(tool, name, command) of each run, the most telling first."""
    conformance = session.program("concord_device_conformance")
    bench = session.program("concord-bench")
    small = ["--synthetic", "3000,32", "--device", "cuda", "--ef-construction", "64"]
    targets = {CANARY: [session.program("concord-cuda-hazards"), "race"],
               "conformance": [conformance, "--quick"], "build": [bench, "build", *small],
               "search": [bench, "run", *small, "--limit-queries", "500", "--ef", "16,100",
                          "--batch", "500"]}
    runs = [("racecheck", CANARY), ("memcheck", "conformance"), ("racecheck", "conformance"),
            ("synccheck", "conformance"), ("memcheck", "build"), ("initcheck", "build"),
            ("memcheck", "search"), ("racecheck", "build")]
    return [(check, target, targets[target]) for check, target in runs]


def sanitizer(session):
    tool = find_sanitizer()
    if not tool:
        return {"skipped": "no compute-sanitizer on PATH or in the CUDA toolkit"}
    results = []
    for check, target, argv in plan(session):
        name = f"{check} {target}"
        code, output = session.command(
            name, [tool, "--tool", check, "--error-exitcode", "9", "--print-limit", "200", *argv],
            "sanitizer")
        places = session.by_design.get(check, [])
        results.append(sanitizer_result(check, target, code, output, places))
        if target == CANARY:
            results[-1]["ok"] = found_races(output, places)
        if code is not None:
            session.check(name, results[-1]["ok"], results[-1]["summary"])
    return results


if __name__ == "__main__":
    print(json.dumps(by_design(sys.argv[1])))
