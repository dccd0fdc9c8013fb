"""Neighbors of all vectors at once: graphs for machine learning, near-duplicates, exact neighbors.

Every result follows from its arguments alone: two runs give equal bits, with any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, SupportsIndex, cast

import numpy as np
import numpy.typing as npt

from concord import _concord, _progress, _vectors
from concord._limits import (
    MOST_RESULTS,
    Distance,
    count_of,
    distance_of,
    expect_distance,
    expect_names,
    integer_of,
    limited,
    radius_of,
    recall_of,
)
from concord.errors import BusyError, InvalidParameterError, UnknownPresetError
from concord.index import NO_LABEL, Device, Index, Progress, Storage, SupportsArray, Vectors
from concord.matches import Matches

BLOCK_BYTES = 1 << 24
"""Of vectors that are searched at once."""


class KnnGraph(NamedTuple):
    """The nearest neighbors of each vector: the pair ``(indices, distances)``.

    Row ``i`` has those of vector ``i``, nearest first. ``indices`` are numbers of rows.
    """

    indices: npt.NDArray[np.int64]
    """``[n, k]``."""
    distances: npt.NDArray[np.float32]
    """``[n, k]``."""


def knn_graph(
    X: Vectors,
    k: int,
    metric: str = "l2",
    *,
    include_self: bool = True,
    recall: float = 0.98,
    M: int = 12,
    ef_construction: int = 60,
    seed: int = 42,
    storage: Storage = "automatic",
    threads: int = 0,
    device: Device = "auto",
    progress: Progress = None,
) -> KnnGraph:
    """Find the ``k`` nearest neighbors of each row of ``X`` among all rows.

    Args:
        X: ``[n, dim]``, as :meth:`concord.Index.add` takes it.
        k: neighbors of a row, 1 to n and at most 65,536. With ``include_self`` the row itself is one of them.
        metric: ``"l2"`` or ``"euclidean"``, whose distances are roots; ``"l2sq"`` or ``"sqeuclidean"``, their
            squares; ``"cosine"``, ``"cos"`` or ``"angular"``: 1 - cosine. In upper or lower case. To a
            :class:`concord.Index` ``"l2"`` means the squares.
        include_self: whether each row begins with itself, at distance 0, also among exact copies of it.
            Without, it is not among its neighbors, and k is at most n - 1 and 65,535.
        recall: the mean share of the true neighbors that are found, above 0 and below 1. A search is tuned to
            reach it with a confidence of 95 % (:meth:`concord.Index.tune`), which takes a sample of at least
            3.3 / (1 - recall) rows. Fewer rows, if they are more than 4,096, raise InvalidParameterError.
        M: as for :class:`concord.Index`.
        ef_construction: as for :class:`concord.Index`.
        seed: as for :class:`concord.Index`.
        storage: as for :class:`concord.Index`.
        threads: as for :class:`concord.Index`.
        device: as for :class:`concord.Index`.
        progress: see :data:`concord.index.Progress`. It counts the searches, not the build. If it stops them,
            the rows that are left have -1 and infinity.

    Returns:
        A :class:`KnnGraph`, that is ``(indices, distances)``: int64 and float32, ``[n, k]``; nearest first,
        ties in the order of rows.

    Two runs give equal bits, with any number of threads and on any device. What :meth:`concord.Index.add`
    refuses is refused. ``k``, ``metric`` and ``recall`` are checked before anything is built. O(n log n)
    expected, and an exact search of a sample for the tuning. Many threads may call it at once.

    >>> import concord
    >>> indices, distances = concord.knn_graph([[0, 0], [3, 4], [6, 8]], k=2)
    >>> indices.tolist(), distances.tolist()
    ([[0, 1], [1, 0], [2, 1]], [[0.0, 5.0], [0.0, 5.0], [0.0, 5.0]])
    """
    distance = distance_of(metric)
    _, graph = indexed_graph(
        X,
        k,
        distance,
        include_self,
        recall,
        progress,
        M=M,
        ef_construction=ef_construction,
        seed=seed,
        storage=storage,
        threads=threads,
        device=device,
    )
    return graph


def indexed_graph(
    X: Vectors,
    k: int,
    distance: Distance,
    include_self: bool,
    recall: float,
    progress: Progress,
    **of_index: Any,
) -> tuple[Index, KnnGraph]:
    """An index of the rows, and its graph, whose arguments are checked before the index is built."""
    rows = _vectors.readable(X, "X", 1)
    count = _vectors.count(rows)
    if count is not None:
        _expect_graph(count, k, include_self, recall)
    index = Index.from_vectors(cast("SupportsArray", rows), metric=distance.metric, **of_index)
    return index, graph_of(index, k, include_self, recall, distance, progress)


def graph_of(
    index: Index,
    k: int,
    include_self: bool,
    recall: float,
    distance: Distance,
    progress: Progress,
    threads: int | None = None,
) -> KnnGraph:
    """The graph of an index, for :meth:`concord.Index.knn_graph`."""
    core = index._alone("knn_graph")
    expect_distance(index.metric, "knn_graph")
    labels = index.labels()
    n = len(labels)
    others = _expect_graph(n, k, include_self, recall)
    k = others + 1 if include_self else others
    indices = np.full((n, k), NO_LABEL, np.int64)
    distances = np.full((n, k), np.inf, np.float32)
    if others == 0:
        indices[:, 0], distances[:, 0] = np.arange(n), 0
        return KnnGraph(indices, distances)
    position = _positions(labels)
    with limited(threads), _progress.callback(progress, " vectors") as callback:
        ef, slack = _tuned(core, recall, others)
        for rows, found, at in _searched(core, labels, others + 1, ef, slack, callback):
            near, values = without_self(position(found), at, rows)
            if include_self:
                indices[rows, 0], distances[rows, 0] = np.arange(rows.start, rows.stop), 0
            indices[rows, k - others :] = near
            distances[rows, k - others :] = distance.values(values)
    return KnnGraph(indices, distances)


def _expect_graph(n: int, k: SupportsIndex, include_self: bool, recall: float) -> int:
    """How many others than itself each of n vectors gets. Raises InvalidParameterError."""
    number = integer_of(k, "k")
    itself = 1 if include_self else 0
    most = min(n, MOST_RESULTS) - 1 + itself
    if most < 1:
        least = 2 - itself
        raise InvalidParameterError(
            f"there are {n} vectors; a graph with include_self={include_self} needs {least} or more"
        )
    if not 1 <= number <= most:
        raise InvalidParameterError(
            f"k is {number}; allowed are 1 to {most}, for {n} vectors and include_self={include_self}"
        )
    recall_of(recall)
    return number - itself


def _tuned(core: _concord.Index, recall: float, others: int) -> tuple[int, float]:
    """The ``ef`` and the ``slack`` of searches that find a vector itself and, with this recall, its others.

    They are those of a preset for the others, which is made if there is none.
    """
    try:
        ef, slack, _ = core.preset(recall, others)
    except UnknownPresetError:
        # The exact search of the sample is most of the work, and its error falls with the root of its size.
        usual = 500 if recall <= 0.95 else 1000 if recall <= 0.99 else 4000
        shows = math.ceil(3.3 / (1 - recall))  # if all of so many are found, the recall is shown
        preset = core.tune(None, recall, others, min(max(usual, shows), core.size()))
        ef, slack = preset["ef"], preset["slack"]
    return min(max(ef, others) + 1, MOST_RESULTS), slack


def search_as_tuned(index: Index, queries: Vectors, k: int, fitted: int, recall: float) -> Matches:
    """The ``k`` nearest of new rows, searched as each row of the index was for its ``fitted`` others.

    So nothing is tuned anew, unless ``k`` is above ``fitted + 1``. If it is below, the first k are taken.
    """
    others = max(k - 1, fitted, 1)
    ef, slack = _tuned(index._alone("knn_graph"), recall, others)
    found = index.search(queries, others + 1, ef, slack=slack, use_codes=False)
    return Matches(found.labels[..., :k], found.distances[..., :k])


def _searched(
    core: _concord.Index,
    labels: npt.NDArray[Any],
    width: int,
    ef: int,
    slack: float,
    callback: Callable[[int, int], object] | None,
) -> Iterator[tuple[slice, npt.NDArray[Any], npt.NDArray[np.float32]]]:
    """The ``width`` nearest of all vectors, in blocks of rows, until the caller stops it."""
    stopped = False

    def report(done: int, total: int) -> object:
        nonlocal stopped
        if callback is not None:
            stopped = _progress.ends(callback(begin + done, len(labels)))
        return not stopped

    step = max(BLOCK_BYTES // (4 * core.dim), 1)
    for begin in range(0, len(labels), step):
        rows = slice(begin, min(begin + step, len(labels)))
        vectors = core.vectors(labels[rows].view(np.uint64), False)
        asked = None if callback is None else report
        found, distances = core.search(vectors, width, ef, slack, None, False, None, asked)
        if stopped:
            done = int((found[:, 0].view(np.int64) != NO_LABEL).sum())
            yield slice(begin, begin + done), found[:done], distances[:done]
            return
        yield rows, found, distances


def _positions(labels: npt.NDArray[Any]) -> Callable[[npt.NDArray[Any]], npt.NDArray[np.int64]]:
    """What turns labels into their places in ``labels``."""
    of_label = np.argsort(labels)
    ordered = labels[of_label]
    are_places = np.array_equal(labels, np.arange(len(labels)))

    def position(found: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        if are_places and found.max(initial=0) < len(labels):
            return found.astype(np.int64, copy=False)
        places = np.searchsorted(ordered, found.astype(ordered.dtype, copy=False))
        places = np.minimum(places, len(ordered) - 1)
        if (ordered[places] != found).any():
            raise BusyError("the index changed during the call: a vector was added or replaced")
        return of_label[places].astype(np.int64, copy=False)

    return position


def without_self(
    indices: npt.NDArray[Any], distances: npt.NDArray[Any], rows: slice
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Neighbors ``[m, k + 1]`` of rows ``rows`` without themselves: ``[m, k]``.

    Among many exact copies of it a row may not be there; then the last goes.
    """
    own = np.arange(rows.start, rows.stop)[:, None]
    others = indices != own
    if not others[:, 0].any():
        return indices[:, 1:], distances[:, 1:]
    others[others.all(axis=1), -1] = False
    shape = len(own), indices.shape[1] - 1
    return indices[others].reshape(shape), distances[others].reshape(shape)


def near_duplicates(
    X: Vectors,
    radius: float,
    metric: str = "l2",
    *,
    ef: int = 64,
    M: int = 12,
    ef_construction: int = 60,
    seed: int = 42,
    storage: Storage = "automatic",
    threads: int = 0,
    device: Device = "auto",
    progress: Progress = None,
) -> list[npt.NDArray[np.int64]]:
    """Find groups of rows that are linked by distances of at most ``radius``.

    Two rows within the radius are in one group, and groups that share a row are one. So rows at both ends of a
    chain may be farther apart than the radius.

    Args:
        X: ``[n, dim]``, as :meth:`concord.Index.add` takes it.
        radius: 0 or more, in the units of the metric: a root for ``"l2"``, 1 - cosine for ``"cosine"``.
        metric: as for :func:`knn_graph`, so ``"l2"`` means roots.
        ef: as for :meth:`concord.Index.range_search`. More finds more of the pairs, and takes longer.
        M: as for :class:`concord.Index`.
        ef_construction: as for :class:`concord.Index`.
        seed: as for :class:`concord.Index`.
        storage: as for :class:`concord.Index`. Distances are those of the numbers that are stored.
        threads: as for :class:`concord.Index`.
        device: as for :class:`concord.Index`, whose build it may speed up. The CPU searches.
        progress: see :data:`concord.index.Progress`; it counts the range searches. If it stops them, the groups
            are those of the pairs found by then.

    Returns:
        A list of arrays of row numbers, ascending, each of two rows or more, in the order of their first rows.
        So ``group[1:]`` of each are what to drop. Rows that are in no group have no near-duplicate.

    Two runs give equal groups. A few pairs may be missed, as :meth:`concord.Index.range_search` says; copies
    that are linked by others are found all the same. ``radius``, ``metric`` and ``ef`` are checked before
    anything is built. O(n log n + pairs) expected. Many threads may call it at once.

    >>> import concord
    >>> groups = concord.near_duplicates([[0, 0], [9, 9], [0, 1], [0, 2], [9, 8]], radius=1)
    >>> [group.tolist() for group in groups]
    [[0, 2, 3], [1, 4]]
    """
    distance = distance_of(metric)
    radius, ef = radius_of(radius), count_of(ef, "ef")
    index = Index.from_vectors(
        cast("SupportsArray", _vectors.readable(X, "X", 1)),
        metric=distance.metric,
        M=M,
        ef_construction=ef_construction,
        seed=seed,
        storage=storage,
        threads=threads,
        device=device,
    )
    root = np.arange(len(index))
    step = max(BLOCK_BYTES // (64 * index.dim), 1)
    with _progress.callback(progress, " vectors") as callback:
        for begin in range(0, len(index), step):
            rows = np.arange(begin, min(begin + step, len(index)))
            lims, found, squares = index.range_search(index[rows], distance.reach(radius), ef)
            near = distance.within(distance.values(squares), radius)
            _join(root, np.repeat(rows, np.diff(lims))[near], found.astype(np.int64)[near])
            done = int(rows[-1]) + 1
            if callback is not None and _progress.ends(callback(done, len(index))):
                break
    _flatten(root, np.arange(len(index)))
    order = np.argsort(root, kind="stable")
    starts = np.flatnonzero(np.diff(root[order])) + 1
    return [group for group in np.split(order, starts) if len(group) > 1]


def _join(root: npt.NDArray[np.int64], a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> None:
    """Joins the groups of each pair; the work is that of the pairs, not of all rows.

    ``root`` leads from each row to an earlier one of its group, and at last to the first, which has itself.
    """
    while True:
        a, b = _first(root, a), _first(root, b)
        apart = a != b
        if not apart.any():
            return
        a, b = a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        _flatten(root, np.concatenate([a, b]))


def _first(root: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The first row of the group of each, whose path is halved on the way."""
    while True:
        above = root[rows]
        top = root[above]
        if np.array_equal(above, top):
            return above
        root[rows] = top
        rows = top


def _flatten(root: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> None:
    """Lets rows lead to the firsts of their groups at once. What they lead to before is among them."""
    while True:
        above = root[rows]
        top = root[above]
        if np.array_equal(above, top):
            return
        root[rows] = top


def exact_knn(
    X: Vectors,
    Q: Vectors | None = None,
    k: int = 10,
    *,
    metric: str = "l2sq",
    threads: int = 0,
    progress: Progress = None,
) -> Matches:
    """The true ``k`` nearest rows of ``X`` for each row of ``Q``, without an index.

    Args:
        X: ``[n, dim]``, in host memory.
        Q: ``[q, dim]``, or ``[dim]`` for one query; without it, the rows of ``X``.
        k: neighbors wanted, 0 to 65,536.
        metric: as for :class:`concord.Index`.
        threads: number of threads; 0 means one per hardware thread.
        progress: see :data:`concord.index.Progress`. If it stops the work, rows that are left are padding.

    Returns:
        ``(labels, distances)``, bit for bit as :meth:`concord.Index.exact_search` of an index of ``X`` gives
        them; labels are numbers of rows. Euclidean distances are squared, as there.

    No graph is built; a copy of ``X`` is made. O(q · n · dim).

    >>> import concord
    >>> labels, distances = concord.exact_knn([[0, 0], [3, 4], [6, 8]], [[0, 1]], k=2)
    >>> labels.tolist(), distances.tolist()
    ([[0, 1]], [[1.0, 18.0]])
    """
    vectors = _vectors.readable(X, "X", 1)
    queries = vectors if Q is None else _vectors.readable(Q, "Q", _vectors.width(vectors))
    expect_names(metric=metric)
    with _progress.callback(progress, " queries") as callback:
        return _concord.exact_knn(vectors, queries, k, metric, threads, callback)
