"""An index whose vectors have strings for keys, and can be replaced and removed.

What the vector stores share. The graph itself only grows, so a vector that is removed stays in it and
its label is forgotten: searches ask for more until enough of the found are still known. When more than
half of the graph is forgotten, the rest is inserted anew into another. So k results come back whenever
k are left, a removal costs a constant number of insertions, and at most half the memory is wasted.

Changes take a lock; searches take none. A search works on the state it found, as a pair of index and
keys that belong together, and beside a change sees each key as it was before or after.
"""

from __future__ import annotations

import functools
import json
import threading
import zipfile
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from concord.errors import CorruptFileError, DimensionMismatchError
from concord.index import Index

MOST_RESULTS = 65_536
"""The largest k of a search."""

VECTORS = "vectors.concord"
CONTENT = "content.json"


class Found(NamedTuple):
    """One result of a search."""

    key: str
    distance: float


class _State(NamedTuple):
    graph: Index
    keys: dict[int, str]
    """By label, in the order of insertion; a label that is not here is forgotten."""


class KeyedIndex:
    """Vectors by key. The first vectors that are put decide the dimension.

    Args:
        ef: candidates of a search.
        parameters: of :class:`concord.Index`, without ``dim``.
    """

    def __init__(self, ef: int = 64, **parameters: Any) -> None:
        self.ef = ef
        self._parameters = parameters
        self._change = threading.Lock()
        self._state: _State | None = None
        self._labels: dict[str, int] = {}
        # Bad parameters are refused now, not with the first vector.
        self.metric = Index(1, **parameters).metric
        """As of :attr:`concord.Index.metric`."""

    @property
    def index(self) -> Index | None:
        """The graph, with what is forgotten and not yet gone; ``None`` before the first vector."""
        return None if self._state is None else self._state.graph

    def __len__(self) -> int:
        """Keys."""
        return len(self._labels)

    def __contains__(self, key: object) -> bool:
        """Whether there is such a key."""
        return key in self._labels

    def put(self, keys: Sequence[str], vectors: npt.ArrayLike) -> None:
        """Insert vectors ``[n, dim]``, or replace; of a key that is given twice the last counts."""
        if not keys:
            return
        last = {key: place for place, key in enumerate(keys)}
        rows = np.asarray(vectors, np.float32)
        if rows.ndim != 2 or len(rows) != len(keys):
            raise DimensionMismatchError(f"{len(keys)} keys came with vectors {list(rows.shape)}")
        with self._change:
            state = self._state or _State(Index(rows.shape[1], **self._parameters), {})
            first = len(state.graph)
            state.graph.add(rows[list(last.values())])
            for label, key in enumerate(last, first):
                state.keys.pop(self._labels.get(key, -1), None)
                state.keys[label] = key
                self._labels[key] = label
            self._state = state
            self._compact()

    def remove(self, keys: Iterable[str]) -> None:
        """Forget keys; those that are not there are passed over."""
        with self._change:
            for key in keys:
                label = self._labels.pop(key, None)
                if label is not None:
                    cast(_State, self._state).keys.pop(label, None)
            self._compact()

    def clear(self) -> None:
        """Forget everything, the dimension too."""
        with self._change:
            self._state = None
            self._labels = {}

    def vector(self, key: str) -> npt.NDArray[np.float32]:
        """The stored vector, normalised for cosine."""
        return cast(_State, self._state).graph[self._labels[key]]

    def search(
        self, query: npt.ArrayLike, k: int, allowed: Callable[[str], bool] | None = None
    ) -> list[Found]:
        """The nearest ``k`` keys that are allowed, nearest first; fewer only if there are fewer."""
        state = self._state
        if state is None or k < 1:
            return []
        passes = functools.cache(allowed) if allowed else lambda key: True
        vector = np.asarray(query, np.float32).reshape(-1)
        size = len(state.graph)
        asked = min(k, size, MOST_RESULTS)
        while True:
            labels, distances = state.graph.search(vector, asked, max(self.ef, asked))
            found = _known(state.keys, labels, distances, passes)
            if len(found) >= k or asked == size:
                return found[:k]
            if asked == MOST_RESULTS:
                return _exact(state, vector, k, passes)
            asked = min(4 * asked, size, MOST_RESULTS)

    def save(self, file: IO[bytes], content: object) -> None:
        """Write one archive with the graph, the keys, and ``content``, which has to be JSON."""
        with self._change, zipfile.ZipFile(file, "w") as archive:
            keys = list(self._state.keys.items()) if self._state else []
            archive.writestr(
                CONTENT,
                json.dumps(
                    {
                        "keys": keys,
                        "ef": self.ef,
                        "parameters": self._parameters,
                        "content": content,
                    }
                ),
            )
            if self._state is not None:
                with archive.open(VECTORS, "w", force_zip64=True) as member:
                    self._state.graph.save(member)

    @classmethod
    def load(cls, file: IO[bytes]) -> tuple[KeyedIndex, Any]:
        """Read what :meth:`save` wrote: the index and ``content``."""
        try:
            with zipfile.ZipFile(file) as archive:
                saved = json.loads(archive.read(CONTENT))
                keyed = cls(saved["ef"], **saved["parameters"])
                if VECTORS in archive.namelist():
                    with archive.open(VECTORS) as member:
                        index = Index.load(
                            member,
                            threads=keyed._parameters.get("threads", 0),
                            device=keyed._parameters.get("device", "auto"),
                        )
                    keys = {label: key for label, key in saved["keys"] if label in index}
                    if len(set(keys.values())) != len(saved["keys"]):
                        raise CorruptFileError("keys and vectors do not belong together")
                    keyed._state = _State(index, keys)
                    keyed._labels = {key: label for label, key in keys.items()}
                return keyed, saved["content"]
        except (zipfile.BadZipFile, KeyError, TypeError, json.JSONDecodeError) as error:
            raise CorruptFileError(f"the file holds no Concord vector store: {error}") from error

    def _compact(self) -> None:
        """Insert what is known into an index of its own, if that is less than half of what is there."""
        state = self._state
        if state is None or 2 * len(state.keys) >= len(state.graph):
            return
        index = Index(state.graph.dim, **self._parameters)
        if state.keys:
            index.add(np.stack([state.graph[label] for label in state.keys]))
        keys = dict(enumerate(state.keys.values()))
        self._labels = {key: label for label, key in keys.items()}
        self._state = _State(index, keys)


def _known(
    keys: dict[int, str],
    labels: npt.NDArray[Any],
    distances: npt.NDArray[Any],
    passes: Callable[[str], bool],
) -> list[Found]:
    found = []
    for label, distance in zip(labels.tolist(), distances.tolist(), strict=True):
        key = keys.get(label)
        if key is not None and passes(key):
            found.append(Found(key, distance))
    return found


def _exact(
    state: _State, query: npt.NDArray[np.float32], k: int, passes: Callable[[str], bool]
) -> list[Found]:
    """All that are allowed, in an index without much of a graph, scanned."""
    keys = {label: key for label, key in list(state.keys.items()) if passes(key)}
    if not keys:
        return []
    allowed = Index(state.graph.dim, state.graph.metric, M=2, ef_construction=1)
    allowed.add(np.stack([state.graph[label] for label in keys]), list(keys))
    labels, distances = allowed.exact_search(query, min(k, len(keys), MOST_RESULTS))
    return _known(keys, labels, distances, lambda key: True)
