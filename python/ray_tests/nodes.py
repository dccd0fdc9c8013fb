"""Loses a node of three in the middle of an addition, and compares digests; see test_nodes.py.

    nodes.py FOLDER stopped|running

`stopped`: the actor of the lost node is stopped before, so that it holds its files when another one wants them,
and goes on afterwards. `running`: it goes on until it notices.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import sys
import threading
import time
from typing import Any

import psutil  # type: ignore[import-not-found,import-untyped,unused-ignore]
import ray  # type: ignore[import-not-found,unused-ignore]
from conftest import SMALL, in_process, make_vectors, wait_until
from ray.cluster_utils import Cluster  # type: ignore[import-not-found,unused-ignore]

import concord.ray

NODES = 3
VECTORS = 12_000


def start_cluster() -> Any:
    """A node that is not up in time is started again: that is no test of anything here."""
    # The nodes that are left have room for all shards.
    for _ in range(3):
        with contextlib.suppress(Exception):
            cluster = Cluster(
                initialize_head=True,
                connect=True,
                head_node_args={
                    "num_cpus": 4,
                    "include_dashboard": False,
                    "object_store_memory": 80_000_000,
                },
            )
            for _ in range(NODES - 1):
                cluster.add_node(num_cpus=4, object_store_memory=80_000_000)
            cluster.wait_for_nodes(60)
            return cluster
    raise RuntimeError("three nodes did not start")


def main(folder: pathlib.Path, stopped: bool) -> None:
    cluster = start_cluster()
    vectors = make_vectors(VECTORS)
    index = concord.ray.ShardedIndex.open(
        folder / "index", vectors.shape[1], shards=4, timeout_s=120, takeover_s=2, **SMALL
    )
    before = index.status()
    head = cluster.head_node.node_id
    lost = next(status for status in before if status.node != head)
    node = next(node for node in cluster.worker_nodes if node.node_id == lost.node)
    assert lost.pid is not None
    orphans = [psutil.Process(s.pid) for s in before if s.node == lost.node]

    def lose_node() -> None:
        if stopped:
            for orphan in orphans:
                orphan.suspend()
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)

    timer = threading.Timer(0.5, lose_node)
    timer.start()
    begin = time.monotonic()
    index.add(vectors[: VECTORS // 2], batch_size=200)
    wait_until(lambda: all(status.node not in (None, lost.node) for status in index.status()), 120)
    print(
        f"all shards are on other nodes {time.monotonic() - begin:.1f} s after the addition began"
    )
    index.add(vectors[VECTORS // 2 :], batch_size=200)
    for orphan in orphans:
        with contextlib.suppress(psutil.NoSuchProcess):
            assert not stopped or orphan.status() == psutil.STATUS_STOPPED
            orphan.send_signal(signal.SIGCONT)
    _, left = psutil.wait_procs(orphans, timeout=60 if stopped else 0)
    assert not stopped or not left  # one that nobody asks for anything may go on, and does no harm
    for orphan in left:
        orphan.kill()
    assert len(index) == VECTORS
    digest = in_process(vectors, 4).digest()
    assert index.digest() == digest
    index.shutdown()
    assert concord.ShardedIndex.open(folder / "index").digest() == digest
    ray.shutdown()
    cluster.shutdown()
    print("equal digests")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2] == "stopped")
