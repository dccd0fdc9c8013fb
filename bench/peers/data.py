"""Named data sets: real ones from files, seeded synthetic ones, and what can be done to either.

A name is a set of ``SETS`` or ``FILES``, then a divisor, any of ``CHANGES``, and a limit: ``sift``,
``low+sorted``, ``fashion/255:30000``, ``words+dup70:50000``. The same name, limit and number of queries are the
same bytes on every run.

    python -m peers.data                                  # the names
    python -m peers.data wide --limit 50000 --out FOLDER  # FOLDER/base.fbin, queries.fbin, for concord-bench
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(os.environ.get("CONCORD_DATA", ROOT.parent / "shared" / "data"))
QUERIES = 2000
BLOCK = 20_000  # rows drawn at a time

FILES = {
    "sift": (
        "sift-128-euclidean.hdf5",
        "500,000 x 128, 8-bit, l2sq: SIFT descriptors of photographs",
    ),
    "words": ("words-100-angular.hdf5", "300,000 x 100, cosine: English GloVe word vectors"),
    "fashion": (
        "fashion-mnist-784-euclidean.hdf5",
        "60,000 x 784, 8-bit, l2sq: Fashion-MNIST images",
    ),
    "debian": (
        "debian-384-angular.hdf5",
        "40,000 x 384, cosine: embeddings of Debian's packages, with the section of each",
    ),
    "debian-questions": (
        "debian-questions-384-angular.hdf5",
        "the same, with queries that are questions: python -m peers.questions makes it",
    ),
}


@dataclasses.dataclass(frozen=True)
class Mixture:
    """Points of a mixture of Gaussians in ``intrinsic`` dimensions, mapped into ``dim``, with noise.

    Centers are drawn with ``spread`` times the deviation of a cluster; the noise has a tenth of it.
    """

    rows: int
    dim: int
    intrinsic: int
    clusters: int
    spread: float = 1.5
    seed: int = 1

    def __str__(self) -> str:
        """The line of the list of names."""
        shape = f"{self.rows:,} x {self.dim}, l2sq"
        return f"{shape}: intrinsic dimension {self.intrinsic}, {self.clusters} clusters"

    def draw(self, rows: int, part: int) -> Floats:
        """``rows`` points; every part has numbers of its own, and fewer rows are the first of more."""
        shared = np.random.default_rng([self.seed, 0])
        linear = shared.standard_normal((self.intrinsic, self.dim), np.float32)
        centers = self.spread * shared.standard_normal((self.clusters, self.intrinsic), np.float32)
        points = np.empty((rows, self.dim), np.float32)
        for first in range(0, rows, BLOCK):
            # A stream for each, so that fewer rows are the first of more.
            which, where, noise = (
                np.random.default_rng([self.seed, part, first, use]) for use in range(3)
            )
            count = min(BLOCK, rows - first)
            latent = centers[which.integers(self.clusters, size=count)]
            latent += where.standard_normal((count, self.intrinsic), np.float32)
            points[first : first + count] = latent @ linear
            points[first : first + count] += 0.1 * noise.standard_normal(
                (count, self.dim), np.float32
            )
        return points


SETS = {
    "low": Mixture(100_000, 128, intrinsic=16, clusters=256),
    "high": Mixture(100_000, 128, intrinsic=64, clusters=1),
    "million": Mixture(1_000_000, 96, intrinsic=24, clusters=1000),
    "wide": Mixture(200_000, 1536, intrinsic=32, clusters=1000),
    "huge": Mixture(5_000_000, 32, intrinsic=16, clusters=256),
}

CHANGES = {
    "sorted": "inserted cluster by cluster: ordered by the nearest of 64 rows",
    "dup70": "70 % of the rows are copies of the other 30 %, shuffled",
    "ood": "queries from a Gaussian with the mean and covariance of the rows, instead of from the data",
    "drift": "inserted in the order of the first principal component, so that what comes changes slowly",
}
"""New ones come last: a change's place seeds what it draws."""


@dataclasses.dataclass
class Data:
    """Vectors to index and queries."""

    name: str
    metric: str
    """l2sq or cosine."""
    base: Floats
    queries: Floats

    def kept_as_bytes(self) -> bool:
        """Whether Concord does so: all elements are 8-bit numbers, of one sign or of both, and stay so."""
        low, high = float(self.base.min()), float(self.base.max())
        fit = self.metric == "l2sq" and low >= -128 and high <= (127 if low < 0 else 255)
        return fit and bool((self.base == np.rint(self.base)).all())


def load(name: str, limit: int = 0, queries: int = QUERIES) -> Data:
    """The data set of a name, of at most ``limit`` rows (0: all). Raises ValueError for unknown names."""
    what, _, own = name.partition(":")
    if own:
        if not own.isdecimal() or int(own) == 0:
            raise ValueError(f"{name}: after the colon stands the number of rows, at least 1")
        limit = int(own)
    divided, *changes = what.split("+")
    first, slash, divisor = divided.partition("/")
    if slash and (not divisor.isdecimal() or int(divisor) == 0):
        raise ValueError(f"{name}: after the slash stands what elements are divided by, at least 1")
    unknown = [change for change in changes if change not in CHANGES]
    if unknown:
        raise ValueError(f"{name}: unknown change {unknown[0]}; allowed are {', '.join(CHANGES)}")
    if first == "sample":
        data = _sample(queries)
    elif first in FILES:
        data = _hdf5(FOLDER / FILES[first][0], limit, queries)
    elif first in SETS:
        rows = min(limit or SETS[first].rows, SETS[first].rows)
        data = Data("", "l2sq", SETS[first].draw(rows, 1), SETS[first].draw(queries, 2))
    else:
        allowed = ", ".join(["sample", *FILES, *SETS])
        raise ValueError(f"{name}: unknown data set; allowed are {allowed}")
    data.name = name
    if limit:
        data.base = data.base[:limit]
    if slash:
        data.base /= np.float32(int(divisor))
        data.queries /= np.float32(int(divisor))
    for change in changes:
        _change(data, change)
    return data


def _sample(queries: int) -> Data:
    """The built-in sample: every twentieth word is a query, as in concord-bench."""
    file = ROOT / "bench/data/words-20k/vectors.i8bin"
    rows, dim = (int(size) for size in np.fromfile(file, np.uint32, 2))
    vectors = np.fromfile(file, np.int8, offset=8).reshape(rows, dim).astype(np.float32)
    held_out = np.arange(rows) % 20 == 19
    return Data("", "cosine", vectors[~held_out], vectors[held_out][:queries])


def _hdf5(path: pathlib.Path, limit: int, queries: int) -> Data:
    import h5py

    if not path.exists():
        raise ValueError(f"{path} does not exist; CONCORD_DATA names the folder of the data")
    with h5py.File(path) as file:
        metric = {"euclidean": "l2sq", "angular": "cosine"}[str(file.attrs["distance"])]
        base: Any = file["train"][: limit or None]
        test: Any = file["test"][:queries]
        return Data("", metric, base.astype(np.float32), test.astype(np.float32))


def _change(data: Data, change: str) -> None:
    own = np.random.default_rng([7, list(CHANGES).index(change)])
    rows = len(data.base)
    if change == "sorted":
        seeds = data.base[own.choice(rows, 64, replace=False)]
        sizes = (seeds**2).sum(1)
        nearest = [
            (sizes - 2 * block @ seeds.T).argmin(1) for block in np.array_split(data.base, 64)
        ]
        data.base = data.base[np.argsort(np.concatenate(nearest), kind="stable")]
    elif change == "drift":
        axis = _covariance(data.base, own)[1][:, -1]
        data.base = data.base[np.argsort(data.base @ axis.astype(np.float32), kind="stable")]
    elif change == "dup70":
        kept = own.permutation(rows)[: max(1, round(0.3 * rows))]
        copies = own.choice(kept, rows - len(kept))
        data.base = data.base[own.permutation(np.concatenate([kept, copies]))]
    elif change == "ood":
        values, axes, mean = _covariance(data.base, own)
        normal = own.standard_normal((len(data.queries), len(mean)))
        drawn = normal * np.sqrt(np.maximum(values, 0)) @ axes.T + mean
        data.queries = drawn.astype(np.float32)


def _covariance(rows: Floats, own: np.random.Generator) -> tuple[Any, Any, Any]:
    """Variances, ascending, their axes as columns, and the mean, of some of the rows."""
    some = rows[own.choice(len(rows), min(len(rows), 20_000), replace=False)].astype(np.float64)
    covariance = np.cov(some, rowvar=False) + 1e-9 * np.eye(some.shape[1])
    values, axes = np.linalg.eigh(covariance)
    return values, axes, some.mean(0)


def write_fbin(path: pathlib.Path, vectors: Floats) -> None:
    """A file that ``concord-bench --dataset`` reads: uint32 rows and dimension, then the floats."""
    with path.open("wb") as file:
        np.array(vectors.shape, np.uint32).tofile(file)
        vectors.tofile(file)


def main() -> None:
    """List the names, or write a data set."""
    parser = argparse.ArgumentParser(
        prog="python -m peers.data", description="Names or writes data sets."
    )
    parser.add_argument("name", nargs="?")
    parser.add_argument("--limit", type=int, default=0)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path())
    options = parser.parse_args()
    if options.name is None:
        print("sample   19,000 x 100, 8-bit, cosine: the built-in sample of word vectors")
        for name, line in [*((n, f[1]) for n, f in FILES.items()), *SETS.items()]:
            print(f"{name:8} {line}")
        for name, line in CHANGES.items():
            print(f"+{name:7} {line}")
        return
    data = load(options.name, options.limit, options.queries)
    options.out.mkdir(parents=True, exist_ok=True)
    write_fbin(options.out / "base.fbin", data.base)
    write_fbin(options.out / "queries.fbin", data.queries)
    print(f"{options.out}/base.fbin, queries.fbin; --metric {data.metric}")


if __name__ == "__main__":
    main()
