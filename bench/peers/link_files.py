"""Links read from files, of libraries that show theirs nowhere else: USearch (format 2) and Voyager (format 1).

A file that is not of the known layout ends in an error, never in a wrong graph: its length must come out.
"""

from __future__ import annotations

import pathlib
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from . import graph

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]


def counted(rows: Bytes) -> Numbers:
    """Lists of a count in four bytes (of which hnswlib uses two) and then ids, with -1 beyond the count."""
    numbers = np.ascontiguousarray(rows).view(np.uint32).astype(np.int64)
    counts, ids = numbers[:, 0] & 0xFFFF, numbers[:, 1:]
    return np.where(np.arange(ids.shape[1]) < counts[:, None], ids, -1)


def unreachable_of_usearch(path: pathlib.Path) -> int:
    """Vectors; 64 bytes; sizes; levels of two bytes; nodes: key, level, the list of layer 0, the others."""
    data = np.fromfile(path, np.uint8)
    rows, row_bytes = _unpack("<2I", data, 0)
    head = 8 + rows * row_bytes
    if data[head : head + 7].tobytes() != b"usearch":
        raise ValueError(f"{path.name} is no file of USearch's format 2")
    nodes, upper, bottom, _, entry = _unpack("<5Q", data, head + 64)
    first = head + 64 + 40 + 2 * nodes
    levels = data[first - 2 * nodes : first].view(np.int16).astype(np.int64)
    length = 8 + 2 + _list_bytes(bottom) + levels * _list_bytes(upper)
    starts = first + np.cumsum(length) - length + 8 + 2
    _expect_end(path, int(first + length.sum()), data)
    lists = counted(_cut(data, starts, _list_bytes(bottom)))
    return _unreachable(data, levels, lists, starts + _list_bytes(bottom), upper, entry)


def unreachable_of_voyager(path: pathlib.Path) -> int:
    """19 bytes; as hnswlib writes: sizes; nodes with lists of layer 0; for each its other lists, counted."""
    data = np.fromfile(path, np.uint8)
    if data[:8].tobytes() != b"VOYA\x01\x00\x00\x00":
        raise ValueError(f"{path.name} is no file of Voyager's format 1")
    header = _unpack("<6QiI3QdQ", data, 19)
    nodes, node_bytes, (entry, upper, bottom) = header[2], header[3], header[7:10]
    first = 19 + 96
    at = first + nodes * node_bytes
    levels, starts = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64)
    for node in range(nodes):
        (length,) = _unpack("<I", data, at)
        levels[node], starts[node] = length // _list_bytes(upper), at + 4
        at += 4 + length
    _expect_end(path, at, data)
    rows = data[first : first + nodes * node_bytes].reshape(nodes, node_bytes)
    return _unreachable(data, levels, counted(rows[:, : _list_bytes(bottom)]), starts, upper, entry)


def _unreachable(
    data: Bytes, levels: Numbers, bottom: Numbers, starts: Numbers, width: int, entry: int
) -> int:
    """``starts`` is where a node's lists above layer 0 begin, one after another, each of ``width`` ids."""
    size = _list_bytes(width)
    layers = [(np.arange(len(levels)), bottom)]
    for level in range(1, int(levels.max(initial=0)) + 1):
        ids = np.flatnonzero(levels >= level)
        layers.insert(0, (ids, counted(_cut(data, starts[ids] + (level - 1) * size, size))))
    return graph.unreachable(layers, [entry], len(levels))


def _list_bytes(width: int) -> int:
    return 4 + 4 * width


def _cut(data: Bytes, starts: Numbers, size: int) -> Bytes:
    return data[starts[:, None] + np.arange(size)]


def _unpack(layout: str, data: Bytes, at: int) -> tuple[Any, ...]:
    return struct.unpack_from(layout, data.data, at)


def _expect_end(path: pathlib.Path, end: int, data: Bytes) -> None:
    if end != len(data):
        raise ValueError(f"{path.name} has {len(data)} bytes where its sizes give {end}")
