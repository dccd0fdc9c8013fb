"""Memory of the driver, shown by ``__cuda_array_interface__`` and DLPack, gives what host memory gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import driver
import numpy as np
import pytest
from conftest import DIM, Floats, make_index, make_vectors, on_the_gpu

import concord


@pytest.fixture
def rows(gpu: driver.Driver) -> Iterator[Callable[..., driver.Rows]]:
    """Makes rows on the device that go with the test."""
    made: list[driver.Rows] = []

    def make(array: Any, stride: int | None = None) -> driver.Rows:
        made.append(driver.Rows(gpu, array, stride))
        return made[-1]

    yield make
    for one in made:
        one.free()


Make = Callable[..., driver.Rows]
KINDS: dict[str, Callable[[driver.Rows], Any]] = {
    "interface": lambda rows: rows.interface(),
    "interface without strides": lambda rows: rows.interface(strides=None, stream=None),
    "DLPack": lambda rows: rows.tensor(),
}


def expect_same(index: concord.Index, queries: Any, cpu: concord.Index, same: Floats) -> None:
    for mine, its in zip(index.search(queries, k=10), cpu.search(same, k=10), strict=True):
        np.testing.assert_array_equal(mine, its)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("metric", ["l2sq", "ip", "cosine"])
def test_the_index_and_the_answers_are_the_cpus(
    by_the_cpu: dict[str, concord.Index], vectors: Floats, queries: Floats, rows: Make, kind: str, metric: str
) -> None:  # fmt: skip
    index = make_index("cuda", metric)
    assert index.add(KINDS[kind](rows(vectors))) == len(vectors)
    assert index.digest() == by_the_cpu[metric].digest()
    assert index.audit().ok
    assert on_the_gpu(index)
    expect_same(index, KINDS[kind](rows(queries)), by_the_cpu[metric], queries)


def test_rows_with_a_stride(
    by_the_cpu: dict[str, concord.Index], vectors: Floats, rows: Make
) -> None:
    for kind in ("interface", "DLPack"):
        index = make_index("cuda")
        index.add(KINDS[kind](rows(vectors, stride=DIM + 5)))
        assert index.digest() == by_the_cpu["l2sq"].digest()


def test_host_and_device_memory_in_turns(rows: Make) -> None:
    vectors = make_vectors(12_000, seed=3)
    labels = np.random.default_rng(4).permutation(10**6)[: len(vectors)]
    mixed, cpu = make_index("cuda"), make_index("cpu")
    cpu.add(vectors, labels)
    for i, part in enumerate(np.split(np.arange(len(vectors)), [1, 700, 3000, 3001, 8000])):
        mixed.add(rows(vectors[part]).tensor() if i % 2 == 0 else vectors[part], labels[part])
    assert mixed.digest() == cpu.digest()


def test_bytes_in_floats(rows: Make) -> None:
    """The host keeps such vectors as bytes."""
    vectors = np.random.default_rng(5).integers(0, 200, (9000, DIM)).astype(np.float32)
    index, cpu = make_index("cuda"), make_index("cpu")
    cpu.add(vectors)
    index.add(rows(vectors).interface())
    assert index.digest() == cpu.digest()
    assert index.memory().vectors < vectors.nbytes / 2


def test_vectors_and_queries_are_not_sent_to_the_device_again(rows: Make) -> None:
    vectors = make_vectors(20_000, seed=6, dim=768)
    sent = []
    for source in (vectors, rows(vectors).tensor()):
        index = make_index("cuda", dim=768)
        index.add(source)
        sent.append(index.stats().device.bytes_in)
    print(
        "bytes to the device, from the host and from the device:", sent, "vectors:", vectors.nbytes
    )
    assert sent[1] < 0.25 * vectors.nbytes
    assert 0.95 * vectors.nbytes < sent[0] - sent[1] < 1.05 * vectors.nbytes

    queries = make_vectors(5000, seed=7, dim=768)
    index.search(queries)  # whatever the device still lacks goes there
    before = index.stats().device
    for _ in range(3):
        index.search(rows(queries).interface())
    after = index.stats().device
    print("of searches:", after.bytes_in - before.bytes_in, "queries:", 3 * queries.nbytes)
    assert after.kernel_seconds > before.kernel_seconds
    assert after.bytes_in - before.bytes_in < 0.05 * 3 * queries.nbytes


def test_answers_into_arrays(
    by_the_cpu: dict[str, concord.Index], vectors: Floats, queries: Floats, rows: Make
) -> None:
    index = make_index("cuda")
    index.add(rows(vectors).tensor())
    expected = by_the_cpu["l2sq"].search(queries, k=10)
    for kind in (np.int64, np.uint64):
        out = np.zeros((len(queries), 10), kind), np.zeros((len(queries), 10), np.float32)
        answer = index.search(rows(queries).tensor(), k=10, out=out)
        assert answer[0] is out[0] and answer[1] is out[1]
        np.testing.assert_array_equal(out[0], expected[0].astype(kind))
        np.testing.assert_array_equal(out[1], expected[1])
    one = index.search(rows(queries[0]).interface(), k=10)
    assert one[0].shape == (10,)
    np.testing.assert_array_equal(one[0], expected[0][0])


def test_pending_work_is_waited_for(
    gpu: driver.Driver, by_the_cpu: dict[str, concord.Index], vectors: Floats, queries: Floats, rows: Make
) -> None:  # fmt: skip
    def still_being_written(array: Floats) -> Any:
        origin, target = rows(array), rows(np.zeros_like(array))
        stream = gpu.stream()
        gpu.keep_busy(stream)
        gpu.copy_async(target.address, origin.address, origin.size, stream)
        return target.interface(stream=stream)

    index = make_index("cuda")
    index.add(rows(vectors).interface(shape=(0, DIM)))  # opens the device, which takes long
    index.add(still_being_written(vectors))
    assert index.digest() == by_the_cpu["l2sq"].digest()
    expect_same(index, still_being_written(queries), by_the_cpu["l2sq"], queries)


def test_an_addition_may_be_stopped(rows: Make) -> None:
    vectors = make_vectors(300_000, seed=8)
    index, cpu = make_index("cuda"), make_index("cpu")
    added = index.add(rows(vectors).tensor(), progress=lambda done, total: done < 2000)
    assert 2000 <= added < len(vectors)
    cpu.add(vectors[:added])
    assert index.digest() == cpu.digest()
    assert on_the_gpu(index)


class Freed(driver.Rows):
    """Rows whose memory is given back, and is too long to be given to another at once."""

    def __init__(self, gpu: driver.Driver) -> None:
        super().__init__(gpu, np.zeros((1 << 18, DIM), np.float32))
        self.free()


def test_what_is_refused_changes_nothing(gpu: driver.Driver, vectors: Floats, rows: Make) -> None:
    index = make_index("cuda")
    index.add(vectors)
    before = index.digest()
    good = vectors[:500]
    bad = good.copy()
    bad[321, 7] = np.nan
    unreached = concord.InvalidParameterError
    cases: dict[str, tuple[Any, type[concord.Error], str]] = {
        "NaN": (rows(bad).tensor(), concord.InvalidVectorError, "321.*NaN"),
        "freed": (Freed(gpu).interface(), unreached, "device"),
        "host memory": (rows(good).interface(data=(good.ctypes.data, False)), unreached, "device"),
        "too short": (rows(good[:1]).interface(shape=(2**28, DIM)), unreached, "device"),
        "too wide": (rows(make_vectors(5, dim=DIM + 1)).tensor(), concord.DimensionMismatchError, str(DIM)),
        "float64": (rows(good.astype("f8")).interface(), concord.ArrayTypeError, "float32"),
        "float16": (rows(good.astype("f2")).tensor(), concord.ArrayTypeError, "float32"),
        "columns": (
            rows(good).interface(shape=(DIM, DIM), strides=(4, 4 * DIM)), concord.ArrayTypeError, "float32"
        ),
    }  # fmt: skip
    for what, (value, kind, text) in cases.items():
        for use in (index.add, index.search):
            with pytest.raises(kind, match=text):
                use(value)
                pytest.fail(what)
    with pytest.raises(concord.UnsupportedError, match="host"):
        index.exact_search(rows(good).tensor())
    with pytest.raises(concord.UnsupportedError, match="device"):
        make_index("cpu").add(rows(good).tensor())
    assert index.digest() == before
    expect_same(index, rows(good).tensor(), index, good)
    assert on_the_gpu(index)
