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
from concord.index import Index

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

METRICS = {
    "euclidean": "l2sq",
    "sqeuclidean": "l2sq",
    "l2sq": "l2sq",
    "cosine": "cosine",
    "cos": "cosine",
}
"""The metric of an index for each name. ``"l2"`` is none: it is squared in Concord, a root in scikit-learn."""


_MOST = float(np.finfo(np.float32).max)


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

    def fit(self, X: npt.ArrayLike, y: object = None) -> ConcordTransformer:
        """Build the index of the samples ``[n, features]``."""
        self._check_parameters()
        samples = validate_data(self, X, dtype=[np.float64, np.float32])
        index = Index(
            samples.shape[1],
            METRICS[self.metric.lower()],
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
        return self

    def transform(self, X: npt.ArrayLike) -> csr_matrix:
        """The graph ``[samples, n_samples_fit_]``: in each row the neighbors, nearest first."""
        check_is_fitted(self)
        self._check_parameters()
        samples = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        distances, indices = self._search(samples, self.n_neighbors + (self.mode == "distance"))
        return self._graph(distances.astype(samples.dtype), indices, self.mode)

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
        return self._graph(*self._neighbors(X, n_neighbors), mode)

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
        wanted = self.radius if radius is None else radius
        if not isinstance(wanted, numbers.Real) or not wanted >= 0:
            raise ValueError(f"radius is {wanted!r}; allowed are numbers from 0")
        if X is None:
            samples = self._fitted()
        else:
            samples = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        self._use_threads()
        stored = float(wanted) ** 2 if self._is_euclidean() else float(wanted)
        # Rounded up, because what is at the radius counts.
        reach = np.nextafter(np.float32(min(stored, _MOST)), np.float32(np.inf))
        lims, indices, squares = self.index_.range_search(samples, reach, self.ef)
        distances = self._values(squares)
        rows = np.repeat(np.arange(len(samples)), np.diff(lims))
        near = distances <= np.float32(min(float(wanted), _MOST))
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
        others = indices != np.arange(len(samples))[:, None]
        others[others.all(axis=1), -1] = False  # among copies of it, a sample may not be there
        return distances[others].reshape(-1, k), indices[others].reshape(-1, k)

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
        return self._values(distances), labels

    def _fitted(self) -> npt.NDArray[np.float32]:
        return np.stack([self.index_[label] for label in range(self.n_samples_fit_)])

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

    def _is_euclidean(self) -> bool:
        return self.metric.lower() == "euclidean"

    def _values(self, distances: npt.NDArray[Any]) -> npt.NDArray[Any]:
        # 1 - cosine may be rounded to just below zero, which precomputed distances must not be.
        distances = np.maximum(distances, 0)
        return np.sqrt(distances) if self._is_euclidean() else distances

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
