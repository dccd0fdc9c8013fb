"""The report in a real browser: every plot is drawn, at a desk and on a phone, by day and by night."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from browser import PATIENCE
from page import command
from page.html_page import Page
from page.plot import Plot, Series, recall_place, recall_ticks

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = sorted((ROOT / "bench/results").glob("2026-11-22-epyc-2-cores/*.json"))
RESULTS += (ROOT / "bench/results").glob("2026-11-23-epyc-2-cores/serve-mix-*.json")

# Of each plot: how many marks it has that have an extent, how many of them stand out of it, which words do and
# which are hidden, and by how much the labels of the x axis reach past its end.
MARKS = """() => [...document.querySelectorAll('.plot')].map(plot => {
  const box = plot.getBoundingClientRect();
  const kinds = ['.scatterlayer .js-line', '.scatterlayer .point', '.barlayer .point path'];
  const marks = [...plot.querySelectorAll(kinds.join(', '))];
  const boxes = marks.map(mark => mark.getBoundingClientRect());
  const drawn = boxes.filter(b => b.width > 0 || b.height > 0);
  const text = [...plot.querySelectorAll('text')].filter(t => t.textContent.trim());
  return {
    key: plot.id, width: box.width, height: box.height, drawn: drawn.length, text: text.length,
    traces: plot.data.length, ink: text.length ? getComputedStyle(text[0]).fill : '',
    hidden: text.filter(t => !t.checkVisibility()).map(t => t.textContent),
    cut: text.filter(t => t.checkVisibility()).filter(t => {
      const b = t.getBoundingClientRect();
      return b.right > box.right + 1 || b.left < box.left - 1
        || b.bottom > box.bottom + 1 || b.top < box.top - 1;
    }).map(t => t.textContent),
    past: Math.max(...[...plot.querySelectorAll('.xtick text')].map(t => t.getBoundingClientRect().right))
      - plot.querySelector('.nsewdrag').getBoundingClientRect().right,
    outside: drawn.filter(b => b.right > box.right + 12 || b.left < box.left - 12).length,
  };
})"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, peers_result: pathlib.Path) -> pathlib.Path:
    out = tmp_path_factory.mktemp("page") / "page.html"
    command.run([str(peers_result), *map(str, RESULTS), "--out", str(out)])
    return out


@contextlib.contextmanager
def opened(browser: Any, file: pathlib.Path, **options: Any) -> Iterator[Any]:
    """A page with all its plots drawn; at the end nothing may have gone wrong in it."""
    page = browser.new_page(**options)
    page.set_default_timeout(PATIENCE)
    problems: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("html[data-drawn=yes]")
    yield page
    page.close()
    assert not problems
    assert [url for url in requests if url.startswith("http")] == [], (
        "the page needs nothing from a network"
    )


def brightness(color: str) -> float:
    """Of rgb(r, g, b), 0 to 1."""
    parts = color[color.index("(") + 1 : color.index(")")].split(",")[:3]
    return sum(float(part) for part in parts) / (3 * 255)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_plot_is_drawn(browser: Any, page_file: pathlib.Path, width: int, theme: str) -> None:
    viewport = {"width": width, "height": 800}
    with opened(browser, page_file, viewport=viewport, color_scheme=theme) as page:
        plots = page.evaluate(MARKS)
        folder = pathlib.Path(os.environ.get("CONCORD_SCREENSHOTS", page_file.parent))
        page.screenshot(path=folder / f"report-{width}-{theme}.png", full_page=True)
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        wide = page.evaluate("document.documentElement.scrollWidth")

    assert wide == width, "only tables may be wider than the page, in a frame of their own"
    assert len(plots) > 10
    for plot in plots:
        assert plot["drawn"] >= plot["traces"] > 0, plot
        assert plot["text"] > 3 and plot["outside"] == 0, plot
        assert not plot["cut"] and not plot["hidden"], plot
        assert 250 < plot["width"] <= width and plot["height"] > 150, plot
        assert abs(brightness(plot["ink"]) - brightness(paper)) > 0.5, plot
    assert (brightness(paper) > 0.5) == (theme == "light")


def test_a_point_shows_its_figures(browser: Any, page_file: pathlib.Path) -> None:
    with opened(browser, page_file, viewport={"width": 1280, "height": 800}) as page:
        point = page.locator("#sample-curves-1 .scatterlayer .point").first
        label = page.locator("#sample-curves-1 .hoverlayer .hovertext")
        deadline = time.monotonic() + PATIENCE / 1000
        for step in itertools.count():  # a busy page may miss a movement
            point.scroll_into_view_if_needed()
            box = point.bounding_box()
            page.mouse.move(box["x"] + box["width"] / 2 + step % 2, box["y"] + box["height"] / 2)
            page.wait_for_timeout(100)
            if label.count() or time.monotonic() > deadline:
                break
        shown = page.locator("#sample-curves-1 .hoverlayer").text_content()
    assert re.search(r"recall 0\.\d+, .* queries/s .*, (ef|.+ in thousandths) \d+", shown)


def test_a_change_of_theme_redraws(browser: Any, page_file: pathlib.Path) -> None:
    with opened(browser, page_file, color_scheme="light") as page:
        light = page.evaluate(MARKS)[0]["ink"]
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"({MARKS})()[0].ink !== '{light}'")


def series(x: Sequence[float | str], y: Sequence[float]) -> list[Series]:
    """Two, the second half as high."""
    halves = [value / 2 for value in y]
    return [Series(name, x, values, [""] * len(x)) for name, values in (("a", y), ("b", halves))]


def plots_to_the_end() -> list[Plot]:
    """Every kind of plot and axis, with ticks that stand on the end of an axis, or are wide and close to it."""
    plots = []
    for power, digit in itertools.product(range(-5, 7), (1, 1.4, 2, 5)):
        end = digit * 10.0**power
        most = 0.95 * end  # plotly leaves a twentieth of an axis free
        name = f"{digit * 10:g}-{power + 5}"
        bars = series(["concord", "hnswlib"], [most, most])
        plots.append(Plot(f"bars-{name}", name, "bars", "seconds", "", bars))
        points = series([most / 100, most], [most / 100, most])
        x_log, y_log = power % 2 == 1, power % 4 > 1
        logs = {"x_log": x_log, "y_log": y_log}
        plots.append(Plot(f"lines-{name}", name, "lines", "vectors", "seconds", points, **logs))
        wide = [(most / 100, "0"), (most, "2,000,000,000 vectors")]
        plots.append(Plot(f"wide-{name}", name, "lines", "threads", "", points, x_ticks=wide))
        columns = series([0.0, 1.0], [most, most / 100])
        plots.append(Plot(f"columns-{name}", name, "columns", "level", "", columns, y_log=y_log))
    for place, recalls in enumerate(([0.5, 0.9995], [0.9, 0.999], [0.9995, 1.0])):
        points = series([recall_place(recall) for recall in recalls], [2e6, 1e3])
        ticks = recall_ticks(recalls)
        plots.append(
            Plot(f"recall-{place}", "", "lines", "", "", points, y_log=True, x_ticks=ticks)
        )
    shares = series(["concord", "a long name, in two lines"], [100 / 1.5, 100 / 1.5])
    return [*plots, Plot("stacked", "", "stacked", "per cent", "", shares)]


@pytest.mark.parametrize("width", [1280, 360])
def test_ticks_on_the_end_of_an_axis_have_their_labels(
    browser: Any, tmp_path: pathlib.Path, width: int
) -> None:
    report = Page("")
    report.figures(plots_to_the_end())
    file = tmp_path / "page.html"
    file.write_text(report.html())
    with opened(browser, file, viewport={"width": width, "height": 800}) as page:
        plots = page.evaluate(MARKS)
    wrong = {p["key"]: (p["hidden"], p["cut"]) for p in plots if p["hidden"] or p["cut"]}
    assert not wrong
    past = {
        kind: [p["past"] for p in plots if p["key"].startswith(kind)] for kind in ("bars", "wide")
    }
    assert sum(reach > 12 for reach in past["bars"]) > 10, "ticks on the end are among them"
    assert min(past["wide"]) > 28, "as are labels wider than the margin that is always there"
