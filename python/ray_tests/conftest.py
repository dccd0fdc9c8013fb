"""One node of Ray for all tests, and the index in one process that each result is compared with."""

from __future__ import annotations

import gc
import os
import pathlib
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import ray  # type: ignore[import-not-found,unused-ignore]

import concord
import concord.ray


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("filterwarnings", "ignore::DeprecationWarning:ray")  # its own matter
    config.addinivalue_line("filterwarnings", "ignore::FutureWarning:ray")


Floats = npt.NDArray[np.float32]

SMALL: dict[str, Any] = {"M": 8, "ef_construction": 40, "epoch_limit": 64}
DIM = 16


def make_vectors(n: int, dim: int = DIM, seed: int = 1, copies: float = 0) -> Floats:
    """Vectors of which a share are equal to others; whole numbers, so that distances are equal as well."""
    random = np.random.default_rng(seed)
    distinct = max(1, round(n * (1 - copies)))
    rows = random.integers(-3, 4, (distinct, dim)) if copies else random.normal(size=(n, dim))
    rows = np.concatenate([rows, rows[random.integers(0, distinct, n - len(rows))]])
    return random.permutation(rows).astype(np.float32)


def in_process(
    vectors: Floats, shards: int, labels: Any = None, block: int = 1, **options: Any
) -> concord.ShardedIndex:
    """The same vectors in one process, undisturbed."""
    index = concord.ShardedIndex(
        vectors.shape[1], shards=shards, block=block, threads=1, **{**SMALL, **options}
    )
    index.add(vectors, labels)
    return index


def expect_equal(found: concord.Matches, wanted: concord.Matches) -> None:
    """The same labels and the same bits of distances."""
    assert np.array_equal(found.labels, wanted.labels)
    assert np.array_equal(found.distances.view(np.uint32), wanted.distances.view(np.uint32))


def pid_of(index: concord.ray.ShardedIndex, shard: int) -> int:
    pid = index.status()[shard].pid
    assert pid is not None
    return pid


def kill(index: concord.ray.ShardedIndex, shard: int) -> None:
    os.kill(pid_of(index, shard), signal.SIGKILL)


def wait_until(holds: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="session")
def _node() -> Iterator[None]:
    # The GPU is a number that Ray counts; the machine has none.
    for tries_left in (2, 1, 0):  # on a busy machine Ray gives its own start up
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of processes that a start left
            gc.collect()
        try:
            ray.init(
                "local",
                num_cpus=8,
                num_gpus=2,
                object_store_memory=200_000_000,
                include_dashboard=False,
                log_to_driver=False,
            )
            break
        except Exception:
            ray.shutdown()
            if tries_left == 0:
                raise
    yield
    ray.shutdown()


Open = Callable[..., concord.ray.ShardedIndex]


@pytest.fixture
def open_index(_node: None, tmp_path: pathlib.Path) -> Iterator[Open]:
    """Opens indexes in ``tmp_path / "index"``, whose actors end with the test."""
    opened = []

    def open_(shards: int = 3, folder: str = "index", **options: Any) -> concord.ray.ShardedIndex:
        index = concord.ray.ShardedIndex.open(
            tmp_path / folder, DIM, shards=shards, **{**SMALL, **options}
        )
        opened.append(index)
        return index

    yield open_
    for index in reversed(opened):  # a name may have come to a later one
        index._end(range(index.shards))
