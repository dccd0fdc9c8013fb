"""Results of concord-bench durability: what a journal costs a build, and what a killed build loses."""

from __future__ import annotations

import re

from .documents import Json, short_name, threads_text
from .plot import Plot, Series
from .tables import Table

MOST_RATIO, MOST_LOST = 1.03, 5.0  # goals: processor time with a journal to without, per cent lost


def name(document: Json) -> str:
    """A run in a few words."""
    data, figures = document["data"], document["durability"]
    threads = threads_text(figures["threads"])
    return f"{short_name(data['name'])} {data['vectors']:,}, {threads}, {figures['journal']}"


def table(durable: list[Json]) -> Table:
    """Each run; a goal that is missed is bold."""
    rows = []
    for document in durable:
        figures = document["durability"]
        killed, median = figures["killed"], figures["cpu_ratio"]["median"]
        lost = f"{killed['lost']:,} ({killed['lost_percent']:.2f} %)"
        rows.append(
            [
                name(document),
                f"{median:.4f}" if median <= MOST_RATIO else f"**{median:.4f}**",
                _ends(figures["cpu_ratio"]),
                _ends(figures["control_cpu_ratio"]),
                f"{killed['committed']:,}",
                lost if killed["lost_percent"] <= MOST_LOST else f"**{lost}**",
                f"{1000 * killed['recovery_seconds']:.0f} ms",
                "equal" if figures["digests_equal"] else "**differ**",
            ]
        )
    header = ["run", "processor time with a journal, to without", "least to most"]
    header += [
        "without, to the one before",
        "killed after",
        "vectors lost",
        "recovered in",
        "digests",
    ]
    return Table(header, rows)


def _ends(spread: Json) -> str:
    return f"{spread['least']:.3f} to {spread['most']:.3f}"


def plots(durable: list[Json]) -> list[Plot]:
    """The ratios of every round, beside what no difference looks like."""
    made = []
    for document in durable:
        figures = document["durability"]
        series = []
        for title, key in (("with a journal", "cpu_ratio"), ("without", "control_cpu_ratio")):
            ratios = figures[key]["all"]
            rounds = [float(number) for number in range(1, len(ratios) + 1)]
            hover = [
                f"round {number:g}: {ratio:.4f}"
                for number, ratio in zip(rounds, ratios, strict=True)
            ]
            series.append(Series(title, rounds, ratios, hover))
        made.append(
            Plot(
                "durability-" + re.sub(r"[^a-z0-9]+", "-", name(document).lower()),
                f"A build's processor time: {name(document)}",
                "lines",
                "round",
                "to the builds around it",
                series,
                "With a journal: to those without before and after it. Without: to the one before.",
                x_ticks=[(float(tick), f"{tick}") for tick in range(1, figures["rounds"] + 1)],
            )
        )
    return made
