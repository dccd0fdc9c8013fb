"""Index.tune, presets, search(recall=…) and Index.explain."""

from __future__ import annotations

import copy
import math
import os
import pickle
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Floats, make_vectors

import concord

SIZE = 5000


@pytest.fixture(scope="module")
def vectors() -> Floats:
    return make_vectors(SIZE + 300, 8)


@pytest.fixture
def tuned(vectors: Floats) -> concord.Index:
    index = concord.Index(dim=8, M=6, ef_construction=60, threads=2)
    index.add(vectors[:SIZE])
    index.tune(recall=0.9, sample=500)
    return index


def test_search_uses_the_preset(tuned: concord.Index, vectors: Floats) -> None:
    (preset,) = tuned.presets()
    assert (preset.recall, preset.k, preset.queries, preset.size) == (0.9, 10, 500, SIZE)
    assert preset.at_least >= 0.9
    queries = vectors[SIZE:]
    by_recall = tuned.search(queries, k=10, recall=0.9)
    by_hand = tuned.search(queries, k=10, ef=preset.ef, slack=preset.slack)
    np.testing.assert_array_equal(by_recall[0], by_hand[0])
    truth = tuned.exact_search(queries, k=10)[0]
    found = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(by_recall[0], truth, strict=True)])
    assert found >= 0.875  # of 300 queries, whose mean is not sharper
    among = tuned.filter(slice(0, 1000))
    assert (tuned.search(queries, k=10, recall=0.9, filter=among)[0] < 1000).all()
    assert "ef" in str(preset)


def test_given_queries(tuned: concord.Index, vectors: Floats) -> None:
    queries = vectors[SIZE:].astype(np.float64)
    preset = tuned.tune(0.9, 5, queries)
    assert (preset.k, preset.queries) == (5, 300)
    truth = tuned.exact_search(queries, k=5)[0]
    found = tuned.search(queries, k=5, recall=0.9)[0]
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, truth, strict=True))
    assert hits == round(preset.measured * 5 * 300)
    assert tuned.tune(0.9, 5, queries.tolist()) == preset


def test_without_a_preset(tuned: concord.Index, vectors: Floats) -> None:
    with pytest.raises(concord.UnknownPresetError, match=r"tune\(\)"):
        tuned.search(vectors[0], recall=0.95)
    with pytest.raises(KeyError):
        tuned.search(vectors[0], k=3, recall=0.9)
    with pytest.raises(concord.InvalidParameterError, match="recall is 2"):
        tuned.search(vectors[0], recall=2)
    with pytest.raises(concord.InvalidParameterError, match="decides ef and slack"):
        tuned.search(vectors[0], ef=100, recall=0.9)
    with pytest.raises(concord.InvalidParameterError, match="decides ef and slack"):
        tuned.search(vectors[0], slack=0.1, recall=0.9)
    assert tuned.search(vectors[0], recall=0.85)[0][0] == 0  # the preset of 0.9 serves


def test_stale(tuned: concord.Index, vectors: Floats) -> None:
    tuned.update(vectors[: SIZE // 2], labels=range(SIZE // 2))  # as many changes as vectors
    assert tuned.search(vectors[0], recall=0.9)[0].shape == (10,)
    tuned.remove([SIZE - 1])
    with pytest.raises(concord.UnknownPresetError, match="changed too much"):
        tuned.search(vectors[0], recall=0.9)


def test_refused(tuned: concord.Index, vectors: Floats) -> None:
    before = tuned.presets()
    for recall in (0, 1, -0.1, math.nan, "0.9"):
        with pytest.raises(concord.InvalidParameterError, match="recall is"):
            tuned.tune(recall)  # type: ignore[arg-type]
    with pytest.raises(concord.InvalidParameterError, match="sample of 50 queries"):
        tuned.tune(0.99, sample=50)
    with pytest.raises(concord.InvalidParameterError, match="k is 0"):
        tuned.tune(k=0)
    with pytest.raises(TypeError):
        tuned.tune(k=1.5)  # type: ignore[arg-type]
    with pytest.raises(concord.DimensionMismatchError):
        tuned.tune(queries=np.zeros((400, 7), np.float32))
    with pytest.raises(concord.InvalidParameterError, match="empty"):
        concord.Index(dim=8).tune()
    with pytest.raises(concord.InvalidParameterError, match="ef of 1 to 65536"):
        tuned.remember(replace(before[0], ef=0))
    assert tuned.presets() == before


def test_presets_stay_beside_the_index(tuned: concord.Index, tmp_path: Path) -> None:
    presets = tuned.presets()
    path = tmp_path / "it.concord"
    digest, content = tuned.digest(), tuned.to_bytes()
    tuned.save(path)
    assert path.read_bytes() == content
    assert sorted(os.listdir(tmp_path)) == ["it.concord", "it.concord.presets"]
    assert concord.load(path).presets() == presets
    mapped = concord.Index.map(path)
    assert mapped.presets() == presets
    assert mapped.tune(0.9, sample=500) == presets[0]
    for twin in (pickle.loads(pickle.dumps(tuned)), copy.copy(tuned), copy.deepcopy(tuned)):
        assert (twin.presets(), twin.digest()) == (presets, digest)
    from_bytes = concord.Index.from_bytes(content)
    assert from_bytes.presets() == []
    from_bytes.remember(presets[0])
    from_bytes.save(path)
    assert concord.load(path).presets() == presets
    concord.Index.from_bytes(content).save(path)
    assert sorted(os.listdir(tmp_path)) == ["it.concord"]
    (tmp_path / "it.concord.presets").write_text("concord presets 1\n")
    with pytest.raises(concord.CorruptFileError, match="may be deleted"):
        concord.load(path)


def test_durable(vectors: Floats, tmp_path: Path) -> None:
    path = tmp_path / "durable.concord"
    index = concord.Index.open(path, dim=8)
    index.add(vectors[:3000])
    preset = index.tune(0.9, sample=300)
    del index
    assert concord.Index.open(path).presets() == [preset]


def test_beside_threads(tuned: concord.Index, vectors: Floats) -> None:
    failures: list[BaseException] = []

    def run(work: int) -> None:
        try:
            for i in range(3):
                if work == 0:
                    tuned.add(vectors[SIZE + 50 * i : SIZE + 50 * i + 50])
                elif work == 1:
                    assert tuned.tune(0.8, sample=100).at_least >= 0.8
                else:
                    assert tuned.explain(vectors[i], i).rank == 1
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_every_miss_is_explained(tuned: concord.Index, vectors: Floats) -> None:
    queries = vectors[SIZE:]
    truth = tuned.exact_search(queries, k=10)
    found = tuned.search(queries, k=10, ef=10)[0]
    misses = 0
    for q, query in enumerate(queries):
        for rank, label in enumerate(truth[0][q], start=1):
            if label in found[q]:
                continue
            misses += 1
            why = tuned.explain(query, label)
            assert (why.label, why.rank, why.k) == (label, rank, 10)
            assert why.distance == truth[1][q][rank - 1]
            assert why.reason in ("descent", "links")
            assert why.ef is not None and why.ef > 10
            assert why.parent in tuned
            assert label in tuned.search(query, k=10, ef=why.ef)[0]
            assert label not in tuned.search(query, k=10, ef=why.ef - 1)[0]
            assert label in tuned.search(query, k=10, ef=65536, slack=why.slack)[0]
            assert f"from ef = {why.ef} on" in str(why)
    assert misses > 30


def test_explain_filters_and_refusals(tuned: concord.Index, vectors: Floats) -> None:
    why = tuned.explain(vectors[7], 7, filter=slice(100, None))
    assert (why.reason, why.ef, why.parent, why.slack) == ("filter", None, None, math.inf)
    assert tuned.explain(vectors[7], 7, filter=[7, 9]).ef == 1
    assert tuned.explain(vectors[7:8], np.int64(7)).reason == "returned"
    with pytest.raises(concord.UnknownLabelError):
        tuned.explain(vectors[7], SIZE)
    with pytest.raises(concord.UnknownLabelError):
        tuned.explain(vectors[7], -1)
    with pytest.raises(concord.DimensionMismatchError, match="2 queries"):
        tuned.explain(vectors[:2], 7)
    with pytest.raises(concord.InvalidVectorError):
        tuned.explain(np.full(8, np.nan, np.float32), 7)
    tuned.remove([7])
    assert tuned.explain(vectors[7], 7).reason == "removed"


def test_shards_have_no_presets(vectors: Floats) -> None:
    index = concord.ShardedIndex(dim=8, shards=2)
    index.add(vectors[:102])
    uses: list[Callable[[], object]] = [
        index.tune,
        index.presets,
        lambda: index.search(vectors[0], recall=0.9),
    ]
    for use in uses:
        with pytest.raises(concord.UnsupportedError, match="ShardedIndex"):
            use()
    assert index.explain(vectors[7], 7).rank == 1
    index.remove([99])  # it stays in the graph until the seal, which is not due here
    assert index.explain(vectors[99], 99).reason == "removed"
