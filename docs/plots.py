"""Measures what M, ef_construction and ef do on a data set, and draws it.

    python docs/plots.py                                       # the built-in sample, words-20k
    python docs/plots.py --data FILE.hdf5 --rows 100000        # a file of ann-benchmarks; needs h5py

Writes ``figures/NAME-*.svg`` and a table, ``figures/NAME.md``, beside this file. Cost is counted in distances,
not in seconds: the same on every machine, idle or busy, so another run gives the same figures.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib

import concord
import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = pathlib.Path(__file__).resolve().parent
EFS = (10, 20, 40, 80, 160, 320)
Array = npt.NDArray[np.generic]


@dataclasses.dataclass
class Data:
    """Vectors to index, queries, and how far apart they are."""

    name: str
    metric: str
    vectors: Array
    queries: Array


@dataclasses.dataclass
class Measured:
    """One index: what it cost to build, and what its searches find and cost."""

    m: int
    ef_construction: int
    build: float
    """Distances per vector."""
    recall: list[float]
    work: list[float]
    """Distances per query, for each of EFS."""


def built_in() -> Data:
    """The sample: 19,000 word vectors, every twentieth a query."""
    file = HERE.parent / "bench/data/words-20k/vectors.i8bin"
    n, dim = np.fromfile(file, np.uint32, 2)
    vectors = np.fromfile(file, np.int8, offset=8).reshape(n, dim)
    held_out = np.arange(n) % 20 == 19
    return Data("words-20k", "cosine", vectors[~held_out], vectors[held_out])


def hdf5(path: pathlib.Path, rows: int) -> Data:
    """The first ``rows`` vectors and 1,000 queries of an ann-benchmarks file."""
    import h5py

    with h5py.File(path) as file:
        distance = str(file.attrs["distance"])
        train, test = file["train"][:rows], file["test"][:1000]
    return Data(path.stem, distance, train.astype(np.float32), test.astype(np.float32))


def measure(data: Data, m: int, ef_construction: int) -> Measured:
    """Build one index and search it with every ef."""
    dim = data.vectors.shape[1]
    index = concord.Index(dim, data.metric, m, ef_construction, device="cpu")
    index.add(data.vectors)
    built = index.stats().build.distances / len(index)
    truth, _ = index.exact_search(data.queries, k=10)
    recall, work = [], []
    for ef in EFS:
        before = index.stats().search.distances
        found, _ = index.search(data.queries, k=10, ef=ef)
        work.append((index.stats().search.distances - before) / len(data.queries))
        hits = [np.isin(a, b).mean() for a, b in zip(found, truth, strict=True)]
        recall.append(float(np.mean(hits)))
    return Measured(m, ef_construction, built, recall, work)


def at_recall(one: Measured, recall: float) -> float:
    """Distances per query at a recall, between the measured points; NaN beyond them."""
    return float(np.interp(recall, one.recall, one.work, left=np.nan, right=np.nan))


def axes_of(figure: Figure) -> Axes:
    """Axes with a grid."""
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return axes


def draw(data: Data, by_m: list[Measured], by_efc: list[Measured]) -> None:
    """Three pictures: recall by ef, cost of recall by M, and what ef_construction buys."""
    matplotlib.rcParams.update(
        {"svg.hashsalt": "concord", "axes.spines.top": False, "axes.spines.right": False}
    )
    ef_figure, m_figure, efc_figure = (
        Figure(figsize=(6, 3.6), layout="constrained") for _ in range(3)
    )

    axes = axes_of(ef_figure)
    for one in by_m:
        axes.plot(EFS, one.recall, "o-", label=f"M {one.m}")
    axes.set(xlabel="ef", ylabel="recall@10", xscale="log", xticks=EFS, xticklabels=EFS)
    axes.minorticks_off()
    axes.legend()

    axes = axes_of(m_figure)
    for one in by_m:
        shown = sum(recall < 0.9993 for recall in one.recall)
        share = 1 - np.array(one.recall[:shown])
        axes.plot(share, one.work[:shown], "o-", label=f"M {one.m}")
    work = (100, 200, 500, 1000, 2000)
    missed = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    axes.set(xlabel="recall@10", xscale="log", xlim=(0.4, 0.0007), xticks=missed)
    axes.set(ylabel="distances per query", yscale="log", yticks=work)
    axes.set(xticklabels=[f"{1 - share:g}" for share in missed], yticklabels=work)
    axes.minorticks_off()
    axes.legend()

    axes = axes_of(efc_figure)
    for place, ef in enumerate(EFS[:4]):
        axes.plot(
            [one.build for one in by_efc],
            [one.recall[place] for one in by_efc],
            "o-",
            label=f"ef {ef}",
        )
    for one in by_efc:
        axes.annotate(
            str(one.ef_construction),
            (one.build, one.recall[0]),
            textcoords="offset points",
            xytext=(0, -14),
            ha="center",
            fontsize=8,
        )
    axes.set(
        xlabel="distances per vector to build (at the points: ef_construction)", ylabel="recall@10"
    )
    axes.margins(y=0.12)
    axes.legend()

    for figure, what in ((ef_figure, "ef"), (m_figure, "M"), (efc_figure, "ef_construction")):
        figure.savefig(HERE / "figures" / f"{data.name}-{what}.svg", metadata={"Date": None})


def table(data: Data, measured: list[Measured]) -> str:
    """What was measured, as Markdown."""
    lines = [
        f"{len(data.vectors):,} vectors of {data.vectors.shape[1]} dimensions, "
        f"{data.metric}, {len(data.queries):,} queries.",
        "",
        "| M | ef_construction | distances per vector to build | recall@10 at ef 10 | 40 | 160 "
        "| distances per query at recall 0.95 | 0.99 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in measured:
        cells = [f"{one.recall[EFS.index(ef)]:.4f}" for ef in (10, 40, 160)]
        for recall in (0.95, 0.99):
            work = at_recall(one, recall)
            cells.append("-" if np.isnan(work) else f"{work:,.0f}")
        lines.append(
            f"| {one.m} | {one.ef_construction} | {one.build:,.0f} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, help="an HDF5 file as of ann-benchmarks")
    parser.add_argument("--rows", type=int, default=100_000, help="how many of its vectors")
    options = parser.parse_args()
    data = hdf5(options.data, options.rows) if options.data else built_in()

    by_m = [measure(data, m, 200) for m in (4, 8, 16, 32)]
    by_efc = [by_m[2] if efc == 200 else measure(data, 16, efc) for efc in (25, 50, 100, 200, 400)]
    (HERE / "figures").mkdir(exist_ok=True)
    draw(data, by_m, by_efc)
    rows = [*by_m, *(one for one in by_efc if one is not by_m[2])]
    (HERE / "figures" / f"{data.name}.md").write_text(table(data, rows))
    print(table(data, rows))


if __name__ == "__main__":
    main()
