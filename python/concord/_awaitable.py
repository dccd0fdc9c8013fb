"""Searches and additions for asyncio: each runs on a thread of the event loop's executor.

The library releases the GIL, so the event loop goes on meanwhile. What is cancelled stops at its next look at
the caller, because it asks as a call with ``progress`` does.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar, cast

from concord.matches import Matches

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from concord._options import SearchOptions
    from concord.filters import Which
    from concord.index import Index, Labels, RangeAnswers, Vectors

T = TypeVar("T")
GoOn = Callable[[int, int], bool]


async def run(work: Callable[[GoOn], T]) -> T:
    """The result of ``work(go_on)`` on another thread; cancelled, ``go_on`` says so."""
    cancelled = threading.Event()
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    try:
        return await loop.run_in_executor(
            None, context.run, work, lambda done, total: not cancelled.is_set()
        )
    except asyncio.CancelledError:
        cancelled.set()
        raise


class AwaitableIndex:
    """The members of an index that are awaited."""

    __slots__ = ()

    async def asearch(
        self, queries: Vectors, k: int = 10, ef: int = 64, **options: Unpack[SearchOptions]
    ) -> Matches:
        """:meth:`search`, awaited: it runs on a thread of the event loop's executor.

        It takes ``slack``, ``recall``, ``rescore``, ``use_codes``, ``filter``, ``groups``, ``group_hits`` and
        ``threads`` as :meth:`search` does. Cancelled, it stops at its next look at the caller.

        >>> import asyncio, concord
        >>> index = concord.Index(dim=1)
        >>> index.add([[0], [1], [2]])
        3
        >>> labels, distances = asyncio.run(index.asearch([1], k=1))
        >>> labels.tolist()
        [1]
        """
        return await run(
            lambda go_on: cast("Index", self).search(queries, k, ef, progress=go_on, **options)
        )

    async def aexact_search(
        self,
        queries: Vectors,
        k: int = 10,
        *,
        filter: Which | Sequence[Which | None] | None = None,
        threads: int | None = None,
    ) -> Matches:
        """:meth:`exact_search`, awaited as :meth:`asearch` is."""
        return await run(
            lambda go_on: cast("Index", self).exact_search(
                queries, k, filter=filter, threads=threads, progress=go_on
            )
        )

    async def arange_search(
        self,
        queries: Vectors,
        radius: float,
        ef: int = 64,
        slack: float = 0.10,
        limit: int | None = None,
        *,
        filter: Which | Sequence[Which | None] | None = None,
        threads: int | None = None,
    ) -> RangeAnswers:
        """:meth:`range_search`, awaited as :meth:`asearch` is."""
        return await run(
            lambda go_on: cast("Index", self).range_search(
                queries, radius, ef, slack, limit, filter=filter, threads=threads, progress=go_on
            )
        )

    async def aadd(
        self, vectors: Vectors, labels: Labels | None = None, *, threads: int | None = None
    ) -> int:
        """:meth:`add`, awaited. Cancelled, it stops soon, and the index holds what was inserted by then."""
        return await run(
            lambda go_on: cast("Index", self).add(vectors, labels, threads=threads, progress=go_on)
        )
