"""Filters: which vectors of an index a search may find."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from concord import _concord
from concord._labels import labels_of
from concord.errors import ArrayTypeError, Error, InvalidParameterError

if TYPE_CHECKING:
    from concord.index import SupportsArray

Which: TypeAlias = (
    "Filter | slice | SupportsArray | Sequence[SupportsIndex] | "
    "Callable[[npt.NDArray[np.int64 | np.uint64]], SupportsArray]"
)
"""Which vectors a search may find, as :meth:`Index.filter` takes them."""

ALLOWED = "allowed are masks of booleans or uint8, labels, slices, callables and concord.Filter"


class Filter:
    """A part of the vectors of one index, as they were when it was made: see :meth:`Index.filter`.

    Vectors that are added later do not match, and removed ones are never found. ``&``, ``|`` and ``~`` combine
    filters of one index. A filter never changes, and any number of searches and threads may use it.
    """

    __slots__ = ("_core",)

    def __init__(self, core: _concord.Filter) -> None:
        if not isinstance(core, _concord.Filter):
            raise TypeError("filters are made by Index.filter, because each belongs to an index")
        self._core = core

    @property
    def matches(self) -> int:
        """The number of vectors that matched when the filter was made."""
        return self._core.matches

    @property
    def size(self) -> int:
        """The number of vectors that there were then."""
        return self._core.size

    @property
    def unknown(self) -> int:
        """How many of the labels given had no vector."""
        return self._core.unknown

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        return self._core.nbytes

    def __and__(self, other: Filter) -> Filter:
        """What matches both."""
        return Filter(self._core & other._core) if isinstance(other, Filter) else NotImplemented

    def __or__(self, other: Filter) -> Filter:
        """What matches one of the two, or both."""
        return Filter(self._core | other._core) if isinstance(other, Filter) else NotImplemented

    def __invert__(self) -> Filter:
        """What does not match this filter."""
        return Filter(~self._core)

    def __repr__(self) -> str:
        return f"concord.Filter({self.matches} of {self.size} vectors)"


def filters_of(
    core: _concord._Core, given: Which | Sequence[Which | None]
) -> _concord.Filter | list[_concord.Filter | None]:
    """The filter of all queries, or a list of one for each."""
    if isinstance(given, (list, tuple)) and any(map(is_filter, given)):
        return [None if one is None else filter_of(core, one)._core for one in given]
    return filter_of(core, cast("Which", given))._core


def filter_of(core: _concord._Core, which: Which) -> Filter:
    """The filter that the caller means."""
    return which if isinstance(which, Filter) else Filter(choose(core, which))


T_co = TypeVar("T_co", covariant=True)


class Chooser(Protocol[T_co]):
    """Vectors in the order of insertion, and what makes a filter of some of them."""

    def size(self) -> int:
        """The number of vectors."""

    def labels(self) -> npt.NDArray[np.int64 | np.uint64]:
        """All labels."""

    def filter_of_range(self, first: int, last: int, /) -> T_co:
        """Of the vectors at places from ``first`` to before ``last``."""

    def filter_of_labels(self, labels: npt.NDArray[np.uint64], /) -> T_co:
        """Of the vectors of these labels."""

    def filter_of_mask(self, mask: npt.NDArray[np.uint8], /) -> T_co:
        """Of the vectors at places that are not 0."""

    def filter_of_bits(self, bits: npt.NDArray[np.uint8], count: int, offset: int, /) -> T_co:
        """Of the vectors whose bits are set, of ``count`` bits from number ``offset`` on."""


def choose(core: Chooser[T_co], which: Which) -> T_co:
    """What the caller means, who gives no :class:`Filter`."""
    if isinstance(which, slice):
        first, last, step = which.indices(core.size())
        if step == 1:
            return core.filter_of_range(first, max(first, last))
        labels = core.labels()  # a mask would be too short beside an addition
        return core.filter_of_labels(labels[which].astype(np.uint64))
    if callable(which):
        return _of_callable(core, which)
    column = _arrow_column(which)
    if column is not None:
        return core.filter_of_bits(*_arrow_bits(column))
    array = _array(which)
    if array.dtype == np.bool_ or array.dtype == np.uint8:
        return core.filter_of_mask(_mask(array))
    return core.filter_of_labels(labels_of(array, None))


def is_filter(one: object) -> bool:
    """Whether an element of a list is a filter, and no label or bit of a mask."""
    return one is None or not (
        isinstance(one, (int, np.generic))
        or (hasattr(one, "__index__") and not hasattr(one, "__len__"))
    )


def _of_callable(core: Chooser[T_co], predicate: Callable[..., Any]) -> T_co:
    labels = core.labels()
    shown = labels.view()
    shown.flags.writeable = False  # a callable that changed it would choose other vectors
    mask = _array(predicate(shown))
    if mask.dtype != np.bool_ and mask.size > 0:
        raise ArrayTypeError(f"the callable returned {mask.dtype}; allowed are booleans")
    if mask.shape != labels.shape:
        raise InvalidParameterError(
            f"the callable returned a mask of shape {list(mask.shape)} for {len(labels)} labels"
        )
    return core.filter_of_labels(labels[mask.astype(bool)].astype(np.uint64))


def _mask(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if array.ndim != 1:
        raise ArrayTypeError(f"the mask has shape {list(array.shape)}; it has one dimension")
    return np.ascontiguousarray(array).view(np.uint8)


def _array(which: Any) -> npt.NDArray[Any]:
    """An array of the caller's bits or labels, in which what is missing does not match."""
    try:
        array = _plain(which)
    except Error:
        raise
    except Exception as error:  # of whichever library
        raise ArrayTypeError(f"a {type(which).__name__} is no filter: {error}; {ALLOWED}") from None
    if array.ndim == 1 and array.size == 0 and array.dtype.kind not in "biu":
        return np.empty(0, np.uint64)
    if array.dtype.kind not in "biu":
        raise ArrayTypeError(f"a filter of {array.dtype} is unknown; {ALLOWED}")
    return array


def _plain(which: Any) -> npt.NDArray[Any]:
    library = type(which).__module__.partition(".")[0]
    if library == "pandas" and type(which.dtype).__name__ == "ArrowDtype":
        which, library = which.array.__arrow_array__(), "pyarrow"
    if library == "polars":
        polars = sys.modules["polars"]
        if which.dtype in (polars.Boolean, polars.UInt8):
            which = which.fill_null(False if which.dtype == polars.Boolean else 0)
        _expect_no_nulls(which.null_count())
        return np.asarray(which.to_numpy())
    if library == "pyarrow":
        types = sys.modules["pyarrow"].types
        if which.null_count and (types.is_boolean(which.type) or types.is_uint8(which.type)):
            which = which.fill_null(False if types.is_boolean(which.type) else 0)
        _expect_no_nulls(which.null_count)
        return np.asarray(which)
    if library == "pandas" and getattr(which.dtype, "name", "") in ("boolean", "UInt8"):
        kind = np.bool_ if which.dtype.name == "boolean" else np.uint8
        return np.asarray(which.to_numpy(dtype=kind, na_value=0))
    if isinstance(which, np.ma.MaskedArray):
        return which.filled(0) if which.dtype in (np.bool_, np.uint8) else which
    if isinstance(which, (list, tuple)) and not set(map(type, which)) <= {bool, np.bool_, np.uint8}:
        return labels_of(which, None)
    return np.asarray(which)


def _expect_no_nulls(count: int) -> None:
    if count:
        raise ArrayTypeError(f"labels have {count} nulls; allowed are integers")


def _arrow_column(which: Any) -> Any:
    """The column of booleans that it is, or ``None``."""
    if type(getattr(which, "dtype", None)).__name__ == "ArrowDtype":
        which = which.array.__arrow_array__()
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is None or not isinstance(which, (pyarrow.Array, pyarrow.ChunkedArray)):
        return None
    if not pyarrow.types.is_boolean(which.type):
        return None
    return which.combine_chunks() if isinstance(which, pyarrow.ChunkedArray) else which


def _arrow_bits(column: Any) -> tuple[npt.NDArray[np.uint8], int, int]:
    """Its packed bits, how many, and the number of the first; null is no match."""
    if column.null_count:
        column = column.fill_null(False)
    values = column.buffers()[1]
    bits = np.frombuffer(values, np.uint8) if values else np.empty(0, np.uint8)
    return bits, len(column), column.offset
