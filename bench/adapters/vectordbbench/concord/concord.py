"""The client. VectorDBBench copies it into many processes, an index lives in one.

So the index is a file between them: ``init`` loads it and, where vectors were added, saves it again. Each
searching process has the whole index and searches on one thread. A process that adds uses every thread.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from vectordb_bench.backend.clients.api import VectorDB

import concord

from .config import ConcordIndexConfig


class Concord(VectorDB):
    """Unfiltered vector search."""

    name = "Concord"
    thread_safe = False

    def __init__(
        self,
        dim: int,
        db_config: dict,
        db_case_config: ConcordIndexConfig,
        collection_name: str = "",
        drop_old: bool = False,
        **kwargs: Any,
    ) -> None:
        self._path = pathlib.Path(db_config["path"]).resolve()
        self._search = db_case_config.search_param()
        self._index: concord.Index | None = None
        if drop_old or not self._path.exists():
            concord.Index(dim, **db_case_config.index_param()).save(self._path)

    @contextmanager
    def init(self) -> Iterator[None]:
        """The index, in this process, until the end of the ``with`` statement."""
        self._index = concord.load(self._path, threads=1)
        before = len(self._index)
        try:
            yield
            if len(self._index) != before:
                self._index.save(self._path)
        finally:
            self._index = None

    def insert_embeddings(
        self, embeddings: list[list[float]], metadata: list[int], **kwargs: Any
    ) -> tuple[int, Exception | None]:
        """Add vectors under their ids."""
        with self._open.using(threads=0):
            try:
                return self._open.add(np.asarray(embeddings, np.float32), metadata), None
            except concord.Error as error:
                return 0, error

    def optimize(self, data_size: int | None = None) -> None:
        """Nothing is left to do: the graph is whole after every insertion."""

    def search_embedding(self, query: list[float], k: int = 100, **kwargs: Any) -> list[int]:
        """The ids nearest to a vector."""
        labels, _ = self._open.search(query, k, max(self._search["ef"], k))
        return labels.tolist()

    @property
    def _open(self) -> concord.Index:
        if self._index is None:
            raise RuntimeError("call init() first")
        return self._index
