"""Searches over actors: what each shard finds becomes one answer, or says which shards are missing in it.

Thread-safety: any thread may search, beside any change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
import ray  # type: ignore[import-not-found,unused-ignore]

from concord import _vectors
from concord.errors import DimensionMismatchError, UnsupportedError
from concord.filters import Which
from concord.index import RangeAnswers, Vectors
from concord.matches import Matches
from concord.ray import _calls, _filter
from concord.ray._filter import SHARED_BYTES, Filter
from concord.ray._layout import Layout


class Answer(Matches):
    """The pair ``(labels, distances)`` of a search, which also says which shards are missing in it."""

    missing: tuple[int, ...] = ()
    """Shards that did not answer; only with ``partial=True`` are there any."""


class Asking:
    """The calls of one search, each of which waits for a time. A shard that was late is not asked again."""

    def __init__(self, actors: Sequence[Any], timeout_s: float, partial: bool) -> None:
        self._actors = actors
        self._timeout_s = timeout_s
        self._partial = partial
        self.missing: tuple[int, ...] = ()

    def ask(
        self, member: str, arguments_of: Callable[[int], tuple[Any, ...]]
    ) -> list[tuple[int, Any]]:
        """What a member of the shards returned, by shard; raises if one did not that must answer."""
        refs = [
            None if shard in self.missing else _calls.call(actor, member, *arguments_of(shard))
            for shard, actor in enumerate(self._actors)
        ]
        there, missing = _calls.answers(refs, self._timeout_s)
        self.missing = tuple(missing)
        if missing and not (self._partial and there):
            raise _calls.unavailable(missing, self._timeout_s)
        return there

    def all(self, member: str, *arguments: Any) -> list[Any]:
        """The same for equal arguments. Of a shard that is missing, nothing."""
        there = dict(self.ask(member, lambda shard: arguments))
        return [there.get(shard) for shard in range(len(self._actors))]


class Searched:
    """The part of :class:`concord.ray.ShardedIndex` that searches."""

    _folder: str
    _parameters: dict[str, Any]
    _layout: Layout
    _actors: list[Any]
    _timeout_s: float

    def _all(self, method: str, *arguments: Any) -> list[Any]:
        """What a method of all shards returned, however long it takes."""
        refs = [_calls.call(actor, method, *arguments) for actor in self._actors]
        return [
            _calls.patient_result(self._actors[shard], shard, ref, self._timeout_s)
            for shard, ref in enumerate(refs)
        ]

    def _rows(self, vectors: Vectors, name: str) -> np.ndarray[Any, Any]:
        dim = self._parameters["dim"]
        rows = _vectors.matrix(vectors, name, dim)
        if rows.ndim == 1 and rows.size == dim:
            rows = rows.reshape(1, dim)
        if rows.ndim != 2 or rows.shape[1] != dim:
            raise DimensionMismatchError(
                f"{name} have shape {list(rows.shape)}; allowed is [n, {dim}]"
            )
        return rows

    def search(
        self,
        queries: Vectors,
        k: int = 10,
        ef: int = 64,
        *,
        slack: float = math.inf,
        rescore: int | None = None,
        use_codes: bool = True,
        filter: Filter | Which | Sequence[Any] | None = None,
        groups: object = None,
        partial: bool = False,
        timeout_s: float | None = None,
    ) -> Answer:
        """The ``k`` nearest of what all shards find, by distance and then position.

        Args:
            queries: as for :meth:`concord.Index.search`.
            k: as there.
            ef: as there; each shard searches with it.
            slack: as there.
            rescore: as there.
            use_codes: as there.
            filter: which vectors may be found: whatever :meth:`filter` takes, or a list with one of these or
                ``None`` for each query. One that is made here asks all shards first, and waits for each as
                long. With ``partial=True`` labels and callables choose among the shards that answer. A mask
                or a slice needs all of them, and raises :exc:`ShardUnavailableError`.
            groups: refused with :exc:`UnsupportedError`: there are none over Ray.
            partial: answer without the shards that do not answer in time, and name them in
                :attr:`Answer.missing`. Otherwise, and if none answers, :exc:`ShardUnavailableError` names them.
            timeout_s: how long to wait for a shard, in place of that of :meth:`open`.
        """
        if groups is not None:
            self.groups(groups)
        options = {"slack": slack, "rescore": rescore, "use_codes": use_codes}
        return self._search(queries, k, ef, options, False, filter, partial, timeout_s)

    def exact_search(
        self,
        queries: Vectors,
        k: int = 10,
        *,
        filter: Filter | Which | Sequence[Any] | None = None,
        partial: bool = False,
        timeout_s: float | None = None,
    ) -> Answer:
        """The true ``k`` nearest of all vectors; otherwise like :meth:`search`."""
        return self._search(queries, k, 1, {}, True, filter, partial, timeout_s)

    def _search(
        self,
        queries: Vectors,
        k: int,
        ef: int,
        options: dict[str, Any],
        exactly: bool,
        filter: Any,
        partial: bool,
        timeout_s: float | None,
    ) -> Answer:
        rows, is_one = self._queries(queries)
        asking = self._asking(timeout_s, partial)
        there = self._ask(asking, "search", rows, (k, ef, options, exactly), filter)
        answer = Answer(*self._layout.merged(there, len(rows), k))
        if is_one:
            answer = Answer(answer.labels[0], answer.distances[0])
        answer.missing = asking.missing
        return answer

    def _queries(self, queries: Vectors) -> tuple[np.ndarray[Any, Any], bool]:
        """Queries ``[n, dim]``, and whether the caller gave a single one."""
        rows = self._rows(queries, "queries")
        return rows, _vectors.matrix(queries, "queries", rows.shape[1]).ndim == 1

    def _asking(self, timeout_s: float | None, partial: bool) -> Asking:
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        return Asking(self._actors, wait_s, partial)

    def _ask(
        self,
        asking: Asking,
        member: str,
        rows: np.ndarray[Any, Any],
        arguments: tuple[Any, ...],
        filter: Any,
    ) -> list[tuple[int, Any]]:
        """What the shards found, by shard. A filter that is made here asks them first."""
        which = None
        if filter is not None:
            which = _filter.filters_of(self._folder, self._layout, asking.all, filter)
        shared = ray.put(rows) if rows.nbytes > SHARED_BYTES else rows
        return asking.ask(
            member, lambda shard: (shared, *arguments, _filter.argument_of(which, shard))
        )

    def range_search(
        self,
        queries: Vectors,
        radius: float,
        ef: int = 64,
        slack: float = 0.10,
        limit: int | None = None,
        *,
        filter: Filter | Which | Sequence[Any] | None = None,
        timeout_s: float | None = None,
    ) -> RangeAnswers:
        """All vectors within a distance, as :meth:`concord.Index.range_search` finds them.

        Args:
            queries: as for :meth:`concord.Index.range_search`.
            radius: as there.
            ef: as there.
            slack: as there.
            limit: as there; of all shards together.
            filter: as for :meth:`search`.
            timeout_s: as for :meth:`search`. A shard that does not answer raises :exc:`ShardUnavailableError`.
        """
        rows, _ = self._queries(queries)
        asking = self._asking(timeout_s, partial=False)
        found = self._ask(asking, "range_search", rows, ((radius, ef, slack, limit),), filter)
        return self._layout.merged_ranges([one for _, one in found], len(rows), limit)

    def filter(self, which: Filter | Which) -> Filter:
        """Make a filter for many searches: a part of the vectors that are there now.

        Args:
            which: as for :meth:`concord.Index.filter`. For masks, slices and callables, which the driver reads,
                all labels of the index come to it. A :class:`concord.Filter` is refused.
        """
        return _filter.filter_of(self._folder, self._layout, self._all, which)

    def groups(self, keys: object) -> NoReturn:
        """Refused: there are none over Ray."""
        raise _not_over_ray("groups")

    def cursor(self, query: object, k: int = 10, ef: int = 64, **options: object) -> NoReturn:
        """Refused: there are none over Ray."""
        raise _not_over_ray("cursors")


def _not_over_ray(what: str) -> UnsupportedError:
    return UnsupportedError(
        f"{what}: there are none over Ray; concord.ShardedIndex has them, in one process"
    )
