"""bench/page: its arithmetic, its refusals, and that a table in Markdown is what the results say."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import pytest
from page import (
    bench_part,
    documents,
    durability_part,
    growth,
    peers_part,
    plot,
    quote,
    readme_picture,
    serve_part,
    web,
)
from page.html_page import compose
from page.plot import style

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = sorted((ROOT / "bench/results/2026-11-22-epyc-2-cores").glob("*.json"))


def peers_document(builds: dict[str, float]) -> dict[str, Any]:
    """A result of bench/peers with nothing but build times."""
    results = [
        {
            "library": name,
            "data": "d",
            "failures": [],
            "search": {},
            "builds": {
                "1": {"seconds": [s], "cpu_seconds": [s], "peak_bytes": 1, "peak_exact": False}
            },
        }
        for name, s in builds.items()
    ]
    data = {"d": {"vectors": 10, "dimension": 2, "metric": "l2sq", "queries": 1}}
    return {"parameters": {"threads": [1]}, "data": data, "results": results}


@pytest.mark.parametrize("seconds", [0.5, 1.5, 2.5, 9.0])
def test_the_standing_says_where_concord_is(seconds: float) -> None:
    others = {"a": 1.0, "b": 2.0, "c": 3.0}
    table = peers_part.standing(peers_document({"concord": seconds, **others}), "d")
    (row,) = table.rows
    place = 1 + sum(other < seconds for other in others.values())
    best = "concord 0.500 s" if seconds < 1 else "a 1.00 s"
    assert list(row) == [
        "build, 1 thread",
        best,
        f"{seconds:.2f} s" if seconds > 1 else "0.500 s",
        row[3],
    ]
    assert row[3].strip("*") == f"{peers_part.ordinal(place)} of 4"
    assert (f"<strong>{place}" in table.html()) == (place > 1), "what a peer does better stands out"
    assert row[3] in table.markdown()


def test_equal_figures_share_a_place_and_what_is_not_reached_is_said() -> None:
    row = peers_part.standing(peers_document({"concord": 1.0, "a": 1.0, "b": 0.5}), "d").rows[0]
    assert row[3] == "**2nd of 3**"
    assert peers_part.standing(peers_document({"a": 1.0}), "d").rows[0][3] == "**not reached**"


def test_the_overview_has_every_set_and_says_who_is_ahead() -> None:
    first = peers_document({"concord": 1.0, "a": 2.0}) | {"file": "first"}
    second = json.loads(json.dumps(peers_document({"concord": 3.0, "a": 2.0, "b": 4.0})))
    second["data"] = {"e": second["data"].pop("d")}
    for result in second["results"]:
        result["data"] = "e"
    third = json.loads(json.dumps(peers_document({"a": 2.0})))
    table = peers_part.overview([first, second, third])
    assert list(table.header) == ["place of concord", "d", "e", "d"]
    (row,) = table.rows
    assert row[1:] == ["1st of 2", "**2nd of 3**; a 1.50x", "**not reached**; a does"]


def test_the_extremes_are_the_worst_and_the_best_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers_part, "EXTREMES", ("build, 1 thread",))
    first = peers_document({"concord": 2.0, "hnswlib": 3.0, "a": 1.0})
    second = json.loads(json.dumps(peers_document({"concord": 2.0, "hnswlib": 9.0, "a": 8.0})))
    second["data"] = {"e": second["data"].pop("d")}
    for result in second["results"]:
        result["data"] = "e"
    table = peers_part.extremes([first, second])
    assert table.header[0] == "2 data sets"
    assert table.rows == [
        ["build, 1 thread", "1.50 (d) to 4.50 (e)", "**0.50** (d, a) to 4.00 (e, a)"]
    ]
    assert peers_part.Measure("q", {"concord": 5.0, "a": 4.0}, True, "").times_better(
        "concord", "a"
    ) == pytest.approx(1.25)
    coded = peers_document({"concord": 2.0, "concord sq8": 1.0, "hnswlib": 3.0, "a": 0.5})
    (row,) = peers_part.extremes([coded]).rows
    assert row[1:] == ["3.00 (d) to 3.00 (d)", "**0.50** (d, a) to **0.50** (d, a)"]


def test_the_best_of_each_column_is_bold(monkeypatch: pytest.MonkeyPatch) -> None:
    def measures(document: dict[str, object], data: str) -> list[peers_part.Measure]:
        speeds = [f"queries/s at recall {t}, 1 thread" for t in ("0.90", "0.95", "0.99")]
        more = [peers_part.Measure(name, {"concord": 5.0, "a": 7.0}, True, "") for name in speeds]
        less = ["build, 1 thread", "memory of the build at its peak", "index file"]
        return [*more, *(peers_part.Measure(name, {"concord": 5.0}, False, "s") for name in less)]

    monkeypatch.setattr(peers_part, "measures", measures)
    table = peers_part.floats(peers_document({"concord": 1.0, "a": 2.0}), "d")
    assert table.header[1:4] == ["queries/s at 0.90", "queries/s at 0.95", "queries/s at 0.99"]
    assert table.rows == [
        ["concord", *["5.00"] * 3, *["**5.00 s**"] * 3],
        ["a", *["**7.00**"] * 3, *["not reached"] * 3],
    ]


def test_seconds_of_the_processor_are_called_so() -> None:
    document = peers_document({"concord": 1.0})
    document |= {"date": "2026-12-01T00:00:00Z", "commit": "c", "command": "x", "file": "f.json"}
    document["machine"] = {"cpu": "p", "cores": 2}
    found = documents.Documents([document], [], [], [], [], [], [])
    assert "processor" not in quote.sources(found, "f.json")
    document["parameters"]["clock"] = "processor"
    assert "commit c, seconds of the processor: `f.json`" in quote.sources(found, "f.json")


def test_more_is_better_for_speed_and_less_for_the_rest() -> None:
    document = json.loads(
        (ROOT / "bench/results/2026-11-22-h100/compare-sift100k-1.json").read_text()
    )
    assert document["tool"] == "concord-bench"
    fast = peers_part.Measure("q", {"concord": 5.0, "a": 7.0}, more_is_better=True, unit="")
    slow = peers_part.Measure("b", {"concord": 5.0, "a": 7.0}, more_is_better=False, unit="s")
    assert (fast.ranking()[0], fast.place("concord")) == ("a", 2)
    assert (slow.ranking()[0], slow.place("concord")) == ("concord", 1)


def test_a_recall_that_is_worse_than_hnswlibs_is_shown_as_worse() -> None:
    document = json.loads((RESULTS[0].parent / "compare-words-1.json").read_text())
    ours, theirs = document["search"], document["hnswlib"]["search"]
    worst = min(100 * (a["recall"] - b["recall"]) for a, b in zip(ours, theirs, strict=True))
    assert worst < -0.3
    assert bench_part.comparisons([document]).rows[0][5] == f"{worst:+.2f}"


def test_ordinals() -> None:
    named = [peers_part.ordinal(i) for i in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)]
    assert named == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th"]


@pytest.mark.parametrize("power", [-0.5, 0.0, 0.13, 1.0, 2.0])
def test_the_exponent_of_a_power_law(power: float) -> None:
    sizes = [10.0, 37.0, 1000.0, 5e5]
    costs = [3 * n**power for n in sizes]
    slope, law = plot.power_law(sizes, costs)
    assert slope == pytest.approx(power) and law == pytest.approx(costs)
    assert plot.power_law(sizes, [*costs[:3], 2 * costs[3]])[0] > power


def test_numbers_for_people() -> None:
    shown = [plot.short(v) for v in (0, 0.0123, 0.999, 1.234, 99.94, 123.4, 12345.6)]
    assert shown == ["0", "0.0123", "0.999", "1.23", "99.9", "123", "12,346"]


def test_the_recall_axis_grows_and_has_a_place_for_1() -> None:
    places = [plot.recall_place(r) for r in (0.5, 0.9, 0.99, 0.999, 1.0)]
    assert places == sorted(set(places))
    assert plot.recall_ticks([0.93, 0.99])[0][1] == "0.9"
    assert plot.recall_ticks([0.93, 0.9994])[-1][1] == "0.999"
    for recall in (0.9995, 1.0):
        last = plot.recall_ticks([0.93, recall])[-1]
        assert last == (plot.recall_place(recall), "≥0.9995")


def test_ticks_stand_within_the_values() -> None:
    for values in ([3.0, 2000.0], [70.0, 140.0], [1000.0, 1010.0], [5.0]):
        ticks = web.log_ticks(values)
        assert all(0.9 * min(values) <= tick <= 1.1 * max(values) for tick in ticks)
    assert [web.prefixed(v) for v in (20.0, 2e4, 3e6)] == ["20", "20k", "3M"]


def bench_document(vectors: int, threads: int = 1) -> dict[str, Any]:
    distances = 100 * vectors**1.25
    return {
        "data": {"name": f"synthetic {vectors},8", "vectors": vectors},
        "parameters": {"M": 16, "ef_construction": 200},
        "build": {
            "threads": threads,
            "distances": distances,
            "vectors_per_second": 1000.0 * threads,
        },
    }


def test_growth_needs_three_sizes_and_fits_them() -> None:
    sizes = [1000, 5000, 20000]
    insertions, times, queries, threads = growth.plots([bench_document(n) for n in sizes])
    assert [s.name for s in insertions.series] == ["synthetic 8-d: b = 0.25"]
    assert not times.series and not queries.series and not threads.series
    assert not growth.plots([bench_document(n) for n in sizes[:2]])[0].series
    assert growth.plots([bench_document(1000, t) for t in (2, 1)])[3].series[0].y == [
        1000.0,
        2000.0,
    ]


def serve_document(p99: float, rate: float, **more: float) -> dict[str, Any]:
    """Of concord-bench serve-mix."""
    latency = {"searches": 1000, "p50_seconds": 2e-5, "p99_seconds": 5e-5, "p999_seconds": 9e-5}
    mix = {
        "readers": 8,
        "writer_threads": 1,
        "ef": 64,
        "rounds": 6,
        "idle": latency,
        "beside_writer": latency | {"p99_seconds": 5e-5 * p99},
        "p99_ratio": p99,
        "lone_vectors_per_second": 8000.0,
        "mixed_vectors_per_second": 8000.0 * rate,
        "rate_ratio": rate,
    }
    data = {"name": "sift-128-euclidean.hdf5", "vectors": 60000}
    return {"data": data, "machine": {"device": "cpu"}, "serve_mix": mix | more}


def test_goals_of_readers_and_writer_that_are_missed_stand_out() -> None:
    good, bad = serve_part.table(
        [serve_document(1.5, 0.9, apart_ratio=0.95), serve_document(1.51, 0.89)]
    ).rows
    assert list(good) == [
        "sift-128 60,000, 8 readers + 1 thread",
        *("50 us", "75 us", "1.50"),
        *("8,000", "7,200", "0.90", "0.95"),
    ]
    assert (bad[3], bad[6], bad[7]) == ("**1.51**", "**0.89**", "-")
    latency, rates = serve_part.plots([serve_document(2.0, 0.5)])
    assert [s.y for s in latency.series] == [[pytest.approx(50)], [pytest.approx(100)]]
    assert [s.y for s in rates.series] == [[8000.0], [4000.0]]
    assert (
        "p99 100" in latency.series[1].hover[0] and "1,000 searches" in latency.series[1].hover[0]
    )


def test_what_a_journal_costs_and_a_kill_loses(bench: pathlib.Path, tmp_path: pathlib.Path) -> None:
    result = tmp_path / "durability.json"
    command = [bench, "durability", "--synthetic", "3000,8", "--threads", "1", "--rounds", "2"]
    subprocess.run(
        [*command, "--folder", tmp_path, "--json", result], check=True, capture_output=True
    )
    found = documents.read([result])
    (document,) = found.durable
    document["durability"]["cpu_ratio"] |= {"median": 1.03}
    document["durability"]["killed"] |= {"lost": 150, "lost_percent": 5.0}
    (row,) = durability_part.table(found.durable).rows
    assert (row[1], row[5], row[7]) == ("1.0300", "150 (5.00 %)", "equal")
    document["durability"]["cpu_ratio"] |= {"median": 1.0301}
    document["durability"]["killed"] |= {"lost": 151, "lost_percent": 5.01}
    document["durability"]["digests_equal"] = False
    (row,) = durability_part.table(found.durable).rows
    assert (row[1], row[5], row[7]) == ("**1.0301**", "**151 (5.01 %)**", "**differ**")
    assert "Builds that survive" in compose(found).html()


@pytest.mark.parametrize("folder", ["2026-11-22-epyc-2-cores", "2026-11-23-epyc-2-cores"])
def test_a_folder_of_results_makes_one_page(folder: str) -> None:
    files = sorted((ROOT / "bench/results" / folder).glob("*.json"))
    found = documents.read(files)
    assert len(found.all()) == len(files)
    page = compose(found)
    text = page.html()
    assert all(path.name in text for path in files)
    assert all(plot.series for plot, _ in page.plots)
    sizes = [d["data"]["vectors"] for d in found.bench if d["data"]["name"].startswith("sift")]
    assert sizes == sorted(sizes), "ascending, not by the names of files"


def test_the_page_opens_with_numbers() -> None:
    (path,) = (path for path in RESULTS if path.name == "compare-sift-2.json")
    found = documents.read([path])
    document = json.loads(path.read_text())
    text = compose(found).html()
    opening = text[: text.index('class="plot"')]
    build = document["build"]
    said = [f"{build['seconds']:,.2f} s", f"{build['vectors_per_second']:,.0f}", "<td>ok</td>"]
    said += [f"{document['memory']['index_bytes'] / 2**20:,.0f} MiB"]
    for point in document["search"]:
        said += [f"{point['recall']:.4f}", f"{point['qps_single_thread']:,.0f}"]
    assert [one for one in said if one not in opening] == []


def test_of_several_indexes_the_least_effort_that_is_good_enough_is_shown() -> None:
    found = documents.read(RESULTS)
    rows = {row[0]: row for row in bench_part.searches(found.bench).rows}
    for document in found.bench:
        points = document.get("search", [])
        if not points:
            assert documents.label(document) not in rows
            continue
        enough = [point["ef"] for point in points if point["recall"] >= bench_part.GOAL]
        best = max(points, key=lambda point: point["recall"])["ef"]
        shown = rows.pop(documents.label(document))
        assert int(shown[1].replace(",", "")) == min(enough, default=best)
    assert not rows


def test_a_failed_audit_stands_out() -> None:
    (path,) = (path for path in RESULTS if path.name == "compare-sift-2.json")
    (document,) = documents.read([path]).bench
    document["audit"]["ok"] = False
    assert bench_part.builds([document]).rows[0][-1] == "**FAILED**"


# ------------------------------------------------------------------------------ the command


def report(
    bench: pathlib.Path, *arguments: object, python: pathlib.Path | None = None
) -> tuple[int, str]:
    """Exit code and standard error of concord-bench report."""
    folder = python or pathlib.Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{folder}"}
    command = [bench, "report", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return done.returncode, done.stderr


def test_what_is_no_result_is_refused_in_one_line(
    bench: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    page = tmp_path / "page.html"
    run = json.loads((RESULTS[0]).read_text())
    for name, text in (
        ("a.json", "{"),
        ("b.json", "[]"),
        ("c.json", '{"tool": "other"}'),
        ("search.json", json.dumps({k: v for k, v in run.items() if k != "build"})),
    ):
        (tmp_path / name).write_text(text)
        code, error = report(bench, tmp_path / name, "--out", page)
        assert code == 2 and name in error and error.count("\n") == 1, error
    (tmp_path / "d.json").write_text(json.dumps({k: v for k, v in run.items() if k != "audit"}))
    code, error = report(bench, tmp_path / "d.json", "--out", page)
    assert code == 2 and "'audit'" in error and error.count("\n") == 1, error
    code, error = report(bench, RESULTS[0], "--out", tmp_path / "absent" / "page.html")
    assert code == 2 and "absent" in error and error.count("\n") == 1
    assert report(bench, tmp_path / "no.json", "--out", page)[0] == 2
    assert report(bench, RESULTS[0])[0] == 2
    assert not page.exists()


def test_a_data_set_in_two_files_is_refused(
    tmp_path: pathlib.Path, peers_result: pathlib.Path
) -> None:
    copy = tmp_path / "copy.json"
    copy.write_text(peers_result.read_text())
    with pytest.raises(documents.BadInputError, match="copy.json: sample is in peers.json, too"):
        documents.read([peers_result, copy])


def test_without_python_or_its_packages_one_line_says_so(
    bench: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    code, error = report(bench, RESULTS[0], "--out", tmp_path / "p.html", python=tmp_path)
    assert code == 2 and "cannot start python3" in error and error.count("\n") == 1
    bare = tmp_path / "python3"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    code, error = report(bench, RESULTS[0], "--out", tmp_path / "p.html", python=tmp_path)
    assert code == 2 and "pip install -r" in error and error.count("\n") == 1


def test_the_page_stands_alone_and_has_all_pictures(
    bench: pathlib.Path, tmp_path: pathlib.Path, peers_result: pathlib.Path
) -> None:
    page = tmp_path / "page.html"
    code, error = report(bench, peers_result, *RESULTS, "--out", page)
    assert code == 0, error
    text = page.read_text()
    head = text[: text.index("<script>")]
    assert not re.search(r'(src|href)="(?!#)', head) and "@import" not in head
    keys = [p.key for p, _ in compose(documents.read([peers_result, *RESULTS])).plots]
    assert len(keys) == len(set(keys)) > 10
    for key in keys:
        assert f'id="{key}"' in text
        for ending in ("svg", "png"):
            assert (tmp_path / "page-plots" / f"{key}.{ending}").stat().st_size > 4000
    for key in (
        "sample-curves-1",
        "sample-build",
        "sample-memory",
        "phases",
        "degrees",
        "levels",
        "threads",
    ):
        assert key in keys


def test_the_page_has_the_nearest_words(tmp_path: pathlib.Path) -> None:
    near = [{"word": "queen", "distance": 0.25}, {"word": "<crown>", "distance": 0.5}]
    machine = {"cpu": "c", "cores": 2}
    document = {"schema": 1, "tool": "concord-bench", "date": "2026-11-30", "commit": "0"}
    document |= {"command": "words", "machine": machine}
    document |= {"words": [{"word": "king", "nearest": near}]}
    path = tmp_path / "words.json"
    path.write_text(json.dumps(document))
    html = compose(documents.read([path])).html()
    assert "<td>king</td><td>queen 0.250, &lt;crown&gt; 0.500</td>" in html


# ---------------------------------------------------------------------------------- Markdown


def markdown_files() -> list[pathlib.Path]:
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "*.md"], capture_output=True, text=True)
    names = listed.stdout.split() or [str(p.relative_to(ROOT)) for p in ROOT.glob("*.md")]
    return [ROOT / name for name in names]


def test_blocks_in_the_repository_are_what_the_results_give() -> None:
    blocks = 0
    for path in markdown_files():
        text = path.read_text()
        blocks += len(quote.BLOCK.findall(text))
        assert text.count("<!-- measured:") == text.count("<!-- /measured -->"), path
        assert quote.rewritten(text) == text, f"{path}: run python -m page.quote"
    assert blocks > 0


def test_the_pictures_of_the_readme_are_what_the_results_give() -> None:
    drawn = readme_picture.pictures()
    assert len(drawn) == 4
    for path, content in drawn.items():
        assert path.read_text() == content, f"{path}: run python -m page.readme_picture"
    for name in ("peers-light.svg", "peers-dark.svg"):
        assert name in (ROOT / "README.md").read_text() and ROOT / "docs/figures" / name in drawn


def test_the_pictures_of_the_readme_show_every_library_in_every_panel() -> None:
    panels = [readme_picture.panel(file, title) for file, title in readme_picture.PANELS]
    names = set(panels[0].curves)
    assert "concord" in names and all(set(panel.curves) == names for panel in panels)
    for theme, layout in itertools.product(readme_picture.THEMES, readme_picture.LAYOUTS):
        picture = ElementTree.fromstring(readme_picture.drawing(panels, theme, layout))
        width, height = (float(picture.attrib[name]) for name in ("width", "height"))
        for text in picture.iter("{http://www.w3.org/2000/svg}text"):
            assert 0 <= float(text.attrib["x"]) <= width and float(text.attrib["y"]) < height - 4
        texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
        assert names <= set(texts)
        lines = list(picture.iter("{http://www.w3.org/2000/svg}polyline"))
        assert len(lines) == len(names) * (len(panels) + 1)  # and the legend
        color = style("concord", sorted(names))[0]
        assert sum(line.get("stroke") == color for line in lines) == len(panels) + 1


def test_the_readme_quotes_the_table_of_extremes() -> None:
    text = (ROOT / "README.md").read_text()
    claim = re.search(r"one thread answers (\S+) to (\S+) times as many queries", text)
    row = re.search(
        r"^\| queries/s at recall 0.95, 1 thread \| (\S+) \(.*?\) to (\S+) \(", text, re.M
    )
    assert claim and row and claim.groups() == row.groups()


def test_a_changed_block_is_found_and_written_anew(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "page.md"
    marker = (
        "<!-- measured: comparisons bench/results/2026-11-22-epyc-2-cores/compare-sift-1.json -->"
    )
    path.write_text(f"before\n{marker}\n<!-- /measured -->\nafter\n")
    command = [sys.executable, "-m", "page.quote", path]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bench")}
    assert (
        subprocess.run([*command, "--check"], env=environment, capture_output=True).returncode == 1
    )
    assert subprocess.run(command, env=environment).returncode == 0
    text = path.read_text()
    assert "| 2.12 |" in text and text.startswith("before\n") and text.endswith("after\n")
    assert subprocess.run([*command, "--check"], env=environment).returncode == 0
    path.write_text(text.replace("2.12", "3.12"))
    assert (
        subprocess.run([*command, "--check"], env=environment, capture_output=True).returncode == 1
    )
    path.write_text(text.replace("comparisons", "nonsense"))
    assert (
        subprocess.run([*command, "--check"], env=environment, capture_output=True).returncode == 2
    )


def test_the_table_of_speeds_is_that_of_the_places() -> None:
    """The highest of a column is bold, and is what the table of places calls the best."""
    paths = [ROOT / readme_picture.FOLDER / name for name, _ in readme_picture.PANELS]
    found = documents.read(paths)
    table = peers_part.speeds(found.peers)
    names = {result["library"] for each in found.peers for result in each["results"]}
    assert {row[0] for row in table.rows} == names
    assert len(table.header) == 1 + len(readme_picture.PANELS)
    for column, document in enumerate(found.peers, 1):
        (data,) = document["data"]
        name = "queries/s at recall 0.95, 1 thread"
        (place,) = (row for row in peers_part.standing(document, data).rows if row[0] == name)
        (best,) = (row for row in table.rows if row[column].startswith("**"))
        assert place[1] == f"{best[0]} {best[column].strip('*')}"


def test_every_kind_of_block_can_be_written(peers_result: pathlib.Path) -> None:
    found = documents.read([peers_result, RESULTS[-1]])
    for kind, write in quote.KINDS.items():
        assert kind == "comparisons" or "|" in write(found)
    assert "hnswlib 0.8.0" in quote.standing(found)
