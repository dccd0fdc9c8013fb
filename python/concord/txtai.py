"""A txtai index backend over :class:`concord.Index`. Needs ``concord-ann[txtai]``.

txtai makes it from a configuration, whose section of the same name has the settings ``m``, ``efconstruction``,
``efsearch``, ``randomseed``, ``codes``, ``threads`` and ``device``:

.. code-block:: python

    Embeddings(backend="concord.txtai.Concord", **{"concord.txtai.Concord": {"efsearch": 128}})

One thread changes it at a time, as txtai does; any number may search.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from concord import _extras, _scores
from concord.index import Index

with _extras.needed("txtai", "concord.txtai"):
    from txtai.ann import ANN  # type: ignore[import-not-found,import-untyped,unused-ignore]

SETTINGS = {"m": "M", "efconstruction": "ef_construction", "randomseed": "seed", "codes": "codes"}
"""txtai's words for what defines the graph."""

RUNTIME = ("threads", "device")
"""What belongs to the process, and is in no file."""


class Concord(ANN):  # type: ignore[misc,unused-ignore]
    """An HNSW graph of normalised vectors, so scores are cosines.

    Deleted vectors leave the graph. Ids are never used again, as in txtai's other backends. A file is one of
    :meth:`concord.Index.save`.

    >>> import numpy as np
    >>> from txtai.ann import ANNFactory
    >>> ann = ANNFactory.create({"backend": "concord.txtai.Concord", "dimensions": 2})
    >>> ann.index(np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32))
    >>> [[id for id, score in found] for found in ann.search(np.array([[0, 1]], np.float32), 2)]
    [[1, 2]]
    >>> ann.delete([1])
    >>> ann.count()
    2
    """

    def index(self, embeddings: npt.NDArray[np.float32]) -> None:
        """A new graph of these vectors, whose ids are 0, 1, ..."""
        settings = {ours: self.setting(name) for name, ours in SETTINGS.items()}
        settings = {name: value for name, value in settings.items() if value is not None}
        index = Index(embeddings.shape[1], "inner_product", **settings, **self._runtime())
        index.add(embeddings, labels=np.arange(len(embeddings)))
        self.backend = index
        self.config["offset"] = len(embeddings)
        self.metadata({"m": index.M, "efconstruction": index.ef_construction, "seed": index.seed})

    def append(self, embeddings: npt.NDArray[np.float32]) -> None:
        """Add vectors under the ids that follow."""
        first = self.config["offset"]
        self.backend.add(embeddings, labels=np.arange(first, first + len(embeddings)))
        self.config["offset"] = first + len(embeddings)
        self.metadata()

    def delete(self, ids: list[int]) -> None:
        """Remove vectors. Unknown ids are ignored."""
        self.backend.remove([id for id in dict.fromkeys(ids) if id in self.backend])

    def search(self, queries: npt.NDArray[np.float32], limit: int) -> list[list[tuple[int, float]]]:
        """The ``limit`` nearest of each query with their scores, best first; fewer only if fewer exist."""
        ef = self.setting("efsearch", 64)
        found = self.backend.search(np.atleast_2d(queries), k=limit, ef=ef)
        return [
            [(label, _scores.similarity("inner_product", distance)) for label, distance in one]
            for one in found.to_list()
        ]

    def count(self) -> int:
        """Vectors that are not deleted."""
        return len(self.backend)

    def save(self, path: str) -> None:
        """Write the graph to a file, atomically."""
        self.backend.save(path)

    def load(self, path: str) -> None:
        """Read a graph, checking it first."""
        self.backend = Index.load(path, **self._runtime())

    def _runtime(self) -> dict[str, Any]:
        given = {name: self.setting(name) for name in RUNTIME}
        return {name: value for name, value in given.items() if value is not None}
