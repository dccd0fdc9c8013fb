"""Searches among a part of the vectors, by several libraries: the peers of ``concord-bench filter``.

    PYTHONPATH=bench python -m peers.filtered [--data words:20000] [--shares 0.5 0.1 0.01] [--out FILE] ...
    PYTHONPATH=bench python -m peers.filtered --data debian --attribute section

Each library indexes all rows and is searched with its own filters, which are made before anything is measured.
Every effort is searched in one call for each filter, with the filters in turn. A search is short if it returns
fewer than min(k, matches); one that raises an error returns nothing. Efforts rise until one reaches a recall of
0.95 with no search short.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import multiprocessing
import pathlib
import sys
import time
from typing import Any, ClassVar, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from . import data
from .judge import Judge
from .libraries import Concord, Deglib, Faiss, Floats, Hnswlib, Labels, Parameters
from .native import NATIVE
from .suite import environment
from .worker import K

Mask = npt.NDArray[np.bool_]
GOAL = 0.95
FILTERS = 10  # of one kind, in turn


class Filtered(Protocol):
    """An index of which a part may be found."""

    efforts: ClassVar[tuple[int, ...]]

    def build(self, vectors: Floats) -> None:
        """Index all vectors; labels are the numbers of the rows."""

    def make_filter(self, mask: Mask) -> Any:
        """What :meth:`among` takes."""

    def among(self, queries: Floats, k: int, effort: int, chosen: Any) -> Labels:
        """Labels [q, k] of one call; -1 where there is none. May raise any exception."""


class FilteredConcord(Concord):
    """Index.filter of a mask."""

    def make_filter(self, mask: Mask) -> Any:
        return self.index.filter(mask)

    def among(self, queries: Floats, k: int, effort: int, chosen: Any) -> Labels:
        labels = self.index.search(queries, k, 512, slack=effort / 1000, filter=chosen)[0]
        return np.asarray(labels).astype(np.int64)


class FilteredHnswlib(Hnswlib):
    """A Python function that is called for each candidate; C++ has the same as BaseFilterFunctor."""

    def make_filter(self, mask: Mask) -> Any:
        return mask.tolist().__getitem__

    def among(self, queries: Floats, k: int, effort: int, chosen: Any) -> Labels:
        self.index.set_ef(effort)
        found = self.index.knn_query(queries, k, num_threads=self.p.threads, filter=chosen)[0]
        return np.asarray(found).astype(np.int64)


class FilteredFaiss(Faiss):
    """SearchParametersHNSW with an IDSelectorBitmap."""

    def make_filter(self, mask: Mask) -> Any:
        return self.lib.IDSelectorBitmap(np.packbits(mask, bitorder="little"))

    def among(self, queries: Floats, k: int, effort: int, chosen: Any) -> Labels:
        params = self.lib.SearchParametersHNSW(efSearch=effort, sel=chosen)
        return np.asarray(self.index.search(self._input(queries), k, params=params)[1])


class FilteredDeglib(Deglib):
    """filter_labels: an array of the labels that match."""

    def make_filter(self, mask: Mask) -> Any:
        return np.flatnonzero(mask).astype(np.uint32)

    def among(self, queries: Floats, k: int, effort: int, chosen: Any) -> Labels:
        found = self.index.search(
            self._input(queries),
            effort / 1000,
            k,
            filter_labels=chosen,
            threads=self.p.threads,
            return_distances=False,
        )
        return np.asarray(found).astype(np.int64)


IN_PYTHON = (FilteredConcord, FilteredHnswlib, FilteredFaiss, FilteredDeglib)
FILTERED: dict[str, Any] = {x.name: x for x in IN_PYTHON} | {x.name: x for x in NATIVE}
CANNOT = {
    "usearch": "its Python package has no filter; usearch (C++) has",
    "voyager": "has no filter",
    "vsag HGraph": "its Python package has no filter; vsag HGraph (C++) has",
    "svs Vamana": "its Python package has no filter for this index",
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """What every library answers."""

    data: str
    queries: int
    shares: tuple[float, ...]
    attribute: str
    M: int
    ef_construction: int
    rounds: int


@dataclasses.dataclass
class Part:
    """Which rows each query may find."""

    name: str
    masks: list[Mask]
    of_query: Labels
    """[q], which mask."""

    def matches(self) -> float:
        """On average over the queries."""
        return float(np.mean([self.masks[i].sum() for i in self.of_query]))


def parts_of(plan: Plan, loaded: data.Data) -> list[Part]:
    """By the attribute, or for each share rows at random and rows far from a random row's neighbors."""
    rows, queries = len(loaded.base), len(loaded.queries)
    if plan.attribute:
        with h5py.File(data.FOLDER / data.FILES[plan.data.split(":")[0]][0]) as file:
            of_row = file[plan.attribute][:rows]
            of_query = file["test_" + plan.attribute][:queries]
        values, which = np.unique(of_query, return_inverse=True)
        return [Part(plan.attribute, [of_row == value for value in values], which)]
    random = np.random.default_rng(1)
    in_turn = np.arange(queries) % FILTERS
    made = []
    for share in plan.shares:
        masks = [random.random(rows) < share for _ in range(FILTERS)]
        made.append(Part(f"random {share:g}", masks, in_turn))
    for share in plan.shares:
        centers = random.integers(rows, size=FILTERS)
        masks = [ball(loaded, loaded.base[center], share) for center in centers]
        made.append(Part(f"cluster {share:g}", masks, in_turn))
    return made


def ball(loaded: data.Data, center: Floats, share: float) -> Mask:
    """The rows nearest to a vector."""
    products = loaded.base @ center
    norms = np.linalg.norm(loaded.base, axis=1)
    near = (
        norms**2 - 2 * products if loaded.metric == "l2sq" else -products / np.maximum(norms, 1e-30)
    )
    return near <= np.quantile(near, share)


class Referee:
    """Judges answers of a part."""

    def __init__(self, loaded: data.Data, part: Part) -> None:
        self.groups = [np.flatnonzero(part.of_query == i) for i in range(len(part.masks))]
        self.ids = [np.flatnonzero(mask) for mask in part.masks]
        self.judges = [
            Judge.of(loaded.metric, loaded.base[ids], loaded.queries[group], K)
            if len(ids)
            else None
            for ids, group in zip(self.ids, self.groups, strict=True)
        ]

    def verdict(self, answers: list[Labels]) -> dict[str, Any]:
        """Of one answer for each filter."""
        right, queries, short = 0.0, 0, 0
        for judge, ids, group, found in zip(
            self.judges, self.ids, self.groups, answers, strict=True
        ):
            if judge is None or not len(group):
                continue
            queries += len(group)
            places = np.searchsorted(ids, found)
            is_match = (found >= 0) & (places < len(ids))
            is_match[is_match] = ids[places[is_match]] == found[is_match]
            short += int((is_match.sum(1) < judge.k).sum())
            right += judge.recall(np.where(is_match, places, -1)) * len(group)
        return {"recall": right / queries, "short": short, "queries": queries}


def answer(library: Filtered, queries: Floats, effort: int, chosen: Any) -> Labels:
    """One call; where it raises an error, as hnswlib does if it finds fewer than k, a call for each query."""
    try:
        return library.among(queries, K, effort, chosen)
    except RuntimeError:
        if len(queries) == 1:
            return np.full((1, K), -1)
        return np.concatenate([answer(library, q[None], effort, chosen) for q in queries])


def measure(library: Filtered, loaded: data.Data, part: Part, rounds: int) -> list[dict[str, Any]]:
    """A point for each effort up to the first that reaches the goal."""
    referee = Referee(loaded, part)
    filters = [library.make_filter(mask) for mask in part.masks]
    points = []
    for effort in library.efforts:
        seconds = []
        for _ in range(rounds):
            start = time.process_time()
            answers = [
                answer(library, loaded.queries[group], effort, chosen)
                for group, chosen in zip(referee.groups, filters, strict=True)
            ]
            seconds.append(time.process_time() - start)
        point = {"effort": effort, **referee.verdict(answers), "seconds": seconds}
        points.append(point)
        if point["recall"] >= GOAL and not point["short"]:
            break
    return points


def answers_of(name: str, plan: Plan) -> list[dict[str, Any]]:
    """What one library finds in each part."""
    loaded = data.load(plan.data, 0, plan.queries)
    library = FILTERED[name](
        Parameters(loaded.base.shape[1], loaded.metric, plan.M, plan.ef_construction, 1)
    )
    library.build(loaded.base)
    return [
        {
            "part": part.name,
            "matches": part.matches(),
            "points": measure(library, loaded, part, plan.rounds),
        }
        for part in parts_of(plan, loaded)
    ]


def in_a_process(name: str, plan: Plan) -> dict[str, Any]:
    """What one library finds, or why it ended."""
    spawn = multiprocessing.get_context("spawn")
    result: dict[str, Any] = {"library": name, "parts": [], "failures": []}
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as process:
        try:
            result["parts"] = process.submit(answers_of, name, plan).result()
        except Exception as error:  # a library may fail in any way, and take its process along
            result["failures"].append(f"{type(error).__name__}: {error}")
    return result


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m peers.filtered", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--data", default="words:20000", help="a name of peers.data")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--shares", nargs="+", type=float, default=[0.5, 0.2, 0.1, 0.02, 0.001])
    parser.add_argument(
        "--attribute", default="", help="of the HDF5 file: each query its own value"
    )
    parser.add_argument("--libraries", nargs="+", default=list(FILTERED), choices=FILTERED)
    parser.add_argument("--M", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("filter-peers.json"))
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, command: list[str]) -> dict[str, Any]:
    """The document of all libraries that can run here."""
    names = {field.name for field in dataclasses.fields(Plan)}
    plan = Plan(**{key: value for key, value in vars(options).items() if key in names})
    document = environment(command)
    document["command"] = document["command"].replace(
        "bench/peers/run.sh", "python -m peers.filtered"
    )
    problems = {name: FILTERED[name].problem() for name in options.libraries}
    document |= {
        "k": K,
        "goal": GOAL,
        "plan": dataclasses.asdict(plan),
        "libraries": {
            name: FILTERED[name].facts() for name, why in problems.items() if why is None
        },
        "skipped": CANNOT | {name: why for name, why in problems.items() if why is not None},
        "filtered": [],
    }
    for name in document["libraries"]:
        print(f"{name}: searches {plan.data}", flush=True)
        document["filtered"].append(in_a_process(name, plan))
    return document


def main() -> int:
    """Run, and say where the results are."""
    options = parse(sys.argv[1:])
    try:
        document = run(options, sys.argv[1:])
    except ValueError as error:
        print(f"peers.filtered: {error}", file=sys.stderr)
        return 2
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    for found in document["filtered"]:
        print(
            f"{found['library']}: {found['failures'] or [p['points'][-1] for p in found['parts']]}"
        )
    print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
