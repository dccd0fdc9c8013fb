"""Index.filter and the searches that take a filter: every form that a filter can have, and what is refused."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Floats, make_index, make_vectors

import concord


@pytest.fixture
def wanted(index: concord.Index) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(index), bool)
    mask[100:260] = True
    return mask


def found(index: concord.Index, query: Any, which: Any) -> list[int]:
    """The labels that match, by an exact search that must return them all."""
    labels, _ = index.exact_search(query, len(index), filter=which)
    return sorted(label for label in labels.tolist() if label != concord.NO_LABEL)


def forms(mask: npt.NDArray[np.bool_]) -> list[Any]:
    labels = np.flatnonzero(mask)
    return [
        mask,
        mask.astype(np.uint8) * 3,
        mask.tolist(),
        np.repeat(mask, 2)[::2],
        np.ma.MaskedArray(np.ones(len(mask), bool), ~mask),
        labels,
        labels[::-1].tolist(),
        labels.astype(np.int16),
        np.concatenate([labels, labels]),
        slice(100, 260),
        lambda labels: (labels >= 100) & (labels < 260),
    ]


def test_every_form_means_the_same(
    index: concord.Index, vectors: Floats, wanted: npt.NDArray[np.bool_]
) -> None:
    expected = index.search(vectors[:5], k=10, filter=index.filter(wanted))
    for form in forms(wanted):
        assert found(index, vectors[0], form) == list(range(100, 260))
        labels, distances = index.search(vectors[:5], k=10, filter=form)
        np.testing.assert_array_equal(labels, expected[0])
        np.testing.assert_array_equal(distances, expected[1])


def test_slices_are_of_the_order_of_insertion(index: concord.Index, vectors: Floats) -> None:
    n = len(index)
    for which in (
        slice(None),
        slice(-7, None),
        slice(3, n, 50),
        slice(5, 2),
        slice(None, None, -3),
    ):
        assert found(index, vectors[0], which) == sorted(range(n)[which])


def test_arrow_and_polars_take_offset_and_null(index: concord.Index, vectors: Floats) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    polars = pytest.importorskip("polars")
    pandas = pytest.importorskip("pandas")
    values = [None if i % 7 == 0 else i % 3 == 0 for i in range(len(index))]
    matches = [i for i, value in enumerate(values) if value]
    column = pyarrow.array([True, None, False, *values, True])
    columns = [
        pyarrow.array(values),
        column[3:-1],
        pyarrow.chunked_array([values[:11], values[11:]]),
        polars.Series(values),
        pandas.Series(values, dtype="boolean"),
        pandas.Series(values, dtype=pandas.ArrowDtype(pyarrow.bool_())),
    ]
    for one in columns:
        assert found(index, vectors[0], one) == matches
    for labels in (pyarrow.array(matches), polars.Series(matches), pandas.Series(matches)):
        assert found(index, vectors[0], labels) == matches
    for bad in (pyarrow.array([1, None]), polars.Series([1, None])):
        with pytest.raises(concord.ArrayTypeError, match="1 nulls"):
            index.filter(bad)
    with pytest.raises(concord.InvalidParameterError, match="the mask is of 3 vectors"):
        index.filter(pyarrow.array([True, False, True]))


def test_nulls_of_bytes_and_of_callables_do_not_match(
    index: concord.Index, vectors: Floats
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    polars = pytest.importorskip("polars")
    pandas = pytest.importorskip("pandas")
    values = [None if i % 7 == 0 else i % 3 == 0 for i in range(len(index))]
    matches = [i for i, value in enumerate(values) if value]
    numbers = [None if value is None else int(value) for value in values]
    masked = np.ma.MaskedArray(np.ones(len(index), np.uint8), [not value for value in values])
    for one in (
        masked,
        pyarrow.array(numbers, pyarrow.uint8()),
        polars.Series(numbers, dtype=polars.UInt8),
        pandas.Series(numbers, dtype="UInt8"),
        pandas.Series(numbers, dtype=pandas.ArrowDtype(pyarrow.uint8())),
    ):
        assert found(index, vectors[0], one) == matches
    for column in (
        pyarrow.array(values),
        pyarrow.chunked_array([values[:11], values[11:]]),
        polars.Series(values),
        pandas.Series(values, dtype="boolean"),
        pandas.Series(values, dtype=pandas.ArrowDtype(pyarrow.bool_())),
    ):
        assert found(index, vectors[0], lambda labels, column=column: column) == matches
    frame = pandas.DataFrame({"a": values})
    for bad in (frame, polars.DataFrame(frame), polars.col("a"), pyarrow.table({"a": values})):
        with pytest.raises(concord.ArrayTypeError, match="allowed are masks"):
            index.filter(bad)


def test_labels_are_read_as_everywhere(index: concord.Index) -> None:
    assert index.filter([1, 2**63]).unknown == 1
    for bad in ([True, 5], [1, None], [1.5], [-1]):
        with pytest.raises(concord.ArrayTypeError):
            index.filter(bad)  # type: ignore[arg-type]
    assert index.filter(np.array([])).matches == 0
    listed: Any = lambda labels: [label > 1 for label in labels]  # noqa: E731
    assert concord.Index(dim=2).filter(listed).size == 0


def test_a_callable_cannot_change_the_labels(index: concord.Index) -> None:
    def sorts(labels: Any) -> Any:
        labels.sort()
        return labels < 3

    with pytest.raises(ValueError, match="read-only"):
        index.filter(sorts)


def test_only_an_index_makes_filters(index: concord.Index, vectors: Floats) -> None:
    with pytest.raises(TypeError, match=r"made by Index\.filter"):
        concord.Filter([1, 2])  # type: ignore[arg-type]
    sharded = concord.ShardedIndex(dim=vectors.shape[1], shards=2)
    sharded.add(vectors)
    with pytest.raises(concord.InvalidParameterError, match="another index"):
        sharded.search(vectors[:1], filter=index.filter([1]))
    with pytest.raises(concord.InvalidParameterError, match="of a ShardedIndex"):
        index.search(vectors[:1], filter=sharded.filter([1]))


def test_combines_and_tells_of_itself(index: concord.Index) -> None:
    first, odd = index.filter(slice(0, 100)), index.filter(lambda labels: labels % 2 == 1)
    assert [f.matches for f in (first & odd, first | odd, ~first)] == [50, 300, 400]
    assert first.size == 500
    assert repr(first) == "concord.Filter(100 of 500 vectors)"
    assert 400 <= first.nbytes < 1000
    assert index.filter([3, 4, 10**9]).unknown == 1
    assert index.filter(first) is first
    with pytest.raises(TypeError):
        first & 3  # type: ignore[operator]


def test_a_list_gives_each_query_its_own(index: concord.Index, vectors: Floats) -> None:
    which = [slice(0, 50), None, np.arange(400, 500), index.filter([7]), [True] * 500]
    labels, distances = index.search(vectors[:5], k=3, filter=which)
    for query, one in enumerate(which):
        alone = index.search(vectors[query], k=3, filter=one)
        np.testing.assert_array_equal(labels[query], alone[0])
        np.testing.assert_array_equal(distances[query], alone[1])
    assert labels[3].tolist() == [7, -1, -1]
    exact = index.exact_search(vectors[:5], k=3, filter=which)
    assert exact[0][3].tolist() == [7, -1, -1]
    with pytest.raises(concord.InvalidParameterError, match="2 filters for 5 queries"):
        index.search(vectors[:5], filter=[None, index.filter([7])])


def test_returns_all_that_match_and_fills_out(index: concord.Index, vectors: Floats) -> None:
    out = np.empty((2, 5), np.int64), np.empty((2, 5), np.float32)
    labels, distances = index.search(vectors[:2], k=5, filter=[3, 9], out=out)
    assert labels is out[0]
    assert labels[0, 2:].tolist() == [-1] * 3 and np.isinf(distances[0, 2:]).all()
    nothing: Any
    for nothing in ([], np.zeros(500, bool), slice(0, 0)):
        assert (index.search(vectors[:2], k=5, filter=nothing)[0] == -1).all()


def test_refuses_what_does_not_fit(index: concord.Index, vectors: Floats) -> None:
    with pytest.raises(concord.InvalidParameterError, match=r"499 vectors; the index has 500"):
        index.search(vectors[:2], filter=np.ones(499, bool))
    with pytest.raises(concord.ArrayTypeError, match="float64"):
        index.filter(np.ones(500))
    with pytest.raises(concord.ArrayTypeError, match="one dimension"):
        index.filter(np.ones((500, 1), bool))
    with pytest.raises(concord.ArrayTypeError, match="unknown"):
        index.filter("abc")  # type: ignore[arg-type]
    with pytest.raises(concord.ArrayTypeError, match="allowed are booleans"):
        index.filter(lambda labels: labels)
    with pytest.raises(concord.InvalidParameterError, match=r"\[3\] for 500 labels"):
        index.filter(lambda labels: np.ones(3, bool))
    other = make_index(make_vectors(500))
    with pytest.raises(concord.InvalidParameterError, match="another index"):
        index.search(vectors[:2], filter=other.filter([1]))
    with pytest.raises(concord.InvalidParameterError, match="different indexes"):
        index.filter([1]) & other.filter([1])
    with pytest.raises(concord.InvalidParameterError, match="k is 65537"):
        index.search(vectors[:2], k=65537, filter=[1])
    with pytest.raises(ZeroDivisionError):
        index.filter(lambda labels: 1 // 0)  # type: ignore[arg-type, return-value]


def test_is_a_snapshot(index: concord.Index, vectors: Floats) -> None:
    everything = index.filter(slice(None))
    index.add(vectors[:10] + 0.5)
    index.remove([4, 5])
    assert found(index, vectors[0], everything) == [i for i in range(500) if i not in (4, 5)]
    assert found(index, vectors[0], np.ones(len(index), bool)) == sorted(index.labels().tolist())


def test_many_threads_share_filters_beside_a_writer(index: concord.Index, vectors: Floats) -> None:
    filters = [index.filter(np.arange(500) % 50 == i) for i in range(50)]
    wrong: list[object] = []

    def search() -> None:
        for i, one in enumerate(filters):
            labels, _ = index.search(vectors[:3], k=10, filter=one)
            if not ((labels % 50 == i).all() and (labels < 500).all()):
                wrong.append(labels)

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for start in range(0, 400, 20):
        index.add(vectors[start : start + 20])
    for thread in threads:
        thread.join()
    assert wrong == []
