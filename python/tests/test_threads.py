"""Many Python threads on one index: answers are those of some moment, additions take turns."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from conftest import make_index, make_vectors

import concord


def run_together(work: list[Callable[[], object]]) -> None:
    start = threading.Barrier(len(work))

    def run(task: Callable[[], object]) -> None:
        start.wait()
        task()

    with ThreadPoolExecutor(len(work)) as pool:
        for future in [pool.submit(run, task) for task in work]:
            future.result()


def test_searches_beside_one_another_agree() -> None:
    vectors = make_vectors(2000)
    index = make_index(vectors)
    expected = index.search(vectors[:200], k=5)

    def search() -> None:
        for i in range(20):
            part = slice(10 * i, 10 * i + 10)
            np.testing.assert_array_equal(index.search(vectors[part], k=5)[0], expected[0][part])
            np.testing.assert_array_equal(index.search(vectors[i], k=5)[1], expected[1][i])

    run_together([search] * 6)
    assert index.stats().search.queries == 200 + 6 * 20 * 11


def test_additions_and_everything_else_take_turns() -> None:
    vectors = make_vectors(1200)
    index = concord.Index(16, M=8, ef_construction=40, epoch_limit=64, threads=2)
    index.add(vectors[:200])
    done = threading.Event()

    def add() -> None:
        try:
            for first in range(200, 1200, 25):
                index.add(vectors[first : first + 25])
        finally:
            done.set()

    def search() -> None:
        while not done.is_set():
            before = len(index)
            labels, distances = index.search(vectors[:20], k=3)
            assert before <= len(index)
            assert (labels[:, 0] == np.arange(20)).all() and (labels < 1200).all()
            assert (np.diff(distances, axis=1) >= 0).all()

    def inspect() -> None:
        while not done.is_set():
            size = len(index)
            assert index.stats().size >= size
            assert len(index.labels()) >= size
            assert index.audit().ok
            assert index.memory().total > 0
            assert 5 in index and index[5].shape == (16,)

    def change_runtime() -> None:
        while not done.is_set():
            with index.using(threads=1):
                pass

    run_together([add, search, search, inspect, change_runtime])
    assert index.digest() == make_index(vectors).digest()


def test_searches_do_not_wait_for_an_addition() -> None:
    vectors = make_vectors(6000)
    index = concord.Index(16, M=8, ef_construction=40, epoch_limit=64, threads=2)
    index.add(vectors[:500])
    under_way, searched = threading.Event(), threading.Event()

    def progress(done: int, total: int) -> bool:
        if done > 0:
            under_way.set()
            assert searched.wait(60)
        return True

    with ThreadPoolExecutor(1) as pool:
        addition = pool.submit(index.add, vectors[500:], progress=progress)
        assert under_way.wait(60)
        size = len(index)
        labels, distances = index.search(vectors[:50], k=1, ef=100)
        assert 500 < size < 6000
        assert (distances[:, 0] == 0).all() and (labels[:, 0] == np.arange(50)).all()
        assert 0 in index and index.labels().size >= size
        searched.set()
        assert addition.result() == 5500


def test_the_gil_is_free_during_long_work() -> None:
    # Were it held, the callable of the one addition could not wait for that of the other.
    both = threading.Barrier(2)

    def add() -> None:
        met = False

        def meet(done: int, total: int) -> None:
            nonlocal met
            if not met:
                both.wait()
                met = True

        concord.Index(16, threads=1).add(make_vectors(3000), progress=meet)
        assert met

    run_together([add, add])


@pytest.mark.parametrize("use", ["contains", "vector", "search", "exact_search"])
def test_the_gil_is_free_while_a_mapped_file_is_checked(tmp_path: Path, use: str) -> None:
    vectors = make_vectors(1500, 2000)
    index = concord.Index(2000, M=4, ef_construction=10, threads=1)
    index.add(vectors)
    index.save(tmp_path / "index.concord")
    uses: dict[str, Callable[[concord.Index], object]] = {
        "contains": lambda mapped: 3 in mapped,
        "vector": lambda mapped: mapped[3],
        "search": lambda mapped: mapped.search(vectors[3], k=1, ef=1),
        "exact_search": lambda mapped: mapped.exact_search(vectors[3], k=1),
    }

    def is_free() -> bool:
        mapped = concord.Index.map(tmp_path / "index.concord", threads=1)
        clock: int | None = None
        span: list[float] = []

        def work() -> None:
            nonlocal clock
            clock = time.pthread_getcpuclockid(threading.get_ident())
            begin = time.thread_time()
            uses[use](mapped)
            span.extend((begin, time.thread_time()))

        # This thread looks at how far the other has come. Where the other keeps the GIL, it is seen
        # before its work and after it, never in the middle.
        seen = []
        with ThreadPoolExecutor(1) as pool:
            task = pool.submit(work)
            while not task.done():
                if clock is not None:
                    seen.append(time.clock_gettime(clock))
            task.result()
        length = span[1] - span[0]
        return any(span[0] + length / 4 < t < span[1] - length / 4 for t in seen)

    assert any(is_free() for _ in range(50))


def test_two_additions_do_not_mix() -> None:
    vectors = make_vectors(600)
    index = concord.Index(16, M=8, ef_construction=40, epoch_limit=64)
    run_together(
        [
            lambda: index.add(vectors[:300], labels=range(300)),
            lambda: index.add(vectors[300:], labels=range(300, 600)),
        ]
    )
    order = list(index)
    assert order in ([*range(600)], [*range(300, 600), *range(300)])
    assert index.audit().ok
