"""Concord's graph for UMAP: neighbors for ``precomputed_knn``, and an index with which ``transform`` works.

Needs ``umap-learn``, which brings pynndescent.

>>> import numpy as np, umap
>>> from concord.umap import precomputed_knn
>>> X = np.random.default_rng(1).normal(size=(300, 8)).astype(np.float32)
>>> mapper = umap.UMAP(n_neighbors=15, precomputed_knn=precomputed_knn(X, 15), random_state=1)
>>> mapper.fit_transform(X).shape
(300, 2)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from concord import _extras
from concord._limits import distance_of
from concord.index import Device, Index, Progress, Vectors
from concord.knn import indexed_graph, search_as_tuned

with _extras.needed("umap", "concord.umap"):
    from pynndescent import NNDescent  # type: ignore[import-not-found,unused-ignore]


class SearchIndex(NNDescent):  # type: ignore[misc,unused-ignore]
    """What UMAP asks for the neighbors of new data: an :class:`concord.Index` in the form of an ``NNDescent``.

    UMAP looks whether it has that class. Nothing else of it is used, and ``query`` is all that works. A pickle
    holds the index.
    """

    _angular_trees = False

    def __init__(self, index: Index, metric: str, n_neighbors: int, recall: float) -> None:
        self.index = index
        self.metric = metric
        self.n_neighbors = n_neighbors
        self.recall = recall

    def query(
        self, query_data: Vectors, k: int = 10, epsilon: float = 0.1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Indices and distances ``[q, k]`` of the nearest fitted rows.

        They are searched as the fitted rows were, so only a ``k`` above ``n_neighbors`` is tuned for.
        ``epsilon`` changes nothing, because the recall decides.
        """
        labels, distances = search_as_tuned(
            self.index, query_data, k, self.n_neighbors - 1, self.recall
        )
        return labels.astype(np.int32), distance_of(self.metric).values(distances)

    def prepare(self) -> None:
        """Nothing: the index is ready."""

    def update(self, *arguments: Any, **options: Any) -> None:
        """Refused."""
        raise NotImplementedError("UMAP.update is not available with Concord's graph; fit again")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__.copy()

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


def precomputed_knn(
    X: Vectors,
    n_neighbors: int = 15,
    metric: str = "euclidean",
    *,
    recall: float = 0.98,
    M: int = 12,
    ef_construction: int = 60,
    seed: int = 42,
    threads: int = 0,
    device: Device = "auto",
    progress: Progress = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], SearchIndex]:
    """The argument ``precomputed_knn`` of ``umap.UMAP``.

    Args:
        X: ``[n, dim]``, the data that UMAP is fitted to.
        n_neighbors: as UMAP has it, or more; 2 to n.
        metric: ``"euclidean"`` or ``"cosine"``, as UMAP is told; ``"l2"`` means roots here.
        recall: as for :func:`concord.knn_graph`.
        M: as for :class:`concord.Index`.
        ef_construction: as for :class:`concord.Index`.
        seed: as for :class:`concord.Index`.
        threads: as for :class:`concord.Index`.
        device: as for :class:`concord.Index`.
        progress: as for :func:`concord.knn_graph`.

    Returns:
        ``(indices, distances, index)``: those of :func:`concord.knn_graph`, indices as int32, and the index for
        ``transform``. UMAP writes to the arrays.
    """
    distance = distance_of(metric)
    index, (indices, distances) = indexed_graph(
        X,
        n_neighbors,
        distance,
        True,
        recall,
        progress,
        M=M,
        ef_construction=ef_construction,
        seed=seed,
        threads=threads,
        device=device,
    )
    return indices.astype(np.int32), distances, SearchIndex(index, metric, n_neighbors, recall)
