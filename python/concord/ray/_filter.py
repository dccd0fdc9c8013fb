"""Filters of an index whose shards are in actors: each shard gets its part of the vectors that were chosen.

A vector is named by its label and by its number of insertion in its shard. So a filter is of the vectors that
were there when it was made, as in one process. Thread-safety: a filter never changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import ray  # type: ignore[import-not-found,unused-ignore]

from concord import filters
from concord.errors import InvalidParameterError
from concord.ray._calls import ShardUnavailableError
from concord.ray._layout import Chosen, Labels, Layout, Numbers, shown

SHARED_BYTES = 100_000
"""What is larger is put into Ray's object store once, and not sent to each shard."""

All: TypeAlias = Callable[..., "list[Any]"]
"""Calls a member of all shards. Of one that does not answer and may be missing it gives None."""


_NOTHING = Chosen(np.empty(0, np.uint64), np.empty(0, np.int64))


class Filter:
    """A part of the vectors of an index, as they were when it was made: see :meth:`ShardedIndex.filter`."""

    def __init__(self, folder: str, parts: Sequence[Any], size: int, unknown: int) -> None:
        self._folder = folder
        self._parts: list[Chosen] = list(parts)
        self._shared: list[Any] = [None] * len(self._parts)
        self.matches = sum(len(np.unique(part.numbers)) for part in parts)
        """The number of vectors that matched when the filter was made."""
        self.size = size
        """The number of vectors that there were then."""
        self.unknown = unknown
        """How many of the labels given had no vector."""

    def _argument(self, shard: int) -> Any:
        """The part of a shard as an argument of its actor's members: a reference if it is large."""
        part = self._parts[shard]
        if part.labels.nbytes <= SHARED_BYTES:
            return part
        if self._shared[shard] is None:
            self._shared[shard] = ray.put(part)
        return self._shared[shard]

    def __repr__(self) -> str:
        return f"<concord.ray.Filter of {self._folder!r}, {self.matches} of {self.size} vectors>"


class Everything:
    """The vectors of all shards in the order of positions, each shard of a moment of its own."""

    def __init__(self, folder: str, layout: Layout, all_shards: All) -> None:
        self._folder = folder
        self._layout = layout
        self._all = all_shards
        self._read: list[Chosen] | None = None
        self._missing: list[int] = []

    def _shards(self) -> list[Chosen]:
        if self._read is None:
            found: list[Chosen | None] = self._all("everything")
            self._missing = [shard for shard, one in enumerate(found) if one is None]
            self._read = [_NOTHING if one is None else one for one in found]
        return self._read

    def _expect_whole(self) -> None:
        """A place among all vectors means nothing without those of a shard."""
        self._shards()
        if self._missing:
            names = ", ".join(map(str, self._missing))
            raise ShardUnavailableError(
                self._missing,
                f"shard {names} did not answer, and a mask or a slice needs the labels of all shards; "
                "labels and callables do not, nor does a filter that was made before",
            )

    def _order(self) -> npt.NDArray[np.int64]:
        """In which the vectors of all shards, one shard after the other, are in the order of positions."""
        places = [self._layout.position(s, one.numbers) for s, one in enumerate(self._shards())]
        return np.argsort(np.concatenate(places))

    def size(self) -> int:
        """The number of vectors."""
        self._expect_whole()
        return sum(len(one.labels) for one in self._shards())

    def labels(self) -> npt.NDArray[np.int64 | np.uint64]:
        """All labels."""
        return shown(np.concatenate([one.labels for one in self._shards()])[self._order()])

    def filter_of_range(self, first: int, last: int) -> Filter:
        """Of vectors by their places."""
        mask = np.zeros(self.size(), bool)
        mask[first:last] = True
        return self._filter_of(mask)

    def filter_of_mask(self, mask: npt.NDArray[np.uint8]) -> Filter:
        """Of the vectors at places that are not 0."""
        return self._filter_of(mask != 0)

    def filter_of_bits(self, bits: npt.NDArray[np.uint8], count: int, offset: int) -> Filter:
        """Of the vectors whose bits are set."""
        unpacked = np.unpackbits(bits, bitorder="little")[offset : offset + count]
        return self._filter_of(unpacked != 0)

    def filter_of_labels(self, labels: Labels) -> Filter:
        """Of the vectors of these labels."""
        found: list[Numbers | None] = self._all("numbers", labels)
        parts = [
            _NOTHING if one is None else Chosen(labels[one >= 0], one[one >= 0]) for one in found
        ]
        sizes = [len(one.labels) for one in self._read] if self._read else self._all("size")
        size = sum(one or 0 for one in sizes)
        return Filter(self._folder, parts, size, len(labels) - sum(len(p.labels) for p in parts))

    def _filter_of(self, mask: npt.NDArray[np.bool_]) -> Filter:
        if len(mask) != self.size():
            raise InvalidParameterError(
                f"the mask is of {len(mask)} vectors; the index has {self.size()}, and it must have as many"
            )
        by_shard = np.empty(len(mask), bool)
        by_shard[self._order()] = mask
        ends = np.cumsum([len(one.labels) for one in self._shards()])
        pieces = np.split(by_shard, ends[:-1])
        parts = [
            Chosen(one.labels[piece], one.numbers[piece])
            for one, piece in zip(self._shards(), pieces, strict=True)
        ]
        return Filter(self._folder, parts, len(mask), 0)


def filter_of(folder: str, layout: Layout, all_shards: All, which: Any) -> Filter:
    """The filter that the caller means."""
    if isinstance(which, Filter):
        if which._folder != folder:
            raise InvalidParameterError(
                "the filter is of another index; make those of the index that is searched"
            )
        return which
    if isinstance(which, filters.Filter):
        raise TypeError(
            "a concord.Filter belongs to an index of this process; make one by the filter member of this"
        )
    return filters.choose(Everything(folder, layout, all_shards), which)


def filters_of(
    folder: str, layout: Layout, all_shards: All, given: Any
) -> Filter | list[Filter | None]:
    """The filter of all queries, or a list of one for each."""
    if isinstance(given, (list, tuple)) and any(map(filters.is_filter, given)):
        made: dict[int, Filter | None] = {}
        for one in given:
            if id(one) not in made:
                made[id(one)] = None if one is None else filter_of(folder, layout, all_shards, one)
        return [made[id(one)] for one in given]
    return filter_of(folder, layout, all_shards, cast("Any", given))


def argument_of(given: Filter | list[Filter | None] | None, shard: int) -> Any:
    """The part of a shard as an argument of its actor's members."""
    if given is None or isinstance(given, Filter):
        return None if given is None else given._argument(shard)
    return [None if one is None else one._argument(shard) for one in given]
