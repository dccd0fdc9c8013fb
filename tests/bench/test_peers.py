"""bench/peers: data sets are what they say, recall is counted right, and a run measures what it claims."""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import struct
import subprocess
from typing import Any

import numpy as np
import pytest
from peers import (
    data,
    graph,
    knn_graph,
    knn_stages,
    libraries,
    link_files,
    registry,
    suite,
    worker,
)
from peers.judge import Judge

SMALL = data.Mixture(2000, 24, intrinsic=3, clusters=5)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(data.SETS, "small", SMALL)


# ------------------------------------------------------------------------------------------- data


def test_a_name_is_the_same_bytes() -> None:
    for name in ("sample", "small", "small+sorted", "small+dup70+ood"):
        first, second = data.load(name, 1500, 50), data.load(name, 1500, 50)
        assert first.base.tobytes() == second.base.tobytes()
        assert first.queries.tobytes() == second.queries.tobytes()
        assert first.base.shape[0] == 1500 and len(first.queries) == 50


def test_a_limit_takes_the_first_rows() -> None:
    whole = data.load("small").base
    assert np.array_equal(data.load("small", 700).base, whole[:700])
    assert np.array_equal(data.load("small:600", 700).base, whole[:600])


def test_the_intrinsic_dimension() -> None:
    values = np.linalg.eigvalsh(np.cov(data.load("small").base, rowvar=False))[::-1]
    assert values[2] > 20 * values[3]
    assert values[3] < 0.02  # the noise, a tenth of a cluster's deviation


def test_sorted_is_the_same_rows_cluster_by_cluster() -> None:
    plain, ordered = data.load("small").base, data.load("small+sorted").base
    assert not np.array_equal(plain, ordered)
    assert np.array_equal(np.unique(plain, axis=0), np.unique(ordered, axis=0))

    def step(rows: data.Floats) -> float:
        return float(np.linalg.norm(np.diff(rows, axis=0), axis=1).mean())

    assert step(ordered) < 0.6 * step(plain)


def test_dup70_has_three_tenths_of_distinct_rows() -> None:
    plain, copies = data.load("small").base, data.load("small+dup70").base
    assert len(np.unique(copies, axis=0)) == 600 and len(copies) == 2000
    assert np.isin(copies[:, 0], plain[:, 0]).all()


def test_ood_queries_are_far_from_the_rows() -> None:
    inside, outside = data.load("small"), data.load("small+ood")
    assert np.array_equal(inside.base, outside.base)
    assert np.allclose(outside.queries.mean(0), inside.base.mean(0), atol=1.5)
    nearest = [Judge.of("l2sq", d.base, d.queries, 1).limits.mean() for d in (inside, outside)]
    assert nearest[1] > 1.4 * nearest[0]


def test_drift_is_the_same_rows_along_an_axis() -> None:
    plain, ordered = data.load("small").base, data.load("small+drift").base
    assert np.array_equal(np.unique(plain, axis=0), np.unique(ordered, axis=0))
    first, last = ordered[:200].mean(0), ordered[-200:].mean(0)
    assert np.linalg.norm(last - first) > 3 * np.linalg.norm(plain[:200].mean(0) - plain.mean(0))


def test_a_divisor_makes_floats_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not data.load("small:100").kept_as_bytes()
    assert not data.load("sample").kept_as_bytes(), "cosine normalises"
    base = np.arange(256, dtype=np.float32).reshape(32, 8)
    assert data.Data("", "l2sq", base, base).kept_as_bytes()
    assert data.Data("", "l2sq", base - 128, base).kept_as_bytes()
    assert not data.Data("", "l2sq", base - 127, base).kept_as_bytes()
    assert not data.Data("", "l2sq", base / 255, base).kept_as_bytes()
    plain, divided = data.load("small:100"), data.load("small/4:100")
    assert divided.base.dtype == np.float32
    assert np.array_equal(divided.base * 4, plain.base)
    assert np.array_equal(divided.queries * 4, plain.queries)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing",
        "small+",
        "small+upside-down",
        "small:0",
        "small:x",
        "small/0",
        "small/",
        "small/x",
    ],
)
def test_unknown_names_are_refused_by_name(name: str) -> None:
    with pytest.raises(
        ValueError, match=f"{re.escape(name)}: .*(unknown .*allowed are|at least 1)"
    ):
        data.load(name)


def test_concord_bench_reads_what_data_writes(bench: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rows = data.load("small", 300).base
    data.write_fbin(tmp_path / "rows.fbin", rows)
    out = tmp_path / "report.json"
    command = [bench, "build", "--dataset", tmp_path / "rows.fbin", "--json", out]
    subprocess.run(command, check=True, capture_output=True)
    report = json.loads(out.read_text())
    assert report["data"]["vectors"] == 300 and report["parameters"]["dimension"] == 24


# ------------------------------------------------------------------------------------------ recall


@pytest.mark.parametrize("metric", ["l2sq", "cosine"])
def test_recall_of_exact_wrong_and_doubled_answers(metric: str) -> None:
    own = np.random.default_rng(3)
    base = own.standard_normal((500, 8)).astype(np.float32)
    queries = own.standard_normal((40, 8)).astype(np.float32)
    judge = Judge.of(metric, base, queries, 5)
    far = ((queries[:, None].astype(float) - base[None]) ** 2).sum(-1)
    if metric == "cosine":
        far = 1 - (queries @ base.T) / (
            np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(base, axis=1)[None]
        )
    exact = np.argsort(far, axis=1)[:, :5]
    assert judge.recall(exact) == 1
    wrong = exact.copy()
    wrong[:, 4] = np.argsort(far, axis=1)[:, 5]
    assert judge.recall(wrong) == pytest.approx(0.8)
    wrong[:, 4] = exact[:, 0]
    assert judge.recall(wrong) == pytest.approx(0.8), "a label twice counts once"
    wrong[:, 4] = -1
    assert judge.recall(wrong) == pytest.approx(0.8)
    wrong[:, 4] = 500
    assert judge.recall(wrong) == pytest.approx(0.8), "no such row"


def test_any_of_equal_vectors_is_right() -> None:
    base = np.repeat(np.eye(4, dtype=np.float32), 10, axis=0)
    judge = Judge.of("l2sq", base, base[:1], 3)
    assert judge.recall(np.array([[7, 8, 9]])) == 1
    assert judge.recall(np.array([[7, 8, 10]])) == pytest.approx(2 / 3)


# ------------------------------------------------------------------------------------------- graph


def test_unreachable_nodes_of_random_graphs() -> None:
    own = np.random.default_rng(5)
    for _ in range(50):
        nodes = int(own.integers(2, 60))
        neighbors = own.integers(-1, nodes, size=(nodes, 2))
        upper = np.unique(np.append(own.integers(nodes, size=nodes // 4), 0))
        links = own.choice(upper, size=(len(upper), 1))
        reached = {0}
        for ids, rows in ((upper, links), (np.arange(nodes), neighbors)):
            here = {int(i): set(map(int, row)) - {-1} for i, row in zip(ids, rows, strict=True)}
            edge = [node for node in reached if node in here]
            while edge:
                edge = [
                    n for n in here[edge.pop()] - reached if n in here and not reached.add(n)
                ] + edge
        layers = [(upper, links), (np.arange(nodes), neighbors)]
        assert graph.unreachable(layers, [0], nodes) == nodes - len(reached)


def test_hnswlib_links_are_read_as_they_are(tmp_path: pathlib.Path) -> None:
    concord = pytest.importorskip("concord")
    pytest.importorskip("hnswlib")
    rows = data.load("small").base
    index = concord.Index(24, M=4, ef_construction=20, threads=1, device="cpu")
    index.add(rows)
    concord.save_hnswlib(index, tmp_path / "index")
    reader = libraries.Hnswlib(libraries.Parameters(24, "l2sq", 4, 20, 1))
    reader.load(tmp_path / "index")
    assert reader.unreachable() == 0
    copies = np.repeat(rows[:20], 100, axis=0)
    reader.build(copies)
    lost = reader.unreachable()
    assert 0 < lost < 2000, "hnswlib loses nodes among duplicates"
    found = reader.search(copies, 5, 2000)
    assert 2000 - len(np.unique(found)) >= lost, "what is unreachable is found by no search"


@pytest.mark.parametrize("library", [libraries.Usearch, libraries.Voyager])
def test_links_in_a_file_are_read_as_they_are(
    tmp_path: pathlib.Path, library: type[libraries.Library]
) -> None:
    pytest.importorskip(library.package)
    reader = library(libraries.Parameters(24, "l2sq", 4, 20, 1))
    read = getattr(link_files, f"unreachable_of_{library.package}")
    rows = data.load("small").base
    for some in (rows, np.repeat(rows[:20], 100, axis=0)):
        reader.build(some)
        lost = reader.unreachable()
        found = reader.search(some, 5, 2000)
        assert lost is not None and len(some) - len(np.unique(found)) >= lost
    assert lost > 0, "duplicates crowd one another out"
    reader.save(tmp_path / "index")
    content = (tmp_path / "index").read_bytes()
    for damaged in (content[:-4], content + bytes(4), b"VOYA\x02" + content[5:]):
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises((ValueError, struct.error, IndexError)):
            read(tmp_path / "damaged")


# ------------------------------------------------------------------------------- graphs of neighbors


def test_the_stages_of_a_graph_reach_the_goal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("concord")
    monkeypatch.setattr(knn_stages, "SETTINGS", [(6, 20, 400)])
    options = argparse.Namespace(data="small", threads=1)
    document = knn_stages.run(options, ["--data", "small", "--out", "/tmp/x.json"])
    assert document["command"] == "python -m peers.knn_stages --data small --out x.json"
    (row,) = document["knn_stages"]
    assert document["distinct"] == document["rows"] == 2000
    assert row["all"] == pytest.approx(row["build"] + row["tune"] + row["graph"])
    for reached in (row, row["tuned"], row["enough"]):
        assert knn_graph.GOAL <= reached["recall"] <= 1
    suite.put(document, None)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(document))


# ------------------------------------------------------------------------------------------- suite


@pytest.mark.parametrize("scale", [7.0, 40.0, 300.0])
def test_the_smallest_effort_for_a_target_is_found(scale: float) -> None:
    asked: list[int] = []

    def recall(effort: int, timed: bool) -> float:
        asked.append(effort)
        return float(1 - np.exp(-effort / scale))

    targets = worker.calibrate(libraries.EFS, recall, lambda effort: False)
    for target in worker.TARGETS:
        found, true = targets[str(target)], int(np.ceil(-scale * np.log(1 - target)))
        if true > libraries.EFS[-1]:
            assert found is None
        else:
            assert found is not None and recall(found, False) >= target
            assert found <= max(libraries.EFS[0], true + max(1, true // 25))
    assert len(asked) < 80


def test_a_sweep_ends_where_recall_stands_still() -> None:
    for best, last in ((0.98, 112), (0.999, 40)):
        asked: list[int] = []

        def recall(effort: int, timed: bool, best: float = best, asked: list[int] = asked) -> float:
            if timed:
                asked.append(effort)
            return float(best * (1 - np.exp(-effort / 5)))

        targets = worker.calibrate(libraries.EFS, recall, lambda effort: False)
        assert max(asked) <= last, asked
        assert (targets["0.99"] is None) == (best < 0.99)

    def slow_start(effort: int, timed: bool) -> float:
        return 0.5 + max(0, effort - 8) / 600

    assert worker.calibrate(libraries.EPSILONS, slow_start, lambda effort: False)["0.95"]


def test_libraries_that_cannot_run_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(libraries.Concord):
        name, module = "broken", "no_such_module_anywhere"

    monkeypatch.setitem(registry.KNOWN, "broken", Broken)
    usable, skipped = registry.usable(["broken"])
    assert not usable and "no_such_module_anywhere" in skipped["broken"]
    assert "only where named" in registry.usable(None)[1]["pynndescent"]
    assert registry.usable(None)[1].keys() >= registry.ON_REQUEST.keys()
    with pytest.raises(ValueError, match="unknown library nothing; known are concord"):
        registry.usable(["nothing"])


def test_a_job_that_fails_says_why(tmp_path: pathlib.Path) -> None:
    job = worker.Job("build", "concord", str(tmp_path / "absent"), "l2sq", 8, 20, 1)
    assert "absent" in suite.run_job(job, 600)["error"]


def test_a_folder_has_a_file_for_each_data_set_and_what_is_there_is_kept(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    arguments = ["--data", "small:500", "small+sorted:400", "--queries", "20", "--threads", "1"]
    arguments += ["--libraries", "concord", "--builds", "1", "--rounds", "1", "--out", str(out)]
    arguments += ["--minimum-seconds", "0.01"]
    monkeypatch.setattr("sys.argv", ["peers", *arguments])
    assert suite.main() == 0
    names = ["peers-small-500.json", "peers-small-sorted-400.json"]
    assert sorted(path.name for path in out.iterdir()) == names
    documents = [json.loads((out / name).read_text()) for name in names]
    assert [list(d["data"]) for d in documents] == [["small:500"], ["small+sorted:400"]]
    assert [r["failures"] for d in documents for r in d["results"]] == [[], []]
    (out / names[0]).write_text("measured before")
    (out / names[1]).unlink()
    assert suite.main() == 0
    assert (out / names[0]).read_text() == "measured before"
    assert json.loads((out / names[1]).read_text())["data"] == documents[1]["data"]
    assert f"kept what {names[0]} says" in capsys.readouterr().out


class Whole(data.Mixture):
    """Rows of whole numbers."""

    def draw(self, rows: int, part: int) -> data.Floats:
        return np.clip(np.rint(10 * super().draw(rows, part)), -128, 127)


@pytest.mark.parametrize(("name", "codes"), [("whole:400", False), ("whole/200:400", True)])
def test_codes_are_measured_where_the_data_are_floats(
    name: str, codes: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(data.SETS, "whole", Whole(2000, 24, intrinsic=3, clusters=5))
    arguments = ["--data", name, "--queries", "20", "--threads", "1", "--k", "100", "--rounds", "1"]
    arguments += ["--builds", "1", "--minimum-seconds", "0.01", "--clock", "processor"]
    arguments += ["--libraries", "concord", "concord sq8", "--out", str(tmp_path / "results")]
    monkeypatch.setattr("sys.argv", ["peers", *arguments])
    assert suite.main() == 0
    (file,) = (tmp_path / "results").iterdir()
    assert file.name == f"{suite.file_of(name)[:-5]}-k100.json"
    document = json.loads(file.read_text())
    assert document["parameters"]["k"] == 100 and document["parameters"]["clock"] == "processor"
    assert list(by_library(document)) == ["concord", "concord sq8"][: 1 + codes]
    for result in document["results"]:
        assert result["failures"] == []
        build = result["builds"]["1"]
        assert build["seconds"] == pytest.approx(build["cpu_seconds"], rel=0.05, abs=0.01)
        assert max(point["recall"] for point in result["search"]["1"]) > 0.95


def by_library(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {result["library"]: result for result in document["results"]}


def test_a_run_has_every_figure(peers_result: pathlib.Path) -> None:
    document = json.loads(peers_result.read_text())
    results = by_library(document)
    assert set(results) == {"concord", "hnswlib"}
    for result in results.values():
        assert result["failures"] == []
        assert (
            len(result["builds"]["2"]["seconds"]) == 2
            and len(result["builds"]["1"]["seconds"]) == 1
        )
        assert all(build["cpu_seconds"][0] > 0 for build in result["builds"].values())
        assert result["index"]["file_bytes"] > 2000 * 100  # not less than a byte for each element
        assert len(result["first_answer_seconds"]) == 4
        for threads in ("1", "2"):
            points = result["search"][threads]
            assert all(len(point["qps"]) == 2 and min(point["qps"]) > 0 for point in points)
            recalls = [point["recall"] for point in sorted(points, key=lambda p: p["effort"])]
            assert recalls[-1] > 0.98 and recalls[-1] >= recalls[0]
            for target, effort in result["targets"].items():
                point = next(p for p in points if p["effort"] == effort)
                assert point["recall"] >= float(target)
    assert document["libraries"]["hnswlib"]["version"] == "0.8.0"
    assert document["machine"]["cores"] > 0
    assert document["command"].startswith("bench/peers/run.sh --quick")
    assert " --out peers.json" in document["command"], "no folders of this machine"


def test_concord_is_deterministic_and_whole(peers_result: pathlib.Path) -> None:
    index = by_library(json.loads(peers_result.read_text()))["concord"]["index"]
    assert (
        index["same_bytes"] is True and index["same_answers"] is True and index["unreachable"] == 0
    )
