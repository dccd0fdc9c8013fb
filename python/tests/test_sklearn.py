"""The transformer against scikit-learn's own checks and its exact KNeighborsTransformer."""

from __future__ import annotations

import pickle
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from sklearn.manifold import TSNE, trustworthiness  # type: ignore[import-untyped]
from sklearn.model_selection import GridSearchCV  # type: ignore[import-untyped]
from sklearn.neighbors import (  # type: ignore[import-untyped]
    KNeighborsClassifier,
    KNeighborsTransformer,
    NearestNeighbors,
)
from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
from sklearn.utils.estimator_checks import parametrize_with_checks  # type: ignore[import-untyped]
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

import concord
from concord.sklearn import ConcordTransformer, sparse_graph


def digits() -> tuple[Any, Any]:
    X, y = load_digits(return_X_y=True)
    return X, y


# Every check applies: none is marked as expected to fail. The one for array API inputs skips itself unless
# SCIPY_ARRAY_API=1 is set before scipy is imported; it passes then.
@parametrize_with_checks(  # type: ignore[untyped-decorator]
    [
        ConcordTransformer(device="cpu"),
        ConcordTransformer(n_neighbors=3, mode="connectivity", metric="cosine", device="cpu"),
        ConcordTransformer(codes="sq8", device="cpu"),
    ]
)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_the_graph_is_that_of_scikit_learn(mode: str, metric: str) -> None:
    X, _ = digits()
    ours = ConcordTransformer(n_neighbors=7, mode=mode, metric=metric, ef=200).fit(X[:1500])
    exact = KNeighborsTransformer(n_neighbors=7, mode=mode, metric=metric, algorithm="brute")
    exact.fit(X[:1500])
    for samples in (X[:1500], X[1500:]):
        found, true = ours.transform(samples), exact.transform(samples)
        assert (found.format, found.shape, found.dtype) == (true.format, true.shape, true.dtype)
        np.testing.assert_array_equal(found.indptr, true.indptr)
        same = sum(
            len(set(found.indices[a:b]) & set(true.indices[a:b]))
            for a, b in zip(true.indptr[:-1], true.indptr[1:], strict=True)
        )
        assert same / true.nnz > 0.995  # the rest are ties
        np.testing.assert_allclose(found.data, true.data, rtol=1e-3, atol=1e-3)
        rows = found.data.reshape(len(samples), -1)
        assert found.data.min() >= 0 and (np.diff(rows) >= 0).all()


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine", "COS", "l2sq"])
def test_kneighbors_are_those_of_scikit_learn(metric: str) -> None:
    X = np.unique(digits()[0], axis=0)
    theirs = {"COS": "cosine", "l2sq": "sqeuclidean"}.get(metric, metric)
    ours = ConcordTransformer(n_neighbors=7, metric=metric, ef=200).fit(X[:1500])
    exact = KNeighborsTransformer(n_neighbors=7, metric=theirs, algorithm="brute").fit(X[:1500])
    for samples in (X[1500:], None):
        for k in (None, 3):
            distances, indices = ours.kneighbors(samples, k)
            true_distances, true = exact.kneighbors(samples, k)
            assert (distances.shape, indices.shape) == (true_distances.shape, true.shape)
            assert (indices == true).mean() > 0.98  # the rest are ties
            np.testing.assert_allclose(distances, true_distances, rtol=1e-3, atol=1e-3)
            np.testing.assert_array_equal(ours.kneighbors(samples, k, False), indices)
            for mode in ("connectivity", "distance"):
                graph = ours.kneighbors_graph(samples, k, mode)
                expected = exact.kneighbors_graph(samples, k, mode)
                assert graph.shape == expected.shape
                np.testing.assert_allclose(graph.sum(1), expected.sum(1), rtol=1e-3)
    with pytest.raises(ValueError, match="n_neighbors"):
        ours.kneighbors(X[:2], 1501)
    with pytest.raises(ValueError, match="mode is 'x'"):
        ours.kneighbors_graph(X[:2], mode="x")


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
def test_radius_neighbors_are_those_of_scikit_learn(metric: str) -> None:
    X = np.unique(digits()[0], axis=0)
    theirs = NearestNeighbors(metric=metric, algorithm="brute").fit(X[:1500])
    farthest = theirs.kneighbors(X[1500:], 20)[0][:, -1]
    # Between distances, because theirs at the radius are in or out by rounding.
    radii = 1.0005 * np.quantile(farthest, [0.0, 0.5, 0.9])
    for radius in [*radii.tolist(), 0, 1e9]:
        ours = ConcordTransformer(metric=metric, radius=radius).fit(X[:1500])
        for samples in (X[1500:], None):
            distances, indices = ours.radius_neighbors(samples)
            true_distances, true = theirs.radius_neighbors(samples, radius, sort_results=True)
            assert indices.shape == true.shape
            found = sum(len(np.intersect1d(a, b)) for a, b in zip(indices, true, strict=True))
            total = sum(map(len, true))
            assert found >= 0.999 * total
            assert sum(map(len, indices)) <= 1.0001 * total  # theirs are rounded otherwise
            for row, of_true in zip(distances, true_distances, strict=True):
                assert (np.diff(row) >= 0).all()
                if len(row) == len(of_true):
                    np.testing.assert_allclose(row, of_true, rtol=1e-3, atol=1e-3)
            for mode in ("connectivity", "distance"):
                graph = ours.radius_neighbors_graph(samples, mode=mode)
                assert graph.shape == (len(indices), 1500)
                assert graph.nnz == sum(map(len, indices))
            alone = ours.radius_neighbors(samples, radius, return_distance=False)
            assert all(map(np.array_equal, alone, indices))
    for radius in (1e200, 10**400):
        assert all(len(row) == 1500 for row in ours.radius_neighbors(X[:3], radius)[1])
    wrong: Any
    for wrong in (-1, float("nan"), "1"):
        with pytest.raises(ValueError, match="radius"):
            ours.radius_neighbors(X[:2], wrong)
    with pytest.raises(ValueError, match="mode is 'x'"):
        ours.radius_neighbors_graph(X[:2], mode="x")


def test_what_is_at_the_radius_counts() -> None:
    X = np.array([[0.0, 0.0], [0.1, 0.0], [0.3, 0.4], [1.0, 0.0]])
    ours = ConcordTransformer().fit(X)
    indices = ours.radius_neighbors(X[:1], 0.5, return_distance=False)
    assert indices[0].tolist() == [0, 1, 2]
    assert ours.radius_neighbors(X[:1], 0.1, return_distance=False)[0].tolist() == [0, 1]
    assert ours.radius_neighbors(radius=0.1, return_distance=False)[0].tolist() == [1]


def test_no_sample_is_its_own_neighbor_even_among_copies() -> None:
    X = np.repeat(np.eye(4), 20, axis=0)
    indices = ConcordTransformer(n_neighbors=5).fit(X).kneighbors(return_distance=False)
    assert indices.shape == (80, 5)
    assert (indices != np.arange(80)[:, None]).all()
    assert all(len(set(row)) == 5 for row in indices.tolist())


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_a_symmetric_graph_has_each_edge_twice_and_loses_none(metric: str) -> None:
    X = np.vstack([digits()[0][:300], digits()[0][:5]])  # with copies, whose distance is 0
    indices, distances = concord.knn_graph(X, 6, metric)
    one_way = sparse_graph(indices, distances)
    both = sparse_graph(indices, distances, symmetric=True)
    edges = {(i, int(j)) for i, row in enumerate(indices) for j in row}
    rows = np.repeat(np.arange(305), np.diff(both.indptr))
    assert sorted(zip(rows.tolist(), both.indices.tolist(), strict=True)) == sorted(
        edges | {(j, i) for i, j in edges}
    )
    dense, mirrored = both.toarray(), both.T.toarray()
    np.testing.assert_array_equal(dense, mirrored)
    where = one_way.toarray() > 0
    # The smaller of both: a stored vector of length 1 that is normalised again may change its last bit.
    np.testing.assert_allclose(dense[where], one_way.toarray()[where], rtol=1e-5, atol=1e-6)
    for i in range(305):
        assert (np.diff(both.data[both.indptr[i] : both.indptr[i + 1]]) >= 0).all()
    ours = ConcordTransformer(n_neighbors=5, metric=metric, symmetric=True, ef=300)
    fitted = ours.fit_transform(X)
    assert (fitted != fitted.T).nnz == 0
    assert (
        ours.kneighbors_graph(mode="distance") != ours.kneighbors_graph(mode="distance").T
    ).nnz == 0
    assert ours.transform(X[:7]).shape == (7, 305) and ours.transform(X[:7]).nnz == 42
    wider = sparse_graph(indices[:4], distances[:4], columns=305)
    assert wider.shape == (4, 305)


def test_padding_of_a_stopped_graph_makes_no_entry() -> None:
    X = np.random.default_rng(1).normal(size=(3000, 64)).astype(np.float32)
    graph = concord.knn_graph(X, 5, threads=1, progress=lambda done, total: done > 2999)
    left = graph.indices[:, 0] == -1
    assert 0 < left.sum() < 3000
    one_way, both = sparse_graph(*graph), sparse_graph(*graph, symmetric=True)
    assert one_way.nnz == 5 * (~left).sum() and np.isfinite(one_way.data).all()
    assert (np.diff(one_way.indptr) == np.where(left, 0, 5)).all()
    assert (both != both.T).nnz == 0 and np.isfinite(both.data).all()
    nothing = np.full((3, 2), -1), np.full((3, 2), np.inf)
    assert sparse_graph(*nothing).nnz == sparse_graph(*nothing, symmetric=True).nnz == 0
    assert sparse_graph(np.empty((3, 0), int), np.empty((3, 0))).shape == (3, 3)


@pytest.mark.parametrize(
    ("indices", "distances", "options", "words"),
    [
        ([[0, 3]], [[0, 1]], {}, "indices are 0 to 3; allowed are 0 to 0"),
        ([[0], [-2]], [[0], [1]], {}, "indices are -2 to 0"),
        ([[0]], [[0, 1]], {}, r"indices are \[1, 1\] and distances \[1, 2\]"),
        ([0], [0], {}, r"indices are \[1\]"),
        ([[0]], [[0]], {"symmetric": True, "columns": 5}, "columns is 5"),
    ],
)
def test_bad_arguments_of_a_sparse_graph(
    indices: Any, distances: Any, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(concord.InvalidParameterError, match=words):
        sparse_graph(np.array(indices), np.array(distances), **options)


def test_samples_are_hashed_only_for_a_symmetric_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    X = digits()[0][:50]
    hashed = []
    real = joblib.hash

    def count(value: Any) -> Any:
        hashed.append(1)
        return real(value)

    monkeypatch.setattr(joblib, "hash", count)
    plain = ConcordTransformer().fit(X)
    plain.transform(X)
    assert not hashed
    ConcordTransformer(symmetric=True).fit(X).transform(X)
    assert len(hashed) == 2
    with pytest.raises(ValueError, match="symmetric was set after fit"):
        plain.set_params(symmetric=True).transform(X)


def test_each_fitted_sample_is_its_own_neighbor() -> None:
    X = np.unique(digits()[0], axis=0)
    for metric in ("euclidean", "cosine"):
        graph = ConcordTransformer(n_neighbors=4, metric=metric).fit_transform(X)
        assert (graph.indices.reshape(len(X), 5)[:, 0] == np.arange(len(X))).mean() > 0.999
        assert graph.data.reshape(len(X), 5)[:, 0].max() < 1e-6


@pytest.mark.parametrize("codes", ["none", "sq8"])
def test_threads_and_pickles_change_nothing(codes: str) -> None:
    X, _ = digits()
    one = ConcordTransformer(n_jobs=1, codes=codes).fit(X)
    many = ConcordTransformer(n_jobs=-1, codes=codes).fit(X)
    many.set_params(n_jobs=3)
    copy = pickle.loads(pickle.dumps(one))
    expected = one.transform(X)
    for other in (many, copy):
        assert (other.index_.digest(), other.index_.codes) == (one.index_.digest(), codes)
        graph = other.transform(X)
        np.testing.assert_array_equal(graph.indices, expected.indices)
        np.testing.assert_array_equal(graph.data, expected.data)


def test_classifier_on_precomputed_distances() -> None:
    X, y = digits()
    model = make_pipeline(
        ConcordTransformer(n_neighbors=10), KNeighborsClassifier(10, metric="precomputed")
    )
    plain = KNeighborsClassifier(10).fit(X[:1200], y[:1200])
    score = model.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:])
    assert abs(score - plain.score(X[1200:], y[1200:])) < 0.01
    search = GridSearchCV(model, {"kneighborsclassifier__n_neighbors": [1, 5]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.93


def test_tsne_on_precomputed_distances() -> None:
    X = digits()[0][:400]
    perplexity = 10

    def run() -> Any:
        picture = TSNE(
            metric="precomputed", init="random", perplexity=perplexity, max_iter=300, random_state=1
        )
        model = make_pipeline(ConcordTransformer(n_neighbors=3 * perplexity + 1), picture)
        return model.fit_transform(X)

    with threadpool_limits(1):  # many threads on busy cores wait for one another
        picture, again = run(), run()
    assert picture.shape == (400, 2)
    np.testing.assert_array_equal(again, picture)
    assert trustworthiness(X, picture, n_neighbors=5) > 0.9


def test_what_is_refused() -> None:
    X = digits()[0][:20]
    wrong: tuple[tuple[str, Any], ...] = (
        ("n_neighbors", 0),
        ("n_neighbors", 2.5),
        ("mode", "graph"),
        ("metric", "manhattan"),
        ("M", 1),
        ("codes", "pq"),
    )
    for parameter, value in wrong:
        with pytest.raises(ValueError, match=parameter):
            ConcordTransformer(**{parameter: value}).fit(X)
    with pytest.raises(ValueError, match="n_samples_fit = 20"):
        ConcordTransformer(n_neighbors=20).fit_transform(X)
    assert ConcordTransformer(n_neighbors=19).fit_transform(X).nnz == 400
    assert ConcordTransformer(n_neighbors=20, mode="connectivity").fit_transform(X).nnz == 400
