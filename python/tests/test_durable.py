"""Index.open and compact: what was added is there again, whatever ended the process."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import Floats

import concord


def test_additions_are_there_again(vectors: Floats, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "index.concord"
    reference = concord.Index(vectors.shape[1], M=8)
    reference.add(vectors)
    index = concord.Index.open(path, vectors.shape[1], M=8)
    half = len(vectors) // 2
    index.add(vectors[:half])
    index.compact()
    assert concord.load(path).digest() == index.digest()
    index.add(vectors[half:])
    assert index.digest() == reference.digest()
    del index
    index = concord.Index.open(path)
    assert index.digest() == reference.digest()
    journal = index.stats().journal
    assert journal.recovered == len(vectors) - half
    assert journal.cut_bytes == 0
    assert journal.bytes == (tmp_path / "index.concord.journal").stat().st_size


KILLED = """
import concord, numpy as np, os, signal, sys
index = concord.Index.open(sys.argv[1], 4, durability="system")
index.add(np.arange(400, dtype=np.float32).reshape(100, 4))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_nothing(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "index"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(concord.Index.open(path)) == 100


def journal_of(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + ".journal")


def flip(path: pathlib.Path, offset: int) -> int:
    """Flip a bit of a file; return its length."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
    return len(content)


@pytest.mark.parametrize(("durability", "adds"), [("system", 50), ("synced", 50), ("synced", 1)])
def test_a_damaged_journal_is_refused_and_not_shortened(
    durability: str, adds: int, vectors: Floats, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "index"
    index = concord.Index.open(path, vectors.shape[1], M=4, epoch_limit=50, durability=durability)
    for some in np.array_split(vectors, adds):
        index.add(some)
    del index
    length = flip(journal_of(path), 328)
    with pytest.raises(concord.CorruptFileError, match="damaged, though it was whole"):
        concord.Index.open(path)
    assert journal_of(path).stat().st_size == length


def test_a_journal_cut_where_a_record_ends_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "index"
    index = concord.Index.open(path, 4)
    ends = []
    for _ in range(4):
        index.add(np.ones((10, 4), np.float32))
        ends.append(journal_of(path).stat().st_size)
    del index
    os.truncate(journal_of(path), ends[1])
    with pytest.raises(concord.CorruptFileError, match="its end is missing"):
        concord.Index.open(path)


@pytest.mark.parametrize("kind", [concord.Index, concord.ShardedIndex])
def test_what_a_crash_left_is_cut_off_with_a_warning(
    kind: type[concord.Index], tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "index"
    subprocess.run(
        [sys.executable, "-c", KILLED.replace("Index", kind.__name__), str(path)], check=False
    )
    file = path if kind is concord.Index else path / "shard-0000.concord"
    with journal_of(file).open("ab") as journal:
        journal.write(b"RCRD" + bytes(36))
    with pytest.warns(
        RuntimeWarning, match=r"^40 bytes were cut off .* an incomplete record, as a crash"
    ):
        index = kind.open(path)
    assert len(index) == 100
    assert index.stats().journal.cut_bytes == 40
    assert index.stats().journal.dropped == 0


COMPACTS = """
import concord, sys
index = concord.Index.open(sys.argv[1])
print(1, flush=True)
while True:
    index.compact()
"""


def test_temporary_files_of_killed_processes_are_removed(
    vectors: Floats, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "index"
    index = concord.Index.open(path, vectors.shape[1])
    index.add(vectors)
    del index
    for i in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", COMPACTS, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.005 * i)
            process.kill()
        concord.Index.open(path).compact()
        assert sorted(tmp_path.iterdir()) == [path, journal_of(path)]


def test_refusals(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "index"
    with pytest.raises(concord.IoError, match="no index"):
        concord.Index.open(path)
    with pytest.raises(concord.InvalidParameterError, match="synced"):
        concord.Index.open(path, 4, durability="always")
    index = concord.Index.open(path, 4)
    with pytest.raises(concord.IoError, match="in use"):
        concord.Index.open(path)
    with pytest.raises(concord.InvalidParameterError, match="compact"):
        index.save(path)
    with pytest.raises(concord.InvalidParameterError, match="open"):
        concord.Index(4).compact()
    index.add(np.ones((3, 4), np.float32))
    del index
    with pytest.raises(concord.InvalidParameterError, match="M 16"):
        concord.Index.open(path, 4, M=5)
    journal = tmp_path / "index.journal"
    journal.write_bytes(b"x" * 100)
    with pytest.raises(concord.CorruptFileError, match="journal"):
        concord.Index.open(path)
