"""Cursors: searches that go on, page by page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from concord import _concord

if TYPE_CHECKING:
    from concord.matches import Matches


class Cursor:
    """The vectors near one query, in pages: see :meth:`Index.cursor`.

    Iterating gives pages of ``k`` vectors until nothing is left. Threads that use one cursor take turns.
    """

    __slots__ = ("_core", "_k")

    def __init__(self, core: _concord.Cursor, k: int) -> None:
        if not isinstance(core, _concord.Cursor):
            raise TypeError("cursors are made by Index.cursor, because each belongs to an index")
        self._core = core
        self._k = k

    def next(self, k: int | None = None) -> Matches:
        """The next page.

        Args:
            k: vectors wanted, 0 to 65,536; by default the ``k`` that the cursor was made with.

        Returns:
            ``(labels, distances)`` of the nearest vectors that no page has given yet, nearest first. Fewer
            than ``k`` mean that nothing is left.
        """
        return self._core.next(self._k if k is None else k)

    @property
    def given(self) -> int:
        """The number of vectors given so far."""
        return self._core.given

    def __iter__(self) -> Iterator[Matches]:
        return self

    def __next__(self) -> Matches:
        page = self.next()
        if len(page[0]) == 0:
            raise StopIteration
        return page

    def __repr__(self) -> str:
        return f"concord.Cursor({self.given} vectors given)"
