"""One job in a process of its own: build indexes with one library, or open a saved one and search it.

    python -m peers.worker JOB.json       # prints what was measured as JSON in its last line

The process may use as many cores as the job has threads, and starts warm: a small index is built and searched
before anything is measured.
"""

from __future__ import annotations

import dataclasses
import gc
import hashlib
import json
import os
import pathlib
import sys
import time
from typing import Any

import numpy as np

from .judge import Judge
from .libraries import Floats, Labels, Library, Parameters
from .registry import by_name

K = 10
TARGETS = (0.9, 0.95, 0.99)
ENOUGH = 0.997  # recall at which a sweep ends
STEPS, GAIN = 3, 0.001  # in its second half it also ends where so many steps gain no more
SLOW = 4.0  # seconds of one call at which a sweep ends
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
"""What seconds are: those that pass, or those that all threads of the process were running."""


@dataclasses.dataclass
class Job:
    """What a worker is asked for."""

    what: str
    """build or search."""
    library: str
    data: str
    """Folder with base.npy, queries.npy and limits.npy."""
    metric: str
    M: int
    ef_construction: int
    threads: int
    k: int = K
    clock: str = "wall"
    """Of CLOCKS."""
    builds: int = 1
    save: str = ""
    """Index file: written by a build if given, read by a search."""
    efforts: list[int] = dataclasses.field(default_factory=list)
    """Of a search; empty: swept, with the smallest that reach the targets."""
    minimum_seconds: float = 0.25


def resident(field: str) -> int:
    """VmRSS or VmHWM of this process in bytes."""
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(status.split(field + ":")[1].split()[0])


def restart_peak() -> bool:
    """Makes VmHWM what is resident now; whether the system let us."""
    try:
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def digest(path: pathlib.Path) -> tuple[str, int]:
    """SHA-256 and size of a file, or of all files of a folder in order of their names."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest(), sum(file.stat().st_size for file in files)


def answers_digest(library: Library, queries: Floats, k: int) -> str:
    """Of the answers at a middling effort."""
    labels = ask(library, queries, k, library.sweep(k)[4])
    return hashlib.sha256(labels.tobytes()).hexdigest()


def ask(library: Library, queries: Floats, k: int, effort: int) -> Labels:
    """Labels [q, k] as signed numbers, whatever the library returns."""
    return np.ascontiguousarray(library.search(queries, k, effort)).astype(np.int64)


def warm_up(job: Job, dim: int) -> None:
    """Threads started, code loaded or compiled."""
    library = by_name(job.library)(parameters(job, dim))
    vectors = np.random.default_rng(1).random((library.warm_rows, dim), np.float32)
    library.build(vectors)
    library.search(vectors[:64], job.k, library.sweep(job.k)[2])


def parameters(job: Job, dim: int) -> Parameters:
    """Of the library, as the job says."""
    return Parameters(dim, job.metric, job.M, job.ef_construction, job.threads)


def build(job: Job) -> dict[str, Any]:
    """Builds ``job.builds`` times from the same array; the last index is saved, where a file is named."""
    base, queries = (
        np.load(pathlib.Path(job.data) / f"{part}.npy") for part in ("base", "queries")
    )
    warm_up(job, base.shape[1])
    result: dict[str, Any] = {"seconds": [], "cpu_seconds": []}
    clock = CLOCKS[job.clock]
    bytes_of, answers_of = set(), set()
    for number in range(job.builds):
        gc.collect()
        exact, before = restart_peak(), resident("VmRSS")
        library = by_name(job.library)(parameters(job, base.shape[1]))
        start, start_cpu = clock(), time.process_time()
        library.build(base)
        result["seconds"].append(clock() - start)
        result["cpu_seconds"].append(time.process_time() - start_cpu)
        if number == 0:
            result["peak_bytes"] = resident("VmHWM") - before
            result["peak_exact"] = exact
        if job.save:
            path = pathlib.Path(job.save)
            library.save(path.with_name(f"{path.name}{number}"))
            checksum, result["file_bytes"] = digest(path.with_name(f"{path.name}{number}"))
            bytes_of.add(checksum)
            answers_of.add(answers_digest(library, queries, job.k))
    if job.save:
        result["unreachable"] = library.unreachable()
    if job.save and job.builds > 1:
        result["same_bytes"], result["same_answers"] = len(bytes_of) == 1, len(answers_of) == 1
    return result


def search(job: Job) -> dict[str, Any]:
    """Opens the index, answers a first query, then measures speed and recall."""
    folder = pathlib.Path(job.data)
    queries = np.load(folder / "queries.npy")
    base, limits = np.load(folder / "base.npy", mmap_mode="r"), np.load(folder / "limits.npy")
    library = by_name(job.library)(parameters(job, queries.shape[1]))
    clock = CLOCKS[job.clock]
    start = clock()
    library.load(pathlib.Path(job.save))
    ask(library, queries[:1], job.k, library.sweep(job.k)[2])
    result: dict[str, Any] = {"first_answer_seconds": clock() - start}
    judge = Judge(job.metric, base, queries, limits, job.k)
    points: dict[int, dict[str, Any]] = {}

    def recall(effort: int, timed: bool) -> float:
        if effort not in points:
            points[effort] = {
                "effort": effort,
                "recall": judge.recall(ask(library, queries, job.k, effort)),
            }
        if timed and "qps" not in points[effort]:
            points[effort]["qps"] = speed(library, queries, effort, job)
        return points[effort]["recall"]

    if job.efforts:
        for effort in job.efforts:
            recall(effort, True)
    else:
        result["targets"] = calibrate(
            library.sweep(job.k), recall, lambda e: points[e]["qps"] * SLOW < len(queries)
        )
    result["points"] = [points[effort] for effort in sorted(points) if "qps" in points[effort]]
    return result


def calibrate(efforts: tuple[int, ...], recall: Any, slow: Any) -> dict[str, int | None]:
    """Sweeps upwards, and finds for each target the smallest effort that reaches it."""
    swept: list[int] = []
    recalls: list[float] = []
    for effort in efforts:
        swept.append(effort)
        recalls.append(recall(effort, True))
        late = len(recalls) > max(STEPS, len(efforts) // 2)
        stands = late and recalls[-1] - recalls[-1 - STEPS] < GAIN
        if recalls[-1] >= ENOUGH or stands or slow(effort):
            break
    targets: dict[str, int | None] = {}
    for target in TARGETS:
        above = next((i for i, effort in enumerate(swept) if recall(effort, False) >= target), None)
        if above is None:
            targets[str(target)] = None
            continue
        low, high = (swept[above - 1] if above else swept[0] - 1), swept[above]
        while high - low > max(1, high // 50):
            middle = (low + high) // 2
            low, high = (low, middle) if recall(middle, False) >= target else (middle, high)
        recall(high, True)
        targets[str(target)] = high
    return targets


def speed(library: Library, queries: Floats, effort: int, job: Job) -> float:
    """Queries a second: the median of calls for all queries, at least three and for the job's seconds."""
    clock = CLOCKS[job.clock]
    seconds: list[float] = []
    while len(seconds) < 3 or sum(seconds) < job.minimum_seconds:
        start = clock()
        library.search(queries, job.k, effort)
        seconds.append(clock() - start)
        if sum(seconds) > 2 * SLOW:
            break
    return len(queries) / float(np.median(seconds))


def main() -> None:
    """Runs the job of the file that is named."""
    job = Job(**json.loads(pathlib.Path(sys.argv[1]).read_text()))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job.threads])
    result = build(job) if job.what == "build" else search(job)
    print("\n" + json.dumps(result))


if __name__ == "__main__":
    main()
