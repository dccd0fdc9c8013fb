"""What a search found: two arrays, with other ways to look at them for those who want them.

A :class:`Matches` is a tuple, made without a call of Python, so ``labels, distances = index.search(queries)``
costs what it would with a plain tuple.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Matches(NamedTuple):
    """The pair ``(labels, distances)`` of a search.

    >>> import concord
    >>> index = concord.Index(dim=2)
    >>> index.add([[0, 0], [3, 4], [6, 8]])
    3
    >>> labels, distances = index.search([0, 0], k=2)
    >>> index.search([0, 0], k=5).to_list()
    [(0, 0.0), (1, 25.0), (2, 100.0)]
    >>> [found.to_list() for found in index.search([[0, 0], [6, 8]], k=1).each()]
    [[(0, 0.0)], [(2, 0.0)]]
    """

    labels: npt.NDArray[np.int64 | np.uint64]
    """``[q, k]``, or ``[k]`` for one query; padded with :data:`concord.NO_LABEL`."""
    distances: npt.NDArray[np.float32]
    """Of the same shape; padded with infinity."""

    def to_list(self) -> list[Any]:
        """``(label, distance)`` of what was found, without padding: a list, or for a batch a list of lists."""
        if self.labels.ndim > 1:
            return [found.to_list() for found in self.each()]
        found = self.labels.view(np.int64) != -1
        return list(zip(self.labels[found].tolist(), self.distances[found].tolist(), strict=True))

    def each(self) -> Iterator[Matches]:
        """The matches of each query of a batch; of one query, these."""
        if self.labels.ndim == 1:
            yield self
        else:
            yield from map(Matches, self.labels, self.distances)


class MatchesWithVectors(NamedTuple):
    """The triple ``(labels, distances, vectors)`` of a search with ``return_vectors=True``.

    >>> import concord
    >>> index = concord.Index.from_vectors([[0, 0], [3, 4]])
    >>> found = index.search([0, 0], k=5, return_vectors=True)
    >>> [(label, distance, vector.tolist()) for label, distance, vector in found.to_list()]
    [(0, 0.0, [0.0, 0.0]), (1, 25.0, [3.0, 4.0])]
    """

    labels: npt.NDArray[np.int64 | np.uint64]
    """``[q, k]``, or ``[k]`` for one query; padded with :data:`concord.NO_LABEL`."""
    distances: npt.NDArray[np.float32]
    """Of the same shape; padded with infinity."""
    vectors: npt.NDArray[np.float32]
    """``[q, k, dim]``, or ``[k, dim]``: as stored, so normalised for cosine; padded with NaN."""

    def to_list(self) -> list[Any]:
        """``(label, distance, vector)`` of what was found, as :meth:`Matches.to_list`; vectors are arrays."""
        if self.labels.ndim > 1:
            return [found.to_list() for found in self.each()]
        found = self.labels.view(np.int64) != -1
        parts = (self.labels[found].tolist(), self.distances[found].tolist(), self.vectors[found])
        return list(zip(*parts, strict=True))

    def each(self) -> Iterator[MatchesWithVectors]:
        """The matches of each query of a batch; of one query, these."""
        if self.labels.ndim == 1:
            yield self
        else:
            yield from map(MatchesWithVectors, *self)
