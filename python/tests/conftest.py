"""Data and helpers that the tests share."""

from __future__ import annotations

import doctest
import importlib
import os
from typing import Any

import hypothesis
import numpy as np
import numpy.typing as npt
import pytest

import concord
from concord import store as store_module

Floats = npt.NDArray[np.float32]

# No deadlines: the machine that runs the tests may be busy. Derandomised: the same examples each run.
hypothesis.settings.register_profile(
    "concord", deadline=None, derandomize=True, print_blob=True, max_examples=60
)
hypothesis.settings.load_profile("concord")


def make_vectors(n: int, dim: int = 16, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def make_index(
    vectors: Floats, metric: str = "l2sq", threads: int = 2, codes: str = "none"
) -> concord.Index:
    """A small, quickly built index of the vectors."""
    index = concord.Index(
        vectors.shape[1], metric, 8, 40, epoch_limit=64, codes=codes, threads=threads
    )
    index.add(vectors)
    return index


def package(name: str) -> Any:
    """The package, or a skipped test; `tests/ecosystem.sh` wants all that it installs."""
    if os.environ.get("CONCORD_ECOSYSTEM") == "all":
        return importlib.import_module(name)
    return pytest.importorskip(name)


def expect_examples_to_hold(module: str) -> None:
    """The examples in the docstrings of a module, of which there are some, give what they show."""
    result = doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0 < result.attempted


@pytest.fixture
def vectors() -> Floats:
    return make_vectors(500)


@pytest.fixture
def index(vectors: Floats) -> concord.Index:
    return make_index(vectors)


@pytest.fixture
def stores_on_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores that are made in the test have a ShardedIndex in the place of their Index."""

    def sharded(*arguments: Any, **options: Any) -> concord.ShardedIndex:
        return concord.ShardedIndex(*arguments, shards=3, **options)

    monkeypatch.setattr(store_module, "Index", sharded)
