"""Index.open and compact: what was added is there again, whatever ended the process."""

from __future__ import annotations

import pathlib
import signal
import subprocess
import sys

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
