"""What the migration pages say about the four libraries, run on them.

Defaults, labels, distances, concurrency, and what has no counterpart.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import threading
import time
from typing import Any

import concord
import faiss
import hnswlib
import numpy as np
import pytest
import usearch.index

PAGES = pathlib.Path(__file__).parent.parent / "migration"
DIM = 16


def vectors(n: int = 200, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)


def hnswlib_index(x: Any, space: str = "l2", **options: Any) -> Any:
    index = hnswlib.Index(space, x.shape[1])
    index.init_index(max_elements=2 * len(x), **options)
    index.add_items(x, np.arange(len(x)))
    return index


def faiss_index(x: Any, metric: int = faiss.METRIC_L2) -> Any:
    index = faiss.IndexIDMap2(faiss.IndexHNSWFlat(x.shape[1], 16, metric))
    index.add_with_ids(x, np.arange(len(x)))
    return index


def usearch_index(x: Any, metric: str = "l2sq") -> Any:
    index = usearch.index.Index(ndim=x.shape[1], metric=metric, dtype="f32")
    index.add(np.arange(len(x)), x)
    return index


def concord_index(x: Any, metric: str = "l2sq", **options: Any) -> concord.Index:
    index = concord.Index(x.shape[1], metric, **options)
    index.add(x)
    return index


# ------------------------------------------------------------------------------------- the table


def test_defaults() -> None:
    """Numbers in parentheses of the table."""
    theirs = hnswlib.Index("l2", DIM)
    theirs.init_index(max_elements=1)
    flat = faiss.index_factory(DIM, "HNSW,Flat")
    other, ours = usearch.index.Index(ndim=DIM), concord.Index(DIM)
    shown = {
        row[0]: re.findall(r"\((\d+)\)", "|".join(row[1:]))
        for line in (PAGES / "index.md").read_text().splitlines()
        if line.startswith("| ") and (row := [cell.strip() for cell in line.strip("|").split("|")])
    }
    assert shown["links per layer"] == [
        str(theirs.M), str(flat.hnsw.nb_neighbors(1)), str(other.connectivity), str(ours.M)
    ]  # fmt: skip
    assert shown["candidates to insert"] == [
        str(theirs.ef_construction),
        str(flat.hnsw.efConstruction),
        str(other.expansion_add),
        str(ours.ef_construction),
    ]
    assert shown["candidates to search"] == [
        str(theirs.ef), str(flat.hnsw.efSearch), str(other.expansion_search), "64"
    ]  # fmt: skip
    x = vectors()
    index = concord_index(x)
    for which in (0, 1):
        np.testing.assert_array_equal(index.search(x)[which], index.search(x, ef=64)[which])


def test_missing_neighbors() -> None:
    x = vectors(3)
    with pytest.raises(RuntimeError):
        hnswlib_index(x).knn_query(x[:1], k=5)
    assert faiss_index(x).search(x[:1], 5)[1][0, 3:].tolist() == [-1, -1]
    assert len(usearch_index(x).search(x[0], 5)) == 3
    assert (
        concord_index(x).search(x[:1], 5)[0][0, 3:].tolist() == [concord.NO_LABEL] * 2 == [-1, -1]
    )


def pairs(found: Any) -> list[tuple[int, float]]:
    """Labels and distances of one query, of whichever library."""
    labels, distances = found if isinstance(found, tuple) else (found.keys, found.distances)
    labels, distances = np.ravel(labels), np.ravel(distances)
    if labels.dtype.kind == "f":
        labels, distances = distances, labels
    shown = zip(labels.tolist(), distances.tolist(), strict=True)
    return [(label, distance) for label, distance in shown if label >= 0]


def test_distances_of_inner_product() -> None:
    x = vectors()
    for found in (
        hnswlib_index(x, "ip").knn_query(x[:1], k=5),
        usearch_index(x, "ip").search(x[0], 5),
        concord_index(x, "ip").search(x[0], 5),
    ):
        for label, distance in pairs(found):
            assert distance == pytest.approx(1 - float(x[0] @ x[label]), abs=1e-4)
    for label, similarity in pairs(faiss_index(x, faiss.METRIC_INNER_PRODUCT).search(x[:1], 5)):
        assert similarity == pytest.approx(float(x[0] @ x[label]), abs=1e-4)


def test_a_label_that_exists() -> None:
    x = vectors()
    replaced = hnswlib_index(x)
    replaced.add_items(x[:1] + 5, [7])
    np.testing.assert_allclose(replaced.get_items([7])[0], x[0] + 5)
    twice = faiss_index(x)
    twice.add_with_ids(x[:1] + 5, np.array([7]))
    assert twice.ntotal == 201
    with pytest.raises(RuntimeError):
        usearch_index(x).add(7, x[0] + 5)
    with pytest.raises(concord.DuplicateLabelError):
        concord_index(x).add(x[:1] + 5, [7])


# -------------------------------------------------------------------------------- threads, on all pages


def test_threads_change_neither_the_answer_nor_the_graph() -> None:
    x = vectors(3000)
    one, many = (concord_index(x, threads=threads) for threads in (1, 4))
    assert one.digest() == many.digest()
    for which in (0, 1):
        np.testing.assert_array_equal(one.search(x, k=5)[which], many.search(x, k=5)[which])


def test_searches_run_while_vectors_are_added() -> None:
    """``hnswlib.md``; neither waits for the other."""
    x = vectors(30_000)
    index = concord_index(x[:2000], threads=1)
    sizes: list[int] = []
    adding = threading.Thread(target=index.add, args=(x[2000:],))
    adding.start()
    while adding.is_alive():
        labels, _ = index.search(x[:5], k=1)
        assert labels[:, 0].tolist() == list(range(5))
        sizes.append(len(index))
    adding.join()
    assert any(2000 < size < len(x) for size in sizes), "no search ran beside the addition"


def test_an_addition_does_not_wait_for_a_search() -> None:
    """The sentence that stood here once said that it did."""
    x = vectors(60_000)
    index = concord.Index(DIM, M=4, ef_construction=10, threads=1)
    index.add(x)
    ended: list[str] = []

    def scan() -> None:
        index.exact_search(x[:4000], k=1)
        ended.append("search")

    searching = threading.Thread(target=scan)
    searching.start()
    time.sleep(0.1)
    assert index.add(x[:1] + 1) == 1
    ended.append("addition")
    searching.join()
    assert ended == ["addition", "search"]


def test_concord_does_not_use_openmp() -> None:
    """``faiss.md``."""
    program = "import concord; print(open('/proc/self/maps').read())"
    maps = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    assert "_concord" in maps and not re.search(r"lib(gomp|omp|iomp)", maps)


# -------------------------------------------------------------------------------------- single claims


def test_metric_l2_of_faiss_is_squared() -> None:
    x = vectors()
    for found in (faiss_index(x).search(x[:1], 5), concord_index(x).search(x[:1], 5)):
        for label, distance in pairs(found):
            assert distance == pytest.approx(float(((x[0] - x[label]) ** 2).sum()), abs=1e-4)


def test_words_of_usearch_are_taken() -> None:
    assert [concord.Index(2, name).metric for name in ("cos", "l2sq", "ip")] == [
        "cosine",
        "l2sq",
        "inner_product",
    ]
    assert usearch.index.Index(ndim=2).dtype == usearch.index.ScalarKind.BF16


def test_codes_of_concord_come_beside_exact_vectors() -> None:
    x = vectors()
    ours = concord_index(x, codes="sq8")
    np.testing.assert_array_equal(ours[7], x[7])
    assert ours.search(x, k=1)[1].tolist() == [[0]] * len(x)
    theirs = faiss.IndexHNSWSQ(DIM, faiss.ScalarQuantizer.QT_8bit, 16)
    theirs.train(x)
    theirs.add(x)
    assert not np.array_equal(theirs.reconstruct(7), x[7])
    assert (theirs.search(x, 1)[0] > 0).any()
    coded = usearch.index.Index(ndim=DIM, metric="cos", dtype="i8")
    assert coded.dtype == usearch.index.ScalarKind.I8


def test_answers_of_one_query_have_one_dimension() -> None:
    x = vectors()
    labels, distances = concord_index(x).search(x[0], k=3)
    assert labels.shape == distances.shape == (3,)


def test_hnswlib_leaves_out_what_is_deleted(tmp_path: pathlib.Path) -> None:
    x = vectors()
    theirs = hnswlib_index(x)
    theirs.mark_deleted(7)
    theirs.save_index(str(tmp_path / "index"))
    ours = concord.load_hnswlib(tmp_path / "index", DIM)
    assert 7 not in ours and len(ours) == 199


def test_faiss_files_that_are_refused(tmp_path: pathlib.Path) -> None:
    x = vectors()
    path = str(tmp_path / "index")
    negative = faiss.IndexIDMap2(faiss.IndexHNSWFlat(DIM, 16))
    negative.add_with_ids(x, np.arange(len(x)) - 5)
    quantised = faiss.IndexHNSWSQ(DIM, faiss.ScalarQuantizer.QT_4bit, 16)
    quantised.train(x)
    quantised.add(x)
    flat = faiss.IndexFlatL2(DIM)
    flat.add(x)
    for refused in (negative, quantised, flat):
        faiss.write_index(refused, path)
        with pytest.raises(concord.UnsupportedError):
            concord.load_faiss(path)


def test_a_file_of_the_other_library_and_what_is_not_in_it(tmp_path: pathlib.Path) -> None:
    """``hnswlib.md``: the file of Concord holds dimension, metric and parameters."""
    concord.Index(3, "cos", 5, 7, seed=9).save(tmp_path / "index")
    loaded = concord.load(tmp_path / "index")
    assert (loaded.dim, loaded.metric, loaded.M, loaded.ef_construction, loaded.seed) == (
        3,
        "cosine",
        5,
        7,
        9,
    )


@pytest.mark.parametrize("library", ["hnswlib", "faiss", "usearch"])
def test_what_has_no_counterpart_has_none(library: str) -> None:
    """Every name of that section, but for those that it says a counterpart of."""
    section = (PAGES / f"{library}.md").read_text().partition("## What has no counterpart")[2]
    without = section.partition(".")[0]  # its first sentence
    names = set(re.findall(r"`(\w+)`", without)) - {"search", "knn_query"}
    assert names
    assert not {name for name in names if hasattr(concord.Index, name) or hasattr(concord, name)}
    for keyword in re.findall(r"`(\w+)=\w*`", without):
        with pytest.raises(TypeError, match=keyword):
            concord_index(vectors()).search(vectors(1), **{keyword: 1})
