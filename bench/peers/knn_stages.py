"""What ``knn_graph`` spends where: building, tuning, searching, and how far the tuning overshoots.

    PYTHONPATH=bench python -m peers.knn_stages [--data debian] [--threads 2] [--out FILE]

For each of SETTINGS an index is built, tuned with a sample of that size, and its graph of 15 neighbors found,
which ``concord.knn_graph`` does in one step. Recall is that of a sample of rows. The tuning leaves each vector
out of its own search, and the graph does not. So the graph is then searched again with other ``ef`` and slack:
the cheapest that reaches the goal says what a search costs that finds no more than was asked for.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from . import data
from .knn_graph import GOAL, Floats, Graph, K, Sample
from .suite import environment, put, without_folders

T = TypeVar("T")
SETTINGS = [(16, 100, 1000), (12, 60, 500), (10, 50, 300), (8, 40, 500)]
"""M, ef_construction, sample; ``concord.knn_graph`` takes the second."""
EFFORTS = (15, 18, 21, 25, 30, 36, 43, 52, 62, 74, 89, 107, 128)
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the tuned slack


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Processor seconds, because other work on the machine adds none, and the result."""
    start = time.process_time()
    result = work()
    return round(time.process_time() - start, 3), result


def stages(
    vectors: Floats, metric: str, sample: Sample, threads: int, setting: tuple[int, int, int]
) -> dict[str, Any]:
    """One setting."""
    concord = importlib.import_module("concord")
    M, ef_construction, size = setting
    build, index = timed(
        lambda: concord.Index.from_vectors(
            vectors, metric=metric, M=M, ef_construction=ef_construction, threads=threads
        )
    )
    tune, preset = timed(lambda: index.tune(GOAL, K - 1, sample=size))
    search, graph = timed(lambda: index.knn_graph(K, recall=GOAL))
    row: dict[str, Any] = {"M": M, "ef_construction": ef_construction, "sample": size}
    row |= {"build": build, "tune": tune, "graph": search, "all": round(build + tune + search, 3)}
    row |= {"recall": round(sample.recall(np.asarray(graph.indices)), 4)}
    row |= {"tuned": {"ef": preset.ef, "slack": preset.slack, "recall": preset.measured}}
    row["enough"] = enough(index, vectors, sample, preset.slack)
    print(row, file=sys.stderr, flush=True)
    return row


def enough(index: Any, vectors: Floats, sample: Sample, slack: float) -> dict[str, Any] | None:
    """The search of fewest distances that reaches the goal in the graph, where each vector finds itself."""
    rows, found = vectors[sample.rows], []
    for share in SHARES:
        for ef in EFFORTS:
            before = index.stats().search.distances
            labels = index.search(rows, K, ef, slack=share * slack).labels
            cost = index.stats().search.distances - before
            if sample.recall_of(with_self(labels, sample.rows)) >= GOAL:
                found.append((cost, ef, share * slack))
                break
    if not found:
        return None
    _, ef, slack = min(found)
    seconds, all_found = timed(lambda: index.search(vectors, K, ef, slack=slack).labels)
    recall = sample.recall_of(with_self(all_found[sample.rows], sample.rows))
    return {"ef": ef, "slack": round(slack, 4), "graph": seconds, "recall": round(recall, 4)}


def with_self(labels: Graph, rows: Graph) -> Graph:
    """Each row with its own number first, as knn_graph gives it."""
    pairs = zip(rows, labels, strict=True)
    return np.array([[row, *near[near != row][: K - 1]] for row, near in pairs])


def run(options: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    """The document."""
    loaded = data.load(options.data)
    vectors, sample = np.ascontiguousarray(loaded.base), Sample(loaded)
    before = os.getloadavg()
    rows = [stages(vectors, loaded.metric, sample, options.threads, one) for one in SETTINGS]
    return {
        **environment(arguments),
        "command": " ".join(["python -m peers.knn_stages", *map(without_folders, arguments)]),
        "load_average": {"before": before, "after": os.getloadavg()},
        "libraries": {"concord": importlib.import_module("concord").__version__},
        "data": options.data,
        "rows": len(vectors),
        "distinct": len(np.unique(vectors, axis=0)),
        "dim": vectors.shape[1],
        "threads": options.threads,
        "k": K,
        "goal": GOAL,
        "knn_stages": rows,
    }


def main() -> None:
    """Writes the document, or prints it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="debian")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    put(run(options, sys.argv[1:]), options.out)


if __name__ == "__main__":
    main()
