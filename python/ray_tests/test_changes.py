"""Removals, replacements, filters and ranges over actors are, to the last bit, those of one process."""

from __future__ import annotations

import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
import ray  # type: ignore[import-not-found,unused-ignore]
from conftest import DIM, SMALL, Open, expect_equal, in_process, make_vectors, pid_of

import concord
import concord.ray
from concord.ray import _calls, _filter
from concord.ray._layout import shard_path


def expect_same(index: concord.ray.ShardedIndex, alone: concord.ShardedIndex) -> None:
    """Digest, answers and all that is counted."""
    assert index.digest() == alone.digest()
    assert len(index) == len(alone)
    expect_no_position(index)
    assert index.labels().tolist() == alone.labels().tolist()
    queries = make_vectors(15, seed=5, copies=0.5)
    expect_equal(index.search(queries, 20, 40), alone.search(queries, 20, 40))
    expect_equal(index.exact_search(queries, 20), alone.exact_search(queries, 20))


def expect_no_position(index: concord.ray.ShardedIndex) -> None:
    """Behind a removal no number says where an addition stopped."""
    with pytest.raises(concord.UnsupportedError, match="Repeat it as an upsert of the same labels"):
        index.resume_at  # noqa: B018


def change_at_random(index: Any, seed: int, steps: int) -> None:
    """A life of an index, the same over Ray and in one process."""
    picks = random.Random(seed)
    vectors = make_vectors(5000, seed=seed, copies=0.5) + np.float32(0.5)
    used, there = 0, set(index.labels().tolist())
    for _ in range(steps):
        size = picks.choice([1, 7, 60, 150])
        rows = vectors[used : used + size]
        used = (used + size) % 4000
        old = picks.sample(sorted(there), min(size, len(there)))
        what = picks.choice(["add", "add", "labels", "remove", "update", "upsert", "flush"])
        if what == "add":
            index.add(rows)
        elif what == "labels":
            new = [
                label
                for label in picks.sample(range(10**6, 10**6 + 500), size)
                if label not in there
            ]
            index.add(rows[: len(new)], new)
        elif what == "remove":
            index.remove(old)
        elif what == "update":
            index.update(rows[: len(old)], old)
        elif what == "upsert":
            some = sorted({*old[: size // 2], *range(2 * 10**6, 2 * 10**6 + size // 2)})
            picks.shuffle(some)
            index.upsert(rows[: len(some)], some)
        else:
            index.flush()
        there = set(index.labels().tolist())


@pytest.mark.parametrize(("shards", "block", "metric"), [(3, 1, "l2sq"), (2, 7, "cosine")])
def test_a_life_with_removals_is_that_of_one_process(
    shards: int, block: int, metric: str, open_index: Open, tmp_path: pathlib.Path
) -> None:
    index = open_index(shards, block=block, metric=metric)
    alone = concord.ShardedIndex(DIM, metric, shards=shards, block=block, threads=1, **SMALL)
    for one in (index, alone):
        one.add(make_vectors(500, copies=0.5) + np.float32(0.5))
        change_at_random(one, shards, 25)
    assert alone.stats().removals > 200
    expect_same(index, alone)
    index.compact()
    index.shutdown()
    again = open_index(shards, block=block, metric=metric)
    for one in (again, alone):
        change_at_random(one, 9, 6)
    expect_same(again, alone)
    again.shutdown()
    assert concord.ShardedIndex.open(tmp_path / "index").digest() == alone.digest()


def test_small_batches_change_nothing(open_index: Open) -> None:
    vectors = make_vectors(900)
    index, alone = open_index(), in_process(vectors[:600], 3)
    index.add(vectors[:600])
    labels = np.random.default_rng(1).permutation(600)[:300]
    seen: list[tuple[int, int]] = []
    assert index.update(
        vectors[600:], labels, batch_size=37, progress=lambda *done: seen.append(done)
    ) == alone.update(vectors[600:], labels)
    assert seen[0] == (37, 300) and seen[-1] == (300, 300)
    assert index.remove(labels[:200], batch_size=23) == alone.remove(labels[:200]) == 200
    expect_same(index, alone)
    del index[labels[200:210]], alone[labels[200:210]]
    del index[int(labels[210])], alone[int(labels[210])]
    expect_same(index, alone)


def test_labels_of_64_bits(open_index: Open) -> None:
    vectors = make_vectors(60)
    labels = np.arange(60, dtype=np.uint64) + np.uint64(2**63)
    index, alone = open_index(), in_process(vectors, 3, labels)
    index.add(vectors, labels)
    for one in (index, alone):
        one.remove(labels[:9])
        one.upsert(vectors[:20], labels[:20])
    expect_same(index, alone)


def test_changes_that_are_refused_change_no_shard(open_index: Open) -> None:
    vectors = make_vectors(200)
    index = open_index()
    index.add(vectors)
    index.remove([5, 6])
    before = index.digest()
    bad = vectors[:10].copy()
    bad[-1, 3] = np.nan
    no_labels: Any = None
    refused: list[tuple[type[concord.Error], str, Any]] = [
        (concord.UnknownLabelError, "label 5, number 1", lambda: index.remove([4, 5])),
        (concord.DuplicateLabelError, "label 4 stands twice", lambda: index.remove([4, 9, 4])),
        (concord.ArrayTypeError, "labels", lambda: index.remove([0.5])),
        (concord.UnknownLabelError, "label 6, number 1", lambda: index.update(bad[:2], [0, 6])),
        (concord.DuplicateLabelError, "twice", lambda: index.update(bad[:2], [7, 7])),
        (concord.DuplicateLabelError, "twice", lambda: index.upsert(bad[:2], [777, 777])),
        (concord.InvalidVectorError, "vector 9", lambda: index.upsert(bad, range(10))),
        (concord.InvalidVectorError, "vector 9", lambda: index.update(bad, range(10, 20))),
        (concord.DimensionMismatchError, "labels", lambda: index.upsert(bad[:2], [1])),
        (concord.DimensionMismatchError, "shape", lambda: index.update(bad[:, 1:], range(10))),
        (concord.DuplicateLabelError, "label 9 of", lambda: index.add(vectors[:2], [5, 9])),
        (concord.ArrayTypeError, "labels are object", lambda: index.update(vectors[:2], no_labels)),
        (concord.ArrayTypeError, "labels are object", lambda: index.upsert(vectors[:2], no_labels)),
        (concord.UnsupportedError, "groups", lambda: index.groups([1] * 198)),
        (concord.UnsupportedError, "groups", lambda: index.search(vectors, groups=[1] * 198)),
        (concord.UnsupportedError, "cursors", lambda: index.cursor(vectors[0])),
    ]
    for kind, text, call in refused:
        with pytest.raises(kind, match=text):
            call()
        assert index.digest() == before
    assert index.remove([]) == 0 and index.upsert(vectors[:0], []) == 0
    assert index.digest() == before


@pytest.mark.parametrize("size", [0, -1, 1.5, "a"])
def test_batches_of_no_size_are_refused_before_anything_else(size: Any, open_index: Open) -> None:
    """Who leads the shards goes on."""
    vectors = make_vectors(30)
    index = open_index(1)
    index.add(vectors[:20])
    (actor,) = index._actors
    ray.get(_calls.call(actor, "lead", "w"))
    for call in (
        lambda: index.add(vectors[20:], batch_size=size),
        lambda: index.update(vectors[:1], [0], batch_size=size),
        lambda: index.upsert(vectors[:1], [0], batch_size=size),
        lambda: index.remove([1], batch_size=size),
    ):
        with pytest.raises(concord.InvalidParameterError, match="batch_size is .*integers from 1"):
            call()
    labels = np.arange(20, 30, dtype=np.uint64)
    assert ray.get(_calls.call(actor, "add", "w", 20, vectors[20:], labels)) == 30


def test_a_change_that_comes_again_does_nothing_twice(open_index: Open) -> None:
    """Ray delivers at least once, and behind a restart in another order."""
    vectors = make_vectors(90)
    labels = np.arange(90, dtype=np.uint64)
    index, alone = open_index(1), in_process(vectors[:60], 1)
    index.add(vectors[:60])
    (actor,) = index._actors

    def call(member: str, *arguments: Any) -> Any:
        return _calls.result(0, _calls.call(actor, member, "w", *arguments))

    ray.get(_calls.call(actor, "lead", "w"))
    assert call("remove", 5, labels[5:10]) == 0  # those before it are lacking
    for _ in range(2):
        assert call("remove", 0, labels[:5]) == 5
    assert call("remove", 0, labels[:7]) == 7  # the call had got so far
    alone.remove(labels[:7])
    assert call("add", 70, vectors[60:], labels[20:50], "update") == 60
    for _ in range(2):
        assert call("add", 60, vectors[60:75], labels[20:35], "update") == 75
    assert call("add", 60, vectors[60:], labels[20:50], "upsert") == 90
    alone.update(vectors[60:], labels[20:50])
    for _ in range(2):
        call("flush")
    alone.flush()
    assert call("remove", 7, labels[:0]) == 37
    assert index.digest() == alone.digest()
    expect_no_position(index)  # asked by a new writer
    ray.get(_calls.call(actor, "lead", "v"))
    with pytest.raises(concord.UnknownLabelError):  # as one of another shard would be
        _calls.result(0, _calls.call(actor, "add", "v", 90, vectors[:1], labels[89:], "update"))
    for member, arguments in [
        ("remove", (37, labels[70:])),
        ("flush", ()),
        ("add", (90, vectors[:1], labels[:1], "upsert")),
    ]:
        with pytest.raises(concord.BusyError, match="has begun to change"):
            call(member, *arguments)
    assert index.digest() == alone.digest()


def test_what_an_interrupted_removal_left_is_removed_with_the_same_digest(open_index: Open) -> None:
    """What a driver leaves that dies: one shard has done its part, another a part of it."""
    vectors = make_vectors(300)
    labels = np.random.default_rng(1).permutation(300)[:150].astype(np.uint64)
    index, alone = open_index(), in_process(vectors, 3)
    index.add(vectors)
    for shard, done in [(0, 1000), (1, 20)]:
        mine = labels[labels % 3 == shard][:done]
        ray.get(_calls.call(index._actors[shard], "lead", "w"))
        ray.get(_calls.call(index._actors[shard], "remove", "w", 0, mine))
    left = labels[np.isin(labels, index.labels())]
    assert 50 < len(left) < 100
    index.remove(left)
    alone.remove(labels)
    expect_same(index, alone)


def test_an_interrupted_upsert_is_repeated_with_the_same_content(open_index: Open) -> None:
    vectors = make_vectors(400)
    labels = np.arange(100, dtype=np.uint64)
    index = open_index()
    index.add(vectors[:300])
    mine = labels[labels % 3 == 1][:10]
    ray.get(_calls.call(index._actors[1], "lead", "w"))
    ray.get(
        _calls.call(
            index._actors[1], "add", "w", 100, vectors[300 + mine.astype(int)], mine, "upsert"
        )
    )
    index.upsert(vectors[300:], labels)
    wanted = concord.Index(DIM, **SMALL, threads=1)
    wanted.add(np.concatenate([vectors[300:], vectors[100:300]]))
    found = index.exact_search(vectors, 20)
    assert np.array_equal(found.labels, wanted.exact_search(vectors, 20).labels)


DRIVER = """
import sys, numpy as np, ray, concord.ray
address, folder, file = sys.argv[1:]
ray.init(address, log_to_driver=False)
index = concord.ray.ShardedIndex.open(folder)
vectors = np.load(file)
labels = np.arange(1000, 1000 + len(vectors))
index.add(vectors, labels, batch_size=50, progress=lambda done, total: print(done, flush=True))
"""


def test_a_driver_that_dies_in_an_addition_behind_a_removal(
    open_index: Open, tmp_path: pathlib.Path
) -> None:
    vectors = make_vectors(6000)
    np.save(tmp_path / "vectors.npy", vectors)
    index = open_index()
    index.add(vectors[:100] + np.float32(20))
    index.remove(range(40))
    address = ray.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, address, tmp_path / "index", tmp_path / "vectors.npy"],
        stdout=subprocess.PIPE,
    )
    assert driver.stdout
    while int(driver.stdout.readline()) < 1500:
        pass
    driver.kill()
    driver.communicate()
    expect_no_position(index)
    assert 1500 <= len(index) - 60 < 6000
    labels = np.arange(1000, 7000)
    assert index.upsert(vectors, labels) == 6000
    expect_each_there_once(index, vectors, labels)


def expect_each_there_once(index: concord.ray.ShardedIndex, vectors: Any, labels: Any) -> None:
    """Beside 60 others."""
    assert sorted(index.labels().tolist()) == [*range(40, 100), *labels]
    found = index.exact_search(vectors, 2)
    assert np.array_equal(found.labels[:, 0], labels)
    assert (found.distances[:, 0] == 0).all() and (found.distances[:, 1] > 0).all()


@pytest.mark.parametrize("is_labelled", [True, False])
def test_an_addition_behind_a_removal_of_which_one_shard_has_its_part(
    is_labelled: bool, open_index: Open
) -> None:
    """What a driver leaves that dies between two shards, in the worst case."""
    vectors = make_vectors(12)
    index = open_index(2)
    index.add(make_vectors(100, seed=3) + np.float32(20))
    index.remove(range(40))
    before = index.labels()
    counts = [ray.get(_calls.call(actor, "lead", "w")) for actor in index._actors]
    living = [one.insertions - one.removals for one in counts]
    mine = np.flatnonzero(index._layout.dealt(living, 12) == 0)
    labels = np.arange(1000, 1012, dtype=np.uint64)
    if not is_labelled:
        labels[mine] = index._layout.position(0, counts[0].insertions + np.arange(len(mine)))
    part = ("w", counts[0].insertions, vectors[mine], labels[mine])
    ray.get(_calls.call(index._actors[0], "add", *part))
    expect_no_position(index)
    if is_labelled:
        index.upsert(vectors, labels)
        expect_each_there_once(index, vectors, labels)
    else:
        index.remove(np.setdiff1d(index.labels(), before))
        assert index.add(vectors) == 12
        found = index.exact_search(vectors, 2)
        assert len(index) == 72 and (found.distances[:, 0] == 0).all()
        assert (found.distances[:, 1] > 0).all()


def test_a_full_disk_of_one_shard_names_it_and_changes_go_on(open_index: Open) -> None:
    vectors = make_vectors(1600)
    index, alone = open_index(), in_process(vectors[:1200], 3)
    index.add(vectors[:1200])
    pid = pid_of(index, 2)
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (20_000, unlimited[1]))
    labels = np.random.default_rng(1).permutation(1200)[:600]
    with pytest.raises(concord.IoError, match="shard 2: "):
        index.remove(labels)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    left = labels[np.isin(labels, index.labels())]
    assert set(left % 3) == {2}
    index.remove(left)
    alone.remove(labels)
    for one in (index, alone):
        one.upsert(vectors[1200:], labels[:400])
    assert pid_of(index, 2) == pid
    expect_same(index, alone)


# ------------------------------------------------------------------------------- filters, ranges


def test_filters_are_those_of_one_process(open_index: Open) -> None:
    vectors = make_vectors(900, copies=0.7)
    labels = np.random.default_rng(3).permutation(900) + 1000
    index, alone = open_index(block=7), in_process(vectors, 3, labels, 7)
    index.add(vectors, labels)
    for one in (index, alone):
        one.remove(labels[100:200])
        one.update(vectors[:50], labels[300:350])
    queries = make_vectors(12, seed=5, copies=0.5)
    mask = np.random.default_rng(4).random(800) < 0.3
    rare = np.zeros(800, bool)
    rare[[3, 700]] = True
    forms: list[Any] = [
        mask,
        mask.astype(np.uint8),
        mask.tolist(),
        pa.array(mask),
        pa.array([None if i % 7 == 0 else bool(m) for i, m in enumerate(mask)]),
        rare,
        np.zeros(800, bool),
        labels[::3],
        [1003, 1005, 5, 1003],
        slice(-300, None),
        slice(0, 700, 3),
        lambda labels: labels % 5 == 0,
        [rare if i % 3 == 0 else None if i % 3 == 1 else labels[:400] for i in range(12)],
    ]
    for which in forms:
        for k in (1, 10, 500):
            for search in ("search", "exact_search"):
                expect_equal(
                    getattr(index, search)(queries, k, filter=which),
                    getattr(alone, search)(queries, k, filter=which),
                )
        if not isinstance(which, list) or len(which) != 12:
            made, wanted = index.filter(which), alone.filter(which)
            assert (made.matches, made.size, made.unknown) == (
                wanted.matches,
                wanted.size,
                wanted.unknown,
            )
            expect_equal(
                index.search(queries[0], filter=made), alone.search(queries[0], filter=wanted)
            )


def test_a_filter_is_of_the_moment_in_which_it_was_made(open_index: Open) -> None:
    vectors = make_vectors(20_000)
    index, alone = open_index(2), in_process(vectors, 2)
    index.add(vectors)
    mine, wanted = (one.filter(np.arange(20_000) % 2 == 0) for one in (index, alone))
    half = (one.filter(range(0, 100, 3)) for one in (index, alone))
    for one in (index, alone):
        one.remove(range(500))
        one.update(vectors[:500], range(1000, 1500))  # labels with other vectors
        one.add(vectors[:100])
    expect_equal(
        index.search(vectors[:50], 30, filter=mine), alone.search(vectors[:50], 30, filter=wanted)
    )
    a, b = half
    assert (index.search(vectors[:5], filter=a).labels == -1).all()
    assert (alone.search(vectors[:5], filter=b).labels == -1).all()
    assert repr(mine).endswith("10000 of 20000 vectors>")


def test_large_filters_of_a_list_are_sent_once(
    open_index: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = make_vectors(600)
    index, alone = open_index(2), in_process(vectors, 2)
    index.add(vectors)
    monkeypatch.setattr(_filter, "SHARED_BYTES", 1000)
    large, small = index.filter(range(500)), index.filter([1, 2, 3])
    given = [large, None, small, large]
    wanted = [alone.filter(range(500)), None, alone.filter([1, 2, 3])]
    sent = _filter.argument_of(given, 0)
    assert isinstance(sent[0], ray.ObjectRef) and sent[3] is sent[0]
    assert sent[1] is None and len(sent[2].labels) == 1
    assert _filter.argument_of(given, 0)[0] == sent[0]  # the next call sends it no more
    found = index.search(vectors[:4], 20, filter=given)
    expect_equal(found, alone.search(vectors[:4], 20, filter=[*wanted, wanted[0]]))
    hits = index.range_search(vectors[:4], 9.0, filter=given)
    others = alone.range_search(vectors[:4], 9.0, filter=[*wanted, wanted[0]])
    for mine, other in zip(hits, others, strict=True):
        assert mine.tobytes() == other.tobytes()


def test_filters_that_a_search_makes_wait_for_no_shard_longer_than_it(open_index: Open) -> None:
    vectors = make_vectors(300)
    index = open_index(3)
    index.add(vectors)
    before = index.filter(range(200))
    everything: Any = [True] * 300
    pid = pid_of(index, 1)
    os.kill(pid, signal.SIGSTOP)
    try:
        for which in (range(200), lambda labels: labels < 200, [range(200)] * 5, before):
            start = time.monotonic()
            found = index.search(vectors[:5], filter=which, partial=True, timeout_s=1)
            assert found.missing == (1,) and time.monotonic() - start < 10
            wanted = [label for label in range(200) if label % 3 != 1]
            assert found.labels.tolist() == nearest(vectors, wanted, vectors[:5])
        with pytest.raises(
            concord.ray.ShardUnavailableError, match="shard 1 did not answer within"
        ):
            index.search(vectors[:5], filter=[7], timeout_s=1)
        with pytest.raises(
            concord.ray.ShardUnavailableError, match="shard 1 did not answer within"
        ):
            index.range_search(vectors[:5], 1, filter=[7], timeout_s=1)
        for which in (everything, slice(0, 7), slice(0, 7, 2)):
            with pytest.raises(concord.ray.ShardUnavailableError, match="a mask or a slice needs"):
                index.search(vectors[:5], filter=which, partial=True, timeout_s=1)
        assert time.monotonic() - start < 30  # the index itself would wait a minute for each
    finally:
        os.kill(pid, signal.SIGCONT)


def nearest(vectors: Any, labels: list[int], queries: Any) -> Any:
    """The ten nearest of some."""
    alone = concord.Index(DIM, **SMALL, threads=1)
    alone.add(vectors[labels], labels)
    return alone.exact_search(queries).labels.tolist()


def test_filters_that_do_not_fit_are_refused(open_index: Open) -> None:
    vectors = make_vectors(30)
    index, other, alone = open_index(), open_index(folder="other"), in_process(vectors, 3)
    index.add(vectors)
    refused: list[tuple[type[Exception], str, Any]] = [
        (concord.InvalidParameterError, "the mask is of 29 vectors", [True] * 29),
        (concord.InvalidParameterError, "of another index", other.filter([1])),
        (TypeError, "belongs to an index of this process", alone.filter([1])),
        (concord.ArrayTypeError, "returned int64", lambda labels: labels),
        (concord.ArrayTypeError, "filter", ["a", "b"]),
        (concord.InvalidParameterError, "queries", [[1], None]),
    ]
    for kind, text, which in refused:
        with pytest.raises(kind, match=text):
            index.search(vectors[:3], filter=which)


@pytest.mark.parametrize(("metric", "radius"), [("l2sq", 80.0), ("cosine", 0.7)])
def test_range_searches_are_those_of_one_process(
    metric: str, radius: float, open_index: Open
) -> None:
    vectors = make_vectors(900, copies=0.7) + np.float32(0.5)
    labels = np.random.default_rng(3).permutation(900)
    index = open_index(metric=metric)
    alone = in_process(vectors, 3, labels, metric=metric)
    index.add(vectors, labels)
    for one in (index, alone):
        one.remove(labels[100:200])
    queries = make_vectors(12, seed=5, copies=0.5)
    most = 0
    for options in (
        {},
        {"limit": 7},
        {"limit": 0},
        {"ef": 5, "slack": 0.0},
        {"filter": slice(0, 400)},
        {"filter": [None, labels[:300]] * 6, "limit": 20},
    ):
        for asked in (queries, queries[0], queries[:0]):
            if len(asked) != 12 and isinstance(options.get("filter"), list):
                continue
            found = index.range_search(asked, radius, **options)
            wanted = alone.range_search(asked, radius, **options)
            most = max(most, len(wanted[1]))
            for mine, other in zip(found, wanted, strict=True):
                assert mine.dtype == other.dtype and mine.tobytes() == other.tobytes()
    assert most > 50
    with pytest.raises(concord.InvalidParameterError, match="radius"):
        index.range_search(queries, -1)


def test_ranges_of_inner_products_are_refused(open_index: Open) -> None:
    index = open_index(2, metric="ip")
    with pytest.raises(concord.UnsupportedError, match="inner_product is none"):
        index.range_search(make_vectors(1), 1)


def test_a_folder_with_removals_is_changed_on(open_index: Open, tmp_path: pathlib.Path) -> None:
    """One process removed; the files go to Ray and back."""
    vectors = make_vectors(300)
    alone = concord.ShardedIndex.open(tmp_path / "index", DIM, shards=3, **SMALL)
    other = in_process(vectors[:200], 3)
    alone.add(vectors[:200])
    for one in (alone, other):
        one.remove(range(50))
    del alone, one
    index = open_index()
    for one in (index, other):
        one.add(vectors[200:])
        one.remove([60, 210])
    expect_same(index, other)
    for shard in range(3):
        assert pathlib.Path(shard_path(index._folder, shard) + ".journal").exists()
