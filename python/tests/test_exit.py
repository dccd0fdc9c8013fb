"""Daemon threads inside calls when the interpreter ends: the process ends as if they were not there."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys, threading, time
import numpy as np, concord

vectors = np.random.default_rng(0).normal(size=(3000, 64)).astype('f4')
index = concord.Index(64, M=8, ef_construction=40, threads=int(sys.argv[2]))
index.add(vectors)
index.save(sys.argv[3])
began = threading.Event()

def slow(done, total):
    began.set()
    sum(range(1000))

def add(progress):
    index.add(vectors, progress=progress)

calls = {
    'add': lambda: add(None),
    'add with progress': lambda: add(slow),
    'search': lambda: index.search(vectors),
    'search of one': lambda: index.search(vectors[0]),
    'exact_search': lambda: index.exact_search(vectors),
    'save': lambda: index.save(sys.argv[3]),
    'load': lambda: concord.load(sys.argv[3]),
    'digest': index.digest,
    'audit': index.audit,
    'lists': lambda: index.search(vectors.tolist()),
}

def loop():
    while True:
        calls[sys.argv[1]]()
        began.set()

for _ in range(int(sys.argv[4])):
    threading.Thread(target=loop, daemon=True).start()
began.wait()
time.sleep(0.05)
"""
CALLS = [
    "add",
    "add with progress",
    "search",
    "search of one",
    "exact_search",
    "save",
    "load",
    "digest",
    "audit",
    "lists",
]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("daemons", ["1", "3"])
def test_a_daemon_thread_inside_a_call_does_not_abort_the_end(
    call: str, daemons: str, tmp_path: object
) -> None:
    for threads in "12":
        ended = subprocess.run(
            [sys.executable, "-c", PROGRAM, call, threads, f"{tmp_path}/index", daemons],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr


def test_the_thread_that_ends_the_interpreter_may_use_an_index() -> None:
    program = """
import atexit, numpy as np, concord
vectors = np.random.default_rng(0).normal(size=(300, 8)).astype('f4')
index = concord.Index(8, threads=2)
index.add(vectors)
class Late:
    def __init__(self, index): self.index = index
    def __del__(self): print(self.index.add(vectors, progress=print), len(self.index.digest()))
atexit.register(lambda: print(index.search(vectors)[0].shape))
late = Late(index)
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "(300, 10)" in ended.stdout and "300 32" in ended.stdout
