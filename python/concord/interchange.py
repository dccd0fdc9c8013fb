"""Files of hnswlib and of FAISS's IndexHNSWFlat, written with every edge of the graph and read."""

from __future__ import annotations

from typing import Literal, TypeAlias

from concord import _concord
from concord.index import Index, Path, _path

Adopt: TypeAlias = Literal["graph", "vectors"]
"""What is taken over from a file.

``"graph"``: the links of layer 0, made two-sided; Concord's own layers above. ``"vectors"``: vectors and
labels alone, so that the index is the one that :meth:`Index.add` builds. Both are valid in every way
and grow on; the first is several times as fast to load.
"""


def save_hnswlib(index: Index, path: Path) -> None:
    """Write a file for ``hnswlib.Index(space, dim).load_index(path)``.

    The space is ``"l2"`` for l2sq, ``"ip"`` for inner_product, ``"cosine"`` for cosine. A search there
    with the same ``ef`` walks the same graph.

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
    _concord.save_hnswlib(index._core, _path(path))


def load_hnswlib(
    path: Path,
    dim: int,
    metric: str = "l2sq",
    *,
    adopt: Adopt = "graph",
    threads: int = 0,
    device: str = "auto",
) -> Index:
    """Read what ``hnswlib.Index.save_index`` wrote.

    Args:
        path: of the file.
        dim: elements of a vector, and
        metric: as for :class:`Index`: a file does not say them.
        adopt: see :data:`Adopt`.
        threads: as for :class:`Index`.
        device: as for :class:`Index`.

    Elements that are marked as deleted are left out. A damaged file raises :exc:`CorruptFileError`, one
    whose M is not from 2 to 64 :exc:`UnsupportedError`, vectors of another dimension
    :exc:`DimensionMismatchError`; each says what was wrong.
    """
    return Index._of(_concord.load_hnswlib(_path(path), dim, metric, adopt, threads, device))


def save_faiss(index: Index, path: Path) -> None:
    """Write a file for ``faiss.read_index(path)``.

    It holds an ``IndexHNSWFlat``: METRIC_L2 for l2sq, otherwise METRIC_INNER_PRODUCT (with normalised
    vectors for cosine; FAISS wants queries normalised then). It is within an ``IndexIDMap`` where the
    labels are not 0, 1, ….
    """
    _concord.save_faiss(index._core, _path(path))


def load_faiss(
    path: Path, *, adopt: Adopt = "graph", threads: int = 0, device: str = "auto"
) -> Index:
    """Read what ``faiss.write_index`` wrote of an ``IndexHNSWFlat``, alone or in an ``IndexIDMap``.

    The metric is l2sq or inner_product. Arguments and errors are those of :func:`load_hnswlib`; another
    kind of index, another metric and negative ids raise :exc:`UnsupportedError`.
    """
    return Index._of(_concord.load_faiss(_path(path), adopt, threads, device))
