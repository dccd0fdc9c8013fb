"""peers.filtered: every library searches the same parts, what falls short is told, and the page shows it."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pytest
from page import documents, filtered_part, html_page, quote
from peers import data, filtered, native, ranges
from peers.libraries import Parameters

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


SCAN = """
#include <algorithm>
#include <stdexcept>
#include <vector>
#include "peer.hpp"
struct Scan final : Peer {
  std::vector<float> rows;
  PeerForm form;
  Scan(const float* from, const PeerForm& of) : rows(from, from + of.rows * of.dimension), form(of) {}
  void search(const float* query, std::size_t k, std::size_t ef, const std::uint8_t* mask, double share,
              std::int64_t* labels) override {
    if (ef == 13) throw std::runtime_error("no such luck: " + std::to_string(share));
    std::vector<std::pair<float, std::int64_t>> found;
    for (std::size_t r = 0; r < form.rows; ++r) {
      if (mask[r] == 0) continue;
      float d = 0;
      for (std::size_t e = 0; e < form.dimension; ++e) {
        const float x = rows[r * form.dimension + e];
        d += form.is_l2 ? (x - query[e]) * (x - query[e]) : -x * query[e];
      }
      found.push_back({d, r});
    }
    std::sort(found.begin(), found.end());
    for (std::size_t j = 0; j < std::min(k, found.size()); ++j) labels[j] = found[j].second;
  }
};
std::unique_ptr<Peer> make_peer(const float* rows, const PeerForm& form) {
  if (form.M == 0) throw std::runtime_error("M is 0");
  return std::make_unique<Scan>(rows, form);
}
"""


def scan_of(source: pathlib.Path, *more: str) -> type[native.Native]:
    class Scan(native.Native):
        """Compares with all rows."""

        name, package = "scan (C++)", "scan"

        @classmethod
        def flags(cls) -> list[str]:
            return ["-I", str(native.SOURCES), *more]

    Scan.source = str(source)
    return Scan


@pytest.mark.parametrize("metric", ["l2sq", "cosine"])
def test_a_library_in_cpp_is_compiled_and_judged(
    metric: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "HEADERS", tmp_path)
    source = tmp_path / "scan.cpp"
    source.write_text(SCAN)
    library = scan_of(source)
    assert library.problem() is None
    random = np.random.default_rng(1)
    base, queries = (random.normal(size=(n, 8)).astype(np.float32) for n in (300, 20))
    loaded = data.Data("", metric, base, queries)
    part = filtered.Part("some", [random.random(300) < 0.5, np.arange(300) < 4], np.arange(20) % 2)
    peer = library(Parameters(8, metric, 16, 100, 1))
    peer.build(base)
    (point,) = filtered.measure(peer, loaded, part, 1)
    assert (point["recall"], point["short"], point["queries"]) == (1, 0, 20)
    with pytest.raises(RuntimeError, match="no such luck: 0.01"):
        peer.among(queries, 10, 13, peer.make_filter(np.arange(300) < 4))
    with pytest.raises(RuntimeError, match="M is 0"):
        library(Parameters(8, metric, 0, 100, 1)).build(base)


def test_a_library_in_cpp_that_cannot_be_had_is_named(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "HEADERS", tmp_path)
    assert "headers.sh" in str(native.NativeHnswlib.problem())
    source = tmp_path / "wrong.cpp"
    source.write_text("#error nothing here")
    assert "does not compile" in str(scan_of(source).problem())


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


def test_a_range_is_judged_pair_by_pair() -> None:
    base = np.arange(20, dtype=np.float32)[:, None]
    loaded = data.Data("", "l2sq", base, np.array([[0.0], [10.0]], np.float32))
    asked = ranges.Range.of(loaded, 4)
    assert asked.radius == pytest.approx((9 + 4) / 2)
    assert [int(inside.sum()) for inside in asked.inside] == [3, 5]

    class Finds:
        """One too few for the first query, one too many for the other."""

        def build(self, vectors: object) -> None:
            pass

        def within(self, query: np.ndarray, radius: float, ef: int) -> np.ndarray:
            return np.array([0, 1] if query[0] == 0 else [8, 9, 10, 11, 12, 13])

    point = ranges.measure(Finds(), loaded, asked, 64)
    assert (point["found"], point["complete"], point["beyond"]) == (7 / 8, 0.5, 1)


def test_libraries_find_what_is_within_a_radius() -> None:
    arguments = ["--data", "sample:2000", "--queries", "30", "--ranks", "1", "30", "--ef", "512"]
    document = ranges.run(
        ranges.parse([*arguments, "--libraries", "concord", "faiss HNSWFlat"]), []
    )
    found = {x["library"]: x["points"] for x in document["ranges"]}
    assert all(p["found"] > 0.95 and p["beyond"] == 0 for p in found["concord"])
    assert "faiss HNSWFlat" in found or "faiss HNSWFlat" in document["skipped"]
    assert "radius" in document["skipped"]["usearch"]
