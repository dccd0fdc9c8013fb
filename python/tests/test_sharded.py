"""ShardedIndex: the same as one index where it must be, and ordinary files."""

import os
import pickle
import signal
import subprocess
import sys
import threading
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
