"""The index: a hierarchical navigable small world graph over float32 vectors."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import math
import operator
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import (
    IO,
    TYPE_CHECKING,
    Any,
    Literal,
    Protocol,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    cast,
    overload,
)

import numpy as np
import numpy.typing as npt

from concord import _concord, _progress, _vectors
from concord._awaitable import AwaitableIndex
from concord._labels import MOST_LABEL, labels_of
from concord._limits import (
    Distance,
    count_of,
    expect_names,
    integer_of,
    limited,
    recall_of,
    share_of,
)
from concord.cursor import Cursor
from concord.errors import (
    InvalidParameterError,
    IoError,
    UnknownLabelError,
)
from concord.filters import Filter, Which, filter_of, filters_of
from concord.groups import Grouping, Groups, groups_of
from concord.matches import Matches, MatchesWithVectors
from concord.reports import (
    AuditReport,
    Explanation,
    MemoryUse,
    Preset,
    Stats,
    stats_from,
    table,
)

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from concord._options import SearchOptions
    from concord.knn import KnnGraph

NO_LABEL = -1
"""The label that pads results with fewer than ``k`` neighbors. In uint64 it is 2**64 - 1.

Labels come back as int64, so they index arrays. Only an index that has had a label from 2**63 on since it was
made or read gives uint64; there, compare ``labels.astype(np.int64)`` with ``NO_LABEL``.
"""


class SupportsDLPack(Protocol):
    """Arrays of torch, JAX, CuPy and others, in host or CUDA memory."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...


class SupportsCudaArray(Protocol):
    """Arrays of numba and CuPy, in CUDA memory."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


class SupportsArray(Protocol):
    """Arrays of numpy, columns of pandas, polars and pyarrow, data sets of h5py, and others."""

    def __array__(self, *args: Any, **kwargs: Any) -> npt.NDArray[Any]: ...


Vectors: TypeAlias = (
    "SupportsArray | SupportsDLPack | SupportsCudaArray | "
    "Sequence[float | Sequence[float] | SupportsArray]"
)
"""Vectors: an array ``[n, dim]`` of any library, or ``[dim]`` for a single vector.

float32 arrays with contiguous rows are read in place. float64, float16, bfloat16, int8 and uint8, and
other layouts, are converted in pieces of at most 1 MiB. Lists hold numbers, or arrays of one dimension;
integers must be ones that float32 has. Columns of pandas, polars and pyarrow hold lists, best of a fixed
size, which are not copied. Masked elements and nulls are refused.
"""

Labels: TypeAlias = "SupportsArray | Sequence[SupportsIndex] | SupportsIndex"
"""Labels ``[n]``: integers in a list or an array, or one integer."""

Progress: TypeAlias = "bool | Callable[[int, int], object] | None"
"""``True`` shows a tqdm bar. A callable gets ``(done, total)`` and stops the work by returning ``False``."""

Path: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"

Metric: TypeAlias = 'Literal["l2sq", "ip", "cosine"] | str'
"""The name of a metric."""

Codes: TypeAlias = 'Literal["none", "sq8", "sq4"] | str'
"""The name of codes."""

Storage: TypeAlias = 'Literal["automatic", "f32", "f16", "bf16"] | str'
"""The name of a way to keep vectors."""

Device: TypeAlias = 'Literal["auto", "cpu", "cuda"] | str'
"""The name of a device."""

Durability: TypeAlias = 'Literal["synced", "system"] | str'
"""What survives: see :meth:`Index.open`."""

RangeAnswers: TypeAlias = (
    "tuple[npt.NDArray[np.int64], npt.NDArray[np.int64 | np.uint64], npt.NDArray[np.float32]]"
)
"""Where the hits of each query begin, labels and distances: see :meth:`Index.range_search`."""

Default = TypeVar("Default")

Out: TypeAlias = "tuple[npt.NDArray[np.integer[Any]], npt.NDArray[np.float32]]"
"""Arrays that an answer is written to: labels of int64 or uint64, and distances."""


def warn_of_cut(path: Path, stats: Stats) -> None:
    """Warn the caller of ``open`` if opening cut something off a journal."""
    journal = stats.journal
    if journal.cut_bytes == 0:
        return
    text = f"{journal.cut_bytes} bytes were cut off the journal of {os.fsdecode(path)!r}: an incomplete record"
    if journal.dropped > 0:
        text += f", and {journal.dropped} vectors behind it; a file beside the journal keeps them"
    warnings.warn(text + ", as a crash leaves it", RuntimeWarning, stacklevel=3)


class Index(AwaitableIndex):
    """A vector index whose bytes do not depend on who builds it.

    The parameters up to ``storage``, the vectors and their order define the graph. ``threads`` and
    ``device`` decide only how fast it is built and searched.

    Args:
        dim: elements of a vector, 1 to 65,536.
        metric: ``"l2sq"`` (squared Euclidean distance; also ``"l2"``, ``"sqeuclidean"``), ``"ip"``
            (1 - inner product; also ``"inner_product"``, ``"dot"``) or ``"cosine"`` (1 - cosine; also
            ``"cos"``, ``"angular"``), in upper or lower case. Smaller is nearer for all of them.
        M: links a vector makes in each layer, 2 to 64.
        ef_construction: candidates examined per insertion and layer, 1 to 1,024.
        seed: seed of the levels.
        epoch_limit: how many vectors at most are proposed against the same older graph, 1 to 65,536.
        codes: ``"none"``, ``"sq8"`` or ``"sq4"``, in upper or lower case. With these each vector has a code of
            8 or 4 bits per element as well. Additions and searches walk by distances that codes estimate; what
            they find gets exact distances. The graph is another one. Only the CPU builds and searches it, so a
            ``device`` of CUDA raises :exc:`UnsupportedError`. Squared norms are at most 1e32. With ``"sq4"``
            the mean of the first 1,024 vectors is the centre of all codes. Before there are so many, walks are
            exact.
        storage: ``"automatic"``, ``"f32"``, ``"f16"`` or ``"bf16"`` (also ``"float16"``, ``"bfloat16"``), in
            upper or lower case. With 16 bits each vector is rounded once, when it enters and is normalised, and
            is that number from then on, in half the memory. One that overflows raises
            :exc:`InvalidVectorError`. Only the CPU works on such an index. ``"automatic"`` keeps bytes where
            all elements are 8-bit numbers, and float32 otherwise, which is exact. ``"f32"`` never keeps bytes
            and has the same digest.
        threads: number of threads; 0 means one per hardware thread.
        device: ``"auto"`` (a CUDA device if there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:1"`` (also
            ``"gpu"``, ``"gpu:1"``).

    Many threads may search an index at once, even while it changes. Changes take turns. All long
    work releases the GIL and can be interrupted by Ctrl-C.

    >>> import concord, numpy as np
    >>> vectors = np.random.default_rng(1).normal(size=(1000, 16)).astype(np.float32)
    >>> index = concord.Index(dim=16, metric="cosine", M=16, ef_construction=200)
    >>> index.add(vectors)
    1000
    >>> labels, distances = index.search(vectors[:3], k=5, ef=64)
    >>> labels.shape, labels[:, 0].tolist()
    ((3, 5), [0, 1, 2])
    >>> len(index), 7 in index, index[7].shape
    (1000, True, (16,))
    """

    __slots__ = ("__weakref__", "_core")
    _core: _concord._Core

    def __init__(
        self,
        dim: int,
        metric: Metric = "l2sq",
        M: int = 16,
        ef_construction: int = 200,
        *,
        seed: int = 42,
        epoch_limit: int = 1024,
        codes: Codes = "none",
        storage: Storage = "automatic",
        threads: int = 0,
        device: Device = "auto",
    ) -> None:
        expect_names(metric=metric, codes=codes, storage=storage, device=device)
        self._core = _concord.Index(
            dim, metric, M, ef_construction, seed, epoch_limit, codes, storage, threads, device
        )

    @classmethod
    def _of(cls, core: _concord._Core) -> Self:
        index = cls.__new__(cls)
        index._core = core
        return index

    def _alone(self, member: str) -> _concord.Index:
        """The core of one graph, which alone has some members; a ShardedIndex raises UnsupportedError."""
        return cast("_concord.Index", self._core)

    @classmethod
    def from_vectors(
        cls,
        vectors: Vectors,
        labels: Labels | None = None,
        metric: Metric = "l2sq",
        M: int = 16,
        ef_construction: int = 200,
        *,
        seed: int = 42,
        epoch_limit: int = 1024,
        codes: Codes = "none",
        storage: Storage = "automatic",
        threads: int = 0,
        device: Device = "auto",
        progress: Progress = None,
    ) -> Self:
        """Make an index of vectors ``[n, dim]``, whose dimension is theirs; arguments are as for the class and
        for :meth:`add`.

        >>> import concord
        >>> index = concord.Index.from_vectors([[0, 0], [3, 4]], labels=[10, 20])
        >>> len(index), index.dim, index[20].tolist()
        (2, 2, [3.0, 4.0])
        """
        rows = _vectors.readable(vectors, "vectors", 1)
        index = cls(
            _vectors.width(rows),
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
        index.add(cast("SupportsArray", rows), labels, progress=progress)
        return index

    # ------------------------------------------------------------------------------------- content

    def add(
        self,
        vectors: Vectors,
        labels: Labels | None = None,
        *,
        threads: int | None = None,
        progress: Progress = None,
    ) -> int:
        """Insert vectors, in order.

        Args:
            vectors: ``[n, dim]``, or ``[dim]`` for one vector.
            labels: ``[n]`` integers from 0 to 2**64 - 2 that are not in the index yet. Without them,
                numbers count the vectors ever inserted, from 0 on; a label that is taken is refused.
            threads: at most so many threads for this call; never more than the index has.
            progress: see :data:`Progress`.

        Returns:
            The number inserted, which is n unless ``progress`` stopped the work.

        A call that is refused leaves the index as it was. If ``progress`` or Ctrl-C ends the work early,
        the index is valid and holds the vectors inserted so far.

        >>> import concord
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4]], labels=[10, 20])
        2
        >>> index.search([0, 1], k=1)[0].tolist()
        [10]
        """
        with limited(threads), _progress.callback(progress) as callback:
            rows = _vectors.readable(vectors, "vectors", self.dim)
            given = None if labels is None else labels_of(labels, _vectors.count(rows))
            return self._core.add(rows, given, callback)

    def remove(self, labels: Labels, *, threads: int | None = None) -> int:
        """Remove the vectors of these labels, in order.

        Args:
            labels: ``[n]`` integers that have a vector each.
            threads: as for :meth:`add`.

        Returns:
            How many there were, which is all of them.

        No search that begins afterwards finds them, and their labels can be used again. A label without a
        vector raises :exc:`UnknownLabelError`, and one that stands twice :exc:`DuplicateLabelError`; then
        nothing is removed. If Ctrl-C ends the work early, a first part of them is removed.

        A mapped index raises :exc:`UnsupportedError`, also in :meth:`update`, :meth:`upsert` and :meth:`flush`.

        >>> import concord
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4], [6, 8]])
        3
        >>> index.remove([0, 2])
        2
        >>> len(index), index.search([0, 0], k=1)[0].tolist()
        (1, [1])
        """
        with limited(threads):
            return self._core.remove(labels_of(labels, None))

    def __delitem__(self, label: Labels) -> None:
        """Remove the vector of a label, or of several; see :meth:`remove`."""
        one = _one(label)
        self.remove(label if one is None else self._number(one))

    def clear(self) -> int:
        """Remove all vectors, and give their memory back; returns how many there were.

        They count as removals: the parameters, and the history that labels count, stay. A mapped index raises
        :exc:`UnsupportedError`.

        >>> import concord
        >>> index = concord.Index.from_vectors([[0, 0], [3, 4]])
        >>> index.clear(), len(index)
        (2, 0)
        """
        removed = self.remove(self.labels())
        self.flush()
        return removed

    def update(
        self,
        vectors: Vectors,
        labels: Labels,
        *,
        threads: int | None = None,
        progress: Progress = None,
    ) -> int:
        """Replace the vectors of these labels, in order.

        Args:
            vectors: as for :meth:`add`.
            labels: ``[n]`` integers that have a vector each.
            threads: as for :meth:`add`.
            progress: see :data:`Progress`.

        Returns:
            The number replaced, which is n unless ``progress`` stopped the work.

        In one instant the new vector can be found and the old one no more. The new one is the latest in the
        order of insertion. Refusals are those of :meth:`add` and :meth:`remove`, and leave the index as it
        was. Vectors that are not read in place are converted all at once.

        >>> import concord
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4]])
        2
        >>> index.update([[6, 8]], labels=[0])
        1
        >>> index[0].tolist(), index.labels().tolist()
        ([6.0, 8.0], [1, 0])
        """
        return self._replace(self._core.update, vectors, labels, threads, progress)

    def upsert(
        self,
        vectors: Vectors,
        labels: Labels,
        *,
        threads: int | None = None,
        progress: Progress = None,
    ) -> int:
        """As :meth:`update`, but a label without a vector is added."""
        return self._replace(self._core.upsert, vectors, labels, threads, progress)

    def _replace(
        self,
        change: Callable[..., int],
        vectors: Vectors,
        labels: Labels,
        threads: int | None,
        progress: Progress,
    ) -> int:
        with limited(threads), _progress.callback(progress) as callback:
            rows = _vectors.readable(vectors, "vectors", self.dim)
            return change(rows, labels_of(labels, _vectors.count(rows)), callback)

    def flush(self, *, threads: int | None = None) -> None:
        """Unlink all removed vectors from the graph now, as the end of the epoch would, and give memory back
        if unlinked vectors hold a sixteenth of it. ``threads`` is as for :meth:`add`.

        If a vector was removed, it counts as an operation: the same sequence with and without it may end in
        other graphs.
        """
        with limited(threads):
            self._core.flush()

    def __len__(self) -> int:
        """The number of vectors."""
        return self._core.size()

    def __contains__(self, label: object) -> bool:
        """Whether a vector has this label."""
        number = integer_of(label, "label")
        return 0 <= number <= MOST_LABEL and self._core.contains(number)

    def __getitem__(self, label: Labels) -> npt.NDArray[np.float32]:
        """The stored vector ``[dim]`` of a label, or those ``[n, dim]`` of several; normalised for cosine.

        Several are a list, a range or an array. A label without a vector raises :exc:`UnknownLabelError`.

        >>> import concord
        >>> index = concord.Index(dim=2, metric="cosine")
        >>> index.add([[3, 4]], labels=[7])
        1
        >>> index[7].round(2).tolist()
        [0.6000000238418579, 0.800000011920929]
        >>> index[[7, 7]].shape
        (2, 2)
        """
        one = _one(label)
        if one is None:
            return self._core.vectors(labels_of(label, None), False)
        return self._core.vector(self._number(one))

    @overload
    def get(self, label: SupportsIndex) -> npt.NDArray[np.float32] | None: ...
    @overload
    def get(self, label: SupportsIndex, default: Default) -> npt.NDArray[np.float32] | Default: ...
    @overload
    def get(
        self, label: SupportsArray | Sequence[SupportsIndex], default: float | None = None
    ) -> npt.NDArray[np.float32]: ...
    def get(self, label: Labels, default: Any = None) -> Any:
        """The stored vector ``[dim]`` of a label, or ``default`` if it has none.

        Of several labels it is ``[n, dim]``, in which the rows of labels without a vector are filled with
        ``default``, or with NaN.

        >>> import concord
        >>> index = concord.Index.from_vectors([[0, 0], [3, 4]])
        >>> index.get(1).tolist(), index.get(7), index.get([1, 7], default=-1).tolist()
        ([3.0, 4.0], None, [[3.0, 4.0], [-1.0, -1.0]])
        """
        one = _one(label)
        if one is not None:
            try:
                return self[one]
            except UnknownLabelError:
                return default
        rows = self._core.vectors(labels_of(label, None), True)
        if default is not None:
            rows[np.isnan(rows[:, 0])] = default
        return rows

    @staticmethod
    def _number(label: SupportsIndex) -> int:
        """A label of one vector; what can be none is unknown."""
        number = integer_of(label, "label")
        if not 0 <= number <= MOST_LABEL:
            raise UnknownLabelError(f"no vector has label {number}")
        return number

    def __iter__(self) -> Iterator[int]:
        """Labels in the order of insertion."""
        return iter(self.labels().tolist())

    def labels(self) -> npt.NDArray[np.int64 | np.uint64]:
        """All labels ``[n]`` in the order of insertion: int64, or uint64 if one is above 2**63 - 1."""
        return self._core.labels()

    def insertion_numbers(self, labels: Labels) -> npt.NDArray[np.int64]:
        """How many vectors were inserted before that of each label ``[n]``, dead ones included; -1 without one.

        >>> import concord
        >>> index = concord.Index.from_vectors([[0, 0], [3, 4], [6, 8]], labels=[7, 8, 9])
        >>> index.remove(8)
        1
        >>> index.insertion_numbers([9, 7, 8]).tolist()
        [2, 0, -1]
        """
        core = self._alone("insertion_numbers")
        return core.insertion_numbers(labels_of(labels, None)).view(np.int64)

    # -------------------------------------------------------------------------------------- search

    @overload
    def search(
        self,
        queries: Vectors,
        k: int = 10,
        ef: int = 64,
        *,
        out: Out | None = None,
        return_vectors: Literal[False] = False,
        progress: Progress = None,
        **options: Unpack[SearchOptions],
    ) -> Matches: ...
    @overload
    def search(
        self,
        queries: Vectors,
        k: int = 10,
        ef: int = 64,
        *,
        out: Out | None = None,
        return_vectors: Literal[True],
        progress: Progress = None,
        **options: Unpack[SearchOptions],
    ) -> MatchesWithVectors: ...
    @overload
    def search(
        self,
        queries: Vectors,
        k: int = 10,
        ef: int = 64,
        *,
        out: Out | None = None,
        return_vectors: bool,
        progress: Progress = None,
        **options: Unpack[SearchOptions],
    ) -> Matches | MatchesWithVectors: ...
    def search(
        self,
        queries: Vectors,
        k: int = 10,
        ef: int = 64,
        *,
        slack: float = math.inf,
        recall: float | None = None,
        rescore: int | None = None,
        use_codes: bool = True,
        filter: Which | Sequence[Which | None] | None = None,
        groups: Grouping | None = None,
        group_hits: int = 1,
        out: Out | None = None,
        return_vectors: bool = False,
        threads: int | None = None,
        progress: Progress = None,
    ) -> Matches | MatchesWithVectors:
        """Find the (approximate) ``k`` nearest vectors of each query.

        Args:
            queries: ``[q, dim]``, or ``[dim]`` for one query.
            k: neighbors wanted, 0 to 65,536.
            ef: candidates kept, 1 to 65,536; raised to ``k`` if it is smaller. More candidates find more
                of the true neighbors and take longer.
            slack: 0 or more. The search also ends when the nearest unvisited candidate is farther than
                ``1 + slack`` times the ``k``-th nearest found, in Euclidean distance. With a large ``ef``,
                easy queries then end early and hard ones go on (adaptive beam search, arXiv 2505.15636),
                so the same recall takes fewer distances. With infinity ``ef`` alone decides, which is the
                only choice for ``"inner_product"``.
            recall: takes ``ef`` and ``slack``, which are then not given, from the preset of :meth:`tune` for
                ``k`` and the least goal that is no smaller. Without such a preset, or if since the tuning more
                vectors were inserted and removed than there were, :exc:`UnknownPresetError` is raised. Presets
                never use codes, so ``rescore`` is not given with them.
            rescore: 1 to 65,536. In an index with codes, exact distances of so many candidates, the nearest by
                estimate, decide. It is raised to ``k`` and lowered to ``ef``. ``None`` means
                ``max(2 * k, k + 10)`` with ``"sq8"`` and ``max(4 * k, k + 30)`` with ``"sq4"``. Without codes
                it changes nothing.
            use_codes: whether the search of an index with codes walks by them. With ``False`` all its distances
                are exact.
            filter: which vectors may be found: whatever :meth:`filter` takes, or a list with one of these or
                ``None`` for each query. Then ``min(k, matches)`` are found, always. Queries are in host memory.
            groups: whatever :meth:`groups` takes. Then the ``k`` nearest groups are found, of each at most
                ``group_hits`` vectors, in a row of ``k * group_hits`` places. It takes no ``slack``, and never
                uses codes.
            group_hits: vectors of a group, 1 to 65,536.
            out: arrays to write the answer to, ``labels`` of uint64 or int64 and ``distances`` of
                float32.
            return_vectors: whether the stored vectors of what was found are returned as well. They are read
                after the search: one that was removed meanwhile is NaN, and of one that was replaced it is the
                new one.
            threads: at most so many threads for this call; never more than the index has.
            progress: see :data:`Progress`. It counts queries in host memory. If it stops the work, the queries
                that are left find nothing.

        Returns:
            :class:`Matches`, that is ``(labels, distances)``, int64 and float32, ``[q, k]``, or ``[k]`` for one
            query; nearest first, ties in the order of insertion. If the first of equal vectors was removed, the
            next of them stands in its place among ties. If fewer than ``k`` are found, the rest is
            :data:`NO_LABEL` and infinity. With ``return_vectors`` :class:`MatchesWithVectors`, whose third is
            ``[q, k, dim]``.

        The answer does not depend on the number of threads, the device, or the size of batches.

        >>> import concord, numpy as np
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4], [6, 8]])
        3
        >>> labels, distances = index.search([0, 0], k=2)
        >>> labels.tolist(), distances.tolist()
        ([0, 1], [0.0, 25.0])
        >>> out = np.empty((1, 4), np.int64), np.empty((1, 4), np.float32)
        >>> index.search([[0, 0]], k=4, out=out)[0].tolist()
        [[0, 1, 2, -1]]
        """
        rows = _vectors.readable(queries, "queries", self.dim)
        if not isinstance(use_codes, bool):
            raise TypeError(f"use_codes is {use_codes!r}; allowed are True and False")
        if recall is not None:
            if ef != 64 or slack != math.inf:
                raise InvalidParameterError(
                    "recall is given, which decides ef and slack; allowed is recall, or ef and slack"
                )
            if rescore is not None:
                raise InvalidParameterError(
                    "recall is given, whose presets never use codes; allowed is recall, or rescore"
                )
            ef, slack, use_codes = self._alone("recall in place of ef and slack").preset(
                recall_of(recall), k
            )
        how = (rows, k, ef, slack, rescore, use_codes)
        find: Callable[..., Matches]
        if filter is None and groups is None:
            find = functools.partial(self._core.search, *how, out)
        else:
            with limited(threads):
                filters = None if filter is None else filters_of(self._core, filter)
                grouping = None if groups is None else groups_of(self._core, groups)._core
            among = (filters, grouping, group_hits, out)
            find = functools.partial(self._core.search_among, *how, *among)
        if threads is None and progress is None:  # contexts take as long as a short search
            found = find(None)
        else:
            with limited(threads), _progress.callback(progress, " queries") as callback:
                found = find(callback)
        return self._with_vectors(found) if return_vectors else found

    def _with_vectors(self, found: Matches) -> MatchesWithVectors:
        labels = np.ascontiguousarray(found.labels).view(np.uint64)
        vectors = self._core.vectors(labels.reshape(-1), True)
        return MatchesWithVectors(*found, vectors.reshape(*labels.shape, self.dim))

    def exact_search(
        self,
        queries: Vectors,
        k: int = 10,
        *,
        filter: Which | Sequence[Which | None] | None = None,
        out: Out | None = None,
        threads: int | None = None,
        progress: Progress = None,
    ) -> Matches:
        """The true ``k`` nearest, found by scanning every vector; otherwise like :meth:`search`."""
        rows = _vectors.readable(queries, "queries", self.dim)
        with limited(threads), _progress.callback(progress, " queries") as callback:
            if filter is None:
                return self._core.exact_search(rows, k, out, callback)
            filters = filters_of(self._core, filter)
            return self._core.exact_search_among(rows, k, filters, out, callback)

    def cursor(
        self,
        query: Vectors,
        k: int = 10,
        ef: int = 64,
        *,
        slack: float = math.inf,
        filter: Which | None = None,
    ) -> Cursor:
        """Begin a search that goes on, page by page, for as long as its caller wants more.

        Args:
            query: ``[dim]``, in host memory.
            k: vectors of a page, 1 to 65,536.
            ef: as for :meth:`search`; a page is that of a search with ``ef`` and all given so far.
            slack: as for :meth:`search`.
            filter: which vectors may be given: whatever :meth:`filter` takes.

        Returns:
            A :class:`Cursor`. It gives the vectors that the index has now, each once, to the last. Vectors
            that are added later never appear, and removed or replaced ones are not given any more. It never
            uses codes.

        >>> import concord
        >>> index = concord.Index(dim=1)
        >>> index.add([[0], [1], [2], [3], [4]])
        5
        >>> [labels.tolist() for labels, distances in index.cursor([0], k=2)]
        [[0, 1], [2, 3], [4]]
        """
        k = count_of(k, "k")
        row = _vectors.readable(query, "query", self.dim)
        among = None if filter is None else filter_of(self._core, filter)._core
        return Cursor(self._core.cursor(row, ef, slack, among), k)

    def range_search(
        self,
        queries: Vectors,
        radius: float,
        ef: int = 64,
        slack: float = 0.10,
        limit: int | None = None,
        *,
        filter: Which | Sequence[Which | None] | None = None,
        threads: int | None = None,
        progress: Progress = None,
    ) -> RangeAnswers:
        """Find (approximately) all vectors within a distance of each query.

        Args:
            queries: ``[q, dim]``, or ``[dim]`` for one query, in host memory.
            radius: the greatest distance, 0 to infinity, in the units of the distances that :meth:`search`
                returns: squared for ``"l2sq"``, 1 - cosine for ``"cosine"``.
            ef: the search spreads from so many nearest vectors, 1 to 65,536; raised to ``limit`` if it is
                smaller.
            slack: 0 to infinity. The search spreads over vectors within ``1 + slack`` times the radius, in
                Euclidean distance. More slack finds more and takes longer.
            limit: the nearest so many of each query at most, 0 to 65,536.
            filter: as for :meth:`search`.
            threads: as for :meth:`search`.
            progress: as for :meth:`search`.

        Returns:
            ``(lims, labels, distances)``, int64, int64 and float32. The hits of query ``i`` are
            ``labels[lims[i]:lims[i + 1]]``, nearest first, ties in the order of insertion.

        If more than a sixteenth of the vectors are near enough, all are scanned, and the answer is exact. The
        answer does not depend on the number of threads, the device, or the size of batches. The CPU computes
        it, and never uses codes. For ``"ip"`` there is none, because inner product is no metric:
        :exc:`UnsupportedError`.

        >>> import concord
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4], [6, 8]])
        3
        >>> lims, labels, distances = index.range_search([[0, 0], [6, 8]], radius=25)
        >>> lims.tolist(), labels.tolist(), distances.tolist()
        ([0, 2, 4], [0, 1, 2, 1], [0.0, 25.0, 0.0, 25.0])
        """
        rows = _vectors.readable(queries, "queries", self.dim)
        with limited(threads), _progress.callback(progress, " queries") as callback:
            filters = None if filter is None else filters_of(self._core, filter)
            return self._core.range_search(rows, radius, ef, slack, limit, filters, callback)

    def knn_graph(
        self,
        k: int,
        *,
        include_self: bool = True,
        recall: float = 0.98,
        squared: bool = False,
        threads: int | None = None,
        progress: Progress = None,
    ) -> KnnGraph:
        """Find the ``k`` nearest neighbors of each vector of the index, as :func:`concord.knn_graph` does for
        vectors that are in none.

        Args:
            k: neighbors of a vector, 1 to ``len(index)``. With ``include_self`` it is one of them.
            include_self: whether each row begins with the vector itself, at distance 0, also among its copies.
            recall: the mean share of the true neighbors that are found, with a confidence of 95 %. If the index
                has no preset for it and for the number of other neighbors, :meth:`tune` makes one.
            squared: for ``"l2sq"``, whether distances are squares. Otherwise they are roots.
            threads: as for :meth:`search`.
            progress: as for :func:`concord.knn_graph`.

        Returns:
            ``(indices, distances)``: int64 and float32, ``[len(index), k]``. Number ``i`` is the vector of
            label ``labels()[i]``, as a row and as an index.

        It follows from the index, its presets and the arguments alone. Nobody may change the index meanwhile: a
        change that is noticed raises :exc:`BusyError` or :exc:`UnknownLabelError`. For ``"ip"`` there is none:
        :exc:`UnsupportedError`.

        >>> import concord
        >>> index = concord.Index.from_vectors([[0, 0], [3, 4], [6, 9]])
        >>> indices, distances = index.knn_graph(2, include_self=False)
        >>> indices.tolist(), distances[0].round(2).tolist()
        ([[1, 2], [0, 2], [1, 0]], [5.0, 10.819999694824219])
        """
        from concord.knn import graph_of  # it has functions over this class

        distance = Distance(self.metric, self.metric == "l2sq" and not squared)
        return graph_of(self, k, include_self, recall, distance, progress, threads)

    def groups(self, keys: Grouping) -> Groups:
        """Put the vectors into groups for many searches: those with equal keys belong together.

        Args:
            keys: ``[len(index)]`` in the order of :meth:`labels`: integers or texts, in an array or a list.

        Another number of keys raises :exc:`InvalidParameterError`. Searches with groups never use codes.

        >>> import concord
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [0, 1], [3, 4], [6, 8]])
        4
        >>> documents = index.groups(["a", "a", "b", "b"])
        >>> index.search([0, 0], k=2, groups=documents)[0].tolist()
        [0, 2]
        >>> index.search([0, 0], k=1, groups=documents, group_hits=2)[0].tolist()
        [0, 1]
        """
        return groups_of(self._core, keys)

    def filter(self, which: Which) -> Filter:
        """Make a filter for many searches: a part of the vectors that are there now.

        Args:
            which: one of

                - a mask ``[len(index)]`` in the order of :meth:`labels`: booleans, or uint8 of which those that
                  are not 0 match. A numpy array, a list, or a column of pandas, polars or pyarrow, where null
                  does not match.
                - labels ``[n]``: integers of any other type. Unknown ones are counted in
                  :attr:`Filter.unknown`.
                - a slice of the order of insertion: ``slice(-1000, None)`` is the latest thousand.
                - a callable that gets the array of all labels, read-only, and returns a mask of booleans. It is
                  called once.
                - a :class:`Filter` of this index, which is returned.

        A mask of another length raises :exc:`InvalidParameterError`.

        >>> import concord
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4], [6, 8]])
        3
        >>> later = index.filter(slice(1, None))
        >>> index.search([0, 0], k=2, filter=later)[0].tolist()
        [1, 2]
        >>> index.search([0, 0], k=2, filter=later & ~index.filter([2]))[0].tolist()
        [1, -1]
        >>> index.search([[0, 0], [0, 0]], k=1, filter=[later, None])[0].tolist()
        [[1], [0]]
        """
        return filter_of(self._core, which)

    # ------------------------------------------------------------------------------ tuning, explaining

    def tune(
        self,
        recall: float = 0.99,
        k: int = 10,
        queries: Vectors | None = None,
        *,
        sample: int = 4000,
        threads: int | None = None,
    ) -> Preset:
        """Find the cheapest ``ef`` and ``slack`` that reach a recall, and remember them for :meth:`search`.

        Args:
            recall: the mean recall@k to be reached with a confidence of 95 %, above 0 and below 1.
            k: neighbors wanted, 1 to 65,536.
            queries: a sample of queries ``[q, dim]``. Without it, vectors of the index are taken, drawn by a
                hash, each left out of its own search.
            sample: how many vectors of the index at most.
            threads: as for :meth:`search`.

        The sample is scored exactly, and cost is counted in distances. So the preset follows from the index,
        the queries and the goal alone. It never uses codes. The confidence is that of the one-sided normal
        bound for the mean of the queries' recalls, with the adjustment of Agresti & Coull (The American
        Statistician 52, 1998). It speaks of queries like those of the sample: give ``queries`` if yours differ
        from the vectors of the index.

        The preset changes neither the graph nor the file. :meth:`save` writes it beside the file, where
        :meth:`load`, :meth:`map` and :meth:`open` find it; an index made by :meth:`open` writes it at once. A
        sample too small to show the goal raises :exc:`InvalidParameterError`, unless the index has at most
        4,096 vectors; then ``ef`` covers it.

        >>> import concord, numpy as np
        >>> vectors = np.random.default_rng(1).normal(size=(6000, 8)).astype(np.float32)
        >>> index = concord.Index(dim=8)
        >>> index.add(vectors[:5000])
        5000
        >>> preset = index.tune(recall=0.95)
        >>> preset.k, preset.at_least >= 0.95
        (10, True)
        >>> labels, _ = index.search(vectors[5000:], k=10, recall=0.95)
        >>> labels.shape
        (1000, 10)
        """
        rows = None if queries is None else _vectors.readable(queries, "queries", self.dim)
        with limited(threads):
            return Preset(**self._alone("tune").tune(rows, recall_of(recall), k, sample))

    def presets(self) -> list[Preset]:
        """All presets, in order of ``k`` and goal."""
        return [Preset(**preset) for preset in self._alone("presets").presets()]

    def remember(self, preset: Preset) -> None:
        """Take a preset over from an index with the same history, such as one read from bytes."""
        if not isinstance(preset, Preset):
            raise TypeError(f"preset must be a concord.Preset, not {type(preset).__name__}")
        self._alone("remember").remember(dataclasses.asdict(preset))

    def explain(
        self, query: Vectors, label: SupportsIndex, k: int = 10, filter: Which | None = None
    ) -> Explanation:
        """Say why the vector of a label is or is not among the ``k`` nearest of a query.

        The explanation has its exact rank and distance, the least ``ef`` and the least ``slack`` whose searches
        return it, where the walk meets it, and what hides it. It is exact for the index as it stands during the
        call. It never uses codes, so it explains searches with ``use_codes=False``. An unknown label raises
        :exc:`UnknownLabelError`.

        >>> import concord
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4], [6, 8]])
        3
        >>> why = index.explain([0, 1], 1, k=2)
        >>> why.rank, why.distance, why.ef, why.reason
        (2, 18.0, 1, 'returned')
        >>> print(index.explain([0, 1], 2, k=2))
        Label 2 has rank 3, at a distance of 85. 2 vectors come before it, so it is not among the 2 nearest.
        """
        row = _vectors.readable(query, "query", self.dim)
        among = None if filter is None else filter_of(self._core, filter)._core
        return Explanation(**self._core.explain(row, self._number(label), k, among))

    # --------------------------------------------------------------------------------------- files

    def save(self, file: Path | IO[bytes]) -> None:
        """Write the index to a path, or to a binary file open for writing.

        Presets go to a second file, the path with ``.presets`` behind it. A binary file gets none.

        A path is replaced atomically: the old file stays until the new one is complete and on disk.

        >>> import concord, os, tempfile
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4]])
        2
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "two.concord")
        ...     index.save(path)
        ...     concord.load(path).digest() == index.digest()
        True
        """
        if isinstance(file, (str, bytes, os.PathLike)):
            self._core.save(_path(file))
            return
        _refuse_unless(file, "write")
        self._alone("save").write(lambda piece: _write_all(file, piece))

    @classmethod
    def load(cls, file: Path | IO[bytes], *, threads: int = 0, device: Device = "auto") -> Index:
        """Read a file that :meth:`save` wrote, checking every checksum and link first."""
        if isinstance(file, (str, bytes, os.PathLike)):
            return cls._of(_concord.load(_path(file), threads, device))
        _refuse_unless(file, "read")
        return cls.from_bytes(file.read(), threads=threads, device=device)

    def to_bytes(self) -> bytes:
        """The bytes of the file that :meth:`save` writes.

        >>> import concord
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4]])
        2
        >>> concord.Index.from_bytes(index.to_bytes()).digest() == index.digest()
        True
        """
        return self._alone("to_bytes").to_bytes()

    @classmethod
    def from_bytes(
        cls, content: bytes | bytearray | memoryview, *, threads: int = 0, device: Device = "auto"
    ) -> Self:
        """Read what :meth:`to_bytes` gave, checking it as :meth:`load` does."""
        return cls._of(_concord.from_bytes(content, threads, device))

    @classmethod
    def map(
        cls, path: Path, *, check: bool = False, threads: int = 0, device: Device = "auto"
    ) -> Index:
        """Open a file that :meth:`save` wrote without reading it: pages are loaded as they are used.

        Codes of an index that has them are read into memory. A search that walks by codes reads the
        vectors that it rescores from the file, and keeps none, so that vectors need not fit memory. If one
        cannot be read, it raises IoError.

        Processes that map one file share its pages. The index is read-only; changes raise
        UnsupportedError. The first call that needs a part of the file checks it as :meth:`load` does;
        with ``check=True`` all is checked at once. Damage raises CorruptFileError. The file must not be
        changed in place while it is mapped; :meth:`save` may replace it.

        >>> import tempfile
        >>> index = Index(dim=2)
        >>> _ = index.add([[0, 0], [1, 1]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     index.save(f"{folder}/two.concord")
        ...     mapped = Index.map(f"{folder}/two.concord")
        ...     mapped.search([1, 1], k=1)[0].tolist()
        [1]
        """
        return cls._of(_concord.map(_path(path), check, threads, device))

    @classmethod
    def open(
        cls,
        path: Path,
        dim: int | None = None,
        metric: Metric = "l2sq",
        M: int = 16,
        ef_construction: int = 200,
        *,
        seed: int = 42,
        epoch_limit: int = 1024,
        codes: Codes = "none",
        storage: Storage = "automatic",
        durability: Durability = "synced",
        threads: int = 0,
        device: Device = "auto",
    ) -> Index:
        """Open an index whose additions survive a crash: once :meth:`add` returns, its vectors are found
        again, with the same digest, however the process ends.

        The index is the file ``path`` and the journal ``path`` + ``".journal"``. If neither exists, the
        index is empty. If an addition was interrupted, a prefix of its vectors is there. So a build
        resumes by adding the rest, from ``len(index)`` on.

        If a crash has left an incomplete record at the journal's end, it is cut off with a
        :class:`RuntimeWarning` that counts what was lost. A damaged journal raises
        :class:`CorruptFileError` and is left as it is.

        Args:
            path: path of the index file.
            dim: elements of a vector. Without it the files must exist, and hold all parameters. With it
                the parameters are those of a new index, and must equal those of existing files.
            metric: as for :class:`Index`.
            M: as for :class:`Index`.
            ef_construction: as for :class:`Index`.
            seed: as for :class:`Index`.
            epoch_limit: as for :class:`Index`.
            codes: as for :class:`Index`.
            storage: as for :class:`Index`.
            durability: ``"synced"`` survives a power cut. ``"system"`` survives the end of the process; the
                operating system decides when to write to disk, until the index is closed.
            threads: as for :class:`Index`.
            device: as for :class:`Index`.

        >>> import concord, os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "two.concord")
        ...     index = concord.Index.open(path, dim=2)
        ...     _ = index.add([[0, 0], [3, 4]])
        ...     del index
        ...     len(concord.Index.open(path))
        2
        """
        expect_names(
            metric=metric, codes=codes, storage=storage, durability=durability, device=device
        )
        parameters = (dim, metric, M, ef_construction, seed, epoch_limit, codes, storage)
        index = cls._of(_concord.open(_path(path), *parameters, durability, threads, device))
        warn_of_cut(path, index.stats())
        return index

    def compact(self) -> None:
        """Write the file of an index made by :meth:`open` anew, and empty its journal."""
        self._core.compact()

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        """A pickle is the saved file, the presets, and what a subclass adds; threads and device stay here."""
        return _unpickled, (type(self), self.to_bytes(), self.presets()), self._own_state()

    def copy(self) -> Self:
        """An equal index with the threads, the device and the presets of this one, and no journal.

        >>> import concord
        >>> index = concord.Index.from_vectors([[0, 0], [3, 4]])
        >>> twin = index.copy()
        >>> twin.remove([0]), len(twin), len(index)
        (1, 1, 2)
        """
        return copy.copy(self)

    def __copy__(self) -> Self:
        """An equal index with the threads, the device and the attributes of this one."""
        twin = self._twin()
        _set_own_state(twin, self._own_state())
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """As ``copy``, with deep copies of the attributes of a subclass."""
        memo[id(self)] = twin = self._twin()
        _set_own_state(twin, copy.deepcopy(self._own_state(), memo))
        return twin

    def _twin(self) -> Self:
        twin = self.from_bytes(self.to_bytes(), threads=self.threads, device=self.device)
        twin._core.set_runtime(*self._runtime())
        for preset in self.presets():
            twin.remember(preset)
        return twin

    def _own_state(self) -> Any:
        """What a subclass adds, in the form of pickle."""
        state = object.__reduce_ex__(self, 2)[2]
        if isinstance(state, tuple):  # attributes and slots
            attributes, slots = state
            slots = {name: value for name, value in slots.items() if name != "_core"}
            return (attributes, slots) if slots else attributes
        return state

    # ---------------------------------------------------------------------------------- inspection

    def digest(self) -> str:
        """32 hexadecimal digits over parameters, graph, vectors and labels; equal for equal indexes."""
        return self._core.digest()

    def audit(self) -> AuditReport:
        """Check the invariants of the graph."""
        return AuditReport(**self._core.audit())

    def stats(self) -> Stats:
        """Size and shape of the graph, and the work done so far."""
        return stats_from(self._core.stats())

    def memory(self) -> MemoryUse:
        """Resident bytes by part."""
        return MemoryUse(**self._core.memory())

    @property
    def dim(self) -> int:
        """Elements of a vector."""
        return self._core.dim

    @property
    def metric(self) -> str:
        """``"l2sq"``, ``"inner_product"`` or ``"cosine"``."""
        return self._core.metric

    @property
    def M(self) -> int:
        """Links a vector makes in each layer."""
        return self._core.M

    @property
    def ef_construction(self) -> int:
        """Candidates examined per insertion and layer."""
        return self._core.ef_construction

    @property
    def seed(self) -> int:
        """Seed of the levels."""
        return self._core.seed

    @property
    def epoch_limit(self) -> int:
        """How many vectors at most are proposed against the same older graph."""
        return self._core.epoch_limit

    @property
    def codes(self) -> str:
        """``"none"``, ``"sq8"`` or ``"sq4"``."""
        return self._core.codes

    @property
    def storage(self) -> str:
        """``"automatic"``, ``"f32"``, ``"f16"`` or ``"bf16"``."""
        return self._core.storage

    def __repr__(self) -> str:
        """The parameters, threads, device and size."""
        codes = "" if self.codes == "none" else f"codes={self.codes!r}, "
        storage = "" if self.storage == "automatic" else f"storage={self.storage!r}, "
        return (
            f"concord.Index(dim={self.dim}, metric={self.metric!r}, M={self.M}, "
            f"ef_construction={self.ef_construction}, {codes}{storage}threads={self.threads}, "
            f"device={self.device!r}): {len(self)} vectors"
        )

    def _repr_html_(self) -> str:
        """For a notebook."""
        names = (
            "dim",
            "metric",
            "M",
            "ef_construction",
            "seed",
            "epoch_limit",
            "codes",
            "storage",
            "threads",
            "device",
        )
        rows = [
            ("vectors", f"{len(self):,}"),
            *((name, str(getattr(self, name))) for name in names),
        ]
        return table(f"concord.{type(self).__name__}", rows)

    # ------------------------------------------------------------------------------------- runtime

    @property
    def threads(self) -> int:
        """The number of threads, 0 for one per hardware thread; can be set."""
        return self._core.threads

    @threads.setter
    def threads(self, value: int) -> None:
        self._core.set_runtime(value, *self._runtime()[1:])

    @property
    def device(self) -> str:
        """``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; can be set."""
        return self._core.device

    @device.setter
    def device(self, value: str) -> None:
        expect_names(device=value)
        self._core.set_runtime(self.threads, value, *self._runtime()[2:])

    @property
    def certificates(self) -> bool:
        """Whether :meth:`add` rejects far vectors by 8-bit codes, which never changes the index; can be set."""
        return self._core.certificates

    @certificates.setter
    def certificates(self, value: bool) -> None:
        if not isinstance(value, bool):
            raise TypeError(f"certificates is {value!r}; allowed are True and False")
        self._core.set_runtime(self.threads, self.device, value, self.checked_share)

    @property
    def checked_share(self) -> float:
        """The share of a GPU's proposals that the CPU computes as well and compares; can be set.

        0 to 1, at first 0.001. A GPU whose work differs is not used any more: the logger warns with node and
        layer, and the CPU goes on. :meth:`stats` counts the checks.
        """
        return self._core.checked_share

    @checked_share.setter
    def checked_share(self, value: float) -> None:
        self._core.set_runtime(*self._runtime()[:3], share_of(value, "checked_share"))

    def _runtime(self) -> tuple[int, str, bool, float]:
        return self.threads, self.device, self.certificates, self.checked_share

    @contextlib.contextmanager
    def using(self, *, threads: int | None = None, device: Device | None = None) -> Iterator[Index]:
        """Use other threads or another device within a ``with`` statement.

        >>> import concord
        >>> index = concord.Index(dim=2, threads=2)
        >>> with index.using(threads=1, device="cpu"):
        ...     index.add([[0, 0]])
        1
        >>> index.threads, index.device
        (2, 'auto')
        """
        if device is not None:
            expect_names(device=device)
        before = self._runtime()
        self._core.set_runtime(
            before[0] if threads is None else threads,
            before[1] if device is None else device,
            *before[2:],
        )
        try:
            yield self
        finally:
            self._core.set_runtime(*before)


def load(file: Path | IO[bytes], *, threads: int = 0, device: Device = "auto") -> Index:
    """Read a file that :meth:`Index.save` wrote."""
    return Index.load(file, threads=threads, device=device)


def isa() -> str:
    """The instruction set that computes distances on this machine.

    scalar; avx2 or avx512 on x86-64; neon or neon-dotprod on aarch64.
    """
    return Index(1, threads=1, device="cpu").stats().isa


def _one(label: Labels) -> int | None:
    """The label of one vector; none if several are given."""
    try:
        return operator.index(cast(SupportsIndex, label))
    except TypeError:
        return None


def _path(path: Path) -> bytes:
    name = os.fsencode(path)
    if b"\0" in name:
        raise IoError("a path cannot hold a zero byte")
    return name


def _refuse_unless(file: IO[bytes], method: str) -> None:
    if not hasattr(file, method):
        raise TypeError(f"a path or a binary file is needed, not {type(file).__name__}")
    if getattr(file, "closed", False):
        raise IoError("the file is closed")


def _write_all(file: IO[bytes], piece: bytes) -> None:
    """Write a piece; raw files may take less at once."""
    view = memoryview(piece)
    while view:
        written = file.write(view)
        view = view[len(view) if written is None else written :]


def _unpickled(cls: type[Index], content: bytes, presets: Sequence[Preset] = ()) -> Index:
    index = cls.from_bytes(content)
    for preset in presets:
        index.remember(preset)
    return index


def _set_own_state(index: Index, state: Any) -> None:
    """As pickle sets it."""
    if state is None:
        return
    if hasattr(index, "__setstate__"):
        index.__setstate__(state)
        return
    attributes, slots = state if isinstance(state, tuple) else (state, None)
    if attributes:
        index.__dict__.update(attributes)
    for name, value in (slots or {}).items():
        setattr(index, name, value)
