"""Files exchanged with the hnswlib and faiss-cpu of PyPI."""

from __future__ import annotations

import pathlib
from typing import Any

import faiss
import hnswlib  # type: ignore[import-untyped]
import numpy as np
import pytest
from conftest import Floats, make_vectors

import concord

SPACES = {"l2sq": "l2", "inner_product": "ip", "cosine": "cosine"}
EFS = (10, 40, 150)


def normalised(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def built(metric: str, n: int = 2500, labels: Any = None) -> tuple[concord.Index, Floats]:
    vectors = make_vectors(n, 16)
    index = concord.Index(16, metric, M=8, ef_construction=60, threads=2, device="cpu")
    index.add(vectors, labels)
    return index, vectors


def recall(found: Any, exact: Any) -> float:
    hits = [len(set(a.tolist()) & set(b.tolist())) for a, b in zip(found, exact, strict=True)]
    return float(np.mean(hits) / exact.shape[1])


def same(ours: Any, theirs: Any) -> float:
    return float(np.mean(ours == np.asarray(theirs).astype(np.uint64)))


@pytest.mark.parametrize("metric", SPACES)
def test_hnswlib_walks_our_graph(metric: str, tmp_path: pathlib.Path) -> None:
    labels = np.arange(2500, dtype=np.uint64) * 3 + 2**40
    index, _ = built(metric, labels=labels)
    concord.save_hnswlib(index, tmp_path / "file")
    theirs = hnswlib.Index(space=SPACES[metric], dim=16)
    theirs.load_index(str(tmp_path / "file"))
    assert sorted(theirs.get_ids_list()) == labels.tolist()
    queries = make_vectors(200, 16, seed=9)
    for ef in EFS:
        theirs.set_ef(ef)
        found, distances = theirs.knn_query(queries, k=10)
        ours, our_distances = index.search(queries, k=10, ef=ef)
        assert same(ours, found) > 0.99
        np.testing.assert_allclose(distances, our_distances, rtol=1e-3, atol=1e-3)
    theirs.resize_index(2600)
    theirs.add_items(make_vectors(100, 16, seed=3), np.arange(100))
    assert theirs.get_current_count() == 2600


@pytest.mark.parametrize("metric", SPACES)
@pytest.mark.parametrize("step", [1, 5])
def test_faiss_walks_our_graph(metric: str, step: int, tmp_path: pathlib.Path) -> None:
    index, _ = built(metric, labels=np.arange(2500, dtype=np.uint64) * step)
    concord.save_faiss(index, tmp_path / "file")
    theirs: Any = faiss.read_index(str(tmp_path / "file"))
    graph = theirs if step == 1 else faiss.downcast_index(theirs.index)
    assert isinstance(graph, faiss.IndexHNSWFlat)
    assert (theirs.ntotal, theirs.d, graph.hnsw.efConstruction) == (2500, 16, 60)
    queries = make_vectors(200, 16, seed=9)
    if metric == "cosine":
        queries = normalised(queries)
    exact, _ = index.exact_search(queries, k=10)
    for ef in EFS:
        graph.hnsw.efSearch = ef
        distances, found = theirs.search(queries, 10)
        ours, our_distances = index.search(queries, k=10, ef=ef)
        assert same(ours, found) > 0.95  # for inner products FAISS's walk is not quite the same
        assert recall(found, exact) > recall(ours, exact) - 0.01
        first = distances[:, 0] if metric == "l2sq" else 1 - distances[:, 0]
        np.testing.assert_allclose(first, our_distances[:, 0], rtol=1e-3, atol=1e-3)
    if step == 1:
        theirs.add(make_vectors(100, 16, seed=3))
        assert theirs.ntotal == 2600


@pytest.mark.parametrize("metric", SPACES)
@pytest.mark.parametrize("threads", [1, 4])
def test_hnswlib_graphs_are_adopted(metric: str, threads: int, tmp_path: pathlib.Path) -> None:
    vectors = make_vectors(2500, 16)
    theirs = hnswlib.Index(space=SPACES[metric], dim=16)
    theirs.init_index(max_elements=4000, M=8, ef_construction=60)
    theirs.add_items(vectors, np.arange(2500) * 7, num_threads=threads)
    theirs.save_index(str(tmp_path / "file"))
    adopted = concord.load_hnswlib(tmp_path / "file", 16, metric, threads=2)
    alone = concord.load_hnswlib(tmp_path / "file", 16, metric, adopt="vectors", threads=2)
    queries = make_vectors(200, 16, seed=9)
    exact, _ = adopted.exact_search(queries, k=10)
    theirs.set_ef(40)
    assert (adopted.M, adopted.ef_construction, adopted.metric) == (8, 60, metric)
    for index in (adopted, alone):
        assert index.audit().ok
        assert sorted(index.labels().tolist()) == (np.arange(2500) * 7).tolist()
        found, _ = index.search(queries, k=10, ef=40)
        assert recall(found, exact) > recall(theirs.knn_query(queries, k=10)[0], exact) - 0.02
    assert adopted.add(vectors[:50], labels=np.arange(50) * 7 + 1) == 50
    assert adopted.audit().ok


@pytest.mark.parametrize("metric", ["l2sq", "inner_product"])
@pytest.mark.parametrize("wrap", [None, faiss.IndexIDMap, faiss.IndexIDMap2])
def test_faiss_graphs_are_adopted(metric: str, wrap: Any, tmp_path: pathlib.Path) -> None:
    vectors = make_vectors(2500, 16)
    kind = faiss.METRIC_L2 if metric == "l2sq" else faiss.METRIC_INNER_PRODUCT
    graph = faiss.IndexHNSWFlat(16, 8, kind)
    graph.hnsw.efConstruction = 60
    ids = np.arange(2500) * (1 if wrap is None else 9)
    theirs = graph if wrap is None else wrap(graph)
    if wrap is None:
        theirs.add(vectors)
    else:
        theirs.add_with_ids(vectors, ids)
    faiss.write_index(theirs, str(tmp_path / "file"))
    adopted = concord.load_faiss(tmp_path / "file", threads=2)
    alone = concord.load_faiss(tmp_path / "file", adopt="vectors", threads=2)
    queries = make_vectors(200, 16, seed=9)
    exact, _ = adopted.exact_search(queries, k=10)
    graph.hnsw.efSearch = 40
    assert (adopted.M, adopted.ef_construction, adopted.metric) == (8, 60, metric)
    for index in (adopted, alone):
        assert index.audit().ok
        assert index.labels().tolist() == ids.tolist()
        found, _ = index.search(queries, k=10, ef=40)
        assert recall(found, exact) > recall(theirs.search(queries, 10)[1], exact) - 0.02


@pytest.mark.parametrize("metric", ["l2sq", "inner_product"])
@pytest.mark.parametrize(
    "kind",
    ["QT_8bit", "QT_8bit_uniform", "QT_fp16", "QT_8bit_direct", "QT_bf16", "QT_8bit_direct_signed"],
)
def test_faiss_codes_become_what_faiss_reconstructs(
    metric: str, kind: str, tmp_path: pathlib.Path
) -> None:
    vectors = make_vectors(1500, 16)
    if "direct" in kind:
        vectors = np.rint(np.clip(vectors * 40, -128, 127)).astype(np.float32)
        vectors += 0 if "signed" in kind else 128
    measure = faiss.METRIC_L2 if metric == "l2sq" else faiss.METRIC_INNER_PRODUCT
    theirs = faiss.IndexHNSWSQ(16, getattr(faiss.ScalarQuantizer, kind), 8, measure)
    theirs.hnsw.efConstruction = 60
    theirs.train(vectors)
    theirs.add(vectors)
    path = str(tmp_path / "file")
    faiss.write_index(theirs, path)
    exactly = theirs.reconstruct_n(0, 1500)
    for adopt in ("graph", "vectors"):
        ours = concord.load_faiss(path, adopt=adopt, threads=2)
        assert ours.audit().ok
        assert (ours.M, ours.ef_construction, ours.metric) == (8, 60, metric)
        kept = {"QT_fp16": "f16", "QT_bf16": "bf16", "QT_8bit": "f32", "QT_8bit_uniform": "f32"}
        assert ours.storage == kept.get(kind, "automatic")
        stored = np.array([ours[label] for label in range(1500)])
        if kind in ("QT_8bit", "QT_8bit_uniform"):  # FAISS rounds by the processor it runs on
            np.testing.assert_allclose(stored, exactly, rtol=0, atol=1e-6)
        else:
            np.testing.assert_array_equal(stored, exactly)
        if (kind, metric) == ("QT_8bit_direct", "inner_product"):
            continue  # all elements are positive: FAISS finds more there (docs/decisions.md)
        exact, _ = ours.exact_search(exactly[:200], k=10)
        found, _ = ours.search(exactly[:200], k=10, ef=60)
        theirs.hnsw.efSearch = 60
        assert recall(found, exact) > recall(theirs.search(exactly[:200], 10)[1], exact) - 0.02
    if ours.storage in ("f16", "bf16"):
        concord.save_faiss(ours, tmp_path / "again")
        again: Any = faiss.read_index(str(tmp_path / "again"))
        assert isinstance(again, faiss.IndexHNSWSQ)
        np.testing.assert_array_equal(again.reconstruct_n(0, 1500), exactly)
        again.hnsw.efSearch = 60
        assert (
            same(ours.search(exactly[:200], k=10, ef=60)[0], again.search(exactly[:200], 10)[1])
            > 0.95
        )
        again.add(vectors[:100])
        assert again.ntotal == 1600


def test_empty_indexes(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "file")
    empty = concord.Index(4, M=5)
    concord.save_faiss(empty, path)
    theirs = faiss.read_index(path)
    theirs.add(make_vectors(20, 4))
    faiss.write_index(theirs, path)
    assert len(concord.load_faiss(path)) == 20
    concord.save_hnswlib(empty, path)
    stock = hnswlib.Index(space="l2", dim=4)
    stock.load_index(path, max_elements=20)
    stock.add_items(make_vectors(20, 4))
    stock.save_index(path)
    assert len(concord.load_hnswlib(path, 4)) == 20


def test_what_cannot_be_read_or_written(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    index, _ = built("l2sq", 50)
    concord.save_hnswlib(index, path)
    with pytest.raises(concord.DimensionMismatchError, match="dimension 17"):
        concord.load_hnswlib(path, 17)
    with pytest.raises(concord.CorruptFileError, match="not normalised"):
        concord.load_hnswlib(path, 16, "cosine")
    with pytest.raises(concord.InvalidParameterError, match="allowed are 'graph' and 'vectors'"):
        concord.load_hnswlib(path, 16, adopt="all")  # type: ignore[arg-type]
    with pytest.raises(concord.CorruptFileError):
        concord.load_faiss(path)
    with pytest.raises(concord.IoError, match="No such file"):
        concord.load_faiss(tmp_path / "none")
    faiss.write_index(faiss.index_factory(16, "HNSW8,SQ4"), str(path))
    with pytest.raises(concord.UnsupportedError, match="type 1; allowed are QT_8bit"):
        concord.load_faiss(path)
    faiss.write_index(faiss.IndexHNSWFlat(16, 8, faiss.METRIC_L1), str(path))
    with pytest.raises(concord.UnsupportedError, match="metric"):
        concord.load_faiss(path)
    faiss.write_index(faiss.IndexHNSWFlat(16, 100), str(path))
    with pytest.raises(concord.UnsupportedError, match="M is 100"):
        concord.load_faiss(path)
    index.add(make_vectors(1), labels=[2**63])
    with pytest.raises(concord.UnsupportedError, match="9223372036854775808"):
        concord.save_faiss(index, path)
