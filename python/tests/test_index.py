"""The index as a Python object: parameters, content, answers, runtime."""

from __future__ import annotations

import copy
import dataclasses
import io
import logging
import math
import pathlib
import pickle
import tempfile
from typing import Any

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
    assert labels.dtype == np.int64 and distances.dtype == np.float32
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


def test_labels_index_arrays(vectors: Floats) -> None:
    index = make_index(vectors[:3])
    names = ["a", "b", "c"]
    labels, _ = index.search(vectors[:3], k=1)
    assert np.array(names)[labels[:, 0]].tolist() == names
    assert [names[label] for label in labels[:, 0]] == names
    padded, _ = index.search(vectors[0], k=4)
    assert (padded == concord.NO_LABEL).tolist() == [False, False, False, True]


def type_of_labels(index: concord.Index, query: Floats) -> str:
    found = {
        str(index.search(query, k=2)[0].dtype),
        str(index.exact_search(query, k=2)[0].dtype),
        str(index.search(query[None], k=0)[0].dtype),
        str(index.labels().dtype),
    }
    (same,) = found
    return same


def test_labels_are_int64_unless_one_does_not_fit(vectors: Floats, tmp_path: pathlib.Path) -> None:
    index, path = concord.Index(16), tmp_path / "index"
    assert type_of_labels(index, vectors[0]) == "int64"
    index.add(vectors[:5])
    index.add(vectors[5:7], labels=[2**63 - 1, 70])
    assert type_of_labels(index, vectors[0]) == "int64"
    with pytest.raises(concord.DuplicateLabelError):
        index.add(vectors[7:9], labels=[2**63, 70])  # refused: nothing changes
    assert type_of_labels(index, vectors[0]) == "int64"
    index.save(path)
    index.add(vectors[7:9], labels=[2**63, 71])
    assert type_of_labels(index, vectors[0]) == "uint64"
    assert index.search(vectors[7], k=1)[0].tolist() == [2**63]
    padded = index.search(vectors[7], k=20)[0]
    assert (padded.astype(np.int64) == concord.NO_LABEL).sum() == 11
    assert int(padded[-1]) == 2**64 - 1
    ways: list[Any] = [concord.load, concord.Index.map, concord.Index.open]
    for open_ in ways:
        assert type_of_labels(open_(path), vectors[0]) == "int64"
    index.save(path)
    for open_ in ways:
        assert type_of_labels(open_(path), vectors[0]) == "uint64"
    assert type_of_labels(pickle.loads(pickle.dumps(index)), vectors[0]) == "uint64"
    shards = concord.ShardedIndex(16, shards=2)
    shards.add(vectors[:5], labels=[1, 2, 3, 4, 2**63])
    assert type_of_labels(shards, vectors[0]) == "uint64"
    assert type_of_labels(shards.shard(1), vectors[0]) == "uint64"  # as the whole


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


def test_certificates_change_no_index() -> None:
    vectors = np.random.default_rng(1).normal(size=(600, 130)).astype(np.float32)
    digests = set()
    for certificates in (True, False):
        index = concord.Index(
            130, M=8, ef_construction=20, epoch_limit=128, threads=1, device="cpu"
        )
        assert index.certificates is True
        index.certificates = certificates
        with index.using(threads=2):
            index.add(vectors)
            assert index.certificates is certificates
        digests.add(index.digest())
    assert len(digests) == 1
    index.threads, index.device = 2, "auto"
    assert index.certificates is False
    assert copy.copy(index).certificates is False
    with pytest.raises(TypeError, match="allowed are True and False"):
        index.certificates = 1  # type: ignore[assignment]
    assert index.certificates is False


def test_the_share_that_is_checked_of_a_devices_work() -> None:
    index = concord.Index(4, threads=2, device="cpu")
    assert index.checked_share == 0.001
    for share in (0, 1, np.float32(0.25)):
        index.checked_share = share  # type: ignore[assignment]  # of numpy
        assert index.checked_share == share
    index.threads, index.device, index.certificates = 1, "auto", False
    with index.using(threads=2, device="cpu"):
        assert index.checked_share == 0.25
    twin = copy.copy(index)
    assert (twin.threads, twin.certificates, twin.checked_share) == (1, False, 0.25)
    for wrong in (-0.1, 1.1, math.nan, math.inf, "1", None):
        with pytest.raises(concord.InvalidParameterError, match="allowed are numbers from 0 to 1"):
            index.checked_share = wrong  # type: ignore[assignment]
    assert index.checked_share == 0.25
    assert (index.stats().device.checked, index.stats().device.check_seconds) == (0, 0)


def test_pickles_and_copies_are_the_same_index(index: concord.Index, vectors: Floats) -> None:
    index.threads = 1
    index.device = "cpu"
    for other, runtime in (
        *((pickle.loads(pickle.dumps(index, how)), (0, "auto")) for how in range(6)),
        (copy.copy(index), (1, "cpu")),
        (copy.deepcopy(index), (1, "cpu")),
    ):
        assert other is not index and type(other) is concord.Index
        assert other.digest() == index.digest()
        assert (other.threads, other.device) == runtime
        other.add(vectors[:1] + 1)
        assert len(other) == len(index) + 1


class Named(concord.Index):
    """A subclass with a __dict__."""

    def __init__(self, *args: Any, names: list[str], **parameters: Any) -> None:
        super().__init__(*args, **parameters)
        self.names = names


class Slotted(concord.Index):
    """A subclass without one."""

    __slots__ = ("names",)


class Stateful(Named):
    """A subclass that says what its state is."""

    def __getstate__(self) -> object:
        return {"joined": ",".join(self.names)}

    def __setstate__(self, state: dict[str, str]) -> None:
        self.names = state["joined"].split(",")


def twins(index: concord.Index) -> list[Any]:
    return [
        *(pickle.loads(pickle.dumps(index, how)) for how in range(6)),
        copy.copy(index),
        copy.deepcopy(index),
    ]


def test_subclasses_keep_their_state_in_pickles_and_copies() -> None:
    slotted: Any = Slotted(2)
    slotted.names = ["a", "b"]
    index: Any
    for index in (Named(2, names=["a", "b"]), Stateful(2, names=["a", "b"]), slotted):
        index.add([[1, 2]])
        for twin in twins(index):
            assert type(twin) is type(index) and twin.digest() == index.digest()
            assert twin.names == ["a", "b"]
    index = Named(2, names=["a"])
    index.itself = index
    deep = copy.deepcopy(index)
    assert deep.names is not index.names and copy.copy(index).names is index.names
    assert deep.itself is deep
    with pytest.raises(AttributeError):
        twins(Slotted(2))[0].names  # noqa: B018


def test_a_pickle_needs_no_folder_for_temporary_files(
    index: concord.Index, vectors: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    memory = io.BytesIO()
    index.save(memory)
    memory.seek(0)
    for other in (*twins(index), concord.load(memory), concord.Index.from_bytes(index.to_bytes())):
        assert other.digest() == index.digest()


def test_a_pickle_that_was_damaged_is_refused(index: concord.Index) -> None:
    content = bytearray(index.to_bytes())
    content[len(content) // 2] ^= 1
    with pytest.raises(concord.CorruptFileError, match="the content is not a sound"):
        concord.Index.from_bytes(content)
    for nothing in (b"", "text", None, np.zeros((2, 2), np.uint8), np.zeros(9, np.int64)):
        with pytest.raises((concord.CorruptFileError, concord.ArrayTypeError)):
            concord.Index.from_bytes(nothing)  # type: ignore[arg-type]


def test_how_reports_are_shown(index: concord.Index, vectors: Floats) -> None:
    index.search(vectors[:9])
    lines = str(index.stats()).splitlines()
    assert len(lines) > 30 and all(len(line) < 100 for line in lines if "histogram" not in line)
    assert "size                        500" in lines and "search.queries              9" in lines
    assert str(index.memory()).splitlines()[-1] == f"total    {index.memory().total:,}"
    assert str(index.audit()).startswith("ok                  True\n")
    for shown in (index, index.stats(), index.memory(), index.audit(), index.stats().build):
        html = shown._repr_html_()
        assert html.startswith("<table>") and html.count("<tr>") == html.count("</tr>") > 3
    assert "<td style='text-align:left'>500</td>" in index._repr_html_()
    shards = concord.ShardedIndex(2, shards=3)._repr_html_()
    assert "concord.ShardedIndex" in shards
    bad = dataclasses.replace(index.audit(), messages=["<b>"])
    assert "&lt;b&gt;" in bad._repr_html_() and "<b>" not in bad._repr_html_()


def test_reports(index: concord.Index, vectors: Floats) -> None:
    index.search(vectors[:9])
    stats = index.stats()
    assert stats.size == sum(stats.level_histogram) == sum(stats.degree_histogram) == 500
    assert stats.isa == concord.isa() in ("scalar", "avx2", "avx512", "neon", "neon-dotprod")
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


def test_the_number_of_labels_is_compared_before_any_is_read() -> None:
    index = concord.Index(2)
    endless = np.broadcast_to(np.uint64(1), 2**40)
    for vectors, count in (([[0, 0], [1, 1], [2, 2]], 3), (np.zeros(2, np.float32), 1)):
        with pytest.raises(
            concord.DimensionMismatchError, match=f"1099511627776 labels for {count} vec"
        ):
            index.add(vectors, endless)
    assert len(index) == 0
