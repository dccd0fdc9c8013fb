"""Arrays are read where they stand: peak resident memory, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PREAMBLE = """
import re
import numpy as np
import concord

def peak():
    status = open("/proc/self/status").read()
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", status)[1]) * 1024

def forget_peak():
    open("/proc/self/clear_refs", "w").write("5")

def grown(work):
    '''Bytes by which `work` raised the peak above what was resident before.'''
    forget_peak()
    before = peak()
    work()
    return peak() - before

# Large vectors and next to no search: the time goes into nothing but the vectors.
DIM, N = 4096, 16_384
def make(dtype):
    rows = np.empty((N, DIM), dtype)
    rows[:] = np.arange(N)[:, None] % 101
    rows[:, 0] = np.arange(N) % 127
    return rows
def index():
    # A first call takes what every call takes: threads, scratch.
    made = concord.Index(DIM, M=2, ef_construction=1, epoch_limit=8, threads=2)
    made.add(make("f4")[:64], labels=range(10**9, 10**9 + 64))
    made.search(make("f4")[:64], k=1)
    return made
"""


def run(code: str) -> None:
    subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(code)], check=True, timeout=600
    )


def test_adding_float32_takes_the_index_and_no_more() -> None:
    run("""
        X = make("f4")
        made = index()
        before = made.memory().total
        extra = grown(lambda: made.add(X))
        extra -= made.memory().total - before
        print("extra", extra, "of", X.nbytes)
        assert len(made) == N + 64
        assert extra <= 0.02 * X.nbytes
    """)


@pytest.mark.parametrize("dtype", ["f2", "f8", "i1"])
def test_adding_other_types_takes_a_small_buffer_more(dtype: str) -> None:
    run(f"""
        X = make("{dtype}")
        made = index()
        before = made.memory().total
        extra = grown(lambda: made.add(X))
        extra -= made.memory().total - before
        print("extra", extra)
        assert extra <= 0.02 * N * DIM * 4
    """)


def test_searching_takes_the_answers_and_no_more() -> None:
    run("""
        made = index()
        for dtype in ("f4", "f2"):
            Q = make(dtype)
            for search in (made.search, made.exact_search):
                extra = grown(lambda: search(Q, k=1))
                print("extra", extra, "of", Q.nbytes)
                assert extra <= 0.02 * N * DIM * 4
    """)
