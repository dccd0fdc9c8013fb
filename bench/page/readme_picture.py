"""The picture of README.md and of the site: queries per second by recall, beside peers, on three data sets.

    python -m page.readme_picture            # writes docs/figures/peers*.svg: two themes, and for phones

The SVG is written from committed results without a library, so the same results give the same bytes everywhere.
A test compares. Of the data sets Concord stores one as bytes, one is of floats, and on one a peer is ahead.
"""

from __future__ import annotations

import dataclasses
import html
import math
import pathlib
from collections.abc import Iterator, Sequence

from . import documents
from .plot import CONCORD, recall_place, style
from .web import log_ticks, prefixed

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = "bench/results/2026-11-23-epyc-2-cores"
PANELS = (
    ("peers-sift-40000.json", "SIFT, 8-bit"),
    ("peers-words-15000.json", "Word vectors, cosine"),
    ("peers-wide-10000.json", "Synthetic, wide"),
)
THREADS = "1"
CAPTION = ("queries per second, one thread of an AMD EPYC;", "up and right is better")
TITLE = "Queries per second by recall: Concord beside eight other libraries on three data sets"

RECALLS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
LAST = 0.998
"""The axis of recalls ends here."""
TOP, TALL, PITCH = 52, 232, 322
LEFT, WIDE, GAP = 44, 246, 44
"""Of the panels, in pixels: where they begin, how large they are, how far apart."""
FONT = (
    'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="12"'
)


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colors of everything but the curves, whose own serve on white and on black."""

    name: str
    ink: str
    soft: str
    line: str
    paper: str | None


THEMES = (
    Theme("light", "#1f2328", "#59636e", "#d8dee4", "#ffffff"),
    Theme("dark", "#e6edf3", "#9aa5b1", "#343b44", None),
)


@dataclasses.dataclass(frozen=True)
class Layout:
    """How much stands in a row."""

    key: str
    """Of the file's name."""
    panels: int
    names: int
    caption: Sequence[str]
    """Its lines."""

    @property
    def width(self) -> int:
        """In pixels."""
        return LEFT + self.panels * (WIDE + GAP) - GAP + 10

    @property
    def top(self) -> int:
        """Of the first panel: below the caption."""
        return TOP + 16 * (len(self.caption) - 1)


LAYOUTS = (Layout("", 3, 5, (" ".join(CAPTION),)), Layout("narrow-", 1, 2, CAPTION))

Point = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Panel:
    """One data set: its recalls and speeds by library, in order of recall."""

    key: str
    title: str
    size: str
    curves: dict[str, list[Point]]

    def speeds(self) -> list[float]:
        """Those that the axis of recalls shows."""
        return [v for curve in self.curves.values() for r, v in curve if RECALLS[0] <= r <= LAST]

    def fastest(self) -> tuple[str, Point]:
        """The library that is highest where its curve begins, and that point."""
        begins = {
            name: next(point for point in curve if point[0] >= RECALLS[0])
            for name, curve in self.curves.items()
        }
        name = max(begins, key=lambda name: begins[name][1])
        return name, begins[name]


class Frame:
    """From recall and speed to pixels of one panel."""

    def __init__(self, left: float, top: float, speeds: Sequence[float]) -> None:
        self.left, self.top = left, top
        self._low, self._high = math.log10(min(speeds) / 1.1), math.log10(max(speeds) * 1.15)

    def x(self, recall: float) -> float:
        """Each halving of the missed neighbors is as far."""
        first, last = recall_place(RECALLS[0]), recall_place(LAST)
        return self.left + WIDE * (recall_place(recall) - first) / (last - first)

    def y(self, speed: float) -> float:
        """Each doubling is as far."""
        return self.top + TALL * (self._high - math.log10(speed)) / (self._high - self._low)


def panel(file: str, title: str) -> Panel:
    """Reads a result."""
    (document,) = documents.read([ROOT / FOLDER / file]).peers
    ((data, facts),) = document["data"].items()
    curves = {
        result["library"]: [(p["recall"], p["qps"]) for p in documents.points(result, THREADS)]
        for result in documents.results_of(document, data)
    }
    size = f"{facts['vectors']:,} \u00d7 {facts['dimension']:,}"
    return Panel(data.partition(":")[0], title, size, curves)


def drawing(panels: Sequence[Panel], theme: Theme, layout: Layout) -> str:
    """The picture as SVG."""
    names = sorted(panels[0].curves, key=is_own)
    rows = math.ceil(len(panels) / layout.panels)
    legend = layout.top + (rows - 1) * PITCH + TALL + 72
    height = legend + 22 * (math.ceil(len(names) / layout.names) - 1) + 14
    size = f'viewBox="0 0 {layout.width} {height}" width="{layout.width}" height="{height}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {FONT}>']
    parts.append(f"<title>{TITLE}</title>")
    if theme.paper:
        parts.append(f'<rect width="{layout.width}" height="{height}" fill="{theme.paper}"/>')
    parts += [_text(0, 13 + 16 * n, line, theme.soft) for n, line in enumerate(layout.caption)]
    for number, one in enumerate(panels):
        row, column = divmod(number, layout.panels)
        frame = Frame(LEFT + column * (WIDE + GAP), layout.top + row * PITCH, one.speeds())
        parts += [*_axes(one, frame, theme), *_curves(one, frame, names)]
    parts += [*_legend(names, theme, legend, layout.names), "</svg>"]
    return "\n".join(parts) + "\n"


def _axes(one: Panel, frame: Frame, theme: Theme) -> Iterator[str]:
    left, right, bottom = frame.left, frame.left + WIDE, frame.top + TALL
    yield _text(left, frame.top - 12, one.title, theme.ink, weight=600)
    yield _text(right, frame.top - 12, one.size, theme.soft, anchor="end")
    for recall in RECALLS:
        x = frame.x(recall)
        yield f'<path d="M{x:.1f} {frame.top}V{bottom}" stroke="{theme.line}"/>'
        yield _text(x, bottom + 16, f"{recall:g}", theme.soft, anchor="middle")
    for tick in log_ticks(one.speeds()):
        y = frame.y(tick)
        yield f'<path d="M{left} {y:.1f}H{right}" stroke="{theme.line}"/>'
        yield _text(left - 5, y + 4, prefixed(tick), theme.soft, anchor="end")
    yield _text((left + right) / 2, bottom + 34, "recall@10", theme.soft, anchor="middle")


def _curves(one: Panel, frame: Frame, names: list[str]) -> Iterator[str]:
    """All, Concord's over the rest as they come last, and the name of the fastest."""
    box = f'x="{frame.left}" y="{frame.top}" width="{WIDE}" height="{TALL}"'
    yield f'<clipPath id="{one.key}"><rect {box}/></clipPath><g clip-path="url(#{one.key})">'
    for name in names:
        points = [(frame.x(recall), frame.y(speed)) for recall, speed in one.curves[name]]
        yield _curve(points, *_pen(name, names))
    yield "</g>"
    name, (recall, speed) = one.fastest()
    yield _text(frame.x(recall) + 12, frame.y(speed) - 2, name, _pen(name, names)[0], weight=600)


def _legend(names: list[str], theme: Theme, top: float, columns: int) -> Iterator[str]:
    """All libraries, so many in a line."""
    left, step = (LEFT, 168) if columns > 2 else (0, 150)
    for place, name in enumerate(sorted(names, key=is_own, reverse=True)):
        x, y = left + step * (place % columns), top + 22 * (place // columns)
        yield _curve([(x, y), (x + 22, y)], *_pen(name, names))
        yield _text(x + 30, y + 4, name, theme.ink, weight=600 if is_own(name) else 400)


def is_own(name: str) -> bool:
    """Whether it is Concord, in whatever form."""
    return name.startswith(CONCORD)


def _pen(name: str, names: list[str]) -> tuple[str, float]:
    """Color and width of a curve."""
    return style(name, names)[0], 3.5 if is_own(name) else 1.5


def _curve(points: Sequence[Point], color: str, width: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width}"/>' for x, y in points)
    pen = f'fill="none" stroke="{color}" stroke-width="{width}" stroke-linejoin="round"'
    return f'<g fill="{color}"><polyline points="{path}" {pen}/>{dots}</g>'


def _text(
    x: float, y: float, text: str, color: str, *, anchor: str = "start", weight: int = 400
) -> str:
    look = f'fill="{color}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{html.escape(text)}</text>'


def pictures() -> dict[pathlib.Path, str]:
    """All files and their content."""
    panels = [panel(file, title) for file, title in PANELS]
    return {
        ROOT / f"docs/figures/peers-{layout.key}{theme.name}.svg": drawing(panels, theme, layout)
        for layout in LAYOUTS
        for theme in THEMES
    }


def main() -> None:
    """Write the files."""
    for path, content in pictures().items():
        path.write_text(content)


if __name__ == "__main__":
    main()
