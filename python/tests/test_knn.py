"""Neighbors of all vectors: graphs, near-duplicates and exact neighbors, against naive definitions."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Floats, make_vectors

import concord
from concord import knn
from concord._limits import distance_of


def clustered(n: int, dim: int = 16, seed: int = 1) -> Floats:
    """Points around many centres, so that graphs are not trivial."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(n // 40 + 1, dim)) * 3
    points = centres[random.integers(len(centres), size=n)] + random.normal(size=(n, dim))
    return points.astype(np.float32)


def true_graph(X: Floats, k: int, metric: str = "l2sq") -> npt.NDArray[np.int64]:
    """The k nearest others of each row."""
    labels = concord.exact_knn(X, X, k + 1, metric=metric)[0]
    rows = [[label for label in row if label != i][:k] for i, row in enumerate(labels.tolist())]
    return np.array(rows)


def share(found: npt.NDArray[Any], true: npt.NDArray[Any]) -> float:
    hits = [len(np.intersect1d(a, b)) for a, b in zip(found, true, strict=True)]
    return float(np.mean(hits) / true.shape[1])


# ------------------------------------------------------------------------------------------ knn_graph


@pytest.mark.parametrize("metric", ["l2", "euclidean", "L2SQ", "sqeuclidean", "cosine", "angular"])
def test_a_small_graph_is_exact(metric: str) -> None:
    X = clustered(700)
    of_index = "cosine" if metric in ("cosine", "angular") else "l2sq"
    true = true_graph(X, 9, of_index)
    indices, distances = concord.knn_graph(X, 10, metric, recall=0.9999)
    assert indices.dtype == np.int64 and distances.dtype == np.float32
    assert indices.shape == distances.shape == (700, 10)
    np.testing.assert_array_equal(indices[:, 0], np.arange(700))
    np.testing.assert_array_equal(indices[:, 1:], true)
    assert (distances[:, 0] == 0).all() and (np.diff(distances) >= 0).all()
    x, y = X[:, None].astype(np.float64), X[indices].astype(np.float64)
    if of_index == "cosine":
        norms = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
        expected = 1 - (x * y).sum(-1) / norms
    else:
        expected = ((x - y) ** 2).sum(-1) ** (0.5 if metric in ("l2", "euclidean") else 1)
    np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-5)
    others, of_others = concord.knn_graph(X, 9, metric, include_self=False, recall=0.9999)
    np.testing.assert_array_equal(others, true)
    np.testing.assert_array_equal(of_others, distances[:, 1:])


@pytest.mark.parametrize("metric", ["l2sq", "cosine"])
def test_a_large_graph_reaches_the_recall_and_costs_no_more(metric: str) -> None:
    X = make_vectors(6000, 24)
    true = true_graph(X, 14, metric)
    index = concord.Index.from_vectors(X, metric=metric, M=6, ef_construction=30)
    costs = []
    for recall in (0.8, 0.95, 0.99):
        before = index.stats().search.distances
        indices, _ = index.knn_graph(15, recall=recall)
        costs.append(index.stats().search.distances - before)
        found = share(indices[:, 1:], true)
        assert recall <= found <= recall + (1 - recall) * 0.8
    assert 2 * costs[0] < costs[2] and costs[0] < costs[1] < costs[2]


def test_two_runs_and_any_threads_give_equal_bits() -> None:
    X = clustered(5000)
    first = concord.knn_graph(X, 8, threads=1)
    for threads in (1, 2, 5):
        again = concord.knn_graph(X, 8, threads=threads)
        np.testing.assert_array_equal(again.indices, first.indices)
        np.testing.assert_array_equal(again.distances, first.distances)
    index = concord.Index.from_vectors(X, M=12, ef_construction=60, threads=3)
    of_index = index.knn_graph(8)
    np.testing.assert_array_equal(of_index.indices, first.indices)
    np.testing.assert_array_equal(of_index.distances, first.distances)
    again = index.knn_graph(8, threads=1)  # with the preset of before
    np.testing.assert_array_equal(again.indices, first.indices)


def test_each_row_is_first_among_its_copies() -> None:
    X = np.repeat(make_vectors(7, 5), 60, axis=0)[np.random.default_rng(3).permutation(420)]
    for metric in ("l2", "cosine"):
        indices, distances = concord.knn_graph(X, 10, metric)
        np.testing.assert_array_equal(indices[:, 0], np.arange(420))
        assert all(len(set(row)) == 10 for row in indices.tolist())
        assert distances[:, 0].max() == 0 and distances.max() < 1e-6
        others, _ = concord.knn_graph(X, 10, metric, include_self=False)
        assert (others != np.arange(420)[:, None]).all()
        assert all(len(set(row)) == 10 for row in others.tolist())
        assert (X[others] == X[:, None]).all()


def test_zero_vectors_have_distances_too() -> None:
    X = np.zeros((6, 3), np.float32)
    X[4:] = 1
    indices, distances = concord.knn_graph(X, 3, "cosine")
    np.testing.assert_array_equal(indices[:, 0], np.arange(6))
    assert (distances >= 0).all() and distances[0].tolist() == [0, 1, 1]


def test_an_index_of_any_labels_and_history_has_a_graph_of_places() -> None:
    X = clustered(600)
    labels = np.random.default_rng(5).permutation(2000)[:600]
    index = concord.Index(16, "l2sq", 8, 40)
    index.add(X, labels)
    index.remove(labels[::3])
    index.upsert(X[:10] + 5, np.arange(5000, 5010))
    there = index.labels()
    vectors = index[there]
    indices, distances = index.knn_graph(6)
    expected = concord.knn_graph(vectors, 6)
    np.testing.assert_array_equal(indices, expected.indices)
    np.testing.assert_array_equal(distances, expected.distances)
    squares = index.knn_graph(6, squared=True)
    np.testing.assert_array_equal(squares.indices, indices)
    np.testing.assert_array_equal(np.sqrt(squares.distances), distances)
    huge = concord.Index.from_vectors(vectors, np.uint64(2**63) + np.arange(len(there), dtype="u8"))
    np.testing.assert_array_equal(huge.knn_graph(6).indices, indices)


def test_bytes_half_precision_codes_and_lists() -> None:
    X = np.random.default_rng(1).integers(0, 255, (300, 12)).astype(np.uint8)
    expected = concord.knn_graph(X.astype(np.float32), 4)
    np.testing.assert_array_equal(concord.knn_graph(X, 4).indices, expected.indices)
    np.testing.assert_array_equal(concord.knn_graph(X.tolist(), 4).indices, expected.indices)
    half = concord.knn_graph(X, 4, storage="f16")
    np.testing.assert_array_equal(half.distances, expected.distances)
    coded = concord.Index.from_vectors(X, codes="sq8")
    np.testing.assert_array_equal(coded.knn_graph(4).indices, expected.indices)


def test_the_smallest_graphs() -> None:
    one = concord.knn_graph([[1, 2]], 1)
    assert one.indices.tolist() == [[0]] and one.distances.tolist() == [[0]]
    two = concord.knn_graph([[1, 2], [4, 6]], 1, include_self=False)
    assert two.indices.tolist() == [[1], [0]] and two.distances.tolist() == [[5], [5]]
    everything = concord.knn_graph(make_vectors(20), 20)
    assert all(sorted(row) == list(range(20)) for row in everything.indices.tolist())


def test_a_goal_near_one_gets_a_sample_that_shows_it() -> None:
    X = make_vectors(7500, 3)
    indices, _ = concord.knn_graph(X, 3, include_self=False, recall=0.9995)  # wants 6,529 of them
    assert share(indices, true_graph(X, 3)) >= 0.9995
    with pytest.raises(concord.InvalidParameterError, match=r"at least 65\d\d are needed"):
        concord.knn_graph(X[:5000], 3, recall=0.9995)


@pytest.fixture
def nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("an index was built")

    monkeypatch.setattr(concord.Index, "add", refuse)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"k": 0}, "k is 0; allowed are 1 to 20"),
        ({"k": 21}, "k is 21; allowed are 1 to 20"),
        ({"k": 20, "include_self": False}, "k is 20; allowed are 1 to 19"),
        ({"k": 3, "recall": 1}, "recall is 1"),
        ({"k": 3, "recall": 0}, "recall is 0"),
        ({"k": 3, "recall": float("nan")}, "recall is nan"),
        ({"k": 3, "recall": "0.9"}, "recall is '0.9'"),
        ({"k": 3, "metric": "ip"}, "metric is 'ip'"),
        ({"k": 3, "metric": 7}, "metric is 7"),
        ({"k": 3, "M": 1}, "M is 1"),
    ],
)
@pytest.mark.usefixtures("nothing_is_built")
def test_bad_arguments_of_a_graph(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(concord.InvalidParameterError, match=words):
        concord.knn_graph(make_vectors(20), **arguments)


@pytest.mark.parametrize(
    ("n", "k", "include_self", "words"),
    [
        (0, 1, True, "there are 0 vectors; a graph with include_self=True needs 1 or more"),
        (0, 1, False, "there are 0 vectors; a graph with include_self=False needs 2 or more"),
        (1, 1, False, "there are 1 vectors; a graph with include_self=False needs 2 or more"),
        (1, 2, True, "k is 2; allowed are 1 to 1"),
        (70_000, 65_537, True, "k is 65537; allowed are 1 to 65536"),
        (70_000, 65_536, False, "k is 65536; allowed are 1 to 65535"),
    ],
)
@pytest.mark.usefixtures("nothing_is_built")
def test_what_is_allowed_is_what_there_is(n: int, k: int, include_self: bool, words: str) -> None:
    with pytest.raises(concord.InvalidParameterError, match=words):
        concord.knn_graph(np.zeros((n, 1), np.float32), k, include_self=include_self)


def test_new_rows_are_searched_as_the_fitted_ones_were() -> None:
    X, new = np.split(clustered(6300), [6000])
    distance = distance_of("l2")
    index, graph = knn.indexed_graph(X, 12, distance, True, 0.95, None, M=8, ef_construction=40)
    assert graph.indices.shape == (6000, 12)
    presets = index.presets()
    assert [preset.k for preset in presets] == [11]
    for k in (12, 5, 1):
        found = knn.search_as_tuned(index, new, k, 11, 0.95)
        assert found.labels.shape == found.distances.shape == (300, k)
        assert share(found.labels, concord.exact_knn(X, new, k).labels) > 0.94
    assert index.presets() == presets
    wider = knn.search_as_tuned(index, new, 20, 11, 0.95)
    assert share(wider.labels, concord.exact_knn(X, new, 20).labels) > 0.94
    assert [preset.k for preset in index.presets()] == [11, 19]


def test_what_has_no_graph() -> None:
    with pytest.raises(concord.InvalidVectorError):
        concord.knn_graph([[0, float("nan")]], 1)
    with pytest.raises(TypeError, match="^k must be an integer, not float$"):
        concord.knn_graph(make_vectors(5), 2.5)  # type: ignore[arg-type]
    with pytest.raises(concord.ArrayTypeError):
        concord.knn_graph("abc", 1)  # type: ignore[arg-type]
    with pytest.raises(concord.UnsupportedError, match="inner_product"):
        concord.Index.from_vectors(make_vectors(5), metric="ip").knn_graph(2)
    with pytest.raises(concord.UnsupportedError, match="ShardedIndex"):
        concord.ShardedIndex(4, shards=2).knn_graph(1)
    with pytest.raises(concord.InvalidParameterError, match="0 vectors"):
        concord.Index(3).knn_graph(1)
    with pytest.raises(concord.InvalidParameterError, match="recall is 2"):
        concord.Index.from_vectors(make_vectors(5)).knn_graph(2, recall=2)


def test_a_graph_can_be_stopped() -> None:
    X = make_vectors(3000, 64)
    calls: list[tuple[int, int]] = []
    whole = concord.knn_graph(X, 5, progress=lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls) and calls[-1] == (3000, 3000)
    stopped = concord.knn_graph(X, 5, threads=1, progress=lambda done, total: done > 2999)
    left = stopped.indices[:, 0] == -1
    done = int((~left).sum())
    assert 0 < done < 3000 and not left[:done].any()
    assert (stopped.indices[done:] == -1).all() and np.isinf(stopped.distances[done:]).all()
    np.testing.assert_array_equal(stopped.indices[:done], whole.indices[:done])
    with pytest.raises(ZeroDivisionError):
        concord.knn_graph(X, 5, progress=lambda done, total: 1 / 0)


def test_a_change_during_a_graph_is_noticed() -> None:
    index = concord.Index.from_vectors(make_vectors(3000, 64), threads=1)
    copy_of_the_last = index[[2999]]

    adding = threading.Thread(target=index.add, args=(copy_of_the_last, [9000]))

    def add(done: int, total: int) -> None:
        if adding.ident is None:
            adding.start()
            adding.join()

    with pytest.raises(concord.BusyError, match="changed"):
        index.knn_graph(5, progress=add)
    assert index.audit().ok


# -------------------------------------------------------------------------------------- near_duplicates


def naive_groups(X: Floats, radius: float, metric: str) -> list[list[int]]:
    x = X.astype(np.float64)
    if metric == "cosine":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
        near = 1 - x @ x.T <= radius
    else:
        near = ((x[:, None] - x[None]) ** 2).sum(-1) <= radius**2
    group = np.arange(len(X))
    while True:
        lower = np.where(near, group, len(X)).min(axis=1)
        if (lower == group).all():
            break
        group = lower
    members = [np.flatnonzero(group == root).tolist() for root in np.unique(group)]
    return [rows for rows in members if len(rows) > 1]


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_groups_are_the_connected_components(metric: str) -> None:
    X = clustered(600, 3)
    spread = 0.25 if metric == "l2" else 0.0005
    for radius in (spread / 100, spread, 4 * spread):
        expected = naive_groups(X, radius, metric)
        groups = concord.near_duplicates(X, radius, metric)
        assert [group.tolist() for group in groups] == expected
        assert all(group.dtype == np.int64 for group in groups)
        again = concord.near_duplicates(X, radius, metric, threads=1)
        assert all(map(np.array_equal, groups, again))


def test_chains_copies_and_strangers() -> None:
    chain = np.arange(300, dtype=np.float32)[:, None] * [1, 0]
    order = np.random.default_rng(2).permutation(300)
    assert [len(group) for group in concord.near_duplicates(chain[order], 1)] == [300]
    assert concord.near_duplicates(chain, 0.99) == []
    copies = np.repeat(chain, 3, axis=0)
    groups = concord.near_duplicates(copies, 0)
    assert [group.tolist() for group in groups] == [
        [3 * i, 3 * i + 1, 3 * i + 2] for i in range(300)
    ]
    assert concord.near_duplicates(np.empty((0, 3), np.float32), 1) == []
    assert concord.near_duplicates([[1, 2]], np.inf) == []
    huge: Any
    for huge in (1e200, 10**400, math.inf, np.float32(3e38)):
        for metric in ("l2", "l2sq", "cosine"):
            assert [len(group) for group in concord.near_duplicates(chain[1:], huge, metric)] == [
                299
            ]


def test_groups_do_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    X = clustered(600, 3)
    chain = np.arange(400, dtype=np.float32)[:, None]
    shuffled = chain[np.random.default_rng(4).permutation(400)]
    inward = chain[np.argsort(np.abs(np.arange(400) - 199.7))]  # each block joins what is before
    expected = [concord.near_duplicates(X, 0.25)]
    monkeypatch.setattr(knn, "BLOCK_BYTES", 64 * 3 * 7)
    assert [group.tolist() for group in concord.near_duplicates(X, 0.25)] == [
        group.tolist() for group in expected[0]
    ]
    for rows in (chain, chain[::-1].copy(), shuffled, inward):
        assert [len(group) for group in concord.near_duplicates(rows, 1)] == [400]


def test_joining_takes_the_work_of_the_pairs() -> None:
    root = np.arange(1_000_000)
    random = np.random.default_rng(1)
    start = time.process_time()
    for _ in range(1000):
        pairs = random.integers(len(root), size=(2, 10))
        knn._join(root, pairs[0], pairs[1])
    assert time.process_time() - start < 2  # 0.1 s; looking at all rows takes 10 s


def test_storage_and_device_of_near_duplicates() -> None:
    X = np.array([[1, 0], [1 + 2**-13, 0], [9, 9]], np.float32)
    assert concord.near_duplicates(X, 0) == []
    halves = concord.near_duplicates(X, 0, storage="f16", device="cpu")
    assert [group.tolist() for group in halves] == [[0, 1]]
    with pytest.raises(concord.InvalidParameterError, match="device"):
        concord.near_duplicates(X, 0, device="tpu")


@pytest.mark.usefixtures("nothing_is_built")
def test_bad_arguments_of_near_duplicates() -> None:
    for radius in (-1, float("nan"), "1", None):
        with pytest.raises(concord.InvalidParameterError, match="radius"):
            concord.near_duplicates(make_vectors(5), radius)  # type: ignore[arg-type]
    with pytest.raises(concord.InvalidParameterError, match="Inner product"):
        concord.near_duplicates(make_vectors(5), 1, "ip")
    for ef in (0, -1, 65_537):
        with pytest.raises(concord.InvalidParameterError, match=f"ef is {ef}; allowed are 1 to"):
            concord.near_duplicates(make_vectors(5), 1, ef=ef)


def test_near_duplicates_report_progress() -> None:
    calls = []
    concord.near_duplicates(make_vectors(50), 1, progress=lambda *done: calls.append(done))
    assert calls[-1] == (50, 50)


# -------------------------------------------------------------------------------------------- exact_knn


@pytest.mark.parametrize("metric", ["l2sq", "ip", "cosine"])
def test_exact_neighbors_are_those_of_an_index(metric: str) -> None:
    X, Q = clustered(500), clustered(40, seed=2)
    index = concord.Index.from_vectors(X, metric=metric)
    for k in (0, 1, 7, 501):
        expected = index.exact_search(Q, k)
        for threads in (0, 1, 3):
            found = concord.exact_knn(X, Q, k, metric=metric, threads=threads)
            np.testing.assert_array_equal(found.labels, expected.labels)
            np.testing.assert_array_equal(found.distances, expected.distances)
            assert found.labels.dtype == np.int64
    alone = concord.exact_knn(X, Q[0], 3, metric=metric)
    np.testing.assert_array_equal(alone.labels, index.exact_search(Q[0], 3).labels)
    own = concord.exact_knn(X, k=2, metric=metric)
    np.testing.assert_array_equal(own.labels, index.exact_search(X, 2).labels)
    doubles = concord.exact_knn(X.astype(np.float64)[:, ::-1], Q[:, ::-1].tolist(), 3, metric="cos")
    mirrored = concord.exact_knn(X[:, ::-1].copy(), Q[:, ::-1].copy(), 3, metric="cosine")
    np.testing.assert_array_equal(doubles.labels, mirrored.labels)


def test_bad_arguments_of_exact_knn() -> None:
    X = make_vectors(20)
    with pytest.raises(concord.DimensionMismatchError):
        concord.exact_knn(X, X[:, :3], 1)
    with pytest.raises(concord.InvalidParameterError, match="k is 65537"):
        concord.exact_knn(X, X, 65537)
    with pytest.raises(concord.InvalidParameterError, match="threads is 2000"):
        concord.exact_knn(X, X, 1, threads=2000)
    with pytest.raises(concord.InvalidParameterError, match="metric"):
        concord.exact_knn(X, X, 1, metric="hamming")
    with pytest.raises(concord.ArrayTypeError):
        concord.exact_knn(X.astype(np.int64), X, 1)
    with pytest.raises(concord.InvalidVectorError, match="query 3"):
        bad = X.copy()
        bad[3, 1] = np.inf
        concord.exact_knn(X, bad, 1)
    with pytest.raises(TypeError):
        concord.exact_knn(X, X, 1, progress=3)  # type: ignore[arg-type]


def test_exact_knn_can_be_stopped() -> None:
    X = make_vectors(20_000, 64)
    found = concord.exact_knn(X, X, 3, progress=lambda done, total: False)
    left = found.labels[:, 0] == concord.NO_LABEL
    assert left.any() and np.isinf(found.distances[left]).all()
    done = np.flatnonzero(~left)
    np.testing.assert_array_equal(found.labels[done, 0], done)
