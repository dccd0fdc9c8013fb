"""The index as a Python object: parameters, content, answers, runtime."""

from __future__ import annotations

import copy
import logging
import pickle

import numpy as np
import pytest
from conftest import Floats, make_index, make_vectors

import concord


def test_parameters_are_kept() -> None:
    index = concord.Index(
        3, "cosine", 5, 77, seed=2**64 - 1, epoch_limit=9, threads=1, device="cpu"
    )
    assert (index.dim, index.metric, index.M, index.ef_construction) == (3, "cosine", 5, 77)
    assert (index.seed, index.epoch_limit, index.threads, index.device) == (2**64 - 1, 9, 1, "cpu")
    assert repr(index) == (
        "concord.Index(dim=3, metric='cosine', M=5, ef_construction=77, threads=1, "
        "device='cpu'): 0 vectors"
    )


@pytest.mark.parametrize(
    ("name", "metric"),
    [("l2", "l2sq"), ("l2sq", "l2sq"), ("ip", "inner_product"), ("dot", "inner_product")]
    + [("inner_product", "inner_product"), ("cosine", "cosine"), ("angular", "cosine")],
)
def test_metrics_have_the_names_of_other_libraries(name: str, metric: str) -> None:
    assert concord.Index(2, name).metric == metric


def test_slack_ends_searches_early(vectors: Floats) -> None:
    index = make_index(vectors)
    queries = make_vectors(40, seed=5)

    def cost(slack: float) -> tuple[Floats, int]:
        before = index.stats().search.hops
        distances = index.search(queries, 5, 300, slack=slack)[1]
        return distances, index.stats().search.hops - before

    none, all_hops = cost(np.inf)
    some, some_hops = cost(0.2)
    least, least_hops = cost(0)
    assert least_hops < some_hops < all_hops
    assert np.all(none <= some) and np.all(some <= least)


def test_labels_are_numbers_or_the_callers(vectors: Floats) -> None:
    index = concord.Index(16)
    assert index.add(vectors[:5]) == 5
    assert index.add(vectors[5:8], labels=[100, 2**64 - 2, 50]) == 3
    assert index.add(vectors[8]) == 1
    assert index.labels().dtype == np.uint64
    assert list(index) == [0, 1, 2, 3, 4, 100, 2**64 - 2, 50, 8]
    assert len(index) == 9
    assert 100 in index and np.uint64(2**64 - 2) in index
    assert 5 not in index and -1 not in index and concord.NO_LABEL not in index
    assert 2**70 not in index
    np.testing.assert_array_equal(index[100], vectors[5])
    np.testing.assert_array_equal(index[np.int32(8)], vectors[8])


@pytest.mark.parametrize("dtype", ["u8", "i8", "i4", "u2", "u1"])
def test_labels_of_any_integer_type(vectors: Floats, dtype: str) -> None:
    index = concord.Index(16)
    index.add(vectors[:3], labels=np.array([7, 9, 200], dtype)[::-1])
    assert list(index) == [200, 9, 7]


def test_answers_have_the_shape_of_the_question(index: concord.Index, vectors: Floats) -> None:
    labels, distances = index.search(vectors[:4], k=3)
    assert labels.shape == distances.shape == (4, 3)
    assert labels.dtype == np.uint64 and distances.dtype == np.float32
    assert labels[:, 0].tolist() == [0, 1, 2, 3]
    one = index.search(vectors[2], k=3)
    assert one[0].shape == one[1].shape == (3,)
    np.testing.assert_array_equal(one[0], labels[2])
    np.testing.assert_array_equal(one[1], distances[2])
    for search in (index.search, index.exact_search):
        assert search(np.empty((0, 16), np.float32))[0].shape == (0, 10)
        assert search(vectors[:3], k=0)[1].shape == (3, 0)


def test_places_without_an_answer_are_marked(vectors: Floats) -> None:
    index = make_index(vectors[:2])
    for search in (index.search, index.exact_search):
        labels, distances = search(vectors[:1], k=4)
        assert labels.tolist() == [[0, 1, concord.NO_LABEL, concord.NO_LABEL]]
        assert np.isinf(distances[0, 2:]).all()


def test_out_is_written_and_returned(index: concord.Index, vectors: Floats) -> None:
    for search in (index.search, index.exact_search):
        expected = search(vectors[:5], k=7)
        for type_ in (np.uint64, np.int64):
            wide = np.full((5, 9), 99, type_)  # rows with a stride
            out = wide[:, :7], np.empty((5, 7), np.float32)
            labels, distances = search(vectors[:5], k=7, out=out)
            assert labels is out[0] and distances is out[1]
            np.testing.assert_array_equal(labels, expected[0].astype(type_))
            np.testing.assert_array_equal(distances, expected[1])
            assert (wide[:, 7:] == 99).all()
        flat = np.empty(7, np.int64), np.empty(7, np.float32)
        search(vectors[3], k=7, out=flat)
        np.testing.assert_array_equal(flat[0], expected[0][3])


def test_answers_do_not_depend_on_how_the_batch_is_cut(index: concord.Index) -> None:
    queries = make_vectors(3000, seed=2)  # more than a piece of exact_search
    for search in (index.search, index.exact_search):
        whole = search(queries, k=4)
        for q in (0, 255, 256, 2999):
            np.testing.assert_array_equal(search(queries[q], k=4)[0], whole[0][q])
        halves = [search(queries[:1500], k=4), search(queries[1500:], k=4)]
        for i in range(2):
            np.testing.assert_array_equal(np.concatenate([h[i] for h in halves]), whole[i])


def test_threads_and_splits_change_nothing(vectors: Floats) -> None:
    digests = {make_index(vectors, threads=threads).digest() for threads in (1, 2, 5)}
    index = concord.Index(16, M=8, ef_construction=40, epoch_limit=64)
    for part in np.array_split(vectors, 7):
        index.add(part)
    assert digests == {index.digest()}


def test_runtime_can_be_changed_for_a_while(index: concord.Index, vectors: Floats) -> None:
    before = index.digest()
    with index.using(threads=3, device="cpu") as same:
        assert same is index
        assert (index.threads, index.device, index.stats().threads) == (3, "cpu", 3)
        index.search(vectors[:2])
    assert (index.threads, index.device) == (2, "auto")
    with pytest.raises(ZeroDivisionError), index.using(threads=1):
        raise ZeroDivisionError
    assert index.threads == 2
    index.threads = 1
    index.device = "cpu"
    assert (index.threads, index.device, index.stats().threads) == (1, "cpu", 1)
    with pytest.raises(concord.InvalidParameterError):
        index.threads = 5000
    with pytest.raises(concord.Error), index.using(device="abacus"):
        pass
    assert (index.threads, index.device) == (1, "cpu")
    assert index.digest() == before


def test_pickles_and_copies_are_the_same_index(index: concord.Index, vectors: Floats) -> None:
    index.threads = 1
    for other in (pickle.loads(pickle.dumps(index)), copy.copy(index), copy.deepcopy(index)):
        assert other is not index and type(other) is concord.Index
        assert other.digest() == index.digest()
        assert (other.threads, other.device) == (1, "auto")
        other.add(vectors[:1] + 1)
        assert len(other) == len(index) + 1


class Named(concord.Index):
    """A subclass with a __dict__."""


def test_subclasses_survive_pickling_and_loading() -> None:
    index = Named(2)
    index.add([[1, 2]])
    assert type(pickle.loads(pickle.dumps(index))) is Named


def test_reports(index: concord.Index, vectors: Floats) -> None:
    index.search(vectors[:9])
    stats = index.stats()
    assert stats.size == sum(stats.level_histogram) == sum(stats.degree_histogram) == 500
    assert stats.isa == concord.isa() in ("scalar", "avx2", "avx512")
    assert stats.search.queries == 9
    assert stats.build.commit.count == 500 and stats.build.distances > 500
    assert stats.device.name == "cpu"
    audit = index.audit()
    assert audit.ok and audit.nodes == 500 and audit.edges > 500 and audit.messages == []
    memory = index.memory()
    assert memory.vectors >= vectors.nbytes
    assert memory.total == sum(vars(memory).values()) > memory.vectors
    assert len(index.digest()) == 32


def test_the_library_writes_to_pythons_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="concord"):
        index = concord.Index(4, device="auto")
        index.add(make_vectors(1100, 4))  # enough to look for a device
    assert [record.name for record in caplog.records] == ["concord"]
    assert "using" in caplog.text


def test_the_version_is_the_distributions() -> None:
    assert concord.__version__.count(".") == 2


def test_a_build_says_whether_it_has_cuda() -> None:
    index = concord.Index(4, device="auto")
    index.add(make_vectors(1100, 4))  # enough to look for a device
    without = "built without CUDA" in index.stats().device.reason
    assert concord.built_with_cuda is not without
