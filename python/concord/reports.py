"""What an index tells of itself: statistics, memory use, the findings of an audit.

``dataclasses.asdict`` turns any of them into what ``json.dumps`` takes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class PhaseStats:
    """Time and number of one phase of construction."""

    seconds: float
    """Summed over threads for the parallel phases."""
    count: int


@dataclass(frozen=True)
class BuildStats:
    """Work of construction since the object was made; a loaded index starts at zero."""

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
    prune: PhaseStats
    """Rows scored for pruning."""
    seal: PhaseStats
    """Edges cut at seals (sequential)."""
    propose_wall_seconds: float
    """Wall time waiting for proposals."""
    score_wall_seconds: float
    """Wall time waiting for row scores."""
    distances: int
    hops: int
    refused_links: int
    """Proposed links that met a full row."""
    reanchored: int
    """Protected edges moved to another anchor at a seal."""


@dataclass(frozen=True)
class SearchStats:
    """Work of all searches since the object was made."""

    queries: int
    distances: int
    hops: int


@dataclass(frozen=True)
class DeviceStats:
    """What a CUDA device did; zero where none was used."""

    name: str
    """"cpu" or the name of the device."""
    reason: str
    """Why this device was taken, or why it was given up."""
    kernel_seconds: float
    copy_in_seconds: float
    copy_out_seconds: float
    overlap_seconds: float
    """Device work that ran while the committing thread worked."""
    bytes_in: int
    bytes_out: int
    memory_bytes: int


@dataclass(frozen=True)
class JournalStats:
    """The journal of an index made by ``Index.open``; zero for others."""

    bytes: int
    """Its length now."""
    recovered: int
    """Vectors that opening took from it."""
    cut_bytes: int
    """Of an incomplete record that opening cut off its end."""
    recovery_seconds: float
    write_seconds: float
    sync_seconds: float
    wait_seconds: float
    """Of additions, for handing records over and for the two before."""


@dataclass(frozen=True)
class Stats:
    """Size and shape of the graph, and the work done for it."""

    size: int
    max_level: int
    isa: str
    """scalar, avx2 or avx512."""
    threads: int
    build: BuildStats
    search: SearchStats
    device: DeviceStats
    journal: JournalStats
    level_histogram: list[int]
    """Place i counts the vectors of level i."""
    degree_histogram: list[int]
    """Place i counts the rows of layer 0 with i neighbors."""


@dataclass(frozen=True)
class MemoryUse:
    """Resident bytes by part."""

    vectors: int
    rows: int
    """Layer 0."""
    upper: int
    """The layers above."""
    labels: int
    nodes: int
    epoch: int
    scratch: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return sum(getattr(self, part.name) for part in fields(self))


@dataclass(frozen=True)
class AuditReport:
    """Findings of an audit of the graph; ``ok`` if every count of errors is zero."""

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
    messages: list[str]
    """The first findings in words."""


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
