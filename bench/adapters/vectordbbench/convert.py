#!/usr/bin/env python3
"""From the HDF5 layout of ann-benchmarks to the Parquet files of a VectorDBBench custom data set.

bench/adapters/vectordbbench/convert.py DATA.hdf5 FOLDER [--queries 1000]
"""

from __future__ import annotations

import argparse
import pathlib

import h5py
import numpy as np
import polars


def main() -> None:
    """Write train.parquet, test.parquet and neighbors.parquet."""
    parser = argparse.ArgumentParser(description="HDF5 of ann-benchmarks to Parquet.")
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--queries", type=int, default=1000)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(options.data) as file:
        columns = {
            "train": ("emb", np.asarray(file["train"], np.float32)),
            "test": ("emb", np.asarray(file["test"][: options.queries], np.float32)),
            "neighbors": ("neighbors_id", np.asarray(file["neighbors"][: options.queries])),
        }
    for name, (column, rows) in columns.items():
        table = polars.DataFrame({"id": np.arange(len(rows)), column: rows})
        table = table.with_columns(polars.col(column).cast(polars.List(table[column].dtype.inner)))
        table.write_parquet(options.folder / f"{name}.parquet")


if __name__ == "__main__":
    main()
