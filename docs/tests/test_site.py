"""Every page in a real browser, at a desk and on a phone, by day and by night.

Nothing is wider than the page, every picture is there, and every text stands out from what is behind it (WCAG
AA, by axe-core). Screenshots go to ``CONCORD_SCREENSHOTS``, for people to look at.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import tomllib
from axe_playwright_python.base import AXE_SCRIPT
from browser import PATIENCE

ROOT = pathlib.Path(__file__).resolve().parents[2]
SITE = pathlib.Path(os.environ["CONCORD_SITE"])
PAGES = sorted(str(path.relative_to(SITE)) for path in SITE.rglob("*.html"))
WIDTHS, THEMES = (1280, 360), ("light", "dark")

# Pictures that are shown, and whether each has come; what reaches past the right end of the page.
SHOWN = """() => {
  const seen = [...document.images].filter(i => i.checkVisibility());
  const end = document.documentElement.clientWidth;
  const framed = e => {
    for (e = e.parentElement; e; e = e.parentElement)
      if (getComputedStyle(e).overflowX !== 'visible') return true;
    return false;
  };
  const wide = [...document.querySelectorAll('article *')]
    .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > end + 1 && !framed(e));
  return {
    pictures: seen.map(i => i.getAttribute('src')),
    missing: seen.filter(i => !i.complete || !i.naturalWidth).map(i => i.getAttribute('src')),
    wide: wide.map(e => e.tagName + ' ' + e.className),
    width: document.documentElement.scrollWidth,
  };
}"""
# What axe says of one element for each look that text has on the page: color and size, and what is behind it.
CONTRAST = """async () => {
  const looks = new Map();
  for (const element of document.querySelectorAll('body *')) {
    const has_text = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!has_text || !element.checkVisibility()) continue;
    const look = getComputedStyle(element), behind = [];
    for (let e = element; e; e = e.parentElement) behind.push(getComputedStyle(e).backgroundColor);
    const key = [look.color, look.fontSize, look.fontWeight, ...new Set(behind)].join();
    if (!looks.has(key)) looks.set(key, element);
  }
  const options = {runOnly: ['color-contrast'], elementRef: false};
  const found = await axe.run({include: [...looks.values()]}, options);
  return {
    wrong: found.violations.flatMap(v => v.nodes.map(n => n.html.slice(0, 120) + n.failureSummary)),
    right: found.passes.flatMap(v => v.nodes).length,
  };
}"""


@contextlib.contextmanager
def opened(browser: Any, url: str, width: int) -> Iterator[tuple[Any, list[str]]]:
    """A page with axe, and what goes wrong in it."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text))
    page.on("response", lambda got: wrong.append(got.url) if got.status >= 400 else None)
    page.goto(url)
    page.evaluate(AXE_SCRIPT)
    yield page, wrong
    context.close()


def faults_of(page: Any, width: int) -> tuple[list[str], list[str]]:
    """What is wrong with what a page shows, and the pictures that it shows."""
    found, read = page.evaluate(SHOWN), page.evaluate(CONTRAST)
    faults = [f"missing: {picture}" for picture in found["missing"]]
    faults += [f"too wide: {element}" for element in found["wide"]]
    faults += [f"contrast: {text}" for text in read["wrong"]]
    if found["width"] > width:
        faults.append(f"{found['width']} pixels wide")
    if not read["right"]:
        faults.append("axe found no text")
    return faults, found["pictures"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page(browser: Any, address: str, name: str, tmp_path: pathlib.Path) -> None:
    folder = pathlib.Path(os.environ.get("CONCORD_SCREENSHOTS", tmp_path))
    faults: dict[str, list[str]] = {}
    for width in WIDTHS:
        with opened(browser, f"{address}/{name}", width) as (page, wrong):
            for theme, other in zip(THEMES, reversed(THEMES), strict=True):
                page.emulate_media(color_scheme=theme)
                where = f"{name.removesuffix('.html').replace('/', '-')}-{width}-{theme}"
                page.screenshot(path=folder / f"{where}.png", full_page=True)
                faults[where], pictures = faults_of(page, width)
                faults[where] += [
                    f"of the {other} theme: {p}" for p in pictures if f"-{other}." in p
                ]
        faults[f"{width}"] = wrong
    assert not {where: found for where, found in faults.items() if found}


def test_faults_are_found(browser: Any, address: str, site: pathlib.Path) -> None:
    page = site / "faults.htm"
    page.write_text(
        "<body style='background: white'><article><p style='color: #999'>Grey on white</p>"
        "<p style='width: 2000px'>Wide</p><img src='none.svg' alt='none'></article></body>"
    )
    try:
        with opened(browser, f"{address}/{page.name}", 1280) as (shown, wrong):
            faults, _ = faults_of(shown, 1280)
    finally:
        page.unlink()
    kinds = ("missing: none.svg", "too wide: P", 'contrast: <p style="color: #999"', "20")
    assert all(any(fault.startswith(kind) for fault in faults) for kind in kinds), faults
    assert any("none.svg" in problem for problem in wrong)


def test_the_copy_button_takes_the_program_alone(browser: Any, address: str) -> None:
    """Neither prompts nor what is printed."""
    with opened(browser, f"{address}/quickstart.html", 1280) as (page, wrong):
        block = page.locator("div.highlight", has_text="index.add(vectors)").first
        block.hover()
        block.locator("button.copybtn").click()
        copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("import concord\nimport numpy as np\nvectors = ")
    assert ">>>" not in copied and "2000" not in copied.splitlines()
    assert not wrong
    compile(copied, "quickstart", "exec")


def test_pages_are_found_by_name(browser: Any, address: str) -> None:
    names = (
        "Benchmarks",
        "Limits",
        "Filtering",
        "Removal",
        "Compact storage",
        "GPU",
        "Scale-out",
        "FAQ",
    )
    with opened(browser, address, 1280) as (page, _):
        links = page.locator(".sidebar-tree a").all_text_contents()
        captions = page.locator(".sidebar-tree .caption-text").all_text_contents()
    assert set(names) <= {link.strip() for link in links}
    assert captions[-1] == "Internals"


def test_the_repository_is_linked_if_it_has_an_address(site: pathlib.Path) -> None:
    """The package says where it is; the link stands on every page."""
    package = tomllib.loads((ROOT / "python" / "pyproject.toml").read_text())["project"]
    repository = package.get("urls", {}).get("Repository")
    for name in PAGES:
        links = re.findall(r'href="([^"]*)">Repository</a>', (site / name).read_text())
        assert links == ([repository] if repository else []), name
