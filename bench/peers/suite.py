"""Runs the libraries in turns over the data sets and writes what was measured as JSON.

    python -m peers [--data sift words fashion] [--limit 100000] [--threads 1 2] [--out peers.json] ...

With a folder as ``--out`` each data set has a document of its own there, and those that are there already are
kept: a run that was interrupted goes on where it stopped.

For each data set all libraries build, one after another, for each number of threads; then, round by round, all
open their index and are searched. So whatever else the machine does meanwhile falls on all of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from typing import Any

import numpy as np

from . import data
from .judge import Judge
from .registry import ON_REQUEST, by_name, usable
from .worker import CLOCKS, Job, K

QUICK = [
    "--data",
    "sample",
    "--limit",
    "5000",
    "--queries",
    "200",
    "--rounds",
    "2",
    "--minimum-seconds",
    "0.02",
]


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line; ``--quick`` stands for QUICK, before what is given beside it."""
    if "--quick" in arguments:
        arguments = [*QUICK, *(a for a in arguments if a != "--quick")]
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        prog="bench/peers/run.sh", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--data", nargs="+", default=["sample"], help="names of peers.data")
    parser.add_argument("--limit", type=int, default=0, help="first rows of each data set (0: all)")
    parser.add_argument("--queries", type=int, default=data.QUERIES)
    parser.add_argument(
        "--libraries", nargs="+", help="'all', or names; default: all but pynndescent"
    )
    parser.add_argument("--threads", nargs="+", type=int, default=sorted({1, cores}))
    parser.add_argument("--k", type=int, default=K)
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="'processor' for seconds that other programs on the machine change less",
    )
    parser.add_argument("--M", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=200)
    parser.add_argument(
        "--builds",
        type=int,
        default=2,
        help="with the largest number of threads; 2 show determinism",
    )
    parser.add_argument("--rounds", type=int, default=3, help="of searches")
    parser.add_argument(
        "--minimum-seconds", type=float, default=0.25, help="of each point of a search"
    )
    parser.add_argument("--timeout", type=float, default=1800, help="seconds of one process")
    parser.add_argument(
        "--out",
        type=pathlib.Path,
        default=pathlib.Path("peers.json"),
        help="a file that ends in .json, or a folder for a file of each data set, which keeps existing files",
    )
    parser.add_argument(
        "--quick", action="store_true", help="5,000 vectors of the sample, for tests"
    )
    options = parser.parse_args(arguments)
    options.threads = sorted(set(options.threads))
    return options


def without_folders(word: str) -> str:
    """A file's name alone: folders of this machine are no concern of a reader."""
    return pathlib.Path(word).name if word.startswith("/") else word


def put(document: dict[str, Any], out: pathlib.Path | None) -> None:
    """Writes the document of a measurement to a file, or prints it."""
    text = json.dumps(document, indent=2)
    if out is None:
        print(text)
    else:
        out.write_text(text + "\n")


def environment(command: list[str]) -> dict[str, Any]:
    """What the figures depend on besides the data."""
    info = pathlib.Path("/proc/cpuinfo").read_text()
    model = next(
        (x.split(":")[1].strip() for x in info.splitlines() if x.startswith("model name")), ""
    )
    commit = subprocess.run(
        ["git", "-C", data.ROOT, "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
    )
    return {
        "tool": "concord-peers",
        "schema": 1,
        "commit": commit.stdout.strip() or "unknown",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": "bench/peers/run.sh " + shlex.join(map(without_folders, command)),
        "machine": {
            "cpu": model,
            "cores": len(os.sched_getaffinity(0)),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "load_average": os.getloadavg()[0],
            "system": platform.platform(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
    }


def run_job(job: Job, timeout: float) -> dict[str, Any]:
    """What the worker measured, or {"error": why not}."""
    threads = str(job.threads)
    limits = {f"{name}_NUM_THREADS": threads for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(dataclasses.asdict(job), file)
        file.flush()
        try:
            done = subprocess.run(
                [sys.executable, "-m", f"{__package__}.worker", file.name],
                capture_output=True,
                text=True,
                timeout=timeout,
                env={**os.environ, **limits, "PYTHONPATH": str(data.ROOT / "bench")},
            )
        except subprocess.TimeoutExpired:
            return {"error": f"not done after {timeout:.0f} s"}
    if done.returncode == 0:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return {"error": lines[-1]}


class Suite:
    """One run: fills ``document``."""

    def __init__(self, options: argparse.Namespace, command: list[str]) -> None:
        self.options = options
        names, skipped = usable(options.libraries)
        if "concord" in skipped:
            raise ValueError(f"concord cannot be used: {skipped['concord']}")
        for name, reason in skipped.items():
            print(f"skipped {name}: {reason}", flush=True)
        self.document = environment(command)
        self.document |= {
            "parameters": {
                "k": options.k,
                "clock": options.clock,
                "M": options.M,
                "ef_construction": options.ef_construction,
                "threads": options.threads,
                "rounds": options.rounds,
                "minimum_seconds": options.minimum_seconds,
            },
            "libraries": {name: by_name(name).facts() for name in names},
            "skipped": skipped,
            "data": {},
            "results": [],
        }

    def run(self) -> dict[str, Any]:
        """All data sets."""
        for name in self.options.data:
            with tempfile.TemporaryDirectory(prefix="concord-peers-") as folder:
                self.run_data(name, pathlib.Path(folder))
        return self.document

    def run_data(self, name: str, folder: pathlib.Path) -> None:
        """One data set: everybody builds, then everybody is searched, round by round."""
        loaded = data.load(name, self.options.limit, self.options.queries)
        judge = Judge.of(loaded.metric, loaded.base, loaded.queries, self.options.k)
        for part, array in (
            ("base", loaded.base),
            ("queries", loaded.queries),
            ("limits", judge.limits),
        ):
            np.save(folder / f"{part}.npy", array)
        rows, dim = loaded.base.shape
        facts = {
            "vectors": rows,
            "dimension": dim,
            "metric": loaded.metric,
            "queries": len(loaded.queries),
        }
        self.document["data"][name] = facts
        print(
            f"\n{name}: {rows:,} x {dim}, {loaded.metric}, {len(loaded.queries):,} queries",
            flush=True,
        )
        results: list[dict[str, Any]] = [
            {"library": library, "data": name, "builds": {}, "search": {}, "failures": []}
            for library in self.document["libraries"]
            if not (by_name(library).floats_only and loaded.kept_as_bytes())
        ]
        del loaded, judge
        for threads in reversed(self.options.threads):
            for number, result in enumerate(results):
                self.build(result, name, folder, number, threads)
        for round_number in range(self.options.rounds):
            for number, result in enumerate(results):
                for threads in reversed(self.options.threads):
                    self.search(result, name, folder, number, threads, round_number)
            print(f"  round {round_number + 1} of {self.options.rounds} searched", flush=True)
        self.document["results"] += results
        self.document["machine"]["load_average_at_end"] = os.getloadavg()[0]
        partial = self.options.out.with_suffix(".partial")
        partial.write_text(json.dumps(self.document, indent=1) + "\n")
        partial.replace(self.options.out)

    def job(
        self, what: str, result: dict[str, Any], name: str, folder: pathlib.Path, threads: int
    ) -> Job:
        """A job for a library."""
        return Job(
            what=what,
            library=result["library"],
            data=str(folder),
            metric=self.document["data"][name]["metric"],
            M=self.options.M,
            ef_construction=self.options.ef_construction,
            threads=threads,
            k=self.options.k,
            clock=self.options.clock,
            minimum_seconds=self.options.minimum_seconds,
        )

    def build(
        self, result: dict[str, Any], name: str, folder: pathlib.Path, number: int, threads: int
    ) -> None:
        """Builds; the index of the most threads is kept and looked at."""
        job = self.job("build", result, name, folder, threads)
        if threads == self.options.threads[-1]:
            job.save, job.builds = str(folder / f"index{number}-"), self.options.builds
        measured = run_job(job, self.options.timeout)
        if "error" in measured:
            result["failures"].append(f"build with {threads} threads: {measured['error']}")
            print(f"  {result['library']}, {threads} threads: {measured['error']}", flush=True)
            return
        about_index = ("file_bytes", "unreachable", "same_bytes", "same_answers")
        if job.save:
            result["index"] = {key: measured.pop(key) for key in about_index if key in measured}
            for build in range(1, job.builds):
                remove(pathlib.Path(f"{job.save}{build}"))
        result["builds"][str(threads)] = measured
        seconds = min(measured["seconds"])
        print(f"  {result['library']}, {threads} threads: built in {seconds:.2f} s", flush=True)

    def search(
        self,
        result: dict[str, Any],
        name: str,
        folder: pathlib.Path,
        number: int,
        threads: int,
        round_number: int,
    ) -> None:
        """One round for one library; the first, with the most threads, finds the efforts for the rest."""
        if "index" not in result or (round_number and result["library"] in ON_REQUEST):
            return
        job = self.job("search", result, name, folder, threads)
        job.save = str(folder / f"index{number}-0")
        job.efforts = result.get("efforts", [])
        measured = run_job(job, self.options.timeout)
        if "error" in measured:
            result["failures"].append(f"search with {threads} threads: {measured['error']}")
            print(f"  {result['library']}, {threads} threads: {measured['error']}", flush=True)
            return
        if not job.efforts:
            result["efforts"] = [point["effort"] for point in measured["points"]]
            result["targets"] = measured["targets"]
        kept = result["search"].setdefault(str(threads), [])
        for point in measured["points"]:
            if not round_number:
                kept.append({"effort": point["effort"], "recall": point["recall"], "qps": []})
            next(p for p in kept if p["effort"] == point["effort"])["qps"].append(point["qps"])
        result.setdefault("first_answer_seconds", []).append(measured["first_answer_seconds"])


def remove(path: pathlib.Path) -> None:
    """A file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def file_of(name: str, k: int = K) -> str:
    """Where a data set's document lies in a folder."""
    ending = "" if k == K else f"-k{k}"
    return f"peers-{re.sub('[^A-Za-z0-9]+', '-', name)}{ending}.json"


def run_each(options: argparse.Namespace, command: list[str]) -> list[dict[str, Any]]:
    """A run for each data set of which the folder has no document yet."""
    options.out.mkdir(parents=True, exist_ok=True)
    documents = []
    for name in options.data:
        path = options.out / file_of(name, options.k)
        if path.exists():
            print(f"{name}: kept what {path.name} says", flush=True)
            continue
        own = argparse.Namespace(**{**vars(options), "data": [name], "out": path})
        documents.append(Suite(own, command).run())
    return documents


def main() -> int:
    """Run, and say where the results are."""
    options, command = parse(sys.argv[1:]), sys.argv[1:]
    try:
        if options.out.suffix == ".json":
            documents = [Suite(options, command).run()]
        else:
            documents = run_each(options, command)
    except ValueError as error:
        print(f"bench/peers/run.sh: {error}", file=sys.stderr)
        return 2
    failures = sum(len(result["failures"]) for each in documents for result in each["results"])
    print(
        f"\nwritten: {options.out}" + (f"; {failures} failures are named there" if failures else "")
    )
    return 0
