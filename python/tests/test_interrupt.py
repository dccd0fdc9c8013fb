"""Progress, cancelling and Ctrl-C: what was committed stays, and the index is whole."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from conftest import Floats, make_vectors

import concord


def expect_a_prefix(index: concord.Index, vectors: Floats) -> None:
    """What the index holds is what adding that many vectors gives, and it goes on from there."""
    assert index.audit().ok
    prefix = concord.Index(index.dim)
    prefix.add(vectors[: len(index)])
    assert prefix.digest() == index.digest()
    more = vectors[len(index) : len(index) + 10]
    for one in (index, prefix):
        one.add(more)
    assert prefix.digest() == index.digest()


def test_a_callable_hears_how_far_it_is() -> None:
    calls: list[tuple[int, int]] = []
    vectors = make_vectors(3000)
    index = concord.Index(16)
    index.add(vectors[:10])
    assert index.add(vectors, progress=lambda done, total: calls.append((done, total))) == 3000
    assert calls == sorted(calls)
    assert calls[-1] == (3000, 3000)
    assert {total for _, total in calls} == {3000}


def test_false_cancels_and_keeps_what_was_committed() -> None:
    vectors = make_vectors(20_000, 64)
    index = concord.Index(64)
    added = index.add(vectors, progress=lambda done, total: done < 1000)
    assert added == len(index)
    assert 1000 <= added < 20_000
    expect_a_prefix(index, vectors)


def test_false_of_numpy_cancels_and_what_is_only_falsy_does_not() -> None:
    vectors = make_vectors(20_000, 64)
    index = concord.Index(64)
    limit = np.float32(1000)
    added = index.add(vectors, progress=lambda done, total: np.float32(done) < limit)
    assert 1000 <= added < 20_000
    falsies: tuple[object, ...] = (None, 0, "", [])
    for falsy in falsies:
        assert concord.Index(64).add(vectors[:3000], progress=lambda *_: falsy) == 3000  # noqa: B023


def test_what_a_callable_raises_comes_out() -> None:
    vectors = make_vectors(20_000, 64)
    index = concord.Index(64)

    def fail(done: int, total: int) -> None:
        if done >= 1000:
            raise ZeroDivisionError("in progress")

    with pytest.raises(ZeroDivisionError, match="in progress"):
        index.add(vectors, progress=fail)
    assert 1000 <= len(index) < 20_000
    expect_a_prefix(index, vectors)


def test_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    index = concord.Index(16)
    assert index.add(make_vectors(2000), progress=True) == 2000
    assert index.add(make_vectors(10), progress=False) == 10
    assert "2.00k/2.00k" in capsys.readouterr().err


@pytest.fixture
def ctrl_c() -> Iterator[threading.Event]:
    """Presses Ctrl-C once, a while after the event is set, until the test has noticed."""
    go = threading.Event()
    # Whoever starts the tests in the background of a script has them ignore the signal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def press() -> None:
        go.wait()
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    yield go
    go.set()
    thread.join()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_stops_an_addition(ctrl_c: threading.Event) -> None:
    vectors = make_vectors(100_000, 256)  # minutes of work
    index = concord.Index(256, threads=1)
    with pytest.raises(KeyboardInterrupt):
        ctrl_c.set()
        index.add(vectors)
    assert len(index) < 100_000
    expect_a_prefix(index, vectors)


def test_ctrl_c_stops_a_search(ctrl_c: threading.Event) -> None:
    index = concord.Index(16)
    index.add(make_vectors(2000))
    queries = np.broadcast_to(make_vectors(1), (10_000_000, 16))  # minutes of work
    with pytest.raises(KeyboardInterrupt):
        ctrl_c.set()
        index.exact_search(queries, k=1)
    assert index.audit().ok


def test_callbacks_cannot_use_the_index_they_wait_for() -> None:
    index = concord.Index(16)
    other = concord.Index(16)
    refused: list[str] = []

    def meddle(done: int, total: int) -> None:
        for use in (lambda: len(index), index.digest, lambda: index.add(make_vectors(1))):
            with pytest.raises(concord.BusyError) as raised:
                use()
            refused.append(str(raised.value))
        other.add(make_vectors(1))  # another one is free

    index.add(make_vectors(3000), progress=meddle)
    assert refused and len(refused) % 3 == 0 and "in this very thread" in refused[0]
    assert len(index) == 3000 and len(other) == len(refused) // 3
