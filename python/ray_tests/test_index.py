"""The index over actors on one node is, to the last bit, the one in one process."""

from __future__ import annotations

import glob
import os
import pathlib
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import psutil  # type: ignore[import-not-found,import-untyped,unused-ignore]
import pytest
import ray  # type: ignore[import-not-found,unused-ignore]
from conftest import (
    DIM,
    SMALL,
    Open,
    expect_equal,
    in_process,
    make_vectors,
    pid_of,
    wait_until,
)

import concord
import concord.ray
from concord.ray import _addition, _calls, _writer
from concord.ray._layout import shard_path
from concord.ray._shard import GROUPS


@pytest.mark.parametrize(
    ("shards", "block", "metric"), [(2, 1, "l2sq"), (3, 7, "cosine"), (3, 64, "ip")]
)
def test_answers_and_digests_are_those_of_one_process(
    shards: int, block: int, metric: str, open_index: Open
) -> None:
    """Ties of copies go by position, with labels of the caller's that are permuted."""
    vectors = make_vectors(900, copies=0.7) + np.float32(0.5)
    labels = np.random.default_rng(3).permutation(len(vectors))
    index = open_index(shards, block=block, metric=metric)
    assert len(index) == index.resume_at == 0
    assert index.add(vectors[:400], labels[:400], batch_size=150) == 400
    assert index.add(vectors[400:], labels[400:]) == 500
    alone = in_process(vectors, shards, labels, block, metric=metric)
    assert index.digest() == alone.digest()
    assert len(index) == index.resume_at == 900 and index.shards == shards
    queries = make_vectors(40, seed=5)
    for k in (1, 10, 400):
        expect_equal(index.search(queries, k, 64), alone.search(queries, k, 64))
        expect_equal(index.exact_search(queries, k), alone.exact_search(queries, k))
    if metric != "ip":
        expect_equal(index.search(queries, slack=0.1), alone.search(queries, slack=0.1))
    expect_equal(index.search(queries[0]), alone.search(queries[0]))
    assert index.search(queries).missing == ()


def test_the_folder_is_one_that_one_process_opens(open_index: Open, tmp_path: pathlib.Path) -> None:
    vectors = make_vectors(600)
    index = open_index()
    index.add(vectors[:500])
    index.compact()
    index.add(vectors[500:])
    digests = [status.digest for status in index.status(digests=True)]
    folder = tmp_path / "index"
    with pytest.raises(concord.IoError, match="in use"):
        concord.ShardedIndex.open(folder)
    whole = index.digest()
    index.shutdown()
    alone = in_process(vectors, 3)
    with_journals = concord.ShardedIndex.open(folder)
    assert with_journals.digest() == alone.digest() == whole
    assert digests == [alone.shard(s).digest() for s in range(3)]
    del with_journals
    assert concord.ShardedIndex.load(folder).digest() == in_process(vectors[:500], 3).digest()
    assert open_index().digest() == whole


def test_shards_that_were_built_elsewhere_are_taken_over(
    open_index: Open, tmp_path: pathlib.Path
) -> None:
    vectors = make_vectors(300)
    alone = in_process(vectors, 3)
    folder = tmp_path / "index"
    folder.mkdir()
    for shard in range(3):
        alone.shard(shard).save(shard_path(str(folder), shard))
    with pytest.raises(concord.InvalidParameterError, match="more than 2 shards"):
        open_index(2)
    index = open_index()
    assert index.digest() == alone.digest()
    index.shutdown()
    assert concord.ShardedIndex.load(folder).digest() == alone.digest()


def test_a_label_in_two_of_them_is_refused(open_index: Open, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    for shard in range(2):
        one = concord.Index(DIM, **SMALL)
        one.add(make_vectors(5, seed=shard), [1, 2 + shard, 4 + shard, 6 + shard, 8 + shard])
        one.save(shard_path(str(folder), shard))
    with pytest.raises(concord.DuplicateLabelError, match="label 1 is in two shards"):
        open_index(2)
    assert not (folder / "manifest").exists()
    concord.Index.open(shard_path(str(folder), 0))  # nobody has it any more


# ---------------------------------------------------------------------------- wholly or not at all


def test_what_is_refused_changes_no_shard(open_index: Open) -> None:
    vectors = make_vectors(200)
    index = open_index()
    index.add(vectors, np.arange(200) * 2)
    before = index.digest()
    more = make_vectors(90, seed=2)
    bad = more.copy()
    bad[-1, 3] = np.nan
    odd = np.arange(90) * 2 + 1
    refused: list[tuple[type[concord.Error], Any, Any]] = [
        (concord.InvalidVectorError, bad, odd),
        (concord.DuplicateLabelError, more, [*odd[:-1], 4]),  # 4 is in another shard than its place
        (concord.DuplicateLabelError, more, [*odd[:-1], odd[0]]),
        (concord.DimensionMismatchError, more, odd[:-1]),
        (concord.DimensionMismatchError, more[:, 1:], odd),
        (concord.ArrayTypeError, more, ["a"] * 90),
        (concord.ArrayTypeError, more.astype(complex), odd),
    ]
    for kind, rows, labels in refused:
        with pytest.raises(kind):
            index.add(rows, labels, batch_size=16)
        assert index.digest() == before
    assert index.add(more, odd) == 90
    labels = [*np.arange(200) * 2, *odd]
    assert index.digest() == in_process(np.concatenate([vectors, more]), 3, labels).digest()


def test_positions_may_not_be_labels_that_are_taken(open_index: Open) -> None:
    index = open_index()
    index.add(make_vectors(3), [100, 101, 4])
    before = index.digest()
    with pytest.raises(concord.DuplicateLabelError, match="label 4 of vector 1"):
        index.add(make_vectors(3))
    assert index.digest() == before


# ------------------------------------------------------------------------------- retries, drivers


def test_an_addition_that_comes_again_does_nothing_twice(open_index: Open) -> None:
    """Ray delivers at least once, and behind a restart in another order."""
    vectors = make_vectors(60)
    index = open_index(1)
    (actor,) = index._actors
    labels = np.arange(60, dtype=np.uint64)
    ray.get(_calls.call(actor, "lead", "w"))

    def add(first: int, last: int) -> Any:
        call = _calls.call(actor, "add", "w", first, vectors[first:last], labels[first:last])
        return _calls.result(0, call)

    assert add(20, 40) == 0  # those before it are lacking
    assert add(0, 20) == 20
    assert add(0, 20) == 20
    assert add(0, 30) == 30
    assert add(20, 60) == 60
    assert add(0, 0) == 60
    assert index.digest() == in_process(vectors, 1).digest()
    with pytest.raises(concord.InvalidParameterError, match="shard 0: vector 21"):
        _calls.result(0, _calls.call(actor, "add", "w", 21, vectors[20:22], labels[20:22]))
    with pytest.raises(concord.InvalidParameterError, match="vector 20"):
        _calls.result(0, _calls.call(actor, "add", "w", 20, vectors[21:22], labels[20:21]))


def test_an_interrupted_addition_is_resumed_by_the_same_vectors(open_index: Open) -> None:
    vectors = make_vectors(300)
    labels = np.random.default_rng(1).permutation(300)
    index = open_index(metric="cosine")
    index.add(vectors[:30], labels[:30])
    # What a driver leaves that dies: one shard is ahead.
    place = np.arange(31, 91, 3)
    ahead = index._actors[1]
    ray.get(_calls.call(ahead, "lead", "w"))
    number = _calls.call(ahead, "add", "w", 10, vectors[place], labels[place].astype("u8"))
    assert _calls.result(1, number) == 30
    assert index.resume_at == 30 and len(index) == 50
    before = index.digest()
    other = vectors.copy()
    other[88, 0] += 1
    with pytest.raises(concord.InvalidParameterError, match="shard 1: vector 29"):
        index.add(other[30:], labels[30:])
    assert index.digest() == before
    assert index.add(vectors[30:], labels[30:], batch_size=50) == 270
    assert index.digest() == in_process(vectors, 3, labels, metric="cosine").digest()


def test_a_second_driver_gets_the_same_actors_and_takes_over_writing(open_index: Open) -> None:
    vectors = make_vectors(90)
    first, second = open_index(), open_index()
    assert [one.pid for one in first.status()] == [one.pid for one in second.status()]
    ray.get(_calls.call(first._actors[0], "lead", "an addition of the first"))
    second.add(vectors[:60])
    call = _calls.call(
        first._actors[0],
        "add",
        "an addition of the first",
        20,
        vectors[60:61],
        np.array([60], "u8"),
    )
    with pytest.raises(concord.BusyError, match="another driver"):
        _calls.result(0, call)
    first.add(vectors[60:])  # begins anew
    assert second.digest() == in_process(vectors, 3).digest()
    copy = pickle.dumps(first)  # handles alone, to be given to tasks
    assert len(copy) < 10_000 and pickle.loads(copy).digest() == first.digest()


DRIVER = """
import sys, numpy as np, ray, concord.ray
address, folder, file = sys.argv[1:]
ray.init(address, log_to_driver=False)
index = concord.ray.ShardedIndex.open(folder)
vectors = np.load(file)
index.add(vectors, batch_size=300, progress=lambda done, total: print(done, flush=True))
"""


def test_a_driver_that_dies_in_an_addition(open_index: Open, tmp_path: pathlib.Path) -> None:
    vectors = make_vectors(6000)
    np.save(tmp_path / "vectors.npy", vectors)
    index = open_index()
    pids = [status.pid for status in index.status()]
    address = ray.get_runtime_context().gcs_address
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, address, tmp_path / "index", tmp_path / "vectors.npy"],
        stdout=subprocess.PIPE,
    )
    assert driver.stdout
    while (acknowledged := int(driver.stdout.readline())) < 1500:
        pass
    driver.kill()
    driver.communicate()
    assert [status.pid for status in index.status()] == pids  # they are detached
    begin = index.resume_at
    assert acknowledged <= begin < 6000
    index.add(vectors[begin:])
    assert index.digest() == in_process(vectors, 3).digest()


def test_an_addition_is_cancelled_by_its_caller(open_index: Open) -> None:
    vectors = make_vectors(300)
    index = open_index()
    seen = []

    def progress(done: int, total: int) -> bool:
        seen.append((done, total))
        return done < 100

    # What is counted is acknowledged; the batch that is on its way comes to its end.
    assert index.add(vectors, batch_size=60, progress=progress) == 180
    assert seen == [(60, 300), (120, 300)]
    assert index.digest() == in_process(vectors[:180], 3).digest()


# --------------------------------------------------------------------------------- what is refused


def test_files_in_use_and_damaged_files_are_refused_and_can_be_tried_again(
    open_index: Open, tmp_path: pathlib.Path
) -> None:
    """No constructor raises: that would be the end of an actor, and of its name."""
    path = shard_path(str(tmp_path / "index"), 1)
    (tmp_path / "index").mkdir()
    other = concord.Index.open(path, DIM, **SMALL)
    with pytest.raises(concord.IoError, match="shard 1: .*in use"):
        open_index(takeover_s=0.2)
    del other
    index = open_index()
    index.add(make_vectors(30))
    index.compact()
    index.shutdown()
    content = pathlib.Path(path).read_bytes()
    flipped = bytearray(content)
    flipped[-20] ^= 1
    pathlib.Path(path).write_bytes(flipped)
    with pytest.raises(concord.CorruptFileError, match="shard-0001"):
        open_index()
    pathlib.Path(path).write_bytes(content)
    assert open_index().digest() == in_process(make_vectors(30), 3).digest()


def test_other_parameters_and_missing_folders_are_refused(
    open_index: Open, tmp_path: pathlib.Path
) -> None:
    open_index()
    with pytest.raises(concord.InvalidParameterError, match="has M 8, shards 3"):
        open_index(2, M=9)
    with pytest.raises(concord.InvalidParameterError, match="metric"):
        open_index(metric="manhattan")
    with pytest.raises(concord.MissingFileError, match="no manifest"):
        concord.ray.ShardedIndex.open(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_shards_without_gpus_are_on_the_cpu(
    open_index: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray hides no GPU from an actor that asked for none, and "auto" would put all of them on the first."""
    assert {status.device for status in open_index().status()} == {"cpu"}
    with pytest.raises(concord.UnsupportedError, match="shard 0: .*CUDA"):
        open_index(1, "with gpu", num_gpus=0.5)


# ------------------------------------------------------------------------------ reads beside writes


def test_searches_do_not_wait_for_an_addition(open_index: Open) -> None:
    """A plain actor would answer when the addition has ended."""
    index = open_index(2, M=16, ef_construction=200)
    vectors = make_vectors(20_000)
    index.add(vectors[:1000])
    took: list[float] = []
    addition = threading.Thread(
        target=index.add, args=(vectors[1000:],), kwargs={"batch_size": 20_000}
    )
    begin = time.monotonic()
    addition.start()
    while addition.is_alive():
        start = time.monotonic()
        index.search(vectors[:1])
        took.append(time.monotonic() - start)
    length = time.monotonic() - begin
    addition.join()
    assert len(took) > 20 and max(took) < length / 2
    assert len(index) == 20_000


def test_a_stopped_shard_is_named_and_never_left_out_in_silence(open_index: Open) -> None:
    vectors = make_vectors(300)
    index = open_index()
    index.add(vectors)
    whole = index.search(vectors[:20], 5)
    pid = pid_of(index, 1)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(concord.ray.ShardUnavailableError, match="shard 1 did not") as raised:
            index.search(vectors[:20], 5, timeout_s=1)
        assert raised.value.shards == (1,)
        part = index.search(vectors[:20], 5, partial=True, timeout_s=1)
        assert part.missing == (1,)
        status = index.status(timeout_s=1)
        assert [one.pid is None for one in status] == [False, True, False]
    finally:
        os.kill(pid, signal.SIGCONT)
    alone = in_process(vectors, 3)
    others = [
        pair for s in (0, 2) for pair in zip(*alone.shard(s).search(vectors[0], 5), strict=True)
    ]
    others.sort(key=lambda pair: (pair[1], pair[0]))
    assert part.labels[0].tolist() == [label for label, _ in others[:5]]
    again = index.search(vectors[:20], 5, partial=True)
    assert again.missing == ()
    expect_equal(again, whole)


@pytest.mark.usefixtures("_node")
def test_what_is_not_answered_in_time_is_cancelled() -> None:
    """A shard that has not begun with a search does not do what nobody waits for any more."""

    class Slow:
        def __init__(self) -> None:
            self.calls = 0

        def search(self, seconds: float) -> None:
            self.calls += 1
            time.sleep(seconds)

        def counted(self) -> int:
            return self.calls

    remote: Any = ray.remote
    slow = remote(concurrency_groups=GROUPS)(Slow).remote()
    assert ray.get(slow.counted.remote()) == 0  # it is up
    busy = [slow.search.options(concurrency_group="read").remote(3) for _ in range(GROUPS["read"])]
    late = [slow.search.options(concurrency_group="read").remote(0) for _ in range(5)]
    assert _calls.answers(late, 0.5) == ([], [0, 1, 2, 3, 4])
    ray.get(busy)
    in_turn = slow.search.options(concurrency_group="read").remote(0)
    ray.get(in_turn)
    assert ray.get(slow.counted.remote()) == GROUPS["read"] + 1


def test_no_shard_that_answers_is_no_answer(open_index: Open) -> None:
    index = open_index(2)
    pids = [pid_of(index, shard) for shard in range(2)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(concord.ray.ShardUnavailableError, match="shard 0, 1 did not"):
            index.search(make_vectors(1), partial=True, timeout_s=1)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_vector_that_codes_refuse_changes_no_shard(open_index: Open) -> None:
    index = open_index(3, codes="sq8")
    vectors = make_vectors(300)
    vectors[-1] = 1e17
    with pytest.raises(concord.InvalidVectorError, match="vector 299"):
        index.add(vectors)
    assert [one.size for one in index.status()] == [0, 0, 0]


def test_what_began_before_resume_at_changes_nothing(open_index: Open) -> None:
    vectors = make_vectors(90)
    index = open_index()
    index.add(vectors[:30])
    earlier = "of an addition that was on its way"
    ray.get([_calls.call(actor, "lead", earlier) for actor in index._actors])
    assert index.resume_at == 30
    with pytest.raises(concord.BusyError):
        late = _calls.call(
            index._actors[0], "add", earlier, 10, vectors[:1], np.array([77], np.uint64)
        )
        _calls.result(0, late)
    index.add(vectors[30:])
    assert index.digest() == in_process(vectors, 3).digest()


def test_a_shard_that_lost_what_it_had_acknowledged_is_named(open_index: Open) -> None:
    vectors = make_vectors(300)
    index = open_index()
    index.add(vectors[:90])
    writer = _writer.Writer(index._actors, "w", 60, "add")
    addition = _addition.Addition(writer, index._layout, index._parameters, "add")

    def calls() -> Any:
        yield vectors[90:150], None
        list(writer.settle(0))
        pid = pid_of(index, 1)
        for name in glob.glob(f"{shard_path(index._folder, 1)}*"):
            os.remove(name)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: index.status()[1].pid not in (None, pid))
        addition._expect_new = lambda *_: None  # type: ignore[method-assign]
        ray.get(_calls.call(index._actors[1], "lead", "w"))
        yield vectors[150:], None

    with pytest.raises(concord.IoError, match="shard 1 has counted 0, and had acknowledged 50"):
        addition.run(calls(), 0, 30, None)


def test_an_open_that_fails_leaves_no_actor(open_index: Open, tmp_path: pathlib.Path) -> None:
    index = open_index()
    index.add(make_vectors(90))
    index.compact()
    index.shutdown()
    damaged = pathlib.Path(shard_path(index._folder, 1))
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1])
    with pytest.raises(concord.CorruptFileError):
        open_index()
    damaged.write_bytes(content)
    whole = concord.ShardedIndex.open(tmp_path / "index")  # nobody has its files open
    assert len(whole) == 90


def test_batches_on_their_way_are_bounded(
    open_index: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = make_vectors(3000)
    index = open_index(2)
    pid = pid_of(index, 1)
    acknowledged: list[int] = []
    read: list[int] = []

    def calls() -> Any:
        for start in range(0, 3000, 100):
            read.append(start)
            yield vectors[start : start + 100], None

    # The checks ask all shards; here the shard stops behind them.
    monkeypatch.setattr(_addition.Addition, "_expect_new", lambda *_: None)

    def progress(done: int, total: int) -> None:
        acknowledged.append(done)
        if len(acknowledged) == 1:
            os.kill(pid, signal.SIGSTOP)

    addition = threading.Thread(target=index._add, args=("add", calls(), 0, 100, progress))
    addition.start()
    wait_until(lambda: len(acknowledged) > 0)
    time.sleep(2)
    assert len(read) <= len(acknowledged) + _writer.IN_FLIGHT + 1 < 20
    os.kill(pid, signal.SIGCONT)
    addition.join()
    assert index.digest() == in_process(vectors, 2).digest()


def test_a_full_disk_of_one_shard_names_it_and_is_resumed(open_index: Open) -> None:
    vectors = make_vectors(900)
    index = open_index()
    index.add(vectors[:90])
    pid = pid_of(index, 2)
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (20_000, unlimited[1]))
    with pytest.raises(concord.IoError, match="shard 2: "):
        index.add(vectors[90:])
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    begin = index.resume_at
    assert 90 <= begin < 900
    index.add(vectors[begin:])
    assert pid_of(index, 2) == pid
    assert index.digest() == in_process(vectors, 3).digest()


def test_memory_is_reserved_by_the_length_of_the_files(open_index: Open) -> None:
    index = open_index(2)
    index.add(make_vectors(5000))
    index.compact()
    index.shutdown()
    before = ray.available_resources()["memory"]
    open_index(2)
    files = sum(os.path.getsize(shard_path(index._folder, shard)) for shard in range(2))
    wait_until(lambda: ray.available_resources()["memory"] <= before - files)


def listening(pid: int) -> int:
    return sum(one.status == psutil.CONN_LISTEN for one in psutil.Process(pid).net_connections())


def test_no_socket_is_of_concord(open_index: Open) -> None:
    """An actor that does nothing listens as much."""

    class Nothing:
        def pid(self) -> int:
            return os.getpid()

    remote: Any = ray.remote
    nothing = remote(concurrency_groups=GROUPS)(Nothing).remote()
    assert listening(pid_of(open_index(1), 0)) == listening(ray.get(nothing.pid.remote()))


def test_arrays_that_ray_shares_are_read_only_and_taken(open_index: Open) -> None:
    vectors = make_vectors(20_000)
    shared = ray.get(ray.put(vectors))
    assert not shared.flags.writeable
    index = open_index(2)
    index.add(shared[:2000])
    expect_equal(index.search(shared), in_process(vectors[:2000], 2).search(vectors))
