"""Concord's neighbors for openTSNE, as one of its ``KNNIndex`` classes.

Needs ``openTSNE``.

>>> import numpy as np, openTSNE
>>> from concord.opentsne import ConcordNeighbors
>>> X = np.random.default_rng(1).normal(size=(200, 8)).astype(np.float32)
>>> affinities = openTSNE.affinity.PerplexityBasedNN(knn_index=ConcordNeighbors(X, 30), perplexity=10)
>>> openTSNE.TSNE(n_iter=10, early_exaggeration_iter=10).fit(affinities=affinities).shape
(200, 2)
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from concord import _extras
from concord._limits import DISTANCES, distance_of
from concord.knn import indexed_graph, search_as_tuned

with _extras.needed("opentsne", "concord.opentsne"):
    from openTSNE.nearest_neighbors import (  # type: ignore[import-not-found,unused-ignore]
        KNNIndex,
    )


class ConcordNeighbors(KNNIndex):  # type: ignore[misc,unused-ignore]
    """The ``k`` nearest others of each row of ``data``, and of new rows.

    Args:
        data: ``[n, dim]``.
        k: neighbors of a row, 1 to n - 1. For a perplexity p, openTSNE takes 3 p.
        metric: as for :func:`concord.knn_graph`.
        metric_params: not used.
        n_jobs: threads; -1 means one per hardware thread.
        random_state: not used: equal data give equal neighbors.
        verbose: not used.
        knn_kwargs: ``recall``, ``M``, ``ef_construction`` and ``seed`` of :func:`concord.knn_graph`.
    """

    VALID_METRICS: ClassVar[list[str]] = list(DISTANCES)

    def build(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Neighbors and distances ``[n, k]``, each row without itself."""
        options: dict[str, Any] = {"recall": 0.98, "M": 12, "ef_construction": 60, "seed": 42}
        unknown = set(self.knn_kwargs or {}) - set(options)
        if unknown:
            raise TypeError(f"knn_kwargs has {sorted(unknown)}; allowed are {', '.join(options)}")
        options.update(self.knn_kwargs or {})
        self._recall = options.pop("recall")
        threads = 0 if self.n_jobs is None or self.n_jobs < 1 else self.n_jobs
        distance = distance_of(self.metric)
        self.index, graph = indexed_graph(
            self.data, self.k, distance, False, self._recall, None, threads=threads, **options
        )
        return graph

    def query(
        self, query: npt.NDArray[Any], k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Neighbors and distances ``[q, k]`` of new rows among those of the data.

        They are searched as the data were, so only a ``k`` above that of the data is tuned for.
        """
        labels, distances = search_as_tuned(self.index, query, k, self.k, self._recall)
        return labels.astype(np.int64), distance_of(self.metric).values(distances)
