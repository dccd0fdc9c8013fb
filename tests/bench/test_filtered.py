"""peers.filtered: every library searches the same parts, what falls short is told, and the page shows it."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
from page import documents, filtered_part, html_page, quote
from peers import data, filtered

ARGUMENTS = [
    "--data",
    "sample:2000",
    "--queries",
    "60",
    "--shares",
    "0.5",
    "0.002",
    "--rounds",
    "1",
]
ARGUMENTS += ["--libraries", "concord", "hnswlib"]


def test_what_does_not_match_or_is_missing_is_not_right() -> None:
    base = np.arange(20, dtype=np.float32)[:, None]
    queries = np.array([[0.0], [10.0]], np.float32)
    mask = np.arange(20) % 2 == 1
    part = filtered.Part("odd", [mask, mask & (np.arange(20) < 3)], np.array([0, 1]))
    referee = filtered.Referee(data.Data("", "l2sq", base, queries), part)
    odd = np.arange(1, 21, 2)[None]
    assert referee.verdict([odd, np.r_[1, [-1] * 9][None]]) == {
        "recall": 1.0,
        "short": 0,
        "queries": 2,
    }
    wrong = np.where(odd > 9, odd - 1, odd)  # five that do not match
    assert referee.verdict([wrong, np.full((1, 10), -1)]) == {
        "recall": 0.25,
        "short": 2,
        "queries": 2,
    }


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    out = tmp_path_factory.mktemp("filtered") / "filter-peers.json"
    out.write_text(json.dumps(filtered.run(filtered.parse(ARGUMENTS), ARGUMENTS)))
    return out


def test_all_search_the_same_parts(result: pathlib.Path) -> None:
    document = json.loads(result.read_text())
    found = {x["library"]: x for x in document["filtered"]}
    assert list(found) == ["concord", "hnswlib"]
    for library in found.values():
        assert not library["failures"]
        assert [part["part"] for part in library["parts"]] == [
            "random 0.5",
            "random 0.002",
            "cluster 0.5",
            "cluster 0.002",
        ]
    for mine, theirs in zip(found["concord"]["parts"], found["hnswlib"]["parts"], strict=True):
        assert mine["matches"] == theirs["matches"]
        assert mine["points"][-1]["short"] == 0 and mine["points"][-1]["recall"] >= 0.95
    assert "no filter" in document["skipped"]["usearch"]


def test_the_page_has_its_table(result: pathlib.Path) -> None:
    found = documents.read([result])
    assert len(found.filtered) == 1 and not found.peers and not found.churn
    table = filtered_part.table(found.filtered)
    assert len(table.rows) == 4 and all(len(row) == len(table.header) for row in table.rows)
    assert any("short" in cell and cell.startswith("**") for row in table.rows for cell in row)
    assert quote.filtered(found) == table.markdown()
    assert "A part of the vectors" in html_page.compose(found).html()
