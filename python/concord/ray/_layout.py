"""Where a vector is, and how answers of shards become one: arithmetic on arrays, without Ray.

The rules are those of :class:`concord.ShardedIndex` (docs/shards.md), so that its answers are the same to the
last bit. Thread-safety: plain values.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from concord.errors import DuplicateLabelError
from concord.matches import Matches

Numbers = npt.NDArray[np.int64]
Labels = npt.NDArray[np.uint64]

NO_LABEL = np.uint64(2**64 - 1)
"""In the places where nothing was found."""

DEALT_AT_ONCE = 1 << 14
"""New vectors whose shards are found at once, which bounds the memory for it."""


class Found(NamedTuple):
    """What one shard found: ``[q, k]`` each, padded as :class:`concord.Matches` is, numbers with -1."""

    labels: Labels
    distances: npt.NDArray[np.float32]
    numbers: Numbers
    """How many vectors the shard took before this one."""


class Chosen(NamedTuple):
    """Vectors of one shard."""

    labels: Labels
    numbers: Numbers


class FoundInRange(NamedTuple):
    """What a range search of one shard found: of query ``i`` the hits from ``lims[i]`` to ``lims[i + 1]``."""

    lims: Numbers
    labels: Labels
    distances: npt.NDArray[np.float32]
    numbers: Numbers
    """How many vectors the shard took before each."""


class Layout(NamedTuple):
    """How positions of the order of insertion are dealt to shards."""

    shards: int
    block: int

    def shard_of(self, positions: Numbers) -> Numbers:
        """The shard of each position."""
        return positions // self.block % self.shards

    def number(self, positions: Numbers) -> Numbers:
        """How many vectors its shard has before that of each position."""
        return positions // self.block // self.shards * self.block + positions % self.block

    def position(self, shards: int | Numbers, numbers: Numbers) -> Numbers:
        """The position of the vectors that a shard, or one each, took after so many others."""
        return (numbers // self.block * self.shards + shards) * self.block + numbers % self.block

    def dealt(self, living: Sequence[int], count: int) -> Numbers:
        """The shards of new vectors, where shards have so many.

        Each goes to the shard whose next position comes first.
        """
        has, shards = np.array(living), np.empty(count, np.int64)
        for begin in range(0, count, DEALT_AT_ONCE):
            piece = shards[begin : begin + DEALT_AT_ONCE]
            offers = [self.position(s, size + np.arange(len(piece))) for s, size in enumerate(has)]
            piece[:] = np.argsort(np.stack(offers), axis=None)[: len(piece)] // len(piece)
            has = has + np.bincount(piece, minlength=self.shards)
        return shards

    def resume_at(self, sizes: Sequence[int]) -> int:
        """The first position that is not in its shard, when shards have taken so many vectors."""
        return min(int(self.position(shard, np.array(size))) for shard, size in enumerate(sizes))

    def merged(self, answers: Sequence[tuple[int, Found]], queries: int, k: int) -> Matches:
        """The ``k`` nearest of what shards found, by (distance, position)."""
        labels = np.full((queries, k), NO_LABEL, np.uint64)
        distances = np.full((queries, k), np.inf, np.float32)
        if answers:
            found = [found for _, found in answers]
            places = [
                self.position(
                    shard, _in_turn(found.numbers, found.distances, np.arange(queries)[:, None])
                )
                for shard, found in answers
            ]
            all_labels = np.hstack([one.labels for one in found])
            all_distances = np.hstack([one.distances for one in found])
            is_padding = np.hstack([one.numbers for one in found]) < 0
            _pad_later(all_labels, all_distances, is_padding, np.hstack(places))
            order = np.lexsort((np.hstack(places), _ordered(all_distances), is_padding))[:, :k]
            labels[:, : order.shape[1]] = np.take_along_axis(all_labels, order, 1)
            distances[:, : order.shape[1]] = np.take_along_axis(all_distances, order, 1)
        return Matches(shown(labels), distances)

    def merged_ranges(
        self, answers: Sequence[FoundInRange], queries: int, limit: int | None
    ) -> tuple[Numbers, npt.NDArray[np.int64 | np.uint64], npt.NDArray[np.float32]]:
        """The hits of all shards by (distance, position), and of each query the first ``limit``."""
        asked = [np.repeat(np.arange(queries), np.diff(one.lims)) for one in answers]
        query = np.concatenate(asked)
        labels = np.concatenate([one.labels for one in answers])
        distances = np.concatenate([one.distances for one in answers])
        places = np.concatenate(
            [
                self.position(shard, _in_turn(one.numbers, one.distances, asked[shard]))
                for shard, one in enumerate(answers)
            ]
        )
        order = np.lexsort((places, _ordered(distances), query))
        first = np.lexsort((np.arange(len(order)), labels[order], query[order]))
        is_later = np.zeros(len(order), bool)  # a label that came to another shard meanwhile
        by_label = np.stack([query[order][first], labels[order][first].view(np.int64)])
        is_later[first[1:]] = (by_label[:, 1:] == by_label[:, :-1]).all(axis=0)
        order = order[~is_later]
        begins = np.searchsorted(query[order], np.arange(queries + 1))
        if limit is not None:
            order = order[np.arange(len(order)) - begins[query[order]] < limit]
            begins = np.searchsorted(query[order], np.arange(queries + 1))
        return begins, shown(labels[order]), distances[order]


def _in_turn(
    numbers: Numbers, distances: npt.NDArray[np.float32], queries: npt.NDArray[np.int64]
) -> Numbers:
    """Numbers by which hits sort as a merge of lists takes them, which looks at the first of each list alone.

    A list is in order of distance. If the first of several equal vectors was removed, the others stand in its
    place, and hits of one distance need not be in order of their numbers. A hit then waits for those before it.
    """
    flat = numbers.reshape(-1)
    same = _ordered(distances).reshape(-1)
    of = np.broadcast_to(queries, numbers.shape).reshape(-1)
    follows = (same[1:] == same[:-1]) & (of[1:] == of[:-1])
    if not (follows & (flat[1:] < flat[:-1]) & (flat[1:] >= 0)).any():
        return numbers
    known, ranks = np.unique(flat, return_inverse=True)
    base = np.concatenate([[0], np.cumsum(~follows)]) * len(known)
    waits = np.maximum.accumulate(base + ranks) - base
    return np.where(flat < 0, flat, known[waits]).reshape(numbers.shape)


def _pad_later(
    labels: Labels,
    distances: npt.NDArray[np.float32],
    is_padding: npt.NDArray[np.bool_],
    places: Numbers,
) -> None:
    """A label that came to another shard during the search stands in two: its later place is padding."""
    ordered = np.sort(labels, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NO_LABEL)
    for row in np.flatnonzero(twice.any(axis=1)):
        order = np.lexsort((places[row], _ordered(distances[row]), is_padding[row]))
        _, first = np.unique(labels[row][order], return_index=True)
        later = np.setdiff1d(order, order[first])
        labels[row, later], distances[row, later], is_padding[row, later] = NO_LABEL, np.inf, True


def shown(labels: Labels) -> npt.NDArray[np.int64 | np.uint64]:
    """Labels as :class:`concord.Index` gives them: int64, unless one does not fit."""
    fits = not len(labels) or not ((labels > np.iinfo(np.int64).max) & (labels != NO_LABEL)).any()
    return labels.view(np.int64) if fits else labels


def _ordered(distances: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Integers in the order of the distances, with -0 before 0 (common/base/key.hpp)."""
    bits = np.ascontiguousarray(distances).view(np.uint32)
    sign = np.uint32(1 << 31)
    return np.where(bits & sign, ~bits, bits | sign)


def shard_path(folder: str, shard: int) -> str:
    """The index file of a shard (common/FORMAT.md)."""
    return os.path.join(folder, f"shard-{shard:04d}.concord")


def repeated(labels: Labels) -> np.uint64 | None:
    """A label that is there twice."""
    ordered = np.sort(labels)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return twice[0] if len(twice) else None


def expect_distinct(labels: Labels, where: str) -> None:
    """Raise :exc:`DuplicateLabelError` if a label is there twice."""
    twice = repeated(labels)
    if twice is not None:
        raise DuplicateLabelError(f"label {twice} {where}; every label must be new")
