"""Documents with vectors, under keys that are strings: added, replaced, deleted, filtered, kept in a file."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, NamedTuple, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

from concord import _files, _filters, _store_file, _vectors
from concord._limits import count_of, integer_of
from concord._removable import RemovableIndex
from concord.errors import (
    DimensionMismatchError,
    DuplicateLabelError,
    InvalidParameterError,
    UnknownLabelError,
)
from concord.index import Codes, Device, Index, Metric, Storage, Vectors

if TYPE_CHECKING:
    from typing_extensions import Self


SEARCHES = 3
"""So often a search is tried before it waits for changes to pause."""


class Item(NamedTuple):
    """What a store holds under a key, without its vector."""

    key: str
    document: Any
    """A text, ``None``, or anything else that JSON can hold."""
    metadata: dict[str, Any]


class Hit(NamedTuple):
    """One result of a search."""

    key: str
    distance: float
    document: Any
    metadata: dict[str, Any]


ItemFilter: TypeAlias = "Mapping[str, Any] | Callable[[Item], object]"
"""Which items a search may return. It is a dictionary over metadata, or a callable that gets each item.

``{"year": 2020}`` means equal. ``{"year": {"$gte": 2000, "$lt": 2010}}`` applies operators: ``$eq``, ``$ne``,
``$gt``, ``$gte``, ``$lt``, ``$lte``, ``$in``, ``$nin``, ``$exists``. All fields must match.
``{"$or": [a, b]}``, ``{"$and": [a, b]}`` and ``{"$not": a}`` combine filters. A field that is missing, or of a
type that cannot be compared, matches only ``$ne``, ``$nin`` and ``{"$exists": False}``. A callable must not
change the item.
"""


class _State(NamedTuple):
    """What belongs together: a search goes on in the one that it began with.

    ``labels`` has the label of each key. An item under another label of its key is no longer there. So one
    call, which changes ``labels`` for all keys or replaces it, is the moment of a change.
    """

    vectors: RemovableIndex
    items: dict[int, Item]
    labels: dict[str, int]

    def live(self, label: int) -> Item | None:
        item = self.items.get(label)
        return item if item is not None and self.labels.get(item.key) == label else None


class Store:
    """Documents that are searched by their vectors.

    Args:
        dim: elements of a vector; without it the first vectors decide.
        metric: as for :class:`Index`.
        ef: candidates of a search, as for :meth:`Index.search`.
        M: as for :class:`Index`.
        ef_construction: as for :class:`Index`.
        seed: as for :class:`Index`.
        epoch_limit: as for :class:`Index`.
        codes: as for :class:`Index`.
        storage: as for :class:`Index`.
        threads: as for :class:`Index`. Files and pickles do not keep it.
        device: as for :class:`Index`. Files and pickles do not keep it.

    Every change is a transaction: it happens wholly or raises, and then the store is as it was. Many threads
    may use a store. Changes wait for one another. A search sees all of a change or nothing of it. It does not
    wait for the vectors of an addition; it is repeated if a change happens meanwhile, and waits for its turn
    after the third.

    >>> import concord
    >>> store = concord.Store(metric="cosine")
    >>> store.add(["a", "b"], [[1, 0], [0, 1]], ["east", "north"], [{"year": 2020}, {"year": 2024}])
    >>> [(hit.key, hit.document) for hit in store.search([0.9, 0.1], k=2)]
    [('a', 'east'), ('b', 'north')]
    >>> [hit.key for hit in store.search([0.9, 0.1], k=2, filter={"year": {"$gt": 2021}})]
    ['b']
    >>> store.upsert(["a"], [[0.6, 0.8]], ["north-east"])
    >>> store["a"].document, len(store), "c" in store
    ('north-east', 2, False)
    >>> store.delete(["a"])
    1
    """

    def __init__(
        self,
        dim: int | None = None,
        metric: Metric = "cosine",
        *,
        ef: int = 64,
        M: int = 16,
        ef_construction: int = 200,
        seed: int = 42,
        epoch_limit: int = 1024,
        codes: Codes = "none",
        storage: Storage = "automatic",
        threads: int = 0,
        device: Device = "auto",
    ) -> None:
        # Bad parameters are refused now, not with the first vector.
        index = Index(
            1 if dim is None else dim,
            metric,
            M,
            ef_construction,
            seed=seed,
            epoch_limit=epoch_limit,
            codes=codes,
            storage=storage,
            threads=threads,
            device=device,
        )
        self._parameters: dict[str, Any] = {
            "metric": index.metric,
            "M": M,
            "ef_construction": ef_construction,
            "seed": seed,
            "epoch_limit": epoch_limit,
        }
        if index.codes != "none":  # else it is not there, as in files of before there were codes
            self._parameters["codes"] = index.codes
        if index.storage != "automatic":
            self._parameters["storage"] = index.storage
        self._runtime: dict[str, Any] = {"threads": threads, "device": device}
        self._ef = count_of(ef, "ef")
        self._dim = dim
        self._change = threading.RLock()  # a filter may change the store
        self._moments = 0
        self._state: _State | None = None

    # ------------------------------------------------------------------------------------- content

    def add(
        self,
        keys: Sequence[str],
        vectors: Vectors,
        documents: Sequence[Any] | None = None,
        metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Add items whose keys are new.

        Args:
            keys: ``[n]`` strings.
            vectors: ``[n, dim]``.
            documents: ``[n]`` texts, or anything else that JSON can hold.
            metadata: ``[n]`` dictionaries with strings as keys; :meth:`save` writes them as JSON.

        A key that is there, or stands twice, raises :exc:`DuplicateLabelError`.
        """
        self._put(keys, vectors, documents, metadata, replace=False)

    def upsert(
        self,
        keys: Sequence[str],
        vectors: Vectors,
        documents: Sequence[Any] | None = None,
        metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """As :meth:`add`, but replaces what is there. If a key stands twice, the last one counts."""
        self._put(keys, vectors, documents, metadata, replace=True)

    def delete(self, keys: Iterable[str]) -> int:
        """Delete items; returns how many there were. Unknown keys are ignored."""
        keys = checked_keys(keys)
        with self._change:
            state = self._state
            if state is None:
                return 0
            labels = dict(state.labels)
            gone = [label for key in keys if (label := labels.pop(key, None)) is not None]
            if gone:
                with self._moment():
                    self._state = state._replace(labels=labels)
                    _forget(state, gone)
                state.vectors.remove(gone)
        return len(gone)

    def clear(self) -> None:
        """Delete everything. Then the next vectors decide the dimension, unless ``dim`` was given."""
        with self._change, self._moment():
            self._state = None

    @contextlib.contextmanager
    def _moment(self) -> Iterator[None]:
        """Around what a search must see wholly or not at all: ``_moments`` is odd within."""
        self._moments += 1
        try:
            yield
        finally:
            self._moments += 1

    def _put(
        self,
        keys: Sequence[str],
        vectors: Vectors,
        documents: Sequence[Any] | None,
        metadata: Sequence[Mapping[str, Any]] | None,
        replace: bool,
    ) -> None:
        items = checked_items(checked_keys(keys), documents, metadata)
        places = {item.key: place for place, item in enumerate(items)}
        if not replace and len(places) < len(items):
            key = next(one.key for place, one in enumerate(items) if places[one.key] != place)
            raise DuplicateLabelError(
                f"key {key!r} stands twice in the call; every key must be new"
            )
        rows = _vectors.matrix(vectors, "vectors", self.dim or 0)
        if rows.ndim == 1 and len(items) == 1:
            rows = rows.reshape(1, -1)
        if rows.ndim != 2 or len(rows) != len(items):
            raise DimensionMismatchError(f"{len(items)} keys came with vectors {list(rows.shape)}")
        if not items:
            return
        with self._change:
            state = self._state or _State(self._empty(rows.shape[1]), {}, {})
            for key in () if replace else places:
                if key in state.labels:
                    raise DuplicateLabelError(
                        f"key {key!r} is already in the store; upsert replaces it"
                    )
            chosen = list(places.values())
            labels = state.vectors.add(rows if len(chosen) == len(rows) else rows[chosen])
            new = {label: items[place] for label, place in zip(labels, chosen, strict=True)}
            keyed = {item.key: label for label, item in new.items()}
            old = [state.labels[key] for key in keyed if key in state.labels]
            with self._moment():
                state.items.update(new)
                self._state = state
                state.labels.update(keyed)
                _forget(state, old)
            if old:
                state.vectors.remove(old)

    def _empty(self, dim: int) -> RemovableIndex:
        index = Index(dim if self._dim is None else self._dim, **self._parameters, **self._runtime)
        return RemovableIndex(index, 0)

    # -------------------------------------------------------------------------------------- access

    def __len__(self) -> int:
        """The number of items."""
        return len(self._state.labels) if self._state else 0

    def __contains__(self, key: object) -> bool:
        """Whether there is an item under the key."""
        return self._state is not None and key in self._state.labels

    def __iter__(self) -> Iterator[str]:
        """The keys."""
        return iter(list(self._state.labels) if self._state else [])

    def __getitem__(self, key: str) -> Item:
        """The item under a key. An unknown key raises :exc:`UnknownLabelError`, a ``KeyError``."""
        item = self._item(key)
        if item is None:
            raise UnknownLabelError(f"no item has the key {key!r}")
        return _copy(item)

    def get(self, key: str) -> Item | None:
        """The item under a key, or ``None``."""
        item = self._item(key)
        return None if item is None else _copy(item)

    def items(self, filter: ItemFilter | None = None) -> list[Item]:
        """All items that pass the filter, in the order of their keys' first addition."""
        passes = _condition(filter)
        return [_copy(item) for key in self if (item := self._item(key)) and passes(item)]

    def vector(self, key: str) -> npt.NDArray[np.float32]:
        """The stored vector ``[dim]`` of a key, normalised for cosine."""
        before = None
        while True:
            state = self._state
            label = None if state is None else state.labels.get(key)
            if state is None or label is None or label == before:
                raise UnknownLabelError(f"no item has the key {key!r}")
            try:
                return state.vectors.vector(label)
            except UnknownLabelError:  # replaced meanwhile: the key has another label
                before = label

    def _item(self, key: str) -> Item | None:
        state = self._state
        label = None if state is None else state.labels.get(key)
        return None if state is None or label is None else state.items.get(label)

    @property
    def dim(self) -> int | None:
        """Elements of a vector; ``None`` while nothing has decided it."""
        return self._dim if self._state is None else self._state.vectors.index.dim

    @property
    def metric(self) -> str:
        """As :attr:`Index.metric`."""
        return str(self._parameters["metric"])

    @property
    def index(self) -> Index | None:
        """The graph, for statistics and audits; ``None`` before the first vector.

        It must not be changed. A change of the store may replace it by an equal one.
        """
        return None if self._state is None else self._state.vectors.index

    def __repr__(self) -> str:
        """The parameters and the number of items."""
        return f"concord.Store(dim={self.dim}, metric={self.metric!r}): {len(self)} items"

    # -------------------------------------------------------------------------------------- search

    def search(
        self,
        query: Vectors,
        k: SupportsIndex = 10,
        *,
        filter: ItemFilter | None = None,
        ef: int | None = None,
        slack: float = math.inf,
    ) -> list[Hit]:
        """The ``k`` nearest items that pass the filter, nearest first; fewer only if fewer exist.

        Args:
            query: ``[dim]``.
            k: items wanted.
            filter: see :data:`concord.store.ItemFilter`. It is asked
                once for each item.
            ef: in place of the store's.
            slack: as for :meth:`Index.search`.
        """
        wanted = integer_of(k, "k")
        if wanted < 0:
            raise InvalidParameterError(f"k is {wanted}; it must not be negative")
        passes = None if filter is None else _condition(filter)
        vector = _vectors.matrix(query, "the query", self.dim or 0)
        if vector.ndim == 2 and len(vector) == 1:
            vector = vector[0]
        if vector.ndim != 1:
            raise DimensionMismatchError(
                f"the query has shape {list(vector.shape)}; it is one vector"
            )
        candidates = self._ef if ef is None else ef
        for _ in range(SEARCHES):
            before = self._moments
            found = self._search(vector, wanted, candidates, slack, passes)
            if before % 2 == 0 and self._moments == before:
                return found
        with self._change:
            return self._search(vector, wanted, candidates, slack, passes)

    def _search(
        self,
        vector: npt.NDArray[Any],
        wanted: int,
        ef: int,
        slack: float,
        passes: Callable[[Item], bool] | None,
    ) -> list[Hit]:
        """What is there, if nothing changes meanwhile."""
        state = self._state
        if state is None or wanted == 0:
            return []

        def hits(allowed: list[int] | None) -> list[Hit]:
            near = state.vectors.search(vector, wanted, ef, slack, allowed)
            found = [(state.live(label), distance) for label, distance in near]
            return [
                Hit(item.key, distance, copy.deepcopy(item.document), copy.deepcopy(item.metadata))
                for item, distance in found
                if item is not None
            ]

        if passes is None:
            found = hits(None)
            if len(found) == min(wanted, len(state.vectors.index)):
                return found
        # The filter is asked once for each item. It may change the store, which adds no item to this list.
        live = [(label, state.live(label)) for label in list(state.items)]
        return hits(
            [label for label, item in live if item is not None and (passes is None or passes(item))]
        )

    # --------------------------------------------------------------------------------------- files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the store to one file. The file that is there stays until the new one is whole and on disk.

        Documents and metadata must be JSON.

        >>> import concord, os, tempfile
        >>> store = concord.Store()
        >>> store.add(["a"], [[1, 0]], ["east"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store.save(os.path.join(folder, "places"))
        ...     concord.Store.load(os.path.join(folder, "places"))["a"].document
        'east'
        """
        with _files.replacing(path) as file:
            self._write(file)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, threads: int = 0, device: Device = "auto"
    ) -> Self:
        """Read a file that :meth:`save` wrote, checking it first."""
        with _files.failures_at(path), open(path, "rb") as file:
            return cls._read(file, threads=threads, device=device)

    def to_bytes(self) -> bytes:
        """The bytes of the file that :meth:`save` writes."""
        memory = io.BytesIO()
        self._write(memory)
        return memory.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, *, threads: int = 0, device: Device = "auto") -> Self:
        """Read what :meth:`to_bytes` gave."""
        return cls._read(io.BytesIO(content), threads=threads, device=device)

    def _write(self, file: IO[bytes], encode: Callable[[Any], Any] | None = None) -> None:
        """``encode`` makes JSON of documents that are none."""
        with self._change:
            state = self._state
            live = (
                []
                if state is None
                else [(label, state.items[label]) for label in state.labels.values()]
            )
            records = [
                (label, key, encode(document) if encode else document, metadata)
                for label, (key, document, metadata) in live
            ]
            content = _store_file.Content(self._parameters, self._ef, self._dim, records)
            _store_file.write(file, content, None if state is None else state.vectors.index)

    @classmethod
    def _read(
        cls,
        file: IO[bytes],
        decode: Callable[[Any], Any] | None = None,
        **runtime: Any,
    ) -> Self:
        content, index = _store_file.read(file, runtime)
        store = cls.__new__(cls)
        Store.__init__(store, content.dim, ef=content.ef, **content.parameters, **runtime)
        if index is not None:
            items = {
                label: Item(key, decode(document) if decode else document, metadata)
                for label, key, document, metadata in content.records
            }
            labels = {item.key: label for label, item in items.items()}
            dead = [label for label in index if label not in items]
            following = max(index, default=-1) + 1
            store._state = _State(RemovableIndex(index, following, dead), items, labels)
        return store

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the lock, and without threads and device, which belong to the process."""
        with self._change:
            state = self._state
            saved = None
            if state is not None:
                saved = state.vectors.content(), dict(state.items), dict(state.labels)
            return {
                **self.__dict__,
                "_change": None,
                "_moments": 0,
                "_state": saved,
                "_runtime": {"threads": 0, "device": "auto"},
            }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._change = threading.RLock()
        if state["_state"] is not None:
            content, items, labels = state["_state"]
            vectors = RemovableIndex.of_content(content, self._runtime)
            self._state = _State(vectors, items, labels)

    def __copy__(self) -> Self:
        """A store of its own: changes of one are not seen in the other."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """As ``copy``."""
        memo[id(self)] = twin = type(self).__new__(type(self))
        state = {**self.__getstate__(), "_runtime": self._runtime}
        twin.__setstate__(copy.deepcopy(state, memo))
        return twin


def _forget(state: _State, labels: list[int]) -> None:
    """Lets go of items that no key leads to any more. The store is whole before and after."""
    for label in labels:
        state.items.pop(label, None)


def checked_keys(keys: Iterable[str]) -> list[str]:
    """Keys that are strings, or the reason why they are not."""
    if isinstance(keys, str):
        raise TypeError("keys are a list of strings, not one string")
    checked = list(keys)
    for place, key in enumerate(checked):
        if not isinstance(key, str):
            raise TypeError(f"key {place} is {key!r:.60}, {type(key).__name__}; keys are strings")
    return checked


def checked_items(
    keys: list[str],
    documents: Sequence[Any] | None,
    metadata: Sequence[Mapping[str, Any]] | None,
) -> list[Item]:
    """Items of what the caller gave, or the reason why there are none. The caller keeps nothing of them."""
    for name, given in (("documents", documents), ("metadata", metadata)):
        if isinstance(given, (str, Mapping)):
            raise TypeError(f"{name} are a list, one for each key")
        if given is not None and len(given) != len(keys):
            raise DimensionMismatchError(f"{len(keys)} keys came with {len(given)} {name}")
    for place, fields in enumerate(metadata or ()):
        if not isinstance(fields, Mapping) or not all(isinstance(name, str) for name in fields):
            raise TypeError(
                f"metadata {place} are {fields!r:.60}; allowed are dictionaries with strings as keys"
            )
    return [
        Item(
            key,
            copy.deepcopy(documents[place]) if documents is not None else None,
            copy.deepcopy(dict(metadata[place])) if metadata is not None else {},
        )
        for place, key in enumerate(keys)
    ]


def _copy(item: Item) -> Item:
    """A copy, so that a caller who changes a result does not change the store."""
    return Item(item.key, copy.deepcopy(item.document), copy.deepcopy(item.metadata))


def _condition(filter: ItemFilter | None) -> Callable[[Item], bool]:
    if filter is None:
        return lambda item: True
    if callable(filter):
        passes = filter
        return lambda item: bool(passes(item))
    matches = _filters.condition(filter)
    return lambda item: matches(item.metadata)
