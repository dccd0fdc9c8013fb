"""Why the warps of a launch wait, by Nsight Compute (report.py), if the machine has it."""

import csv
import io
import os
import re
import shutil

STALL = re.compile(r"smsp__average_warps_issue_stalled_(\w+)_per_issue_active\.ratio")
LIMITS = ("registers", "shared_mem", "blocks", "warps")
KERNELS = ("propose_kernel", "score_list_kernel", "search_kernel")
SKIPPED_LAUNCHES = 20  # the first ones are of a small graph


def find_ncu():
    homes = [os.environ.get("CUDA_HOME", ""), "/usr/local/cuda", "/opt/cuda"]
    return shutil.which("ncu") or next(
        (p for p in (os.path.join(h, "bin", "ncu") for h in homes if h) if os.access(p, os.X_OK)), None)


def number(text):
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return None


def launches(output):
    """What ncu's raw page in CSV says: a list of {kernel, seconds, stalls, limits}.

    The table begins at the line of names; the line after it has the units.
    """
    lines = output.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if start is None:
        return []
    rows = list(csv.reader(io.StringIO("\n".join(lines[start:]))))
    header, units = rows[0], dict(zip(rows[0], rows[1]))
    result = []
    for row in rows[2:]:
        values = dict(zip(header, row))
        stalls_of = {match.group(1): number(values[name]) for name in header
                     if (match := STALL.fullmatch(name))}
        scale = {"ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3,
                 "msecond": 1e-3}.get(units.get("gpu__time_duration.sum", ""), 1.0)
        duration = number(values.get("gpu__time_duration.sum", ""))
        result.append({
            "kernel": values["Kernel Name"].split("(")[0],
            "seconds": None if duration is None else duration * scale,
            "stalls": {name: ratio for name, ratio in
                       sorted(stalls_of.items(), key=lambda item: -(item[1] or 0)) if ratio},
            "block_limits": {limit: number(values.get(f"launch__occupancy_limit_{limit}", ""))
                             for limit in LIMITS}})
    return result


def command(ncu, kernel, argv):
    return [ncu, "--csv", "--page", "raw", "--section", "WarpStateStats", "--section", "Occupancy",
            "--section", "SpeedOfLight", "--kernel-name", f"regex:{kernel}", "--launch-skip",
            str(SKIPPED_LAUNCHES), "--launch-count", "1", "--clock-control", "none", *argv]


def plan(session):
    """(what, kernel, command) of each launch looked at."""
    bench = session.program("concord-bench")
    data = ["--synthetic", "100000,128", "--device", session.options.device]
    runs = [(kernel, kernel, [bench, "build", *data, "--ef-construction", "128"])
            for kernel in KERNELS[:2]]
    return runs + [(f"search_kernel, ef {ef}", "search_kernel",
                    [bench, "run", *data, "--ef-construction", "128", "--ef", str(ef), "--batch",
                     "10000", "--limit-queries", "10000"]) for ef in (48, 192)]


def stalls(session):
    ncu = find_ncu()
    if not ncu:
        return {"skipped": "no ncu on PATH or in the CUDA toolkit"}
    results = []
    for what, kernel, argv in plan(session):
        code, output = session.command(f"ncu {what}", command(ncu, kernel, argv), "stalls")
        found = launches(output)
        if found:
            results.append({"what": what, **found[0]})
        else:
            results.append({"what": what, "why_not": "no time" if code is None else
                            output.strip()[-200:]})
    return results
