"""Streams, captures, lifetimes and processes: what torch, CuPy and a bare driver do around a call of ours."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import driver
import numpy as np
import pytest
from conftest import Floats, make_index, make_vectors, on_the_gpu

import concord

SPIN = 100_000_000  # cycles


@pytest.fixture
def index(vectors: Floats) -> concord.Index:
    made = make_index("cuda")
    made.add(vectors)
    return made


def expect_answers(found: Any, by_the_cpu: dict[str, concord.Index], queries: Floats) -> None:
    for mine, its in zip(found, by_the_cpu["l2sq"].search(queries, k=10), strict=True):
        np.testing.assert_array_equal(mine, its)


def torch_streams(torch: Any) -> Iterator[Any]:
    yield torch.cuda.default_stream()
    yield torch.cuda.Stream()
    yield torch.cuda.Stream(priority=-1)


def test_torch_inputs_arrive_late_and_go_at_once(
    index: concord.Index, by_the_cpu: dict[str, concord.Index], queries: Floats
) -> None:
    """The queries are written behind a spin, and overwritten when the call has returned."""
    torch = pytest.importorskip("torch")
    origin = torch.from_numpy(queries).cuda()
    torch.cuda.synchronize()
    for stream in torch_streams(torch):
        with torch.cuda.stream(stream):
            target = torch.zeros_like(origin)
            torch.cuda._sleep(SPIN)
            target.copy_(origin)
            found = index.search(target, k=10)
            target.fill_(7)
            expect_answers(found, by_the_cpu, queries)
    assert on_the_gpu(index)


def test_torch_memory_is_reused_as_soon_as_a_call_returns(
    index: concord.Index, by_the_cpu: dict[str, concord.Index], queries: Floats
) -> None:
    torch = pytest.importorskip("torch")
    for part in np.array_split(queries, 5):
        with torch.cuda.stream(torch.cuda.Stream()):
            found = index.search(torch.from_numpy(part).cuda(), k=10)  # freed to torch's pool
            torch.full((len(part), part.shape[1]), float("nan"), device="cuda")
        expect_answers(found, by_the_cpu, part)


def test_cupy_inputs_arrive_late_and_go_at_once(
    index: concord.Index, by_the_cpu: dict[str, concord.Index], queries: Floats
) -> None:
    cupy = pytest.importorskip("cupy")
    origin = cupy.asarray(queries)
    busy = cupy.zeros((4096, 4096), np.float32)
    cupy.cuda.Device().synchronize()
    for stream in (cupy.cuda.Stream.null, cupy.cuda.Stream(), cupy.cuda.Stream(non_blocking=True)):
        with stream:
            target = cupy.zeros_like(origin)
            for _ in range(5):
                busy @ busy
            target[...] = origin
            found = index.search(target, k=10)
            target.fill(7)
            expect_answers(found, by_the_cpu, queries)
    assert on_the_gpu(index)


def test_a_captured_stream_is_refused_and_the_capture_goes_on(
    gpu: driver.Driver, index: concord.Index, vectors: Floats
) -> None:
    before = index.digest()
    rows = driver.Rows(gpu, vectors[:500])
    stream, graph = gpu.stream(), ctypes.c_void_p()
    gpu.call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), 0)
    gpu.call(
        "cuMemsetD8Async", ctypes.c_void_p(gpu.busy), ctypes.c_ubyte(1), ctypes.c_size_t(1 << 20),
        ctypes.c_void_p(stream),
    )  # fmt: skip
    for use in (index.add, index.search):
        with pytest.raises(concord.UnsupportedError, match="captured"):
            use(rows.interface(stream=stream))
    index.search(vectors[:500])  # from host memory, beside the capture
    gpu.call("cuStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
    assert graph.value
    assert index.digest() == before
    index.search(rows.interface(stream=stream))
    assert on_the_gpu(index)
    rows.free()


def test_a_torch_graph_cannot_have_a_search_in_it(
    index: concord.Index, by_the_cpu: dict[str, concord.Index], queries: Floats
) -> None:
    """torch's own export may refuse first; in any case nothing changes, and the device goes on."""
    torch = pytest.importorskip("torch")
    there = torch.from_numpy(queries).cuda()
    before = index.digest()
    with (
        pytest.raises((concord.UnsupportedError, RuntimeError)),
        torch.cuda.graph(torch.cuda.CUDAGraph()),
    ):
        index.search(there, k=10)
    torch.cuda.synchronize()
    assert index.digest() == before
    expect_answers(index.search(there, k=10), by_the_cpu, queries)
    assert on_the_gpu(index)


def test_the_current_device_is_as_it_was(index: concord.Index, queries: Floats) -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU cannot show it")
    there = torch.from_numpy(queries).to("cuda:0")
    with torch.cuda.device(1):
        for use in (index.search, index.add):
            use(there)
            assert torch.cuda.current_device() == 1
            use(queries)
            assert torch.cuda.current_device() == 1


@pytest.mark.parametrize("order", ["concord, torch", "torch, concord"])
def test_imports_in_any_order(order: str) -> None:
    """Two CUDA runtimes and two copies of Thrust are in one process."""
    pytest.importorskip("torch")
    program = """
import numpy as np
vectors = np.random.default_rng(1).normal(size=(5000, 32)).astype("f4")
made = [concord.Index(32, device=device) for device in ("cuda", "cpu")]
for index in made:
    index.add(vectors)
assert made[0].stats().device.name != "cpu"
assert made[0].digest() == made[1].digest()
assert torch.ones(9).cuda().sort().values.sum() == 9
"""
    subprocess.run([sys.executable, "-c", f"import {order}\n{program}"], check=True, timeout=60)


def test_a_forked_child_goes_on_with_the_cpu(index: concord.Index, queries: Floats) -> None:
    expected = index.search(queries)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            same = all(
                np.array_equal(a, b) for a, b in zip(index.search(queries), expected, strict=True)
            )
            code = 0 if same and "forked" in index.stats().device.reason else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    index.search(make_vectors(300, seed=9))
    assert on_the_gpu(index)
