"""An addition to all shards, or a replacement: checked as a whole, then sent in batches that come once.

Where a vector goes, and its label if it has none, follow from the sequence of operations, as in
:class:`concord.ShardedIndex` (docs/shards.md). Thread-safety: one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from concord import _progress
from concord._labels import labels_of
from concord.errors import (
    DimensionMismatchError,
    DuplicateLabelError,
    InvalidVectorError,
    UnknownLabelError,
)
from concord.index import Index, Progress
from concord.ray._layout import Labels, Layout, Numbers, expect_distinct
from concord.ray._shard import Kind
from concord.ray._writer import IN_FLIGHT, Part, Writer, batch_size_of, expect_each_once

Rows = npt.NDArray[Any]
Call = tuple[Rows, Any]
"""Vectors that are taken wholly or not at all, and their labels."""


class Dealt(NamedTuple):
    """Vectors of a call, and where each goes."""

    rows: Rows
    labels: Labels
    shards: Numbers
    numbers: Numbers
    """How many vectors the shard has taken before each."""

    def part(self, which: Any) -> Dealt:
        """Some of them."""
        return Dealt(*(array[which] for array in self))

    def by_shard(self, shards: int) -> Iterator[tuple[int, Dealt]]:
        """What each shard has of them, if any."""
        for shard in range(shards):
            mine = np.flatnonzero(self.shards == shard)
            if len(mine):
                yield shard, self.part(mine)


class Addition:
    """The addition of one writer, or its replacement of vectors."""

    def __init__(
        self, writer: Writer, layout: Layout, parameters: dict[str, Any], kind: Kind
    ) -> None:
        self._writer = writer
        self._layout = layout
        self._kind = kind
        # The library's own check of vectors: an addition that ends as soon as it has accepted them.
        self._probe = {name: parameters[name] for name in ("dim", "metric", "storage", "codes")}
        self._recent: list[Labels] = []  # of batches that may be on their way

    def run(self, calls: Iterator[Call], total: int, batch_size: int, progress: Progress) -> int:
        """Take what the calls hold; returns how many vectors that were."""
        batch_size = batch_size_of(batch_size)
        counts = self._writer.lead()
        self._insertions = np.array([one.insertions for one in counts])
        self._living = self._insertions - [one.removals for one in counts]
        # The next position, as long as vectors go by position.
        self._position: int | None = None
        if self._kind == "add" and not any(one.removals for one in counts):
            self._position = self._layout.resume_at(self._insertions.tolist())
        with _progress.callback(progress) as report, self._writer.sending():
            return self._run(calls, total, batch_size, report)

    def _run(
        self,
        calls: Iterator[Call],
        total: int,
        batch_size: int,
        report: Callable[[int, int], object] | None,
    ) -> int:
        sent = done = 0

        def goes_on(left: int) -> bool:
            nonlocal done
            for size in self._writer.settle(left):
                done += size
                if report and _progress.ends(report(done, total)):
                    return False
            return True

        for rows, labels in calls:
            call = self._checked(rows, labels)
            for start in range(0, len(rows), batch_size):
                if not goes_on(IN_FLIGHT - 1):
                    report = None  # it has had its say
                    goes_on(0)
                    return sent
                batch = call.part(slice(start, start + batch_size))
                self._send(batch)
                sent += len(batch.rows)
        while not goes_on(0):
            report = None
        return sent

    def _send(self, batch: Dealt) -> None:
        parts = (
            Part(
                shard,
                int(part.numbers[0]),
                len(part.rows),
                (part.rows, part.labels, self._kind),
            )
            for shard, part in batch.by_shard(self._layout.shards)
        )
        self._writer.send(len(batch.rows), parts)
        self._recent = [*self._recent, batch.labels][-IN_FLIGHT:]

    # ------------------------------------------------------------------------- what can be refused

    def _checked(self, rows: Rows, labels: Any) -> Dealt:
        """A call that every shard will take; raises before any shard changes."""
        by_position = labels is None and self._kind == "add"
        own = None if by_position else labels_of(labels, len(rows))
        if own is not None and len(own) != len(rows):
            raise DimensionMismatchError(f"{len(own)} labels for {len(rows)} vectors")
        self._check_vectors(rows)
        call = self._dealt(rows, own)
        if self._kind == "add":
            expect_distinct(call.labels, "stands twice in the call")
            self._expect_new(call)
            self._compare_known(call)
        taken = np.bincount(call.shards, minlength=self._layout.shards)
        self._insertions = np.maximum(self._insertions, self._ends(call, taken))
        return call

    def _ends(self, call: Dealt, taken: Numbers) -> Numbers:
        """How many vectors each shard has taken at the end of a call."""
        ends = self._insertions.copy()
        if self._position is None:
            return ends + taken
        np.maximum.at(ends, call.shards, call.numbers + 1)
        self._position += len(call.rows)
        return ends

    def _dealt(self, rows: Rows, labels: Labels | None) -> Dealt:
        """Where the vectors of a call go."""
        count = len(rows)
        if self._position is not None:
            positions = np.arange(self._position, self._position + count)
            shards, numbers = self._layout.shard_of(positions), self._layout.number(positions)
        else:
            shards = self._owners(labels) if labels is not None else np.full(count, -1)
            new = shards < 0
            shards[new] = self._layout.dealt(self._living.tolist(), int(new.sum()))
            self._living = self._living + np.bincount(shards[new], minlength=self._layout.shards)
            numbers = np.empty(count, np.int64)
            for shard, first in enumerate(self._insertions):
                mine = np.flatnonzero(shards == shard)
                numbers[mine] = first + np.arange(len(mine))
        if labels is None:
            labels = self._layout.position(shards, numbers).astype(np.uint64)
        return Dealt(rows, labels, shards, numbers)

    def _owners(self, labels: Labels) -> Numbers:
        """The shards of the vectors that are replaced; -1 for those that are new."""
        if self._kind == "add":
            return np.full(len(labels), -1)
        owners = self._writer.owners(labels)
        expect_each_once(labels[owners >= 0])
        if self._kind == "update" and (owners < 0).any():
            refuse_unknown(labels, owners)
        expect_each_once(labels[owners < 0])
        return owners

    def _check_vectors(self, rows: Rows) -> None:
        for start in range(0, len(rows), 1 << 16):
            piece = rows[start : start + (1 << 16)]
            probe = Index(
                **self._probe, M=2, ef_construction=1, epoch_limit=1, threads=1, device="cpu"
            )
            try:
                probe.add(piece, progress=lambda done, total: False)
            except InvalidVectorError as error:
                where = f"of the vectors from {start} on: " if start else ""
                raise InvalidVectorError(f"{where}{error}") from None

    def _expect_new(self, call: Dealt) -> None:
        """No shard may have a label, but for those that an interrupted addition left in their place."""
        for shard, numbers in enumerate(self._writer.all("numbers", call.labels)):
            old = (numbers >= 0) & ~((call.shards == shard) & (call.numbers == numbers))
            if old.any():
                raise DuplicateLabelError(
                    f"label {call.labels[np.argmax(old)]} of vector {np.argmax(old)} is already in the "
                    "index; every label must be new"
                )
        for recent in self._recent:
            old = np.isin(call.labels, recent)
            if old.any():
                raise DuplicateLabelError(
                    f"label {call.labels[np.argmax(old)]} is in an earlier batch"
                )

    def _compare_known(self, call: Dealt) -> None:
        known = call.part(np.flatnonzero(call.numbers < self._insertions[call.shards]))
        for shard, part in known.by_shard(self._layout.shards):
            self._writer.one(shard, "compare", int(part.numbers[0]), part.rows, part.labels)


def refuse_unknown(labels: Labels, owners: Numbers) -> None:
    """Raise :exc:`UnknownLabelError` for the first label that no shard has."""
    number = int(np.argmin(owners))
    raise UnknownLabelError(f"no vector has label {labels[number]}, number {number} of the call")
