"""The gate for vectors: lists are held to the rules of arrays, columns are taken, nulls have a row."""

from __future__ import annotations

import array
import decimal
import pathlib
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from conftest import Floats, make_index, make_vectors

import concord

DIM = 16


def taken(vectors: Any, dim: int = 2) -> list[list[float]]:
    """What an index holds of them."""
    index = concord.Index(dim)
    index.add(vectors)
    return [index[label].tolist() for label in index]


# ------------------------------------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("vectors", "held"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        (((1, 2.5), (3, 4)), [[1, 2.5], [3, 4]]),
        ([1, 2], [[1, 2]]),
        ([np.float32(0.1), np.int8(3)], [[np.float32(0.1), 3]]),
        ([[2**24, -(2**24)], [2**25, 3 * 2**50]], [[2**24, -(2**24)], [2**25, 3 * 2**50]]),
        ([np.array([1, 2], "f2"), [3, 4]], [[1, 2], [3, 4]]),
        ([np.array([1, 2]), np.array([3, 4], "f8")], [[1, 2], [3, 4]]),
        ([array.array("f", [1, 2]), memoryview(array.array("d", [3, 4]))], [[1, 2], [3, 4]]),
        (np.array([[1, 2.5], [None, 3]], object)[:1], [[1, 2.5]]),
        (np.ma.masked_array([[1.0, 2.0]], mask=[[False, False]]), [[1, 2]]),
        (np.ma.masked_array([[1.0, 2.0]]), [[1, 2]]),
    ],
)
def test_lists_of_numbers(vectors: Any, held: list[list[float]]) -> None:
    assert taken(vectors) == held


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        ([[1, 2], ["1.5", 2]], "element 0 of row 1 of vectors is '1.5', str"),
        (["1", "2"], "'1', str"),
        (["ab", "cd"], "'ab', str"),
        ([[1, b"2"]], "bytes"),
        ([[1, 2 + 1j]], "complex"),
        ([np.array([1 + 2j, 3], "c8")], "row 0 of vectors is complex64"),
        ([[1.0, True]], "element 1 of row 0 of vectors is True, bool"),
        ([[1, np.True_]], "bool"),
        ([np.array([True, False])], "row 0 of vectors is bool"),
        ([[2**24 + 1, 0]], "16777217"),
        ([[0.5, 2**24 + 1]], "16777217"),
        ([[0, -(2**53) - 1]], "float32"),
        ([[10**400, 0]], "float32"),
        ([[2**128, 0]], "float32"),
        ([np.array([2**24 + 1, 0])], "16777217"),
        ([[1, None]], "None, NoneType"),
        ([[1, 2], None], "row 1 of vectors is None"),
        ([[1, decimal.Decimal(2)]], "Decimal"),
        ([[[1, 2]]], "list"),
        ([np.ones((1, 2))], "2 dimensions"),
        ([[1, 2], [3, 4, 5]], "row 1 of vectors has 3 elements, row 0 has 2"),
        ([[1, 2], np.ones(3)], "row 1 of vectors has 3 elements"),
        ([[1, 2], 3], "row 1 of vectors is 3"),
        ([np.array(1.0), np.array(2.0)], "ndarray"),
        (np.array([[1, "x"]], object), "'x', str"),
        (np.array([[True, 1]], object), "bool"),
        (np.array([np.ones(2), None], object), "row 1 of vectors is None"),
        (
            np.ma.masked_array([[1.0, 2], [3, 9]], mask=[[False, False], [False, True]]),
            "row 1 of vectors",
        ),
        ([[1, 2], np.ma.masked_array([1.0, 9], mask=[False, True])], "row 1 of vectors"),
        (np.array([[True, False]]), "bool"),
        (np.array([["1", "2"]]), "<U1"),
    ],
)
def test_what_an_array_may_not_hold_a_list_may_not(vectors: Any, words: str) -> None:
    index = concord.Index(2)
    for add in (index.add, index.search, index.exact_search):
        with pytest.raises(concord.Error) as raised:
            add(vectors)
        assert isinstance(raised.value, (TypeError, ValueError))
        expected = words if add == index.add else words.replace("vectors", "queries")
        assert expected in str(raised.value)
    assert len(index) == 0


@pytest.mark.parametrize("nothing", [[], (), np.empty((0, 2), object), np.empty(0, object)])
def test_an_empty_list_is_nothing_to_add(nothing: Any) -> None:
    index = concord.Index(2)
    assert index.add(nothing) == 0
    assert index.add(nothing, labels=[]) == 0
    assert index.search(nothing, k=3)[0].shape == (0, 3)
    assert index.exact_search(nothing, k=3)[1].shape == (0, 3)


def test_lists_hold_what_their_arrays_hold(vectors: Floats) -> None:
    def digest(rows: Any) -> str:
        index = concord.Index(DIM)
        index.add(rows)
        return index.digest()

    tiny = vectors * np.float32(1e-39)  # denormals among them
    tiny[:, 0] = 1  # a norm that l2sq takes
    for rows in (vectors, vectors.astype("f2"), vectors.astype("f8"), tiny):
        assert digest(rows) == digest(rows.tolist()) == digest(list(rows))


def test_denormals_of_a_list_survive_flush_to_zero(tmp_path: pathlib.Path) -> None:
    """Libraries built with -ffast-math set the processor so, as this constructor of gcc's does."""
    source = tmp_path / "fast.c"
    source.write_text(
        """
        #if defined(__aarch64__)
        void fast(void) { __asm__ volatile("msr fpcr, %0" : : "r"(1ul << 24)); }
        #else
        #include <xmmintrin.h>
        void fast(void) { _mm_setcsr(_mm_getcsr() | 0x8040); }
        #endif
        """
    )
    library = tmp_path / "fast.so"
    built = subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source])
    assert built.returncode == 0
    program = """
import ctypes, sys, numpy as np, concord
rows = (np.random.default_rng(1).normal(size=(50, 4)) * 1e-39).astype("f4")
rows[:, 0] = 1  # a norm that l2sq takes
as_lists = rows.tolist()
def held(vectors):
    index = concord.Index(4, threads=1)
    index.add(vectors)
    return index.digest()
before = held(rows), held(as_lists)
ctypes.CDLL(sys.argv[1]).fast()
print({*before, held(rows), held(as_lists), held([*rows])})
"""
    said = subprocess.run([sys.executable, "-c", program, library], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert said.stdout.count("'") == 2, said.stdout


@pytest.mark.parametrize(
    "labels",
    [
        [True, False],
        [1, True],
        np.ma.masked_array([1, 2], mask=[False, True]),
        pd.Series([1, None]),
    ],
)
def test_labels_pass_no_booleans_masks_or_nulls(labels: Any) -> None:
    index = concord.Index(2)
    with pytest.raises(concord.ArrayTypeError):
        index.add([[1, 2], [3, 4]], labels)
    assert len(index) == 0


@pytest.mark.parametrize("make", [pd.Series, pl.Series, pa.array, tuple, range])
def test_labels_of_columns(make: Callable[[Any], Any]) -> None:
    index = concord.Index(2)
    index.add([[1, 2], [3, 4]], make(range(7, 9)) if make is not range else range(7, 9))
    assert list(index) == [7, 8]


# ----------------------------------------------------------------------------------------- columns


def fixed(vectors: Floats) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


def tensors(vectors: Floats) -> pa.FixedShapeTensorArray:
    return pa.FixedShapeTensorArray.from_numpy_ndarray(vectors)


COLUMNS: dict[str, Callable[[Floats], Any]] = {
    "pandas column of arrays": lambda x: pd.Series(list(x)),
    "pandas column of lists": lambda x: pd.Series(x.tolist()),
    "pandas column with an index": lambda x: pd.Series(list(x), index=range(9, 9 + len(x))),
    "pandas frame": pd.DataFrame,
    "pandas column of arrow": lambda x: pd.Series(fixed(x), dtype=pd.ArrowDtype(fixed(x).type)),
    "polars array": lambda x: pl.Series(x.tolist(), dtype=pl.Array(pl.Float32, x.shape[1])),
    "polars list": lambda x: pl.Series(x.tolist(), dtype=pl.List(pl.Float32)),
    "polars list of float64": lambda x: pl.Series(x.tolist()),
    "polars frame": pl.DataFrame,
    "pyarrow fixed list": fixed,
    "pyarrow slice": lambda x: fixed(np.vstack([x[:3], x, x[:2]])).slice(3, len(x)),
    "pyarrow list": lambda x: pa.array(x.tolist(), pa.list_(pa.float32())),
    "pyarrow large list": lambda x: pa.array(x.tolist(), pa.large_list(pa.float32())),
    "pyarrow one chunk": lambda x: pa.chunked_array([fixed(x)]),
    "pyarrow chunks": lambda x: pa.chunked_array([fixed(x[:100]), fixed(x[100:])]),
    "pyarrow tensors": tensors,
    "pyarrow chunks of tensors": lambda x: pa.chunked_array([tensors(x[:7]), tensors(x[7:])]),
    "pyarrow tensor": pa.Tensor.from_numpy,
    "pyarrow table": lambda x: pa.table({str(i): x[:, i] for i in range(x.shape[1])}),
    "list of torch-like rows": lambda x: [Exporting(row) for row in x],
}


class Exporting:
    """An array that numpy reads by a method alone."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self.array


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_are_taken(name: str, vectors: Floats) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        column = COLUMNS[name](vectors)
        index = make_index(vectors)
        again = concord.Index(DIM, M=8, ef_construction=40, epoch_limit=64)
        assert again.add(column) == len(vectors)
        assert again.digest() == index.digest()
        np.testing.assert_array_equal(index.search(column)[0], index.search(vectors)[0])


def test_data_sets_of_hdf5_are_taken(vectors: Floats, tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "data.hdf5", "w") as file:
        data = file.create_dataset("train", data=vectors)
        index = concord.Index(DIM, M=8, ef_construction=40, epoch_limit=64)
        index.add(data)
    assert index.digest() == make_index(vectors).digest()


@pytest.mark.parametrize("name", ["pandas frame", "polars array", "pyarrow fixed list"])
def test_columns_without_rows(name: str) -> None:
    index = concord.Index(DIM)
    assert index.add(COLUMNS[name](np.empty((0, DIM), np.float32))) == 0


ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
NULLS: dict[str, Callable[[], Any]] = {
    "pandas": lambda: pd.Series([[1.0, 2], [3.0, 4], None]),
    "pandas element": lambda: pd.DataFrame({"a": [1.0, 2, None], "b": [1.0, 2, 3]}),
    "pandas arrow": lambda: pd.Series(
        pa.array([*ROWS[:2], None], pa.list_(pa.float32(), 2)),
        dtype=pd.ArrowDtype(pa.list_(pa.float32(), 2)),
    ),
    "polars": lambda: pl.Series([*ROWS[:2], None], dtype=pl.List(pl.Float32)),
    "polars array": lambda: pl.Series([*ROWS[:2], None], dtype=pl.Array(pl.Float32, 2)),
    "polars element": lambda: pl.Series([*ROWS[:2], [5.0, None]], dtype=pl.List(pl.Float32)),
    "polars element of array": lambda: pl.Series(
        [*ROWS[:2], [5.0, None]], dtype=pl.Array(pl.Float32, 2)
    ),
    "polars frame": lambda: pl.DataFrame({"a": [1.0, 2, None], "b": [1.0, 2, 3]}),
    "pyarrow": lambda: pa.array([*ROWS[:2], None], pa.list_(pa.float32(), 2)),
    "pyarrow element": lambda: pa.array([*ROWS[:2], [5, None]], pa.list_(pa.float32(), 2)),
    "pyarrow list": lambda: pa.array([*ROWS[:2], None], pa.list_(pa.float32())),
    "pyarrow table": lambda: pa.table({"a": [1.0, 2, None], "b": [1.0, 2, 3]}),
    "pyarrow chunks": lambda: pa.chunked_array(
        [pa.array(ROWS[:2], pa.list_(pa.float32(), 2)), pa.array([None], pa.list_(pa.float32(), 2))]
    ),
}


@pytest.mark.parametrize("name", NULLS)
def test_nulls_are_refused_with_their_row(name: str) -> None:
    index = concord.Index(2)
    with pytest.raises(concord.Error, match="(row|vector) 2") as raised:
        index.add(NULLS[name]())
    assert isinstance(raised.value, (TypeError, ValueError))
    assert len(index) == 0


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pd.Series(["a", "b"]), "str"),
        (pl.Series(["a", "b"]), "str"),
        (pa.array(["a", "b"]), "string"),
        (pa.array([[1.0, 2], [3.0]]), "row 1"),
        (pl.Series([[1.0, 2], [3.0]]), "row 1"),
        (pd.Series([[1.0, 2], [3.0]]), "row 1"),
        (pa.array([[True, False]], pa.list_(pa.bool_(), 2)), "bool"),
        (pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((3, 2, 2), "f4")), "one dimension"),
        (pa.scalar(1.0), "DoubleScalar"),
        (pa.array([[1, 2]], pa.list_(pa.int64(), 2)), "int64"),
        (pd.DataFrame({"a": [1.0], "b": ["x"]}), "'x', str"),
        (pd.DataFrame({"a": [True], "b": [False]}), "bool"),
    ],
)
def test_columns_that_hold_no_vectors(column: Any, words: str) -> None:
    index = concord.Index(2)
    with pytest.raises(concord.Error, match=words) as raised:
        index.add(column)
    assert isinstance(raised.value, (TypeError, ValueError))


@pytest.mark.parametrize(
    "name",
    [
        "pandas frame",
        "polars array",
        "polars list",
        "pyarrow fixed list",
        "pyarrow slice",
        "pyarrow list",
        "pyarrow one chunk",
        "pyarrow tensors",
    ],
)
def test_columns_of_fixed_width_are_not_copied(name: str) -> None:
    column = COLUMNS[name](make_vectors(20_000, DIM))
    index = concord.Index(DIM)
    index.search(COLUMNS[name](make_vectors(2, DIM)), k=1)
    tracemalloc.start()  # numpy tells it what it allocates
    try:
        index.search(column, k=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    answers = 20_000 * (8 + 4)
    assert peak < answers + 20_000 * DIM * 4 / 2


def test_an_array_that_cannot_be_made_is_an_error_of_concord() -> None:
    class Broken:
        def __array__(self, *args: Any, **kwargs: Any) -> Any:
            raise RuntimeError("not today")

    with pytest.raises(concord.ArrayTypeError, match="Broken are not an array: not today"):
        concord.Index(2).add(Broken())
