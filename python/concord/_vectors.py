"""The gate for vectors: whatever holds them becomes an array that the extension module reads.

Arrays of numbers pass as they are, and the extension module refuses element types that it does not take.
Here are decided the forms that numpy would convert without a word: lists, masked arrays, arrays of
objects, columns of pandas, polars and pyarrow. A list is held to the rules of an array: no strings, no
booleans, no complex numbers, no integer that float32 would round. Nulls are refused with their row.
Columns of fixed width are not copied.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any, NoReturn, cast

import numpy as np
import numpy.typing as npt

from concord.errors import ArrayTypeError, DimensionMismatchError

EXACT = 2**24
"""float32 has every integer up to here."""


def readable(vectors: Any, name: str, dim: int) -> object:
    """An array that the extension module reads, or refuses in words; an empty list has no rows."""
    kind = type(vectors)
    if kind is np.ndarray and vectors.dtype.kind != "O":
        return vectors
    if isinstance(vectors, (list, tuple)):
        return _of_list(vectors, name, dim)
    if isinstance(vectors, np.ma.MaskedArray):
        return readable(_unmasked(vectors, name), name, dim)
    if isinstance(vectors, np.ndarray):
        if vectors.dtype.kind == "O" and vectors.ndim > 0:
            return _of_list(vectors.tolist(), name, dim)
        return vectors
    library = kind.__module__.partition(".")[0]
    if library == "pyarrow" and not hasattr(vectors, "strides"):  # a Tensor is an array
        return _of_arrow(vectors, name, dim)
    if library == "polars":
        return readable(_of_polars(vectors, name), name, dim)
    if library == "pandas":
        return _of_pandas(vectors, name, dim)
    if hasattr(kind, "__dlpack__") or hasattr(kind, "__cuda_array_interface__"):
        return vectors
    if hasattr(kind, "__array__"):
        return readable(_as_array(vectors, name), name, dim)
    return vectors


def matrix(vectors: Any, name: str, dim: int) -> npt.NDArray[Any]:
    """As :func:`readable`, as an array of numpy: for callers who choose among the rows."""
    return _as_array(readable(vectors, name, dim), name)


def count(vectors: object) -> int | None:
    """The number of vectors of an array that :func:`readable` gave; none if it does not say."""
    shape = getattr(vectors, "shape", None)
    return None if not shape else int(shape[0]) if len(shape) > 1 else 1


def width(vectors: object) -> int:
    """The number of elements of a vector of an array that :func:`readable` gave; 1 if it does not say."""
    try:
        shape: Any = getattr(vectors, "shape", None) or memoryview(cast(bytes, vectors)).shape
        return int(shape[-1])
    except (TypeError, IndexError):  # the extension module refuses it in words
        return 1


def _as_array(vectors: Any, name: str) -> npt.NDArray[Any]:
    try:
        if hasattr(vectors, "__dlpack__") and not hasattr(vectors, "__array__"):
            return np.from_dlpack(vectors)
        return np.asarray(vectors)
    except Exception as error:  # of whichever library
        _refuse(f"{name} of type {type(vectors).__name__} are not an array: {error}")


def _refuse(message: str) -> NoReturn:
    raise ArrayTypeError(message) from None


def _unmasked(vectors: np.ma.MaskedArray[Any, Any], name: str) -> npt.NDArray[Any]:
    masked = np.argwhere(np.ma.getmaskarray(vectors))
    if len(masked):
        row = masked[0][0] if vectors.ndim > 1 else 0
        _refuse(f"row {row} of {name} has masked elements; allowed are arrays without any")
    return np.ma.getdata(vectors)


# ------------------------------------------------------------------------------------------- lists


def _of_list(values: Sequence[Any], name: str, dim: int) -> npt.NDArray[Any]:
    """Numbers, which are one vector, or rows, each a list or anything that is an array."""
    if len(values) == 0:
        return np.empty((0, dim), np.float32)
    if not any(map(_is_row, values)):
        return _numbers(values, name, 0)
    if all(isinstance(row, (list, tuple)) for row in values):
        width = len(values[0])
        _expect_width(values, width, name)
        numbers = _numbers(list(chain.from_iterable(values)), name, width)
        return numbers.reshape(len(values), width)
    rows = [_row(row, name, place) for place, row in enumerate(values)]
    _expect_width(rows, len(rows[0]), name)
    return np.stack(rows)


def _is_row(value: object) -> bool:
    if isinstance(value, (str, bytes, np.generic)) or getattr(value, "ndim", 1) == 0:
        return False
    return hasattr(value, "__len__")


def _expect_width(rows: Sequence[Any], width: int, name: str) -> None:
    for place, row in enumerate(rows):
        if len(row) != width:
            raise DimensionMismatchError(
                f"row {place} of {name} has {len(row)} elements, row 0 has {width}"
            )


def _row(row: Any, name: str, place: int) -> npt.NDArray[Any]:
    if isinstance(row, (list, tuple)):
        return _numbers(row, name, 0, place)
    if not _is_row(row):
        _refuse(f"row {place} of {name} is {row!r:.40}; allowed are lists and arrays of numbers")
    array = matrix(row, f"row {place} of {name}", len(row))
    if array.ndim != 1:
        _refuse(f"row {place} of {name} has {array.ndim} dimensions; allowed is one")
    if array.dtype.kind in "iu":
        return _numbers(array.tolist(), name, 0, place)
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype not in (np.float16, np.float32, np.float64):
        _refuse(f"row {place} of {name} is {array.dtype}; allowed are real numbers")
    return array


def _numbers(values: Sequence[Any], name: str, width: int, row: int = 0) -> npt.NDArray[Any]:
    """Numbers as float64, which the extension module rounds; ``width`` is that of a row, 0 for one row."""
    kinds = set(map(type, values))
    if not all(issubclass(kind, (int, float, np.integer, np.floating)) for kind in kinds) or (
        bool in kinds
    ):
        for place, value in enumerate(values):
            allowed = isinstance(value, (int, float, np.integer, np.floating))
            if not allowed or isinstance(value, bool):
                what = f"{value!r:.40}, {type(value).__name__}; allowed are real numbers"
                _refuse(f"{_position(name, place, width, row)} is {what}")
    if any(not issubclass(kind, (float, np.floating)) for kind in kinds):
        for place, value in enumerate(values):
            if isinstance(value, (int, np.integer)) and not _is_exact(int(value)):
                what = "; allowed are integers that float32 has, and floats"
                _refuse(f"{_position(name, place, width, row)} is {value!s:.40}{what}")
    return np.array(values, np.float64)


def _is_exact(value: int) -> bool:
    """Whether float32 has the integer: at most 24 bits between its highest and its lowest one."""
    if -EXACT <= value <= EXACT:
        return True
    lowest = (value & -value).bit_length()
    return value.bit_length() - lowest < 24 and value.bit_length() <= 128


def _position(name: str, place: int, width: int, row: int) -> str:
    row, column = (row + place // width, place % width) if width else (row, place)
    return f"element {column} of row {row} of {name}"


# ----------------------------------------------------------------------------------------- columns


def _of_arrow(column: Any, name: str, dim: int) -> object:
    pyarrow = sys.modules["pyarrow"]
    if isinstance(column, pyarrow.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    if isinstance(column, (pyarrow.Table, pyarrow.RecordBatch)):
        for part in column.columns:
            _expect_no_null(part, name, 1)
        return _as_array(column, name)
    if isinstance(column, pyarrow.ExtensionArray):
        if len(getattr(column.type, "shape", ())) not in (0, 1):
            _refuse(f"{name} are tensors {column.type.shape}; allowed is one dimension")
        column = column.storage
    if not isinstance(column, pyarrow.Array):
        _refuse(f"{name} of type pyarrow.{type(column).__name__} are not a column of vectors")
    _expect_no_null(column, name, 1)
    kind = column.type
    if pyarrow.types.is_fixed_size_list(kind):
        width = kind.list_size
    elif pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        width = len(column[0]) if len(column) else dim
        _expect_width(column, width, name)
    elif pyarrow.types.is_floating(kind) or pyarrow.types.is_integer(kind):
        return column.to_numpy(zero_copy_only=False)
    else:
        _refuse(f"{name} are {kind}; allowed are lists of numbers, best of a fixed size")
    values = column.flatten()
    _expect_no_null(values, name, width)
    return values.to_numpy(zero_copy_only=False).reshape(len(column), width)


def _expect_no_null(column: Any, name: str, width: int) -> None:
    if column.null_count:
        row = column.is_null().to_pylist().index(True) // max(width, 1)
        _refuse(f"row {row} of {name} is null or has nulls; allowed are numbers")


def _of_polars(column: Any, name: str) -> Any:
    polars = sys.modules["polars"]
    if isinstance(column, polars.DataFrame):
        for part in column:
            _expect_no_null_of_polars(part, name, 1)
        return column.to_numpy()
    _expect_no_null_of_polars(column, name, 1)
    if isinstance(column.dtype, polars.List):
        lengths = column.list.len()
        if column.is_empty():
            return []
        width = lengths[0]
        if (lengths != width).any():
            row = int((lengths != width).arg_max())
            raise DimensionMismatchError(
                f"row {row} of {name} has {lengths[row]} elements, row 0 has {width}"
            )
    elif isinstance(column.dtype, polars.Array):
        width = column.dtype.size
    else:
        return column.to_numpy()
    values = column.explode()
    _expect_no_null_of_polars(values, name, width)
    return values.to_numpy().reshape(len(column), width)


def _expect_no_null_of_polars(column: Any, name: str, width: int) -> None:
    if column.null_count():
        row = int(column.is_null().arg_max()) // max(width, 1)
        _refuse(f"row {row} of {name} is null or has nulls; allowed are numbers")


def _of_pandas(column: Any, name: str, dim: int) -> object:
    if type(getattr(column, "dtype", None)).__name__ == "ArrowDtype":
        return readable(column.array.__arrow_array__(), name, dim)
    values = column.to_numpy()
    if values.dtype.kind == "O":  # rows, or elements of which one is null
        return _of_list(values.tolist(), name, dim)
    return values
