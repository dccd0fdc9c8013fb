"""Actors are killed at random moments: what comes afterwards is what would have come without it."""

from __future__ import annotations

import os
import random
import signal
import threading
import time

import numpy as np
import pytest
from conftest import Open, expect_equal, in_process, kill, make_vectors

import concord
import concord.ray

KILLS = 10  # in additions, and as many in searches


class Killer(threading.Thread):
    """Kills the actor of a random shard, again and again, as soon as all have come back."""

    def __init__(self, index: concord.ray.ShardedIndex, seed: int) -> None:
        super().__init__(daemon=True)
        self._index = index
        self._random = random.Random(seed)
        self.kills = 0
        self.slowest = 0.0
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while self.kills < KILLS:
                time.sleep(self._random.random() / 2)
                kill(self._index, self._random.randrange(self._index.shards))
                self.kills += 1
                start = time.monotonic()
                self._index.search(np.zeros(16, np.float32))
                self.slowest = max(self.slowest, time.monotonic() - start)
        except Exception as error:
            self.failure = error


def test_additions_go_on_when_shards_are_killed(open_index: Open) -> None:
    index = open_index(timeout_s=120)
    vectors = make_vectors(60_000)
    labels = np.random.default_rng(2).permutation(len(vectors))
    killer = Killer(index, 1)
    killer.start()
    done = 0
    while killer.is_alive() or done < 3000:
        assert done < len(vectors)
        part = slice(done, done + 500)
        assert index.add(vectors[part], labels[part], batch_size=90) == 500
        done += 500
    assert killer.failure is None and killer.kills == KILLS and killer.slowest < 60
    assert len(index) == index.resume_at == done
    alone = in_process(vectors[:done], 3, labels[:done])
    assert index.digest() == alone.digest()
    expect_equal(index.search(vectors[:100]), alone.search(vectors[:100]))
    assert any(status.restarted for status in index.status())


def test_removals_and_replacements_go_on_when_shards_are_killed(open_index: Open) -> None:
    """Each happens once, whatever a shard had done of it when it was killed."""
    index = open_index(timeout_s=120)
    vectors = make_vectors(60_000)
    alone = in_process(vectors[:6000], 3)
    index.add(vectors[:6000])
    random_ = np.random.default_rng(2)
    killer = Killer(index, 3)
    killer.start()
    done, turns = 6000, 0
    while killer.is_alive() or turns < 8:
        assert done < 59_000 and killer.failure is None
        rows, new = vectors[done : done + 400], vectors[done + 400 : done + 700]
        picks = random_.permutation(index.labels())
        for one in (index, alone):
            batch: dict[str, int] = {} if one is alone else {"batch_size": 90}
            assert one.update(rows, picks[:400], **batch) == 400
            assert one.remove(picks[200:500], **batch) == 300
            one.add(new, **batch)
            first = 10**6 + 30 * turns
            one.upsert(rows[:50], [*picks[180:200], *range(first, first + 30)], **batch)
            if turns % 3 == 0:
                one.flush()
        done, turns = done + 700, turns + 1
    assert killer.failure is None and killer.kills == KILLS and killer.slowest < 60
    assert index.digest() == alone.digest()
    assert index.labels().tolist() == alone.labels().tolist()
    expect_equal(index.search(vectors[:100]), alone.search(vectors[:100]))
    index.compact()
    folder = index._folder
    index.shutdown()
    assert concord.ShardedIndex.open(folder).digest() == alone.digest()


def test_searches_go_on_when_shards_are_killed(open_index: Open) -> None:
    index = open_index(timeout_s=120)
    vectors = make_vectors(3000)
    index.add(vectors)
    alone = in_process(vectors, 3)
    wanted = alone.search(vectors[:50])
    killer = Killer(index, 2)
    killer.start()
    while killer.is_alive():
        expect_equal(index.search(vectors[:50]), wanted)
    assert killer.failure is None and killer.kills == KILLS and killer.slowest < 60
    assert index.digest() == alone.digest()


def test_a_shard_is_killed_in_a_compaction(open_index: Open) -> None:
    index = open_index(2)
    vectors = make_vectors(2000)
    for step in range(4):
        index.add(vectors[step * 500 : (step + 1) * 500])
        pid = index.status()[step % 2].pid
        assert pid is not None
        timer = threading.Timer(0.01 * step, os.kill, (pid, signal.SIGKILL))
        timer.start()
        index.compact()
        timer.join()
    digest = in_process(vectors, 2).digest()
    assert index.digest() == digest
    folder = index._folder
    index.shutdown()
    assert concord.ShardedIndex.load(folder).digest() == digest


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.2])
def test_a_shard_that_stopped_goes_on_where_it_was(moment: float, open_index: Open) -> None:
    """No other process took the files, so nothing is fenced."""
    index = open_index(2)
    vectors = make_vectors(3000)
    pid = index.status()[0].pid
    assert pid is not None
    addition = threading.Thread(target=index.add, args=(vectors,), kwargs={"batch_size": 500})
    addition.start()
    time.sleep(moment)
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.3)
    os.kill(pid, signal.SIGCONT)
    addition.join()
    assert index.status()[0].pid == pid
    assert index.digest() == in_process(vectors, 2).digest()
