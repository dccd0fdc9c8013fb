"""How cost grows with the number of vectors, and how the build rate does with threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from .documents import Json, short_name, threads_text
from .plot import Plot, Series, power_law, short

Key = tuple[str, ...]
NOTE = "Dashed: the power law n^b that fits best; logarithmic growth is near 0, a scan is 1."


def plots(bench: list[Json]) -> list[Plot]:
    """Of documents that differ in size, or in threads, alone."""
    return [_insertions(bench), _times(bench), _queries(bench), _scaling(bench)]


def _family(document: Json) -> Key:
    """What documents that differ in the number of vectors alone have in common."""
    parameters = document["parameters"]
    return short_name(
        document["data"]["name"]
    ), f"{parameters['M']}, {parameters['ef_construction']}"


def _groups(
    bench: list[Json], key: Callable[[Json], Key], number: Callable[[Json], int]
) -> dict[Key, list[Json]]:
    """By family: one document for each number, in order of it."""
    found = {}
    ordered = sorted(bench, key=lambda d: (key(d), number(d)))
    for name, group in itertools.groupby(ordered, key):
        found[name] = list({number(d): d for d in group}.values())
    return found


def _vectors(document: Json) -> int:
    return int(document["data"]["vectors"])


def _threads(document: Json) -> int:
    return int(document["build"]["threads"])


def _insertions(bench: list[Json]) -> Plot:
    """Distances, which do not depend on threads."""
    series = []
    for key, group in _groups(bench, _family, _vectors).items():
        costs = [d["build"]["distances"] / _vectors(d) for d in group]
        series += _power(key[0], group, costs, "distances")
    return _by_size("growth-insert", "Distances per insertion by size", "distances", series)


def _times(bench: list[Json]) -> Plot:
    """Processor time, which other load on the machine adds little to."""
    series = []
    timed = [d for d in bench if "cpu_seconds" in d["build"]]
    for key, group in _groups(
        timed, lambda d: (*_family(d), threads_text(_threads(d))), _vectors
    ).items():
        costs = [1e6 * d["build"]["cpu_seconds"] / _vectors(d) for d in group]
        series += _power(f"{key[0]}, {key[-1]}", group, costs, "us")
    return _by_size("growth-time", "Processor time per insertion by size", "microseconds", series)


def _queries(bench: list[Json]) -> Plot:
    series = []
    searched = [d for d in bench if d.get("search")]
    for key, group in _groups(searched, _family, _vectors).items():
        for ef in sorted(set.intersection(*({p["ef"] for p in d["search"]} for d in group))):
            points = [next(p for p in d["search"] if p["ef"] == ef) for d in group]
            costs = [p["distances_per_query"] for p in points]
            made = _power(f"{key[0]}, ef {ef}", group, costs, "distances a query")
            for one in made:
                one.hover = [
                    f"{t}, recall {p['recall']:.4f}" for t, p in zip(one.hover, points, strict=True)
                ]
            series += made
    return _by_size("growth-query", "Distances per query by size", "distances", series)


def _by_size(name: str, title: str, unit: str, series: list[Series]) -> Plot:
    return Plot(name, title, "lines", "vectors", unit, series, NOTE, x_log=True, y_log=True)


def _power(name: str, group: list[Json], costs: list[float], unit: str) -> list[Series]:
    """A series with its exponent, where there are three sizes or more."""
    sizes = [_vectors(d) for d in group]
    if len(sizes) < 3:
        return []
    hover = [f"{n:,} vectors: {short(cost)} {unit}" for n, cost in zip(sizes, costs, strict=True)]
    slope, law = power_law(sizes, costs)
    return [Series(f"{name}: b = {slope:.2f}", sizes, costs, hover, law=law)]


def _scaling(bench: list[Json]) -> Plot:
    series = []
    for key, group in _groups(bench, lambda d: (*_family(d), f"{_vectors(d):,}"), _threads).items():
        threads = [_threads(d) for d in group]
        if len(threads) < 2:
            continue
        rates = [d["build"]["vectors_per_second"] for d in group]
        hover = [
            f"{threads_text(t)}: {short(rate)} vectors/s, {rate / rates[0]:.2f} of {threads_text(threads[0])}"
            for t, rate in zip(threads, rates, strict=True)
        ]
        linear = [rates[0] * count / threads[0] for count in threads]
        series.append(Series(f"{key[0]}, {key[-1]}", threads, rates, hover, law=linear))
    ticks = sorted({float(t) for s in series for t in s.x})
    return Plot(
        "threads",
        "Build rate by threads",
        "lines",
        "threads",
        "vectors per second",
        series,
        "Dashed: each thread as fast as the first.",
        x_ticks=[(tick, f"{tick:g}") for tick in ticks],
        y_zero=True,
    )
