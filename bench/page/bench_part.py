"""The plots and tables of results of concord-bench."""

from __future__ import annotations

import re

from . import growth
from .documents import Json, label, short_name
from .plot import Plot, Series, recall_place, recall_ticks, short
from .tables import Table

PHASES = {
    "ingest": "ingest",
    "descent": "descent",
    "beam_search": "beam",
    "tail": "tail",
    "selection": "selection",
    "score": "score",
    "commit": "commit",
    "seal": "seal",
}
MOST_LINES = 9  # documents in one histogram
GOAL = 0.95  # recall of the row that stands for an index among several


def plots(bench: list[Json]) -> list[Plot]:
    """All plots that the documents have figures for."""
    distinct = list({label(document): document for document in bench}.values())
    made = [_phases(distinct), *_histograms(distinct), *growth.plots(distinct)]
    searched = {d["index"]["digest"]: d for d in distinct if len(d.get("search", [])) > 1}
    families: dict[tuple[str, int], list[Json]] = {}
    for document in searched.values():
        data = document["data"]
        size = data["vectors"] if "hnswlib" in document else 0
        families.setdefault((short_name(data["name"]), size), []).append(document)
    made += [_curves(family) for family in families.values()]
    return [plot for plot in made if plot is not None and plot.series]


def _phases(bench: list[Json]) -> Plot | None:
    """The share of every phase, for each document."""
    names = [label(document) for document in bench]
    totals = [sum(p["seconds"] for p in d["build"]["phases"].values()) or 1.0 for d in bench]
    series = []
    for phase, name in PHASES.items():
        seconds = [d["build"]["phases"][phase]["seconds"] for d in bench]
        share = [100 * spent / total for spent, total in zip(seconds, totals, strict=True)]
        each = [1e6 * spent / d["data"]["vectors"] for spent, d in zip(seconds, bench, strict=True)]
        hover = [
            f"{name}: {part:.1f} %, {short(us)} us a vector"
            for part, us in zip(share, each, strict=True)
        ]
        series.append(Series(name, names, share, hover))
    note = "Phases that run on several threads are summed over the threads; commit and seal run on one."
    title, x_title = "Where a build's time goes", "per cent of all phases"
    return Plot("phases", title, "stacked", x_title, "", series if bench else [], note)


def _histograms(bench: list[Json]) -> list[Plot]:
    """Of graphs that differ: a digest is shown once."""
    shown = list({document["index"]["digest"]: document for document in bench}.values())[
        :MOST_LINES
    ]
    degrees = [_shares(document, "degree_histogram", "neighbors") for document in shown]
    levels = [_shares(document, "level_histogram", "level") for document in shown]
    return [
        Plot("degrees", "Neighbors in layer 0", "lines", "neighbors", "share of vectors", degrees),
        Plot("levels", "Levels", "columns", "level", "share of vectors", levels, y_log=True),
    ]


def _shares(document: Json, histogram: str, what: str) -> Series:
    """The places of a histogram that hold something."""
    counts = {place: count for place, count in enumerate(document["index"][histogram]) if count}
    total = document["index"]["size"]
    hover = [
        f"{what} {place}: {count:,} vectors, {count / total:.2%}" for place, count in counts.items()
    ]
    name = f"{short_name(document['data']['name'])}, {document['data']['vectors']:,}"
    return Series(name, list(counts), [count / total for count in counts.values()], hover)


def _curves(family: list[Json]) -> Plot:
    """Speed by recall on one thread: by size, or with hnswlib where the one document is of a comparison."""
    name = short_name(family[0]["data"]["name"])
    if len(family) > 1:
        searches = {f"{d['data']['vectors']:,} vectors": d["search"] for d in family}
    else:
        name += f", {family[0]['data']['vectors']:,}"
        searches = {"concord": family[0]["search"]}
        if "hnswlib" in family[0]:
            searches["hnswlib"] = family[0]["hnswlib"]["search"]
    series = [
        Series(
            name,
            [recall_place(p["recall"]) for p in points],
            [p["qps_single_thread"] for p in points],
            [
                f"recall {p['recall']:.4f}, {short(p['qps_single_thread'])} queries/s, ef {p['ef']}, "
                f"{short(p['distances_per_query'])} distances a query"
                for p in points
            ],
        )
        for name, points in searches.items()
    ]
    recalls = [p["recall"] for points in searches.values() for p in points]
    return Plot(
        "curve-" + re.sub(r"[^a-z0-9]+", "-", name.lower()),
        f"Speed by recall, 1 thread: {name}",
        "lines",
        f"recall@{family[0]['k']}",
        "queries per second",
        series,
        "Up and right is better.",
        y_log=True,
        x_ticks=recall_ticks(recalls),
    )


def builds(bench: list[Json]) -> Table:
    """What each build took and made: time, memory, and whether the graph is whole."""
    rows = []
    for document in bench:
        build, parameters = document["build"], document["parameters"]
        memory = document.get("memory", {})
        sizes = (memory.get(name) for name in ("index_bytes", "peak_rss_bytes"))
        rows.append(
            [
                label(document),
                f"{parameters['dimension']:,}",
                parameters["metric"],
                f"{parameters['M']}, {parameters['ef_construction']}",
                f"{build['seconds']:,.2f} s",
                f"{build['vectors_per_second']:,.0f}",
                *("" if size is None else f"{size / 2**20:,.0f} MiB" for size in sizes),
                "ok" if document["audit"]["ok"] else "**FAILED**",
            ]
        )
    header = ["index", "dimension", "metric", "M, ef_construction", "build", "vectors a second"]
    return Table([*header, "index in memory", "process at its peak", "audit"], rows)


def searches(bench: list[Json]) -> Table:
    """Recall and speed: every ef of a single report; of several, the least ef of each that reaches GOAL."""
    rows = []
    for document in bench:
        points = document.get("search", [])
        if len(bench) > 1 and points:
            reaching = [p for p in points if p["recall"] >= GOAL]
            best = max(points, key=lambda p: p["recall"])
            points = [min(reaching, key=lambda p: p["ef"], default=best)]
        rows += [
            [
                label(document),
                f"{point['ef']:,}",
                f"{point['recall']:.4f}",
                f"{point['qps_single_thread']:,.0f}",
                f"{point['qps']:,.0f}",
                short(point["distances_per_query"]),
            ]
            for point in points
        ]
    header = ["index", "ef", "recall", "queries/s, 1 thread", "with the threads"]
    return Table([*header, "distances a query"], rows)


def audits(bench: list[Json]) -> Table:
    """What Index::audit found in each index."""
    counts = ("unreachable", "asymmetric_edges", "broken_anchors", "over_degree", "invalid_links")
    other = ("entry_point_errors", "level_errors", "copy_errors")
    rows = []
    for document in bench:
        audit = document["audit"]
        row = [
            label(document),
            "ok" if audit["ok"] else "**FAILED**",
            f"{audit['nodes']:,}",
            f"{audit['edges']:,}",
        ]
        row += [f"{audit.get(name, 0):,}" for name in (*counts, *other)]
        rows.append([*row, document["index"]["digest"]])
    header = [
        "index",
        "audit",
        "nodes",
        "edges",
        *(n.replace("_", " ") for n in (*counts, *other)),
        "digest",
    ]
    return Table(header, rows)


def comparisons(bench: list[Json]) -> Table:
    """Of concord-bench compare."""
    rows = []
    for document in bench:
        ratios = document.get("compare")
        if ratios is None:
            continue
        row = [label(document)]
        row += [f"{ratios[name]:.2f}" for name in ("build_ratio", "qps_ratio", "qps_ratio_threads")]
        row.append(f"{ratios['at_equal_recall']['single_thread']['recall']:.3f}")
        row.append(f"{round(ratios['recall_delta'], 2) + 0.0:+.2f}")
        row.append(f"{ratios['memory_ratio']:.2f}")
        row += [f"{found['unreachable']:,}" for found in (document["hnswlib"], document["audit"])]
        rows.append(row)
    header = ["data", "build rate", "queries/s, 1 thread", "with the threads", "at recall"]
    header += ["worst recall at an ef, concord less hnswlib, points", "memory"]
    header += ["unreachable of hnswlib", "of concord"]
    return Table(header, rows)
