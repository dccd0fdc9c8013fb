"""Concord in ann-benchmarks: this folder goes to ann_benchmarks/algorithms/ there.

fit uses every processor the benchmark grants, query one thread, batch_query all of them.
"""

import concord
import numpy as np

from ..base.module import BaseANN

METRICS = {"angular": "cosine", "euclidean": "l2sq"}


class Concord(BaseANN):
    """One index; ``method_param`` holds ``M`` and ``efConstruction`` of config.yml."""

    def __init__(self, metric: str, method_param: dict[str, int]) -> None:
        if metric not in METRICS:
            raise NotImplementedError(f"metric is {metric}; Concord has {', '.join(METRICS)}")
        self._metric = METRICS[metric]
        self._parameters = method_param
        self._ef = 64
        self.name = f"concord ({method_param})"

    def fit(self, X: np.ndarray) -> None:
        """Build the index; labels are the rows' numbers."""
        self._index = concord.Index(
            X.shape[1],
            self._metric,
            M=self._parameters["M"],
            ef_construction=self._parameters["efConstruction"],
            device="cpu",
        )
        self._index.add(X)
        self._index.threads = 1

    def set_query_arguments(self, ef: int) -> None:
        """The candidates of the searches that follow."""
        self._ef = ef
        self.name = f"concord ({self._parameters}, ef: {ef})"

    def query(self, q: np.ndarray, n: int) -> np.ndarray:
        """The rows nearest to one vector."""
        return self._index.search(q, n, max(self._ef, n))[0]

    def batch_query(self, X: np.ndarray, n: int) -> None:
        """Search for many vectors on all threads; :meth:`get_batch_results` has the rows."""
        with self._index.using(threads=0):
            self._found = self._index.search(X, n, max(self._ef, n))[0]

    def get_batch_results(self) -> np.ndarray:
        """What the last :meth:`batch_query` found."""
        return self._found

    def done(self) -> None:
        """Give the memory back."""
        del self._index
