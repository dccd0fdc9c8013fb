"""An index of a column of embeddings in a Hugging Face data set. Needs ``concord-ann[datasets]``.

It stands where FAISS does, so ``search``, ``get_nearest_examples``, their batches, ``list_indexes`` and
``drop_index`` of the data set work with it.

>>> from datasets import Dataset
>>> from concord.datasets import index_column
>>> dataset = Dataset.from_dict({"text": ["east", "north"], "embedding": [[1.0, 0.0], [0.0, 1.0]]})
>>> len(index_column(dataset, "embedding", metric="cosine").index)
2
>>> dataset.get_nearest_examples("embedding", [0.1, 0.9], k=1).examples["text"]
['north']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from concord import _extras, _scores
from concord.errors import InvalidParameterError
from concord.index import Device, Index, Vectors

if TYPE_CHECKING:
    import os

with _extras.needed("datasets", "concord.datasets"):
    from datasets import Dataset  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from datasets.search import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
        BaseIndex,
        BatchedSearchResults,
        SearchResults,
    )

BATCH = 10_000
"""Rows that are read at a time."""


class ColumnIndex(BaseIndex):  # type: ignore[misc,unused-ignore]
    """A graph whose labels are rows of the data set.

    Scores are those of FAISS there: squared distances, inner products, and in addition cosines. A row that
    was not found is -1, with a score that says nothing. Searches take the keywords of
    :meth:`concord.Index.search`. Many threads may search.
    """

    def __init__(self, index: Index) -> None:
        self.index = index

    def search(self, query: Vectors, k: int = 10, **options: Any) -> SearchResults:
        """Scores and rows of the ``k`` nearest, nearest first."""
        labels, distances = self.index.search(query, k, **options)
        return SearchResults(self._scores(distances.ravel()), labels.ravel())

    def search_batch(self, queries: Vectors, k: int = 10, **options: Any) -> BatchedSearchResults:
        """Scores and rows ``[q, k]`` of the ``k`` nearest of each query."""
        labels, distances = self.index.search(queries, k, **options)
        return BatchedSearchResults(self._scores(distances), labels)

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write the graph to a file, atomically."""
        self.index.save(file)

    @classmethod
    def load(
        cls, file: str | os.PathLike[str], *, threads: int = 0, device: Device = "auto"
    ) -> ColumnIndex:
        """Read a file that :meth:`save` wrote, checking it first. :func:`attach` gives it to a data set."""
        return cls(Index.load(file, threads=threads, device=device))

    def __repr__(self) -> str:
        return f"ColumnIndex({self.index!r})"

    def _scores(self, distances: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        metric = self.index.metric
        return distances if metric == "l2sq" else _scores.similarity(metric, distances)


def index_column(
    dataset: Dataset,
    column: str,
    index_name: str | None = None,
    *,
    metric: str = "l2sq",
    **options: Any,
) -> ColumnIndex:
    """Build an index of a column and attach it to the data set, under the column's name or ``index_name``.

    ``options`` are those of :class:`concord.Index`. The column is read in parts. If a row is refused, nothing
    is attached.
    """
    rows = dataset.with_format("arrow", columns=[column])
    if not len(rows):
        raise InvalidParameterError("the data set has no rows, so its column has no dimension")
    index: Index | None = None
    for batch in rows.iter(BATCH):
        vectors = batch.column(column)
        if index is None:
            index = Index(len(vectors[0]), metric, **options)
        index.add(vectors)
    assert index is not None
    made = ColumnIndex(index)
    attach(dataset, made, index_name or column)
    return made


def attach(dataset: Dataset, index: ColumnIndex, index_name: str) -> None:
    """Give the data set an index of its rows, which takes the place of one of the same name."""
    if len(index.index) != len(dataset):
        raise InvalidParameterError(
            f"the index has {len(index.index)} vectors, and the data set {len(dataset)} rows"
        )
    dataset._indexes[index_name] = index  # add_faiss_index does the same, and nothing public does
