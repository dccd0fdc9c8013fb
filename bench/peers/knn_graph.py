"""The graph of all nearest neighbors: Concord beside PyNNDescent, in one process, by turns.

    PYTHONPATH=bench python -m peers.knn_graph [--data debian fashion] [--threads 2] [--rounds 3] [--out FILE]

The graph of a row's 15 nearest, itself included, is wanted with a recall of 0.95 of its 14 others. Concord
tunes itself to the recall, and its time includes that. PyNNDescent's ``n_neighbors`` and ``delta`` are tried
one after the other (EFFORTS), and the fastest that reaches the recall counts. Then both run by turns, and
medians are compared. What numba compiles is compiled before. Recall is measured on a sample of rows, by
distances, as judge.py does.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from . import data
from .judge import Judge
from .suite import environment, put, without_folders

Floats = npt.NDArray[np.float32]
Graph = npt.NDArray[np.int64]
K = 15
GOAL = 0.95
SAMPLE = 2000
WARM_ROWS = 5000  # for fewer PyNNDescent leaves some of its functions uncompiled
EFFORTS = [
    {"n_neighbors": neighbors, "delta": delta} for neighbors in (15, 20) for delta in (0.02, 0.001)
]
"""PyNNDescent's own default is 30 and 0.001; a graph of more neighbors is cut at 15."""


@dataclasses.dataclass
class Run:
    """One graph: how long it took and how good it is."""

    seconds: float
    processor_seconds: float
    recall: float


class Sample:
    """Rows on which graphs are judged."""

    def __init__(self, loaded: data.Data) -> None:
        self.rows = np.random.default_rng(1).permutation(len(loaded.base))[:SAMPLE]
        # Each row is among its own neighbors, so k of them are K - 1 others and itself.
        self.judge = Judge.of(loaded.metric, loaded.base, loaded.base[self.rows], K)

    def recall(self, graph: Graph) -> float:
        """That of a graph of all vectors."""
        return self.recall_of(graph[self.rows])

    def recall_of(self, found: Graph) -> float:
        """Of the others: the row itself, which every graph has, is left out of the count."""
        if not (found == self.rows[:, None]).any(axis=1).all():
            raise ValueError("a row is missing among its own neighbors")
        with_self = self.judge.recall(found)
        return (with_self * K - 1) / (K - 1)


def of_concord(vectors: Floats, metric: str, threads: int) -> Graph:
    """Everything from the vectors to the graph, tuning included."""
    concord = importlib.import_module("concord")
    name = {"l2sq": "l2", "cosine": "cosine"}[metric]
    return np.asarray(concord.knn_graph(vectors, K, name, recall=GOAL, threads=threads)[0])


def of_pynndescent(vectors: Floats, metric: str, threads: int, effort: dict[str, Any]) -> Graph:
    """``neighbor_graph``, which is there once the object is; nothing is prepared for searches."""
    pynndescent = importlib.import_module("pynndescent")
    importlib.import_module("numba").set_num_threads(threads)
    name = {"l2sq": "euclidean", "cosine": "cosine"}[metric]
    index = pynndescent.NNDescent(vectors, name, n_jobs=threads, random_state=1, **effort)
    return np.asarray(index.neighbor_graph[0])[:, :K].astype(np.int64)


def measured(work: Callable[[], Graph], sample: Sample) -> Run:
    """One run of it."""
    start, of_processor = time.perf_counter(), time.process_time()
    graph = work()
    seconds, processor = time.perf_counter() - start, time.process_time() - of_processor
    return Run(seconds, processor, sample.recall(graph))


def median(runs: list[Run]) -> dict[str, Any]:
    """Medians, and all runs."""
    parts = {
        part.name: statistics.median(getattr(run, part.name) for run in runs)
        for part in dataclasses.fields(Run)
    }
    return {**parts, "runs": [dataclasses.asdict(run) for run in runs]}


def compare(name: str, threads: int, rounds: int) -> dict[str, Any]:
    """Both on one data set."""
    loaded = data.load(name)
    vectors, metric = np.ascontiguousarray(loaded.base), loaded.metric
    warm = vectors[:WARM_ROWS]
    of_concord(warm, metric, threads)
    of_pynndescent(warm, metric, threads, EFFORTS[-1])
    sample = Sample(loaded)
    tried: list[dict[str, Any]] = []
    for effort in EFFORTS:
        run = measured(lambda: of_pynndescent(vectors, metric, threads, effort), sample)  # noqa: B023
        tried.append({**effort, **dataclasses.asdict(run)})
        print(f"{name}: pynndescent {effort}: {run}", file=sys.stderr, flush=True)
    enough = [one for one in tried if one["recall"] >= GOAL]
    best = min(enough, key=lambda one: float(one["processor_seconds"])) if enough else None
    result: dict[str, Any] = {"data": name, "rows": len(vectors), "dim": vectors.shape[1]}
    result |= {"metric": metric, "tried": tried}
    ours, theirs = [], []
    chosen = {key: best[key] for key in EFFORTS[0]} if best else None
    for _ in range(rounds):
        ours.append(measured(lambda: of_concord(vectors, metric, threads), sample))
        if chosen is not None:
            run = measured(lambda: of_pynndescent(vectors, metric, threads, chosen), sample)
            theirs.append(run)
    result["concord"] = median(ours)
    if chosen is not None:
        result["pynndescent"] = {"effort": chosen, **median(theirs)}
        for what in ("seconds", "processor_seconds"):
            result[f"share of {what}"] = result["concord"][what] / result["pynndescent"][what]
    return result


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="peers.knn_graph",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", nargs="+", default=["debian", "fashion"])
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path)
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    """The document."""
    before = os.getloadavg()
    graphs = [compare(name, options.threads, options.rounds) for name in options.data]
    return {
        **environment(arguments),
        "command": " ".join(["python -m peers.knn_graph", *map(without_folders, arguments)]),
        "load_average": {"before": before, "after": os.getloadavg()},
        "libraries": {
            name: importlib.import_module(name).__version__ for name in ("concord", "pynndescent")
        },
        "threads": options.threads,
        "k": K,
        "goal": GOAL,
        "knn_graph": graphs,
    }


def main() -> None:
    """Writes the document, or prints it."""
    options = parse()
    put(run(options, sys.argv[1:]), options.out)


if __name__ == "__main__":
    main()
