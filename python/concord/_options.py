"""Keywords that one function hands on to another, for type checkers: each set is named once.

They mean nothing when the package runs: an unknown keyword is handed on, and the other function refuses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from concord.filters import Which
    from concord.groups import Grouping
    from concord.index import Codes, Device, Metric, Storage


class SearchOptions(TypedDict, total=False):
    """What all forms of :meth:`concord.Index.search` take beside queries, ``k`` and ``ef``."""

    slack: float
    recall: float | None
    rescore: int | None
    use_codes: bool
    filter: Which | Sequence[Which | None] | None
    groups: Grouping | None
    group_hits: int
    threads: int | None


class StoreOptions(TypedDict, total=False):
    """What :class:`concord.Store` takes beside ``dim``."""

    metric: Metric
    ef: int
    M: int
    ef_construction: int
    seed: int
    epoch_limit: int
    codes: Codes
    storage: Storage
    threads: int
    device: Device
