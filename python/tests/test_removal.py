"""Removal and replacement: any labels, whole or not at all, beside searches, and kept in files."""

from __future__ import annotations

import array
import io
import os
import pickle
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from conftest import Floats, make_index, make_vectors

import concord


def test_a_round_trip(index: concord.Index, vectors: Floats) -> None:
    assert index.remove([3, 1, 4]) == 3
    assert len(index) == 497 and 3 not in index and 2 in index
    assert index.exact_search(vectors[3], k=1)[0][0] != 3
    assert index.update(vectors[3:5], [7, 9]) == 2
    assert index.search(vectors[3], k=1, ef=100)[0].tolist() == [7]
    assert index.labels()[-2:].tolist() == [7, 9]
    assert index.upsert(vectors[:3], [0, 1, 900]) == 3  # there, removed, never there
    np.testing.assert_array_equal(index[900], vectors[2])
    del index[900]
    assert len(index) == 498 and 900 not in index
    assert index.add(vectors[:1] + 1) == 1
    assert index.labels()[-1] == 505  # so many were inserted before
    assert index.audit().ok


@pytest.mark.parametrize(
    "labels",
    [
        [5, 3],
        (5, 3),
        range(5, 1, -2),
        np.array([5, 3]),
        np.array([5, 3], np.int8),
        np.array([5, 4, 3], np.uint64)[::2],
        array.array("q", [5, 3]),
        pd.Series([5, 3]),
        [np.uint64(5), np.int8(3)],
    ],
)
def test_forms_of_labels(vectors: Floats, labels: Any) -> None:
    index, other = make_index(vectors), make_index(vectors)
    for one in (5, np.uint8(3)):  # a number is one label
        assert other.remove(one) == 1
    assert index.remove(labels) == 2
    assert index.digest() == other.digest() and len(index) == 498
    assert index.upsert(vectors[:2], labels) == 2
    assert other.upsert(vectors[0], 5) + other.upsert(vectors[1], 3) == 2
    assert index.update(vectors[1:3], labels) == 2
    assert other.update(vectors[1], 5) + other.update(vectors[2], 3) == 2
    assert index.digest() == other.digest() and len(index) == 500


def test_nothing_is_nothing(index: concord.Index) -> None:
    before = index.digest()
    assert index.remove([]) == index.update([], []) == index.upsert([], []) == 0
    index.flush()
    assert index.digest() == before


ONE = np.zeros((1, 16), np.float32)
WRONG: list[tuple[Callable[[concord.Index], object], type[Exception], str]] = [
    (lambda i: i.remove([2, 500]), concord.UnknownLabelError, "500, number 1 of the call"),
    (lambda i: i.remove([2, 3, 2]), concord.DuplicateLabelError, "label 2 stands twice"),
    (lambda i: i.remove([*range(500), 3]), concord.DuplicateLabelError, "label 3 stands twice"),
    (lambda i: i.remove([*range(400), 500]), concord.UnknownLabelError, "number 400"),
    (lambda i: i.remove(2.0), concord.ArrayTypeError, "allowed are integers"),  # type: ignore[arg-type]
    (lambda i: i.remove(True), concord.ArrayTypeError, "allowed are integers"),
    (lambda i: i.remove([True]), concord.ArrayTypeError, "booleans are no labels"),
    (lambda i: i.remove([0, -1]), concord.ArrayTypeError, "allowed are integers"),
    (lambda i: i.remove(2**64 - 1), concord.ArrayTypeError, "allowed are integers"),
    (lambda i: i.remove({1, 2}), concord.ArrayTypeError, "allowed are integers"),  # type: ignore[arg-type]
    (lambda i: i.remove([[1, 2]]), concord.ArrayTypeError, "allowed are integers"),  # type: ignore[list-item]
    (lambda i: i.remove(None), concord.ArrayTypeError, "allowed are integers"),  # type: ignore[arg-type]
    (lambda i: i.remove("2"), concord.ArrayTypeError, "allowed are integers"),  # type: ignore[arg-type]
    (lambda i: i.__delitem__(500), KeyError, "no vector has label 500"),
    (lambda i: i.__delitem__(-1), KeyError, "no vector has label -1"),
    (lambda i: i.__delitem__("2"), TypeError, "integer"),  # type: ignore[arg-type]
    (lambda i: i.update(ONE, [500]), concord.UnknownLabelError, "500, number 0 of the call"),
    (lambda i: i.update(ONE, None), concord.ArrayTypeError, "allowed are"),  # type: ignore[arg-type]
    (lambda i: i.update(ONE, [1, 2]), concord.DimensionMismatchError, "2 labels for 1 vec"),
    (lambda i: i.update(ONE, []), concord.DimensionMismatchError, "0 labels for 1 vec"),
    (lambda i: i.update(ONE[:, :3], [1]), concord.DimensionMismatchError, "3 columns"),
    (lambda i: i.update(ONE.astype("f8")[:, :3], [1]), concord.DimensionMismatchError, "3 columns"),
    (lambda i: i.update(ONE.astype("i8"), [1]), concord.ArrayTypeError, "int64; allowed are"),
    (lambda i: i.update(ONE * np.nan, [1]), concord.InvalidVectorError, "vector 0"),
    (
        lambda i: i.upsert([[0.0] * 16] * 2, [600, 600]),
        concord.DuplicateLabelError,
        "600",
    ),
    (lambda i: i.upsert([[0.0] * 16] * 2, [1, 1]), concord.DuplicateLabelError, "label 1 "),
    (lambda i: i.upsert(ONE + np.inf, [2**63]), concord.InvalidVectorError, "vector 0"),
    (lambda i: i.upsert(ONE, [1], progress=3), TypeError, "progress must be"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "kind", "words"), WRONG)
def test_what_is_refused_changes_nothing(
    index: concord.Index,
    call: Callable[[concord.Index], object],
    kind: type[Exception],
    words: str,
) -> None:
    before = index.digest()
    with pytest.raises(kind, match=words):
        call(index)
    assert index.digest() == before and len(index) == 500
    assert index.labels().dtype == np.int64
    assert index.remove([1, 2]) == 2 and index.audit().ok


class OnDevice:
    """An array that says it is in CUDA memory."""

    def __init__(self) -> None:
        self.__cuda_array_interface__ = {
            "shape": (1, 16),
            "typestr": "<f4",
            "data": (0x7F0000000000, False),
            "version": 3,
            "stream": 1,
        }


@pytest.mark.skipif(concord.built_with_cuda, reason="for builds that cannot read such arrays")
def test_replacements_in_device_memory_need_a_device(index: concord.Index) -> None:
    before = index.digest()
    for change in (index.update, index.upsert):
        with pytest.raises(concord.UnsupportedError, match="device"):
            change(OnDevice(), [1])
    assert index.digest() == before
    shards = concord.ShardedIndex(dim=16, shards=2)
    shards.add(np.zeros((3, 16)))
    with pytest.raises(concord.UnsupportedError, match="host memory only"):
        shards.update(OnDevice(), [1])


@pytest.mark.parametrize("dtype", ["f8", "f2", "i1", "u1"])
def test_other_types_and_layouts(dtype: str) -> None:
    vectors = np.abs(make_vectors(5000, 64) * 20).astype(dtype)  # more than a buffer of floats
    labels = np.arange(5000)
    index = concord.Index(64, M=2, ef_construction=1, threads=2)
    other = concord.Index(64, M=2, ef_construction=1, threads=2)
    for one in (index, other):
        one.add(np.zeros((1, 64), np.float32))
    assert index.upsert(np.asfortranarray(vectors), labels) == 5000
    other.upsert(vectors.astype(np.float32), labels)
    assert index.digest() == other.digest()


def test_a_call_equals_its_parts(vectors: Floats) -> None:
    index, other = make_index(vectors), make_index(vectors)
    labels = np.random.default_rng(2).permutation(500)[:400]
    assert index.remove(labels) == 400
    for label in labels:
        del other[label]
    assert index.digest() == other.digest()
    index.flush()
    assert index.stats().tombstones == 0


def test_reports_count_removals(index: concord.Index, vectors: Floats) -> None:
    index.remove(range(10))
    index.update(vectors[:5], range(10, 15))
    stats = index.stats()
    assert (stats.size, stats.insertions, stats.removals) == (490, 505, 15)
    assert 0 < stats.tombstones <= 15
    assert sum(stats.level_histogram) == 490 + stats.tombstones
    index.flush()
    after = index.stats()
    assert after.tombstones == 0 and after.build.repair.count == 15
    assert "removals                    15" in str(after).splitlines()
    assert index.memory().total == sum(vars(index.memory()).values())


def file_of(index: concord.Index) -> concord.Index:
    file = io.BytesIO()
    index.save(file)
    return concord.load(io.BytesIO(file.getvalue()))


@pytest.mark.parametrize("keep", [file_of, lambda index: pickle.loads(pickle.dumps(index))])
@pytest.mark.parametrize("flushed", [False, True])
def test_an_index_in_which_vectors_died_is_kept(
    vectors: Floats, keep: Callable[[concord.Index], concord.Index], flushed: bool
) -> None:
    index = make_index(vectors)
    index.remove(range(0, 60, 2))
    if flushed:
        index.flush()
    kept = keep(index)
    assert kept.digest() == index.digest() and len(kept) == 470
    assert kept.labels().tolist() == index.labels().tolist()
    for one in (index, kept):  # goes on as if it had not been kept
        one.upsert(vectors[:20], range(20))
        one.remove(range(100, 200))
        one.add(vectors[:50] + 1)
    assert kept.digest() == index.digest()
    for mine, other in zip(kept.search(vectors[:50]), index.search(vectors[:50]), strict=True):
        np.testing.assert_array_equal(mine, other)
    assert kept.audit().ok


def test_a_mapped_index_only_reads(index: concord.Index, vectors: Floats, tmp_path: Path) -> None:
    index.remove(range(30))
    index.save(tmp_path / "index")
    mapped = concord.Index.map(tmp_path / "index")
    assert mapped.labels().tolist() == index.labels().tolist()
    changes: list[Callable[[], object]] = [
        lambda: mapped.remove([50]),
        lambda: mapped.remove(range(30, 500)),
        lambda: mapped.remove([]),
        lambda: mapped.update(vectors[:1], [50]),
        lambda: mapped.upsert(vectors[:1], [50]),
        lambda: mapped.__delitem__(50),
        mapped.flush,
    ]
    for change in changes:
        with pytest.raises(concord.UnsupportedError):
            change()
    assert mapped.digest() == index.digest()


def test_a_shard_can_only_be_read(vectors: Floats) -> None:
    whole = concord.ShardedIndex(16, shards=2)
    whole.add(vectors[:20])
    shard = whole.shard(0)
    for name, arguments in {
        "remove": ([1],),
        "update": (ONE, [1]),
        "upsert": (ONE, [1]),
        "flush": (),
    }.items():
        with pytest.raises(concord.UnsupportedError, match="shard"):
            getattr(shard, name)(*arguments)
    assert len(whole) == 20 and len(shard) == 10
    del whole[0]
    assert len(whole) == 19 and len(shard) == 9


def test_labels_beyond_int64(index: concord.Index, vectors: Floats) -> None:
    index.upsert(vectors[:1], [2**63])
    assert index.labels().dtype == np.uint64
    del index[2**63]
    assert 2**63 not in index
    assert pickle.loads(pickle.dumps(index)).labels().dtype == np.int64


def test_progress_cancels_a_replacement(vectors: Floats) -> None:
    index, calls = make_index(make_vectors(3000)), []

    def progress(done: int, total: int) -> bool:
        calls.append(total)
        return done < 500

    replaced = index.update(make_vectors(3000, seed=2), range(3000), progress=progress)
    assert 500 <= replaced < 3000 and set(calls) == {3000}
    assert index.labels().tolist() == [*range(replaced, 3000), *range(replaced)]
    assert index.audit().ok


def test_ctrl_c_stops_a_removal() -> None:
    vectors = make_vectors(6000, 64)
    index = make_index(vectors)
    twin = pickle.loads(pickle.dumps(index))
    order = np.random.default_rng(3).permutation(6000)

    def press() -> None:
        while len(index) == 6000:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=press)
    try:
        with pytest.raises(KeyboardInterrupt):
            thread.start()
            index.remove(order)
            thread.join()
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    removed = 6000 - len(index)
    assert 0 < removed < 6000
    assert sorted(order[removed:].tolist()) == index.labels().tolist()
    index.remove(order[removed:])
    twin.remove(order)
    assert index.digest() == twin.digest() and len(index) == 0


def test_changes_in_a_callback_are_refused() -> None:
    index = concord.Index(16)
    index.add(make_vectors(10))
    refused: list[str] = []

    def meddle(done: int, total: int) -> None:
        changes: list[Callable[[], object]] = [
            lambda: index.remove([1]),
            lambda: index.update(ONE, [1]),
            lambda: index.upsert(ONE, [1]),
            index.flush,
        ]
        for change in changes:
            with pytest.raises(concord.BusyError) as raised:
                change()
            refused.append(str(raised.value))

    index.upsert(make_vectors(2000), range(2000), progress=meddle)
    assert refused and all("in this very thread" in words for words in refused)
    assert len(index) == 2000 and index.audit().ok


def test_searches_beside_a_thread_that_removes() -> None:
    vectors = make_vectors(3000)
    index = make_index(vectors)
    kept = np.arange(0, 3000, 10)
    passing = np.setdiff1d(np.arange(3000), kept)
    done, errors = threading.Event(), []
    gone = -1  # the last of `passing` of which it is known that it is removed

    def search() -> None:
        try:
            while not done.is_set():
                before = gone
                labels, distances = index.search(vectors[kept[:40]], k=5, ef=60)
                assert (np.diff(distances, axis=1) >= 0).all()
                assert (labels != concord.NO_LABEL).all()
                assert not np.isin(labels, passing[: before + 1]).any()
                assert (labels[:, 0] == kept[:40]).mean() > 0.9
                assert index.audit().ok and len(index) >= len(kept)
                labels, _ = index.exact_search(vectors[kept[:10]], k=1)
                assert labels[:, 0].tolist() == kept[:10].tolist()
        except BaseException as error:
            errors.append(error)

    searchers = [threading.Thread(target=search) for _ in range(2)]
    for thread in searchers:
        thread.start()
    try:
        for last, label in enumerate(passing):
            del index[label]
            gone = last
    finally:
        done.set()
        for thread in searchers:
            thread.join()
    assert not errors
    assert index.labels().tolist() == kept.tolist() and index.audit().ok


def test_a_search_beside_updates_sees_one_of_the_two() -> None:
    vectors = make_vectors(300)
    index = make_index(vectors)
    done, errors = threading.Event(), []

    def search() -> None:
        try:
            while not done.is_set():
                labels, _ = index.exact_search(vectors[:3], k=300)
                for row in labels:
                    assert sorted(row.tolist()) == [*range(300)]
        except BaseException as error:
            errors.append(error)

    searcher = threading.Thread(target=search)
    searcher.start()
    try:
        for number in range(1, 150):
            index.update(vectors[:20] + np.float32(number % 5) / 100, range(20))
    finally:
        done.set()
        searcher.join()
    assert not errors
