"""Builds 8 shards from parquet with Ray, kills a shard in the middle of it, and compares digests.

    build.py [FOLDER]         (default: a temporary folder)

Needs pip install 'concord-ann[ray]'. Uses the cluster of RAY_ADDRESS, or else this machine.
"""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import tempfile

import concord
import concord.ray
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import ray.data

SHARDS, FILES, ROWS, DIM = 8, 8, 3000, 32


def write_parquet(folder: pathlib.Path) -> np.ndarray:
    """Files with a column of vectors and one of labels, as a program that embeds texts would write them."""
    vectors = np.random.default_rng(1).normal(size=(FILES * ROWS, DIM)).astype(np.float32)
    folder.mkdir()
    for file in range(FILES):
        rows = range(file * ROWS, (file + 1) * ROWS)
        table = pa.table({"id": [10 * row for row in rows], "vector": list(vectors[rows])})
        pq.write_table(table, folder / f"part-{file}.parquet")
    return vectors


def main(folder: pathlib.Path) -> None:
    """Builds, and prints what the page in docs/ shows."""
    vectors = write_parquet(folder / "parquet")
    index = concord.ray.ShardedIndex.open(folder / "index", DIM, shards=SHARDS)
    victim = index.status()[5]
    assert victim.pid is not None

    def kill_once(done: int, total: int) -> None:
        if done == 8192:  # the first batch is there, and the second on its way
            os.kill(victim.pid, signal.SIGKILL)

    added = index.add(
        ray.data.read_parquet(str(folder / "parquet")), labels="id", progress=kill_once
    )
    after = index.status()[5]
    print(f"{added} vectors in {SHARDS} shards")
    print(
        f"shard 5 was started again: {after.restarted}, in another process: {after.pid != victim.pid}"
    )
    labels, _ = index.search(vectors[:3], k=1)
    print("nearest to the first three:", labels[:, 0].tolist())
    index.compact()
    print("digest over Ray:        ", index.digest())
    index.shutdown()

    alone = concord.ShardedIndex(DIM, shards=SHARDS)
    alone.add(vectors, range(0, 10 * len(vectors), 10))
    print("digest in one process:  ", alone.digest())
    print("digest of the files:    ", concord.ShardedIndex.load(folder / "index").digest())


if __name__ == "__main__":
    if "RAY_ADDRESS" in os.environ:
        ray.init(log_to_driver=False)
    else:
        ray.init("local", num_cpus=SHARDS + 2, include_dashboard=False, log_to_driver=False)
    if len(sys.argv) > 1:
        main(pathlib.Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(pathlib.Path(temporary))
