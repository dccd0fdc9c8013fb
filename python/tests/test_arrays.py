"""Arrays of every kind give the index that a plain float32 array gives, or are refused."""

from __future__ import annotations

import array
from typing import Any

import dlpack
import numpy as np
import pytest
from conftest import Floats, make_index, make_vectors

import concord


def digest_of(vectors: Any, dim: int = 16) -> str:
    index = concord.Index(dim, M=8, ef_construction=40, epoch_limit=64)
    index.add(vectors)
    return index.digest()


# Twice the buffer of converted pieces, so that more than one is converted.
MANY = 2 * (1 << 20) // 4 // 64 + 17


@pytest.mark.parametrize("dtype", ["f8", "f2", "i1", "u1", "<f4"])
def test_other_types_are_converted_exactly(dtype: str) -> None:
    other = (make_vectors(300) * 20).astype(dtype)
    assert digest_of(other) == digest_of(other.astype(np.float32))
    index = make_index(make_vectors(300))
    for search in (index.search, index.exact_search):
        for i in range(2):
            np.testing.assert_array_equal(
                search(other, k=5)[i], search(other.astype(np.float32), k=5)[i]
            )


def test_conversion_goes_over_many_pieces() -> None:
    index = concord.Index(64, M=2, ef_construction=4)
    data = make_vectors(MANY, 64).astype(np.float64)
    index.add(data)
    assert len(index) == MANY
    for i in (0, 4095, 4096, MANY - 1):
        np.testing.assert_array_equal(index[i], data[i].astype(np.float32))
    labels, _ = index.exact_search(data[[0, 4096, MANY - 1]], k=1)
    assert labels[:, 0].tolist() == [0, 4096, MANY - 1]


def test_every_half_is_converted_as_numpy_does() -> None:
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = every[np.isfinite(every)].reshape(-1, 8)
    index = concord.Index(8, M=2, ef_construction=2)
    index.add(halves)
    stored = np.stack([index[i] for i in index])
    np.testing.assert_array_equal(stored.view(np.uint32), halves.astype(np.float32).view(np.uint32))
    for value in (np.inf, -np.inf, np.nan):
        with pytest.raises(concord.InvalidVectorError):
            index.add(np.full((1, 8), value, np.float16))


def layouts(vectors: Floats) -> dict[str, Any]:
    n, dim = vectors.shape
    wide = np.zeros((n, dim + 3), np.float32)
    wide[:, 1 : dim + 1] = vectors
    spread = np.zeros((n, 2 * dim), np.float32)
    spread[:, ::2] = vectors
    raw = bytearray(vectors.nbytes + 1)
    raw[1:] = vectors.tobytes()
    unaligned = np.frombuffer(raw, np.float32, offset=1).reshape(n, dim)
    read_only = vectors.copy()
    read_only.flags.writeable = False
    return {
        "rows with a stride": wide[:, 1 : dim + 1],
        "columns with a stride": spread[:, ::2],
        "column-major": np.asfortranarray(vectors),
        "rows backwards": vectors[::-1].copy()[::-1],
        "columns backwards": vectors[:, ::-1].copy()[:, ::-1],
        "unaligned": unaligned,
        "read-only": read_only,
        "memoryview": memoryview(vectors),  # type: ignore[arg-type]
        "list": vectors.tolist(),
        "list of rows": list(vectors),
        "DLPack": dlpack.Tensor(vectors, dlpack.FLOAT),
        "DLPack with strides": dlpack.Tensor(np.asfortranarray(vectors), dlpack.FLOAT),
        "DLPack of float64": dlpack.Tensor(vectors.astype(np.float64), dlpack.FLOAT),
    }


@pytest.mark.parametrize("layout", layouts(make_vectors(2)))
def test_layouts_give_the_same_index(layout: str) -> None:
    vectors = make_vectors(300)
    index = make_index(vectors)
    expected = index.search(vectors, k=4)
    other = layouts(vectors)[layout]
    assert digest_of(other) == index.digest()
    for i in range(2):
        np.testing.assert_array_equal(index.search(other, k=4)[i], expected[i])


def test_repeated_rows_are_read_as_such() -> None:
    row = make_vectors(1)
    repeated = np.broadcast_to(row, (50, 16))
    assert repeated.strides[0] == 0
    assert digest_of(repeated) == digest_of(repeated.copy())


def test_bfloat16_by_dlpack() -> None:
    bits = dlpack.to_bfloat16(make_vectors(200))
    floats = (bits.astype(np.uint32) << 16).view(np.float32)
    assert digest_of(dlpack.Tensor(bits, dlpack.BFLOAT)) == digest_of(floats)


def test_a_single_vector_from_the_standard_library(index: concord.Index) -> None:
    query = make_vectors(1)[0]
    expected = index.search(query)[0]
    for same in (array.array("f", query.tolist()), array.array("d", query.tolist())):
        np.testing.assert_array_equal(index.search(same)[0], expected)


def test_dlpack_tensors_are_asked_once_and_let_go() -> None:
    tensor = dlpack.Tensor(make_vectors(5), dlpack.FLOAT)
    digest_of(tensor)
    assert tensor.streams == [None]


def test_pending_work_on_device_tensors_is_waited_for_on_the_default_stream() -> None:
    tensor = dlpack.Tensor(make_vectors(5), dlpack.FLOAT, dlpack.CUDA)
    with concord.Index(16).using(device="cpu") as index, pytest.raises(concord.UnsupportedError):
        index.add(tensor)
    assert tensor.streams == [1]


REFUSED: dict[str, tuple[Any, type[concord.Error], str]] = {
    "nothing": (None, concord.ArrayTypeError, "NoneType"),
    "text": ("vector", concord.ArrayTypeError, "not str"),
    "int64": (
        np.zeros((2, 16), np.int64),
        concord.ArrayTypeError,
        "are int64; allowed are float32",
    ),
    "int32": (np.zeros((2, 16), np.int32), concord.ArrayTypeError, "are int32"),
    "bool": (np.zeros((2, 16), bool), concord.ArrayTypeError, "are bool"),
    "complex": (np.zeros((2, 16), np.complex64), concord.ArrayTypeError, "are complex64"),
    "byte order": (np.zeros((2, 16), ">f4"), concord.ArrayTypeError, "are >f4"),
    "objects": (np.full((2, 16), None), concord.ArrayTypeError, "None, NoneType"),
    "dates": (np.zeros((2, 16), "M8[s]"), concord.ArrayTypeError, "datetime64"),
    "records": (np.zeros((2, 16), [("a", "f4")]), concord.ArrayTypeError, "a"),
    "ragged list": ([[1.0, 2.0], [3.0]], concord.DimensionMismatchError, "row 1 of"),
    "list of text": (["a", "b"], concord.ArrayTypeError, "is .a., str"),
    "complex DLPack": (
        dlpack.Tensor(np.zeros((2, 16), np.complex64), dlpack.COMPLEX),
        concord.ArrayTypeError,
        "are of an unknown type",
    ),
    "other device": (
        dlpack.Tensor(np.zeros((2, 16), np.float32), dlpack.FLOAT, dlpack.ROCM),
        concord.ArrayTypeError,
        "device type 10",
    ),
    "no dimension": (np.float32(3), concord.DimensionMismatchError, "0 dimensions"),
    "three dimensions": (np.zeros((2, 2, 16), np.float32), concord.DimensionMismatchError, "3 dim"),
    "too wide": (np.zeros((2, 17), np.float32), concord.DimensionMismatchError, "17 columns"),
    "too narrow": (np.zeros(15, np.float32), concord.DimensionMismatchError, "15 columns"),
    "too wide, converted": (np.zeros((2, 17)), concord.DimensionMismatchError, "17 columns"),
    "NaN": (np.full((2, 16), np.nan, np.float32), concord.InvalidVectorError, "NaN"),
    "infinity": (np.full((2, 16), np.inf), concord.InvalidVectorError, "infinity"),
    "beyond float32": (np.full((2, 16), 1e300), concord.InvalidVectorError, "infinity"),
    "huge": (np.full((2, 16), 1e30, np.float32), concord.InvalidVectorError, "squared norm"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_and_nothing_changes(index: concord.Index, what: str) -> None:
    value, kind, text = REFUSED[what]
    before = index.digest()
    for use in (index.add, index.search, index.exact_search):
        with pytest.raises(kind, match=text):
            use(value)
    assert index.digest() == before
    assert index.audit().ok


def test_a_tensor_that_is_not_exported_says_why(index: concord.Index) -> None:
    with pytest.raises(concord.ArrayTypeError, match="detach"):
        index.add(dlpack.Refusing())


def test_a_bad_vector_far_back_changes_nothing(index: concord.Index) -> None:
    before = index.digest()
    many = make_vectors(MANY, 16)
    many[MANY - 3, 5] = np.nan
    for bad in (many, many.astype(np.float64), np.asfortranarray(many)):
        with pytest.raises(concord.InvalidVectorError, match=f"vector {MANY - 3} has NaN"):
            index.add(bad)
    assert index.digest() == before and len(index) == 500
    with pytest.raises(concord.InvalidVectorError, match="NaN at element 5"):
        index.exact_search(many[-1000:])


class OnDevice:
    """An array that says it is in CUDA memory."""

    def __init__(self, **changes: object) -> None:
        self.__cuda_array_interface__ = {
            "shape": (3, 16),
            "typestr": "<f4",
            "data": (0x7F0000000000, False),
            "version": 3,
            "stream": 1,
        } | changes


@pytest.mark.skipif(concord.built_with_cuda, reason="for builds that cannot read such arrays")
@pytest.mark.parametrize(
    "value",
    [OnDevice(), OnDevice(strides=(128, 4), stream=None), OnDevice(shape=(16,))]
    + [dlpack.Tensor(np.zeros((3, 16), np.float32), dlpack.FLOAT, dlpack.CUDA)],
)
def test_device_memory_needs_a_device(index: concord.Index, value: Any) -> None:
    before = index.digest()
    for use in (index.add, index.search):
        with pytest.raises(concord.UnsupportedError, match="device"):
            use(value)
    with pytest.raises(concord.UnsupportedError, match="host"):
        index.exact_search(value)
    assert index.digest() == before


@pytest.mark.parametrize(
    "value",
    [OnDevice(typestr="<f8"), OnDevice(typestr="<f2"), OnDevice(strides=(4, 128))]
    + [OnDevice(strides=(32, 4))],
)
def test_device_memory_must_be_plain_float32(index: concord.Index, value: OnDevice) -> None:
    with pytest.raises(concord.ArrayTypeError, match="in device memory must be float32"):
        index.add(value)
