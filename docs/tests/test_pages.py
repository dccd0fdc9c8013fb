"""What the pages claim: examples run, and the digest and the example's output are what is printed here."""

from __future__ import annotations

import doctest
import os
import pathlib
import re
import subprocess
import sys

import pytest

DOCS = pathlib.Path(__file__).parent.parent
EXAMPLE = DOCS.parent / "examples" / "stdlib_search"


def run(*arguments: str | pathlib.Path, **variables: str) -> str:
    """The output of a Python program; on a busy machine OpenMP's threads would wait for one another."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    result = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_links_and_pictures_exist() -> None:
    pages = [*DOCS.glob("*.md"), *DOCS.glob("migration/*.md")]
    links = [
        (page, link) for page in pages for link in re.findall(r"\]\(([^):#]+)\)", page.read_text())
    ]
    assert len(links) > 5
    missing = [(page.name, link) for page, link in links if not (page.parent / link).exists()]
    assert not missing


def test_quick_start() -> None:
    result = doctest.testfile(str(DOCS / "quickstart.md"), module_relative=False)
    assert result.failed == 0 and result.attempted > 20


@pytest.mark.parametrize("variables", [{}, {"CONCORD_ISA": "scalar"}])
def test_the_digest_of_the_guarantees(variables: dict[str, str]) -> None:
    page = (DOCS / "guarantees.md").read_text()
    program = re.search(r'python -c "\n(.*?)"\n```', page, re.DOTALL)
    digest = re.search(r"prints the digest `([0-9a-f]{32})`", page)
    assert program and digest
    assert run("-c", program[1], **variables).split()[1] == digest[1]


def test_the_example_prints_what_the_page_shows(tmp_path: pathlib.Path) -> None:
    pictures = tmp_path / "pictures"
    assert run(EXAMPLE / "explore.py", pictures) == (EXAMPLE / "output.txt").read_text()
    drawn = sorted(path.name for path in pictures.iterdir())
    assert drawn == sorted(path.name for path in (EXAMPLE / "pictures").iterdir())
    assert all((pictures / name).stat().st_size > 5000 for name in drawn)
