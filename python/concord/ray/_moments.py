"""What lets a search, and the numbers of what it found, be of one moment.

Only a removal or a replacement can come between the two in a way that matters: a number is missing then, or is
that of another vector. Thread-safety: any number of threads may read; changes take turns.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Moments:
    """Knows when vectors may leave."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._changes = 0  # begun and ended: odd while one is under way

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
        """What a reading returned in whose course no vector left. It is done again if one may have."""
        before = self._changes
        if before % 2 == 0:
            result = reading()
            if self._changes == before:
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
