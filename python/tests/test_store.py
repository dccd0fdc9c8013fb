"""Items with vectors under keys: any sequence of changes equals a dictionary that is scanned."""

from __future__ import annotations

import contextlib
import copy
import gc
import io
import json
import pathlib
import pickle
import signal
import threading
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from conftest import Floats, make_vectors
from hypothesis import given
from hypothesis import strategies as st

import concord
from concord import _filters, _removable

DIM = 4


def make(**parameters: Any) -> concord.Store:
    defaults = {"metric": "l2sq", "M": 4, "ef_construction": 40, "threads": 1, "device": "cpu"}
    return concord.Store(**{**defaults, **parameters})


def scanned(oracle: dict[str, Floats], query: Floats, k: int) -> list[float]:
    return sorted(float(((vector - query) ** 2).sum()) for vector in oracle.values())[:k]


keys = st.lists(st.sampled_from([f"key {i}" for i in range(12)]), max_size=8)
changes = ["upsert", "add", "delete", "save", "pickle", "copy", "clear"]
steps = st.lists(st.tuples(st.sampled_from(changes), keys), max_size=12)


@given(steps, st.integers(0, 2**16), st.sampled_from(["none", "sq8"]))
def test_any_history_equals_a_dictionary(
    history: list[tuple[str, list[str]]], seed: int, codes: str
) -> None:
    random = np.random.default_rng(seed)
    store, oracle = make(codes=codes), dict[str, Floats]()
    for number, (step, chosen) in enumerate(history):
        if step in ("upsert", "add"):
            vectors = random.normal(size=(len(chosen), DIM)).astype(np.float32)
            fields = [{"odd": int(key[4:]) % 2, "step": number} for key in chosen]
            clash = len(set(chosen)) < len(chosen) or any(key in oracle for key in chosen)
            if step == "add" and clash:
                with pytest.raises(concord.DuplicateLabelError, match="key"):
                    store.add(chosen, vectors, chosen, fields)
            else:
                change = store.add if step == "add" else store.upsert
                change(chosen, vectors, chosen, fields)
                oracle.update(zip(chosen, vectors, strict=True))
        elif step == "delete":
            assert store.delete(chosen) == len(set(chosen) & oracle.keys())
            for key in chosen:
                oracle.pop(key, None)
        elif step == "clear":
            store.clear()
            oracle.clear()
        elif step == "save":
            store = concord.Store.from_bytes(store.to_bytes())
        else:
            old = store
            store = pickle.loads(pickle.dumps(store)) if step == "pickle" else copy.copy(store)
            old.clear()
        query = random.normal(size=DIM).astype(np.float32)
        found = store.search(query, 5)
        np.testing.assert_allclose(
            [hit.distance for hit in found], scanned(oracle, query, 5), rtol=1e-4
        )
        for hit in found:
            np.testing.assert_allclose(store.vector(hit.key), oracle[hit.key])
            assert hit.document == hit.key and hit.metadata["odd"] == int(hit.key[4:]) % 2
        odd = {key: v for key, v in oracle.items() if int(key[4:]) % 2}
        for filter in ({"odd": 1}, lambda item: item.metadata["odd"]):
            found = store.search(query, 3, filter=filter)
            np.testing.assert_allclose(
                [hit.distance for hit in found], scanned(odd, query, 3), rtol=1e-4
            )
        assert len(store) == len(oracle) and sorted(store) == sorted(oracle)
        assert [item.key for item in store.items()] == list(store)
        assert all(key in store and store[key].document == key for key in oracle)
        if store.index is not None:
            assert store.index.audit().ok
            assert len(store.index) == len(oracle) and store.index.codes == codes


@pytest.mark.parametrize("metric", ["l2sq", "inner_product", "cosine"])
def test_filters_that_pass_few(metric: str) -> None:
    vectors = make_vectors(3000, 16)
    store = concord.Store(metric=metric, M=8, ef_construction=40, threads=2)
    store.add([str(i) for i in range(3000)], vectors)
    assert store.index is not None
    query = make_vectors(1, 16, seed=5)[0]
    labels, distances = store.index.exact_search(query, 3000)
    for passing in (0, 1, 7, 60):
        allowed = {str(i * 41) for i in range(passing)}
        near = [i for i, label in enumerate(labels.tolist()) if str(label) in allowed][:10]
        found = store.search(query, 10, filter=lambda item: item.key in allowed)  # noqa: B023
        assert [hit.key for hit in found] == [str(labels[i]) for i in near]
        np.testing.assert_allclose([hit.distance for hit in found], distances[near], atol=1e-5)


def test_a_filter_is_asked_once_for_each_item() -> None:
    store = concord.Store(metric="l2sq", M=8, ef_construction=40, threads=2)
    store.add([str(i) for i in range(300)], make_vectors(300, 16))
    store.delete(["3", "4"])
    asked: list[str] = []

    def passes(item: concord.Item) -> bool:
        asked.append(item.key)
        return int(item.key) % 50 == 0

    assert len(store.search(make_vectors(1, 16, seed=5)[0], 10, filter=passes)) == 6
    assert sorted(asked) == sorted(store)


# --------------------------------------------------------------------------------------- transactions


def content(store: concord.Store) -> tuple[Any, ...]:
    index = store.index
    vectors = [store.vector(key).tolist() for key in store]
    return store.items(), vectors, None if index is None else index.digest()


WRONG: dict[str, tuple[Callable[[concord.Store], object], type[Exception], str]] = {
    "number as a key": (
        lambda s: s.upsert([7], [[1, 2]]),  # type: ignore[list-item]
        TypeError,
        "key 0 is 7, int; keys are strings",
    ),
    "no key": (lambda s: s.add(["x", None], [[1, 2], [3, 4]]), TypeError, "key 1 is None"),  # type: ignore[list-item]
    "bytes": (lambda s: s.add([b"x"], [[1, 2]]), TypeError, "keys are strings"),  # type: ignore[list-item]
    "one string": (lambda s: s.add("ab", [[1, 2], [3, 4]]), TypeError, "not one string"),
    "delete by number": (lambda s: s.delete([7]), TypeError, "strings"),  # type: ignore[list-item]
    "delete one string": (lambda s: s.delete("a"), TypeError, "not one string"),
    "metadata missing": (
        lambda s: s.upsert(["a", "b"], [[5, 6], [7, 8]], metadata=[{}, None]),  # type: ignore[list-item]
        TypeError,
        "metadata 1 are None",
    ),
    "metadata by numbers": (
        lambda s: s.upsert(["a"], [[5, 6]], metadata=[{1: 2}]),  # type: ignore[dict-item]
        TypeError,
        "strings as keys",
    ),
    "metadata that cannot be copied": (
        lambda s: s.upsert(["a", "b"], [[5, 6], [7, 8]], metadata=[{}, {"x": threading.Lock()}]),
        TypeError,
        "pickle",
    ),
    "one dictionary": (
        lambda s: s.upsert(["a"], [[5, 6]], metadata={"x": 1}),  # type: ignore[arg-type]
        TypeError,
        "metadata are a list",
    ),
    "one document": (
        lambda s: s.upsert(["a"], [[5, 6]], "text"),
        TypeError,
        "documents are a list",
    ),
    "too few documents": (
        lambda s: s.upsert(["a", "b"], [[5, 6], [7, 8]], ["x"]),
        concord.DimensionMismatchError,
        "2 keys came with 1 documents",
    ),
    "too few vectors": (
        lambda s: s.upsert(["a", "b"], [[5, 6]]),
        concord.DimensionMismatchError,
        "2 keys came with vectors",
    ),
    "a vector for two": (
        lambda s: s.upsert(["a", "b"], [5, 6]),
        concord.DimensionMismatchError,
        "2 keys",
    ),
    "another dimension": (
        lambda s: s.upsert(["a"], [[1, 2, 3]]),
        concord.DimensionMismatchError,
        "3 columns",
    ),
    "NaN behind": (
        lambda s: s.upsert(["a", "z"], [[5.0, 6], [np.inf, 0]]),
        concord.InvalidVectorError,
        "vector 1",
    ),
    "strings": (lambda s: s.upsert(["a"], [["5", "6"]]), concord.ArrayTypeError, "str"),  # type: ignore[list-item]
    "a key that is there": (
        lambda s: s.add(["x", "a"], [[5, 6], [7, 8]]),
        concord.DuplicateLabelError,
        "key 'a' is already in the store; upsert",
    ),
    "a key twice": (
        lambda s: s.add(["x", "x"], [[5, 6], [7, 8]]),
        concord.DuplicateLabelError,
        "'x' stands twice",
    ),
    "k": (lambda s: s.search([1, 2], -1), concord.InvalidParameterError, "negative"),
    "two queries": (
        lambda s: s.search([[1, 2], [3, 4]]),
        concord.DimensionMismatchError,
        "one vector",
    ),
    "unknown filter": (
        lambda s: s.search([1, 2], filter={"a": {"$near": 3}}),
        concord.InvalidParameterError,
        r"'\$near' is no operator; allowed are \$eq",
    ),
    "unknown combination": (
        lambda s: s.search([1, 2], filter={"$xor": []}),
        concord.InvalidParameterError,
        r"\$and",
    ),
    "unknown keyword": (
        lambda s: s.search([1, 2], where={}),  # type: ignore[call-arg]
        TypeError,
        "where",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_refused_changes_nothing(what: str) -> None:
    call, kind, words = WRONG[what]
    store = make()
    store.add(
        ["a", "b", "c"], [[1, 2], [3, 4], [5, 6]], ["A", "B", "C"], [{"n": i} for i in range(3)]
    )
    before = content(store)
    with pytest.raises(kind, match=words):
        call(store)
    assert content(store) == before
    store.upsert(["a", "d"], [[9, 9], [8, 8]])
    assert [hit.key for hit in store.search([9, 9], 2)] == ["a", "d"]


def test_bad_parameters_are_refused_at_once() -> None:
    for bad in ({"M": 1}, {"dim": 0}, {"metric": "hamming"}, {"ef": 0}, {"ef": 2**17}):
        with pytest.raises(concord.InvalidParameterError):
            concord.Store(**bad)
    with pytest.raises(TypeError, match="colour"):
        concord.Store(colour=1)  # type: ignore[call-arg]
    store = concord.Store(dim=2)
    with pytest.raises(concord.DimensionMismatchError):
        store.add(["a"], [[1, 2, 3]])
    assert store.dim == 2 and len(store) == 0


def test_an_addition_that_is_interrupted_is_not_there() -> None:
    store = make(dim=32, ef_construction=400, M=32)
    store.add(["a"], make_vectors(1, 32, seed=9))
    before = store.items()
    vectors = make_vectors(20_000, 32)
    gc.collect()  # what a destructor of an earlier test's garbage raises, Python ignores
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    old = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            store.upsert([str(i) for i in range(20_000)], vectors)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert store.items() == before
    assert store.index is not None and store.index.audit().ok
    assert [hit.key for hit in store.search(vectors[0], 5)] == ["a"]
    store.upsert(["b"], vectors[:1])
    assert [hit.key for hit in store.search(vectors[0], 5)] == ["b", "a"]
    assert len(store.index) == 2  # what the interrupted call inserted was removed


def test_what_is_given_and_got_is_the_stores_own() -> None:
    given: dict[str, Any] = {"n": [1]}
    store = make()
    store.add(["a"], [[1, 0]], [["text"]], [given])
    given["n"].append(2)
    store["a"].metadata["n"].append(3)
    store.search([1, 0])[0].metadata["n"].append(4)
    store.search([1, 0])[0].document.append("more")
    store.items()[0].metadata["n"].append(5)
    assert store["a"] == concord.Item("a", ["text"], {"n": [1]})


def test_copies_are_independent() -> None:
    store = make()
    store.add(["a"], [[1, 0]], ["one"], [{"n": [1]}])
    for other in (copy.copy(store), copy.deepcopy(store), pickle.loads(pickle.dumps(store))):
        other.upsert(["a", "b"], [[0, 1], [1, 1]])
        assert store["a"].document == "one" and "b" not in store
        assert store.vector("a").tolist() == [1, 0]
    assert copy.copy(store).index.threads == 1  # type: ignore[union-attr]
    assert pickle.loads(pickle.dumps(store)).index.threads == 0


def test_columns_of_pandas_fill_a_store() -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "text": ["x", "y"], "e": [[1.0, 0.0], [0.0, 1.0]]})
    store = concord.Store()
    store.add(frame["id"], frame["e"], frame["text"], frame[["text"]].to_dict("records"))
    assert store.search([0, 1], 1)[0].metadata == {"text": "y"}


# -------------------------------------------------------------------------------------------- filters


FIELDS: dict[str, Any] = {"year": 2020, "tag": "x", "tags": ["x", "y"], "none": None}


@pytest.mark.parametrize(
    ("filter", "matches"),
    [
        ({}, True),
        ({"year": 2020}, True),
        ({"year": 2021}, False),
        ({"year": 2020, "tag": "y"}, False),
        ({"tags": ["x", "y"]}, True),
        ({"none": None}, True),
        ({"missing": None}, False),
        ({"year": {"$eq": 2020}}, True),
        ({"year": {"$gt": 2019, "$lt": 2021}}, True),
        ({"year": {"$gt": 2020}}, False),
        ({"year": {"$gte": 2020, "$lte": 2020}}, True),
        ({"year": {"$lt": "2021"}}, False),
        ({"tag": {"$in": ["x", "z"]}}, True),
        ({"tag": {"$in": []}}, False),
        ({"tags": {"$in": [["x", "y"]]}}, True),
        ({"tag": {"$nin": ["x"]}}, False),
        ({"missing": {"$nin": ["x"]}}, True),
        ({"tag": {"$ne": "y"}}, True),
        ({"missing": {"$ne": "y"}}, True),
        ({"missing": {"$exists": False}}, True),
        ({"year": {"$exists": True}}, True),
        ({"missing": {"$gt": 1}}, False),
        ({"$or": [{"year": 1}, {"tag": "x"}]}, True),
        ({"$or": []}, False),
        ({"$and": [{"year": 2020}, {"tag": "y"}]}, False),
        ({"$and": []}, True),
        ({"$not": {"year": 2021}}, True),
        ({"$not": {"$or": [{"year": 2020}]}, "tag": "x"}, False),
        ({"tag": {"a": 1}}, False),
    ],
)
def test_what_filters_mean(filter: dict[str, Any], matches: bool) -> None:
    assert _filters.condition(filter)(FIELDS) is matches


@pytest.mark.parametrize(
    "filter",
    [
        {"a": {"$in": "text"}},
        {"a": {"$in": 3}},
        {"a": {"$gt": 1, "b": 2}},
        {"$or": {}},
        {"$and": "text"},
        {"$not": [1]},
        {"$gt": 3},
        {"$or": [3]},
        {3: 4},
    ],
)
def test_filters_without_a_meaning(filter: Any) -> None:
    with pytest.raises(concord.InvalidParameterError):
        make().search([1, 2], filter=filter)


# ---------------------------------------------------------------------------------------------- files


def filled() -> concord.Store:
    store = make()
    store.add(["a", "b", "c"], make_vectors(3, DIM), ["A", None, {"x": [1]}], [{"n": 1}, {}, {}])
    store.delete(["b"])
    return store


def test_a_file_holds_the_store_and_nothing_of_the_process(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "store"
    store = filled()
    store.save(path)
    with zipfile.ZipFile(path) as archive:
        saved = json.loads(archive.read("content.json"))
    assert not {"threads", "device"} & {*saved, *saved["parameters"]}
    assert set(saved) == {"version", "parameters", "ef", "dim", "records"}
    loaded = concord.Store.load(path, threads=2, device="cpu")
    assert loaded.index is not None
    assert (loaded.index.threads, loaded.index.device) == (2, "cpu")
    assert content(loaded) == content(store)
    assert loaded.metric == "l2sq" and loaded.dim == DIM
    loaded.upsert(["a", "d"], make_vectors(2, DIM, seed=2))
    assert sorted(loaded) == ["a", "c", "d"]
    empty = concord.Store(dim=3, metric="ip", ef=7)
    again = concord.Store.from_bytes(empty.to_bytes())
    assert (again.dim, again.metric, len(again), again.index) == (3, "inner_product", 0, None)


def test_codes_stand_in_a_file_where_there_are_some() -> None:
    plain, coded = make(), make(codes="SQ8")
    for store, codes in ((plain, {}), (coded, {"codes": "sq8"})):
        store.add(["a", "b"], make_vectors(2, DIM))
        with zipfile.ZipFile(io.BytesIO(store.to_bytes())) as archive:
            parameters = json.loads(archive.read("content.json"))["parameters"]
        others = {"metric", "M", "ef_construction", "seed", "epoch_limit"}
        assert {name: parameters[name] for name in parameters.keys() - others} == codes
    assert concord.Store.from_bytes(make(codes="none").to_bytes()).index is None
    coded.clear()
    for empty in (
        coded,
        concord.Store.from_bytes(coded.to_bytes()),
        pickle.loads(pickle.dumps(coded)),
    ):
        empty.add(["a"], make_vectors(1, DIM))
        assert empty.index is not None and empty.index.codes == "sq8"
    with pytest.raises(concord.InvalidParameterError, match="allowed are none, sq8 and sq4"):
        make(codes="pq")
    with pytest.raises(concord.UnsupportedError, match="codes"):
        make(codes="sq8", device="cuda")


def test_what_is_no_json_leaves_the_file_that_was_there(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "store"
    store = filled()
    store.save(path)
    before = path.read_bytes()
    store.upsert(["d"], make_vectors(1, DIM), metadata=[{"when": object()}])
    with pytest.raises(TypeError, match="JSON"):
        store.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    with pytest.raises(TypeError, match="JSON"):
        store.to_bytes()


def test_damaged_files_are_refused() -> None:
    whole = filled().to_bytes()
    for damaged in (b"", b"PK", whole[: len(whole) // 2], whole[:-10]):
        with pytest.raises(concord.CorruptFileError):
            concord.Store.from_bytes(damaged)
    random = np.random.default_rng(3)
    for place in random.integers(0, len(whole), 300):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(random.integers(8))
        with contextlib.suppress(concord.CorruptFileError):  # dates in an archive mean nothing
            assert concord.Store.from_bytes(bytes(flipped)).items() == filled().items()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'[2, "c"', b'[7, "c"'),
        (b'[2, "c"', b'[0, "c"'),
        (b'[2, "c"', b'[2, "a"'),
        (b'[2, "c"', b"[2, 3"),
        (b'[2, "c"', b'["2", "c"'),
        (b'"version": 2', b'"version": 3'),
        (b'"version": 2', b'"version": "2"'),
        (b'"ef": 64', b'"ef": 0'),
        (b'"ef": 64', b'"ef": "64"'),
        (b'"M": 4', b'"M": 1'),
        (b'"M": 4', b'"N": 1'),
        (b'"metric": "l2sq"', b'"metric": "ip"'),
        (b'"metric": "l2sq"', b'"metric": 3'),
        (b'"metric": "l2sq"', b'"codes": "sq8", "metric": "l2sq"'),
        (b'"metric": "l2sq"', b'"codes": "sq9", "metric": "l2sq"'),
        (b'"metric": "l2sq"', b'"codes": null, "metric": "l2sq"'),
        (b'"dim": null', b'"dim": 9'),
        (b'"records": [', b'"records": [3, '),
        (b"{", b"[{"),
    ],
)
def test_parts_that_do_not_belong_together(before: bytes, after: bytes) -> None:
    other = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(filled().to_bytes())) as source,
        zipfile.ZipFile(other, "w") as target,
    ):
        target.writestr("vectors.concord", source.read("vectors.concord"))
        text = source.read("content.json")
        assert before in text
        target.writestr("content.json", text.replace(before, after, 1))
    if after == b'"N": 1':
        assert len(concord.Store.from_bytes(other.getvalue())) == 2  # the default, for what comes
        return
    with pytest.raises(concord.CorruptFileError, match="not a Concord store|version"):
        concord.Store.from_bytes(other.getvalue())


def old_file(keys: list[tuple[int, str]], content: object) -> bytes:
    """As concord-ann 0.1 wrote it, on a machine with a GPU."""
    index = concord.Index(2, "l2sq", 4, 40)
    index.add([[1, 2], [3, 4], [5, 6]])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        parameters = {"metric": "l2", "M": 4, "ef_construction": 40, "device": "cuda", "threads": 3}
        saved = {"keys": keys, "ef": 50, "parameters": parameters, "content": content}
        archive.writestr("content.json", json.dumps(saved))
        archive.writestr("vectors.concord", index.to_bytes())
    return file.getvalue()


def test_files_of_version_1_are_read() -> None:
    texts = {"a": ["text of a", {"n": 1}], "c": ["text of c", {}]}
    store = concord.Store.from_bytes(old_file([(0, "a"), (2, "c")], texts))
    assert store["a"] == concord.Item("a", "text of a", {"n": 1})
    assert [hit.key for hit in store.search([5, 6], 3)] == ["c", "a"]
    store.add(["b"], [[5, 6]])
    assert len(store) == 3
    assert store.index is not None and len(store.index) == 3  # what 0.1 let the graph keep is gone
    with pytest.raises(concord.CorruptFileError):
        concord.Store.from_bytes(old_file([(0, "a"), (2, "missing")], texts))


def file_with_dead_vectors() -> bytes:
    """As a store wrote it while the graph could not remove."""
    index = concord.Index(2, "l2sq", 4, 40)
    index.add([[1, 2], [3, 4], [5, 6]], [4, 5, 6])
    parameters = {"metric": "l2sq", "M": 4, "ef_construction": 40, "seed": 42, "epoch_limit": 1024}
    records = [[4, "a", "A", {}], [6, "c", "C", {}]]
    saved = {"version": 2, "parameters": parameters, "ef": 64, "dim": None, "records": records}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("content.json", json.dumps(saved))
        archive.writestr("vectors.concord", index.to_bytes())
    return file.getvalue()


def test_files_with_dead_vectors_are_read_and_the_next_change_removes_them() -> None:
    store = concord.Store.from_bytes(file_with_dead_vectors())
    assert store.index is not None and len(store.index) == 3
    assert [hit.key for hit in store.search([3, 4], 3)] == ["a", "c"]
    for again in (concord.Store.from_bytes(store.to_bytes()), copy.copy(store)):
        assert [hit.key for hit in again.search([3, 4], 3)] == ["a", "c"]
        again.delete(["c"])
        assert again.index is not None and again.index.labels().tolist() == [4]
    store.upsert(["b"], [[3, 4]])
    assert store.index.labels().tolist() == [4, 6, 7] and store.index.audit().ok
    assert [hit.key for hit in store.search([3, 4], 3)] == ["b", "a", "c"]


def test_what_is_deleted_or_replaced_leaves_the_graph() -> None:
    store = make()
    vectors = make_vectors(100, DIM)
    names = [str(i) for i in range(100)]
    store.add(names, vectors)
    assert store.delete(names[:90]) == 90
    store.upsert(names[85:95], vectors[:10])
    index = concord.Index(DIM, M=4, ef_construction=40, threads=1)  # nothing else is done
    index.add(vectors)
    index.remove(range(90))
    index.add(vectors[:10])
    index.remove(range(90, 95))
    assert store.index is not None and len(store.index) == 15
    assert store.index.digest() == index.digest() and store.index.audit().ok
    again = concord.Store.from_bytes(store.to_bytes())
    for one in (store, again):
        one.upsert(names[90:], vectors[90:])
    assert content(again) == content(store)


def test_replacements_give_their_memory_back() -> None:
    store = make(dim=64)
    names = [str(i) for i in range(500)]
    store.add(names, make_vectors(500, 64))
    assert store.index is not None
    before = store.index.memory().total
    for seed in range(40):
        store.upsert(names[:250], make_vectors(250, 64, seed=seed))
        assert store.index.memory().total < 4 * before  # 40 turnovers of half would be 20 times it
    assert len(store.index) == 500 and (store.index.threads, store.index.device) == (1, "cpu")


def test_a_filter_may_delete_what_it_passes() -> None:
    store = make()
    store.add(["a", "b", "c", "d"], make_vectors(4, DIM))
    assert store.search([0.0] * DIM, 4, filter=lambda item: store.delete([item.key]) == 1) == []
    assert store.index is not None and len(store) == len(store.index) == 0


def test_a_vector_that_is_replaced_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    store = make()
    store.add(["a", "b"], [[1, 2], [3, 4]])
    read = _removable.RemovableIndex.vector

    def replace_first(vectors: _removable.RemovableIndex, label: int) -> Floats:
        monkeypatch.undo()
        store.upsert(["a"], [[5, 6]])
        return read(vectors, label)

    monkeypatch.setattr(_removable.RemovableIndex, "vector", replace_first)
    assert store.vector("a").tolist() == [5, 6]

    def delete_first(vectors: _removable.RemovableIndex, label: int) -> Floats:
        store.delete(["b"])
        return read(vectors, label)

    monkeypatch.setattr(_removable.RemovableIndex, "vector", delete_first)
    with pytest.raises(concord.UnknownLabelError, match="no item has the key 'b'"):
        store.vector("b")


def test_reads_beside_replacements_miss_nothing() -> None:
    vectors = make_vectors(60, DIM)
    names = [str(i) for i in range(60)]
    store = make()
    store.add(names, vectors)
    stop, errors = threading.Event(), []

    def read() -> None:
        try:
            while not stop.is_set():
                assert store.vector("7").shape == (DIM,)
                found = store.search(vectors[0], 3, filter=lambda item: int(item.key) >= 57)
                assert sorted(hit.key for hit in found) == ["57", "58", "59"]
                kept = pickle.loads(pickle.dumps(store))
                assert sorted(kept) == sorted(names) and kept.vector("7").shape == (DIM,)
                kept.upsert(["7"], vectors[:1])
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    for number in range(1, 200):
        store.upsert(names[:59], vectors[:59] + np.float32(number % 7) / 100)
    stop.set()
    for thread in readers:
        thread.join()
    assert not errors
    assert store.index is not None and len(store.index) == 60


def test_searches_beside_changes() -> None:
    vectors = make_vectors(400, DIM)
    kept = [f"kept {i}" for i in range(100)]
    store = make()
    store.add(kept, vectors[:100], kept)
    stop, errors = threading.Event(), []

    def search() -> None:
        try:
            while not stop.is_set():
                for i in range(0, 100, 9):
                    found = store.search(vectors[i], 1, filter=lambda x: x.key.startswith("kept"))
                    assert [(hit.key, hit.document) for hit in found] == [(kept[i], kept[i])]
                everything = store.search(vectors[0], 1000)
                assert len({hit.key for hit in everything}) == len(everything)
                pickle.dumps(store)
        except BaseException as error:
            errors.append(error)

    searchers = [threading.Thread(target=search) for _ in range(2)]
    for thread in searchers:
        thread.start()
    passing = [f"passing {i}" for i in range(300)]
    for _ in range(5):
        store.upsert(passing, vectors[100:])
        store.upsert(passing[:50], vectors[100:150])
        store.delete(passing)
    stop.set()
    for thread in searchers:
        thread.join()
    assert not errors
    assert len(store) == 100


def test_a_search_beside_replacements_misses_no_key() -> None:
    vectors = make_vectors(60, DIM)
    names = [str(i) for i in range(60)]
    store = make()
    store.add(names, vectors, [0] * 60)
    stop, errors = threading.Event(), []

    def search() -> None:
        try:
            while not stop.is_set():
                found = store.search(vectors[0], 100)
                assert sorted(hit.key for hit in found) == sorted(names)
                rounds = {hit.document for hit in found if int(hit.key) < 30}
                assert len(rounds) == 1, "a change of many keys was seen in part"
        except BaseException as error:
            errors.append(error)

    searchers = [threading.Thread(target=search) for _ in range(2)]
    for thread in searchers:
        thread.start()
    for number in range(1, 400):
        store.upsert(names[:30], vectors[:30] + np.float32(number % 7) / 100, [number] * 30)
    stop.set()
    for thread in searchers:
        thread.join()
    assert not errors
