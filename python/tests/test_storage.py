"""Storage: vectors of 16 bits are rounded once, when they enter, and are those numbers from then on."""

from __future__ import annotations

import copy
import pathlib
import pickle

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Floats

import concord

DIM = 20
VECTORS: Floats = np.random.default_rng(1).normal(size=(700, DIM)).astype(np.float32)
QUERIES: Floats = np.random.default_rng(2).normal(size=(20, DIM)).astype(np.float32)


def made(
    vectors: npt.ArrayLike, storage: str, metric: str = "l2sq", codes: str = "none"
) -> concord.Index:
    index = concord.Index(DIM, metric, 8, 40, storage=storage, codes=codes, threads=2)
    index.add(np.asarray(vectors))
    return index


def as_bf16(vectors: Floats) -> Floats:
    """The nearest bfloat16 of each element, ties to even."""
    bits = vectors.view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return rounded.astype(np.uint32).view(np.float32)


def rounded(vectors: Floats, storage: str) -> Floats:
    return vectors.astype(np.float16).astype(np.float32) if storage == "f16" else as_bf16(vectors)


@pytest.mark.parametrize("metric", ["l2sq", "ip"])
@pytest.mark.parametrize("storage", ["f16", "bf16"])
def test_answers_are_those_of_the_rounded_vectors(storage: str, metric: str) -> None:
    small = made(VECTORS, storage, metric)
    wide = made(rounded(VECTORS, storage), "f32", metric)
    for a, b in zip(small.search(QUERIES, 10, 30), wide.search(QUERIES, 10, 30), strict=True):
        assert a.tobytes() == b.tobytes()
    assert small[5].tobytes() == rounded(VECTORS, storage)[5].tobytes()
    assert small.memory().vectors * 2 == wide.memory().vectors
    assert small.digest() == made(rounded(VECTORS, storage), storage, metric).digest()


def test_arrays_of_float16_are_kept_as_they_are() -> None:
    halves = VECTORS.astype(np.float16)
    index = made(halves, "float16")
    assert (index[3].astype(np.float16) == halves[3]).all()
    assert index.digest() == made(halves.astype(np.float32), "f16").digest()


def test_f32_is_automatic_without_bytes() -> None:
    whole = np.rint(VECTORS * 10).astype(np.int8)
    wide, automatic = made(whole, "f32"), made(whole, "automatic")
    assert wide.digest() == automatic.digest()
    assert wide.memory().vectors == 4 * automatic.memory().vectors


@pytest.mark.parametrize("codes", ["none", "sq8", "sq4"])
def test_is_kept_by_files_bytes_copies_and_pickles(tmp_path: pathlib.Path, codes: str) -> None:
    index = made(VECTORS, "bf16", codes=codes)
    path = tmp_path / "index.concord"
    index.save(path)
    for other in (
        concord.load(path),
        concord.Index.map(path),
        concord.Index.from_bytes(index.to_bytes()),
        copy.copy(index),
        pickle.loads(pickle.dumps(index)),
    ):
        assert (other.storage, other.codes) == ("bf16", codes)
        assert other.digest() == index.digest()
    assert "storage='bf16'" in repr(index)
    assert "storage" not in repr(made(VECTORS, "automatic"))


def test_is_a_parameter_of_durable_and_sharded_indexes(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "durable.concord"
    index = concord.Index.open(path, DIM, storage="f16")
    index.add(VECTORS)
    digest = index.digest()
    del index
    with pytest.raises(concord.InvalidParameterError, match="storage"):
        concord.Index.open(path, DIM, storage="bf16")
    index = concord.Index.open(path, DIM, storage="f16")
    assert (index.storage, index.digest()) == ("f16", digest)
    shards = concord.ShardedIndex(DIM, shards=2, storage="f16")
    shards.add(VECTORS)
    assert shards.storage == "f16"


def test_a_store_keeps_it(tmp_path: pathlib.Path) -> None:
    store = concord.Store(storage="f16", metric="l2sq")
    store.add(["a", "b"], VECTORS[:2])
    store.save(tmp_path / "store.zip")
    again = concord.Store.load(tmp_path / "store.zip")
    assert again.search(VECTORS[1], 1)[0].key == "b"


@pytest.mark.parametrize("storage", ["f16", "bf16"])
def test_what_overflows_is_refused(storage: str) -> None:
    index = concord.Index(DIM, storage=storage)
    bad = VECTORS[:3].copy()
    bad[1, 4] = 70_000 if storage == "f16" else 3e38
    with pytest.raises(concord.InvalidVectorError, match="vector 1"):
        index.add(bad)
    assert len(index) == 0


def test_bad_values_are_refused() -> None:
    with pytest.raises(concord.InvalidParameterError, match="automatic, f32, f16 and bf16"):
        concord.Index(DIM, storage="f8")
    with pytest.raises(concord.UnsupportedError, match="16-bit storage"):
        concord.Index(DIM, storage="f16", device="cuda")
