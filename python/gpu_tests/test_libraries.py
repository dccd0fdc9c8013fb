"""Arrays of torch, CuPy and JAX on the GPU, where these are installed there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import Floats, make_index, on_the_gpu

import concord


def torch_tensor(array: Floats) -> Any:
    return pytest.importorskip("torch").from_numpy(array).cuda()


def cupy_array(array: Floats) -> Any:
    return pytest.importorskip("cupy").asarray(array)


def jax_array(array: Floats) -> Any:
    jax = pytest.importorskip("jax")
    made = jax.device_put(array, jax.devices("gpu")[0])
    assert made.devices() == {jax.devices("gpu")[0]}
    return made


def numba_array(array: Floats) -> Any:
    return pytest.importorskip("numba.cuda").to_device(array)


LIBRARIES = {"torch": torch_tensor, "cupy": cupy_array, "jax": jax_array, "numba": numba_array}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("metric", ["l2sq", "cosine"])
def test_an_array_of_the_library(
    by_the_cpu: dict[str, concord.Index], vectors: Floats, queries: Floats, library: str, metric: str
) -> None:  # fmt: skip
    there = LIBRARIES[library](vectors)
    index = make_index("cuda", metric)
    index.add(there)
    assert index.digest() == by_the_cpu[metric].digest()
    assert on_the_gpu(index)
    expected = by_the_cpu[metric].search(queries, k=10)
    for mine, its in zip(index.search(LIBRARIES[library](queries), k=10), expected, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_torch_work_on_another_stream_is_waited_for(
    by_the_cpu: dict[str, concord.Index], vectors: Floats
) -> None:
    torch = pytest.importorskip("torch")
    origin = torch.from_numpy(vectors).cuda()
    target = torch.zeros_like(origin)
    torch.cuda.synchronize()
    index = make_index("cuda")
    index.add(origin[:0])  # opens the device, which takes long
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda._sleep(200_000_000)  # cycles: a tenth of a second
        target.copy_(origin)
        index.add(target)
    assert index.digest() == by_the_cpu["l2sq"].digest()


def test_cupy_work_on_another_stream_is_waited_for(
    by_the_cpu: dict[str, concord.Index], vectors: Floats
) -> None:
    cupy = pytest.importorskip("cupy")
    origin = cupy.asarray(vectors)
    target = cupy.zeros_like(origin)
    busy = cupy.zeros((8192, 8192), np.float32)
    busy @ busy
    cupy.cuda.Device().synchronize()
    index = make_index("cuda")
    index.add(origin[:0])
    with cupy.cuda.Stream(non_blocking=True):
        for _ in range(10):
            busy @ busy
        target[...] = origin
        index.add(target)
    assert index.digest() == by_the_cpu["l2sq"].digest()


def test_torch_views(by_the_cpu: dict[str, concord.Index], vectors: Floats) -> None:
    torch = pytest.importorskip("torch")
    wide = torch.zeros(len(vectors), vectors.shape[1] + 7, device="cuda")
    wide[:, 3:-4] = torch.from_numpy(vectors).cuda()
    index = make_index("cuda")
    index.add(wide[:, 3:-4])
    assert index.digest() == by_the_cpu["l2sq"].digest()
    before = index.digest()
    for refused in (wide[:, 3:-4].half(), wide.T, wide[:, ::2]):
        with pytest.raises(concord.ArrayTypeError, match="device memory must be float32"):
            index.add(refused)
    assert index.digest() == before
