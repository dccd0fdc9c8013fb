"""Tensors of torch and JAX in host memory, where these are installed: read where they stand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import Floats, make_index, make_vectors
from test_memory import run

import concord

MAKE = {
    "torch": "import torch; tensor = torch.from_numpy",
    "jax": "import jax; tensor = jax.numpy.asarray",
}


@pytest.fixture(params=MAKE)
def library(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


def tensor_of(library: Any, vectors: Any) -> Any:
    return (
        library.from_numpy(vectors)
        if library.__name__ == "torch"
        else library.numpy.asarray(vectors)
    )


def address_of(tensor: Any) -> int:
    address: int
    address = tensor.data_ptr() if hasattr(tensor, "data_ptr") else tensor.unsafe_buffer_pointer()
    return address


def test_a_tensor_is_handed_over_where_it_stands(library: Any) -> None:
    tensor = tensor_of(library, make_vectors(100))
    assert np.from_dlpack(tensor).ctypes.data == address_of(tensor)


@pytest.mark.parametrize("metric", ["l2sq", "cosine"])
def test_a_tensor_gives_what_its_numbers_give(library: Any, metric: str) -> None:
    vectors = make_vectors(400)
    expected = make_index(vectors, metric)
    tensor = tensor_of(library, vectors)
    index = make_index(tensor, metric)
    assert index.digest() == expected.digest()
    for search in (index.search, index.exact_search):
        for i in range(2):
            np.testing.assert_array_equal(search(tensor[:50], k=4)[i], search(vectors[:50], k=4)[i])
    np.testing.assert_array_equal(index.search(tensor[7], k=4)[0], index.search(vectors[7], k=4)[0])


def types(library: Any) -> list[Any]:
    here = library if library.__name__ == "torch" else library.numpy
    return [here.float16, here.bfloat16, here.int8, here.uint8]


def as_type(tensor: Any, dtype: Any) -> Any:
    return tensor.to(dtype) if hasattr(tensor, "data_ptr") else tensor.astype(dtype)


def as_floats(library: Any, tensor: Any) -> Floats:
    """What the library itself makes of the numbers."""
    here = library if library.__name__ == "torch" else library.numpy
    return np.asarray(np.from_dlpack(as_type(tensor, here.float32)), np.float32)


def test_other_types_are_converted_as_the_library_does(library: Any) -> None:
    whole = tensor_of(library, np.abs(make_vectors(300) * 20))
    for dtype in types(library):
        tensor = as_type(whole, dtype)
        assert make_index(tensor).digest() == make_index(as_floats(library, tensor)).digest()


def test_layouts_of_torch() -> None:
    torch = pytest.importorskip("torch")
    vectors = make_vectors(300)
    expected = make_index(vectors).digest()
    wide = torch.zeros(300, 20)
    wide[:, 2:18] = torch.from_numpy(vectors)
    for tensor in (wide[:, 2:18], torch.from_numpy(np.ascontiguousarray(vectors.T)).T):
        assert make_index(tensor).digest() == expected


def test_other_types_of_torch_are_refused() -> None:
    torch = pytest.importorskip("torch")
    index = concord.Index(16)
    with pytest.raises(concord.ArrayTypeError, match="int32"):
        index.add(torch.zeros(3, 16, dtype=torch.int32))
    assert len(index) == 0


def test_adding_and_searching_a_tensor_takes_no_copy_of_it(library: Any) -> None:
    run(
        MAKE[library.__name__]
        + """
X = tensor(make("f4"))
made = index()
made.add(tensor(make("f4")[:64]), labels=range(10**6, 10**6 + 64))
before = made.memory().total
extra = grown(lambda: made.add(X)) - (made.memory().total - before)
print("extra of add", extra)
assert extra <= 0.02 * N * DIM * 4
extra = grown(lambda: made.search(X, k=1))
print("extra of search", extra)
assert extra <= 0.02 * N * DIM * 4
"""
    )
