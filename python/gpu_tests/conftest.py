"""Vectors that the tests share; all of them need a GPU and a build with CUDA."""

from __future__ import annotations

import driver
import numpy as np
import numpy.typing as npt
import pytest

import concord

Floats = npt.NDArray[np.float32]
DIM = 96


def make_vectors(n: int, seed: int = 1, dim: int = DIM) -> Floats:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(50, dim))
    return (centres[rng.integers(0, 50, n)] + rng.normal(scale=0.5, size=(n, dim))).astype("f4")


def make_index(device: str, metric: str = "l2sq", dim: int = DIM) -> concord.Index:
    return concord.Index(dim, metric, M=8, ef_construction=60, device=device)


def on_the_gpu(index: concord.Index) -> bool:
    return index.stats().device.name not in ("", "cpu")


@pytest.fixture(scope="session")
def gpu() -> driver.Driver:
    assert concord.built_with_cuda
    return driver.Driver()


@pytest.fixture(scope="session")
def vectors() -> Floats:
    return make_vectors(20_000)


@pytest.fixture(scope="session")
def queries() -> Floats:
    return make_vectors(5_000, seed=2)


@pytest.fixture(scope="session")
def by_the_cpu(vectors: Floats) -> dict[str, concord.Index]:
    """The same index from host memory, without the GPU."""
    made = {metric: make_index("cpu", metric) for metric in ("l2sq", "ip", "cosine")}
    for index in made.values():
        index.add(vectors)
    return made
