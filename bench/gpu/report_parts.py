"""The parts of a GPU report: what each runs, and what it makes of the output.

A part takes the Session and returns what report.json has under its name; {"skipped": why} where it did
not run. FUNCTIONS has a function for each part of report_plan.PARTS.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time

from report_sanitizer import sanitizer
from report_stalls import stalls

SKIPPED = 77  # exit code of a program that found no device
BATCHES = [1, 10, 100, 1000, 10000]
EFS = [10, 48, 64, 96, 128, 129, 192]  # a search's shared memory grows past ef 128
WRITER_THREADS = [1, 2, 4, 8, 16]
HAZARDS = ["current", "streams", "capture", "fork", "memory", "trap"]


def skipped(value):
    """Whether a part did not run."""
    return isinstance(value, dict) and "skipped" in value


def first_line(argv):
    try:
        result = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        return result.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def synthetic(session, rows, dimension):
    return ["--synthetic", f"{max(1000, round(rows * session.options.scale))},{dimension}"]


def file_data(session):
    """Arguments for the prepared file without its queries, or None."""
    names = sorted(os.listdir(session.folder))
    base = [n for n in names if n.startswith("base.")]
    if not base:
        return None
    arguments = ["--dataset", session.program(base[0])]
    if session.options.scale < 1:
        arguments += ["--limit", str(max(1000, round(300000 * session.options.scale)))]
    if "metric" in names:
        with open(session.program("metric"), encoding="utf-8") as file:
            arguments += ["--metric", file.read().strip()]
    return arguments


def file_queries(session):
    queries = sorted(n for n in os.listdir(session.folder) if n.startswith("queries."))
    return ["--queries", session.program(queries[0])] if queries else []


# ------------------------------------------------------------------------------------------ checks


def environment(session):
    fields = ["name", "driver_version", "memory.total", "memory.used", "clocks.max.sm",
              "clocks.max.memory", "power.limit", "pcie.link.gen.max", "pcie.link.width.max",
              "ecc.mode.current", "mig.mode.current"]
    line = first_line(["nvidia-smi", "--query-gpu=" + ",".join(fields), "--format=csv,noheader"])
    values = [v.strip() for v in line.splitlines()[0].split(",")] if line else []
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        cpu = re.search(r"model name\s*:\s*(.*)", file.read())
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = re.search(r"MemTotal:\s*(\d+)", file.read())
    bench = session.program("concord-bench")
    result = {"gpu": dict(zip(fields, values)), "cpu": cpu.group(1) if cpu else "unknown",
              "cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release,
              "memory_bytes": int(memory.group(1)) * 1024 if memory else 0,
              "date": time.strftime("%FT%TZ", time.gmtime()),
              "linked_to": first_line(["ldd", bench]).splitlines(),
              "concord": first_line([bench, "--version"])}
    print(f"  {result['gpu'].get('name', 'no GPU')}; {result['cpu']}, {result['cores']} cores")
    return result


def cases(output):
    """(passed, the lines that failed, the lines that were skipped) of PASS, FAIL and SKIP lines."""
    return (len(re.findall(r"^PASS ", output, re.M)), re.findall(r"^FAIL .*", output, re.M),
            re.findall(r"^SKIP .*", output, re.M))


def judged(session, name, code, output):
    """The result of a program that prints PASS and FAIL lines, and its check."""
    if code == SKIPPED:
        return {"skipped": "no GPU"}
    passed, failed, left_out = cases(output)
    why = "; ".join(failed[:3]) or ("timed out" if code is None else f"exit code {code}")
    session.check(name, code == 0 and not failed, why)
    return {"cases": passed + len(failed), "passed": passed, "failed": failed[:20],
            "skipped_cases": left_out}


def conformance(session):
    code, output = session.command("conformance", [session.program("concord_device_conformance")],
                                   "conformance")
    return judged(session, "device conformance", code, output)


def hazards(session):
    """One process each: the last ones leave theirs without a device."""
    results = {}
    for hazard in HAZARDS:
        code, output = session.command(f"hazard {hazard}",
                                       [session.program("concord-cuda-hazards"), hazard], "hazards")
        results[hazard] = judged(session, f"hazard {hazard}", code, output)
    return results


def python_counts(output):
    """{"passed": …, "failed": …, "skipped": …} of pytest's last line."""
    last = re.findall(r"^=+ (.*) in [\d.]+s.*=+$", output, re.M)
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", last[-1] if last else ""):
        counts["failed" if word == "error" else word] += int(number)
    return counts


def python(session):
    folder = session.program("python")
    if not os.path.isdir(folder):
        return {"skipped": "prepared with --no-python"}
    if not first_line([sys.executable, "-c", "import numpy; print(numpy.__version__)"]):
        return {"skipped": "no numpy for this python3"}
    argv = ["bash", os.path.join(folder, "gpu_check.sh"), "run", folder,
            os.path.join(session.out, "python")]
    code, output = session.command("python tests", argv, "python", {"PYTHON": sys.executable})
    counts = python_counts(output)
    failed = re.findall(r"^(?:FAILED|ERROR) .*", output, re.M)
    session.check("python tests", code == 0 and counts["passed"] > 0,
                  "; ".join(failed[:3]) or ("timed out" if code is None else output.strip()[-200:]))
    return {**counts, "failures": failed[:20]}


def startup(session):
    rounds = []
    for number in range(3):
        code, output = session.command(f"start {number + 1}",
                                       [session.program("concord-cuda-hazards"), "startup"], "hazards")
        try:
            rounds.append(json.loads(output))
        except ValueError:
            session.check("startup", code is None, output.strip()[-200:])
    if not rounds:
        return {"skipped": "did not finish"}
    return {"rounds": rounds, "median": {key: statistics.median(r[key] for r in rounds)
                                         for key in rounds[0]}}


def peak(session):
    _, output = session.command("peak", [session.program("concord-cuda-peak")], "bench")
    try:
        return json.loads(output)
    except ValueError:
        session.check("peak", False, output.strip()[-200:])
        return {"skipped": "failed"}


# ------------------------------------------------------------------------------------------ builds


def settled(rounds):
    """Seconds that count: the median of the rounds after the first, which opens the device."""
    return statistics.median(rounds[1:] or rounds)


def digests(session):
    small = [(synthetic(session, 30000, 100), 200, ("--metric", "cosine")),
             (synthetic(session, 30000, 100), 200, ("--metric", "inner_product")),
             (synthetic(session, 30000, 32), 100, ("--M", "5")),
             (synthetic(session, 100000, 128), 128, ()),
             (synthetic(session, 100000, 128), 200, ())]
    results = []
    for data, ef_construction, extra in small:
        ours = session.build(data, ef_construction, 1, extra)
        if ours:
            same = ours["index"]["digest"] == ours["pinned"] if ours["pinned"] else None
            results.append({"data": ours["key"], "digest": ours["index"]["digest"], "same": same})
    return results


def build_row(document):
    """What the page and the targets need of one build."""
    build, device = document["build"], document["device"]
    seconds = settled(build["rounds"])
    return {"data": document["data"]["name"], "vectors": document["data"]["vectors"],
            "dimension": document["parameters"]["dimension"],
            "ef_construction": document["parameters"]["ef_construction"],
            "device": device["name"], "seconds": seconds, "rounds": build["rounds"],
            "threads": build["threads"],
            "vectors_per_second": document["data"]["vectors"] / seconds,
            "stages": {name: build["phases"][name]["seconds"] for name in ("ingest", "commit", "seal")},
            "propose_wait": build["propose_wall_seconds"], "score_wait": build["score_wall_seconds"],
            "distances": build["distances"], "host_cpu_seconds": build["cpu_seconds"],
            "kernel_seconds": device["kernel_seconds"], "overlap_seconds": device["overlap_seconds"],
            "copy_in_seconds": device["copy_in_seconds"],
            "copy_out_seconds": device["copy_out_seconds"],
            "bytes_in": device["bytes_in"], "bytes_out": device["bytes_out"],
            "device_memory_bytes": device["memory_bytes"],
            "index_bytes": document["memory"]["index_bytes"],
            "peak_rss_bytes": document["memory"]["peak_rss_bytes"],
            "digest": document["index"]["digest"], "pinned": document["pinned"]}


def build(session):
    plan = [(synthetic(session, 1000000, 128), 128), (synthetic(session, 1000000, 128), 200)]
    if file_data(session):
        plan += [(file_data(session), 128), (file_data(session), 200)]
    built = [session.build(data, ef, session.options.rounds) for data, ef in plan]
    return [build_row(one) for one in built if one]


def wide(session):
    one = session.build(synthetic(session, 1000000, 768), 128, min(2, session.options.rounds))
    return [build_row(one)] if one else {"skipped": "did not finish"}


def committer(session):
    rows = []
    for threads in WRITER_THREADS:
        one = session.build(synthetic(session, 100000, 128), 128, session.options.rounds,
                            threads=threads)
        if one:
            rows.append(build_row(one))
    known = {row["digest"] for row in rows}
    session.check("one digest whatever the threads", len(known) <= 1, ", ".join(sorted(known)))
    return rows


# ---------------------------------------------------------------------------------------- searches


def search(session):
    queries = 10000 if session.options.scale == 1 else 1000
    sets = [[*synthetic(session, 1000000, 128), "--limit-queries", str(queries)]]
    if file_data(session):
        sets.insert(0, [*file_data(session), *file_queries(session)])
    results = []
    for data in sets:
        name = "search " + os.path.basename(data[1])
        document = session.bench(name, ["run", *data, "--ef-construction", "200", "--device",
                                        session.options.device, "--ef", ",".join(map(str, EFS)),
                                        "--batch", ",".join(map(str, BATCHES))])
        if document and "batches" in document:
            results.append({"data": document["data"], "parameters": document["parameters"],
                            "k": document["k"], "points": document["batches"],
                            "memory": document["memory"], "device": document["device"]})
            check_recall(session, results[-1])
    return results


def check_recall(session, result):
    """The answers, and so the recall, are the same in any batch, and those of the pinned report."""
    by_ef = {}
    for point in result["points"]:
        by_ef.setdefault(point["ef"], set()).add(point["recall"])
    session.check(f"recall in all batches, {result['data']['name']}",
                  all(len(recalls) == 1 for recalls in by_ef.values()), str(by_ef))
    key = f"{result['data']['name']}, {result['data']['queries']} queries, " \
        f"ef_construction {result['parameters']['ef_construction']}"
    for ef, expected in session.pinned["recalls"].get(key, {}).items():
        found = by_ef.get(int(ef))
        if found:
            session.check(f"recall at ef {ef}, {key}", found == {expected},
                          f"{sorted(found)}, pinned {expected}")


def beside(session):
    document = session.bench("searches beside a writer",
                             ["serve-mix", *synthetic(session, 300000, 128), "--threads", "4",
                              "--readers", "8", "--rounds", "3", "--ef", "64", "--device",
                              session.options.device])
    return document["serve_mix"] if document else {"skipped": "did not finish"}


def rivals(session):
    """Brute force of what this python3 has, in a process of its own."""
    program = session.program("report_rivals.py")
    code, output = session.command("rivals", [sys.executable, program, session.options.device],
                                   "rivals", {"PYTHONPATH": session.program("python/site")})
    rows = []
    for line in output.splitlines():
        if line.startswith("{"):
            rows.append(json.loads(line))
    if not rows:
        return {"skipped": "did not finish" if code is None else output.strip()[-200:]}
    for row in rows:
        if "agreement" in row:
            session.check(f"neighbors of {row['name']} are Concord's", row["agreement"] >= 0.999,
                          f"{row['agreement']:.4f} of them")
    return rows


FUNCTIONS = {function.__name__: function for function in
             (environment, conformance, sanitizer, python, hazards, startup, digests, build, wide,
              stalls, search, committer, beside, rivals, peak)}
