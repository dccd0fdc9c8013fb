"""Plots as plotly figures. Colors of text and grid are page.js's: they follow the reader's theme."""

from __future__ import annotations

import math
from typing import Any

from .plot import CONCORD, Plot, Series, style


def figure(plot: Plot, names: list[str]) -> dict[str, Any]:
    """Data and layout for Plotly.newPlot; ``names`` are all that share a set of colors."""
    bars = plot.kind in ("bars", "stacked")
    laws = [_law(series, names) for series in plot.series if series.law]
    traces = [*laws, *(_trace(plot, series, names) for series in plot.series)]
    x_axis: dict[str, Any] = {"title": {"text": plot.x_title}, "automargin": True}
    y_axis: dict[str, Any] = {"title": {"text": plot.y_title}, "automargin": True}
    if bars:
        y_axis |= {"autorange": "reversed", "ticklabelstandoff": 4}
        rows = len({category for series in plot.series for category in series.x})
        height = 150 + rows * (40 if plot.kind == "stacked" else 16 + 14 * len(plot.series))
    else:
        height = 440
    if plot.x_log:
        ticks = log_ticks([float(value) for series in plot.series for value in series.x])
        x_axis |= {"type": "log", "tickvals": ticks, "ticktext": [prefixed(tick) for tick in ticks]}
    if plot.y_log and plot.kind == "lines":
        ticks = log_ticks(
            [v for series in plot.series for v in (*series.y, *series.low, *series.high)]
        )
        y_axis |= {"type": "log", "tickvals": ticks, "ticktext": [prefixed(tick) for tick in ticks]}
    elif plot.y_log:
        y_axis |= {"type": "log", "dtick": 1, "exponentformat": "power"}
    if plot.y_zero:
        y_axis["rangemode"] = "tozero"
    if plot.x_ticks:
        x_axis |= {
            "tickvals": [t[0] for t in plot.x_ticks],
            "ticktext": [t[1] for t in plot.x_ticks],
        }
    layout = {
        "xaxis": x_axis,
        "yaxis": y_axis,
        "height": height + 20 * ((len(plot.series) + 1) // 2),
        "margin": {"l": 48, "r": 12, "t": 8, "b": 48},
        "legend": {
            "orientation": "h",
            "traceorder": "normal",
            "xref": "container",
            "x": 0,
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
        },
        "barmode": "stack" if plot.kind == "stacked" else "group",
        "hovermode": "closest",
        "dragmode": False,
        "showlegend": len(plot.series) > 1 or plot.kind == "lines",
    }
    return {"data": traces, "layout": layout}


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
