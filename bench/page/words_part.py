"""The table of nearest words, of concord-bench words."""

from __future__ import annotations

from collections.abc import Sequence

from .documents import Json
from .tables import Table


def table(found: Sequence[Json]) -> Table:
    """A row for each word that was asked for: its neighbors, nearest first, each with its distance."""
    rows = []
    for document in found:
        for asked in document["words"]:
            near = [f"{one['word']} {one['distance']:.3f}" for one in asked["nearest"]]
            rows.append([asked["word"], ", ".join(near)])
    return Table(["word", "nearest words, with their distances"], rows)
