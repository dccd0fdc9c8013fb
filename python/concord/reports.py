"""What an index reports: statistics, memory use, the findings of an audit.

``dataclasses.asdict`` turns any of them into something that ``json.dumps`` accepts. ``print`` shows one line
for each figure, a notebook a table.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any


def table(title: str, rows: Iterable[tuple[str, str]]) -> str:
    """Names and figures as HTML, for a notebook."""
    lines = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
        f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
        for name, text in rows
    )
    return f"<table><caption>{html.escape(title)}</caption>{lines}</table>"


class Report:
    """How reports are shown."""

    def _rows(self, prefix: str = "") -> list[tuple[str, str]]:
        """Names and figures; those of a part have its name before theirs."""
        rows = []
        for part in fields(self):  # type: ignore[arg-type]
            value = getattr(self, part.name)
            if isinstance(value, PhaseStats):
                rows.append((prefix + part.name, f"{value.count:,} in {value.seconds:.3g} s"))
            elif isinstance(value, Report):
                rows += value._rows(f"{prefix}{part.name}.")
            else:
                rows.append((prefix + part.name, _shown(value)))
        return rows

    def __str__(self) -> str:
        """One line for each figure."""
        rows = self._rows()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:{width}}  {text}" for name, text in rows)

    def _repr_html_(self) -> str:
        return table(type(self).__name__, self._rows())


def _shown(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


@dataclass(frozen=True)
class PhaseStats(Report):
    """Time and number of one phase of construction."""

    seconds: float
    """Summed over threads for the parallel phases."""
    count: int


@dataclass(frozen=True)
class BuildStats(Report):
    """Work of construction since the object was created; a loaded index starts at zero."""

    ingest: PhaseStats
    """Vectors validated and copied."""
    descent: PhaseStats
    """Greedy descents of proposals."""
    beam_search: PhaseStats
    """Layers searched."""
    tail: PhaseStats
    """Exact distances to the tail."""
    selection: PhaseStats
    """Layers whose neighbors were selected."""
    commit: PhaseStats
    """Vectors committed (sequential)."""
    score: PhaseStats
    """Neighbor lists scored at seals."""
    seal: PhaseStats
    """Edges cut at seals (sequential)."""
    repair: PhaseStats
    """Removed vectors unlinked at seals, and their neighbors linked."""
    propose_wall_seconds: float
    """Wall time waiting for proposals."""
    score_wall_seconds: float
    """Wall time waiting for the scores of lists."""
    distances: int
    hops: int
    refused_links: int
    """Proposed links that a full neighbor list refused."""
    reanchored: int
    """Protected edges moved to another anchor at a seal."""


@dataclass(frozen=True)
class SearchStats(Report):
    """Work of all searches since the object was created."""

    queries: int
    distances: int
    """Computed, or estimated from codes."""
    hops: int
    rescored: int
    """Distances of what walks by codes had found."""


@dataclass(frozen=True)
class DeviceStats(Report):
    """Work of a CUDA device; zero if none was used."""

    name: str
    """"cpu" or the name of the device."""
    reason: str
    """Why this device is used, or why it is no longer used."""
    kernel_seconds: float
    copy_in_seconds: float
    copy_out_seconds: float
    overlap_seconds: float
    """Time in which the device and the committing thread worked at once."""
    bytes_in: int
    bytes_out: int
    memory_bytes: int
    checked: int
    """Proposals, and scores of lists, that the CPU computed as well and found right."""
    check_seconds: float


@dataclass(frozen=True)
class JournalStats(Report):
    """The journal of an index made by ``Index.open``; zero for others."""

    bytes: int
    """Length of the journal now."""
    recovered: int
    """Vectors that opening read from the journal."""
    cut_bytes: int
    """Length of what opening cut off the end, as a crash leaves it."""
    dropped: int
    """Vectors in whole records that were cut off with it."""
    recovery_seconds: float
    write_seconds: float
    sync_seconds: float
    wait_seconds: float
    """All time that additions spent waiting for the journal, handing records over included."""


@dataclass(frozen=True)
class Stats(Report):
    """Size and shape of the graph, and the work done for it."""

    size: int
    insertions: int
    """Vectors ever inserted, replacements included."""
    removals: int
    """Vectors ever removed or replaced."""
    tombstones: int
    """Of them, those that the graph still walks through."""
    copies: int
    """Of the vectors, those that are equal to an earlier one."""
    max_level: int
    isa: str
    """As :func:`concord.isa`."""
    threads: int
    build: BuildStats
    search: SearchStats
    device: DeviceStats
    journal: JournalStats
    level_histogram: list[int]
    """Element i is the number of nodes of level i; a copy is no node."""
    degree_histogram: list[int]
    """Element i is the number of nodes with i neighbors in layer 0."""


@dataclass(frozen=True)
class MemoryUse(Report):
    """Resident bytes by part."""

    vectors: int
    links: int
    """Neighbor lists of layer 0."""
    upper: int
    """Neighbor lists of the layers above."""
    labels: int
    nodes: int
    epoch: int
    scratch: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return sum(getattr(self, part.name) for part in fields(self))

    def _rows(self, prefix: str = "") -> list[tuple[str, str]]:
        return [*super()._rows(prefix), (f"{prefix}total", _shown(self.total))]


@dataclass(frozen=True)
class AuditReport(Report):
    """Findings of an audit; ``ok`` means that every count of errors is zero."""

    ok: bool
    nodes: int
    edges: int
    """Undirected, all layers."""
    unreachable: int
    asymmetric_edges: int
    broken_anchors: int
    over_degree: int
    invalid_links: int
    entry_point_errors: int
    level_errors: int
    copy_errors: int
    """Copies that are not equal to the vector that they stand behind, or not found."""
    messages: list[str]
    """The first findings in words."""


@dataclass(frozen=True)
class Preset(Report):
    """The cheapest search that was found to reach a recall: see :meth:`Index.tune`."""

    recall: float
    """The goal, and with ``k`` the name of the preset."""
    k: int
    ef: int
    slack: float
    measured: float
    """Mean recall of the sample."""
    at_least: float
    """A lower bound of the mean recall, with a confidence of 95 %."""
    distances: float
    """Computed for a query of the sample, on average."""
    queries: int
    """Of the sample; 0 where ``ef`` covers the whole index."""
    size: int
    """Vectors of the index at the time of tuning."""
    insertions: int
    """Ever, by then."""
    removals: int
    """Ever, by then."""


@dataclass(frozen=True)
class Explanation(Report):
    """Why a vector is or is not among the results of a query: see :meth:`Index.explain`. ``print`` shows it as
    text.
    """

    label: int
    k: int
    reason: str
    """``"returned"``: every search with this ``k`` returns it. ``"farther"``: ``k`` or more vectors are nearer.
    ``"descent"``: a larger ``ef`` finds it, and any would if the descent through the upper layers had ended at
    the nearest vector. ``"links"``: a larger ``ef`` finds it, since layer 0 leads to it through farther
    candidates alone. ``"filter"``: the filter does not let it match. ``"removed"``: it was removed or replaced,
    and the graph still walks through it."""
    distance: float
    rank: int
    """One more than the vectors that match and come before it."""
    level: int
    """The highest layer that it is in."""
    ef: int | None
    """The least ``ef`` whose search returns it, 1 if every search does; all greater ones do as well."""
    slack: float
    """With an ``ef`` of 65,536 the least slack whose search returns it; infinity if none does, and for
    ``"inner_product"`` and with a filter."""
    hop: int
    """The hop of layer 0 that meets it, from 1 on; 0 if none does."""
    parent: int | None
    """The label of the vector in whose list it is met."""
    text: str
    """The same as a few sentences."""

    def __str__(self) -> str:
        """A few sentences."""
        return self.text


def stats_from(values: dict[str, Any]) -> Stats:
    """The typed form of what the extension module reports."""
    build: dict[str, Any] = {
        name: PhaseStats(**value) if isinstance(value, dict) else value
        for name, value in values["build"].items()
    }
    return Stats(
        **{
            **values,
            "build": BuildStats(**build),
            "search": SearchStats(**values["search"]),
            "device": DeviceStats(**values["device"]),
            "journal": JournalStats(**values["journal"]),
        }
    )
