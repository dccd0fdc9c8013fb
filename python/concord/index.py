"""The index: a hierarchical navigable small world graph over float32 vectors."""

from __future__ import annotations

import array
import contextlib
import math
import operator
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any, Protocol, SupportsIndex, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from concord import _concord, _progress
from concord.errors import ArrayTypeError, IoError, UnknownLabelError
from concord.reports import AuditReport, MemoryUse, Stats, stats_from

NO_LABEL = 2**64 - 1
"""Stands in the places of a search that found fewer than ``k``; as int64 it is -1."""


class SupportsDLPack(Protocol):
    """Arrays of torch, JAX, CuPy and others, in host or CUDA memory."""

    def __dlpack__(self, *args: Any, **kwargs: Any) -> Any: ...


class SupportsCudaArray(Protocol):
    """Arrays of numba and CuPy, in CUDA memory."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]: ...


Vectors: TypeAlias = "npt.ArrayLike | SupportsDLPack | SupportsCudaArray"
"""What holds vectors, an array ``[n, dim]``, or ``[dim]`` for a single one, of any library.

float32 arrays whose rows have their elements side by side are read where they stand. float64,
float16, bfloat16, int8 and uint8, and other layouts, are converted a piece of at most 1 MiB at a time. Lists of
numbers are turned into arrays first.
"""

Progress: TypeAlias = "bool | Callable[[int, int], object] | None"
"""``True`` shows a tqdm bar; a callable gets ``(done, total)`` and stops the work by ``False``."""

Path: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"

Answers: TypeAlias = "tuple[npt.NDArray[Any], npt.NDArray[Any]]"


class Index:
    """A vector index that is the same to the last byte whoever built it.

    The parameters up to ``epoch_limit``, the vectors and their order define the graph; ``threads``
    and ``device`` only decide how fast it is made.

    Args:
        dim: elements of a vector, 1 to 65,536.
        metric: ``"l2sq"`` (squared Euclidean distance; also ``"l2"``, ``"euclidean"``), ``"ip"``
            (1 - inner product; also ``"inner_product"``, ``"dot"``) or ``"cosine"`` (1 - cosine; also
            ``"angular"``). Smaller is nearer for all of them.
        M: links a vector makes in each layer, 2 to 64.
        ef_construction: candidates examined per insertion and layer, 1 to 1,024.
        seed: of the levels.
        epoch_limit: most insertions between two seals of the graph, 1 to 65,536.
        threads: 0 means one per hardware thread.
        device: ``"auto"`` (a CUDA device if there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Many threads may search one index at a time, also beside an addition; additions take turns. All
    long work releases the GIL and heeds Ctrl-C.

    >>> import concord, numpy as np
    >>> vectors = np.random.default_rng(1).normal(size=(1000, 16)).astype(np.float32)
    >>> index = concord.Index(dim=16, metric="cosine", M=16, ef_construction=200)
    >>> index.add(vectors)
    1000
    >>> labels, distances = index.search(vectors[:3], k=5, ef=64)
    >>> labels.shape, labels[:, 0].tolist()
    ((3, 5), [0, 1, 2])
    >>> len(index), 7 in index, index[7].shape
    (1000, True, (16,))
    """

    __slots__ = ("__weakref__", "_core")

    def __init__(
        self,
        dim: int,
        metric: str = "l2sq",
        M: int = 16,
        ef_construction: int = 200,
        *,
        seed: int = 42,
        epoch_limit: int = 1024,
        threads: int = 0,
        device: str = "auto",
    ) -> None:
        self._core = _concord.Index(
            dim, metric, M, ef_construction, seed, epoch_limit, threads, device
        )

    @classmethod
    def _of(cls, core: _concord.Index) -> Index:
        index = cls.__new__(cls)
        index._core = core
        return index

    # ------------------------------------------------------------------------------------- content

    def add(
        self, vectors: Vectors, labels: npt.ArrayLike | None = None, *, progress: Progress = None
    ) -> int:
        """Insert vectors, in order.

        Args:
            vectors: ``[n, dim]``, or ``[dim]`` for one vector.
            labels: ``[n]`` integers from 0 to 2**64 - 2, each new. Without them the vectors are numbered
                on from ``len(index)``.
            progress: see :data:`Progress`.

        Returns:
            How many were inserted, n, or fewer where ``progress`` stopped the work.

        What is refused leaves the index as it was. What ends the work in the middle, be it
        ``progress`` or Ctrl-C, leaves a valid index with what was inserted by then.

        >>> import concord
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4]], labels=[10, 20])
        2
        >>> index.search([0, 1], k=1)[0].tolist()
        [10]
        """
        with _progress.callback(progress) as callback:
            return self._core.add(_array(vectors), _labels(labels), callback)

    def __len__(self) -> int:
        """The number of vectors."""
        return self._core.size()

    def __contains__(self, label: object) -> bool:
        """Whether a vector has this label."""
        number = operator.index(cast(SupportsIndex, label))
        return 0 <= number < NO_LABEL and self._core.contains(number)

    def __getitem__(self, label: SupportsIndex) -> npt.NDArray[np.float32]:
        """The stored vector ``[dim]`` of a label, normalised for cosine.

        >>> import concord
        >>> index = concord.Index(dim=2, metric="cosine")
        >>> index.add([[3, 4]], labels=[7])
        1
        >>> index[7].round(2).tolist()
        [0.6000000238418579, 0.800000011920929]
        """
        number = operator.index(label)
        if not 0 <= number < NO_LABEL:
            raise UnknownLabelError(f"no vector has label {number}")
        return self._core.vector(number)

    def __iter__(self) -> Iterator[int]:
        """Labels in the order of insertion."""
        return iter(self.labels().tolist())

    def labels(self) -> npt.NDArray[np.uint64]:
        """All labels ``[n]`` in the order of insertion."""
        return self._core.labels()

    # -------------------------------------------------------------------------------------- search

    def search(
        self,
        queries: Vectors,
        k: int = 10,
        ef: int = 64,
        *,
        slack: float = math.inf,
        out: Answers | None = None,
    ) -> Answers:
        """Find the (approximate) ``k`` nearest vectors of each query.

        Args:
            queries: ``[q, dim]``, or ``[dim]`` for one query.
            k: 0 to 65,536.
            ef: candidates kept, 1 to 65,536, at least ``k``: more find more of the true neighbors and
                take longer.
            slack: 0 or more: the search also ends when the nearest candidate is farther than
                ``1 + slack`` times the ``k``-th nearest found, in Euclidean distance. With a large ``ef``
                easy queries then end early and hard ones go on (adaptive beam search, arXiv 2505.15636):
                fewer distances for the same recall. Infinity: ``ef`` alone decides, the only choice for
                ``"inner_product"``.
            out: arrays to write the answer to, ``labels`` of uint64 or int64 and ``distances`` of
                float32.

        Returns:
            ``(labels, distances)``, uint64 and float32, ``[q, k]``, or ``[k]`` for one query; nearest
            first, ties in the order of insertion. Places beyond what was found hold
            :data:`NO_LABEL` and infinity.

        The answer depends neither on the number of threads, nor on the device, nor on how the
        queries are cut into batches.

        >>> import concord, numpy as np
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4], [6, 8]])
        3
        >>> labels, distances = index.search([0, 0], k=2)
        >>> labels.tolist(), distances.tolist()
        ([0, 1], [0.0, 25.0])
        >>> out = np.empty((1, 4), np.int64), np.empty((1, 4), np.float32)
        >>> index.search([[0, 0]], k=4, out=out)[0].tolist()
        [[0, 1, 2, -1]]
        """
        return self._core.search(_array(queries), k, ef, slack, out)

    def exact_search(self, queries: Vectors, k: int = 10, *, out: Answers | None = None) -> Answers:
        """The true ``k`` nearest by scanning every vector; arguments and result as of :meth:`search`."""
        return self._core.exact_search(_array(queries), k, out)

    # --------------------------------------------------------------------------------------- files

    def save(self, file: Path | IO[bytes]) -> None:
        """Write the index to a path, or to a binary file open for writing.

        A path is replaced whole or not at all: what stood there stays until the new file is safe.

        >>> import concord, os, tempfile
        >>> index = concord.Index(dim=2)
        >>> index.add([[0, 0], [3, 4]])
        2
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "two.concord")
        ...     index.save(path)
        ...     concord.load(path).digest() == index.digest()
        True
        """
        if isinstance(file, (str, bytes, os.PathLike)):
            self._core.save(_path(file))
            return
        _refuse_unless(file, "write")
        with _scratch_file() as path:
            self._core.save(os.fsencode(path))
            with open(path, "rb") as saved:
                shutil.copyfileobj(saved, file)

    @classmethod
    def load(cls, file: Path | IO[bytes], *, threads: int = 0, device: str = "auto") -> Index:
        """Read what :meth:`save` wrote; every checksum and link is checked first."""
        if isinstance(file, (str, bytes, os.PathLike)):
            return cls._of(_concord.load(_path(file), threads, device))
        _refuse_unless(file, "read")
        with _scratch_file() as path:
            with open(path, "wb") as copy:
                shutil.copyfileobj(file, copy)
            return cls._of(_concord.load(os.fsencode(path), threads, device))

    @classmethod
    def map(
        cls, path: Path, *, check: bool = False, threads: int = 0, device: str = "auto"
    ) -> Index:
        """Open what :meth:`save` wrote without reading it: pages come in as they are used.

        Processes that map one file share its pages. The index can only be read; ``add`` raises
        UnsupportedError. What :meth:`load` checks is checked by the first call that needs content,
        or at once with ``check=True``; CorruptFileError tells of damage. The file must not be changed
        in place meanwhile; :meth:`save`, which replaces it, may.

        >>> import tempfile
        >>> index = Index(dim=2)
        >>> _ = index.add([[0, 0], [1, 1]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     index.save(f"{folder}/two.concord")
        ...     mapped = Index.map(f"{folder}/two.concord")
        ...     mapped.search([1, 1], k=1)[0].tolist()
        [1]
        """
        return cls._of(_concord.map(_path(path), check, threads, device))

    @classmethod
    def open(
        cls,
        path: Path,
        dim: int | None = None,
        metric: str = "l2sq",
        M: int = 16,
        ef_construction: int = 200,
        *,
        seed: int = 42,
        epoch_limit: int = 1024,
        durability: str = "synced",
        threads: int = 0,
        device: str = "auto",
    ) -> Index:
        """Open an index whose additions survive: what :meth:`add` has returned from is there again,
        with the same digest, after the process ended in any way.

        The index is the file ``path`` and the journal ``path`` + ``".journal"``; where neither is
        there, it is empty. Of an addition that was interrupted the first so many vectors are there,
        so a build is resumed by adding the rest, from ``len(index)`` on.

        Args:
            path: of the index file.
            dim: elements of a vector. Without it the files must be there and say all parameters; with
                it the parameters are those of an index that is made, and must be those of files
                that are there.
            metric: as for :class:`Index`.
            M: as for :class:`Index`.
            ef_construction: as for :class:`Index`.
            seed: as for :class:`Index`.
            epoch_limit: as for :class:`Index`.
            durability: ``"synced"`` survives a power cut too; ``"system"`` leaves writing to disk to
                the operating system.
            threads: as for :class:`Index`.
            device: as for :class:`Index`.

        >>> import concord, os, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "two.concord")
        ...     index = concord.Index.open(path, dim=2)
        ...     _ = index.add([[0, 0], [3, 4]])
        ...     del index
        ...     len(concord.Index.open(path))
        2
        """
        parameters = (dim, metric, M, ef_construction, seed, epoch_limit)
        return cls._of(_concord.open(_path(path), *parameters, durability, threads, device))

    def compact(self) -> None:
        """Fold the journal of an index made by :meth:`open` into its file."""
        self._core.compact()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles, and copies, are the saved file, with threads and device."""
        with _scratch_file() as path:
            self._core.save(os.fsencode(path))
            with open(path, "rb") as saved:
                content = saved.read()
        return _from_bytes, (type(self), content, self.threads, self.device)

    # ---------------------------------------------------------------------------------- inspection

    def digest(self) -> str:
        """32 hexadecimal digits over parameters, graph, vectors and labels: equal for equal indexes."""
        return self._core.digest()

    def audit(self) -> AuditReport:
        """Check the invariants of the graph."""
        return AuditReport(**self._core.audit())

    def stats(self) -> Stats:
        """Size and shape of the graph, and the work done so far."""
        return stats_from(self._core.stats())

    def memory(self) -> MemoryUse:
        """Resident bytes by part."""
        return MemoryUse(**self._core.memory())

    @property
    def dim(self) -> int:
        """Elements of a vector."""
        return self._core.dim

    @property
    def metric(self) -> str:
        """``"l2sq"``, ``"inner_product"`` or ``"cosine"``."""
        return self._core.metric

    @property
    def M(self) -> int:
        """Links a vector makes in each layer."""
        return self._core.M

    @property
    def ef_construction(self) -> int:
        """Candidates examined per insertion and layer."""
        return self._core.ef_construction

    @property
    def seed(self) -> int:
        """Seed of the levels."""
        return self._core.seed

    @property
    def epoch_limit(self) -> int:
        """Most insertions between two seals."""
        return self._core.epoch_limit

    def __repr__(self) -> str:
        """The parameters, the size and how it runs."""
        return (
            f"concord.Index(dim={self.dim}, metric={self.metric!r}, M={self.M}, "
            f"ef_construction={self.ef_construction}, threads={self.threads}, "
            f"device={self.device!r}): {len(self)} vectors"
        )

    # ------------------------------------------------------------------------------------- runtime

    @property
    def threads(self) -> int:
        """How many threads work, 0 for one per hardware thread; may be set."""
        return self._core.threads

    @threads.setter
    def threads(self, value: int) -> None:
        self._core.set_runtime(value, self.device)

    @property
    def device(self) -> str:
        """``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``; may be set."""
        return self._core.device

    @device.setter
    def device(self, value: str) -> None:
        self._core.set_runtime(self.threads, value)

    @contextlib.contextmanager
    def using(self, *, threads: int | None = None, device: str | None = None) -> Iterator[Index]:
        """Other threads or another device for the length of a ``with`` statement.

        >>> import concord
        >>> index = concord.Index(dim=2, threads=2)
        >>> with index.using(threads=1, device="cpu"):
        ...     index.add([[0, 0]])
        1
        >>> index.threads, index.device
        (2, 'auto')
        """
        before = self.threads, self.device
        self._core.set_runtime(
            before[0] if threads is None else threads, before[1] if device is None else device
        )
        try:
            yield self
        finally:
            self._core.set_runtime(*before)


def load(file: Path | IO[bytes], *, threads: int = 0, device: str = "auto") -> Index:
    """Read an index that :meth:`Index.save` wrote."""
    return Index.load(file, threads=threads, device=device)


def isa() -> str:
    """The instruction set that distances are computed with here: scalar, avx2 or avx512."""
    return Index(1, threads=1, device="cpu").stats().isa


def _array(vectors: Vectors) -> object:
    """Lists of numbers as an array; arrays as they are."""
    if isinstance(vectors, (list, tuple)):
        try:
            return np.asarray(vectors, np.float32)
        except (TypeError, ValueError) as error:
            raise ArrayTypeError(f"the list is no array of numbers: {error}") from None
    return vectors


def _labels(labels: npt.ArrayLike | None) -> npt.NDArray[np.uint64] | None:
    """Labels as the extension module reads them, refused where a cast would change one."""
    if labels is None:
        return None
    allowed = "allowed are integers from 0 to 2**64 - 2, in one dimension"
    try:
        exact = array.array("Q", labels) if isinstance(labels, (list, tuple)) else labels
    except (TypeError, OverflowError) as error:
        raise ArrayTypeError(f"labels do not fit: {error}; {allowed}") from None
    numbers = np.asarray(exact)
    if numbers.size == 0:
        return np.empty(0, np.uint64)
    if numbers.ndim > 1 or numbers.dtype.kind not in "iu":
        raise ArrayTypeError(f"labels are {numbers.dtype} of shape {numbers.shape}; {allowed}")
    if numbers.min() < 0 or numbers.max() == NO_LABEL:
        raise ArrayTypeError(f"labels are {numbers.min()} to {numbers.max()}; {allowed}")
    return np.ascontiguousarray(numbers, np.uint64).reshape(-1)


def _path(path: Path) -> bytes:
    name = os.fsencode(path)
    if b"\0" in name:
        raise IoError("a path cannot hold a zero byte")
    return name


@contextlib.contextmanager
def _scratch_file() -> Iterator[str]:
    """A path in a folder of its own, which goes with what is in it."""
    with tempfile.TemporaryDirectory(prefix="concord-") as folder:
        yield os.path.join(folder, "index")


def _refuse_unless(file: IO[bytes], method: str) -> None:
    if not hasattr(file, method):
        raise TypeError(f"a path or a binary file is needed, not {type(file).__name__}")
    if getattr(file, "closed", False):
        raise IoError("the file is closed")


def _from_bytes(cls: type[Index], content: bytes, threads: int, device: str) -> Index:
    with _scratch_file() as path:
        with open(path, "wb") as file:
            file.write(content)
        return cls.load(path, threads=threads, device=device)
