"""Plots as SVG and PNG files, by matplotlib."""

from __future__ import annotations

import pathlib

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .plot import Plot, Series, style

_MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "triangle-down": "v",
    "x": "x",
    "cross": "P",
    "star": "*",
    "pentagon": "p",
    "hexagon": "h",
}


def save(plot: Plot, names: list[str], folder: pathlib.Path) -> None:
    """``KEY.svg`` and ``KEY.png`` of a plot, on white."""
    matplotlib.rcParams.update({"svg.hashsalt": "concord", "font.size": 9})
    rows = len({category for series in plot.series for category in series.x})
    tall = 1.2 + rows * (0.16 + 0.14 * len(plot.series)) if plot.kind == "bars" else 4.4
    if plot.kind == "stacked":
        tall = 1.8 + 0.3 * rows
    figure = Figure(figsize=(7.5, tall), layout="constrained")
    axes = figure.subplots()
    draw = {"lines": _lines, "columns": _columns, "bars": _bars, "stacked": _stacked}
    draw[plot.kind](axes, plot, names)
    axes.set_title(plot.title, loc="left", fontsize=10)
    axes.set_xlabel(plot.x_title)
    axes.set_ylabel(plot.y_title)
    axes.grid(
        alpha=0.3, axis="both" if plot.kind == "lines" else "x" if plot.kind != "columns" else "y"
    )
    axes.spines[["top", "right"]].set_visible(False)
    if len(plot.series) > 1 or plot.kind == "lines":
        figure.legend(
            loc="outside lower left", ncols=2 if plot.kind != "stacked" else 4, frameon=False
        )
    for ending in ("svg", "png"):
        figure.savefig(
            folder / f"{plot.key}.{ending}",
            metadata={"Date": None} if ending == "svg" else {},
            dpi=120,
        )


def _lines(axes: Axes, plot: Plot, names: list[str]) -> None:
    for series in plot.series:
        color, symbol = style(series.name, names)
        x = [float(value) for value in series.x]
        marker, width = _MARKERS[symbol], 2.5 if symbol == "circle" else 1.3
        axes.plot(x, list(series.y), color=color, marker=marker, ms=4, lw=width, label=series.name)
        if series.law:
            axes.plot(x, list(series.law), color=color, lw=1, ls="--")
        if series.low:
            axes.vlines(x, list(series.low), list(series.high), color=color, lw=1)
    if plot.y_zero:
        axes.set_ylim(bottom=0)
    if plot.x_log:
        axes.set_xscale("log")
    if plot.y_log:
        axes.set_yscale("log")
    if plot.x_ticks:
        axes.set_xticks([t[0] for t in plot.x_ticks], [t[1] for t in plot.x_ticks])
        axes.minorticks_off() if plot.x_log else None


def _columns(axes: Axes, plot: Plot, names: list[str]) -> None:
    width = 0.8 / len(plot.series)
    for place, series in enumerate(plot.series):
        x = [float(value) + width * (place - (len(plot.series) - 1) / 2) for value in series.x]
        axes.bar(x, list(series.y), width, color=style(series.name, names)[0], label=series.name)
    if plot.y_log:
        axes.set_yscale("log")


def _categories(axes: Axes, plot: Plot) -> dict[float | str, int]:
    places = {name: i for i, name in enumerate(dict.fromkeys(c for s in plot.series for c in s.x))}
    axes.set_yticks(range(len(places)), [str(name) for name in places])
    axes.invert_yaxis()
    return places


def _bars(axes: Axes, plot: Plot, names: list[str]) -> None:
    places = _categories(axes, plot)
    width = 0.8 / len(plot.series)
    for number, series in enumerate(plot.series):
        at = [places[c] + width * (number - (len(plot.series) - 1) / 2) for c in series.x]
        axes.barh(at, list(series.y), width, color=style(series.name, names)[0], label=series.name)


def _stacked(axes: Axes, plot: Plot, names: list[str]) -> None:
    places = _categories(axes, plot)
    left = dict.fromkeys(places, 0.0)
    for series in plot.series:
        _stack(axes, series, places, left, style(series.name, names)[0])


def _stack(
    axes: Axes,
    series: Series,
    places: dict[float | str, int],
    left: dict[float | str, float],
    color: str,
) -> None:
    starts = [left[c] for c in series.x]
    axes.barh(
        [places[c] for c in series.x], list(series.y), 0.7, starts, color=color, label=series.name
    )
    for category, value in zip(series.x, series.y, strict=True):
        left[category] += value
