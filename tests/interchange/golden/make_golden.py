#!/usr/bin/env python3
"""Writes the golden files of this folder with the real hnswlib and faiss-cpu; see README.md.

    python3 -m venv venv && venv/bin/pip install hnswlib==0.8.0 faiss-cpu==1.15.1 numpy
    venv/bin/python make_golden.py
"""
import pathlib

import faiss
import hnswlib
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROWS, DIMENSION, M, EF_CONSTRUCTION = 500, 12, 6, 80


def mix64(x):
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def vectors(seed):
    """make_data(Shape::random, ROWS, DIMENSION, seed) of tests/support/data_sets.cpp."""
    with np.errstate(over="ignore"):
        row, column = np.meshgrid(
            np.arange(ROWS, dtype=np.uint64), np.arange(DIMENSION, dtype=np.uint64), indexing="ij"
        )
        start = mix64(np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15))
        bits = mix64(mix64(start + row) + column * np.uint64(0xD1342543DE82EF95) + np.uint64(1))
    return (((bits >> np.uint64(53)).astype(np.int64) - 1024) / 128).astype(np.float32)


def write_hnswlib(name, space, data, threads, deleted=()):
    index = hnswlib.Index(space=space, dim=DIMENSION)
    index.init_index(max_elements=ROWS + 100, M=M, ef_construction=EF_CONSTRUCTION, random_seed=7)
    index.add_items(data, np.arange(ROWS) * 10 + 5, num_threads=threads)
    for node in deleted:
        index.mark_deleted(node * 10 + 5)
    index.save_index(str(HERE / name))


def faiss_graph(metric):
    index = faiss.IndexHNSWFlat(DIMENSION, M, metric)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    return index


def quantised_graph(metric, kind, data):
    index = faiss.IndexHNSWSQ(DIMENSION, kind, M, metric)
    index.hnsw.efConstruction = EF_CONSTRUCTION
    index.train(data)
    return index


def write_faiss(name, metric, data, wrapper=None, quantiser=None):
    if quantiser is None:
        index = faiss_graph(metric)
    else:
        index = quantised_graph(metric, quantiser, data)
    if wrapper is None:
        index.add(data)
    else:
        index = wrapper(index)
        index.add_with_ids(data, np.arange(ROWS) * 10 + 5)
    faiss.write_index(index, str(HERE / name))


def main():
    faiss.omp_set_num_threads(1)
    write_hnswlib("hnswlib-l2.bin", "l2", vectors(1), threads=1)
    write_hnswlib("hnswlib-ip.bin", "ip", vectors(2), threads=4)
    write_hnswlib("hnswlib-cosine-deleted.bin", "cosine", vectors(3), 1, deleted=range(0, ROWS, 7))
    write_faiss("faiss-l2.index", faiss.METRIC_L2, vectors(4))
    write_faiss("faiss-ip-idmap.index", faiss.METRIC_INNER_PRODUCT, vectors(5), faiss.IndexIDMap)
    write_faiss("faiss-l2-idmap2.index", faiss.METRIC_L2, vectors(6), faiss.IndexIDMap2)
    kinds = faiss.ScalarQuantizer
    write_faiss("faiss-l2-fp16.index", faiss.METRIC_L2, vectors(7), quantiser=kinds.QT_fp16)
    write_faiss("faiss-ip-bf16.index", faiss.METRIC_INNER_PRODUCT, vectors(8), None, kinds.QT_bf16)
    write_faiss(
        "faiss-l2-8bit-idmap.index", faiss.METRIC_L2, vectors(9), faiss.IndexIDMap, kinds.QT_8bit
    )
    faiss.write_index(faiss.IndexFlatL2(DIMENSION), str(HERE / "faiss-flat.index"))


if __name__ == "__main__":
    main()
