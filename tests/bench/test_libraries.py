"""bench/peers: every library that is installed finds what is near, and the same again from its file."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
from peers import registry
from peers.judge import Judge
from peers.libraries import EFS, Floats, Library, Parameters

ROWS, DIM, K = 1500, 64, 10
CPU = [library for library in registry.CPU if library.name not in registry.ON_REQUEST]


def drawn(rows: int, seed: int) -> Floats:
    """Points around 50 centers, which codes of any kind can tell apart, with elements from -1 to 1."""
    own = np.random.default_rng(seed)
    centers = np.random.default_rng(1).standard_normal((50, DIM))
    noise = 0.5 * own.standard_normal((rows, DIM))
    return ((centers[own.integers(50, size=rows)] + noise) / 8).astype(np.float32)


def built(library: type[Library], metric: str, base: Floats) -> Library:
    reason = library.problem()
    if reason is not None:
        pytest.skip(reason)
    one = library(Parameters(DIM, metric, 16, 100, 1))
    one.build(base)
    return one


def recall(metric: str, base: Floats, queries: Floats, labels: Any, k: int) -> float:
    judge = Judge.of(metric, base, queries, k)
    return judge.recall(np.asarray(labels).astype(np.int64))


@pytest.mark.parametrize("metric", ["l2sq", "cosine"])
@pytest.mark.parametrize("library", CPU, ids=lambda library: library.name)
def test_what_is_near_is_found_before_and_after_the_file(
    library: type[Library], metric: str, tmp_path: pathlib.Path
) -> None:
    base, queries = drawn(ROWS, 2), drawn(40, 3)
    one = built(library, metric, base)
    most = library.sweep(K)[-1]
    labels = one.search(queries, K, most)
    assert labels.shape == (40, K)
    assert recall(metric, base, queries, labels, K) > 0.8
    one.save(tmp_path / "index")
    again = library(Parameters(DIM, metric, 16, 100, 1))
    again.load(tmp_path / "index")
    assert np.array_equal(labels, again.search(queries, K, most))
    assert one.unreachable() in (None, 0)


@pytest.mark.parametrize("library", CPU, ids=lambda library: library.name)
def test_a_hundred_are_found_with_the_least_effort_that_is_allowed(library: type[Library]) -> None:
    base, queries = drawn(ROWS, 2), drawn(20, 3)
    one = built(library, "l2sq", base)
    assert not library.lists or library.sweep(100)[0] == 100
    labels = one.search(queries, 100, library.sweep(100)[-1])
    assert labels.shape == (20, 100)
    assert recall("l2sq", base, queries, labels, 100) > 0.6


@pytest.mark.parametrize("library", CPU, ids=lambda library: library.name)
def test_efforts_rise_and_hold_k(library: type[Library]) -> None:
    assert library.sweep(1) == library.efforts
    for k in (10, 100):
        efforts = library.sweep(k)
        assert list(efforts) == sorted(set(efforts)) and len(efforts) > 4
        assert not library.lists or efforts[0] >= k


def test_a_list_is_as_long_as_what_is_asked() -> None:
    assert registry.by_name("hnswlib").sweep(30) == (30, *EFS[4:])
