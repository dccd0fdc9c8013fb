#!/usr/bin/env python3
"""Runs the ann-benchmarks adapter on a local file, as ann-benchmarks would.

    bench/adapters/ann_benchmarks/run.py DATA.hdf5 [--group M-16] [--count 10] [--batch] [--runs 1]

It stands in for ann-benchmarks where that cannot be installed: it reads the same data and the same
config.yml, imports the adapter under the same name, calls it in the same order, and counts recall as
there, by distance: what is found counts if it is no farther than the true k-th neighbor (+ 0.001).
Needs h5py and PyYAML.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import pathlib
import sys
import time
import types
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ALGORITHMS = "ann_benchmarks.algorithms"


class BaseANN:
    """The part of ann-benchmarks' interface that its runner calls and that has a default."""

    name = ""

    def done(self) -> None:
        """End of use."""

    def get_additional(self) -> dict[str, Any]:
        """More to be stored with a result."""
        return {}

    def __str__(self) -> str:
        """The name of the run."""
        return self.name


class Data(NamedTuple):
    """One data set."""

    train: np.ndarray
    test: np.ndarray
    distances: np.ndarray
    """Of the true neighbors, nearest first."""
    metric: str


class Result(NamedTuple):
    """One line of ann-benchmarks' plots."""

    name: str
    build_seconds: float
    recall: float
    queries_per_second: float


def read(path: pathlib.Path) -> Data:
    """A file in the layout of ann-benchmarks."""
    import h5py

    with h5py.File(path) as file:
        train, test = (np.asarray(file[name], np.float32) for name in ("train", "test"))
        return Data(train, test, np.asarray(file["distances"]), file.attrs["distance"])


def import_adapter(module: str) -> types.ModuleType:
    """``<module>.module``, with this folder and BaseANN where ann-benchmarks has its own."""
    for name in ("ann_benchmarks", ALGORITHMS, f"{ALGORITHMS}.base"):
        package = sys.modules.setdefault(name, types.ModuleType(name))
        package.__path__ = [str(HERE)] if name == ALGORITHMS else []
    base = types.ModuleType(f"{ALGORITHMS}.base.module")
    base.BaseANN = BaseANN
    sys.modules.setdefault(base.__name__, base)
    return importlib.import_module(f"{module}.module")


def combinations(arguments: list[Any]) -> Iterator[list[Any]]:
    """Each way to take one of every argument that is a list, as ann-benchmarks expands them."""
    return map(list, itertools.product(*(a if isinstance(a, list) else [a] for a in arguments)))


def distances(metric: str, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """As ann-benchmarks measures what was found."""
    if metric == "euclidean":
        return np.linalg.norm(rows - query, axis=1)
    return 1 - rows @ query / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))


def measure(algorithm: Any, data: Data, count: int, batch: bool, runs: int) -> tuple[float, float]:
    """Recall, and queries a second of the best run."""
    best, found = np.inf, []
    for _ in range(runs):
        start = time.perf_counter()
        if batch:
            algorithm.batch_query(data.test, count)
            seconds = time.perf_counter() - start
            found = list(algorithm.get_batch_results())
        else:
            found = [algorithm.query(query, count) for query in data.test]
            seconds = time.perf_counter() - start
        best = min(best, seconds)
    hits = 0
    for query, rows, true in zip(data.test, found, data.distances, strict=True):
        near = distances(data.metric, query, data.train[np.asarray(rows, np.int64)])
        hits += int((near <= true[count - 1] + 1e-3).sum())
    return hits / (count * len(data.test)), len(data.test) / best


def run(data: Data, group: str, count: int, batch: bool, runs: int) -> Iterator[Result]:
    """Every result of a run group of config.yml."""
    config = yaml.safe_load((HERE / "concord" / "config.yml").read_text())
    for definition in config["float"]["any"]:
        constructor = getattr(import_adapter(definition["module"]), definition["constructor"])
        settings = definition["run_groups"][group]
        base = [data.metric if a == "@metric" else a for a in definition["base_args"]]
        for arguments in combinations(settings["arg_groups"]):
            algorithm = constructor(*base, *arguments)
            start = time.perf_counter()
            algorithm.fit(data.train)
            build = time.perf_counter() - start
            for query_arguments in combinations(settings["query_args"]):
                algorithm.set_query_arguments(*query_arguments)
                yield Result(str(algorithm), build, *measure(algorithm, data, count, batch, runs))
            algorithm.done()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Runs the ann-benchmarks adapter on a local file.")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--group", default="M-16")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--batch", action="store_true")
    parser.add_argument("--runs", type=int, default=1)
    options = parser.parse_args()
    data = read(options.data)
    for result in run(data, options.group, options.count, options.batch, options.runs):
        print(
            f"{result.name}: build {result.build_seconds:.1f} s, recall@{options.count} "
            f"{result.recall:.4f}, {result.queries_per_second:.0f} queries/s",
            flush=True,
        )


if __name__ == "__main__":
    main()
