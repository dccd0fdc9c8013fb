"""An index that follows the files of one that another process changes."""

from __future__ import annotations

from typing import NamedTuple

from concord import _concord
from concord.index import Device, Durability, Index, Path, _path, warn_of_cut


class ReplicaLag(NamedTuple):
    """How far a replica is behind what the writer cannot lose any more."""

    operations: int
    """Insertions and removals; an update is one of each."""

    bytes: int
    """Bytes of the journal that :meth:`Replica.catch_up` would read."""


class Replica:
    """An index that follows one which another process has opened with :meth:`Index.open` and changes.

    It reads the index file and the journal, takes no lock, and does what the journal records. So it costs a
    small part of the writer's work and ends with the same digest. It never has a change that a crash can still
    take from the writer.

    Args:
        path: path of the index file. Without a journal beside it :exc:`MissingFileError` is raised.
        threads: as for :class:`Index`.
        device: as for :class:`Index`.

    Any thread may call any member. Calls of :meth:`catch_up`, :meth:`lag` and :meth:`promote` take turns;
    searches run beside them. All release the GIL.

    >>> import concord, os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "two.concord")
    ...     index = concord.Index.open(path, dim=2)  # in another process, mostly
    ...     replica = concord.Replica(path)
    ...     _ = index.add([[0, 0], [3, 4]])
    ...     replica.lag().operations, replica.catch_up(), len(replica.index())
    ...     replica.index().digest() == index.digest()
    (2, 2, 2)
    True
    """

    __slots__ = ("__weakref__", "_path", "_replica")

    def __init__(self, path: Path, *, threads: int = 0, device: Device = "auto") -> None:
        self._path = path
        self._replica = _concord.Replica(_path(path), threads, device)

    def catch_up(self) -> int:
        """Do all that the writer has recorded and cannot lose; does not wait for it.

        Returns:
            How many insertions and removals that was. An update is one of each, and a flush none.

        Raises:
            DivergedError: the files have another history than the replica. Then every later call raises it.
            CorruptFileError: a record is damaged. The replica has the records before it and can be searched.
            IoError: a file cannot be read. The replica may try again.
        """
        return self._replica.catch_up()

    def index(self) -> Index:
        """The index, to be searched and read beside :meth:`catch_up`.

        Changing it raises :exc:`UnsupportedError`. A replica that missed several compactions reads the files
        anew and has another index from then on. So call this for each search, or after each :meth:`catch_up`.
        """
        return Index._of(self._replica.index())

    def lag(self) -> ReplicaLag:
        """How far the replica is behind; raises as :meth:`catch_up`."""
        return ReplicaLag(*self._replica.lag())

    def promote(self, *, durability: Durability = "synced") -> Index:
        """Take the writer's place: open the files as :meth:`Index.open` does, and return that index.

        It can be changed from then on, and the replica follows no more. :meth:`index` gives the opened index
        from then on; one from before can still be searched. It takes the time of :meth:`Index.open`, and memory
        for both indexes meanwhile. The replica keeps the index, so the lock is given back when neither is there
        any more.

        Raises:
            DivergedError: the files lack what the replica has done, or have it otherwise. They stay as is.
            IoError: another index is open for the path. The replica goes on.

        Args:
            durability: as for :meth:`Index.open`.

        >>> import concord, os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "two.concord")
        ...     index = concord.Index.open(path, dim=2)
        ...     replica = concord.Replica(path)
        ...     _ = index.add([[0, 0], [3, 4]])
        ...     del index  # the writer ends
        ...     index = replica.promote()
        ...     index.add([[6, 8]]), len(index)
        (1, 3)
        """
        index = Index._of(self._replica.promote(durability))
        warn_of_cut(self._path, index.stats())
        return index

    def __repr__(self) -> str:
        """Name the class and the path."""
        return f"<concord.Replica of {self._path!r}>"
