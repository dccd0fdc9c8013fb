"""What is said in several places is said in the same words, and public headers use short sentences."""

from __future__ import annotations

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
HEADERS = sorted((ROOT / "common/include/concord").rglob("*.h*"))
MOST_WORDS = 30


def comments_of(source: str) -> list[str]:
    """The paragraphs of a header's comments, one string each."""
    paragraphs = [""]
    mark_before = ""
    for line in source.splitlines():
        found = re.match(r"(?P<code>.*?)(?P<mark>///<|///|//)(?P<text>.*)", line)
        if not found:
            paragraphs.append("")
            continue
        code, mark, text = found["code"].strip(), found["mark"], found["text"]
        if code or mark != mark_before or text.startswith("   ") or not text.strip():
            paragraphs.append("")  # beside a declaration, a line of a table, an empty line
        paragraphs[-1] += " " + text.strip()
        mark_before = mark
    return [paragraph for paragraph in paragraphs if paragraph.strip()]


def sentences_of(paragraph: str) -> list[str]:
    return re.split(r"(?<=[.?!])\s+(?=[A-Z`\"(])", paragraph)


@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.name)
def test_sentences_of_public_headers_are_short(header: pathlib.Path) -> None:
    paragraphs = comments_of(header.read_text())
    assert paragraphs
    long = [
        sentence
        for paragraph in paragraphs
        for sentence in sentences_of(paragraph)
        if len(sentence.split()) > MOST_WORDS
    ]
    assert not long


def test_long_sentences_are_found() -> None:
    words = " ".join(["word"] * MOST_WORDS)
    assert [
        len(text.split()) for text in comments_of(f"/// A {words}\n/// end.\nint x;  ///< x")
    ] == [
        MOST_WORDS + 2,
        1,
    ]
    assert sentences_of("It throws Error(io). See f().") == ["It throws Error(io).", "See f()."]


def test_the_invariants_have_one_wording() -> None:
    """ARCHITECTURE.md, and README.md where it lists them, quote the names in guarantees.md."""
    names = re.findall(r"^\d\. \*\*(.+?)\.\*\*", (ROOT / "docs/guarantees.md").read_text(), re.M)
    assert len(names) == 7
    table = (ROOT / "ARCHITECTURE.md").read_text()
    assert re.findall(r"^\| \d \| (.+?) \|", table, re.M) == names
    quoted = re.findall(r"^\d\. \*\*(.+?)\.\*\*", (ROOT / "README.md").read_text(), re.M)
    assert quoted in ([], names)


def test_decisions_have_one_form() -> None:
    page = (ROOT / "docs/decisions.md").read_text()
    entries = re.split(r"^### (?=.*\?$)", page, flags=re.M)[1:]
    assert len(entries) > 20
    for entry in entries:
        parts = re.findall(r"^- \*\*(\w+):\*\*", entry, re.M)
        assert parts == ["Choice", "Figures", "Command", "Commit"], entry.splitlines()[0]
