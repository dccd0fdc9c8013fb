"""The page: one HTML file that needs nothing else, neither beside it nor from the network."""

from __future__ import annotations

import html
import json
import pathlib
import re
from collections.abc import Sequence

from plotly.offline import get_plotlyjs

from . import (
    bench_part,
    churn_part,
    durability_part,
    filtered_part,
    peers_part,
    serve_part,
    web,
    words_part,
)
from .documents import Documents, Json
from .plot import Plot
from .tables import Table

HERE = pathlib.Path(__file__).resolve().parent


class Page:
    """Collects sections and plots, in order."""

    def __init__(self, summary: str) -> None:
        self.summary = summary
        self.parts: list[str] = []
        self.contents: list[tuple[str, str]] = []
        self.plots: list[tuple[Plot, list[str]]] = []
        """With the names that share a set of colors."""

    def section(self, key: str, title: str, *paragraphs: str) -> None:
        """A heading and what to know when reading on."""
        self.contents.append((key, title))
        self.parts.append(f'<h2 id="{key}">{html.escape(title)}</h2>')
        self.parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs]

    def table(self, table: Table, kind: str = "") -> None:
        """A table, if it has rows; ``kind`` is a class of page.css."""
        if table.rows:
            self.parts.append(f'<div class="{kind}">{table.html()}</div>')

    def figures(self, plots: list[Plot], shared: Sequence[str] = ()) -> None:
        """Plots side by side where there is room; lines named in ``shared`` look the same in all of them."""
        self.parts.append('<div class="plots">')
        for plot in plots:
            own = [series.name for series in plot.series]
            names = list(shared) if set(own) <= set(shared) else own
            self.plots.append((plot, names))
            note = f'<p class="note">{html.escape(plot.note)}</p>' if plot.note else ""
            self.parts.append(
                f"<figure><figcaption><h3>{html.escape(plot.title)}</h3>{note}</figcaption>"
                f'<div class="plot" id="{plot.key}"></div></figure>'
            )
        self.parts.append("</div>")

    def html(self) -> str:
        """The whole file."""
        figures = {plot.key: web.figure(plot, names) for plot, names in self.plots}
        links = "".join(
            f'<a href="#{key}">{html.escape(title)}</a>' for key, title in self.contents
        )
        data = json.dumps(figures, separators=(",", ":")).replace("<", "\\u003c")
        return "\n".join(
            [
                '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
                '<meta name="viewport" content="width=device-width, initial-scale=1">',
                "<title>Concord: measured</title>",
                f"<style>\n{(HERE / 'page.css').read_text()}</style>\n</head>\n<body>",
                f"<h1>Concord: measured</h1>\n<p>{html.escape(self.summary)}</p>\n<nav>{links}</nav>",
                *self.parts,
                f'<script type="application/json" id="figures">{data}</script>',
                f"<script>{get_plotlyjs()}</script>",
                f"<script>\n{(HERE / 'page.js').read_text()}</script>\n</body>\n</html>\n",
            ]
        )


def compose(found: Documents) -> Page:
    """All that the documents have to tell."""
    page = Page(_summary(found.all()))
    if found.peers:
        page.section(
            "standing",
            "Who is best at what",
            "Where Concord stands in every measure of every data set, be it first or last; where it is not "
            "first, who is, and by what factor. Figures are medians; a difference smaller than the spread in "
            "the curves below is none.",
        )
        page.table(peers_part.overview(found.peers), "overview")
    if found.bench:
        page.section("numbers", "In numbers", _about_searches(found.bench))
        page.table(bench_part.builds(found.bench), "standing")
        page.table(bench_part.searches(found.bench), "standing")
    if found.words:
        page.section(
            "words",
            "Nearest words",
            "What searches of word vectors find, of those whose words were given.",
        )
        page.table(words_part.table(found.words), "files")
    for document in found.peers:
        for data in document["data"]:
            _peers_section(page, document, data)
    for documents in _alike(found.peers):
        _peers_environment(page, documents)
    if found.bench:
        page.section(
            "concord",
            "Concord alone",
            "Reports of concord-bench: what a build and a search consist of.",
        )
        page.figures(bench_part.plots(found.bench))
        compared = bench_part.comparisons(found.bench)
        if compared.rows:
            page.section(
                "compared",
                "Compared with hnswlib",
                "Ratios: above 1, Concord is faster; memory below 1, Concord is smaller.",
            )
            page.table(compared)
        page.section("audit", "Audits", "The seven invariants of each graph, and its digest.")
        page.table(bench_part.audits(found.bench))
    if found.serve:
        page.section(
            "serving",
            "Readers beside the writer",
            "concord-bench serve-mix: searches and additions of one index, each alone and both at once. "
            "Goals: p99 at most 1.5 times, additions at least 0.9 times. Readers of another index tell: "
            "what additions lose beside them they lose to busy cores, caches and memory, not to sharing.",
        )
        page.table(serve_part.table(found.serve), "standing")
        page.figures(serve_part.plots(found.serve))
    if found.durable:
        page.section(
            "durability",
            "Builds that survive",
            "concord-bench durability: builds with and without a journal by turns; one killed half-way and "
            "resumed. Goals: at most 1.03 times the processor time, at most 5 % lost.",
        )
        page.table(durability_part.table(found.durable), "standing")
        page.figures(durability_part.plots(found.durable))
    if found.churn:
        page.section(
            "churn",
            "Vectors that are replaced",
            "concord-bench churn and its peers: vectors go and others come in rounds. Recall is judged "
            "among the vectors that are there. An unreachable vector is one that no search finds.",
        )
        page.table(churn_part.table(found.churn), "standing")
        page.figures(churn_part.plots(found.churn))
    if found.filtered:
        page.section(
            "filtered",
            "A part of the vectors",
            "peers.filtered: each library's own filters, at the smallest effort that reaches the recall "
            "with no search short of min(k, matches). A shortfall is bold.",
        )
        page.table(filtered_part.table(found.filtered), "standing")
    page.section("files", "Files")
    page.table(_files(found.all()), "files")
    return page


def _about_searches(bench: list[Json]) -> str:
    """Which searches the table shows."""
    if len(bench) == 1:
        return "The build, and what its searches find at each ef."
    return (
        "Each build, and of each index the search of the least ef that was run with a recall of "
        f"{bench_part.GOAL}. If none has it, the best one stands there. The curves below have all searches."
    )


def _summary(documents: list[Json]) -> str:
    """Where, when and of what code."""
    machines = [f"{d['machine']['cpu']}, {d['machine']['cores']} cores" for d in documents]
    days = [d["date"][:10] for d in documents]
    span = min(days) if min(days) == max(days) else f"{min(days)} to {max(days)}"
    commits = [d["commit"] for d in documents]
    parts = [
        "; ".join(dict.fromkeys(machines)),
        span,
        f"commit {', '.join(dict.fromkeys(commits))}",
    ]
    return f"{' · '.join(parts)}. Commands stand at the end. Point at a mark for its figures."


def _peers_section(page: Page, document: Json, data: str) -> None:
    facts, parameters = document["data"][data], document["parameters"]
    page.section(
        re.sub(r"[^a-z0-9]+", "-", f"peers-{data}"),
        f"Peers: {data}",
        f"{facts['vectors']:,} vectors of {facts['dimension']} dimensions, {facts['metric']}, "
        f"{facts['queries']:,} queries in one call, recall@{parameters['k']}. M = {parameters['M']}, "
        f"ef_construction = {parameters['ef_construction']}, or what stands for them.",
    )
    page.table(peers_part.standing(document, data), "standing")
    page.table(peers_part.summary(document, data))
    failures = [
        f"{r['library']}: {f}"
        for r in document["results"]
        if r["data"] == data
        for f in r["failures"]
    ]
    page.parts += [f'<p class="note">Failed: {html.escape(failure)}</p>' for failure in failures]
    page.figures(peers_part.plots(document, data), list(document["libraries"]))


def _alike(peers: list[Json]) -> list[list[Json]]:
    """Documents of the same machine and libraries together."""
    groups: dict[str, list[Json]] = {}
    for document in peers:
        machine = {k: v for k, v in document["machine"].items() if "load" not in k}
        same = [machine, document["libraries"], document["skipped"]]
        groups.setdefault(json.dumps(same), []).append(document)
    return list(groups.values())


def _peers_environment(page: Page, alike: list[Json]) -> None:
    document, machine = alike[0], alike[0]["machine"]
    files = [each["file"] for each in alike]
    loads = [each["machine"].get(f"load_average{end}") for each in alike for end in ("", "_at_end")]
    known = [load for load in loads if load is not None]
    page.section(
        re.sub(r"[^a-z0-9]+", "-", f"libraries-{files[0]}"),
        "Libraries and machine" if len(alike) > 1 else f"Libraries and machine ({files[0]})",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB; "
        f"{machine['system']}; Python {machine['python']}. Load when a run began or ended: "
        f"{min(known):.1f} to {max(known):.1f}. Of {', '.join(files)}.",
        "Each library runs in a process of its own on as many cores as threads. Build memory is the growth of "
        "resident memory at its peak, beside the caller's float32 array. Concord keeps vectors whose elements "
        "are all 8-bit numbers as bytes, which is exact.",
    )
    rows = [
        [name, str(facts["version"]), facts["codes"], facts["mapping"], facts["about"]]
        for name, facts in document["libraries"].items()
    ]
    header = ["library", "version", "distances of", "M, ef_construction, ef", "how it is used"]
    page.table(Table(header, rows), "files")
    skipped = [f"{name} ({reason})" for name, reason in document["skipped"].items()]
    if skipped:
        page.parts.append(f'<p class="note">Not run: {html.escape("; ".join(skipped))}.</p>')


def _files(all_documents: list[Json]) -> Table:
    rows = [
        [
            d["file"],
            d["date"],
            d["commit"],
            f"{d['machine']['cpu']}, {d['machine']['cores']} cores",
            d["command"],
        ]
        for d in all_documents
    ]
    return Table(["file", "date", "commit", "machine", "command"], rows)
