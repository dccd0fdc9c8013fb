"""A scikit-learn transformer: vectors in, the sparse graph of their nearest neighbors out.

Stands where ``sklearn.neighbors.KNeighborsTransformer`` stands, in front of estimators that take
``metric="precomputed"``. Needs ``concord-ann[sklearn]``. An estimator may transform in many threads at a
time; fitting needs it alone, as everywhere in scikit-learn.
"""

from __future__ import annotations

import numbers
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
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

from concord.index import Index

METRICS = {"euclidean": "l2sq", "sqeuclidean": "l2sq", "cosine": "cosine"}
"""scikit-learn's names, and what an index measures for them."""


class ConcordTransformer(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Approximate nearest neighbors of each sample, as ``KNeighborsTransformer`` gives exact ones.

    Args:
        n_neighbors: neighbors of a sample. In mode ``"distance"`` one more is given, since a sample that
            was fitted is its own first neighbor.
        mode: ``"distance"``, or ``"connectivity"`` for ones.
        metric: ``"euclidean"``, ``"sqeuclidean"`` or ``"cosine"``.
        M: as for :class:`concord.Index`,
        ef_construction: as there,
        seed: as there.
        ef: candidates of a search, as for :meth:`concord.Index.search`.
        n_jobs: threads; ``None`` means 1 outside of a joblib context, -1 all. It changes no result.
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
        self.n_jobs = n_jobs
        self.device = device

    def fit(self, X: npt.ArrayLike, y: object = None) -> ConcordTransformer:
        """Build the index of the samples ``[n, features]``."""
        self._check_parameters()
        samples = validate_data(self, X, dtype=[np.float64, np.float32])
        index = Index(
            samples.shape[1],
            METRICS[self.metric],
            self.M,
            self.ef_construction,
            seed=self.seed,
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
        k = self.n_neighbors + (self.mode == "distance")
        if k > self.n_samples_fit_:
            raise ValueError(
                f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {k} (with the sample itself), "
                f"n_samples_fit = {self.n_samples_fit_}"
            )
        threads = joblib.effective_n_jobs(self.n_jobs)
        if self.index_.threads != threads:
            self.index_.threads = threads
        # Every vector can be reached, so each row has k labels.
        labels, distances = self.index_.search(samples, k, max(self.ef, k))
        values = self._values(distances).astype(samples.dtype)
        rows = np.arange(0, labels.size + 1, k)
        return csr_matrix(
            (values.ravel(), labels.astype(np.int64).ravel(), rows),
            shape=(len(samples), self.n_samples_fit_),
        )

    def _values(self, distances: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.mode == "connectivity":
            return np.ones_like(distances)
        # 1 - cosine may be rounded to just below zero, which precomputed distances must not be.
        distances = np.maximum(distances, 0)
        return np.sqrt(distances) if self.metric == "euclidean" else distances

    def _check_parameters(self) -> None:
        if not isinstance(self.n_neighbors, numbers.Integral) or self.n_neighbors < 1:
            raise ValueError(f"n_neighbors is {self.n_neighbors!r}; allowed are integers from 1")
        if self.mode not in ("distance", "connectivity"):
            raise ValueError(f"mode is {self.mode!r}; allowed are 'distance' and 'connectivity'")
        if self.metric not in METRICS:
            raise ValueError(f"metric is {self.metric!r}; allowed are {', '.join(METRICS)}")

    @property
    def _n_features_out(self) -> int:
        return int(self.n_samples_fit_)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn wants to know: dense float32 and float64 are kept as they are."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
