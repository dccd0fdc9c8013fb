"""Recall among vectors that were given many times: Concord beside hnswlib and FAISS, in one process.

    PYTHONPATH=bench python -m peers.copies [--times 1 2 10 20 100 1000] [--order shuffled runs]
        [--copies exact near] [--seeds 42] [--out FILE]

All have the same M, ef_construction and ef, and one thread. Each of some vectors of words-100 is given so many
times, in all 20,000; ``near`` moves each copy by at most 1e-6. Recall is by distance: a result counts if it is
no farther than the k-th nearest. A seed decides the levels of nodes. Near copies need several: 200 groups are
found or missed whole, so recall moves by points from one draw of levels to another. Work is not compared here;
``concord-bench compare`` counts distances.
"""

from __future__ import annotations

import argparse
import importlib
import pathlib
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from . import data
from .suite import environment, put, without_folders

Floats = npt.NDArray[np.float32]
N = 20000
K = 10
M, EF_CONSTRUCTION, EF = 16, 200, 64
QUERIES = 500


def repeated(distinct: Floats, times: int, order: str, near: bool) -> Floats:
    """Each vector so many times."""
    vectors = np.repeat(distinct[: N // times], times, axis=0)
    rng = np.random.default_rng(5)
    if near:
        vectors = vectors + rng.uniform(-1e-6, 1e-6, vectors.shape).astype(np.float32)
    return vectors[rng.permutation(len(vectors))] if order == "shuffled" else vectors


def labels_of_concord(vectors: Floats, queries: Floats, seed: int) -> npt.NDArray[np.int64]:
    concord = importlib.import_module("concord")
    index = concord.Index(
        vectors.shape[1],
        M=M,
        ef_construction=EF_CONSTRUCTION,
        seed=seed,
        threads=1,
        device="cpu",
    )
    index.add(vectors)
    return np.asarray(index.search(queries, k=K, ef=EF)[0], dtype=np.int64)


def labels_of_hnswlib(vectors: Floats, queries: Floats, seed: int) -> npt.NDArray[np.int64]:
    hnswlib = importlib.import_module("hnswlib")
    index = hnswlib.Index("l2", vectors.shape[1])
    index.init_index(len(vectors), M=M, ef_construction=EF_CONSTRUCTION, random_seed=seed)
    index.set_num_threads(1)
    index.add_items(vectors)
    index.set_ef(EF)
    return np.asarray(index.knn_query(queries, k=K)[0], dtype=np.int64)


def labels_of_faiss(vectors: Floats, queries: Floats, seed: int) -> npt.NDArray[np.int64]:
    faiss = importlib.import_module("faiss")
    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(vectors.shape[1], M)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    index.hnsw.rng = faiss.RandomGenerator(seed)
    index.add(vectors)
    index.hnsw.efSearch = EF
    return np.asarray(index.search(queries, K)[1], dtype=np.int64)


LIBRARIES = {
    "concord": labels_of_concord,
    "hnswlib": labels_of_hnswlib,
    "faiss": labels_of_faiss,
}


def recall(vectors: Floats, queries: Floats, found: npt.NDArray[np.int64]) -> float:
    """The share of results that are no farther than the k-th nearest, by distances in float64."""
    good = 0
    for query, labels in zip(queries.astype(np.float64), found, strict=True):
        distances = ((vectors - query) ** 2).sum(axis=1)
        bound = np.partition(distances, K - 1)[K - 1] * (1 + 1e-6)
        labels = np.unique(labels[labels >= 0])
        good += int((distances[labels] <= bound).sum())
    return good / (K * len(queries))


def compare(count: int, order: str, near: bool, seeds: list[int]) -> dict[str, Any]:
    """One data set: the recall of each seed, and the mean."""
    loaded = data.load("words")
    distinct = np.unique(loaded.base[: 2 * N], axis=0)
    distinct = distinct[np.random.default_rng(3).permutation(len(distinct))]
    queries = loaded.queries[:QUERIES]
    vectors = repeated(distinct, count, order, near)
    row: dict[str, Any] = {
        "times": count,
        "order": order,
        "near": near,
        "n": len(vectors),
    }
    for name, labels_of in LIBRARIES.items():
        recalls = [recall(vectors, queries, labels_of(vectors, queries, seed)) for seed in seeds]
        row[name] = round(float(np.mean(recalls)), 4)
        if len(seeds) > 1:
            row[f"{name}_by_seed"] = [round(each, 4) for each in recalls]
    print(row, file=sys.stderr, flush=True)
    return row


def run(options: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    """The document."""
    rows = [
        compare(count, order, copies == "near", options.seeds)
        for count in options.times
        for order in options.order
        for copies in options.copies
    ]
    return {
        **environment(arguments),
        "command": " ".join(["python -m peers.copies", *map(without_folders, arguments)]),
        "libraries": {
            name: importlib.import_module(name).__version__ for name in ("concord", "faiss")
        },
        "M": M,
        "ef_construction": EF_CONSTRUCTION,
        "ef": EF,
        "k": K,
        "seeds": options.seeds,
        "copies": rows,
    }


def main() -> None:
    """Writes the document, or prints it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, nargs="+", default=[1, 2, 10, 20, 100, 1000])
    parser.add_argument(
        "--order", nargs="+", default=["shuffled", "runs"], choices=["shuffled", "runs"]
    )
    parser.add_argument("--copies", nargs="+", default=["exact", "near"], choices=["exact", "near"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    put(run(options, sys.argv[1:]), options.out)


if __name__ == "__main__":
    main()
