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


class Found(NamedTuple):
    """What one shard found: ``[q, k]`` each, padded as :class:`concord.Matches` is, numbers with -1."""

    labels: Labels
    distances: npt.NDArray[np.float32]
    numbers: Numbers
    """How many vectors the shard took before this one."""


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

    def position(self, shard: int, numbers: Numbers) -> Numbers:
        """The position of the vectors that a shard took after so many others."""
        return (numbers // self.block * self.shards + shard) * self.block + numbers % self.block

    def resume_at(self, sizes: Sequence[int]) -> int:
        """The first position that is not in its shard, when shards have taken so many vectors."""
        return min(int(self.position(shard, np.array(size))) for shard, size in enumerate(sizes))

    def merged(self, answers: Sequence[tuple[int, Found]], queries: int, k: int) -> Matches:
        """The ``k`` nearest of what shards found, by (distance, position)."""
        labels = np.full((queries, k), np.iinfo(np.uint64).max, np.uint64)
        distances = np.full((queries, k), np.inf, np.float32)
        if answers:
            found = [found for _, found in answers]
            places = [self.position(shard, found.numbers) for shard, found in answers]
            all_labels = np.hstack([one.labels for one in found])
            all_distances = np.hstack([one.distances for one in found])
            is_padding = np.hstack([one.numbers for one in found]) < 0
            order = np.lexsort((np.hstack(places), _ordered(all_distances), is_padding))[:, :k]
            labels[:, : order.shape[1]] = np.take_along_axis(all_labels, order, 1)
            distances[:, : order.shape[1]] = np.take_along_axis(all_distances, order, 1)
        fits = not len(labels) or not ((labels > np.iinfo(np.int64).max) & (labels + 1 != 0)).any()
        return Matches(labels.view(np.int64) if fits else labels, distances)


def _ordered(distances: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Integers in the order of the distances, with -0 before 0 (common/base/key.hpp)."""
    bits = np.ascontiguousarray(distances).view(np.uint32)
    sign = np.uint32(1 << 31)
    return np.where(bits & sign, ~bits, bits | sign)


def shard_path(folder: str, shard: int) -> str:
    """The index file of a shard (common/FORMAT.md)."""
    return os.path.join(folder, f"shard-{shard:04d}.concord")


def expect_distinct(labels: Labels, where: str) -> None:
    """Raise :exc:`DuplicateLabelError` if a label is there twice."""
    ordered = np.sort(labels)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(twice):
        raise DuplicateLabelError(f"label {twice[0]} {where}; every label must be new")
