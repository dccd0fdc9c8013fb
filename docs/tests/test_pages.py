"""What the pages claim: examples run, and the digest and the example's output are what is printed here."""

from __future__ import annotations

import doctest
import os
import pathlib
import re
import subprocess
import sys

import pytest
from test_wording import MOST_WORDS, sentences_of

DOCS = pathlib.Path(__file__).parent.parent
ROOT = DOCS.parent
EXAMPLE = ROOT / "examples" / "stdlib_search"
PACKAGES = ROOT / "examples" / "package_search"


def run(*arguments: str | pathlib.Path, **variables: str) -> str:
    """The output of a Python program; on a busy machine OpenMP's threads would wait for one another."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    result = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def text_of(page: pathlib.Path) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors_of(page: pathlib.Path) -> set[str]:
    """What ``#...`` may name on a page: its headings, as GitHub and MyST write them."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(page: pathlib.Path) -> list[tuple[pathlib.Path, str]]:
    """Where a page leads within the repository: files, with what stands behind ``#``."""
    text = text_of(page)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    parts = [link.partition("#") for link in links if not re.match(r"https?://|mailto:", link)]
    return [(page.parent / file if file else page, anchor) for file, _, anchor in parts]


ROOT_PAGES = [
    ROOT / name
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
]
PAGES = [
    *ROOT_PAGES,
    ROOT / "python" / "README.md",
    PACKAGES / "README.md",
    *sorted(DOCS.rglob("*.md")),
]


def test_pages_have_links() -> None:
    assert sum(len(links_of(page)) for page in PAGES) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_pictures_exist(page: pathlib.Path) -> None:
    missing = [
        f"{file}#{anchor}"
        for file, anchor in links_of(page)
        if not file.exists() or (anchor and anchor not in anchors_of(file))
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_sentences_are_short(page: pathlib.Path) -> None:
    text = re.sub(
        r"<!-- (un)?measured.*?<!-- /(un)?measured -->", "", text_of(page), flags=re.DOTALL
    )
    text = re.sub(r"^ *\|.*$", "", text, flags=re.MULTILINE)  # tables
    text = re.sub(r"\]\([^)]*\)|[\[\]*_]", "", text)  # emphasis, and where links lead
    text = re.sub(r"`[^`]+`", "`code`", text)  # one word
    long = [
        sentence
        for paragraph in re.split(r"\n\s*\n|\n(?= *(?:[-#*]+ |\d\. ))", text)
        for sentence in sentences_of(" ".join(paragraph.split()))
        if len(re.findall(r"\S*\w\S*", sentence)) > MOST_WORDS  # no operators
    ]
    assert not long


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 160


def blocks_of(page: str, language: str) -> list[str]:
    """The code blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.DOTALL | re.M)


@pytest.mark.parametrize("variables", [{}, {"CONCORD_ISA": "scalar"}])
def test_the_program_of_the_first_page(variables: dict[str, str]) -> None:
    (program,), (shown,) = blocks_of("index.md", "python"), blocks_of("index.md", "text")
    assert run("-c", program, **variables) == shown


def test_the_program_of_the_gpu_page_runs_without_one() -> None:
    (program,) = blocks_of("gpu.md", "python")
    built, name, reason = run("-c", program, CUDA_VISIBLE_DEVICES="").split(maxsplit=2)
    assert built in ("True", "False") and name == "cpu" and reason.strip()


def test_the_tests_that_the_questions_name_are_there() -> None:
    page = (DOCS / "faq.md").read_text()
    names = re.findall(r"`((?:\w+/)*tests/[\w/.]+)`", page)
    assert len(names) > 5 and all((ROOT / name).is_file() for name in names)
    answers = re.split(r"^### (.+\?)$", page, flags=re.M)[2::2]
    assert len(answers) > 20
    for answer in answers:
        assert "{doc}`" in answer or "`tests/" in answer, answer


@pytest.mark.parametrize(
    ("page", "least"), [("quickstart.md", 20), ("store.md", 12), ("knn_graphs.md", 7)]
)
def test_examples_of_a_page(page: str, least: int) -> None:
    result = doctest.testfile(str(DOCS / page), module_relative=False)
    assert result.failed == 0 and result.attempted > least


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


@pytest.mark.parametrize("variables", [{}, {"CONCORD_ISA": "scalar"}])
def test_the_search_over_packages_prints_its_output(
    variables: dict[str, str], tmp_path: pathlib.Path
) -> None:
    """With or without UMAP, whose map goes to a folder of the test."""
    shown = run(PACKAGES / "search.py", PICTURES=str(tmp_path), **variables)
    assert shown == (PACKAGES / "output.txt").read_text()


def test_the_notebook_is_the_program_and_its_output() -> None:
    run(PACKAGES / "make_notebook.py", "--check")


@pytest.mark.parametrize("changed", ["search.py", "output.txt"])
def test_a_change_beside_the_notebook_is_found(changed: str, tmp_path: pathlib.Path) -> None:
    names = ["make_notebook.py", "search.py", "output.txt", "package_search.ipynb"]
    for name in names:
        text = (PACKAGES / name).read_text()
        (tmp_path / name).write_text(text + "print()\n" * (name == changed))
    with pytest.raises(AssertionError, match=changed):
        run(tmp_path / "make_notebook.py", "--check")
