"""One run of a GPU report: commands within the budget, and what they told.

Thread-safety: one thread. Everything known is written after each part (write), so that a run that is cut
off leaves what it had.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

import report_page


class Session:
    """Runs commands within the budget; gathers the document, the logs and the checks."""

    def __init__(self, options, clock=time.monotonic):
        self.options = options
        self.clock = clock
        self.folder = os.path.abspath(options.folder)
        self.out = os.path.abspath(options.out or os.path.join(self.folder, "out"))
        os.makedirs(self.out, exist_ok=True)
        self.started = clock()
        self.part_ends = float("inf")
        self.scratch = tempfile.mkdtemp(prefix="concord-report-")
        self.pinned = self._read("pinned.json") or {"digests": {}, "recalls": {}}
        self.by_design = self._read("by_design.json") or {}
        self.document = {"tool": "gpu_report", "schema": 2, "options": vars(options), "checks": [],
                         "steps": []}

    def _read(self, name):
        try:
            with open(self.program(name), encoding="utf-8") as file:
                return json.load(file)
        except OSError:
            return None

    def left(self):
        """Seconds of the whole budget that are left."""
        return self.options.budget - (self.clock() - self.started)

    def begin_part(self, seconds):
        self.part_ends = self.clock() + seconds

    def part_left(self):
        return self.part_ends - self.clock()

    def check(self, name, ok, detail=""):
        self.document["checks"].append({"name": name, "ok": bool(ok), "detail": detail})
        if not ok:
            print(f"  FAILED {name}: {detail}", flush=True)

    def program(self, name):
        return os.path.join(self.folder, name)

    def command(self, name, argv, log, environment=None):
        """Runs argv in what is left of the part; returns (exit code, or None for no time, output)."""
        limit = self.part_left()
        if limit < 1:
            self.note(name, None, 0, "no time left")
            return None, ""
        start = self.clock()
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, errors="replace", cwd=self.scratch,
                                   env={**os.environ, **(environment or {})},
                                   start_new_session=True)
        try:
            output, _ = process.communicate(timeout=limit)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            code = None
        with open(os.path.join(self.out, log + ".log"), "a", encoding="utf-8") as file:
            file.write(f"=== {name}: {' '.join(argv)}\n{output}\n")
        why = f"over the {limit:.0f} s left of its part" if code is None else ""
        self.note(name, code, self.clock() - start, why)
        return code, output

    def note(self, name, code, seconds, why=""):
        self.document["steps"].append({"name": name, "exit_code": code, "seconds": round(seconds, 2),
                                       "note": why})
        state = why or ("ok" if code == 0 else f"exit code {code}")
        print(f"  {name}: {seconds:.1f} s, {state}", flush=True)

    def bench(self, name, arguments):
        """Runs concord-bench; returns its JSON document, or None."""
        path = os.path.join(self.scratch, "document.json")
        if os.path.exists(path):
            os.remove(path)
        argv = [self.program("concord-bench"), *arguments, "--json", path]
        code, output = self.command(name, argv, "bench")
        if code not in (0, None):
            last = output.strip().splitlines()[-1:] or [""]
            self.check(name, False, f"exit code {code}: {last[0]}")
        try:
            with open(path, encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError):
            return None

    def build(self, data, ef_construction, rounds, extra=(), threads=0):
        """A measured build on the device, checked against its pinned digest; None if unfinished."""
        options = " ".join(extra)
        name = f"build {os.path.basename(data[1])} ef_construction {ef_construction} {options}".strip()
        name += f", {threads} threads" if threads else ""
        document = self.bench(name,
                              ["build", *data, "--ef-construction", str(ef_construction), "--device",
                               self.options.device, "--rounds", str(rounds), "--threads", str(threads), *extra])
        if document is None:
            return None
        if self.options.device != "cpu":
            self.check(f"{name}: built by the device", document["device"]["name"] != "cpu",
                       document["device"]["reason"])
        self.check(f"{name}: audit", document["audit"]["ok"],
                   "; ".join(document["audit"]["messages"]))
        key = f"{document['data']['name']}, ef_construction {ef_construction} {options}".strip()
        expected = self.pinned["digests"].get(key)
        if expected:
            self.check(f"digest of {key}", document["index"]["digest"] == expected,
                       f"{document['index']['digest']}, pinned {expected}")
        return {**document, "key": key, "pinned": expected}

    def write(self):
        document = self.document
        document["seconds"] = round(self.clock() - self.started, 1)
        document["failed_checks"] = sum(not c["ok"] for c in document["checks"])
        with open(os.path.join(self.out, "report.json"), "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
        with open(os.path.join(self.out, "report.md"), "w", encoding="utf-8") as file:
            file.write(report_page.page(document))

    def close(self):
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.write()
