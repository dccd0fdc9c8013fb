"""Replica: an index that follows the files of one that another process changes."""

from __future__ import annotations

import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import Floats, make_vectors

import concord


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "index.concord"


def open_index(path: pathlib.Path) -> concord.Index:
    return concord.Index.open(path, 16, M=8, ef_construction=40, epoch_limit=64, threads=1)


def test_each_call_is_seen_once_it_has_returned(path: pathlib.Path, vectors: Floats) -> None:
    index = open_index(path)
    replica = concord.Replica(path, threads=2)
    shown = replica.index()
    assert len(shown) == 0
    index.add(vectors[:300])
    assert replica.lag().operations == 300
    assert replica.lag().bytes > 0
    assert replica.catch_up() == 300
    assert replica.lag() == (0, 0)
    index.remove([3, 4])
    index.upsert(vectors[300:302], labels=[5, 1000])
    index.flush()
    index.compact()
    index.add(vectors[302:400])
    assert replica.catch_up() == 2 + 3 + 98
    assert shown.digest() == index.digest()
    answers, expected = shown.search(vectors), index.search(vectors)
    assert np.array_equal(answers[0], expected[0])
    assert np.array_equal(answers[1], expected[1])


def test_labels_are_never_negative_beside_catch_up(path: pathlib.Path, vectors: Floats) -> None:
    index = open_index(path)
    index.add(vectors[:20])
    replica = concord.Replica(path, threads=1)
    shown = replica.index()
    large = np.arange(2**63, 2**63 + 20, dtype=np.uint64)
    for start in range(20, 500, 60):
        index.add(vectors[start : start + 60])
        index.add(vectors[:20] + 100, labels=large)
        index.remove(large)
    index.add(vectors[:20] + 100, labels=large)
    is_done = threading.Event()
    wrong: list[int] = []

    def read() -> None:
        while not is_done.is_set():
            for labels in (shown.search(vectors[:20] + 100, k=1)[0], shown.labels()):
                if labels.dtype == np.int64:
                    wrong.extend(labels[labels < 0])

    reader = threading.Thread(target=read)
    reader.start()
    replica.catch_up()
    is_done.set()
    reader.join()
    assert not wrong
    assert shown.labels().dtype == np.uint64


WRITER = """
import concord, numpy as np, sys
index = concord.Index.open(sys.argv[1], 16, M=8, ef_construction=40, epoch_limit=64, threads=1)
vectors = np.load(sys.argv[2])
while len(index) < len(vectors):
    index.add(vectors[len(index) : len(index) + 37])
    if len(index) % 3 == 0:
        index.compact()
"""


def test_it_follows_processes_that_are_killed(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    vectors = make_vectors(1500)
    np.save(tmp_path / "vectors.npy", vectors)
    del_after = open_index(path)
    del del_after
    replica = concord.Replica(path, threads=1)
    seen = 0
    for life in range(3):
        arguments = [sys.executable, "-c", WRITER, str(path), str(tmp_path / "vectors.npy")]
        with subprocess.Popen(arguments) as writer:
            goal = 500 * (life + 1)
            while seen < goal and writer.poll() is None:
                seen += replica.catch_up()
                time.sleep(0.002)
            writer.send_signal(signal.SIGKILL)
    writer_again = subprocess.run(arguments, check=True)
    assert writer_again.returncode == 0
    seen += replica.catch_up()
    assert seen == len(vectors)
    reference = concord.Index(16, M=8, ef_construction=40, epoch_limit=64)
    reference.add(vectors)
    assert replica.index().digest() == reference.digest()
    promoted = replica.promote()
    promoted.add(vectors[:10])
    assert len(promoted) == 1510
    with pytest.raises(concord.UnsupportedError, match="promoted"):
        replica.catch_up()


def test_searches_run_beside_it(path: pathlib.Path) -> None:
    vectors = make_vectors(2000)
    index = open_index(path)
    index.add(vectors[:100])
    replica = concord.Replica(path, threads=1)
    ended = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not ended.is_set():
                labels, distances = replica.index().search(vectors[:20], k=5)
                assert (labels >= 0).all()
                assert labels[:, 0].tolist() == list(range(20))
                assert (np.diff(distances, axis=1) >= 0).all()
        except BaseException as failure:
            failures.append(failure)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for first in range(100, 2000, 100):
            index.add(vectors[first : first + 100])
            replica.catch_up()
    finally:
        ended.set()
        reader.join()
    assert not failures
    assert replica.index().digest() == index.digest()


def test_its_index_cannot_be_changed(path: pathlib.Path, vectors: Floats) -> None:
    index = open_index(path)
    index.add(vectors[:50])
    replica = concord.Replica(path)
    shown = replica.index()
    for change in (
        lambda: shown.add(vectors[:1]),
        lambda: shown.remove([1]),
        lambda: shown.update(vectors[:1], labels=[1]),
        lambda: shown.upsert(vectors[:1], labels=[1]),
        shown.flush,
    ):
        with pytest.raises(concord.UnsupportedError, match="replica"):
            change()
    with pytest.raises(concord.InvalidParameterError, match="follows"):
        shown.save(path)
    shown.threads = 1
    index.add(vectors[50:60])
    replica.catch_up()
    assert concord.Index.from_bytes(shown.to_bytes()).digest() == index.digest()


def test_labels_that_need_64_bits_are_seen(path: pathlib.Path, vectors: Floats) -> None:
    index = open_index(path)
    index.add(vectors[:50])
    replica = concord.Replica(path)
    shown = replica.index()
    assert shown.search(vectors[:1], k=1)[0].dtype == np.int64
    index.add(vectors[50:51], labels=[2**63 + 5])
    replica.catch_up()
    labels, _ = shown.search(vectors[50:51], k=1)
    assert labels.tolist() == [[2**63 + 5]]


def test_other_files_are_another_history(
    path: pathlib.Path, tmp_path: pathlib.Path, vectors: Floats
) -> None:
    index = open_index(path)
    index.add(vectors[:50])
    replica = concord.Replica(path)
    other = open_index(tmp_path / "other")
    other.add(vectors[100:200])
    del other, index
    shutil.copy(tmp_path / "other.journal", tmp_path / "copy")
    (tmp_path / "copy").replace(tmp_path / "index.concord.journal")
    for _ in range(2):
        with pytest.raises(concord.DivergedError, match="history"):
            replica.catch_up()
    assert issubclass(concord.DivergedError, concord.CorruptFileError)
    with pytest.raises(concord.DivergedError):
        replica.index()
    assert concord.Replica(path).index().search(vectors[100], k=1)[0].tolist() == [0]


def test_what_is_refused(path: pathlib.Path, vectors: Floats) -> None:
    with pytest.raises(concord.MissingFileError):
        concord.Replica(path)
    index = open_index(path)
    replica = concord.Replica(path)
    with pytest.raises(concord.IoError, match="in use"):
        replica.promote()
    index.add(vectors[:5])
    assert replica.catch_up() == 5
    del index
    with pytest.raises(concord.InvalidParameterError, match="durability"):
        replica.promote(durability="perhaps")
    assert len(replica.promote(durability="system")) == 5
    assert str(path) in repr(replica)
