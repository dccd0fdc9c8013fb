"""What lets a search, and the numbers of what it found, be of one moment.

Only a removal or a replacement can come between the two in a way that matters: a number is missing then, or is
that of another vector. A vector gets a number that is greater than all before. So a number that somebody has
seen before the search began was that of the same vector all the time.
Thread-safety: any number of threads may read; changes take turns.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

import numpy as np

from concord.ray._layout import NO_LABEL

TRIES = 4
"""Readings beside a change, before one waits for its end."""


class Numbered(Protocol):
    """What a reading returns: labels, and the number of each, -1 for one that has none."""

    @property
    def labels(self) -> Any:
        """Of vectors, or :data:`NO_LABEL`."""

    @property
    def numbers(self) -> Any:
        """As many."""


T = TypeVar("T", bound=Numbered)


class Moments:
    """Knows when vectors may leave."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._changes = 0  # begun and ended: odd while one is under way
        self._seen = -1  # a number that a vector has had; those below it were there as well

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Within, vectors may leave or be replaced."""
        with self._alone():
            self._changes += 1
            try:
                yield
            finally:
                self._changes += 1

    def read(self, reading: Callable[[], T]) -> T:
        """What a reading returned, in whose course none of its vectors left: else it is done again."""
        for _ in range(TRIES):
            before, seen = self._changes, self._seen
            result = reading()
            last = int(result.numbers.max(initial=-1))
            self._seen = max(self._seen, last)
            if before % 2 == 0 and self._changes == before:
                return result
            lost = (result.numbers < 0) & (result.labels != NO_LABEL)
            if last <= seen and not np.any(lost):
                return result
        with self._alone():
            return reading()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        with self._turn:  # a change that follows another one does not overtake who waits
            self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()
