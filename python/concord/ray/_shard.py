"""The actor of one shard: an :class:`concord.Index` that is open for as long as the actor lives.

Invariants: what a change has acknowledged is in the files once, whatever dies. The constructor raises nothing,
because an actor whose constructor raised is never started again. What may pass ends the process, which Ray
starts again; what stays is raised by every member.
Thread-safety: members of the group "write" take turns, those of "read" run beside them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import ray  # type: ignore[import-not-found,unused-ignore]

from concord.errors import BusyError, Error, InvalidParameterError, IoError, OutOfMemoryError
from concord.filters import Filter
from concord.index import Index
from concord.ray import _journal
from concord.ray._layout import (
    Chosen,
    Found,
    FoundInRange,
    Labels,
    Numbers,
    shard_path,
)
from concord.ray._moments import Moments, Numbered

GROUPS = {"read": 4, "write": 1}
"""Calls of each group that run at once."""

WRITES = ("add", "close", "compact", "flush", "lead", "remove")
"""The members of the group "write"; all others are of "read"."""

PIECE = 512
"""Vectors that are removed or replaced at once. A search that must wait waits for no more of them."""

REOPENING_S = 10.0
"""How long a shard whose journal could not be written waits for its searches, which hold the files."""

Rows = npt.NDArray[Any]

Kind: TypeAlias = Literal["add", "update", "upsert"]
"""Members of an index that take vectors."""

T = TypeVar("T")
N = TypeVar("N", bound=Numbered)


class Counts(NamedTuple):
    """What a shard has done since it began."""

    insertions: int
    removals: int


class ShardStatus(NamedTuple):
    """What :meth:`concord.ray.ShardedIndex.status` says of a shard: of one that is down, its number alone."""

    shard: int
    node: str | None = None
    """Ray's id of its node."""
    pid: int | None = None
    restarted: bool | None = None
    """Whether Ray has started the actor again since it was made."""
    size: int | None = None
    bytes: int | None = None
    """Memory of the index."""
    device: str | None = None
    digest: str | None = None
    """Only if it was asked for."""


def device_of(gpus: Sequence[Any], environment: Mapping[str, str]) -> str:
    """The device of an actor that was given these GPUs: none of them is the CPU, whatever it could see.

    Ray numbers the GPUs of an actor from 0, unless it was told not to.
    """
    if not gpus:
        return "cpu"
    hidden = environment.get("RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES", "").lower()
    return f"cuda:{gpus[0]}" if hidden in ("1", "true") else "cuda:0"


class Shard:
    """Shard ``number`` of a folder. ``parameters`` are those of :meth:`concord.Index.open`."""

    def __init__(
        self, folder: str, number: int, parameters: dict[str, Any], takeover_s: float
    ) -> None:
        self._number = number
        self._path = shard_path(folder, number)
        self._journal = f"{self._path}.journal"
        self._parameters = parameters
        self._writer: str | None = None  # as in the file, once the shard is open
        self._index: Index | None = None
        self._counts = Counts(0, 0)
        self._is_settled = threading.Event()  # cleared while the files are opened again
        self._is_settled.set()
        self._moments = Moments()
        self._refused: Exception = IoError(f"{self._path!r} is closed")
        try:
            context = ray.get_runtime_context()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Ray's own, of its own code
                self._restarted = bool(context.was_current_actor_reconstructed)
            self._node = context.get_node_id()
            self._device = device_of(ray.get_gpu_ids(), os.environ)
        except Exception as error:  # of Ray, whose head may be away
            _leave(f"shard {number} does not know where it is: {error}")
        self._begin(takeover_s)

    # ------------------------------------------------------------------------------- life of the index

    def _begin(self, takeover_s: float) -> None:
        """Open the files. One that is started again takes them from its former self, and from nobody else."""
        end = time.monotonic() + takeover_s
        while self._index is None:
            try:
                self._open()
            except (IoError, OutOfMemoryError) as error:
                if not _journal.is_locked(self._journal):
                    if self._restarted:
                        _leave(f"shard {self._number} cannot be opened now: {error}")
                    self._refused = error
                    return
                if time.monotonic() < end:
                    time.sleep(0.05)
                elif self._restarted:
                    _journal.take_over(self._journal)
                else:
                    self._refused = error
                    return
            except Exception as error:
                self._refused = error
                return

    def _open(self) -> None:
        self._writer = _journal.writer_of(self._path)
        index = Index.open(self._path, **self._parameters, device=self._device)
        self._file = _journal.identity(self._journal)
        # The statistics take long, so insertions are counted from here on.
        self._counts = _counts(index, index.stats().insertions)
        self._moments = Moments()  # numbers of an index that was ahead of its journal come again
        self._index = index

    def _count(self, insertions: int) -> None:
        self._counts = _counts(self._opened(), insertions)

    def _opened(self) -> Index:
        self._is_settled.wait()
        index = self._index  # another thread may set it
        if index is None:
            raise self._refused
        return index

    def _changing(self, change: Callable[[Index], T]) -> T:
        """Do what writes files. Who finds that another process has them must not answer any more.

        After another failure the index in memory may be ahead of its journal, so it is opened again.
        """
        try:
            result = change(self._opened())
            self._expect_own()
            return result
        except IoError as error:
            self._expect_own()
            traceback.clear_frames(error.__traceback__)  # they would keep the index, and its lock
            failure = error.with_traceback(None)
        except Error:
            self._count(self._opened().stats().insertions)
            raise
        self._is_settled.clear()
        try:
            self._index, self._refused = None, failure
            self._reopen(REOPENING_S)
        finally:
            self._is_settled.set()
        raise failure

    def _expect_own(self) -> None:
        if _journal.identity(self._journal) != self._file:
            _leave(f"shard {self._number} was taken over")

    def _reopen(self, patience_s: float) -> None:
        """Open the files, which searches of the index before may have for a while; else keep why not."""
        end = time.monotonic() + patience_s
        while self._index is None:
            try:
                self._open()
            except Error as error:
                self._refused = error.with_traceback(None)
                if not _journal.is_locked(self._journal) or time.monotonic() > end:
                    return
                time.sleep(0.02)

    def ready(self) -> bool:
        """Whether the shard was started again; raises why it cannot be opened."""
        self._opened()
        return self._restarted

    def close(self) -> None:
        """Write what is left and give the lock back."""
        self._index, self._refused = None, IoError(f"{self._path!r} is closed")

    # ------------------------------------------------------------------------------------- changes

    def lead(self, writer: str) -> Counts:
        """From now on take changes of this writer alone, also after a restart. Returns :meth:`counts`."""
        if self._index is None:
            self._reopen(0)
        self._opened()
        if writer != self._writer:
            _journal.note_writer(self._path, writer)
        self._writer = writer
        return self.counts()

    def _expect_writer(self, writer: str) -> None:
        if self._writer != writer:
            raise BusyError("another change, or another driver, has begun to change the index")

    def add(self, writer: str, first: int, rows: Rows, labels: Labels, kind: Kind = "add") -> int:
        """Have ``rows`` as the vectors of number ``first`` on. Those that are there are compared and skipped.

        Returns how many vectors the shard has taken then. If it lacks some before ``first``, nothing is done.

        Args:
            writer: as for :meth:`lead`.
            first: how many vectors the shard takes before.
            rows: the vectors.
            labels: one for each.
            kind: whether they take the places of those that have the labels now.
        """
        self._expect_writer(writer)
        self._opened()
        known = min(self._counts.insertions - first, len(rows))
        if known < 0 or not len(rows):
            return self._counts.insertions
        if known > 0:
            self.compare(first, rows[:known], labels[:known])
        step = len(rows) if kind == "add" else PIECE
        for begin in range(known, len(rows), step):
            piece = slice(begin, min(begin + step, len(rows)))
            self._take(rows[piece], labels[piece], kind)
        return self._counts.insertions

    def _take(self, rows: Rows, labels: Labels, kind: Kind) -> None:
        with contextlib.nullcontext() if kind == "add" else self._moments.changing():
            self._changing(lambda index: getattr(index, kind)(rows, labels))
        self._count(self._counts.insertions + len(rows))

    def remove(self, writer: str, first: int, labels: Labels) -> int:
        """Remove the vectors of these labels, where the shard has removed so many before.

        Returns how many it has removed then. Those that it has removed already are skipped, as in :meth:`add`.
        """
        self._expect_writer(writer)
        done = self.counts().removals - first
        if done >= 0:
            for begin in range(done, len(labels), PIECE):
                self._remove(labels[begin : begin + PIECE])
        return self._counts.removals

    def _remove(self, labels: Labels) -> None:
        with self._moments.changing():
            self._changing(lambda index: index.remove(labels))
        self._count(self._counts.insertions)

    def flush(self, writer: str) -> None:
        """As :meth:`concord.Index.flush`, which does nothing if nothing was removed since the last."""
        self._expect_writer(writer)
        self._changing(lambda index: index.flush())

    def compact(self, writer: str) -> None:
        """As :meth:`concord.Index.compact`."""
        self._expect_writer(writer)

        def rewrite(index: Index) -> None:
            index.compact()
            self._file = _journal.identity(self._journal)

        self._changing(rewrite)

    # --------------------------------------------------------------------------------------- reading

    def compare(self, first: int, rows: Rows, labels: Labels) -> None:
        """Raise unless these are the vectors of number ``first`` on."""
        index = self._opened()
        numbers = np.arange(first, first + len(rows))
        there = self.numbers(labels) == numbers
        if there.all():
            # As they are stored: normalised, rounded. Its graph is as small as there is one.
            own = Index(index.dim, index.metric, 2, 1, storage=index.storage, threads=1)
            own.add(rows)
            stored = index[labels].view(np.uint32)
            there = (stored == own[np.arange(len(rows))].view(np.uint32)).all(axis=1)
        if not there.all():
            raise InvalidParameterError(
                f"vector {int(numbers[np.argmin(there)])} of the shard is not the one that an interrupted "
                "addition left; the same vectors and labels must come again from resume_at on"
            )

    def counts(self) -> Counts:
        """Insertions and removals ever."""
        self._opened()
        return self._counts

    def numbers(self, labels: Labels) -> Numbers:
        """As :meth:`concord.Index.insertion_numbers`, for any 64 bits."""
        return _numbers(self._opened(), labels)

    def search(
        self,
        queries: Rows,
        k: int,
        ef: int,
        options: dict[str, Any],
        exactly: bool,
        chosen: Chosen | list[Any] | None = None,
    ) -> Found:
        """What :meth:`concord.Index.search` finds, with the numbers that the merge needs."""
        chosen = _fetched(chosen)

        def found(index: Index) -> Found:
            filtered = options if chosen is None else {**options, "filter": _filters(index, chosen)}
            return found_in(index, queries, k, ef, filtered, exactly)

        return self._read(found)

    def range_search(
        self,
        queries: Rows,
        arguments: tuple[Any, ...],
        chosen: Chosen | list[Any] | None,
    ) -> FoundInRange:
        """What :meth:`concord.Index.range_search` finds, with the numbers that the merge needs."""
        chosen = _fetched(chosen)

        def found(index: Index) -> FoundInRange:
            filters = None if chosen is None else _filters(index, chosen)
            lims, labels, distances = index.range_search(queries, *arguments, filter=filters)
            own = np.ascontiguousarray(labels).view(np.uint64)
            return FoundInRange(lims, own, distances, _numbers(index, own))

        return self._read(found)

    def everything(self) -> Chosen:
        """All vectors that are there now."""

        def read(index: Index) -> Chosen:
            labels = index.labels().view(np.uint64)
            return Chosen(labels, _numbers(index, labels))

        return self._read(read)

    def _read(self, reading: Callable[[Index], N]) -> N:
        """What was read at one moment of the index that is open."""
        moments, index = self._moments, self._opened()
        while moments is not self._moments:  # both must be of one index
            moments, index = self._moments, self._opened()
        return moments.read(lambda: reading(index))

    def size(self) -> int:
        """The number of vectors."""
        return len(self._opened())

    def labels(self) -> Labels:
        """All labels."""
        return self._opened().labels().view(np.uint64)

    def digest(self) -> str:
        """As :meth:`concord.Index.digest`."""
        return self._opened().digest()

    def status(self) -> ShardStatus:
        """Where the shard is and what it holds."""
        index = self._opened()
        return ShardStatus(
            self._number,
            self._node,
            os.getpid(),
            self._restarted,
            len(index),
            index.memory().total,
            self._device,
        )


def _counts(index: Index, insertions: int) -> Counts:
    return Counts(insertions, insertions - len(index))


def found_in(
    index: Index, queries: Rows, k: int, ef: int, options: dict[str, Any], exactly: bool
) -> Found:
    """What a search of one shard finds. ``queries`` are ``[q, dim]``."""
    found = (
        index.exact_search(queries, k, **options)
        if exactly
        else index.search(queries, k, ef, **options)
    )
    labels = np.ascontiguousarray(found.labels).view(np.uint64)
    numbers = _numbers(index, labels.reshape(-1)).reshape(labels.shape)
    return Found(labels, found.distances, numbers)


def _fetched(chosen: Chosen | list[Any] | None) -> Chosen | list[Chosen | None] | None:
    """What was chosen, in the place of references in a list; each is fetched once."""
    if chosen is None or isinstance(chosen, Chosen):
        return chosen
    refs = list({one for one in chosen if isinstance(one, ray.ObjectRef)})
    parts = dict(zip(refs, ray.get(refs), strict=True))
    return [parts[one] if isinstance(one, ray.ObjectRef) else one for one in chosen]


def _filters(index: Index, chosen: Chosen | list[Chosen | None]) -> Filter | list[Filter | None]:
    """The filter of all queries, or a list of one for each. One that stands there again is made once."""
    if isinstance(chosen, Chosen):
        return _filter(index, chosen)
    made = {id(one): None if one is None else _filter(index, one) for one in chosen}
    return [made[id(one)] for one in chosen]


def _filter(index: Index, chosen: Chosen) -> Filter:
    """The vectors that were chosen and are still there: a label may have another vector by now."""
    return index.filter(chosen.labels[_numbers(index, chosen.labels) == chosen.numbers])


def _numbers(index: Index, labels: Labels) -> Numbers:
    """As :meth:`concord.Index.insertion_numbers`, for any 64 bits: padding has none."""
    return index._alone("insertion_numbers").insertion_numbers(labels).view(np.int64)


def _leave(reason: str) -> None:
    """End the process, so that Ray starts the actor again. Nothing is written any more."""
    print(f"concord.ray: {reason}", flush=True)
    time.sleep(0.5)  # what passes takes its time
    os._exit(1)
