"""Graphs in the packages that take them: each runs with Concord's neighbors, twice, with equal bits.

`tests/ecosystem.sh` installs the packages of `requirements-ecosystem.txt` and runs this. A test whose package
is missing skips itself by name.
"""

from __future__ import annotations

import functools
import os
import pathlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import expect_examples_to_hold, package
from sklearn.datasets import load_digits  # type: ignore[import-untyped]
from sklearn.manifold import trustworthiness  # type: ignore[import-untyped]

import concord
from concord.sklearn import ConcordTransformer, sparse_graph

# Warnings of the packages about one another are not ours.
pytestmark = pytest.mark.filterwarnings("ignore")


@functools.cache
def digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    X, y = load_digits(return_X_y=True)
    return np.ascontiguousarray(X[:1000], np.float32), y[:1000]


def twice(work: Callable[[], Any]) -> Any:
    """The result, which a second run gives to the last bit."""
    first, second = np.asarray(work()), np.asarray(work())
    np.testing.assert_array_equal(first, second)
    return first


def agreement(labels: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
    """The share of vectors whose cluster is of their class."""
    return float(
        sum(np.bincount(y[labels == label]).max() for label in set(labels) - {-1}) / len(y)
    )


@pytest.mark.parametrize("name", ["umap", "openTSNE"])
def test_examples_of_an_adapter(name: str) -> None:
    package(name)
    expect_examples_to_hold(f"concord.{name.lower()}")


# ----------------------------------------------------------------------------------------------- UMAP


def test_umap_takes_the_graph_and_transforms_new_data() -> None:
    umap = package("umap")
    from concord.umap import precomputed_knn

    X, _ = digits()
    fitted, new = X[:800], X[800:]

    def run() -> Any:
        knn = precomputed_knn(fitted, 15)
        assert knn[0].dtype == np.int32 and knn[0].shape == (800, 15)
        mapper = umap.UMAP(n_neighbors=15, precomputed_knn=knn, random_state=7, n_epochs=100)
        mapper.fit(fitted)
        np.testing.assert_array_equal(mapper._knn_indices, concord.knn_graph(fitted, 15).indices)
        assert trustworthiness(fitted, mapper.embedding_, n_neighbors=10) > 0.95
        again = pickle.loads(pickle.dumps(mapper))
        places = mapper.transform(new)
        np.testing.assert_array_equal(places, again.transform(new))
        return np.vstack([mapper.embedding_, places])

    places = twice(run)
    assert trustworthiness(X, places, n_neighbors=10) > 0.93


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_umap_warns_of_nothing(metric: str) -> None:
    umap = package("umap")
    import warnings

    from concord.umap import precomputed_knn

    X, _ = digits()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        umap.UMAP(precomputed_knn=precomputed_knn(X, 15, metric), metric=metric, n_epochs=20).fit(X)
    assert not [w for w in said if "precomputed_knn" in str(w.message)]


def test_what_umap_gets_for_new_rows_are_their_neighbors() -> None:
    package("umap")
    from concord.umap import precomputed_knn

    X, _ = digits()
    index = precomputed_knn(X[:800], 10)[2]
    presets = index.index.presets()
    index.query(X[800:], 10)
    indices, distances = index.query(X[800:], 5, epsilon=0.12)
    assert index.index.presets() == presets  # nothing was tuned again
    true = concord.exact_knn(X[:800], X[800:], 5)
    both = [len(np.intersect1d(a, b)) for a, b in zip(indices, true.labels, strict=True)]
    assert sum(both) >= 0.97 * true.labels.size
    assert (distances >= np.sqrt(true.distances) * (1 - 1e-6)).all()
    with pytest.raises(NotImplementedError, match="fit again"):
        index.update(X)


def test_umap_draws_the_map_of_the_example(tmp_path: pathlib.Path) -> None:
    for name in ("umap", "matplotlib"):
        package(name)
    example = pathlib.Path(__file__).parents[2] / "examples/package_search"
    environment = os.environ | {"PICTURES": str(tmp_path), "MPLBACKEND": "agg"}
    program = [sys.executable, str(example / "search.py")]
    shown = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout == (example / "output.txt").read_text()
    pictures = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(pictures) == {path.name for path in (example / "pictures").iterdir()}
    assert min(pictures.values()) > 50_000


def test_umap_takes_a_symmetric_precomputed_graph() -> None:
    umap = package("umap")
    X, _ = digits()
    graph = sparse_graph(*concord.knn_graph(X, 30), symmetric=True)
    places = twice(
        lambda: umap.UMAP(metric="precomputed", random_state=1, n_epochs=100).fit_transform(graph)
    )
    assert trustworthiness(X, places, n_neighbors=10) > 0.9


# -------------------------------------------------------------------------------------------- clusters


def test_dbscan_takes_the_graph_of_a_radius() -> None:
    from sklearn.cluster import DBSCAN  # type: ignore[import-untyped]

    X, _ = digits()

    def run() -> Any:
        graph = ConcordTransformer(radius=22.0).fit(X).radius_neighbors_graph(X, mode="distance")
        return DBSCAN(eps=22.0, min_samples=5, metric="precomputed").fit_predict(graph)

    labels = twice(run)
    expected = DBSCAN(eps=22.0, min_samples=5).fit_predict(X)
    assert len(set(expected)) > 5 and (labels == expected).mean() > 0.99


def test_hdbscan_of_scikit_learn_takes_a_symmetric_graph() -> None:
    from sklearn.cluster import HDBSCAN
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]

    X, y = digits()

    def run() -> Any:
        graph = sparse_graph(*concord.knn_graph(X, 40), symmetric=True)
        return HDBSCAN(metric="precomputed", min_cluster_size=20, copy=True).fit_predict(graph)

    labels = twice(run)
    exact = HDBSCAN(min_cluster_size=20, copy=True).fit_predict(X)
    assert len(set(labels)) > 5
    assert agreement(labels, y) > agreement(exact, y) - 0.05
    model = make_pipeline(
        ConcordTransformer(n_neighbors=39, symmetric=True),
        HDBSCAN(metric="precomputed", min_cluster_size=20, copy=True),
    )
    np.testing.assert_array_equal(model.fit_predict(X), labels)


def test_hdbscan_takes_a_symmetric_graph() -> None:
    hdbscan = package("hdbscan")
    X, y = digits()

    def run() -> Any:
        graph = sparse_graph(*concord.knn_graph(X, 40), symmetric=True).astype(np.float64)
        model = hdbscan.HDBSCAN(metric="precomputed", min_cluster_size=20, max_dist=1e3)
        return model.fit_predict(graph)

    labels = twice(run)
    exact = hdbscan.HDBSCAN(min_cluster_size=20).fit_predict(X)
    assert len(set(labels)) == len(set(exact)) > 3
    assert abs(agreement(labels, y) - agreement(exact, y)) < 0.05


def test_bertopic_finds_topics_with_the_graph() -> None:
    bertopic = package("bertopic")
    umap = package("umap")
    from concord.umap import precomputed_knn

    random = np.random.default_rng(1)
    subjects = [["apple", "pear", "plum"], ["drill", "saw", "hammer"], ["piano", "flute", "drum"]]
    kinds = random.integers(3, size=300)
    texts = [" ".join(random.choice(subjects[kind], 6)) for kind in kinds]
    vectors = (np.eye(3, 16)[kinds] * 8 + random.normal(size=(300, 16))).astype(np.float32)

    def run() -> Any:
        mapper = umap.UMAP(
            n_neighbors=15,
            n_components=5,
            precomputed_knn=precomputed_knn(vectors, 15),
            random_state=1,
        )
        from sklearn.cluster import HDBSCAN

        model = bertopic.BERTopic(
            embedding_model=None,
            umap_model=mapper,
            hdbscan_model=HDBSCAN(min_cluster_size=20, copy=True),
        )
        topics, _ = model.fit_transform(texts, vectors)
        return topics

    topics = twice(run)
    assert agreement(topics, kinds) > 0.95
    assert "torch" not in sys.modules


# -------------------------------------------------------------------------------------- other pictures


def test_opentsne_takes_the_neighbors_and_places_new_data() -> None:
    open_tsne = package("openTSNE")
    from concord.opentsne import ConcordNeighbors

    X, _ = digits()
    fitted, new = X[:800], X[800:]

    def run() -> Any:
        neighbors = ConcordNeighbors(fitted, 60, n_jobs=1, knn_kwargs={"recall": 0.99})
        affinities = open_tsne.affinity.PerplexityBasedNN(knn_index=neighbors, perplexity=20)
        start = open_tsne.initialization.pca(fitted, random_state=1)
        picture = open_tsne.TSNE(n_iter=150, early_exaggeration_iter=100, n_jobs=1, random_state=1)
        embedding = picture.fit(affinities=affinities, initialization=start)
        return np.vstack([embedding, embedding.transform(new)])

    places = twice(run)
    assert trustworthiness(fitted, places[:800], n_neighbors=10) > 0.95
    assert trustworthiness(X, places, n_neighbors=10) > 0.9
    indices, distances = ConcordNeighbors(fitted, 9).build()
    true, squares = concord.knn_graph(fitted, 10)
    assert (indices == true[:, 1:]).mean() > 0.99 and indices.shape == distances.shape == (800, 9)
    np.testing.assert_allclose(distances, squares[:, 1:], rtol=1e-6)
    with pytest.raises(TypeError, match="knn_kwargs"):
        ConcordNeighbors(fitted, 9, knn_kwargs={"trees": 3}).build()
    with pytest.raises(ValueError, match="manhattan"):
        ConcordNeighbors(fitted, 9, metric="manhattan")


def test_scanpy_takes_the_transformer() -> None:
    scanpy = package("scanpy")
    anndata = package("anndata")
    X, y = digits()

    def run(transformer: Any) -> Any:
        data = anndata.AnnData(X)
        scanpy.pp.neighbors(data, n_neighbors=15, use_rep="X", transformer=transformer)
        return data.obsp["connectivities"].toarray(), data.obsp["distances"].toarray()

    def ours() -> Any:
        return np.stack(run(ConcordTransformer(n_neighbors=15, ef=200)))

    connectivities, distances = twice(ours)
    theirs, true = run("sklearn")
    assert ((connectivities > 0) == (theirs > 0)).mean() > 0.99
    same_class = y[:, None] == y[None]
    assert connectivities[same_class].sum() > 0.95 * connectivities.sum()
    both = (distances > 0) & (true > 0)
    np.testing.assert_allclose(distances[both], true[both], rtol=1e-3)


def test_imbalanced_learn_takes_the_transformer() -> None:
    over_sampling = package("imblearn.over_sampling")
    X, y = digits()
    rare = np.flatnonzero((y != 3) | (np.arange(len(y)) % 5 == 0))

    def run() -> Any:
        neighbors = ConcordTransformer(n_neighbors=6)
        balanced, classes = over_sampling.SMOTE(k_neighbors=neighbors, random_state=1).fit_resample(
            X[rare], y[rare]
        )
        return np.column_stack([balanced, classes])

    balanced = twice(run)
    counts = np.bincount(balanced[:, -1].astype(int))
    assert (counts == counts[0]).all() and len(balanced) > len(rare)


# ----------------------------------------------------------------------------------------- duplicates


def test_near_duplicates_are_those_of_a_scan() -> None:
    X, _ = digits()
    random = np.random.default_rng(1)
    of = random.integers(1000, size=200)
    everything = np.vstack([X, X[of] + random.normal(size=(200, 64), scale=0.01)]).astype("f4")
    groups = concord.near_duplicates(everything, 0.5)
    dropped = {int(row) for group in groups for row in group[1:]}
    assert dropped == set(range(1000, 1200))
