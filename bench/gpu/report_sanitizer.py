"""The compute-sanitizer part of a GPU report (report.py), and what its findings mean here.

Two findings are by design, and only these are let through:
- racecheck sees the visited table's lossy read-modify-write: in visited_table.hpp, and in the relaxed
  accessors of cuda_team.cuh, which nothing else uses. A lost entry costs time and no result.
- initcheck sees the end of a tail's distances: merge_distances reads 16 bytes at a time and does not
  use what is beyond the tail.
"""

import os
import re
import shutil

LOSSY_BY_DESIGN = {"visited_table.hpp", "cuda_team.cuh"}


def find_sanitizer():
    homes = [os.environ.get("CUDA_HOME", ""), "/usr/local/cuda", "/opt/cuda"]
    places = [os.path.join(h, sub) for h in homes if h for sub in ("bin", "compute-sanitizer")]
    return shutil.which("compute-sanitizer") or next(
        (p for p in (os.path.join(d, "compute-sanitizer") for d in places)
         if os.access(p, os.X_OK)), None)


def races(output):
    """Racecheck's reports as (those of the visited table, the others), each a list of texts."""
    benign, others = [], []
    for report in re.split(r"=========[^\n]*Race reported between", output)[1:]:
        lines = report.splitlines()
        accesses = [lines[0]] + [line for line in lines[1:] if re.search(r"=+\s+and .*access", line)]
        places = [re.search(r" in (\S+?):(\d+)", access) for access in accesses]
        files = {os.path.basename(place.group(1)) if place else "?" for place in places}
        (benign if files <= LOSSY_BY_DESIGN else others).append(" / ".join(accesses).strip())
    return benign, others


def found_races(output):
    """Whether racecheck reported a race that is not the visited table's."""
    return bool(races(output)[1])


def ends_of_tails(output):
    """Initcheck's reports as (those of the ends of tails, the others), each a list of texts."""
    benign, others = [], []
    for report in re.split(r"=========[^\n]*Uninitialized ", output)[1:]:
        first = report.split("\n", 1)[0]
        end = "read of size 16 bytes" in first and "merge_distances" in report
        (benign if end else others).append("Uninitialized " + first)
    return benign, others


CANARY = "a planted race"  # if this is not found, that nothing else is found says nothing

JUDGES = {"racecheck": (races, "in the visited table, which may lose entries by design"),
          "initcheck": (ends_of_tails, "at the ends of tails, read by 16 bytes and not used")}


def sanitizer_result(check, target, code, output):
    """What the report says of one run; `ok` unless it found what is not by design."""
    summary = re.findall(r"(?:ERROR|RACECHECK) SUMMARY: .*", output)
    text = summary[-1] if summary else "no time" if code is None else output.strip()[-200:]
    ok = code == 0
    if check in JUDGES and summary:
        judge, design = JUDGES[check]
        benign, others = judge(output)
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
        results.append(sanitizer_result(check, target, code, output))
        if target == CANARY:
            results[-1]["ok"] = found_races(output)
        if code is not None:
            session.check(name, results[-1]["ok"], results[-1]["summary"])
    return results
