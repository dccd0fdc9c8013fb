"""The plots and tables of a result of bench/peers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from . import documents
from .documents import Json, threads_text
from .plot import CONCORD, Plot, Series, recall_place, recall_ticks, short, size
from .tables import Table

TARGETS = ("0.9", "0.95", "0.99")
CODES = f"{CONCORD} sq8"
EXTREMES = (
    "queries/s at recall 0.95, 1 thread",
    "queries/s at recall 0.99, 1 thread",
    "build, 1 thread",
    "memory of the build at its peak",
    "index file",
    "open the file, first answer",
)
"""Measures of the table of extremes."""


@dataclasses.dataclass
class Measure:
    """Something in which one library is better than another."""

    name: str
    values: dict[str, float]
    """By library."""
    more_is_better: bool
    unit: str

    def show(self, value: float) -> str:
        """With its unit."""
        return size(value) if self.unit == "bytes" else f"{short(value)} {self.unit}".strip()

    def ranking(self) -> list[str]:
        """Libraries, best first."""
        return sorted(self.values, key=lambda name: self.values[name], reverse=self.more_is_better)

    def times_better(self, library: str, other: str) -> float:
        """Above 1 where the library is better."""
        mine, theirs = self.values[library], self.values[other]
        return mine / theirs if self.more_is_better else theirs / mine

    def place(self, library: str) -> int:
        """1 for the best; those that are equal share a place."""
        mine = self.values[library]
        better = [
            v for v in self.values.values() if (v > mine if self.more_is_better else v < mine)
        ]
        return 1 + len(better)


def measures(document: Json, data: str) -> list[Measure]:
    """All measures of a data set."""
    results = documents.results_of(document, data)
    threads = documents.threads_of(document)
    found = []
    for count in threads:
        values = {r["library"]: documents.seconds(r, count) for r in results}
        found.append(_measure(f"build, {threads_text(count)}", values, False, "s"))
    for target in TARGETS:
        for count in threads:
            at = {r["library"]: documents.at_target(r, count, target) for r in results}
            values = {name: point["qps"] if point else None for name, point in at.items()}
            name = f"queries/s at recall {float(target):.2f}, {threads_text(count)}"
            found.append(_measure(name, values, True, ""))
    most = threads[-1]
    memory = {r["library"]: documents.peak(r, most) for r in results}
    found.append(_measure("memory of the build at its peak", memory, False, "bytes"))
    files = {r["library"]: r.get("index", {}).get("file_bytes") for r in results}
    found.append(_measure("index file", files, False, "bytes"))
    opened = {r["library"]: documents.first_answer(r) for r in results}
    opened = {name: None if seconds is None else 1000 * seconds for name, seconds in opened.items()}
    found.append(_measure("open the file, first answer", opened, False, "ms"))
    return [measure for measure in found if measure.values]


def _measure(name: str, values: Mapping[str, float | None], more: bool, unit: str) -> Measure:
    return Measure(name, {k: float(v) for k, v in values.items() if v is not None}, more, unit)


def ordinal(place: int) -> str:
    """1st, 2nd, 3rd, 4th, … 11th."""
    ending = (
        "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    )
    return f"{place}{ending}"


def overview(found: Sequence[Json], library: str = "concord") -> Table:
    """The place of a library in every measure of every data set, and who is ahead of it."""
    columns = [(document, data) for document in found for data in document["data"]]
    by_data = [{m.name: m for m in measures(document, data)} for document, data in columns]
    names = dict.fromkeys(name for each in by_data for name in each)
    rows = [[name, *(_place(each.get(name), library) for each in by_data)] for name in names]
    return Table([f"place of {library}", *(data for _, data in columns)], rows)


def _place(measure: Measure | None, library: str) -> str:
    if measure is None:
        return "-"
    best = measure.ranking()[0]
    if library not in measure.values:
        return f"**not reached**; {best} does"
    place = f"{ordinal(measure.place(library))} of {len(measure.values)}"
    ahead, mine = measure.values[best], measure.values[library]
    if measure.place(library) == 1:
        return place
    factor = max(ahead, mine) / max(min(ahead, mine), 1e-12)
    return f"**{place}**; {best} {factor:.2f}x"


def standing(document: Json, data: str, library: str = "concord") -> Table:
    """Who is best at what, and where Concord stands, wherever that is."""
    rows = []
    for measure in measures(document, data):
        best = measure.ranking()[0]
        row = [measure.name, f"{best} {measure.show(measure.values[best])}"]
        if library in measure.values:
            number = measure.place(library)
            place = f"{ordinal(number)} of {len(measure.values)}"
            row += [measure.show(measure.values[library]), place if number == 1 else f"**{place}**"]
        else:
            row += ["-", "**not reached**"]
        rows.append(row)
    return Table([data, "best", library, "place"], rows)


def extremes(found: Sequence[Json], rival: str = "hnswlib") -> Table:
    """How many times better Concord is, with one thread, in its worst and its best data set.

    Above 1 it is faster or smaller. It is compared with one rival, and with whoever is best of the others.
    Where it was measured with codes, that is what is compared.
    """
    by_data = {data: measures(document, data) for document in found for data in document["data"]}
    rows = []
    for name in EXTREMES:
        against_rival, against_best = [], []
        for data, all_measures in by_data.items():
            measure = next(one for one in all_measures if one.name == name)
            library = CODES if CODES in measure.values else CONCORD
            best = next(one for one in measure.ranking() if not one.startswith(CONCORD))
            against_rival.append((measure.times_better(library, rival), data))
            against_best.append((measure.times_better(library, best), f"{data}, {best}"))
        rows.append([name, _worst_to_best(against_rival), _worst_to_best(against_best)])
    header = [
        f"{len(by_data)} data sets",
        f"against {rival}, worst to best",
        "against the best other",
    ]
    return Table(header, rows)


def _worst_to_best(cases: list[tuple[float, str]]) -> str:
    """Both ends with their names; bold where the library is behind."""
    shown = []
    for times, name in (min(cases), max(cases)):
        number = f"{times:.2f}"
        shown.append(f"{number if times >= 1 else f'**{number}**'} ({name})")
    return " to ".join(shown)


def speeds(found: Sequence[Json], target: str = "0.95", threads: str = "1") -> Table:
    """Queries a second of every library at one recall, a column for each data set; the highest is bold."""
    columns: list[dict[str, float]] = []
    header = ["library"]
    for document in found:
        for data, facts in document["data"].items():
            results = documents.results_of(document, data)
            at = {r["library"]: documents.at_target(r, threads, target) for r in results}
            columns.append({name: point["qps"] if point else 0.0 for name, point in at.items()})
            name = data.partition(":")[0]
            header.append(f"{name}, {facts['vectors']:,} \u00d7 {facts['dimension']:,}")
    rows = []
    for name in dict.fromkeys(name for column in columns for name in column):
        shown = [f"{c[name]:,.0f}" if c.get(name) else "not reached" for c in columns]
        best = [c.get(name) == max(c.values()) for c in columns]
        rows.append([name, *(f"**{t}**" if b else t for t, b in zip(shown, best, strict=True))])
    return Table(header, rows)


def floats(document: Json, data: str) -> Table:
    """All libraries on one data set with one thread; the best of a column is bold."""
    wanted = [f"queries/s at recall {float(target):.2f}, 1 thread" for target in TARGETS]
    wanted += ["build, 1 thread", *EXTREMES[3:5]]
    by_name = {measure.name: measure for measure in measures(document, data)}
    rows = []
    for result in documents.results_of(document, data):
        row = [result["library"]]
        for name in wanted:
            value = by_name[name].values.get(row[0])
            text = "not reached" if value is None else by_name[name].show(value)
            row.append(f"**{text}**" if by_name[name].ranking()[0] == row[0] else text)
        rows.append(row)
    header = ["library", *(f"queries/s at {float(target):.2f}" for target in TARGETS)]
    return Table([*header, "build", "memory of the build", "file"], rows)


def summary(document: Json, data: str) -> Table:
    """All libraries on one data set."""
    threads = documents.threads_of(document)
    header = ["library"]
    header += [f"build s, {threads_text(count)}" for count in threads]
    header += [f"queries/s at 0.95, {threads_text(count)}" for count in threads]
    header += [f"queries/s at 0.99, {threads_text(threads[0])}"]
    header += ["build memory", "file", "first answer ms", "unreachable", "two builds"]
    rows = []
    for result in documents.results_of(document, data):
        name = result["library"]
        row = [f"**{name}**" if name.startswith(CONCORD) else name]
        row += [_text(documents.seconds(result, count)) for count in threads]
        for count, target in [*((count, "0.95") for count in threads), (threads[0], "0.99")]:
            point = documents.at_target(result, count, target)
            row.append(_text(point["qps"] if point else None))
        memory, index = documents.peak(result, threads[-1]), result.get("index", {})
        row.append("-" if memory is None else size(memory))
        row.append(size(index["file_bytes"]) if "file_bytes" in index else "-")
        opened = documents.first_answer(result)
        row.append(_text(None if opened is None else 1000 * opened))
        unseen = index.get("unreachable")
        row.append("not shown" if unseen is None else f"{unseen:,}")
        row.append(sameness(index))
        rows.append(row)
    return Table(header, rows)


def sameness(index: Json) -> str:
    """What two builds with all threads had in common."""
    if "same_bytes" not in index:
        return "-"
    if index["same_bytes"]:
        return "same bytes"
    return "same answers" if index["same_answers"] else "differ"


def _text(value: float | None) -> str:
    return "-" if value is None else short(value)


def plots(document: Json, data: str) -> list[Plot]:
    """Curves for each number of threads, build times, memory."""
    facts = document["data"][data]
    where = f"{data}, {facts['vectors']:,} x {facts['dimension']}"
    made = [_curves(document, data, where, count) for count in documents.threads_of(document)]
    return [*made, _builds(document, data, where), _memory(document, data, where)]


def _key(data: str, what: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{data}-{what}")


def _curves(document: Json, data: str, where: str, threads: str) -> Plot:
    series, recalls = [], []
    for result in documents.results_of(document, data):
        points = documents.points(result, threads)
        if not points:
            continue
        knob = document["libraries"][result["library"]]["knob"]
        recalls += [p["recall"] for p in points]
        series.append(
            Series(
                result["library"],
                [recall_place(p["recall"]) for p in points],
                [p["qps"] for p in points],
                [
                    f"recall {p['recall']:.4f}, {short(p['qps'])} queries/s "
                    f"({short(p['low'])} to {short(p['high'])}), {knob} {p['effort']}"
                    for p in points
                ],
                [p["low"] for p in points],
                [p["high"] for p in points],
            )
        )
    return Plot(
        _key(data, f"curves-{threads}"),
        f"Speed by recall: {where}, {threads_text(threads)}",
        "lines",
        f"recall@{document['parameters']['k']}",
        "queries per second",
        series,
        "Up and right is better. Medians of the rounds; bars from the slowest to the fastest.",
        y_log=True,
        x_ticks=recall_ticks(recalls),
    )


def _builds(document: Json, data: str, where: str) -> Plot:
    series = []
    for threads in documents.threads_of(document):
        results = [r for r in documents.results_of(document, data) if threads in r["builds"]]
        builds = [r["builds"][threads] for r in results]
        medians = [documents.seconds(r, threads) or 0.0 for r in results]
        rate = [document["data"][data]["vectors"] / seconds for seconds in medians]
        series.append(
            Series(
                threads_text(threads),
                [r["library"] for r in results],
                medians,
                [
                    f"{short(m)} s ({short(min(b['seconds']))} to {short(max(b['seconds']))}), "
                    f"{short(v)} vectors/s, {short(min(b['cpu_seconds']))} s of processor time"
                    for m, v, b in zip(medians, rate, builds, strict=True)
                ],
            )
        )
    title = f"Time to build: {where}"
    return Plot(_key(data, "build"), title, "bars", "seconds", "", series, "Shorter is better.")


def _memory(document: Json, data: str, where: str) -> Plot:
    threads = documents.threads_of(document)[-1]
    results = documents.results_of(document, data)
    peaks = {r["library"]: documents.peak(r, threads) for r in results}
    files = {r["library"]: r.get("index", {}).get("file_bytes") for r in results}
    raw = 4 * document["data"][data]["vectors"] * document["data"][data]["dimension"]
    series = []
    for name, values in (
        ("peak of the build beside the caller's array", peaks),
        ("index file", files),
    ):
        kept = {k: v for k, v in values.items() if v is not None}
        hover = [f"{size(v)}, {v / raw:.2f} of the float32 vectors" for v in kept.values()]
        series.append(Series(name, list(kept), [v / 2**20 for v in kept.values()], hover))
    note = f"Shorter is better. The float32 vectors themselves are {size(raw)}."
    return Plot(_key(data, "memory"), f"Memory and file: {where}", "bars", "MiB", "", series, note)
