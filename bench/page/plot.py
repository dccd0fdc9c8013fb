"""What a plot shows, apart from how it is drawn: web.py and pictures.py draw the same object."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

CONCORD = "concord"
# Legible on white and on black; Concord's stands apart. Markers differ too, for those who see colors alike.
_COLORS = (
    "#3f7fd0",
    "#2a9d8f",
    "#8e6bd0",
    "#c98a1b",
    "#d0609a",
    "#5b9a3c",
    "#7f8894",
    "#a4683f",
    "#1a9fc0",
)
_MARKERS = (
    "square",
    "diamond",
    "triangle-up",
    "x",
    "triangle-down",
    "cross",
    "star",
    "pentagon",
    "hexagon",
)
RECALLS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)
LAST = 0.9995
"""The axis of recalls ends here: all above share its place."""


@dataclasses.dataclass
class Series:
    """One line, or one set of bars."""

    name: str
    x: Sequence[float | str]
    y: Sequence[float]
    hover: Sequence[str]
    """A line for each point."""
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    """Ends of the error bars, where there are any."""
    law: Sequence[float] = ()
    """What a law gives at each x, drawn dashed, where there is one."""


@dataclasses.dataclass
class Plot:
    """Lines over x, or horizontal bars with a category in each ``y`` place (``x`` holds the categories)."""

    key: str
    """File name of the pictures and id in the page."""
    title: str
    kind: str
    """lines, bars, stacked (bars, in per cent) or columns."""
    x_title: str
    y_title: str
    series: list[Series]
    note: str = ""
    x_log: bool = False
    y_log: bool = False
    x_ticks: Sequence[tuple[float, str]] = ()
    y_zero: bool = False
    """The axis begins at 0."""


def style(name: str, names: Sequence[str]) -> tuple[str, str]:
    """Color and marker of a series among all names, the same in every plot that has the same names."""
    if name == CONCORD:
        return "#e2492f", "circle"
    if name.startswith(CONCORD + " "):
        return "#c2185b", "circle"
    others = [other for other in names if not other.startswith(CONCORD)]
    place = others.index(name) % len(_COLORS)
    return _COLORS[place], _MARKERS[place]


def recall_place(recall: float) -> float:
    """Where a recall stands on an axis on which each halving of the missed neighbors is as far."""
    return -math.log10(max(1 - recall, 1 - LAST))


def recall_ticks(recalls: Sequence[float]) -> list[tuple[float, str]]:
    """Ticks from the lowest of the recalls on; the last stands for all above it, where there are any."""
    lowest = min(recalls, default=0.5)
    below = max((r for r in RECALLS if r <= lowest), default=RECALLS[0])
    ticks = [(recall_place(r), f"{r:g}") for r in RECALLS if r >= below]
    if max(recalls, default=0.5) >= LAST:
        ticks.append((recall_place(LAST), f"≥{LAST:g}"))
    return ticks


def power_law(x: Sequence[float], y: Sequence[float]) -> tuple[float, list[float]]:
    """Exponent b of the law y = a·x^b that fits best (least squares of logarithms), and its values at x."""
    log_x, log_y = [math.log(v) for v in x], [math.log(v) for v in y]
    mean_x, mean_y = sum(log_x) / len(x), sum(log_y) / len(y)
    spread = sum((v - mean_x) ** 2 for v in log_x)
    slope = sum((v - mean_x) * (w - mean_y) for v, w in zip(log_x, log_y, strict=True)) / spread
    return slope, [math.exp(mean_y + slope * (v - mean_x)) for v in log_x]


def short(value: float) -> str:
    """Three or more digits: 0.0123, 1.23, 12.3, 123, 12,345."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def size(count: float) -> str:
    """Bytes for people."""
    return f"{short(count / 2**20)} MiB"
