"""Plots as plotly figures. Colors of text and grid are page.js's: they follow the reader's theme."""

from __future__ import annotations

import math
from typing import Any

from .plot import CONCORD, Plot, Series, style

# Pixels on the right, for half of a label on the end of the x axis. Were plotly left to make room for it,
# the axis would become shorter, which may take that tick away and with it the reason for the room, and so on.
_RIGHT = 28


def figure(plot: Plot, names: list[str]) -> dict[str, Any]:
    """Data and layout for Plotly.newPlot; ``names`` are all that share a set of colors."""
    laws = [_law(series, names) for series in plot.series if series.law]
    traces = [*laws, *(_trace(plot, series, names) for series in plot.series)]
    legend = {"orientation": "h", "traceorder": "normal", "yanchor": "bottom", "maxheight": 0.7}
    layout = {
        "xaxis": _x_axis(plot),
        "yaxis": _y_axis(plot),
        "height": _height(plot),
        "margin": {"l": 48, "r": _RIGHT, "t": 8, "b": 48},
        "legend": legend | {"xref": "container", "x": 0, "yref": "container", "y": 0},
        "barmode": "stack" if plot.kind == "stacked" else "group",
        "hovermode": "closest",
        "dragmode": False,
        "showlegend": len(plot.series) > 1 or plot.kind == "lines",
    }
    return {"data": traces, "layout": layout}


def _axis(title: str) -> dict[str, Any]:
    """With a label at every tick: plotly's default is to hide one that would reach past the plot, and to make
    no room for what is hidden.
    """
    return {"title": {"text": title}, "automargin": True, "ticklabeloverflow": "allow"}


def _x_axis(plot: Plot) -> dict[str, Any]:
    axis = _axis(plot.x_title)
    if plot.x_log:
        axis |= _log_axis([float(value) for series in plot.series for value in series.x])
    if plot.x_ticks:
        places, texts = zip(*plot.x_ticks, strict=True)
        axis |= {"tickvals": places, "ticktext": texts}
    return axis


def _y_axis(plot: Plot) -> dict[str, Any]:
    axis = _axis(plot.y_title)
    if plot.kind in ("bars", "stacked"):
        return axis | {"autorange": "reversed", "ticklabelstandoff": 4}
    if plot.y_log and plot.kind == "lines":
        return axis | _log_axis([v for s in plot.series for v in (*s.y, *s.low, *s.high)])
    if plot.y_log:
        return axis | {"type": "log", "dtick": 1, "exponentformat": "power"}
    return axis | ({"rangemode": "tozero"} if plot.y_zero else {})


def _log_axis(values: list[float]) -> dict[str, Any]:
    ticks = log_ticks(values)
    return {"type": "log", "tickvals": ticks, "ticktext": [prefixed(tick) for tick in ticks]}


def _height(plot: Plot) -> int:
    """Pixels, the legend's two a line included."""
    height = 440
    if plot.kind in ("bars", "stacked"):
        rows = len({category for series in plot.series for category in series.x})
        height = 170 + rows * (40 if plot.kind == "stacked" else 16 + 14 * len(plot.series))
    return height + 20 * ((len(plot.series) + 1) // 2)


def _law(series: Series, names: list[str]) -> dict[str, Any]:
    """A dashed line behind the figures, without a word of its own."""
    line = {"color": style(series.name, names)[0], "width": 1.4, "dash": "dash"}
    shown = {"mode": "lines", "line": line, "showlegend": False, "hoverinfo": "skip"}
    return {"type": "scatter", "x": list(series.x), "y": list(series.law), **shown}


def _trace(plot: Plot, series: Series, names: list[str]) -> dict[str, Any]:
    color, symbol = style(series.name, names)
    trace: dict[str, Any] = {
        "name": series.name,
        "text": list(series.hover),
        "hovertemplate": "%{text}<extra>" + series.name + "</extra>",
    }
    if plot.kind == "lines":
        trace |= {
            "type": "scatter",
            "mode": "lines+markers",
            "x": list(series.x),
            "y": list(series.y),
        }
        trace |= {
            "line": {"color": color, "width": 3 if symbol == "circle" else 1.8},
            "marker": {"color": color, "symbol": symbol, "size": 7},
        }
        if series.low:
            trace["error_y"] = {
                "type": "data",
                "symmetric": False,
                "array": [h - y for h, y in zip(series.high, series.y, strict=True)],
                "arrayminus": [y - low for low, y in zip(series.low, series.y, strict=True)],
                "thickness": 1,
                "width": 2,
            }
        return trace
    trace |= {"type": "bar", "marker": {"color": color}, "textposition": "none"}
    if plot.kind == "columns":
        return trace | {"x": list(series.x), "y": list(series.y)}
    return trace | {"x": list(series.y), "y": [_category(c) for c in series.x], "orientation": "h"}


def log_ticks(values: list[float]) -> list[float]:
    """1, 2 and 5 of each decade that the values reach; every digit where those would be fewer than three."""
    low, high = min(values, default=1), max(values, default=1)
    decades = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 2)
    ticks: list[float] = []
    for digits in ((1, 2, 5), range(1, 10)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits]
        ticks = [tick for tick in ticks if 0.95 * low <= tick <= 1.05 * high]
        if len(ticks) > 2:
            break
    return ticks


def prefixed(value: float) -> str:
    """20k for 20,000."""
    for size, prefix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{prefix}"
    return f"{value:g}"


def _category(name: float | str) -> str:
    """Concord in bold; long names in two lines."""
    text = str(name)
    return f"<b>{text}</b>" if text == CONCORD else text.replace(", ", ",<br>", 1)
