"""Indexes in processes that fork, that may use few addresses, and that hold very many of them."""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from conftest import Floats, make_index, make_vectors

import concord


def in_a_child(action: Callable[[], object]) -> None:
    """Runs it in a forked child, which must end well within a minute."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
            code = 0 if action() in (None, True) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("threads", [0, 1, 2])
@pytest.mark.parametrize("kind", ["built", "loaded", "mapped"])
def test_a_forked_child_searches_and_adds(kind: str, threads: int, tmp_path: pathlib.Path) -> None:
    vectors = make_vectors(1200)
    index = make_index(vectors[:1000], threads=threads)
    path = tmp_path / "index.concord"
    index.save(path)
    if kind == "loaded":
        index = concord.load(path, threads=threads)
    elif kind == "mapped":
        index = concord.Index.map(path, threads=threads)
    expected = index.search(vectors)
    grown = make_index(vectors).digest()

    def work() -> bool:
        labels, distances = index.search(vectors)
        same = np.array_equal(labels, expected[0]) and np.array_equal(distances, expected[1])
        if kind == "mapped":
            return same
        index.add(vectors[1000:])
        return same and index.digest() == grown

    in_a_child(work)


_shared: concord.Index


def _search(rows: Floats) -> list[int]:
    return [int(label) for label in _shared.search(rows, k=1)[0].ravel()]


def test_a_pool_of_forked_workers_shares_an_index(vectors: Floats) -> None:
    global _shared
    _shared = make_index(vectors)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for labels in pool.map(_search, [vectors] * 4):
            assert labels == list(range(len(vectors)))


def test_a_child_of_a_thread_that_searches_can_use_the_index_alone(vectors: Floats) -> None:
    index = make_index(vectors)
    stop = threading.Event()

    def search() -> None:
        while not stop.is_set():
            index.exact_search(vectors)

    def alone() -> None:
        with index.using(threads=1):
            index.search(vectors)

    thread = threading.Thread(target=search)
    thread.start()
    try:
        for _ in range(5):
            in_a_child(alone)
    finally:
        stop.set()
        thread.join()


def pages_of(path: pathlib.Path) -> tuple[int, int]:
    """KiB of the file that this process has in memory, and its share of them."""
    entries = re.split(
        r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", pathlib.Path("/proc/self/smaps").read_text()
    )
    mine = [entry for entry in entries if str(path) in entry.partition("\n")[0]]

    def total(name: str) -> int:
        return sum(
            int(kib) for entry in mine for kib in re.findall(rf"^{name}:\s+(\d+) kB", entry, re.M)
        )

    return total("Rss"), total("Pss")


def test_workers_of_a_preloaded_map_share_its_pages(tmp_path: pathlib.Path) -> None:
    """As gunicorn --preload: the master maps the index, and each worker searches all of it."""
    vectors = make_vectors(3000, dim=64)
    path = tmp_path / "index.concord"
    make_index(vectors).save(path)
    index = concord.Index.map(path)
    index.digest()  # reads every page
    ready, done = os.pipe(), os.pipe()
    workers = []
    for _ in range(3):
        worker = os.fork()
        if worker == 0:
            code = 1
            try:
                index.search(vectors)
                index.digest()
                os.write(ready[1], b"1")
                os.read(done[0], 1)
                resident, share = pages_of(path)
                os.write(ready[1], b"1")
                os.read(done[0], 1)  # none has left before all have counted
                # Four processes have the pages: a fourth of them is each one's, and nothing private.
                code = (
                    0 if resident * 1024 > path.stat().st_size / 2 and share < resident / 3 else 2
                )
            finally:
                os._exit(code)
        workers.append(worker)
    for _ in range(2):
        for _ in workers:
            os.read(ready[0], 1)
        os.write(done[1], b"1" * len(workers))
    assert [os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) for worker in workers] == [0, 0, 0]


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_index_fits_where_addresses_are_limited() -> None:
    run(
        "import resource, numpy as np, concord\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2000000 * 1024,) * 2)\n"
        "index = concord.Index(64, M=4, ef_construction=8, threads=2)\n"
        "index.add(np.random.default_rng(0).normal(size=(20000, 64)).astype('f4'))\n"
        "assert len(index) == 20000\n"
    )


def test_thousands_of_indexes_live_in_a_process_with_a_few_threads() -> None:
    threads = run(
        "import os, numpy as np, concord\n"
        "x = np.random.default_rng(0).normal(size=(50, 16)).astype('f4')\n"
        "kept = []\n"
        "while len(kept) < 5000:\n"
        "    kept.append(concord.Index(16, M=8, ef_construction=20, threads=2))\n"
        "    kept[-1].add(x)\n"
        "print(len(os.listdir('/proc/self/task')))\n"
    )
    assert int(threads) <= 64
