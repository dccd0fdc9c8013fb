"""Files of hnswlib and of FAISS's HNSW indexes, written with every edge of the graph and read."""

from __future__ import annotations

from typing import Literal, TypeAlias

from concord import _concord
from concord.index import Device, Index, Metric, Path, _path

Adopt: TypeAlias = Literal["graph", "vectors"]
"""Which part of a file is adopted.

``"graph"`` adopts vectors, labels and the links of layer 0, and makes the links two-sided; the layers above
are those of Concord. ``"vectors"`` adopts vectors and labels alone, so that the index is the one that
:meth:`Index.add` builds, with M 64 where the file's is larger. Both give a valid index that can grow. The
first is several times as fast.
"""


def save_hnswlib(index: Index, path: Path) -> None:
    """Write a file for ``hnswlib.Index(space, dim).load_index(path)``.

    The space is ``"l2"`` for l2sq, ``"ip"`` for inner_product, ``"cosine"`` for cosine. A search of
    hnswlib with the same ``ef`` walks the same graph.

    >>> import concord, os, tempfile
    >>> index = concord.Index(dim=2)
    >>> index.add([[0, 0], [3, 4]], labels=[10, 20])
    2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "index.bin")
    ...     concord.save_hnswlib(index, path)
    ...     loaded = concord.load_hnswlib(path, dim=2, metric="l2sq")
    >>> loaded.labels().tolist(), loaded.audit().ok
    ([10, 20], True)
    """
    _concord.save_hnswlib(index._alone("save_hnswlib"), _path(path))


def load_hnswlib(
    path: Path,
    dim: int,
    metric: Metric = "l2sq",
    *,
    adopt: Adopt = "graph",
    threads: int = 0,
    device: Device = "auto",
) -> Index:
    """Read a file that ``hnswlib.Index.save_index`` wrote, also that of Chroma's ``chroma-hnswlib``.

    Args:
        path: path of the file.
        dim: elements of a vector, which the file does not hold.
        metric: as for :class:`Index`; the file does not hold it.
        adopt: see :data:`Adopt`.
        threads: as for :class:`Index`.
        device: as for :class:`Index`.

    Elements that are marked as deleted are not in the index. A damaged file raises :exc:`CorruptFileError`.
    An M outside 2 to 64 or a folder that Chroma persisted raises :exc:`UnsupportedError`, and vectors of
    another dimension :exc:`DimensionMismatchError`. The message says what was wrong.
    """
    return Index._of(_concord.load_hnswlib(_path(path), dim, metric, adopt, threads, device))


def save_faiss(index: Index, path: Path) -> None:
    """Write a file for ``faiss.read_index(path)``.

    It holds an ``IndexHNSWFlat`` with METRIC_L2 for l2sq, otherwise METRIC_INNER_PRODUCT. With ``storage``
    f16 or bf16 it holds an ``IndexHNSWSQ`` of QT_fp16 or QT_bf16 that has the same numbers. For cosine the
    vectors are normalised, and FAISS expects normalised queries. If the labels are not 0, 1, …, an
    ``IndexIDMap`` contains it.
    """
    _concord.save_faiss(index._alone("save_faiss"), _path(path))


def load_faiss(
    path: Path, *, adopt: Adopt = "graph", threads: int = 0, device: Device = "auto"
) -> Index:
    """Read a file that ``faiss.write_index`` wrote: an ``IndexHNSWFlat`` or ``IndexHNSWSQ``.

    QT_fp16 and QT_bf16 become ``storage`` f16 and bf16. QT_8bit and QT_8bit_uniform become floats of
    ``storage`` f32, within rounding of those that FAISS reconstructs. QT_8bit_direct and
    QT_8bit_direct_signed are bytes.

    An ``IndexIDMap`` may be around it, with unique ids. So may an ``IndexPreTransform``, if it is the identity.

    The metric is l2sq or inner_product. Arguments and errors are those of :func:`load_hnswlib`; another
    kind of index or quantizer, another metric and negative ids raise :exc:`UnsupportedError`.
    """
    return Index._of(_concord.load_faiss(_path(path), adopt, threads, device))
