"""A dataset of Ray Data in: its order is kept, whatever its owner has set."""

from __future__ import annotations

import pathlib
import random
import time
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import ray.data  # type: ignore[import-not-found,unused-ignore]
from conftest import DIM, Floats, Open, in_process, make_vectors

import concord
from concord.ray import _data

FILES, ROWS = 8, 150


def write_parquet(folder: pathlib.Path, vectors: Floats, labels: Any) -> None:
    """As files of lists, which is what most writers make of vectors."""
    folder.mkdir()
    for file in range(FILES):
        part = slice(file * ROWS, (file + 1) * ROWS)
        table = pa.table({"vector": list(vectors[part]), "id": labels[part]})
        pq.write_table(table, folder / f"part-{file}.parquet")


def test_a_dataset_gives_the_same_digest_each_time(
    open_index: Open, tmp_path: pathlib.Path
) -> None:

    def late(batch: dict[str, Any]) -> dict[str, Any]:
        time.sleep(random.random() / 5)  # so blocks are not done in their order
        return batch

    vectors = make_vectors(FILES * ROWS)
    labels = np.random.default_rng(1).permutation(len(vectors))
    write_parquet(tmp_path / "parquet", vectors, labels)
    assert not ray.data.DataContext.get_current().execution_options.preserve_order
    for time_ in range(3):
        dataset = ray.data.read_parquet(str(tmp_path / "parquet")).map_batches(late)
        index = open_index(2, f"index {time_}")
        assert index.add(dataset, "id", batch_size=100) == len(vectors)
        assert index.digest() == in_process(vectors, 2, labels).digest()
        assert not dataset.context.execution_options.preserve_order


def test_columns_are_named_and_their_rows_have_one_length(
    open_index: Open, tmp_path: pathlib.Path
) -> None:
    index = open_index(2)
    vectors = make_vectors(100)
    dataset = ray.data.from_numpy(vectors)  # its column is "data"
    with pytest.raises(concord.ArrayTypeError, match="no column 'vector'; it has"):
        index.add(dataset)
    with pytest.raises(concord.ArrayTypeError, match="no column 'id'"):
        index.add(dataset, "id", column="data")
    with pytest.raises(TypeError, match="name of its column"):
        index.add(dataset, np.arange(100), column="data")
    with pytest.raises(TypeError, match="only a Dataset"):
        index.add(vectors, "id")
    ragged = ray.data.from_items([{"vector": [0.0] * (DIM + row)} for row in range(2)])
    with pytest.raises(concord.ArrayTypeError, match="rows that have not 16"):
        index.add(ragged)
    assert len(index) == 0
    index.add(dataset, column="data")
    assert index.digest() == in_process(vectors, 2).digest()


def test_each_batch_is_taken_wholly_or_not_at_all(open_index: Open) -> None:
    """Labels of batches that are on their way count as taken."""
    vectors = make_vectors(90)
    labels = np.arange(90)
    labels[75] = labels[45]
    items = [{"vector": row, "id": label} for row, label in zip(vectors, labels, strict=True)]
    index = open_index()
    with pytest.raises(concord.DuplicateLabelError, match="label 45"):
        index.add(ray.data.from_items(items), "id", batch_size=30)
    assert index.resume_at == len(index) == 60
    assert index.digest() == in_process(vectors[:60], 3, labels[:60]).digest()


def test_only_a_dataset_is_one() -> None:
    assert not _data.is_dataset(np.zeros(3)) and not _data.is_dataset([[1.0]])
    assert _data.is_dataset(ray.data.range(3))
