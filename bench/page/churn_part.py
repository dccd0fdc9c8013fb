"""Results of concord-bench churn and of its peers: what removal and replacement leave of an index."""

from __future__ import annotations

import re
from typing import Any

from .documents import Json, short_name, threads_text
from .plot import Plot, Series, short
from .tables import Table

ANEW = "built anew"


def name(document: Json) -> str:
    """A run in a few words."""
    if "plan" in document:
        return f"{document['plan']['data']}, {threads_text(document['plan']['threads'])}"
    data = document["data"]
    return f"{short_name(data['name'])} {data['vectors']:,}, {document['pattern']}"


def _lives(document: Json) -> list[tuple[str, list[Json]]]:
    """Each library's points by name; concord-bench has Concord alone."""
    if "plan" not in document:
        return [("concord", document["churn"])]
    return [(life["library"], life["points"]) for life in document["churn"] if life["points"]]


def _effort(point: Json) -> Any:
    return point.get("ef", point.get("effort"))


def table(churn: list[Json]) -> Table:
    """First and last recall of each life, at the largest effort, and what it cost."""
    rows = []
    for document in churn:
        for library, points in _lives(document):
            first, last = points[0], points[-1]
            anew = document["fresh"]["search"][-1]["recall"] if "fresh" in document else None
            rate = last.get("replacements_per_second") or last.get("removals_per_second")
            lost = document["audit"]["unreachable"] if "audit" in document else last["unreachable"]
            rows.append(
                [
                    name(document),
                    library,
                    f"{last['turnovers']:g}",
                    f"{_effort(last['search'][-1])}",
                    f"{first['search'][-1]['recall']:.4f}",
                    f"{last['search'][-1]['recall']:.4f}",
                    "-" if anew is None else f"{anew:.4f}",
                    "-" if lost is None else f"{lost:,}",
                    "-" if not rate else short(rate),
                ]
            )
    header = ["run", "library", "turnovers", "ef or eps", "recall before", "after", ANEW]
    return Table([*header, "unreachable", "per second"], rows)


def plots(churn: list[Json]) -> list[Plot]:
    """Recall by turnovers of each run, and unreachable nodes where several libraries are compared."""
    made = []
    for document in churn:
        key = re.sub(r"[^a-z0-9]+", "-", name(document).lower())
        made.append(_recalls(document, f"churn-recall-{key}"))
        lost = [
            Series(library, *_counted(points))
            for library, points in _lives(document)
            if all(point.get("unreachable") is not None for point in points)
        ]
        if lost:
            title = f"Unreachable vectors: {name(document)}"
            plot = Plot(f"churn-lost-{key}", title, "lines", "turnovers", "vectors", lost)
            made.append(plot)
    return made


def _counted(points: list[Json]) -> tuple[list[float], list[float], list[str]]:
    turnovers = [float(point["turnovers"]) for point in points]
    lost = [float(point["unreachable"]) for point in points]
    hover = [f"{count:g} after {at:g} turnovers" for at, count in zip(turnovers, lost, strict=True)]
    return turnovers, lost, hover


def _recalls(document: Json, key: str) -> Plot:
    """A line for each library at its largest effort, or for each ef of Concord alone."""
    series = []
    for library, points in _lives(document):
        efforts = range(len(points[0]["search"]))
        for place in efforts if "fresh" in document else efforts[-1:]:
            effort = _effort(points[0]["search"][place])
            title = f"{library} at {effort}" if "fresh" in document else library
            turnovers = [float(point["turnovers"]) for point in points]
            recalls = [float(point["search"][place]["recall"]) for point in points]
            hover = [
                f"{recall:.4f} at {effort} after {at:g} turnovers"
                for at, recall in zip(turnovers, recalls, strict=True)
            ]
            series.append(Series(title, turnovers, recalls, hover))
            if "fresh" in document:
                anew = float(document["fresh"]["search"][place]["recall"])
                series.append(
                    Series(f"{ANEW}, at {effort}", turnovers[-1:], [anew], [f"{anew:.4f}"])
                )
    title = f"Recall while vectors are replaced: {name(document)}"
    note = "A turnover is as many replacements as there are vectors."
    return Plot(key, title, "lines", "turnovers", "recall", series, note)
