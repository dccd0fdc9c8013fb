"""ShardedIndex: the same as one index where it must be, and ordinary files."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import concord

RNG = np.random.default_rng(5)
VECTORS = RNG.integers(-4, 5, size=(700, 6)).astype(np.float32) / 2
QUERIES = RNG.normal(size=(40, 6)).astype(np.float32)
LABELS = np.random.default_rng(6).permutation(700).astype(np.uint64) * 3 + 1


def make(shards: int = 3, **options: Any) -> concord.ShardedIndex:
    return concord.ShardedIndex(
        6, M=4, ef_construction=20, epoch_limit=32, shards=shards, **options
    )


def one_index(metric: str = "l2sq") -> concord.Index:
    index = concord.Index(6, metric, M=4, ef_construction=20, epoch_limit=32)
    index.add(VECTORS, LABELS)
    return index


@pytest.mark.parametrize("metric", ["l2sq", "inner_product", "cosine"])
@pytest.mark.parametrize(("shards", "block"), [(1, 1), (2, 1), (3, 7), (8, 64)])
def test_exact_search_is_that_of_one_index(metric: str, shards: int, block: int) -> None:
    index = make(shards, metric=metric, block=block, threads=2)
    assert index.add(VECTORS, LABELS) == 700
    one = one_index(metric)
    for k in (1, 10, 300):
        for mine, other in zip(
            index.exact_search(QUERIES, k), one.exact_search(QUERIES, k), strict=True
        ):
            np.testing.assert_array_equal(mine, other)
    for mine, other in zip(
        index.search(QUERIES, 10, ef=700), one.exact_search(QUERIES, 10), strict=True
    ):
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(index.labels(), LABELS)
    assert index.audit().ok


def test_a_shard_is_the_index_of_its_vectors() -> None:
    index = make(threads=3)
    for first in range(0, 700, 90):
        index.add(VECTORS[first : first + 90], LABELS[first : first + 90])
    for s in range(3):
        alone = concord.Index(6, M=4, ef_construction=20, epoch_limit=32)
        alone.add(VECTORS[s::3], LABELS[s::3])
        assert index.shard(s).digest() == alone.digest()


def test_has_what_an_index_has() -> None:
    index = make()
    index.add(VECTORS, LABELS, progress=lambda done, total: True)
    assert len(index) == index.resume_at == 700
    assert (index.shards, index.block, index.dim, index.metric) == (3, 1, 6, "l2sq")
    assert int(LABELS[5]) in index
    assert 2 not in index
    np.testing.assert_array_equal(index[LABELS[5]], VECTORS[5])
    assert list(index)[:2] == LABELS[:2].tolist()
    assert index.stats().size == 700
    assert index.memory().vectors > 0
    assert repr(index).startswith("concord.ShardedIndex(shards=3, block=1, dim=6")
    out = np.empty((40, 5), np.int64), np.empty((40, 5), np.float32)
    index.search(QUERIES, 5, out=out)
    np.testing.assert_array_equal(out[0], index.search(QUERIES, 5)[0].astype(np.int64))
    with index.using(threads=1, device="cpu"):
        assert index.search(QUERIES[0], 5)[0].shape == (5,)
    index.device = "cpu,cpu"
    assert index.device == "cpu,cpu"
    with pytest.raises(concord.UnsupportedError):
        index.device = "cuda:7,cpu"
    assert index.device == "cpu,cpu"


def test_devices_may_be_a_list() -> None:
    assert make(device=["cpu", "cpu"]).device == "cpu,cpu"
    with pytest.raises(concord.InvalidParameterError):
        make(device=["cpu", "gpux"])


def test_is_refused_as_a_whole() -> None:
    index = make()
    index.add(VECTORS[:300], LABELS[:300])
    digest = index.digest()
    bad = VECTORS[300:].copy()
    bad[399, 2] = np.nan
    with pytest.raises(concord.InvalidVectorError, match="vector 399"):
        index.add(bad, LABELS[300:])
    taken = LABELS[300:].copy()
    taken[7] = LABELS[0]
    with pytest.raises(concord.DuplicateLabelError, match="vector 7"):
        index.add(VECTORS[300:], taken)
    assert index.digest() == digest
    for wrong in ({"shards": 0}, {"shards": 2000}, {"block": 0}):
        with pytest.raises(concord.InvalidParameterError):
            make(**wrong)
    with pytest.raises(concord.InvalidParameterError):
        index.shard(3)


def test_a_shard_is_read_only_and_keeps_the_whole() -> None:
    index = make()
    index.add(VECTORS)
    shard = index.shard(1)
    for refused in (
        lambda: shard.add(VECTORS),
        shard.compact,
        lambda: setattr(shard, "threads", 2),
    ):
        with pytest.raises(concord.UnsupportedError, match="shard"):
            refused()
    digest = shard.digest()
    del index
    assert shard.digest() == digest
    assert shard.search(VECTORS[1], 1)[0][0] in shard.labels()


def test_folder(tmp_path: Path) -> None:
    index = make(threads=2)
    index.add(VECTORS, LABELS)
    index.save(tmp_path / "set")
    for other in (
        concord.ShardedIndex.load(tmp_path / "set"),
        concord.ShardedIndex.map(tmp_path / "set", check=True),
    ):
        assert isinstance(other, concord.ShardedIndex)
        assert other.digest() == index.digest()
        np.testing.assert_array_equal(other.search(QUERIES)[0], index.search(QUERIES)[0])
    shard = concord.load(tmp_path / "set" / "shard-0002.concord")
    assert shard.digest() == index.shard(2).digest()
    with pytest.raises(concord.InvalidParameterError, match="already"):
        index.save(tmp_path / "set")
    os.replace(tmp_path / "set" / "shard-0001.concord", tmp_path / "set" / "shard-0002.concord")
    with pytest.raises(concord.CorruptFileError, match=r"shard-000[12]\.concord"):
        concord.ShardedIndex.load(tmp_path / "set")
    with pytest.raises(TypeError, match="folder"), open(tmp_path / "file", "wb") as file:
        index.save(file)
    with pytest.raises(TypeError, match="path of the folder"):
        pickle.dumps(index)


def test_open_and_compact(tmp_path: Path) -> None:
    def reopened() -> concord.ShardedIndex:
        return concord.ShardedIndex.open(
            tmp_path, 6, M=4, ef_construction=20, shards=3, threads=2, durability="system"
        )

    for first in range(0, 700, 100):
        index = reopened()
        assert index.resume_at == first
        index.add(VECTORS[first : first + 100])
        if first == 300:
            index.compact()
        with pytest.raises(concord.IoError, match="in use"):
            concord.ShardedIndex.open(tmp_path)
        digest = index.digest()
        del index
    assert concord.ShardedIndex.open(tmp_path).digest() == digest
    with pytest.raises(concord.InvalidParameterError, match="3 shards"):
        concord.ShardedIndex.open(tmp_path, 6, M=4, ef_construction=20, shards=4)


KILLED = """
import sys, numpy as np, concord
vectors = np.random.default_rng(9).normal(size=(3000, 6)).astype(np.float32)
index = concord.ShardedIndex.open(sys.argv[1], 6, shards=3, threads=2, durability="system")
print("ready", flush=True)
for first in range(index.resume_at, 3000, 50):
    index.add(vectors[first : first + 50])
    print(index.resume_at, flush=True)
"""


def test_killed_build_is_resumed(tmp_path: Path) -> None:
    vectors = np.random.default_rng(9).normal(size=(3000, 6)).astype(np.float32)
    whole = concord.ShardedIndex(6, shards=3)
    whole.add(vectors)
    for lines in (1, 7, 20):
        process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE)
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(lines + 1)]
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        acknowledged = int(seen[-1])
        index = concord.ShardedIndex.open(tmp_path)
        assert index.resume_at >= acknowledged
        del index
    index = concord.ShardedIndex.open(tmp_path)
    index.add(vectors[index.resume_at :])
    assert index.digest() == whole.digest()


class Model:
    """What a ShardedIndex holds: the living vectors and their positions."""

    def __init__(self, shards: int) -> None:
        self.inserted = [0] * shards
        self.living = [0] * shards
        self.vectors: dict[int, tuple[int, int, np.ndarray[Any, Any]]] = {}

    def position(self, shard: int, number: int) -> int:
        return number * len(self.living) + shard

    def upsert(self, label: int, vector: Any) -> None:
        if label in self.vectors:
            shard = self.vectors[label][0]
        else:
            places = [self.position(s, count) for s, count in enumerate(self.living)]
            shard = places.index(min(places))
            self.living[shard] += 1
        position = self.position(shard, self.inserted[shard])
        self.inserted[shard] += 1
        self.vectors[label] = (shard, position, np.asarray(vector))

    def remove(self, label: int) -> None:
        self.living[self.vectors.pop(label)[0]] -= 1

    def nearest(self, query: Any, among: Any = None) -> list[int]:
        found = [
            (float(((vector - query) ** 2).sum()), position, label)
            for label, (_, position, vector) in self.vectors.items()
            if among is None or label in among
        ]
        return [label for _, _, label in sorted(found)]


def changed(shards: int) -> tuple[concord.ShardedIndex, Model]:
    """An index after a history of every kind of change, and what it must hold."""
    rng = np.random.default_rng(shards)
    index, model = make(shards, threads=2), Model(shards)
    index.add(VECTORS[:300], LABELS[:300])
    for label, vector in zip(LABELS[:300].tolist(), VECTORS[:300], strict=True):
        model.upsert(label, vector)
    for _ in range(6):
        gone = rng.choice(sorted(model.vectors), 40, replace=False)
        assert index.remove(gone) == 40
        for label in gone.tolist():
            model.remove(label)
        chosen = np.unique(rng.choice(LABELS, 60))
        rows = VECTORS[rng.integers(0, 700, len(chosen))]
        assert index.upsert(rows, chosen) == len(chosen)
        for label, vector in zip(chosen.tolist(), rows, strict=True):
            model.upsert(label, vector)
        known = rng.choice(sorted(model.vectors), 30, replace=False)
        assert index.update(VECTORS[:30], known) == 30
        for label, vector in zip(known.tolist(), VECTORS[:30], strict=True):
            model.upsert(label, vector)
        index.flush()
    return index, model


@pytest.mark.parametrize("shards", [1, 3, 4])
def test_changes_and_every_search_are_those_of_a_model(shards: int) -> None:
    index, model = changed(shards)
    # Distances are exact, and only equal vectors tie: others may tie in order of their nodes.
    offsets = np.random.default_rng(8).integers(-128, 129, size=(10, 6)).astype(np.float32) / 256
    queries = VECTORS[10:20] + offsets
    by_position = sorted(model.vectors, key=lambda label: model.vectors[label][1])
    assert index.labels().tolist() == by_position
    assert len(index) == index.resume_at == len(model.vectors)
    for label in by_position[::20]:
        np.testing.assert_array_equal(index[label], model.vectors[label][2])
    assert index.audit().ok
    wide = len(index) + 1
    among = by_position[::3]
    keep = index.filter(among)
    mask = np.isin(by_position, among)
    assert (keep.matches, keep.size, keep.unknown) == (len(among), len(index), 0)
    for which in (keep, mask, among, lambda labels: np.isin(labels, among)):
        found = index.search(queries, 9, ef=wide, filter=which)[0]
        exact = index.exact_search(queries, 9, filter=which)[0]
        expected = [model.nearest(query, set(among))[:9] for query in queries]
        assert found.tolist() == exact.tolist() == expected
    each = index.search(queries[:2], 5, ef=wide, filter=[~keep, None])[0]
    rest = set(by_position) - set(among)
    assert each[0].tolist() == model.nearest(queries[0], rest)[:5]
    assert each[1].tolist() == model.nearest(queries[1])[:5]
    lims, labels, distances = index.range_search(queries, 9.0, ef=wide)
    for q, query in enumerate(queries):
        near = labels[lims[q] : lims[q + 1]].tolist()
        assert near == model.nearest(query)[: len(near)]
        assert np.all(distances[lims[q] : lims[q + 1]] <= 9)
    pages = [labels.tolist() for labels, _ in index.cursor(queries[0], k=70, ef=wide, filter=keep)]
    assert np.concatenate(pages).tolist() == model.nearest(queries[0], set(among))
    why = index.explain(queries[1], by_position[5], k=8)
    assert why.rank == model.nearest(queries[1]).index(by_position[5]) + 1


@pytest.mark.parametrize("hits", [1, 2])
def test_groups_are_of_the_whole(hits: int) -> None:
    index, model = changed(3)
    key_of = {label: label % 40 for label in model.vectors}
    groups = index.groups([key_of[label] for label in index.labels().tolist()])
    assert groups.size == len(index)
    found = index.search(VECTORS[:4], 6, ef=900, groups=groups, group_hits=hits)[0]
    for q in range(4):
        taken: dict[int, int] = {}
        expected = []
        for label in model.nearest(VECTORS[q]):
            key = key_of[label]
            if (key in taken or len(taken) < 6) and taken.get(key, 0) < hits:
                taken[key] = taken.get(key, 0) + 1
                expected.append(label)
        assert [label for label in found[q].tolist() if label != concord.NO_LABEL] == expected


def test_what_shards_do_not_have_is_refused_by_name(tmp_path: Any) -> None:
    index = make()
    index.add(VECTORS[:30])
    preset = concord.Index.from_vectors(VECTORS).tune(0.9)
    uses: dict[str, Callable[[], object]] = {
        "tune": index.tune,
        "presets": index.presets,
        "remember": lambda: index.remember(preset),
        "recall": lambda: index.search(VECTORS[:1], recall=0.9),
        "knn_graph": lambda: index.knn_graph(3),
        "from_vectors": lambda: concord.ShardedIndex.from_vectors(VECTORS),
        "save_hnswlib": lambda: concord.save_hnswlib(index, tmp_path / "x"),
        "save_faiss": lambda: concord.save_faiss(index, tmp_path / "x"),
    }
    for name, use in uses.items():
        with pytest.raises(concord.UnsupportedError, match=f"^{name}.*ShardedIndex"):
            use()
    for copied in (index.copy, index.to_bytes, lambda: pickle.dumps(index)):
        with pytest.raises(TypeError, match="folder"):
            copied()
    assert not list(tmp_path.iterdir())


def test_changes_are_refused_as_a_whole() -> None:
    index = make()
    index.add(VECTORS[:30])
    digest = index.digest()
    bad = VECTORS[:3].copy()
    bad[2, 0] = np.inf
    with pytest.raises(concord.UnknownLabelError, match="label 30"):
        index.remove([0, 1, 30])
    with pytest.raises(concord.DuplicateLabelError, match="label 1 stands twice"):
        index.update(VECTORS[:3], [0, 1, 1])
    with pytest.raises(concord.InvalidVectorError, match="vector 2"):
        index.upsert(bad, [0, 1, 2])
    shard = index.shard(0)
    with pytest.raises(concord.UnsupportedError, match="shard"):
        shard.remove([0])
    other = make()
    other.add(VECTORS[:30])
    with pytest.raises(concord.InvalidParameterError, match="another index"):
        index.search(VECTORS[:1], filter=other.filter([1]))
    assert index.digest() == digest


@pytest.mark.parametrize(
    "options", [{"codes": "sq8"}, {"codes": "sq4"}, {"storage": "f16"}, {"storage": "bf16"}]
)
def test_codes_and_halves_change_as_well(options: dict[str, Any]) -> None:
    index = make(3, **options)
    lone = [concord.Index(6, M=4, ef_construction=20, epoch_limit=32, **options) for _ in range(3)]
    index.add(VECTORS[:90])
    index.remove(range(0, 90, 9))
    index.update(VECTORS[100:103], [1, 2, 3])
    for s in range(3):
        own = np.arange(s, 90, 3)
        lone[s].add(VECTORS[own], own)
        gone = [label for label in range(0, 90, 9) if label % 3 == s]
        if gone:
            lone[s].remove(gone)
        for label in (1, 2, 3):
            if label % 3 == s:
                lone[s].update(VECTORS[[99 + label]], [label])
        assert index.shard(s).digest() == lone[s].digest()
    assert index.search(VECTORS[:2], 5, filter=[1, 2, 3])[0].shape == (2, 5)


KILLED_CHANGES = """
import sys, numpy as np, concord
rng = np.random.default_rng(int(sys.argv[2]))
index = concord.ShardedIndex.open(sys.argv[1], 6, shards=3, threads=2, durability="system")
for step in range(int(sys.argv[2]), 10**6):
    labels = rng.choice(500, 60, replace=False)
    index.upsert(np.full((60, 6), step, np.float32), labels)
    gone = [label for label in labels[:20].tolist() if label in index]
    index.remove(gone)
    if step % 11 == 0:
        index.compact()
    print(step, flush=True)
"""


def test_a_killed_process_loses_no_acknowledged_change(tmp_path: Path) -> None:
    step = 0
    for lines in (3, 9, 15):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED_CHANGES, tmp_path, str(step)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        seen += [line for line in process.stdout.readlines() if line.endswith(b"\n")]
        process.wait()
        process.stdout.close()
        rng = np.random.default_rng(step)
        acknowledged = int(seen[-1])
        touched: dict[int, int] = {}
        for done in range(step, acknowledged + 1):
            labels = rng.choice(500, 60, replace=False).tolist()
            touched.update(dict.fromkeys(labels, done))
            for label in labels[:20]:
                touched[label] = -1
        index = concord.ShardedIndex.open(tmp_path)
        assert index.audit().ok
        assert len(set(index.labels().tolist())) == len(index)
        # The first call that was not acknowledged may have done any part of what it does.
        begun = set(rng.choice(500, 60, replace=False).tolist())
        for label, expected in touched.items():
            if label not in begun:
                there = int(index[label][0]) if label in index else -1
                assert there == expected, label
        step = max([acknowledged, *(int(index[label][0]) for label in index)]) + 1
        del index


def test_a_store_works_on_shards(request: pytest.FixtureRequest) -> None:
    """concord.Store, whose index is a ShardedIndex, answers as one over an Index."""

    def lived() -> concord.Store:
        store = concord.Store(6, "l2sq", ef=900, M=4, ef_construction=20)
        keys = [str(number) for number in range(200)]
        metadata = [{"year": 2000 + number % 7} for number in range(200)]
        store.add(keys, VECTORS[:200], keys, metadata)
        store.upsert(keys[:50], VECTORS[300:350], keys[:50], metadata[:50])
        store.delete(keys[20:90:3])
        store.upsert(keys[30:40], VECTORS[400:410], keys[30:40], metadata[30:40])
        return store

    alone = lived()
    request.getfixturevalue("stores_on_shards")
    store = lived()
    assert isinstance(store.index, concord.ShardedIndex)
    assert len(store) == len(alone)
    for filter in (None, {"year": {"$gt": 2003}}, lambda item: int(item.key) % 2 == 0):
        for query in QUERIES[:10]:
            here = store.search(query, k=8, filter=filter)
            there = alone.search(query, k=8, filter=filter)
            assert [hit.distance for hit in here] == [hit.distance for hit in there]
            end = here[-1].distance  # of equal ones at the end either may be found
            nearer = {hit.key for hit in here if hit.distance < end}
            assert nearer == {hit.key for hit in there if hit.distance < end}


def test_searches_run_beside_an_addition() -> None:
    vectors = np.random.default_rng(9).normal(size=(12000, 6)).astype(np.float32)
    index = concord.ShardedIndex(6, shards=3, threads=2)
    index.add(vectors[:500])
    adding = threading.Thread(target=index.add, args=(vectors[500:],))
    adding.start()
    answers = 0
    while adding.is_alive():
        labels, _ = index.search(QUERIES, 5)
        assert labels.max() < 12000
        answers += 1
    adding.join()
    assert answers > 2
    assert len(index) == 12000
