#!/usr/bin/env python3
"""Runs the checks and measurements of a prepared folder on a GPU machine (gpu_report.sh run).

Standard library only. Every part has a time limit of its own within the whole budget, a part that
fails does not stop the next, and what is known is written after each: OUT/report.json and
OUT/report.md, with the programs' own output in OUT/*.log. Exit code 0 if all checks that ran held,
1 if one failed, 2 for wrong arguments.
"""

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import gpu_report_page
from gpu_report_sanitizer import sanitizer

PARTS = ["environment", "conformance", "peak", "digests", "build", "search", "hnswlib", "sanitizer",
         "more"]
SKIPPED = 77  # exit code of a program that found no device
BATCHES = [1, 10, 100, 1000, 10000]
EFS = [10, 16, 24, 32, 48, 64, 96, 128, 192]


class Session:
    """Runs commands within the budget; gathers the document, the logs and the checks."""

    def __init__(self, options):
        self.options = options
        self.folder = os.path.abspath(options.folder)
        self.out = os.path.abspath(options.out or os.path.join(self.folder, "out"))
        os.makedirs(self.out, exist_ok=True)
        self.started = time.monotonic()
        self.scratch = tempfile.mkdtemp(prefix="concord-report-")
        self.builds = {}
        self.document = {"tool": "gpu_report", "schema": 1, "options": vars(options), "checks": [],
                         "steps": []}

    def remaining(self):
        return self.options.budget - (time.monotonic() - self.started)

    def check(self, name, ok, detail=""):
        self.document["checks"].append({"name": name, "ok": bool(ok), "detail": detail})
        if not ok:
            print(f"  FAILED {name}: {detail}", flush=True)

    def program(self, name):
        return os.path.join(self.folder, name)

    def command(self, name, argv, limit, log):
        """Runs argv; returns (exit code or None for a time-out or no time left, output)."""
        limit = min(limit, self.remaining() - 3)
        if limit < 2:
            self.note(name, None, 0, "no time left")
            return None, ""
        start = time.monotonic()
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, errors="replace", cwd=self.scratch,
                                   start_new_session=True)
        try:
            output, _ = process.communicate(timeout=limit)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            code = None
        seconds = time.monotonic() - start
        with open(os.path.join(self.out, log + ".log"), "a", encoding="utf-8") as file:
            file.write(f"=== {name}: {' '.join(argv)}\n{output}\n")
        why = f"over its limit of {limit:.0f} s" if code is None else ""
        self.note(name, code, seconds, why)
        return code, output

    def note(self, name, code, seconds, why=""):
        self.document["steps"].append({"name": name, "exit_code": code, "seconds": round(seconds, 2),
                                       "note": why})
        state = why or ("ok" if code == 0 else f"exit code {code}")
        print(f"  {name}: {seconds:.1f} s, {state}", flush=True)

    def bench(self, name, arguments, limit):
        """Runs concord-bench; returns (exit code, its JSON document or None)."""
        path = os.path.join(self.scratch, "document.json")
        if os.path.exists(path):
            os.remove(path)
        argv = [self.program("concord-bench"), *arguments, "--json", path]
        code, output = self.command(name, argv, limit, "bench")
        if code not in (0, None):
            last = output.strip().splitlines()[-1:] or [""]
            self.check(name, False, f"exit code {code}: {last[0]}")
        try:
            with open(path, encoding="utf-8") as file:
                return code, json.load(file)
        except (OSError, ValueError):
            return code, None

    def build(self, data, ef_construction, device, limit, rounds=1, extra=()):
        """One measured build (cached); None where it did not finish."""
        key = (tuple(data), ef_construction, device, tuple(extra))
        if key not in self.builds:
            name = f"build {' '.join(data[1:2])} ef_construction {ef_construction} {device} " + \
                " ".join(extra)
            arguments = ["build", *data, "--ef-construction", str(ef_construction), "--device",
                         device, "--rounds", str(rounds), *extra]
            name = name.replace(self.folder + os.sep, "").strip()
            _, document = self.bench(name, arguments, limit)
            self.builds[key] = document
            if document and device.startswith("cuda"):
                used = document["device"]["name"]
                held = used != "cpu"
                self.check(f"{name}: built by the device", held, document["device"]["reason"])
        return self.builds[key]

    def write(self):
        document = self.document
        document["seconds"] = round(time.monotonic() - self.started, 1)
        document["failed_checks"] = sum(not c["ok"] for c in document["checks"])
        path = os.path.join(self.out, "report.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
        with open(os.path.join(self.out, "report.md"), "w", encoding="utf-8") as file:
            file.write(gpu_report_page.page(document))


def synthetic(session, rows, dimension):
    return ["--synthetic", f"{max(1000, round(rows * session.options.scale))},{dimension}"]


def file_data(session):
    """Arguments for the prepared file, or None."""
    names = sorted(os.listdir(session.folder))
    base = [n for n in names if n.startswith("base.")]
    queries = [n for n in names if n.startswith("queries.")]
    if not base:
        return None
    arguments = ["--dataset", session.program(base[0])]
    if session.options.scale < 1:
        arguments += ["--limit", str(max(1000, round(300000 * session.options.scale)))]
    if "metric" in names:
        with open(session.program("metric"), encoding="utf-8") as file:
            arguments += ["--metric", file.read().strip()]
    return arguments + (["--queries", session.program(queries[0])] if queries else [])


def train_only(data):
    """The same data without queries: what `build` takes."""
    return data[:data.index("--queries")] if "--queries" in data else data


def first_line(argv):
    try:
        result = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        return result.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


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
    result = {"gpu": dict(zip(fields, values)), "cpu": cpu.group(1) if cpu else "unknown",
              "cores": len(os.sched_getaffinity(0)), "kernel": os.uname().release,
              "memory_bytes": int(memory.group(1)) * 1024 if memory else 0,
              "date": time.strftime("%FT%TZ", time.gmtime()),
              "concord": first_line([session.program("concord-bench"), "--version"])}
    print(f"  {result['gpu'].get('name', 'no GPU')}; {result['cpu']}, {result['cores']} cores")
    return result


def conformance(session):
    argv = [session.program("concord_device_conformance"), *session.options.conformance.split()]
    code, output = session.command("conformance", argv, 100, "conformance")
    if code == SKIPPED:
        return {"skipped": "no GPU"}
    passed = len(re.findall(r"^PASS ", output, re.M))
    failed = re.findall(r"^FAIL .*", output, re.M)
    session.check("device conformance", code == 0,
                  "; ".join(failed[:3]) or ("timed out" if code is None else f"exit code {code}"))
    return {"cases": passed + len(failed), "passed": passed, "failed": failed[:20]}


def peak(session):
    code, output = session.command("peak", [session.program("concord-cuda-peak")], 60, "bench")
    if code == SKIPPED:
        return {"skipped": "no GPU"}
    try:
        return json.loads(output)
    except ValueError:
        session.check("peak", False, output.strip()[-200:])
        return {"skipped": "failed"}


def same_digest(session, data, ef_construction, limit, extra=()):
    device = session.options.device
    ours = session.build(data, ef_construction, device, 60, session.options.rounds, extra)
    theirs = session.build(data, ef_construction, "cpu", limit, 1, extra)
    if not ours or not theirs:
        return None
    name = ours["data"]["name"] + f", ef_construction {ef_construction} " + " ".join(extra)
    digests = [ours["index"]["digest"], theirs["index"]["digest"]]
    session.check(f"digest of {name.strip()}", digests[0] == digests[1], " is not ".join(digests))
    return {"data": name.strip(), "digest": digests[0], "cpu_digest": digests[1],
            "same": digests[0] == digests[1]}


def digests(session):
    results = []
    for metric in ("cosine", "inner_product"):
        results.append(same_digest(session, synthetic(session, 30000, 100), 200, 30,
                                   ("--metric", metric)))
    results.append(same_digest(session, synthetic(session, 30000, 32), 100, 30, ("--M", "5")))
    results.append(same_digest(session, synthetic(session, 100000, 128), 200, 60))
    if file_data(session):
        results.append(same_digest(session, train_only(file_data(session)), 200, 90))
    return [r for r in results if r]


def settled(rounds):
    """Seconds that count: the median of the rounds after the first, which opens the device."""
    return statistics.median(rounds[1:] or rounds)


def build_row(document, cpu):
    """What the page and the targets need of one build, and the CPU's time for the same."""
    build, device = document["build"], document["device"]
    row = {"data": document["data"]["name"], "vectors": document["data"]["vectors"],
           "dimension": document["parameters"]["dimension"],
           "ef_construction": document["parameters"]["ef_construction"],
           "device": device["name"], "seconds": settled(build["rounds"]), "rounds": build["rounds"],
           "vectors_per_second": document["data"]["vectors"] / settled(build["rounds"]),
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
           "digest": document["index"]["digest"], "audit_ok": document["audit"]["ok"]}
    if cpu:
        row["cpu_seconds"] = settled(cpu["build"]["rounds"])
        row["cpu_threads"] = cpu["build"]["threads"]
        row["ratio_to_cpu"] = row["cpu_seconds"] / row["seconds"]
    return row


def planned_builds(session):
    """(data, ef_construction, with a CPU build, limit in seconds of the device's and the CPU's)."""
    plan = [(synthetic(session, 100000, 128), 128, True, 60, 60),
            (synthetic(session, 100000, 128), 200, True, 60, 60),
            (synthetic(session, 1000000, 128), 128, True, 90, 90),
            (synthetic(session, 1000000, 768), 128, False, 120, 0),
            (synthetic(session, 1000000, 128), 200, False, 90, 0),
            (synthetic(session, 500000, 128), 128, True, 60, 60),
            (synthetic(session, 500000, 128), 200, False, 60, 0)]
    if file_data(session):
        data = train_only(file_data(session))
        plan += [(data, 128, False, 60, 0), (data, 200, True, 60, 90)]
    return plan


def last_builds(session):
    """What is built where time is left after all other parts."""
    return [(synthetic(session, 1000000, 768), 200, False, 60, 0),
            (synthetic(session, 1000000, 768), 128, True, 60, 120)]


def build(session):
    return measure_builds(session, planned_builds(session), [])


def more(session):
    rows = session.document.get("build")
    if not isinstance(rows, list):
        return {"skipped": "the part build did not run"}
    measure_builds(session, last_builds(session), rows)
    return {"builds": len(last_builds(session))}


def measure_builds(session, plan, rows):
    for data, ef_construction, with_cpu, limit, cpu_limit in plan:
        device = session.options.device
        ours = session.build(data, ef_construction, device, limit, session.options.rounds)
        if not ours:
            continue
        session.check(f"audit of {ours['data']['name']}, ef_construction {ef_construction}",
                      ours["audit"]["ok"], "; ".join(ours["audit"]["messages"]))
        cpu = session.build(data, ef_construction, "cpu", cpu_limit) if with_cpu else None
        if cpu:
            session.check(f"digest of {ours['data']['name']}, ef_construction {ef_construction}",
                          cpu["index"]["digest"] == ours["index"]["digest"])
        row = build_row(ours, cpu)
        known = [i for i, old in enumerate(rows) if old["digest"] == row["digest"]]
        if known:
            rows[known[0]] = row  # now with the CPU's time
        else:
            rows.append(row)
        session.document["build"] = rows
        session.write()
    return rows


def search(session):
    devices = ["cpu"] if session.options.device == "cpu" else [session.options.device, "cpu"]
    queries = 10000 if session.options.scale == 1 else 1000
    sets = [[*synthetic(session, 1000000, 128), "--limit-queries", str(queries)]]
    if file_data(session):
        sets.insert(0, file_data(session))
    results = []
    for data in sets:
        arguments = ["run", *data, "--ef-construction", "200", "--device", session.options.device,
                     "--ef", ",".join(map(str, EFS)), "--batch", ",".join(map(str, BATCHES)),
                     "--batch-device", ",".join(devices)]
        name = "search " + data[1].replace(session.folder + os.sep, "")
        _, document = session.bench(name, arguments, 130)
        if document and "batches" in document:
            results.append({"data": document["data"], "parameters": document["parameters"],
                            "k": document["k"], "points": document["batches"],
                            "memory": document["memory"], "device": document["device"]})
            check_recall(session, results[-1])
            session.document["search"] = results
            session.write()
    return results


def check_recall(session, result):
    """The answers, and so the recall, must be the same whoever searched."""
    by_ef = {}
    for point in result["points"]:
        by_ef.setdefault(point["ef"], set()).add(point["recall"])
    session.check(f"recall on all devices, {result['data']['name']}",
                  all(len(recalls) == 1 for recalls in by_ef.values()), str(by_ef))


def hnswlib(session):
    data = file_data(session) or synthetic(session, 200000, 128)
    arguments = ["compare", "--with", "hnswlib", *data, "--ef-construction", "200", "--rounds", "1",
                 "--ef", "16,32,64,128", "--limit-queries", "2000", "--device", session.options.device]
    _, document = session.bench("hnswlib", arguments, 110)
    if not document:
        return {"skipped": "did not finish"}
    return {key: document[key] for key in
            ("data", "parameters", "build", "search", "hnswlib", "compare", "device") if
            key in document}


NEED_GPU = {"conformance", "peak", "sanitizer"}


def run_parts(session, chosen):
    rehearsal = session.options.device == "cpu"
    has_gpu = bool(first_line(["nvidia-smi", "-L"]))
    if not has_gpu and not rehearsal:
        print("no GPU: everything that needs one is skipped; --device cpu rehearses the rest")
    functions = globals()
    for part in chosen:
        print(f"{part} ({session.remaining():.0f} s left)", flush=True)
        needs = part in NEED_GPU or (part != "environment" and not rehearsal)
        if needs and (rehearsal or not has_gpu):
            session.document[part] = {"skipped": "no GPU" if not has_gpu else "a rehearsal"}
            print(f"  {session.document[part]['skipped']}: skipped", flush=True)
        else:
            try:
                session.document[part] = functions[part](session)
            except Exception as error:  # the next part may still tell something
                session.check(part, False, f"{type(error).__name__}: {error}")
        session.write()


def names(text):
    result = [name for name in text.split(",") if name]
    unknown = [name for name in result if name not in PARTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown part {', '.join(unknown)}; the parts are " +
                                         ", ".join(PARTS))
    return result


def parse():
    parser = argparse.ArgumentParser(prog="gpu_report.sh run", description=__doc__.split("\n")[0],
                                     epilog="parts, in this order: " + ", ".join(PARTS))
    parser.add_argument("folder", help="what gpu_report.sh prepare made")
    parser.add_argument("out", nargs="?", help="folder for the report (default FOLDER/out)")
    parser.add_argument("--only", type=names, default=[], help="these parts, e.g. build,search")
    parser.add_argument("--skip", type=names, default=[], help="all parts but these")
    parser.add_argument("--budget", type=float, default=530, help="seconds in all (default 530)")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:K, or cpu to rehearse")
    parser.add_argument("--rounds", type=int, default=3,
                        help="builds of each size on the device; the median of all but the first "
                        "counts (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of each size, to rehearse")
    parser.add_argument("--conformance", default="", help="arguments of the conformance program")
    return parser.parse_args()


def main():
    options = parse()
    session = Session(options)
    chosen = [p for p in PARTS if (not options.only or p in options.only) and p not in options.skip]
    try:
        run_parts(session, chosen)
    finally:
        shutil.rmtree(session.scratch, ignore_errors=True)
        session.write()
    failed = session.document["failed_checks"]
    print(f"{session.document['seconds']:.0f} s, {len(session.document['checks'])} checks, "
          f"{failed} failed; {session.out}/report.md")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
