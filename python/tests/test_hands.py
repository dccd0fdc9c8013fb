"""Members that people expect of an index: many labels, copies, matches, threads and progress of a call."""

from __future__ import annotations

import asyncio
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest
from conftest import Floats, make_index, make_vectors

import concord

# ------------------------------------------------------------------------------------------- vectors


def test_many_labels_give_many_vectors(index: concord.Index, vectors: Floats) -> None:
    wanted = [7, 3, 499, 3]
    for labels in (wanted, tuple(wanted), np.array(wanted), np.array(wanted, np.uint64)):
        found = index[labels]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, vectors[wanted])
    np.testing.assert_array_equal(index[range(500)], vectors)
    assert index[[]].shape == (0, 16)
    assert index[np.int64(3)].shape == index[np.array(3)].shape == (16,)
    with pytest.raises(concord.UnknownLabelError, match="500"):
        index[[1, 500]]
    with pytest.raises(KeyError):
        index[-1]
    wrong: tuple[Any, ...] = ([-1], [1.5], "a", 1.5, slice(1, 2), [[1]], None)
    for label in wrong:
        with pytest.raises(TypeError):
            index[label]
    part: Any = slice(1, 3)
    np.testing.assert_array_equal(index[index.labels()[part]], vectors[1:3])
    for use in (index.__getitem__, index.get, index.__delitem__, index.remove):
        with pytest.raises(concord.ArrayTypeError, match=r"slice is no label.*index\.labels\(\)\["):
            use(part)


def test_get_has_defaults(index: concord.Index, vectors: Floats) -> None:
    found = index.get(3)
    assert found is not None
    np.testing.assert_array_equal(found, vectors[3])
    assert index.get(500) is None and index.get(-1) is None and index.get(2**70, 5) == 5
    rows = index.get([3, 500, 4])
    np.testing.assert_array_equal(rows[[0, 2]], vectors[[3, 4]])
    assert np.isnan(rows[1]).all()
    assert (index.get([500], default=0) == 0).all()
    with pytest.raises(TypeError):
        index.get("a")  # type: ignore[arg-type]


def test_shards_and_maps_give_many_vectors(vectors: Floats, tmp_path: Any) -> None:
    sharded = concord.ShardedIndex(16, shards=3)
    sharded.add(vectors)
    np.testing.assert_array_equal(sharded[[499, 0]], vectors[[499, 0]])
    make_index(vectors).save(tmp_path / "x")
    np.testing.assert_array_equal(concord.Index.map(tmp_path / "x")[[499, 0]], vectors[[499, 0]])


def test_several_labels_are_deleted(index: concord.Index) -> None:
    del index[[1, 2]]
    del index[np.arange(3, 5)]
    del index[5]
    assert len(index) == 495 and index.labels()[:2].tolist() == [0, 6]


# ------------------------------------------------------------------------------- made, copied, cleared


def test_an_index_of_vectors(vectors: Floats) -> None:
    index = concord.Index.from_vectors(
        vectors, np.arange(500) + 9, "cosine", 8, 40, seed=3, epoch_limit=64, threads=1
    )
    expected = concord.Index(16, "cosine", 8, 40, seed=3, epoch_limit=64)
    expected.add(vectors, np.arange(500) + 9)
    assert index.digest() == expected.digest() and index.threads == 1
    assert concord.Index.from_vectors([1, 2, 3]).dim == 3
    assert concord.Index.from_vectors(vectors[:2].data).dim == 16

    class Own(concord.Index):
        pass

    class Named(concord.Index):
        shard = "of a user, whose class may have that name"

    assert type(Own.from_vectors(vectors)) is Own
    assert type(Named.from_vectors(vectors)) is Named
    with pytest.raises(concord.DimensionMismatchError):
        concord.Index.from_vectors(vectors, [1, 2])
    with pytest.raises(concord.ArrayTypeError):
        concord.Index.from_vectors("abc")  # type: ignore[arg-type]
    with pytest.raises(concord.UnsupportedError, match="ShardedIndex"):
        concord.ShardedIndex.from_vectors(vectors)


def test_a_copy_is_another_index(index: concord.Index) -> None:
    index.threads = 1
    index.tune(0.9, 3)
    twin = index.copy()
    assert (twin.digest(), twin.threads) == (index.digest(), 1)
    assert twin.presets() == index.presets() != []
    twin.remove([1])
    assert 1 in index and 1 not in twin


def test_clearing_is_removing_all(index: concord.Index, vectors: Floats, tmp_path: Any) -> None:
    other = make_index(vectors)
    other.remove(other.labels())
    other.flush()
    before = index.memory().total
    assert index.clear() == 500
    assert len(index) == 0 and index.clear() == 0
    assert index.digest() == other.digest() and index.memory().total < before
    assert index.add(vectors) == 500 and index.labels()[0] == 500
    assert index.audit().ok
    path = tmp_path / "journal"
    durable = concord.Index.open(path, 16)
    durable.add(vectors)
    durable.clear()
    digest = durable.digest()
    del durable
    assert concord.Index.open(path).digest() == digest
    index.save(tmp_path / "x")
    with pytest.raises(concord.UnsupportedError):
        concord.Index.map(tmp_path / "x").clear()


# ------------------------------------------------------------------------------------------- matches


def test_matches_are_a_pair_of_arrays(index: concord.Index, vectors: Floats) -> None:
    found = index.search(vectors[:3], k=4)
    labels, distances = found
    assert isinstance(found, tuple) and len(found) == 2
    assert found.labels is labels and found.distances is distances
    assert isinstance(pickle.loads(pickle.dumps(found)), concord.Matches)
    for answer in (
        index.search(vectors[:3], filter=[1, 2]),
        index.exact_search(vectors[:3]),
        index.exact_search(vectors[:3], filter=[1, 2]),
        next(index.cursor(vectors[0])),
        concord.exact_knn(vectors, vectors[:3]),
        index.search(vectors[:1], 1, out=(np.empty((1, 1), "i8"), np.empty((1, 1), "f4"))),
    ):
        assert type(answer) is concord.Matches


def test_matches_can_be_listed(index: concord.Index, vectors: Floats) -> None:
    small = make_index(vectors[:3])
    one = small.search(vectors[0], k=5)
    assert one.to_list() == list(
        zip(one.labels[:3].tolist(), one.distances[:3].tolist(), strict=True)
    )
    many = small.search(vectors[:2], k=5)
    assert many.to_list() == [small.search(vectors[i], k=5).to_list() for i in range(2)]
    assert [found.to_list() for found in many.each()] == many.to_list()
    assert [found.to_list() for found in one.each()] == [one.to_list()]
    huge = concord.Index.from_vectors(vectors[:2], labels=[2**63, 2**64 - 2])
    assert huge.search(vectors[1], k=3).to_list()[0] == (2**64 - 2, 0.0)
    assert len(huge.search(vectors[1], k=3).to_list()) == 2


def test_matches_with_vectors_can_be_listed(vectors: Floats) -> None:
    small = make_index(vectors[:3])
    one = small.search(vectors[0], k=5, return_vectors=True)
    assert [(label, distance) for label, distance, _ in one.to_list()] == small.search(
        vectors[0], k=5
    ).to_list()
    for label, _, vector in one.to_list():
        np.testing.assert_array_equal(vector, vectors[label])
    many = small.search(vectors[:2], k=5, return_vectors=True)
    for found, query in zip(many.each(), vectors[:2], strict=True):
        expected = small.search(query, k=5, return_vectors=True)
        assert all(map(np.array_equal, found[:2], expected[:2]))
        np.testing.assert_array_equal(found.vectors, expected.vectors)
    assert [len(pairs) for pairs in many.to_list()] == [3, 3]
    assert [found.labels is one.labels for found in one.each()] == [True]


def test_matches_do_not_leak() -> None:
    import gc
    import sys

    index = make_index(make_vectors(50))
    query = make_vectors(1)
    before = sys.getrefcount(concord.Matches)
    for _ in range(200):
        index.search(query)
    gc.collect()
    assert abs(sys.getrefcount(concord.Matches) - before) < 20


def test_vectors_come_along(index: concord.Index, vectors: Floats) -> None:
    labels, distances, found = index.search(vectors[:4], k=6, return_vectors=True)
    np.testing.assert_array_equal(found, vectors[labels])
    assert distances.shape == (4, 6)
    one = index.search(vectors[0], k=600, return_vectors=True)
    assert type(one) is concord.MatchesWithVectors and one.vectors.shape == (600, 16)
    assert np.isnan(one.vectors[500:]).all() and not np.isnan(one.vectors[:500]).any()
    filtered = index.search(vectors[0], k=3, filter=[4, 5], return_vectors=True)
    np.testing.assert_array_equal(filtered.vectors[:2], vectors[filtered.labels[:2]])
    assert np.isnan(filtered.vectors[2]).all()
    sharded = concord.ShardedIndex(16, shards=2)
    sharded.add(vectors)
    whole = sharded.search(vectors[:2], k=1, return_vectors=True)
    np.testing.assert_array_equal(whole.vectors[:, 0], vectors[:2])


# ----------------------------------------------------------------------------------- threads, progress


def test_threads_of_a_call_change_no_answer(vectors: Floats) -> None:
    plain = make_index(vectors, threads=3)
    limited = concord.Index(16, "l2sq", 8, 40, epoch_limit=64, threads=3)
    limited.add(vectors, threads=1)
    assert limited.digest() == plain.digest() and limited.threads == 3
    for threads in (0, 1, 2, 64):
        for a, b in (
            (plain.search(vectors), plain.search(vectors, threads=threads)),
            (
                plain.search(vectors, filter=slice(9)),
                plain.search(vectors, filter=slice(9), threads=threads),
            ),
            (plain.exact_search(vectors), plain.exact_search(vectors, threads=threads)),
            (plain.range_search(vectors, 9.0), plain.range_search(vectors, 9.0, threads=threads)),
        ):
            assert all(map(np.array_equal, a, b))
    wrong: tuple[Any, ...] = (-1, 1025, 2**40, "1", 1.5)
    for threads in wrong:
        with pytest.raises((concord.InvalidParameterError, TypeError)):
            plain.search(vectors, threads=threads)
    assert plain.threads == 3


def test_threads_of_changes_leave_the_same_index(vectors: Floats) -> None:
    def changed(**limit: Any) -> concord.Index:
        index = make_index(vectors, threads=3)
        index.update(vectors[:50] + 1, np.arange(50), **limit)
        index.upsert(vectors[:9], np.arange(495, 504), **limit)
        index.remove(np.arange(60, 200), **limit)
        index.flush(**limit)
        index.tune(0.9, 3, **limit)
        return index

    expected = changed()
    for threads in (None, 0, 1, 2):
        index = changed(threads=threads)
        assert index.digest() == expected.digest() and index.threads == 3
        assert index.presets() == expected.presets()
    wrong: Any
    for wrong in (-1, 1025, "1"):
        for change in (
            lambda: expected.update(vectors[:1], [1], threads=wrong),  # noqa: B023
            lambda: expected.upsert(vectors[:1], [1], threads=wrong),  # noqa: B023
            lambda: expected.remove([1], threads=wrong),  # noqa: B023
            lambda: expected.flush(threads=wrong),  # noqa: B023
            lambda: expected.tune(threads=wrong),  # noqa: B023
        ):
            with pytest.raises((concord.InvalidParameterError, TypeError)):
                change()
    assert expected.digest() == index.digest()


def processor_share(work: Any) -> float:
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return (time.process_time() - processor) / (time.perf_counter() - wall)


def test_one_thread_is_one() -> None:
    X = make_vectors(3000, 64)
    index = concord.Index(64, threads=4)
    index.add(X)
    for work in (
        lambda: index.exact_search(X, threads=1),
        lambda: index.search(X, threads=1),
        lambda: concord.Index(64, threads=4).add(X, threads=1),
    ):
        assert processor_share(work) < 1.1


SEARCHES = {
    "search": lambda index, X, progress: index.search(X, 3, 200, progress=progress),
    "filtered": lambda index, X, progress: index.search(
        X, 3, 200, filter=slice(2900), progress=progress
    ),
    "exact": lambda index, X, progress: index.exact_search(X, 3, progress=progress),
    "exact, filtered": lambda index, X, progress: index.exact_search(
        X, 3, filter=slice(2900), progress=progress
    ),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_long_searches_report_and_stop(name: str) -> None:
    X = make_vectors(6000, 64)
    index = make_index(X[:3000], threads=1)
    search: Any = SEARCHES[name]
    calls: list[tuple[int, int]] = []
    whole = search(index, X, lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls) and calls[-1] == (6000, 6000) and len(calls) > 1
    reached: list[int] = []

    def stop(done: int, total: int) -> bool:
        reached.append(done)
        return False

    stopped = search(index, X, stop)
    left = stopped.labels[:, 0] == concord.NO_LABEL
    first_left = int(np.argmax(left))
    assert len(reached) == 1 and 0 < reached[0] <= first_left < 6000 and left[first_left:].all()
    assert (stopped.labels[first_left:] == concord.NO_LABEL).all()
    assert np.isinf(stopped.distances[first_left:]).all()
    np.testing.assert_array_equal(stopped.labels[:first_left], whole.labels[:first_left])
    with pytest.raises(ZeroDivisionError):
        search(index, X, lambda done, total: 1 / 0)
    with pytest.raises(TypeError, match="progress"):
        search(index, X, 3)


def test_range_searches_report_and_stop() -> None:
    X = make_vectors(6000, 64)
    index = make_index(X[:3000], threads=1)
    calls: list[tuple[int, int]] = []
    whole = index.range_search(X, 60.0, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (6000, 6000) and len(calls) > 1
    lims, labels, _ = index.range_search(X, 60.0, progress=lambda done, total: False)
    assert lims.shape == (6001,) and 0 < lims[-1] == len(labels) < len(whole[1])
    done = int(np.argmax(lims == lims[-1]))
    assert 0 < done < 6000
    np.testing.assert_array_equal(lims[: done + 1], whole[0][: done + 1])
    np.testing.assert_array_equal(labels, whole[1][: len(labels)])


def test_a_bar_counts_queries(capsys: pytest.CaptureFixture[str]) -> None:
    X = make_vectors(500, 64)
    make_index(X).search(X, progress=True)
    assert "500/500" in capsys.readouterr().err.replace(".00", "")


# ------------------------------------------------------------------------------------------- asyncio


async def test_awaited_calls_do_what_the_others_do(index: concord.Index, vectors: Floats) -> None:
    for a, b in (
        (await index.asearch(vectors, 3), index.search(vectors, 3)),
        (
            await index.asearch(vectors[:2], 3, 50, slack=0.1, filter=slice(40), threads=1),
            index.search(vectors[:2], 3, 50, slack=0.1, filter=slice(40)),
        ),
        (await index.aexact_search(vectors, 3), index.exact_search(vectors, 3)),
        (await index.arange_search(vectors, 9.0), index.range_search(vectors, 9.0)),
    ):
        assert all(map(np.array_equal, a, b))
    assert await index.aadd(vectors[:2], [1000, 1001], threads=1) == 2
    assert len(index) == 502
    with pytest.raises(concord.DuplicateLabelError):
        await index.aadd(vectors[:1], [1000])
    with pytest.raises(concord.InvalidParameterError):
        await index.asearch(vectors, -1)


async def test_the_loop_goes_on_while_an_index_searches() -> None:
    X = make_vectors(5000, 64)
    index = make_index(X, threads=1)
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    await index.aexact_search(X, 3)
    ticking.cancel()
    assert ticks > 5


async def test_what_is_cancelled_stops() -> None:
    X = make_vectors(30_000, 64)
    index = make_index(X[:3000], threads=1)
    searching = asyncio.create_task(index.aexact_search(np.tile(X, (4, 1)), 3))
    await asyncio.sleep(0.1)
    before = index.stats().search.queries
    assert before < 120_000
    searching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await searching
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        queries = index.stats().search.queries
        await asyncio.sleep(0.3)
        if index.stats().search.queries == queries:
            break
    assert index.stats().search.queries < 120_000
    adding = asyncio.create_task(index.aadd(X))
    await asyncio.sleep(0.1)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    await asyncio.to_thread(index.add, X[:1], [10**9])  # its turn comes when the other has ended
    assert index.audit().ok and len(index) < 33_001


def test_awaited_searches_of_many_threads() -> None:
    vectors = make_vectors(500)
    index = make_index(vectors)
    expected = index.search(vectors[:5], 3)
    failures: list[BaseException] = []

    def work() -> None:
        async def several() -> None:
            answers = await asyncio.gather(*(index.asearch(vectors[:5], 3) for _ in range(20)))
            for answer in answers:
                assert all(map(np.array_equal, answer, expected))

        try:
            asyncio.run(several())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_reports_and_indexes_show_themselves(index: concord.Index) -> None:
    for shown, words in (
        (index, ("concord.Index", "vectors", "500")),
        (index.stats(), ("Stats", "search.queries")),
        (index.audit(), ("AuditReport", "unreachable")),
        (index.memory(), ("MemoryUse", "total")),
    ):
        page = shown._repr_html_()
        assert page.startswith("<table>") and all(word in page for word in words)
    lines = dict(line.split(maxsplit=1) for line in str(index.stats()).splitlines())
    assert lines["size"] == "500" and lines["insertions"] == "500" and "search.queries" in lines
