"""The vectors of a store, whose changes happen wholly: the one place that knows how they are removed.

A replacement inserts all new vectors under new labels, and then removes the old ones. Between these steps the
store decides which of them a search may return, and gives the graph a filter of these.

What an interrupted change left in the graph is dead: no search may return it, and the next change removes it.
So does the first change of a store whose file was written while the graph could not remove.

One thread changes it at a time; searches need no lock. Labels are never used again, so a label that a search
found means the same vector or none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from concord._limits import MOST_RESULTS
from concord.index import NO_LABEL, Index


class Near(NamedTuple):
    """One result of a search."""

    label: int
    distance: float


class RemovableIndex:
    """Vectors under labels that this class gives, in the order of insertion."""

    def __init__(self, index: Index, next_label: int, dead: Iterable[int] = ()) -> None:
        self._index = index
        self._next_label = next_label
        self._dead = set(dead)

    @property
    def index(self) -> Index:
        """The graph."""
        return self._index

    def content(self) -> tuple[bytes, int, list[int]]:
        """The file of the graph, the next label, and what is dead: what :meth:`of_content` takes."""
        return self._index.to_bytes(), self._next_label, sorted(self._dead)

    @classmethod
    def of_content(
        cls, content: tuple[bytes, int, list[int]], runtime: dict[str, Any]
    ) -> RemovableIndex:
        """An equal one, with threads and a device of its own."""
        index, next_label, dead = content
        return cls(Index.from_bytes(index, **runtime), next_label, dead)

    def add(self, vectors: npt.NDArray[Any]) -> range:
        """Insert vectors ``[n, dim]``; returns their labels. All are in, or none."""
        self._remove_dead()
        labels = range(self._next_label, self._next_label + len(vectors))
        try:
            self._index.add(vectors, labels)
        except BaseException:  # Ctrl-C leaves the first of them
            left = [label for label in labels if label in self._index]
            if left:
                self._dead.update(left)
                self._next_label = labels.stop
            raise
        self._next_label = labels.stop
        return labels

    def remove(self, labels: Iterable[int]) -> None:
        """Remove vectors that no search may return any more."""
        self._dead.update(labels)
        with contextlib.suppress(MemoryError):  # the next change tries again
            self._remove_dead()

    def _remove_dead(self) -> None:
        if self._dead:
            there = [label for label in sorted(self._dead) if label in self._index]
            self._index.remove(there)
            self._dead.clear()

    def vector(self, label: int) -> npt.NDArray[np.float32]:
        """The stored vector, normalised for cosine."""
        return self._index[label]

    def search(
        self,
        query: npt.NDArray[Any],
        k: int,
        ef: int,
        slack: float,
        allowed: Iterable[int] | None,
    ) -> list[Near]:
        """The ``k`` nearest vectors whose labels are allowed, nearest first; fewer only if fewer exist.

        ``None`` allows all, also those that are dead or not shown yet.
        """
        asked = min(k, MOST_RESULTS)
        which = None if allowed is None else np.fromiter(allowed, np.uint64)
        labels, distances = self._index.search(
            query, asked, max(ef, asked), slack=slack, filter=which
        )
        pairs = zip(labels.tolist(), distances.tolist(), strict=True)
        return [Near(label, distance) for label, distance in pairs if label != NO_LABEL]
