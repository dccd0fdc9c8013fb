#!/usr/bin/env python3
"""What a call over Ray costs beside the same index in one process, in turns, in one run.

    ray_calls.py [--vectors N] [--rounds N] [--json FILE]

Two shards of random vectors with 96 dimensions, one thread each; a single process has both threads. Prints the
least and the median of each call, and how long a shard that was killed takes to answer again. Starts a Ray of
its own: run it in a network namespace, or where nobody else can reach the machine's ports.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import ray

import concord
import concord.ray

SHARDS, DIM, EF, K = 2, 96, 64, 10
BATCHES = (1, 100, 1000)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measured(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, Any]:
    """Least and median milliseconds of each, taken in turns, so that all see the same load."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(1000 * seconds(call))
    return {
        name: {"least_ms": round(min(all_), 3), "median_ms": round(statistics.median(all_), 3)}
        for name, all_ in times.items()
    }


def killed_to_answer(index: concord.ray.ShardedIndex, query: np.ndarray) -> list[float]:
    """Seconds from the kill of a shard to the next whole answer."""
    took = []
    for shard in range(SHARDS):
        pid = index.status()[shard].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        took.append(round(seconds(lambda: index.search(query, K, EF)), 2))
    return took


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--vectors", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    ray.init(
        "local", num_cpus=4, include_dashboard=False, log_to_driver=False, object_store_memory=10**8
    )
    vectors = np.random.default_rng(1).normal(size=(arguments.vectors, DIM)).astype(np.float32)
    alone = concord.ShardedIndex(DIM, shards=SHARDS, threads=SHARDS)
    in_process = seconds(lambda: alone.add(vectors))
    with tempfile.TemporaryDirectory() as folder:
        index = concord.ray.ShardedIndex.open(folder, DIM, shards=SHARDS, durability="system")
        over_ray = seconds(lambda: index.add(vectors))
        assert index.digest() == alone.digest()
        (actor, *_) = index._actors
        calls: dict[str, Callable[[], object]] = {
            "noop": lambda: ray.get(actor.ready.options(concurrency_group="read").remote())
        }
        for n in BATCHES:
            calls[f"{n} over Ray"] = lambda n=n: index.search(vectors[:n], K, EF)
            calls[f"{n} in process"] = lambda n=n: alone.search(vectors[:n], K, EF)
        results = {
            "versions": {"ray": ray.__version__, "concord": concord.__version__},
            "add_s": {"over Ray": round(over_ray, 2), "in process": round(in_process, 2)},
            "calls": measured(calls, arguments.rounds),
            "killed_to_answer_s": killed_to_answer(index, vectors[:1]),
        }
        index.shutdown()
    print(json.dumps(results, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
