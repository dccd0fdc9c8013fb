"""Results of concord-bench serve-mix: what readers and the writer cost one another."""

from __future__ import annotations

from .documents import Json, short_name, threads_text
from .plot import Plot, Series, short
from .tables import Table

MOST_P99, LEAST_RATE = 1.5, 0.9  # goals: searches beside the writer, additions beside readers
ALONE, BESIDE = "alone", "both at once"


def name(document: Json) -> str:
    """A run in a few words."""
    mix, data = document["serve_mix"], document["data"]
    readers = "1 reader" if mix["readers"] == 1 else f"{mix['readers']} readers"
    device = document["machine"]["device"]
    writer = "" if device == "cpu" else f" and {device}"
    return (
        f"{short_name(data['name'])} {data['vectors']:,}, "
        f"{readers} + {threads_text(mix['writer_threads'])}{writer}"
    )


def table(serve: list[Json]) -> Table:
    """Each run; a goal that is missed is bold."""
    rows = []
    for document in serve:
        mix = document["serve_mix"]
        p99, rate = mix["p99_ratio"], mix["rate_ratio"]
        row = [name(document)]
        row += [f"{1e6 * mix[when]['p99_seconds']:.0f} us" for when in ("idle", "beside_writer")]
        row.append(f"{p99:.2f}" if p99 <= MOST_P99 else f"**{p99:.2f}**")
        row += [f"{mix[when + '_vectors_per_second']:,.0f}" for when in ("lone", "mixed")]
        row.append(f"{rate:.2f}" if rate >= LEAST_RATE else f"**{rate:.2f}**")
        row.append(f"{mix['apart_ratio']:.2f}" if "apart_ratio" in mix else "-")
        rows.append(row)
    header = ["run", "p99 of a search, alone", "beside the writer", "ratio"]
    header += [
        "vectors/s added, alone",
        "beside the readers",
        "ratio",
        "beside readers of another index",
    ]
    return Table(header, rows)


def plots(serve: list[Json]) -> list[Plot]:
    """Latency and rate, each alone and beside the other."""
    names = [name(document) for document in serve]
    mixes = [document["serve_mix"] for document in serve]
    latency = []
    for title, when in ((ALONE, "idle"), (BESIDE, "beside_writer")):
        micro = [1e6 * mix[when]["p99_seconds"] for mix in mixes]
        hover = [
            f"p50 {1e6 * mix[when]['p50_seconds']:.0f}, p99 {p99:.0f}, p99.9 "
            f"{1e6 * mix[when]['p999_seconds']:.0f} us of {mix[when]['searches']:,} searches, ef {mix['ef']}"
            for mix, p99 in zip(mixes, micro, strict=True)
        ]
        latency.append(Series(title, names, micro, hover))
    rates = []
    for title, when in ((ALONE, "lone"), (BESIDE, "mixed")):
        added = [mix[f"{when}_vectors_per_second"] for mix in mixes]
        hover = [
            f"{short(rate)} vectors/s, median of {m['rounds']}"
            for rate, m in zip(added, mixes, strict=True)
        ]
        rates.append(Series(title, names, added, hover))
    return [
        Plot(
            "serve-p99",
            "p99 of a search",
            "bars",
            "microseconds",
            "",
            latency,
            "Shorter is better.",
        ),
        Plot(
            "serve-rate", "Additions", "bars", "vectors per second", "", rates, "Longer is better."
        ),
    ]
