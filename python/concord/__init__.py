"""Concord: an HNSW vector index for CPU and GPU that gives the same bytes on both.

The same vectors in the same order give the same graph, file and answers on every processor, with any
number of threads and on any GPU.
"""

from __future__ import annotations

from importlib.metadata import version as _version

from concord._concord import built_with_cuda
from concord.cursor import Cursor
from concord.errors import (
    AccessError,
    ArrayTypeError,
    BusyError,
    CapacityError,
    CorruptFileError,
    CudaError,
    DimensionMismatchError,
    DivergedError,
    DuplicateLabelError,
    Error,
    ExistsError,
    FolderError,
    InvalidParameterError,
    InvalidVectorError,
    IoError,
    MissingFileError,
    NotAFolderError,
    OutOfMemoryError,
    UnknownLabelError,
    UnknownPresetError,
    UnsupportedError,
)
from concord.filters import Filter
from concord.groups import Groups
from concord.index import NO_LABEL, Index, isa, load
from concord.interchange import load_faiss, load_hnswlib, save_faiss, save_hnswlib
from concord.knn import KnnGraph, exact_knn, knn_graph, near_duplicates
from concord.matches import Matches, MatchesWithVectors
from concord.replica import Replica, ReplicaLag
from concord.reports import (
    AuditReport,
    BuildStats,
    DeviceStats,
    Explanation,
    JournalStats,
    MemoryUse,
    PhaseStats,
    Preset,
    SearchStats,
    Stats,
)
from concord.sharded import ShardedIndex
from concord.store import Hit, Item, Store

__version__ = _version("concord-ann")

__all__ = [
    "NO_LABEL",
    "AccessError",
    "ArrayTypeError",
    "AuditReport",
    "BuildStats",
    "BusyError",
    "CapacityError",
    "CorruptFileError",
    "CudaError",
    "Cursor",
    "DeviceStats",
    "DimensionMismatchError",
    "DivergedError",
    "DuplicateLabelError",
    "Error",
    "ExistsError",
    "Explanation",
    "Filter",
    "Groups",
    "FolderError",
    "Hit",
    "Index",
    "InvalidParameterError",
    "InvalidVectorError",
    "IoError",
    "Item",
    "JournalStats",
    "KnnGraph",
    "Matches",
    "MatchesWithVectors",
    "MemoryUse",
    "MissingFileError",
    "NotAFolderError",
    "OutOfMemoryError",
    "PhaseStats",
    "Preset",
    "Replica",
    "ReplicaLag",
    "SearchStats",
    "ShardedIndex",
    "Stats",
    "Store",
    "UnknownLabelError",
    "UnknownPresetError",
    "UnsupportedError",
    "__version__",
    "built_with_cuda",
    "exact_knn",
    "isa",
    "knn_graph",
    "load",
    "load_faiss",
    "load_hnswlib",
    "near_duplicates",
    "save_faiss",
    "save_hnswlib",
]
