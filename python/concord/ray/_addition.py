"""An addition to all shards: checked as a whole, then sent in batches, each of which comes once.

A batch is sent with the number that its first vector has in the shard. A shard skips what it has, so a call
that Ray repeats does nothing twice. A shard that was started again may lack a batch that was on its way when
its process ended, and gets it again, in order. Thread-safety: one thread.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from concord import _progress
from concord._labels import labels_of
from concord.errors import (
    DimensionMismatchError,
    DuplicateLabelError,
    InvalidVectorError,
    IoError,
    UnsupportedError,
)
from concord.index import Index, Progress
from concord.ray import _calls
from concord.ray._layout import Labels, Layout, expect_distinct

IN_FLIGHT = 2
"""Batches that are on their way to a shard."""

Rows = npt.NDArray[Any]
Call = tuple[Rows, Any]
"""Vectors that are taken wholly or not at all, and their labels."""


class Part(NamedTuple):
    """What a shard gets of a batch."""

    first: int
    rows: Rows
    labels: Labels


class Addition:
    """The addition of one writer."""

    def __init__(
        self,
        actors: Sequence[Any],
        layout: Layout,
        parameters: dict[str, Any],
        writer: str,
        timeout_s: float,
    ) -> None:
        self._actors = actors
        self._layout = layout
        self._writer = writer
        self._timeout_s = timeout_s
        # The library's own check of vectors: an addition that ends as soon as it has accepted them.
        self._probe = {name: parameters[name] for name in ("dim", "metric", "storage", "codes")}
        self._sent: list[deque[tuple[Any, Part]]] = [deque() for _ in actors]
        self._recent: deque[Labels] = deque()  # of batches that may be on their way

    def run(self, calls: Iterator[Call], total: int, batch_size: int, progress: Progress) -> int:
        """Add what the calls hold; returns how many vectors that were."""
        refs = [_calls.call(actor, "lead", self._writer) for actor in self._actors]
        led = [self._patiently(shard, ref) for shard, ref in enumerate(refs)]
        if any(removals for _, removals in led):
            raise UnsupportedError(
                "vectors were removed from the index; concord.ShardedIndex can add to it, in one process"
            )
        sizes = [insertions for insertions, _ in led]
        with _progress.callback(progress) as report:
            try:
                return self._run(calls, sizes, total, batch_size, report)
            except _calls.ShardUnavailableError:
                raise
            except Exception:
                self._wait_for_all()  # so that what the shards have stays as it is
                raise

    def _run(
        self,
        calls: Iterator[Call],
        sizes: Sequence[int],
        total: int,
        batch_size: int,
        report: Callable[[int, int], object] | None,
    ) -> int:
        begin = position = self._layout.resume_at(sizes)
        for rows, labels in calls:
            own = self._checked(rows, labels, position, sizes)
            for start in range(0, len(rows), batch_size):
                piece = slice(start, start + batch_size)
                self._send(position, rows[piece], own[piece])
                position += len(rows[piece])
                if report and _progress.ends(report(position - begin, total)):
                    self._settle(0)
                    return position - begin
        self._settle(0)
        return position - begin

    def _patiently(self, shard: int, ref: Any) -> Any:
        return _calls.patient_result(self._actors[shard], shard, ref, self._timeout_s)

    # ------------------------------------------------------------------------- what can be refused

    def _checked(self, rows: Rows, labels: Any, position: int, sizes: Sequence[int]) -> Labels:
        """The labels of vectors that every shard will take; raises before any shard changes."""
        self._check_vectors(rows)
        positions = np.arange(position, position + len(rows))
        own = positions.astype(np.uint64) if labels is None else labels_of(labels, len(rows))
        if len(own) != len(rows):
            raise DimensionMismatchError(f"{len(own)} labels for {len(rows)} vectors")
        expect_distinct(own, "stands twice in the call")
        self._expect_new(own, positions)
        self._compare_known(rows, own, positions, sizes)
        return own

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

    def _expect_new(self, labels: Labels, positions: npt.NDArray[np.int64]) -> None:
        """No shard may have a label, but for those that an interrupted addition left in their place."""
        refs = [_calls.call(actor, "numbers", labels) for actor in self._actors]
        shards, places = self._layout.shard_of(positions), self._layout.number(positions)
        for shard, ref in enumerate(refs):
            numbers = self._patiently(shard, ref)
            old = (numbers >= 0) & ~((shards == shard) & (numbers == places))
            if old.any():
                raise DuplicateLabelError(
                    f"label {labels[np.argmax(old)]} of vector {np.argmax(old)} is already in the index; "
                    "every label must be new"
                )
        for recent in self._recent:
            old = np.isin(labels, recent)
            if old.any():
                raise DuplicateLabelError(f"label {labels[np.argmax(old)]} is in an earlier batch")

    def _compare_known(
        self, rows: Rows, labels: Labels, positions: npt.NDArray[np.int64], sizes: Sequence[int]
    ) -> None:
        for shard, part in self._parts(rows, labels, positions):
            known = min(max(sizes[shard] - part.first, 0), len(part.rows))
            if known:
                self._patiently(
                    shard,
                    _calls.call(
                        self._actors[shard],
                        "compare",
                        part.first,
                        part.rows[:known],
                        part.labels[:known],
                    ),
                )

    # ------------------------------------------------------------------------------------- sending

    def _parts(
        self, rows: Rows, labels: Labels, positions: npt.NDArray[np.int64]
    ) -> Iterator[tuple[int, Part]]:
        """What each shard gets of a batch."""
        shards = self._layout.shard_of(positions)
        for shard in range(self._layout.shards):
            mine = np.flatnonzero(shards == shard)
            if len(mine):
                first = int(self._layout.number(positions[mine[0]]))
                yield shard, Part(first, rows[mine], labels[mine])

    def _send(self, position: int, rows: Rows, labels: Labels) -> None:
        self._settle(IN_FLIGHT - 1)
        for shard, part in self._parts(rows, labels, np.arange(position, position + len(rows))):
            ref = _calls.call(self._actors[shard], "add", self._writer, *part)
            self._sent[shard].append((ref, part))
        self._recent.append(labels)
        while len(self._recent) > IN_FLIGHT:
            self._recent.popleft()

    def _settle(self, left: int) -> None:
        """Wait until at most so many batches are on their way to each shard."""
        for shard, sent in enumerate(self._sent):
            while len(sent) > left:
                ref, part = sent[0]
                end = part.first + len(part.rows)
                had = self._patiently(shard, ref)
                while had < end:
                    again = _calls.call(self._actors[shard], "add", self._writer, *part)
                    had = self._patiently(shard, again)
                    if had < part.first:  # all before it was acknowledged
                        raise IoError(
                            f"shard {shard} has {had} vectors, and had acknowledged {part.first}; "
                            "its files are older than they were, or others"
                        )
                sent.popleft()

    def _wait_for_all(self) -> None:
        for shard, sent in enumerate(self._sent):
            for ref, _ in sent:
                with contextlib.suppress(Exception):
                    self._patiently(shard, ref)
