"""Tables that concord-bench reads by way of Python: .npz and .parquet give what .fbin gives."""

from __future__ import annotations

import json
import pathlib
import subprocess
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

VECTORS = np.random.default_rng(0).normal(size=(500, 8)).astype("f4")
LISTS = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 8)


@pytest.fixture
def build(bench: pathlib.Path, tmp_path: pathlib.Path) -> Any:
    """Digest of an index of a file, or the message with which it is refused."""

    def run(path: pathlib.Path, *options: str) -> str:
        out = tmp_path / "out.json"
        command = [bench, "build", "--dataset", path, "--threads", "1", "--json", out, *options]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == 0:
            return str(json.loads(out.read_text())["index"]["digest"])
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        return done.stderr

    return run


@pytest.fixture
def digest(build: Any, tmp_path: pathlib.Path) -> str:
    with (tmp_path / "v.fbin").open("wb") as file:
        file.write(np.array(VECTORS.shape, "u4").tobytes() + VECTORS.tobytes())
    return str(build(tmp_path / "v.fbin"))


def test_npy(build: Any, digest: str, tmp_path: pathlib.Path) -> None:
    for name, matrix in (
        ("a", VECTORS),
        ("b", np.asfortranarray(VECTORS)),
        ("c", VECTORS.astype("f8")),
    ):
        np.save(tmp_path / name, matrix)
        assert build(tmp_path / f"{name}.npy") == digest
    np.save(tmp_path / "d", VECTORS[0])
    assert "1 dimensions" in build(tmp_path / "d.npy")


def test_npz(build: Any, digest: str, tmp_path: pathlib.Path) -> None:
    np.savez(tmp_path / "one", vectors=VECTORS, ids=np.arange(500))
    np.savez_compressed(tmp_path / "two", train=VECTORS, test=VECTORS[:9])
    assert build(tmp_path / "one.npz") == digest
    assert build(tmp_path / "two.npz", "--column", "train") == digest
    assert "choose a matrix by --column; there are train, test" in build(tmp_path / "two.npz")
    assert "has no matrix king; there are train, test" in build(
        tmp_path / "two.npz", "--column", "king"
    )
    (tmp_path / "bad.npz").write_bytes(b"PK\3\4 no archive")
    assert "bad.npz" in build(tmp_path / "bad.npz")
    assert "No such file" in build(tmp_path / "gone.npz")


@pytest.mark.parametrize(
    "rows", [LISTS, LISTS.cast(pa.list_(pa.float32())), pa.chunked_array([LISTS[:99], LISTS[99:]])]
)
def test_parquet(build: Any, digest: str, tmp_path: pathlib.Path, rows: Any) -> None:
    path = tmp_path / "v.parquet"
    pq.write_table(pa.table({"id": np.arange(500), "embedding": rows}), path)
    assert build(path) == digest
    assert build(path, "--column", "embedding") == digest
    assert "there are embedding" in build(path, "--column", "id")
    assert build(path, "--limit", "400") != digest


def test_parquet_that_is_no_matrix(build: Any, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "v.parquet"
    for lists, reason in (
        ([[1.0, 2.0], [3.0]], "lists of 1 to 2 elements"),
        ([[1.0, 2.0], None], "nulls"),
        ([[1.0, None]], "nulls"),
        ([["a"]], "there are none"),
    ):
        pq.write_table(pa.table({"v": lists}), path)
        assert reason in build(path)


def test_missing_package_is_named(bench: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ImportError('none here', name='numpy')")
    (tmp_path / "v.npz").write_bytes(b"")
    done = subprocess.run(
        [bench, "build", "--dataset", tmp_path / "v.npz"],
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "needs the Python package numpy (pip install numpy)" in done.stderr
