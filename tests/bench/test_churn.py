"""peers.churn: every library lives through the same rounds, and the report shows them."""

from __future__ import annotations

import json
import pathlib
import subprocess

import numpy as np
import pytest
from page import churn_part, documents, html_page
from peers import churn, living

ARGUMENTS = ["--data", "sample:2000", "--queries", "100", "--turnovers", "1", "--round", "0.1"]
ARGUMENTS += ["--points", "2", "--libraries", "concord", "hnswlib", "usearch"]


def test_a_population_replaces_what_lives_by_what_does_not() -> None:
    population = churn.Population(10, 6)
    for _ in range(20):
        before = set(population.living)
        old, new = population.replace(3)
        assert set(old) <= before and not set(new) & before
        assert set(population.living) == (before - set(old)) | set(new)
        assert set(population.living) | set(population.others) == set(range(10))


def test_recall_counts_living_vectors_alone() -> None:
    class Nearest(living.LivingConcord):
        efforts = (1,)

        def search(self, queries: churn.Floats, k: int, effort: int) -> churn.Labels:
            return np.tile(np.r_[5:15], (len(queries), 1))  # of which 10 to 14 are gone

    base = np.arange(20, dtype=np.float32)[:, None]
    library = Nearest.__new__(Nearest)
    alive = np.r_[0:10]
    queries = np.full((3, 1), 7, np.float32)
    assert churn.measure(library, base, queries, "l2sq", alive)[0]["recall"] == 0.5


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    out = tmp_path_factory.mktemp("churn") / "churn-peers.json"
    out.write_text(json.dumps(churn.run(churn.parse(ARGUMENTS), ARGUMENTS)))
    return out


def test_all_live_through_it(result: pathlib.Path) -> None:
    document = json.loads(result.read_text())
    assert [life["library"] for life in document["churn"]] == ["concord", "hnswlib", "usearch"]
    assert "IndexHNSW has no removal" in document["skipped"]["faiss HNSWFlat"]
    for life in document["churn"]:
        assert not life["failures"]
        assert [point["turnovers"] for point in life["points"]] == [0, 0.5, 1]
        assert all(point["size"] == 1000 for point in life["points"])
        assert all(point["search"][-1]["recall"] > 0.9 for point in life["points"])
    concord = document["churn"][0]["points"]
    assert [point["unreachable"] for point in concord] == [0, 0, 0]


def test_the_report_has_its_curves(
    result: pathlib.Path, bench: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    own = tmp_path / "churn.json"
    command = [
        "churn",
        "--synthetic",
        "2000,16",
        "--limit",
        "500",
        "--turnovers",
        "0.5",
        "--ef",
        "20,40",
    ]
    subprocess.run([bench, *command, "--json", own], check=True, capture_output=True)
    found = documents.read([result, own])
    assert len(found.churn) == 2 and not found.peers and not found.bench
    table = churn_part.table(found.churn)
    assert [row[1] for row in table.rows] == ["concord", "hnswlib", "usearch", "concord"]
    keys = [plot.key.split("-")[1] for plot in churn_part.plots(found.churn)]
    assert keys == ["recall", "lost", "recall"]
    assert "Vectors that are replaced" in html_page.compose(found).html()
