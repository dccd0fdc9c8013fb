"""Codes: estimates decide where a search walks, exact distances decide what it returns."""

from __future__ import annotations

import copy
import pathlib
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Floats, make_index

import concord

DIM = 24
SIZE = 1500
METRICS = ("l2sq", "ip", "cosine")


def coarse(n: int, seed: int) -> Floats:
    """Vectors with a few large elements, for which 8 bits make coarse steps of the others."""
    return np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32) ** 3


VECTORS = coarse(SIZE, 1)
QUERIES = coarse(60, 2)


def coded(metric: str = "l2sq", vectors: Floats = VECTORS, threads: int = 2) -> concord.Index:
    return make_index(vectors, metric, threads, codes="sq8")


@pytest.fixture(scope="module", params=METRICS)
def index(request: pytest.FixtureRequest) -> concord.Index:
    """For reading."""
    return coded(request.param)


def bits(answers: tuple[Any, Any]) -> tuple[Any, bytes]:
    """Labels and distances, where equal means the same bits."""
    return answers[0].tolist(), answers[1].tobytes()


def expect_exact(index: concord.Index, answers: tuple[Any, Any], queries: Floats) -> None:
    """Distances have the bits of exact_search, and are in its order."""
    all_labels, all_distances = index.exact_search(queries, len(index))
    for q, (labels, distances) in enumerate(zip(*answers, strict=True)):
        found = labels[labels != concord.NO_LABEL]
        place = {label: at for at, label in enumerate(all_labels[q].tolist())}
        order = [place[label] for label in found.tolist()]
        assert order == sorted(set(order))
        assert distances[: len(found)].tobytes() == all_distances[q][order].tobytes()
        assert np.isinf(distances[len(found) :]).all()


def hits(index: concord.Index, k: int, **how: Any) -> int:
    """How many of the true neighbors a search finds."""
    truth = index.exact_search(QUERIES, k)[0]
    found = index.search(QUERIES, k, **how)[0]
    return sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist(), strict=True))


def rescored(index: concord.Index, work: Callable[[concord.Index], object]) -> int:
    """How many candidates of walks by codes got exact distances."""
    before = index.stats().search.rescored
    work(index)
    return index.stats().search.rescored - before


# -------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("name", "codes"),
    [("none", "none"), ("None", "none"), ("sq8", "sq8"), ("SQ8", "sq8"), ("Sq4", "sq4")],
)
def test_names(name: str, codes: str) -> None:
    for index in (concord.Index(4, codes=name), concord.ShardedIndex(4, codes=name, shards=2)):
        assert index.codes == codes
        assert (f"ef_construction=200, codes='{codes}', threads=0" in repr(index)) is (
            codes != "none"
        )
        assert f">codes</th><td style='text-align:left'>{codes}<" in index._repr_html_()
    assert concord.Index(4).codes == "none" and "codes" not in repr(concord.Index(4))


@pytest.mark.parametrize("kind", [concord.Index, concord.ShardedIndex])
def test_names_that_are_none(kind: type[concord.Index], tmp_path: pathlib.Path) -> None:
    for name in ("sq2", "", "sq8 ", "rabitq"):
        with pytest.raises(concord.InvalidParameterError, match=f"codes '{name}' are unknown; al"):
            kind(4, codes=name)
        with pytest.raises(concord.InvalidParameterError, match="allowed are none, sq8 and sq4"):
            kind.open(tmp_path / "index", 4, codes=name)
    for wrong in (None, 8, True, b"sq8"):
        with pytest.raises(TypeError):
            kind(4, codes=wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("filter", [None, slice(3, None)])
def test_how_to_search_is_checked(filter: slice | None) -> None:
    index = coded(vectors=VECTORS[:100])
    for rescore in (0, -1, 65537, 2**40):
        with pytest.raises(concord.InvalidParameterError, match=f"rescore is {rescore}"):
            index.search(QUERIES, rescore=rescore, filter=filter)
    for wrong in (1.0, "3", [1]):
        with pytest.raises(TypeError, match="rescore must be an integer"):
            index.search(QUERIES, rescore=wrong, filter=filter)  # type: ignore[call-overload]
    for unsure in (None, 1, "yes"):
        with pytest.raises(TypeError, match="use_codes is .*; allowed are True and False"):
            index.search(QUERIES, use_codes=unsure, filter=filter)  # type: ignore[call-overload]
    assert index.search(QUERIES, rescore=65536, filter=filter)[0].shape == (60, 10)


def test_only_the_cpu_works_on_codes(tmp_path: pathlib.Path) -> None:
    index = coded(vectors=VECTORS[:100])
    index.save(tmp_path / "index")
    refused: list[Callable[[str], object]] = [
        lambda device: concord.Index(4, codes="sq8", device=device),
        lambda device: concord.ShardedIndex(4, codes="sq8", shards=2, device=["cpu", device]),
        lambda device: concord.Index.open(tmp_path / "new", 4, codes="sq8", device=device),
        lambda device: concord.load(tmp_path / "index", device=device),
        lambda device: concord.Index.map(tmp_path / "index", device=device),
        lambda device: concord.Index.from_bytes(index.to_bytes(), device=device),
        lambda device: setattr(index, "device", device),
    ]
    for device in ("cuda", "cuda:0", "GPU"):
        for use in refused:
            with pytest.raises(concord.UnsupportedError, match="CPU works on an index with codes"):
                use(device)
    assert index.device == "auto"
    assert "codes" in index.stats().device.reason


@pytest.mark.parametrize("metric", ["l2sq", "ip"])
def test_estimates_cannot_overflow(metric: str) -> None:
    large = np.zeros((1, 4), np.float32)
    large[0, 1] = 1.1e16
    index = concord.Index(4, metric, codes="sq8")
    for use in (index.add, index.search):
        with pytest.raises(concord.InvalidVectorError, match="squared norm above 1e\\+?32"):
            use(large)
    assert len(index) == 0
    assert index.add(large * np.float32(0.9)) == 1
    assert concord.Index(4, metric).add(large) == 1


# ------------------------------------------------------------------------------------------- graph


@pytest.mark.parametrize("metric", METRICS)
def test_threads_and_splits_change_nothing(metric: str) -> None:
    expected = coded(metric, threads=1)
    answers = bits(expected.search(QUERIES))
    for threads, parts in ((2, 1), (5, 1), (1, 7), (2, 60), (3, 500)):
        index = concord.Index(
            DIM, metric, 8, 40, epoch_limit=64, codes="sq8", threads=threads, device="cpu"
        )
        for part in np.array_split(VECTORS, parts):
            index.add(part)
        assert index.digest() == expected.digest()
        assert bits(index.search(QUERIES)) == answers
        for q in (0, 59):
            assert bits(index.search(QUERIES[q]))[0] == answers[0][q]
    assert expected.audit().ok
    assert expected.digest() != make_index(VECTORS, metric).digest()


def test_codes_of_bytes_give_another_graph_with_exact_answers() -> None:
    vectors = np.random.default_rng(3).integers(0, 256, (SIZE, DIM)).astype(np.uint8)
    queries = np.random.default_rng(4).integers(0, 256, (20, DIM)).astype(np.uint8)
    index = coded(vectors=vectors.astype(np.float32))
    assert index.digest() == coded(vectors=vectors).digest()  # type: ignore[arg-type]
    expect_exact(index, index.search(queries, 10), queries.astype(np.float32))
    index.add(vectors[:1].astype(np.float32) + np.float32(0.5))  # all rows become floats
    expect_exact(index, index.search(queries, 10), queries.astype(np.float32))


def test_memory_counts_codes() -> None:
    extra = coded().memory().vectors - make_index(VECTORS).memory().vectors
    assert extra >= SIZE * (DIM + 12)


# ----------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"k": 1, "ef": 1},
        {"k": 10, "ef": 10},
        {"k": 40, "ef": 20},
        {"ef": 200, "rescore": 11},
        {"ef": SIZE, "rescore": SIZE},
        {"ef": 3 * SIZE, "k": SIZE + 3},
        {"use_codes": False},
    ],
    ids=str,
)
def test_distances_are_those_of_exact_search(index: concord.Index, how: dict[str, Any]) -> None:
    expect_exact(index, index.search(QUERIES, **how), QUERIES)
    for filter in (np.arange(SIZE) % 3 == 0, slice(0, 700)):
        expect_exact(index, index.search(QUERIES, filter=filter, **how), QUERIES)


@pytest.mark.parametrize("metric", ["l2sq", "cosine"])  # "ip" takes no slack
def test_slack_ends_walks_by_codes(metric: str) -> None:
    index = coded(metric)

    def hops(slack: float) -> int:
        before = index.stats().search.hops
        answers = index.search(QUERIES, 5, 300, slack=slack)
        expect_exact(index, answers, QUERIES)
        assert (answers[0] != concord.NO_LABEL).all()
        return index.stats().search.hops - before

    assert hops(0) < hops(0.2) < hops(np.inf)


def test_rescoring_more_finds_no_less(index: concord.Index) -> None:
    k, ef = 10, 80
    found = [hits(index, k, ef=ef, rescore=r) for r in (k, k + 2, 2 * k, 4 * k, ef)]
    assert found == sorted(found)
    assert found[0] < found[-1]  # so that the estimates are coarse enough to tell


def test_a_list_of_all_that_is_rescored_is_exact(index: concord.Index) -> None:
    truth = bits(index.exact_search(QUERIES, 20))
    assert bits(index.search(QUERIES, 20, ef=SIZE, rescore=SIZE)) == truth
    assert bits(index.search(QUERIES, 20, ef=SIZE, use_codes=False)) == truth


@pytest.mark.parametrize(
    ("k", "ef", "rescore", "expected"),
    [
        (10, 64, None, 20),
        (3, 64, None, 13),
        (30, 64, None, 60),
        (10, 12, None, 12),
        (10, 64, 1, 10),
        (10, 64, 37, 37),
        (10, 64, 65536, 64),
        (40, 7, 1, 40),
        (0, 64, None, 0),
    ],
)
def test_how_many_are_rescored(
    index: concord.Index, k: int, ef: int, rescore: int | None, expected: int
) -> None:
    ways: list[tuple[Floats, slice | None]] = [
        (QUERIES, None),
        (QUERIES[:1], None),
        (QUERIES, slice(None)),  # which all vectors match
    ]
    for queries, which in ways:

        def search(index: concord.Index, queries: Floats = queries, which: Any = which) -> None:
            index.search(queries, k, ef, rescore=rescore, filter=which)

        assert rescored(index, search) == expected * len(queries)


def test_what_never_uses_codes(index: concord.Index) -> None:
    query = QUERIES[0]

    def without(index: concord.Index) -> None:
        exact = index.search(QUERIES, 10, 30, use_codes=False)
        expect_exact(index, exact, QUERIES)
        page = next(index.cursor(query, 10, 30))
        assert page[0].tolist() == exact[0][0].tolist()
        for label in index.exact_search(query, 3)[0]:
            why = index.explain(query, label, k=3)
            assert why.ef is not None
            assert label in index.search(query, 3, why.ef, use_codes=False)[0]
            if why.ef > 3:
                assert label not in index.search(query, 3, why.ef - 1, use_codes=False)[0]
        answers = index.search(QUERIES, 5, groups=np.arange(SIZE) // 3)
        expect_exact(index, answers, QUERIES)
        among = index.search(QUERIES, 5, groups=np.arange(SIZE) // 3, filter=slice(200, 900))
        expect_exact(index, among, QUERIES)
        if index.metric != "inner_product":
            radius = float(index.exact_search(query, 30)[1][-1])
            lims, labels, distances = index.range_search(query, radius)
            assert lims[-1] > 0
            expect_exact(index, (labels[None], distances[None]), query[None])

    assert rescored(index, without) == 0


@pytest.mark.parametrize("matches", [0, 1, 4, 10, 11, 40, 200, 700, SIZE])
def test_filters_give_all_that_match_or_k(index: concord.Index, matches: int) -> None:
    mask = np.zeros(SIZE, bool)
    mask[np.random.default_rng(matches).permutation(SIZE)[:matches]] = True
    chosen = index.filter(mask)
    for rescore in (None, 1, 300):
        answers = index.search(QUERIES, 10, filter=chosen, rescore=rescore)
        there = answers[0] != concord.NO_LABEL
        assert (there.sum(axis=1) == min(10, matches)).all()
        assert mask[answers[0][there]].all()
        expect_exact(index, answers, QUERIES)
    each = [None if q % 2 else chosen for q in range(len(QUERIES))]
    mixed = index.search(QUERIES, 10, filter=each)
    filtered, free = index.search(QUERIES, 10, filter=chosen), index.search(QUERIES, 10)
    for i in range(2):
        np.testing.assert_array_equal(mixed[i][::2], filtered[i][::2])
        np.testing.assert_array_equal(mixed[i][1::2], free[i][1::2])


def test_without_codes_nothing_changes() -> None:
    plain = make_index(VECTORS)
    answers = bits(plain.search(QUERIES))
    how: list[dict[str, Any]] = [{"rescore": 10}, {"rescore": 60}, {"use_codes": False}]
    for given in how:
        assert bits(plain.search(QUERIES, **given)) == answers
    assert plain.stats().search.rescored == 0


def test_presets_never_use_codes() -> None:
    index = coded()
    preset = index.tune(0.9, queries=QUERIES)

    def search_by_recall(index: concord.Index) -> None:
        for filter in (None, slice(100, None)):
            by_recall = index.search(QUERIES, recall=0.9, filter=filter)
            by_hand = index.search(
                QUERIES, 10, preset.ef, slack=preset.slack, use_codes=False, filter=filter
            )
            assert bits(by_recall) == bits(by_hand)

    assert rescored(index, search_by_recall) == 0
    with pytest.raises(concord.InvalidParameterError, match="presets never use codes"):
        index.search(QUERIES, recall=0.9, rescore=20)


# ----------------------------------------------------------------------------------------- changes


def test_changes_keep_codes_with_their_vectors() -> None:
    index = coded()
    vectors = dict(enumerate(VECTORS))
    random = np.random.default_rng(5)
    for step in range(12):
        gone = random.choice(sorted(vectors), 90, replace=False)
        if step % 3 == 0:
            index.remove(gone)
            for label in gone.tolist():
                del vectors[label]
        elif step % 3 == 1:
            new = coarse(120, 100 + step)
            labels = [*gone.tolist(), *range(10_000 * step, 10_000 * step + 30)]
            index.upsert(new, labels)
            vectors.update(zip(labels, new, strict=True))
        else:
            index.flush()
        assert index.audit().ok and len(index) == len(vectors)
        expect_exact(index, index.search(QUERIES, 10), QUERIES)
        all_of_it = index.search(QUERIES, 10, ef=len(index), rescore=len(index))
        assert bits(all_of_it) == bits(index.exact_search(QUERIES, 10))
        for label in random.choice(sorted(vectors), 5).tolist():
            assert index.search(vectors[label], 1)[0].tolist() == [label]


def test_histories_with_removals_do_not_depend_on_threads_and_splits() -> None:
    def built(threads: int, parts: int) -> concord.Index:
        index = concord.Index(
            DIM, M=8, ef_construction=40, epoch_limit=64, codes="sq8", threads=threads
        )
        for part in np.array_split(np.arange(1000), parts):
            index.add(VECTORS[part], part)
        for labels in np.array_split(np.arange(0, 900, 2), parts):
            index.remove(labels)
        for labels in np.array_split(np.arange(1, 500, 2), parts):
            index.upsert(VECTORS[labels + 500], labels)
        index.add(VECTORS[1000:], np.arange(2000, 2500))
        return index

    all_ways = {built(*how).digest() for how in ((1, 1), (1, 37), (2, 4), (5, 1), (3, 90))}
    assert len(all_ways) == 1


# ------------------------------------------------------------------------------------------- files


def test_every_form_of_an_index_keeps_them(index: concord.Index, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "index"
    index.save(path)
    answers = bits(index.search(QUERIES, rescore=13))
    readers: list[Callable[[], concord.Index]] = [
        lambda: concord.load(path),
        lambda: concord.Index.map(path),
        lambda: concord.Index.map(path, check=True),
        lambda: concord.Index.open(path),
        lambda: concord.Index.from_bytes(index.to_bytes()),
        lambda: pickle.loads(pickle.dumps(index)),
        lambda: copy.copy(index),
        lambda: copy.deepcopy(index),
    ]
    for read in readers:
        other = read()
        assert (other.codes, other.digest()) == ("sq8", index.digest())
        assert bits(other.search(QUERIES, rescore=13)) == answers
        assert rescored(other, lambda it: it.search(QUERIES[0])) == 20
        assert other.audit().ok


def test_an_addition_goes_on_after_a_file(tmp_path: pathlib.Path) -> None:
    expected = coded().digest()
    for at in (64, 700, 1001):  # where an epoch ends, and within one
        first = coded(vectors=VECTORS[:at])
        first.save(tmp_path / "index")
        for index in (concord.load(tmp_path / "index"), pickle.loads(pickle.dumps(first))):
            index.add(VECTORS[at:])
            assert index.digest() == expected


@pytest.mark.parametrize("kind", [concord.Index, concord.ShardedIndex])
def test_an_opened_index_keeps_them(kind: type[concord.Index], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "index"
    parameters = {"M": 8, "ef_construction": 40, "epoch_limit": 64, "durability": "system"}
    for first, compact in ((0, False), (500, True), (1000, False)):
        index = kind.open(path, DIM, codes="SQ8", **parameters)  # type: ignore[arg-type]
        assert (len(index), index.codes) == (first, "sq8")
        index.add(VECTORS[first : first + 500])
        if compact:
            index.compact()
        del index
    index = kind.open(path)
    assert index.codes == "sq8"
    assert index.search(QUERIES[0], ef=SIZE)[0][0] == index.exact_search(QUERIES[0])[0][0]
    if kind is concord.Index:
        assert index.digest() == coded().digest()
    del index
    with pytest.raises(concord.InvalidParameterError, match="codes sq8.*codes none|other param"):
        kind.open(path, DIM, **parameters)  # type: ignore[arg-type]


def test_shards(tmp_path: pathlib.Path) -> None:
    index = concord.ShardedIndex(
        DIM, M=8, ef_construction=40, epoch_limit=64, codes="sq8", shards=3
    )
    for part in np.array_split(VECTORS, 4):
        index.add(part)
    for number in range(3):
        assert index.shard(number).codes == "sq8"
        alone = coded(vectors=VECTORS[:0])
        alone.add(VECTORS[number::3], np.arange(SIZE)[number::3])
        assert index.shard(number).digest() == alone.digest()
    answers = index.search(QUERIES, 10, rescore=17)
    expect_exact(index, answers, QUERIES)
    assert rescored(index, lambda it: it.search(QUERIES, 10, rescore=17)) == 3 * 17 * 60
    assert rescored(index, lambda it: it.search(QUERIES, 10, use_codes=False)) == 0
    index.save(tmp_path / "set")
    for other in (
        concord.ShardedIndex.load(tmp_path / "set"),
        concord.ShardedIndex.map(tmp_path / "set"),
    ):
        assert (other.codes, other.digest()) == ("sq8", index.digest())
        assert bits(other.search(QUERIES, 10, rescore=17)) == bits(answers)


@pytest.mark.parametrize("codes", ["none", "sq8"])
@pytest.mark.parametrize("storage", ["automatic", "f16"])
@pytest.mark.parametrize("n", range(6))
def test_few_vectors_are_the_same_whichever_way_they_come_back(
    tmp_path: pathlib.Path, codes: Any, storage: Any, n: int
) -> None:
    index = concord.Index(dim=9, codes=codes, storage=storage)
    index.add(np.random.default_rng(n).normal(size=(n, 9)).astype(np.float32))
    index.save(tmp_path / "index")
    queries = np.ones((2, 9), np.float32)
    labels, distances = index.search(queries, k=3)
    for other in (
        concord.load(tmp_path / "index"),
        concord.Index.map(tmp_path / "index"),
        concord.Index.map(tmp_path / "index", check=True),
        pickle.loads(pickle.dumps(index)),
    ):
        found = other.search(queries, k=3)
        assert (found.labels == labels).all() and (found.distances == distances).all()
        assert other.digest() == index.digest() and other.to_bytes() == index.to_bytes()


# ----------------------------------------------------------------------------------------- four bits


@pytest.mark.parametrize("metric", METRICS)
def test_four_bits_from_the_last_of_the_first_vectors_on(
    metric: str, tmp_path: pathlib.Path
) -> None:
    index = make_index(VECTORS[:1023], metric, 2, codes="sq4")
    assert rescored(index, lambda index: index.search(QUERIES, 10, 60)) == 0
    index.add(VECTORS[1023:])
    assert rescored(index, lambda index: index.search(QUERIES, 10, 60)) == 40 * len(QUERIES)
    answers = index.search(QUERIES, 10, 60)
    expect_exact(index, answers, QUERIES)
    assert (
        hits(index, 10, ef=60) >= hits(index, 10, ef=60, use_codes=False) - 0.03 * answers[0].size
    )
    index.save(tmp_path / "index")
    for other in (
        concord.Index.load(tmp_path / "index"),
        concord.Index.map(tmp_path / "index", check=True),
        pickle.loads(pickle.dumps(index)),
        copy.copy(index),
        make_index(VECTORS, metric, 1, codes="sq4"),
    ):
        assert other.codes == "sq4" and other.digest() == index.digest()
        assert bits(other.search(QUERIES, 10, 60)) == bits(answers)
