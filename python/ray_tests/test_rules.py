"""What needs no actor: placement, merging, devices, and journals that change hands."""

from __future__ import annotations

import contextlib
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import ray  # type: ignore[import-not-found,unused-ignore]
from conftest import DIM, SMALL, expect_equal, in_process, make_vectors

import concord
import concord.ray
from concord.ray import _calls, _journal, _shard
from concord.ray._layout import (
    NO_LABEL,
    Chosen,
    Found,
    FoundInRange,
    Layout,
    expect_distinct,
    shard_path,
)
from concord.ray._moments import TRIES, Moments
from concord.ray._shard import Shard, device_of


@pytest.mark.parametrize("layout", [Layout(1, 1), Layout(3, 1), Layout(3, 7), Layout(8, 1024)])
def test_positions_are_dealt_as_in_one_process(layout: Layout) -> None:
    vectors = make_vectors(5000 if layout.block > 100 else 300, 2)
    index = in_process(vectors, layout.shards, block=layout.block, M=2, ef_construction=2)
    positions = np.arange(len(vectors))
    for shard in range(layout.shards):
        mine = positions[layout.shard_of(positions) == shard]
        assert index.shard(shard).labels().tolist() == mine.tolist()
        assert np.array_equal(layout.number(mine), np.arange(len(mine)))
        assert np.array_equal(layout.position(shard, np.arange(len(mine))), mine)


def test_the_next_position_is_the_first_that_is_missing() -> None:
    layout = Layout(3, 2)
    assert layout.resume_at([0, 0, 0]) == 0
    assert layout.resume_at([2, 2, 2]) == 6
    assert layout.resume_at([4, 1, 2]) == 3
    assert layout.resume_at([4, 4, 2]) == 10


def of_shards(index: concord.ShardedIndex, queries: Any, k: int, ef: int) -> list[Any]:
    return [
        (s, _shard.found_in(index.shard(s), queries, k, ef, {}, exactly=False))
        for s in range(index.shards)
    ]


@pytest.mark.parametrize("metric", ["l2sq", "cosine", "ip"])
@pytest.mark.parametrize("k", [1, 10, 400])
def test_merged_answers_are_those_of_one_process(metric: str, k: int) -> None:
    """70% of the vectors are copies, and labels are permuted: ties are many and go by position."""
    vectors = make_vectors(300, copies=0.7) + np.float32(0.5)
    labels = np.random.default_rng(3).permutation(len(vectors)) + 2**40
    index = in_process(vectors, 3, labels, metric=metric)
    merged = Layout(3, 1).merged(of_shards(index, vectors[:50], k, 64), 50, k)
    expect_equal(merged, index.search(vectors[:50], k, 64))
    by_label = np.lexsort((merged.labels, merged.distances), axis=1)
    assert k == 1 or (by_label != np.arange(k)).any()  # so ties by label would be wrong


def test_minus_zero_comes_before_zero() -> None:
    def found(distance: float, label: int) -> Found:
        return Found(
            np.array([[label]], np.uint64), np.array([[distance]], np.float32), np.array([[0]])
        )

    merged = Layout(2, 1).merged([(0, found(0.0, 5)), (1, found(-0.0, 6))], 1, 2)
    assert merged.labels.tolist() == [[6, 5]]


def test_nothing_found_is_padding() -> None:
    merged = Layout(2, 1).merged([], 2, 3)
    assert (merged.labels == -1).all() and np.isinf(merged.distances).all()


def test_copies_whose_first_was_removed_merge_as_in_one_process() -> None:
    """They stand in its place, so a list of one shard need not be in order of positions."""
    vectors = make_vectors(300, copies=0.7)
    index = in_process(vectors, 3)
    index.remove(range(0, 150, 2))
    wanted = index.search(vectors[:50], 100, 300)
    lists = of_shards(index, vectors[:50], 100, 300)
    assert any(
        ((one.distances[:, 1:] == one.distances[:, :-1]) & (np.diff(one.numbers) < 0)).any()
        for _, one in lists
    )
    expect_equal(Layout(3, 1).merged(lists, 50, 100), wanted)


def test_a_label_that_came_to_another_shard_meanwhile_stands_once() -> None:
    def found(*hits: tuple[int, float, int]) -> Found:
        labels, distances, numbers = zip(*hits, strict=True)
        return Found(
            np.array([labels], np.uint64), np.array([distances], np.float32), np.array([numbers])
        )

    first = found((7, 1, 3), (8, 2, 4), (9, 4, 5))
    second = found((6, 2, 4), (8, 3, 9), (7, 5, 10))
    merged = Layout(2, 1).merged([(0, first), (1, second)], 1, 5)
    assert merged.to_list() == [[(7, 1), (8, 2), (6, 2), (9, 4)]]
    assert merged.labels[0, 4] == -1 and np.isinf(merged.distances[0, 4])
    parts = [
        FoundInRange(np.array([0, 0, 3]), *(one[0] for one in each)) for each in (first, second)
    ]
    lims, labels, distances = Layout(2, 1).merged_ranges(parts, 2, None)
    assert lims.tolist() == [0, 0, 4] and labels.tolist() == [7, 8, 6, 9]
    assert distances.tolist() == [1, 2, 2, 4]
    assert Layout(2, 1).merged_ranges(parts, 2, 2)[1].tolist() == [7, 8]


@pytest.mark.parametrize("layout", [Layout(1, 1), Layout(3, 1), Layout(3, 7), Layout(8, 1024)])
def test_new_vectors_are_dealt_as_in_one_process(layout: Layout) -> None:
    """Behind removals, by the living of each shard."""
    index = in_process(
        make_vectors(200, 2), layout.shards, block=layout.block, M=2, ef_construction=2
    )
    index.remove(np.random.default_rng(1).permutation(200)[:150])
    living = [len(index.shard(s)) for s in range(layout.shards)]
    index.add(make_vectors(20_000, 2), range(1000, 21_000))
    shards = layout.dealt(living, 20_000)
    for shard in range(layout.shards):
        mine = index.shard(shard).labels()
        assert mine[mine >= 1000].tolist() == (np.flatnonzero(shards == shard) + 1000).tolist()
    assert layout.dealt(living, 0).tolist() == []


def of_number(label: int, number: int) -> Chosen:
    return Chosen(np.array([label], np.uint64), np.array([number]))


class Readings:
    """Gives these one after the other, and the last again and again."""

    def __init__(self, *given: Chosen) -> None:
        self._given = list(given)
        self.done = 0

    def __call__(self) -> Chosen:
        self.done += 1
        return self._given[min(self.done, len(self._given)) - 1]


@contextlib.contextmanager
def a_change_of(moments: Moments) -> Iterator[Callable[[], object]]:
    """Within, another thread changes the index, until what this gives is called."""
    began, end = threading.Event(), threading.Event()

    def change() -> None:
        with moments.changing():
            began.set()
            end.wait()

    changing = threading.Thread(target=change)
    changing.start()
    began.wait()
    yield end.set
    end.set()
    changing.join()


def test_a_search_beside_no_change_is_done_once() -> None:
    for given in (of_number(7, 3), of_number(7, -1)):
        reading = Readings(given)
        assert Moments().read(reading) is given and reading.done == 1


def test_a_search_is_of_one_moment_and_does_not_wait_for_a_change() -> None:
    """A removal between a search and its numbers would put hits into another order, or lose them."""
    moments = Moments()
    with a_change_of(moments):
        replaced = Readings(of_number(7, 3), of_number(7, 8), of_number(7, 8))
        assert moments.read(replaced).numbers == [8] and replaced.done == 3
        assert moments.read(known := Readings(of_number(7, 5))) and known.done == 1
        removed = Readings(of_number(7, -1), of_number(6, 5))
        assert moments.read(removed).labels == [6] and removed.done == 2
        padding = Readings(Chosen(np.array([NO_LABEL]), np.array([-1])))
        assert moments.read(padding) and padding.done == 1


def test_a_search_that_vectors_leave_again_and_again_waits_for_the_change() -> None:
    moments = Moments()
    with a_change_of(moments) as end:
        leaving = Readings(*[of_number(7, -1)] * TRIES, of_number(6, 5))
        threading.Timer(0.1, end).start()
        assert moments.read(leaving).labels == [6] and leaving.done == TRIES + 1


def test_a_shard_searches_again_if_a_vector_left_meanwhile(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_actor(monkeypatch, restarted=False)
    shard = Shard(str(tmp_path), 0, PARAMETERS, takeover_s=0)
    vectors = make_vectors(50)
    labels = np.arange(50, dtype=np.uint64)
    shard.lead("w")
    shard.add("w", 0, vectors, labels)
    numbers_of, changes = _shard._numbers, [1, 1, 1]

    def late(index: concord.Index, asked: Any) -> Any:
        if threading.current_thread() is searching and changes:
            changes.pop()
            other = threading.Thread(target=shard.remove, args=("w", 0, labels[:1]))
            other.start()
            other.join(0.5)  # the second time it waits for the search
        return numbers_of(index, asked)

    monkeypatch.setattr(_shard, "_numbers", late)
    found: list[Any] = []
    searching = threading.Thread(
        target=lambda: found.append(shard.search(vectors[:1], 5, 50, {}, False))
    )
    searching.start()
    searching.join()
    assert found[0].numbers[0].tolist() == found[0].labels[0].tolist()
    assert 0 not in found[0].labels[0] and (found[0].numbers[0] > 0).all()


def test_large_labels_stay_as_they_are() -> None:
    vectors = make_vectors(30)
    labels = np.arange(30, dtype=np.uint64) + np.uint64(2**63)
    index = in_process(vectors, 2, labels)
    merged = Layout(2, 1).merged(of_shards(index, vectors[:5], 3, 30), 5, 3)
    expect_equal(merged, index.search(vectors[:5], 3, 30))
    assert merged.labels.dtype == np.uint64


def test_doubled_labels_are_named() -> None:
    expect_distinct(np.array([3, 1, 2], np.uint64), "is there twice")
    with pytest.raises(concord.DuplicateLabelError, match="label 3 is there twice"):
        expect_distinct(np.array([3, 1, 3], np.uint64), "is there twice")


@pytest.mark.parametrize(
    ("gpus", "environment", "device"),
    [
        ([], {"CUDA_VISIBLE_DEVICES": "0,1"}, "cpu"),
        ([], {}, "cpu"),
        ([3], {"CUDA_VISIBLE_DEVICES": "3"}, "cuda:0"),
        ([3], {"RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}, "cuda:3"),
    ],
)
def test_the_device_follows_from_the_gpus_of_the_actor(
    gpus: list[int], environment: dict[str, str], device: str
) -> None:
    assert device_of(gpus, environment) == device


def test_errors_name_the_shard_and_pass_between_processes() -> None:
    error = pickle.loads(pickle.dumps(_calls.unavailable([1, 4], 2.5)))
    assert isinstance(error, concord.ray.ShardUnavailableError) and isinstance(error, concord.Error)
    assert error.shards == (1, 4) and "shard 1, 4 did not answer within 2.5 s" in str(error)
    named = _calls.of_shard(3, concord.MissingFileError(2, "no such file", "/x"))
    assert isinstance(named, FileNotFoundError) and named.errno == 2 and named.filename == "/x"
    assert str(named) == "shard 3: no such file"
    assert str(_calls.of_shard(0, concord.IoError("in use"))) == "shard 0: in use"
    other = KeyError("x")
    assert _calls.of_shard(0, other) is other


# ------------------------------------------------------------------------------- who has a journal

WRITER = """
import sys, numpy as np, concord
index = concord.Index.open(sys.argv[1], {dim}, M=8, ef_construction=40, epoch_limit=64, threads=1)
print("open", flush=True)
done = 0
for batch in np.random.default_rng(1).normal(size=(400, 500, {dim})).astype(np.float32):
    index.add(batch)
    done += len(batch)
    print(done, flush=True)
"""


def start_writer(path: pathlib.Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(dim=DIM), path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout and process.stdout.readline() == "open\n"
    return process


def as_actor(monkeypatch: pytest.MonkeyPatch, restarted: bool) -> None:
    context = SimpleNamespace(was_current_actor_reconstructed=restarted, get_node_id=lambda: "node")
    monkeypatch.setattr(ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(ray, "get_gpu_ids", list)


PARAMETERS: dict[str, Any] = {"dim": DIM, "threads": 1, **SMALL}


@pytest.mark.parametrize("moment", range(6))
def test_a_former_self_that_goes_on_acknowledges_nothing_more(
    moment: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped at some moment of its additions, and goes on when another one has the shard."""
    path = pathlib.Path(shard_path(str(tmp_path), 0))
    former = start_writer(path)
    assert former.stdout and former.stderr
    first = former.stdout.readline()
    time.sleep(0.013 * moment)
    os.kill(former.pid, signal.SIGSTOP)
    as_actor(monkeypatch, restarted=True)
    shard = Shard(str(tmp_path), 0, PARAMETERS, takeover_s=0.2)
    size, _ = shard.lead("new")
    os.kill(former.pid, signal.SIGCONT)
    rest, complaint = former.communicate(timeout=60)
    acknowledged = int([*first.split(), *rest.split()][-1])
    assert former.returncode == 1 and "IoError" in complaint
    assert acknowledged <= size < 200_000
    vectors = np.random.default_rng(1).normal(size=(400, 500, DIM)).astype(np.float32)
    vectors = vectors.reshape(-1, DIM)[: size + 100]
    labels = np.arange(len(vectors), dtype=np.uint64)
    assert shard.add("new", size, vectors[size:], labels[size:]) == len(vectors)
    alone = concord.Index(DIM, **SMALL, threads=1)
    alone.add(vectors)
    assert shard.digest() == alone.digest()
    assert not [name for name in os.listdir(tmp_path) if "taken" in name]


class Left(BaseException):
    """In the place of the end of the process."""


def leave(reason: str) -> None:
    raise Left(reason)


def test_a_shard_whose_journal_could_not_be_written_is_there_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search of the moment holds the files; another one that comes meanwhile waits."""
    as_actor(monkeypatch, restarted=False)
    shard = Shard(str(tmp_path), 0, PARAMETERS, takeover_s=0)
    vectors = make_vectors(10)
    shard.lead("w")
    shard.add("w", 0, vectors, np.arange(10, dtype=np.uint64))
    began, end = threading.Event(), threading.Event()

    def slow(index: concord.Index) -> Chosen:
        began.set()
        end.wait()
        return of_number(len(index), 0)

    def fail(index: concord.Index) -> None:
        raise concord.IoError("no space left")

    def search() -> None:
        found.append(shard.search(vectors[:1], 3, 10, {}, False).labels[0, 0])

    found: list[Any] = []
    slow_one = threading.Thread(target=lambda: found.append(shard._read(slow).labels[0]))
    slow_one.start()
    began.wait()
    late = threading.Timer(0.2, search)
    late.start()
    threading.Timer(0.6, end.set).start()
    with pytest.raises(concord.IoError, match="no space left"):
        shard._changing(fail)
    late.join()
    slow_one.join()
    assert sorted(found) == [0, 10]
    assert shard.add("w", 10, vectors + 1, np.arange(10, 20, dtype=np.uint64)) == 20
    monkeypatch.setattr(_shard, "REOPENING_S", 0)
    end.clear()
    began.clear()
    slow_one = threading.Thread(target=lambda: found.append(shard._read(slow).labels[0]))
    slow_one.start()
    began.wait()
    with pytest.raises(concord.IoError, match="no space left"):
        shard._changing(fail)
    with pytest.raises(concord.IoError, match="in use"):
        shard.size()
    end.set()
    slow_one.join()
    assert shard.lead("w") == (20, 0)  # the next change tries again


def test_who_was_taken_over_leaves(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_actor(monkeypatch, restarted=False)
    monkeypatch.setattr(_shard, "_leave", leave)
    shard = Shard(str(tmp_path), 0, PARAMETERS, takeover_s=0)
    vectors = make_vectors(10)
    shard.lead("w")
    shard.add("w", 0, vectors, np.arange(10, dtype=np.uint64))
    _journal.take_over(shard_path(str(tmp_path), 0) + ".journal")
    with pytest.raises(Left, match="taken over"):
        shard.add("w", 10, vectors, np.arange(10, 20, dtype=np.uint64))


def test_who_may_write_is_known_after_a_restart(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_actor(monkeypatch, restarted=False)
    vectors = make_vectors(10)
    labels = np.arange(10, dtype=np.uint64)
    shard = Shard(str(tmp_path), 0, PARAMETERS, takeover_s=0)
    shard.lead("old")
    assert shard.lead("new") == (0, 0)
    del shard
    as_actor(monkeypatch, restarted=True)
    again = Shard(str(tmp_path), 0, PARAMETERS, takeover_s=0)
    with pytest.raises(concord.BusyError):
        again.add("old", 0, vectors, labels)
    assert again.add("new", 0, vectors, labels) == 10


def test_files_of_another_process_are_waited_for_and_never_taken(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shard_path(str(tmp_path), 0)
    other = concord.Index.open(path, **PARAMETERS)
    as_actor(monkeypatch, restarted=False)
    shard = Shard(str(tmp_path), 0, PARAMETERS, takeover_s=0.2)
    with pytest.raises(concord.IoError, match="in use"):
        shard.ready()
    other.add(make_vectors(5))  # it still may
    del other
    assert shard.lead("w") == (5, 0)  # tried again


def test_what_passes_ends_the_process_of_one_that_was_started_again(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder is away. An exception in the constructor would be the end of the actor."""
    monkeypatch.setattr(_shard, "_leave", leave)
    away = str(tmp_path / "away")
    as_actor(monkeypatch, restarted=True)
    with pytest.raises(Left, match="cannot be opened now"):
        Shard(away, 0, PARAMETERS, takeover_s=0)
    as_actor(monkeypatch, restarted=False)
    with pytest.raises(concord.MissingFileError):
        Shard(away, 0, PARAMETERS, takeover_s=0).ready()


@pytest.mark.parametrize("restarted", [False, True])
def test_what_stays_is_raised_by_every_member(
    restarted: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pathlib.Path(shard_path(str(tmp_path), 0)).write_bytes(b"no index" * 100)
    as_actor(monkeypatch, restarted=restarted)
    shard = Shard(str(tmp_path), 0, PARAMETERS, takeover_s=0)
    for call in (shard.ready, shard.digest, shard.status, lambda: shard.lead("w")):
        with pytest.raises(concord.CorruptFileError):
            call()


def test_a_locked_journal_is_seen(tmp_path: pathlib.Path) -> None:
    path = str(tmp_path / "a.concord")
    assert not _journal.is_locked(f"{path}.journal")
    assert _journal.identity(f"{path}.journal") is None
    index = concord.Index.open(path, **PARAMETERS)
    assert _journal.is_locked(f"{path}.journal")
    del index
    assert not _journal.is_locked(f"{path}.journal")
