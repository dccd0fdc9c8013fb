"""Concord: a vector index (HNSW) built by CPU and GPU.

One graph, defined by the data, whoever computed it: the same vectors in the same order give the same
file and the same answers on every processor, with any number of threads and on any GPU.
"""

from __future__ import annotations

from importlib.metadata import version as _version

from concord._concord import built_with_cuda
from concord.errors import (
    ArrayTypeError,
    BusyError,
    CapacityError,
    CorruptFileError,
    CudaError,
    DimensionMismatchError,
    DuplicateLabelError,
    Error,
    InvalidParameterError,
    InvalidVectorError,
    IoError,
    OutOfMemoryError,
    UnknownLabelError,
    UnsupportedError,
)
from concord.index import NO_LABEL, Index, isa, load
from concord.interchange import load_faiss, load_hnswlib, save_faiss, save_hnswlib
from concord.reports import (
    AuditReport,
    BuildStats,
    DeviceStats,
    JournalStats,
    MemoryUse,
    PhaseStats,
    SearchStats,
    Stats,
)

__version__ = _version("concord-ann")

__all__ = [
    "NO_LABEL",
    "ArrayTypeError",
    "AuditReport",
    "BuildStats",
    "BusyError",
    "CapacityError",
    "CorruptFileError",
    "CudaError",
    "DeviceStats",
    "DimensionMismatchError",
    "DuplicateLabelError",
    "Error",
    "Index",
    "InvalidParameterError",
    "InvalidVectorError",
    "IoError",
    "JournalStats",
    "MemoryUse",
    "OutOfMemoryError",
    "PhaseStats",
    "SearchStats",
    "Stats",
    "UnknownLabelError",
    "UnsupportedError",
    "__version__",
    "built_with_cuda",
    "isa",
    "load",
    "load_faiss",
    "load_hnswlib",
    "save_faiss",
    "save_hnswlib",
]
