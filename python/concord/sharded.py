"""Independent graphs, built side by side and merged at search."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import IO, Any, NoReturn

from concord import _concord
from concord._limits import expect_names
from concord.errors import UnsupportedError
from concord.index import (
    Codes,
    Device,
    Durability,
    Index,
    Metric,
    Path,
    Storage,
    _path,
    warn_of_cut,
)


class ShardedIndex(Index):
    """An index of several independent graphs, the shards.

    The vector at position p of the order of insertion goes to shard ``p // block % shards``. Each shard is
    byte for byte the :class:`Index` of its operations. :meth:`exact_search` gives what one index gives, to the
    last bit. :meth:`Index.search` finds at least as much at the same ``ef``, for more distances, so a smaller
    ``ef`` does. All members mean what they mean for :class:`Index`; labels that are not given are
    positions. Filters, groups and cursors are of the whole.

    There are no presets and no graphs of neighbors yet: :meth:`Index.tune`, :meth:`Index.presets`,
    :meth:`Index.remember`, ``search(recall=…)`` and :meth:`Index.knn_graph` raise :exc:`UnsupportedError`. So
    do :meth:`from_vectors` and the files of other libraries. Pickles, :meth:`Index.copy`, :meth:`to_bytes` and
    :meth:`from_bytes` raise :exc:`TypeError`.

    A vector that replaces another goes to its shard. Once a vector was removed, a new one goes to the shard
    whose next position comes first by its living vectors. Ties go by position, which is the order of
    insertion while nothing was removed or replaced. Bad input is refused before any shard changes. If a shard
    fails behind that, the error names it, and each label has its old vector or its new one: repeat the call
    as :meth:`Index.upsert`.

    Args:
        dim: as for :class:`Index`.
        metric: as for :class:`Index`.
        M: as for :class:`Index`.
        ef_construction: as for :class:`Index`.
        shards: number of shards, 1 to 1,024. With ``block`` it is part of the definition.
        block: how many vectors stay together, 1 to 1,048,576.
        seed: as for :class:`Index`.
        epoch_limit: as for :class:`Index`.
        codes: as for :class:`Index`.
        storage: as for :class:`Index`.
        threads: number of threads of all shards together; 0 means one per hardware thread. ``threads`` of a
            call limits searches and removals. Additions, updates and upserts take the number of the index.
        device: as for :class:`Index`, or several, of which shard s is on the (s modulo their number)-th.

    >>> import concord, numpy as np
    >>> vectors = np.random.default_rng(1).normal(size=(1000, 16)).astype(np.float32)
    >>> index = concord.ShardedIndex(dim=16, shards=4)
    >>> index.add(vectors)
    1000
    >>> len(index), [len(index.shard(s)) for s in range(index.shards)]
    (1000, [250, 250, 250, 250])
    >>> index.search(vectors[:3], k=5, ef=64)[0][:, 0].tolist()
    [0, 1, 2]
    """

    __slots__ = ()
    _core: _concord.ShardedIndex

    def __init__(
        self,
        dim: int,
        metric: Metric = "l2sq",
        M: int = 16,
        ef_construction: int = 200,
        *,
        shards: int = 1,
        block: int = 1,
        seed: int = 42,
        epoch_limit: int = 1024,
        codes: Codes = "none",
        storage: Storage = "automatic",
        threads: int = 0,
        device: Device | Sequence[Device] = "auto",
    ) -> None:
        expect_names(metric=metric, codes=codes, storage=storage)
        self._core = _concord.ShardedIndex(
            dim,
            metric,
            M,
            ef_construction,
            seed,
            epoch_limit,
            codes,
            storage,
            shards,
            block,
            threads,
            _names(device),
        )

    @property
    def shards(self) -> int:
        """Number of shards."""
        return self._core.shards

    @property
    def block(self) -> int:
        """How many vectors stay together."""
        return self._core.block

    @property
    def resume_at(self) -> int:
        """The position of the vector that comes next; every one below is in its shard.

        After a crash, or an addition that failed, some shards may be ahead of others. Then add the same
        vectors again from here on: shards skip what they have, and refuse what differs. Once a vector was
        removed or replaced, this is the number of vectors, and nothing is skipped.
        """
        return self._core.resume_at

    def shard(self, number: int) -> Index:
        """Shard ``number``, for reading. Its labels are those of the whole.

        >>> import concord
        >>> index = concord.ShardedIndex(dim=2, shards=2)
        >>> index.add([[0, 0], [3, 4], [6, 8]])
        3
        >>> index.shard(0).labels().tolist(), index.shard(1).labels().tolist()
        ([0, 2], [1])
        """
        return Index._of(self._core.shard(number))

    def save(self, file: Path | IO[bytes]) -> None:
        """Write a folder with an index file of each shard and a manifest.

        The folder is made if it is not there. It must not hold an index yet. The files are ordinary:
        :meth:`Index.load` reads each.

        >>> import concord, os, tempfile
        >>> index = concord.ShardedIndex(dim=2, shards=2)
        >>> index.add([[0, 0], [3, 4], [6, 8]])
        3
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     index.save(folder)
        ...     sorted(os.listdir(folder))
        ...     concord.ShardedIndex.load(folder).digest() == index.digest()
        ['manifest', 'shard-0000.concord', 'shard-0001.concord']
        True
        """
        self._core.save(_folder(file))

    @classmethod
    def load(
        cls, file: Path | IO[bytes], *, threads: int = 0, device: Device | Sequence[Device] = "auto"
    ) -> ShardedIndex:
        """Read a folder that :meth:`save` or :meth:`compact` wrote."""
        return cls._of(_concord.load_shards(_folder(file), threads, _names(device)))

    @classmethod
    def map(
        cls,
        path: Path,
        *,
        check: bool = False,
        threads: int = 0,
        device: Device | Sequence[Device] = "auto",
    ) -> ShardedIndex:
        """Open a folder that :meth:`save` or :meth:`compact` wrote without reading it; see
        :meth:`Index.map`.
        """
        return cls._of(_concord.map_shards(_path(path), check, threads, _names(device)))

    @classmethod
    def open(
        cls,
        path: Path,
        dim: int | None = None,
        metric: Metric = "l2sq",
        M: int = 16,
        ef_construction: int = 200,
        *,
        shards: int = 1,
        block: int = 1,
        seed: int = 42,
        epoch_limit: int = 1024,
        codes: Codes = "none",
        storage: Storage = "automatic",
        durability: Durability = "synced",
        threads: int = 0,
        device: Device | Sequence[Device] = "auto",
    ) -> ShardedIndex:
        """Open an index in a folder whose changes survive a crash; see :meth:`Index.open`.

        An interrupted build resumes by adding the vectors from :attr:`resume_at` on. Files of shards
        that were built elsewhere are taken over if the folder has no manifest.

        >>> import concord, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     index = concord.ShardedIndex.open(folder, dim=2, shards=2)
        ...     _ = index.add([[0, 0], [3, 4], [6, 8]])
        ...     del index
        ...     concord.ShardedIndex.open(folder).resume_at
        3
        """
        expect_names(metric=metric, codes=codes, storage=storage, durability=durability)
        parameters = (
            dim,
            metric,
            M,
            ef_construction,
            seed,
            epoch_limit,
            codes,
            storage,
            shards,
            block,
        )
        index = cls._of(
            _concord.open_shards(_path(path), *parameters, durability, threads, _names(device))
        )
        warn_of_cut(path, index.stats())
        return index

    def _alone(self, member: str) -> NoReturn:
        raise UnsupportedError(f"{member}: a ShardedIndex has none yet; concord.Index does")

    @classmethod
    def from_vectors(cls, *arguments: object, **options: object) -> NoReturn:
        """Refused, because the number of shards is to be chosen: make one with it, and add the vectors."""
        raise UnsupportedError(
            "from_vectors: a ShardedIndex is made with the number of its shards, and then add is called"
        )

    def to_bytes(self) -> NoReturn:
        """Refused, as pickles and copies are: they would hold all files, and a path does the same."""
        raise TypeError("a ShardedIndex is not pickled; save() it and pass the path of the folder")

    @classmethod
    def from_bytes(cls, content: object, *, threads: int = 0, device: object = "auto") -> NoReturn:
        """Refused: a ShardedIndex is a folder of files."""
        raise TypeError("a ShardedIndex is read from a folder, by load, map or open")

    def __repr__(self) -> str:
        """The parameters, shards, threads, device and size."""
        return (
            super()
            .__repr__()
            .replace(
                "concord.Index(", f"concord.ShardedIndex(shards={self.shards}, block={self.block}, "
            )
        )


def _names(device: str | Sequence[str]) -> str:
    """Devices as the extension module reads them."""
    if isinstance(device, str):
        return device
    if not isinstance(device, Sequence) or not all(isinstance(name, str) for name in device):
        raise TypeError("device must be a str, or a list of several")
    return ",".join(device)


def _folder(file: Path | IO[Any]) -> bytes:
    if isinstance(file, (str, bytes, os.PathLike)):
        return _path(file)
    raise TypeError(
        f"a ShardedIndex is kept in a folder: a path is needed, not {type(file).__name__}"
    )
