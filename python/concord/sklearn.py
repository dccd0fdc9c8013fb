"""A scikit-learn transformer: vectors in, the sparse graph of their nearest neighbors out.

Replaces ``sklearn.neighbors.KNeighborsTransformer`` in front of estimators that take
``metric="precomputed"``. Needs ``concord-ann[sklearn]``. An estimator may transform in many threads at
once; while it is fitted no other thread may use it, as everywhere in scikit-learn.
"""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt

from concord import _extras
from concord._limits import DISTANCES, Distance, radius_of
from concord.errors import InvalidParameterError
from concord.index import NO_LABEL, Index
from concord.knn import without_self

with _extras.needed("sklearn", "concord.sklearn"):
    import joblib  # type: ignore[import-untyped]
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
    from sklearn.base import (  # type: ignore[import-untyped]
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        TransformerMixin,
    )
    from sklearn.utils.validation import (  # type: ignore[import-untyped]
        check_is_fitted,
        validate_data,
    )

MODES = ("distance", "connectivity")

METRICS = {name: DISTANCES[name] for name in ("euclidean", "sqeuclidean", "l2sq", "cosine", "cos")}
"""The distance of each name. ``"l2"`` is none: it is squared in an index, a root in scikit-learn."""


def sparse_graph(
    indices: npt.NDArray[Any],
    distances: npt.NDArray[Any],
    *,
    symmetric: bool = False,
    columns: int | None = None,
) -> csr_matrix:
    """The sparse matrix of a graph, such as :func:`concord.knn_graph` gives, for ``metric="precomputed"``.

    Args:
        indices: ``[n, k]``, numbers of rows, from 0 to ``columns`` - 1. -1 is padding, as in a graph whose work
            was stopped, and makes no entry.
        distances: ``[n, k]``.
        symmetric: whether an edge of one direction is made one of both. HDBSCAN, and UMAP with
            ``metric="precomputed"``, want that. The matrix is square then.
        columns: columns of the matrix; n if it is not given.

    In each row entries are ordered by distance, then by column, or as they are given if not ``symmetric``. A
    distance of 0 is an entry. Other indices and shapes raise :exc:`InvalidParameterError`. O(n k), and
    O(n k log(n k)) if ``symmetric``.

    >>> import concord
    >>> from concord.sklearn import sparse_graph
    >>> graph = concord.knn_graph([[0, 0], [3, 4], [6, 9]], k=2)
    >>> sparse_graph(*graph).nnz, sparse_graph(*graph, symmetric=True).nnz
    (6, 7)
    """
    if indices.ndim != 2 or indices.shape != distances.shape:
        raise InvalidParameterError(
            f"indices are {list(indices.shape)} and distances {list(distances.shape)}; both are [n, k]"
        )
    rows = len(indices)
    columns = rows if columns is None else columns
    if symmetric and columns != rows:
        raise InvalidParameterError(
            f"columns is {columns}; a symmetric graph of {rows} rows has as many columns"
        )
    there = indices != NO_LABEL
    found = indices[there]
    if found.size and not 0 <= found.min() <= found.max() < columns:
        raise InvalidParameterError(
            f"indices are {found.min()} to {found.max()}; allowed are 0 to {columns - 1}, and -1 for padding"
        )
    starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    graph = csr_matrix((distances[there], found, starts), shape=(rows, columns))
    return _symmetric(graph) if symmetric else graph


def _symmetric(graph: csr_matrix) -> csr_matrix:
    """Each edge in both directions, with the smaller distance if there are two; zeros stay entries."""
    n = graph.shape[0]
    a = np.repeat(np.arange(n), np.diff(graph.indptr))
    b = graph.indices.astype(np.int64)
    rows, columns = np.concatenate([a, b]), np.concatenate([b, a])
    values = np.concatenate([graph.data, graph.data])
    order = np.lexsort((values, columns, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    first = np.ones(len(rows), bool)
    first[1:] = (np.diff(rows) != 0) | (np.diff(columns) != 0)
    rows, columns, values = rows[first], columns[first], values[first]
    order = np.lexsort((columns, values, rows))
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
    return csr_matrix((values[order], columns[order], starts), shape=(n, n))


def _array_of_arrays(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """An array of objects, also where all are of one length."""
    result = np.empty(len(arrays), object)
    result[:] = arrays
    return result


class ConcordTransformer(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Approximate nearest neighbors of each sample, as ``KNeighborsTransformer`` gives exact ones.

    Args:
        n_neighbors: neighbors of a sample. In mode ``"distance"`` there is one more, because a fitted
            sample is its own first neighbor.
        mode: ``"distance"``, or ``"connectivity"`` for ones.
        metric: ``"euclidean"``, ``"sqeuclidean"`` (also ``"l2sq"``) or ``"cosine"`` (also ``"cos"``).
        M: as for :class:`concord.Index`.
        ef_construction: as for :class:`concord.Index`.
        seed: as for :class:`concord.Index`.
        codes: as for :class:`concord.Index`.
        storage: as for :class:`concord.Index`.
        radius: distance of a neighbor in ``radius_neighbors``, as the metric gives it.
        ef: candidates of a search, as for :meth:`concord.Index.search`.
        n_jobs: threads; ``None`` means 1 outside a joblib context, -1 all. It changes no result.
        device: as for :class:`concord.Index`.
        symmetric: whether the graph of the fitted samples has each edge in both directions, as HDBSCAN and
            UMAP with ``metric="precomputed"`` want it. Rows then differ in length, and depend on the samples
            as a whole. The graph of other samples is not square, and stays as it is. It is set before
            :meth:`fit`, which keeps a hash of the samples for it.

    Attributes:
        index_: the :class:`concord.Index`.
        n_samples_fit_: samples in it.
        n_features_in_: elements of a sample.

    >>> from concord.sklearn import ConcordTransformer
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = load_digits(return_X_y=True)
    >>> ConcordTransformer(n_neighbors=5).fit_transform(X).shape
    (1797, 1797)
    >>> model = make_pipeline(
    ...     ConcordTransformer(n_neighbors=5), KNeighborsClassifier(5, metric="precomputed")
    ... )
    >>> model.fit(X[:1500], y[:1500]).score(X[1500:], y[1500:]) > 0.95
    True
    """

    def __init__(
        self,
        *,
        n_neighbors: int = 5,
        mode: str = "distance",
        metric: str = "euclidean",
        M: int = 16,
        ef_construction: int = 200,
        ef: int = 64,
        seed: int = 42,
        codes: str = "none",
        storage: str = "automatic",
        radius: float = 1.0,
        n_jobs: int | None = None,
        device: str = "auto",
        symmetric: bool = False,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.mode = mode
        self.metric = metric
        self.M = M
        self.ef_construction = ef_construction
        self.ef = ef
        self.seed = seed
        self.codes = codes
        self.storage = storage
        self.radius = radius
        self.n_jobs = n_jobs
        self.device = device
        self.symmetric = symmetric

    def fit(self, X: npt.ArrayLike, y: object = None) -> ConcordTransformer:
        """Build the index of the samples ``[n, features]``."""
        self._check_parameters()
        samples = validate_data(self, X, dtype=[np.float64, np.float32])
        index = Index(
            samples.shape[1],
            self._distance().metric,
            self.M,
            self.ef_construction,
            seed=self.seed,
            codes=self.codes,
            storage=self.storage,
            threads=joblib.effective_n_jobs(self.n_jobs),
            device=self.device,
        )
        index.add(samples)
        self.index_ = index
        self.n_samples_fit_ = len(index)
        self._fitted_hash = joblib.hash(samples) if self.symmetric else None
        return self

    def transform(self, X: npt.ArrayLike) -> csr_matrix:
        """The graph ``[samples, n_samples_fit_]``: in each row the neighbors, nearest first."""
        check_is_fitted(self)
        self._check_parameters()
        samples = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        distances, indices = self._search(samples, self.n_neighbors + (self.mode == "distance"))
        graph = self._graph(distances.astype(samples.dtype), indices, self.mode)
        return _symmetric(graph) if self.symmetric and self._is_fitted(samples) else graph

    def kneighbors(
        self,
        X: npt.ArrayLike | None = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,
    ) -> Any:
        """The nearest fitted samples of each sample: ``(distances, indices)``, or ``indices`` alone.

        Without ``X`` the samples are the fitted ones, and none is its own neighbor.
        """
        distances, indices = self._neighbors(X, n_neighbors)
        return (distances, indices) if return_distance else indices

    def kneighbors_graph(
        self,
        X: npt.ArrayLike | None = None,
        n_neighbors: int | None = None,
        mode: str = "connectivity",
    ) -> csr_matrix:
        """As :meth:`kneighbors`, as a sparse matrix of ones or, in mode ``"distance"``, of distances."""
        graph = self._graph(*self._neighbors(X, n_neighbors), mode)
        return _symmetric(graph) if self.symmetric and X is None else graph

    def radius_neighbors(
        self,
        X: npt.ArrayLike | None = None,
        radius: float | None = None,
        return_distance: bool = True,
        sort_results: bool = False,
    ) -> Any:
        """The fitted samples within a radius of each sample: ``(distances, indices)``, or ``indices`` alone.

        Each is an array of arrays, one for each sample, nearest first whatever ``sort_results`` says. Without
        ``X`` the samples are the fitted ones, and none is its own neighbor. A few may be missed, as
        :meth:`concord.Index.range_search` says.
        """
        distances, indices, lims = self._within(X, radius)
        found = [distances, indices] if return_distance else [indices]
        parts = tuple(_array_of_arrays(np.split(array, lims[1:-1])) for array in found)
        return parts if return_distance else parts[0]

    def radius_neighbors_graph(
        self,
        X: npt.ArrayLike | None = None,
        radius: float | None = None,
        mode: str = "connectivity",
        sort_results: bool = False,
    ) -> csr_matrix:
        """As ``radius_neighbors``, as a sparse matrix of ones or, in mode ``"distance"``, of distances."""
        return self._sparse(*self._within(X, radius), mode)

    def _within(
        self, X: npt.ArrayLike | None, radius: float | None
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.int64]]:
        """Distances, indices, and where those of each sample begin."""
        check_is_fitted(self)
        self._check_parameters()
        wanted = radius_of(self.radius if radius is None else radius)
        if X is None:
            samples = self._fitted()
        else:
            samples = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        self._use_threads()
        distance = self._distance()
        reach = distance.reach(wanted)
        lims, indices, squares = self.index_.range_search(samples, reach, self.ef)
        distances = distance.values(squares)
        rows = np.repeat(np.arange(len(samples)), np.diff(lims))
        near = distance.within(distances, wanted)
        if X is None:
            near &= indices != rows
        counts = np.bincount(rows[near], minlength=len(samples))
        starts = np.concatenate([[0], np.cumsum(counts)])
        kept = distances[near]
        return (kept if X is None else kept.astype(samples.dtype)), indices[near], starts

    def _neighbors(
        self, X: npt.ArrayLike | None, n_neighbors: int | None
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        check_is_fitted(self)
        self._check_parameters()
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        if X is not None:
            samples = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
            distances, indices = self._search(samples, k)
            return distances.astype(samples.dtype), indices
        samples = self._fitted()
        distances, indices = self._search(samples, k + 1)
        indices, distances = without_self(indices, distances, slice(0, len(samples)))
        return distances, indices

    def _search(
        self, samples: npt.NDArray[Any], k: int
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        if k > self.n_samples_fit_:
            raise ValueError(
                f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {k} (with the sample itself), "
                f"n_samples_fit = {self.n_samples_fit_}"
            )
        self._use_threads()
        # Every vector can be reached, so each row has k labels.
        labels, distances = self.index_.search(samples, k, max(self.ef, k))
        return self._distance().values(distances), labels

    def _is_fitted(self, samples: npt.NDArray[Any]) -> bool:
        """Whether these are the samples that ``fit`` got."""
        if self._fitted_hash is None:
            raise ValueError("symmetric was set after fit; fit again")
        return bool(joblib.hash(samples) == self._fitted_hash)

    def _fitted(self) -> npt.NDArray[np.float32]:
        return self.index_[np.arange(self.n_samples_fit_)]

    def _use_threads(self) -> None:
        threads = joblib.effective_n_jobs(self.n_jobs)
        if self.index_.threads != threads:
            self.index_.threads = threads

    def _graph(
        self, distances: npt.NDArray[Any], indices: npt.NDArray[Any], mode: str
    ) -> csr_matrix:
        samples, k = indices.shape
        rows = np.arange(0, samples * k + 1, k)
        return self._sparse(distances.ravel(), indices.ravel(), rows, mode)

    def _sparse(
        self,
        distances: npt.NDArray[Any],
        indices: npt.NDArray[Any],
        rows: npt.NDArray[Any],
        mode: str,
    ) -> csr_matrix:
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; allowed are {', '.join(map(repr, MODES))}")
        values = np.ones_like(distances) if mode == "connectivity" else distances
        return csr_matrix((values, indices, rows), shape=(len(rows) - 1, self.n_samples_fit_))

    def _distance(self) -> Distance:
        return METRICS[self.metric.lower()]

    def _check_parameters(self) -> None:
        if not isinstance(self.n_neighbors, numbers.Integral) or self.n_neighbors < 1:
            raise ValueError(f"n_neighbors is {self.n_neighbors!r}; allowed are integers from 1")
        if self.mode not in MODES:
            raise ValueError(f"mode is {self.mode!r}; allowed are {', '.join(map(repr, MODES))}")
        if not isinstance(self.metric, str) or self.metric.lower() not in METRICS:
            raise ValueError(f"metric is {self.metric!r}; allowed are {', '.join(METRICS)}")

    @property
    def _n_features_out(self) -> int:
        return int(self.n_samples_fit_)

    def __sklearn_tags__(self) -> Any:
        """Tags for scikit-learn: float32 and float64 keep their type."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
