"""A driver that changes the shards: it leads them, looks labels up, and sends batches that come once.

A shard counts its insertions and its removals. A part of a batch says how far the count of its kind is before
it, and the shard skips what it has done. So a call that Ray repeats does nothing twice. A shard that was
started again may lack a part that was on its way when its process ended, and gets it again, in order.
Thread-safety: one thread.
"""

from __future__ import annotations

import contextlib
import operator
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, SupportsIndex, cast

import numpy as np

from concord.errors import DuplicateLabelError, InvalidParameterError, IoError
from concord.ray import _calls
from concord.ray._layout import Labels, Numbers, repeated
from concord.ray._shard import Counts

IN_FLIGHT = 2
"""Batches that are on their way."""


class Part(NamedTuple):
    """What a shard gets of a batch."""

    shard: int
    first: int
    """The count before it."""
    growth: int
    """How much is added to it."""
    arguments: tuple[Any, ...]


class Writer:
    """Sends parts of one kind: calls of ``member``, which return the shard's count."""

    def __init__(self, actors: Sequence[Any], name: str, timeout_s: float, member: str) -> None:
        self._actors = actors
        self._name = name
        self._timeout_s = timeout_s
        self._member = member
        self._sent: deque[tuple[int, list[tuple[Any, Part]]]] = deque()

    def lead(self) -> list[Counts]:
        """From now on shards take changes of this writer alone. Returns their counts."""
        return self.all("lead", self._name)

    def all(self, member: str, *arguments: Any) -> list[Any]:
        """What a member of all shards returned, however long it takes."""
        refs = [_calls.call(actor, member, *arguments) for actor in self._actors]
        return [self.patiently(shard, ref) for shard, ref in enumerate(refs)]

    def all_own(self) -> list[Any]:
        """What the writer's own member of all shards returned."""
        return self.all(self._member, self._name)

    def one(self, shard: int, member: str, *arguments: Any) -> Any:
        """What a member of one shard returned, however long it takes."""
        return self.patiently(shard, _calls.call(self._actors[shard], member, *arguments))

    def patiently(self, shard: int, ref: Any) -> Any:
        """What a call of a shard returned, however long it takes."""
        return _calls.patient_result(self._actors[shard], shard, ref, self._timeout_s)

    def owners(self, labels: Labels) -> Numbers:
        """The shard that has each label; -1 where none has it."""
        owners = np.full(len(labels), -1)
        for shard, numbers in enumerate(self.all("numbers", labels)):
            owners[numbers >= 0] = shard
        return owners

    # ------------------------------------------------------------------------------------- sending

    def send(self, size: int, parts: Iterator[Part]) -> None:
        """Send a batch of that size to the shards that have a part of it."""
        self._sent.append((size, [(self._call(part), part) for part in parts]))

    def _call(self, part: Part) -> Any:
        actor = self._actors[part.shard]
        return _calls.call(actor, self._member, self._name, part.first, *part.arguments)

    def settle(self, left: int) -> Iterator[int]:
        """Wait until at most so many batches are on their way; gives the size of each that all shards have."""
        while len(self._sent) > left:
            size, parts = self._sent[0]
            for ref, part in parts:
                self._settle(ref, part)
            self._sent.popleft()
            yield size

    def _settle(self, ref: Any, part: Part) -> None:
        had = self.patiently(part.shard, ref)
        while had < part.first + part.growth:
            had = self.patiently(part.shard, self._call(part))
            if had < part.first:  # all before it was acknowledged
                raise IoError(
                    f"shard {part.shard} has counted {had}, and had acknowledged {part.first}; "
                    "its files are older than they were, or others"
                )

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """If what happens within raises, what is on its way comes to its end: the shards stand still then."""
        try:
            yield
        except _calls.ShardUnavailableError:
            raise
        except Exception:
            for _, parts in self._sent:
                for ref, part in parts:
                    with contextlib.suppress(Exception):
                        self.patiently(part.shard, ref)
            raise


def batch_size_of(value: object) -> int:
    """The vectors or labels of a batch. Raises :exc:`InvalidParameterError`."""
    try:
        size = operator.index(cast("SupportsIndex", value))
    except TypeError:
        size = 0
    if size < 1:
        raise InvalidParameterError(f"batch_size is {value!r}; allowed are integers from 1")
    return size


def expect_each_once(labels: Labels) -> None:
    """Raise :exc:`DuplicateLabelError` as :meth:`concord.Index.remove` does."""
    twice = repeated(labels)
    if twice is not None:
        raise DuplicateLabelError(f"label {twice} stands twice in the call; each may stand once")
