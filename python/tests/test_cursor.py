"""Cursors: pages in Python, what they refuse, threads and lifetimes."""

from __future__ import annotations

import gc
import math
import threading
from typing import Any

import numpy as np
import pytest
from conftest import Floats

import concord


@pytest.fixture
def vectors() -> Any:
    return np.random.default_rng(1).normal(size=(700, 16)).astype(np.float32)


@pytest.fixture
def index(vectors: Floats) -> concord.Index:
    made = concord.Index(dim=16, M=8, ef_construction=60)
    made.add(vectors)
    return made


def test_pages_are_those_of_the_larger_search(index: concord.Index, vectors: Floats) -> None:
    cursor = index.cursor(vectors[3] + 0.1, ef=20)
    given: list[int] = []
    for k in (10, 1, 25, 7):
        labels, distances = cursor.next(k)
        total = len(given) + k
        larger, far = index.search(vectors[3] + 0.1, k=total, ef=20 + total)
        assert labels.dtype == np.int64
        assert distances.dtype == np.float32
        if set(given) <= set(larger):
            new = ~np.isin(larger, given)
            assert labels.tolist() == larger[new][:k].tolist()
            assert distances.tolist() == far[new][:k].tolist()
        given += labels.tolist()
        assert cursor.given == len(given)
    assert len(set(given)) == len(given)


def test_iterating_gives_each_vector_once(index: concord.Index, vectors: Floats) -> None:
    pages = [labels for labels, _ in index.cursor(vectors[0], k=64, ef=10)]
    assert [len(page) for page in pages] == [64] * 10 + [60]
    assert sorted(np.concatenate(pages).tolist()) == list(range(700))
    cursor = index.cursor(vectors[0], k=700)
    assert len(cursor.next()[0]) == 700
    assert len(cursor.next()[0]) == 0
    assert list(cursor) == []
    assert repr(cursor) == "concord.Cursor(700 vectors given)"


@pytest.mark.parametrize("slack", [math.inf, 0.1])
def test_of_a_filter_gives_every_match(index: concord.Index, vectors: Floats, slack: float) -> None:
    mask = np.arange(700) % 3 == 0
    for which in (mask, index.filter(mask), np.flatnonzero(mask)):
        found = [labels for labels, _ in index.cursor(vectors[5], k=50, slack=slack, filter=which)]
        assert sorted(np.concatenate(found).tolist()) == list(range(0, 700, 3))


def test_beside_changes_gives_what_is_left(index: concord.Index, vectors: Floats) -> None:
    cursor = index.cursor(vectors[0], k=30)
    given = set(cursor.next()[0].tolist())
    gone = set(range(0, 700, 2)) - given
    index.remove(sorted(gone))
    index.flush()
    index.add(vectors[:50])
    rest = np.concatenate([labels for labels, _ in cursor]).tolist()
    assert sorted(rest) == sorted(set(range(700)) - gone - given)


def test_keeps_its_index_alive_and_takes_labels_of_all_sizes(vectors: Floats) -> None:
    index = concord.Index(dim=16)
    index.add(vectors[:3], labels=np.array([2**64 - 2, 5, 2**63], np.uint64))
    cursor = index.cursor(vectors[0])
    del index
    gc.collect()
    labels, distances = cursor.next(1)
    assert labels.dtype == np.uint64
    assert labels.tolist() == [2**64 - 2]
    assert distances[0] == 0
    assert sorted(cursor.next()[0].tolist()) == [5, 2**63]


def test_refuses_what_does_not_fit(index: concord.Index, vectors: Floats) -> None:
    with pytest.raises(concord.DimensionMismatchError, match="a cursor has one"):
        index.cursor(vectors[:2])
    with pytest.raises(concord.DimensionMismatchError):
        index.cursor(vectors[0, :5])
    with pytest.raises(concord.InvalidVectorError):
        index.cursor(np.full(16, np.nan, np.float32))
    with pytest.raises(concord.InvalidParameterError, match="ef is 0"):
        index.cursor(vectors[0], ef=0)
    with pytest.raises(concord.InvalidParameterError, match="k is 0"):
        index.cursor(vectors[0], k=0)
    with pytest.raises(TypeError):
        index.cursor(vectors[0], k=1.5)  # type: ignore[arg-type]
    cursor = index.cursor(vectors[0])
    with pytest.raises(concord.InvalidParameterError, match="k is 65537"):
        cursor.next(65537)
    with pytest.raises(TypeError):
        cursor.next("ten")  # type: ignore[arg-type]
    assert len(cursor.next()[0]) == 10
    other = concord.Index(dim=16)
    other.add(vectors)
    with pytest.raises(concord.InvalidParameterError, match="another index"):
        index.cursor(vectors[0], filter=other.filter(slice(0, 5)))
    with pytest.raises(TypeError, match=r"made by Index\.cursor"):
        concord.Cursor(None, 10)  # type: ignore[arg-type]


def test_threads_take_turns_at_one_cursor(index: concord.Index, vectors: Floats) -> None:
    cursor = index.cursor(vectors[0], k=7)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.extend(labels for labels, _ in cursor))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(np.concatenate(found).tolist()) == list(range(700))
