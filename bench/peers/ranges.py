"""All vectors within a radius, by several libraries: the peers of ``concord-bench range``.

    PYTHONPATH=bench python -m peers.ranges [--data words:20000] [--ranks 1 30 300] [--out FILE] ...

The radius is the median distance of the queries to their nearest vector, to the 30th, and so on. Each library
has its own index, and one call for each query. *Found* is the share of all pairs of a query and a vector within
its radius, *complete* the share of queries of which all was found.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys
import time
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from . import data
from .libraries import Concord, Faiss, Floats, Parameters, Vsag
from .suite import environment

SLACK = 0.1
ROUNDING = 1e-4
"""Of a radius: libraries round distances in other ways, so what is so near to it counts for none."""


class Ranged(Protocol):
    """An index that is asked for all within a radius."""

    def build(self, vectors: Floats) -> None:
        """Index all vectors; labels are the numbers of the rows."""

    def within(self, query: Floats, radius: float, ef: int) -> npt.NDArray[np.int64]:
        """Labels of all that it finds within the radius, in the metric's distances (l2sq, cosine)."""


class RangedConcord(Concord):
    """range_search with a slack of 0.1."""

    def within(self, query: Floats, radius: float, ef: int) -> npt.NDArray[np.int64]:
        labels = self.index.range_search(query[None], radius, ef=ef, slack=SLACK)[1]
        return np.asarray(labels).astype(np.int64)


class RangedFaiss(Faiss):
    """range_search with efSearch."""

    def within(self, query: Floats, radius: float, ef: int) -> npt.NDArray[np.int64]:
        threshold = radius if self.p.metric == "l2sq" else 1 - radius
        params = self.lib.SearchParametersHNSW(efSearch=ef)
        return np.asarray(
            self.index.range_search(self._input(query[None]), threshold, params=params)[2]
        )


class RangedVsag(Vsag):
    """range_search with ef_search."""

    def within(self, query: Floats, radius: float, ef: int) -> npt.NDArray[np.int64]:
        setting = json.dumps({"hgraph": {"ef_search": ef}})
        return np.asarray(self.index.range_search(query, radius, setting)[0])


RANGED: dict[str, Any] = {x.name: x for x in (RangedConcord, RangedFaiss, RangedVsag)}
CANNOT = {"usearch": "its search takes a radius and returns what is beyond it (its issue 549)"}


def distances_of(loaded: data.Data, query: Floats) -> Floats:
    """To all rows, in the metric's distances."""
    rows = loaded.base
    if loaded.metric == "l2sq":
        return np.asarray(((rows - query) ** 2).sum(1))
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(query)
    return np.asarray(1 - rows @ query / np.maximum(norms, 1e-30))


@dataclasses.dataclass
class Range:
    """A radius, and for each query the rows that are certainly within it, and certainly not."""

    rank: int
    radius: float
    inside: list[npt.NDArray[np.bool_]]
    outside: list[npt.NDArray[np.bool_]]

    @staticmethod
    def of(loaded: data.Data, rank: int) -> Range:
        """By the median of the queries."""
        distances = [distances_of(loaded, query) for query in loaded.queries]
        radius = float(np.median([np.partition(d, rank - 1)[rank - 1] for d in distances]))
        margin = ROUNDING * radius
        return Range(
            rank,
            radius,
            [d <= radius - margin for d in distances],
            [d > radius + margin for d in distances],
        )


def measure(library: Ranged, loaded: data.Data, asked: Range, ef: int) -> dict[str, Any]:
    """What a library finds."""
    found, complete, beyond = 0, 0, 0
    start = time.process_time()
    answers = [library.within(query, asked.radius, ef) for query in loaded.queries]
    seconds = time.process_time() - start
    for labels, inside, outside in zip(answers, asked.inside, asked.outside, strict=True):
        hits = int(inside[labels].sum())
        found += hits
        complete += hits == int(inside.sum())
        beyond += int(outside[labels].sum())
    pairs = sum(int(inside.sum()) for inside in asked.inside)
    return {
        "rank": asked.rank,
        "radius": asked.radius,
        "within": pairs / len(answers),
        "ef": ef,
        "found": found / max(pairs, 1),
        "complete": complete / len(answers),
        "beyond": beyond,
        "seconds": seconds,
    }


def run(options: argparse.Namespace, command: list[str]) -> dict[str, Any]:
    """The document of all libraries that can run here."""
    loaded = data.load(options.data, 0, options.queries)
    ranges = [Range.of(loaded, rank) for rank in options.ranks]
    form = Parameters(loaded.base.shape[1], loaded.metric, options.M, options.ef_construction, 1)
    document = environment(command)
    document["command"] = document["command"].replace(
        "bench/peers/run.sh", "python -m peers.ranges"
    )
    document |= {"data": options.data, "queries": options.queries, "skipped": dict(CANNOT)}
    document["ranges"] = []
    for name in options.libraries:
        problem = RANGED[name].problem()
        if problem is not None:
            document["skipped"][name] = problem
            continue
        library = RANGED[name](form)
        library.build(loaded.base)
        points = [measure(library, loaded, r, ef) for r in ranges for ef in options.ef]
        document["ranges"].append({"library": name, "points": points})
        for point in points:
            print(
                f"{name}: rank {point['rank']}, {point['within']:.0f} within, ef {point['ef']}: found "
                f"{point['found']:.5f}, complete {point['complete']:.3f}, beyond {point['beyond']}, "
                f"{point['seconds'] / options.queries * 1e6:.0f} us",
                flush=True,
            )
    return document


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m peers.ranges", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--data", default="words:20000", help="a name of peers.data")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 30, 300])
    parser.add_argument("--ef", nargs="+", type=int, default=[64, 512])
    parser.add_argument("--libraries", nargs="+", default=list(RANGED), choices=RANGED)
    parser.add_argument("--M", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=200)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("range-peers.json"))
    return parser.parse_args(arguments)


def main() -> int:
    """Run, and say where the results are."""
    options = parse(sys.argv[1:])
    try:
        document = run(options, sys.argv[1:])
    except ValueError as error:
        print(f"peers.ranges: {error}", file=sys.stderr)
        return 2
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
