"""Keys over an index: any sequence of puts and removals equals a dictionary that is scanned."""

from __future__ import annotations

import io
import pathlib
import threading
import zipfile
from typing import Any

import numpy as np
import pytest
from conftest import Floats, make_vectors
from hypothesis import given
from hypothesis import strategies as st

import concord
from concord import _keyed_index
from concord._keyed_index import KeyedIndex

DIM = 4


def make() -> KeyedIndex:
    return KeyedIndex(metric="l2sq", M=4, ef_construction=40, threads=1, device="cpu")


def scanned(oracle: dict[str, Floats], query: Floats, k: int) -> list[float]:
    return sorted(float(((vector - query) ** 2).sum()) for vector in oracle.values())[:k]


keys = st.lists(st.sampled_from([f"key {i}" for i in range(12)]), max_size=8)
steps = st.lists(st.tuples(st.sampled_from(["put", "remove", "save", "clear"]), keys), max_size=12)


@given(steps, st.integers(0, 2**16))
def test_any_history_equals_a_dictionary(history: list[tuple[str, list[str]]], seed: int) -> None:
    random = np.random.default_rng(seed)
    keyed, oracle = make(), dict[str, Floats]()
    for step, chosen in history:
        if step == "put":
            vectors = random.normal(size=(len(chosen), DIM)).astype(np.float32)
            keyed.put(chosen, vectors)
            oracle.update(zip(chosen, vectors, strict=True))
        elif step == "remove":
            keyed.remove(chosen)
            for key in chosen:
                oracle.pop(key, None)
        elif step == "clear":
            keyed.clear()
            oracle.clear()
        else:
            file = io.BytesIO()
            keyed.save(file, {"step": 1})
            keyed, content = KeyedIndex.load(file)
            assert content == {"step": 1}
        query = random.normal(size=DIM).astype(np.float32)
        found = keyed.search(query, 5)
        np.testing.assert_allclose(
            [f.distance for f in found], scanned(oracle, query, 5), rtol=1e-4
        )
        for one in found:
            np.testing.assert_allclose(keyed.vector(one.key), oracle[one.key])
        odd = {key: v for key, v in oracle.items() if int(key[4:]) % 2}
        found = keyed.search(query, 3, lambda key: int(key[4:]) % 2 == 1)
        np.testing.assert_allclose([f.distance for f in found], scanned(odd, query, 3), rtol=1e-4)
        assert len(keyed) == len(oracle) and all(key in keyed for key in oracle)
        if keyed.index is not None:
            assert keyed.index.audit().ok
            assert len(keyed.index) <= 2 * len(oracle)


@pytest.mark.parametrize("metric", ["l2sq", "inner_product", "cosine"])
def test_filters_that_pass_few(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = make_vectors(3000, 16)
    names = [str(i) for i in range(3000)]
    keyed = KeyedIndex(metric=metric, M=8, ef_construction=40, threads=2)
    keyed.put(names, vectors)
    assert keyed.index is not None
    query = make_vectors(1, 16, seed=5)[0]
    labels, distances = keyed.index.exact_search(query, 3000)
    for most in (65_536, 200):  # asked of the graph, and where the graph cannot be asked for enough
        monkeypatch.setattr(_keyed_index, "MOST_RESULTS", most)
        for passing in (0, 1, 7, 60):
            allowed = {str(i * 41) for i in range(passing)}
            near = [i for i, label in enumerate(labels.tolist()) if str(label) in allowed][:10]
            found = keyed.search(query, 10, allowed.__contains__)
            assert [one.key for one in found] == [str(labels[i]) for i in near]
            np.testing.assert_allclose([f.distance for f in found], distances[near], atol=1e-5)


def test_what_is_refused_changes_nothing() -> None:
    keyed = make()
    with pytest.raises(concord.InvalidVectorError):
        keyed.put(["a"], np.array([[1, np.nan]]))
    assert keyed.index is None and keyed.search([1, 2], 3) == []
    keyed.put(["a"], [[1, 2]])
    wrong: list[tuple[list[str], list[Any]]] = [
        (["b"], [[1, 2, 3]]),
        (["a", "b"], [[1, 2]]),
        (["b"], [1, 2]),
    ]
    for names, vectors in wrong:
        with pytest.raises(concord.DimensionMismatchError):
            keyed.put(names, vectors)
    with pytest.raises(concord.InvalidVectorError):
        keyed.put(["a", "b"], np.array([[5, 6], [np.inf, 0]]))
    assert len(keyed) == 1 and keyed.vector("a").tolist() == [1, 2]
    with pytest.raises(concord.InvalidParameterError):
        KeyedIndex(M=1)


def test_damaged_files_are_refused(tmp_path: pathlib.Path) -> None:
    keyed = make()
    keyed.put(["a", "b"], make_vectors(2, DIM))
    file = io.BytesIO()
    keyed.save(file, None)
    whole = file.getvalue()
    for damaged in (b"", b"PK", whole[: len(whole) // 2], whole[:-10]):
        with pytest.raises(concord.CorruptFileError):
            KeyedIndex.load(io.BytesIO(damaged))
    flipped = bytearray(whole)
    flipped[whole.index(b"CONCORD" if b"CONCORD" in whole else b'"keys"') + 3] ^= 1
    with pytest.raises(concord.CorruptFileError):
        KeyedIndex.load(io.BytesIO(bytes(flipped)))
    other = io.BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(other, "w") as target:
        target.writestr("vectors.concord", source.read("vectors.concord"))
        target.writestr(
            "content.json", source.read("content.json").replace(b'[1, "b"]', b'[7, "b"]')
        )
    with pytest.raises(concord.CorruptFileError, match="belong together"):
        KeyedIndex.load(other)


def test_searches_beside_changes() -> None:
    vectors = make_vectors(400, DIM)
    kept = [f"kept {i}" for i in range(100)]
    keyed = make()
    keyed.put(kept, vectors[:100])
    stop, errors = threading.Event(), []

    def search() -> None:
        try:
            while not stop.is_set():
                for i in range(0, 100, 9):
                    found = keyed.search(vectors[i], 1, lambda key: key.startswith("kept"))
                    assert [one.key for one in found] == [kept[i]]
        except BaseException as error:
            errors.append(error)

    searchers = [threading.Thread(target=search) for _ in range(2)]
    for thread in searchers:
        thread.start()
    passing = [f"passing {i}" for i in range(300)]
    for _ in range(5):
        keyed.put(passing, vectors[100:])
        keyed.remove(passing)  # more than half: the graph is built anew
    stop.set()
    for thread in searchers:
        thread.join()
    assert not errors
    assert len(keyed) == 100
