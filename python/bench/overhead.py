#!/usr/bin/env python3
"""What the way through Python costs over the C++ calls, and how long Ctrl-C takes.

    overhead.py BUILD [--json FILE]

BUILD is a build of the library with libconcord.so (cmake --preset cpu). The C++ calls (peer.cpp) run in
this very process on the same data, in turns with the Python calls, so that a busy machine meets both
alike. A figure is the median over rounds of the processor time of the one thread that works.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

import concord

DIM = 128
DELAYS = 0.01, 0.1, 0.3, 0.7, 1.5, 3.0  # seconds to Ctrl-C
Floats = npt.NDArray[np.float32]


def load_peer(build: pathlib.Path, folder: str) -> ctypes.CDLL:
    here = pathlib.Path(__file__).resolve().parent
    library = f"{folder}/peer.so"
    include = here.parents[1] / "common" / "include"
    command = [
        "c++",
        "-std=c++20",
        "-O2",
        "-shared",
        "-fPIC",
        str(here / "peer.cpp"),
        f"-I{include}",
    ]
    command += [f"-L{build}", "-lconcord", f"-Wl,-rpath,{build.resolve()}", "-o", library]
    subprocess.run(command, check=True)
    peer = ctypes.CDLL(library)
    size, address = ctypes.c_size_t, ctypes.c_void_p
    peer.peer_make.restype = address
    peer.peer_make.argtypes = [ctypes.c_uint32, ctypes.c_uint]
    peer.peer_free.argtypes = [address]
    peer.peer_add.restype = peer.peer_search.restype = ctypes.c_double
    peer.peer_add.argtypes = [address, address, size, size, size]
    peer.peer_search.argtypes = [*peer.peer_add.argtypes, ctypes.c_uint32, ctypes.c_uint32]
    return peer


def timed(work: Callable[[], object]) -> float:
    start = time.thread_time()
    work()
    return time.thread_time() - start


def in_turns(
    rounds: int, first: Callable[[], float], second: Callable[[], float]
) -> tuple[float, float]:
    """Medians of both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        times[0].append(first())
        times[1].append(second())
    return statistics.median(times[0]), statistics.median(times[1])


def clustered(n: int, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(200, DIM))
    return (centres[rng.integers(0, 200, n)] + rng.normal(scale=0.5, size=(n, DIM))).astype(
        np.float32
    )


def additions(peer: ctypes.CDLL, vectors: Floats, batch: int, rounds: int) -> tuple[float, float]:
    def python() -> float:
        index = concord.Index(DIM, threads=1, device="cpu")
        return timed(lambda: [index.add(part) for part in np.split(vectors, len(vectors) // batch)])

    def cpp() -> float:
        index = peer.peer_make(DIM, 1)
        seconds: float = peer.peer_add(index, vectors.ctypes.data, len(vectors), DIM, batch)
        peer.peer_free(index)
        return seconds

    return in_turns(rounds, python, cpp)


def searches(
    peer: ctypes.CDLL, vectors: Floats, queries: Floats, batch: int, ef: int, rounds: int
) -> tuple[float, float]:
    index = concord.Index(DIM, threads=1, device="cpu")
    index.add(vectors)
    other = peer.peer_make(DIM, 1)
    peer.peer_add(other, vectors.ctypes.data, len(vectors), DIM, len(vectors))
    parts = list(queries) if batch == 1 else np.split(queries, len(queries) // batch)

    def ask() -> None:
        for part in parts:
            index.search(part, k=10, ef=ef)

    def python() -> float:
        return timed(ask)

    def cpp() -> float:
        seconds: float = peer.peer_search(
            other, queries.ctypes.data, len(queries), DIM, batch, 10, ef
        )
        return seconds

    result = in_turns(rounds, python, cpp)
    peer.peer_free(other)
    return result


def ctrl_c(delay: float, work: Callable[[], object]) -> float:
    """Seconds from Ctrl-C, pressed `delay` seconds into the work, to KeyboardInterrupt."""
    pressed = 0.0

    def press() -> None:
        nonlocal pressed
        time.sleep(delay)
        pressed = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        work()
    except KeyboardInterrupt:
        return time.perf_counter() - pressed
    finally:
        thread.join()
    raise RuntimeError("Ctrl-C did not stop the work")


def ctrl_c_in_add(dim: int, delay: float) -> float:
    vectors = np.random.default_rng(1).normal(size=(200_000, dim)).astype(np.float32)
    index = concord.Index(dim, device="cpu")
    seconds = ctrl_c(delay, lambda: index.add(vectors))
    if not index.audit().ok or len(index) == len(vectors):
        raise RuntimeError("the addition was not stopped, or left a damaged index")
    return seconds


def ctrl_c_in_exact_search(n: int, delays: tuple[float, ...]) -> float:
    """The worst of the delays; the graph is poor, which an exact search does not see."""
    vectors = np.random.default_rng(1).normal(size=(n, DIM)).astype(np.float32)
    index = concord.Index(DIM, M=2, ef_construction=1, device="cpu")
    index.add(vectors)

    def search() -> None:
        while True:  # one call may end before Ctrl-C
            index.exact_search(vectors)

    return max(ctrl_c(delay, search) for delay in delays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    vectors, queries = clustered(20_000, 1), clustered(5_000, 2)
    with tempfile.TemporaryDirectory() as folder:
        peer = load_peer(arguments.build, folder)
        add = additions(peer, vectors[:10_000], 1000, arguments.rounds)
        batches = searches(peer, vectors, queries, 1000, 64, arguments.rounds)
        single = searches(peer, vectors[:1000], queries, 1, 10, 5 * arguments.rounds)
    figures = {
        "machine": f"{platform.machine()}, {concord.isa()}, 1 thread, {DIM} dimensions",
        "add, batches of 1,000: Python / C++": add[0] / add[1],
        "search, batches of 1,000, ef 64: Python / C++": batches[0] / batches[1],
        "search of one, ef 10, C++, microseconds": single[1] / len(queries) * 1e6,
        "search of one, Python over C++, microseconds": (single[0] - single[1])
        / len(queries)
        * 1e6,
        "Ctrl-C to KeyboardInterrupt in add, worst of 12, milliseconds": 1e3
        * max(ctrl_c_in_add(dim, delay) for dim in (128, 1024) for delay in DELAYS),
    } | {
        f"Ctrl-C in exact_search of {n:,} vectors, worst of 6, milliseconds": 1e3
        * ctrl_c_in_exact_search(n, DELAYS)
        for n in (20_000, 200_000, 1_000_000)
    }
    for name, value in figures.items():
        print(f"{name}: {value if isinstance(value, str) else format(value, '.3f')}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
