"""The report in a real browser: every plot is drawn, at a desk and on a phone, by day and by night."""

from __future__ import annotations

import itertools
import os
import pathlib
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import sync_playwright
from report import command

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = sorted((ROOT / "bench/results").glob("2026-11-22-epyc-2-cores/*.json"))
RESULTS += (ROOT / "bench/results").glob("2026-11-23-epyc-2-cores/serve-mix-*.json")
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

PATIENCE = 300_000  # ms, for a busy machine

# Of each plot: how many marks it has that have an extent, how many of them stand out of it, and which words do.
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
    cut: text.filter(t => {
      const b = t.getBoundingClientRect();
      return b.right > box.right + 1 || b.left < box.left - 1 || b.bottom > box.bottom + 1;
    }).map(t => t.textContent),
    outside: drawn.filter(b => b.right > box.right + 12 || b.left < box.left - 12).length,
  };
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    assert CHROMIUM, "no Chromium here: docker/install-deps.sh --browser"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory, peers_result: pathlib.Path) -> pathlib.Path:
    out = tmp_path_factory.mktemp("page") / "page.html"
    command.run([str(peers_result), *map(str, RESULTS), "--out", str(out)])
    return out


def brightness(color: str) -> float:
    """Of rgb(r, g, b), 0 to 1."""
    parts = color[color.index("(") + 1 : color.index(")")].split(",")[:3]
    return sum(float(part) for part in parts) / (3 * 255)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
def test_every_plot_is_drawn(browser: Any, page_file: pathlib.Path, width: int, theme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=theme)
    page.set_default_timeout(PATIENCE)
    errors: list[str] = []
    requests: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-drawn=yes]")
    plots = page.evaluate(MARKS)
    folder = pathlib.Path(os.environ.get("CONCORD_SCREENSHOTS", page_file.parent))
    page.screenshot(path=folder / f"report-{width}-{theme}.png", full_page=True)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.close()

    assert not errors
    assert [url for url in requests if url.startswith("http")] == [], (
        "the page needs nothing from a network"
    )
    assert wide == width, "only tables may be wider than the page, in a frame of their own"
    assert len(plots) > 10
    for plot in plots:
        assert plot["drawn"] >= plot["traces"] > 0, plot
        assert plot["text"] > 3 and plot["outside"] == 0 and not plot["cut"], plot
        assert 250 < plot["width"] <= width and plot["height"] > 150, plot
        assert abs(brightness(plot["ink"]) - brightness(paper)) > 0.5, plot
    assert (brightness(paper) > 0.5) == (theme == "light")


def test_a_point_shows_its_figures(browser: Any, page_file: pathlib.Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(PATIENCE)
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-drawn=yes]")
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
    page.close()
    assert re.search(r"recall 0\.\d+, .* queries/s .*, (ef|.+ in thousandths) \d+", shown)


def test_a_change_of_theme_redraws(browser: Any, page_file: pathlib.Path) -> None:
    page = browser.new_page(color_scheme="light")
    page.set_default_timeout(PATIENCE)
    page.goto(page_file.as_uri())
    page.wait_for_selector("html[data-drawn=yes]")
    light = page.evaluate(MARKS)[0]["ink"]
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"({MARKS})()[0].ink !== '{light}'")
    page.close()
