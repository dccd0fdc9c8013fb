"""The exceptions of concord: one hierarchy, with the text of the library.

Every class also derives from the built-in exception that a Python program would expect, so
``except ValueError`` catches a vector with NaN and ``except KeyError`` an unknown label. A call that
raises one of these leaves the index as it was.
"""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """What every exception of concord derives from."""

    code: ClassVar[str] = "error"
    """The name of the kind of error, as in the C++ library."""

    __str__ = Exception.__str__  # KeyError's would put the text in quotes


class InvalidParameterError(Error, ValueError):
    """A parameter is outside its documented range."""

    code = "invalid_parameter"


class DimensionMismatchError(Error, ValueError):
    """An array has another shape than the index or its companion arrays."""

    code = "dimension_mismatch"


class InvalidVectorError(Error, ValueError):
    """NaN, infinity, or a norm so large that distances would overflow."""

    code = "invalid_vector"


class ArrayTypeError(Error, TypeError):
    """Not an array, or of an element type that is neither read in place nor converted."""

    code = "array_type"


class DuplicateLabelError(Error, ValueError):
    """A label is in the index already, or twice in the call."""

    code = "duplicate_label"


class UnknownLabelError(Error, KeyError):
    """No vector has this label."""

    code = "unknown_label"


class CapacityError(Error, OverflowError):
    """More vectors than an index can number."""

    code = "capacity"


class OutOfMemoryError(Error, MemoryError):
    """The system refused memory."""

    code = "out_of_memory"


class IoError(Error, OSError):
    """The file system refused: path, permission, space, a closed file."""

    code = "io"


class CorruptFileError(Error, ValueError):
    """The file is no Concord index, is damaged, or is of a newer version."""

    code = "corrupt_file"


class UnsupportedError(Error, RuntimeError):
    """This machine or build lacks what was asked for, for example a CUDA device."""

    code = "unsupported"


class CudaError(Error, RuntimeError):
    """A CUDA call failed."""

    code = "cuda"


class BusyError(Error, RuntimeError):
    """An index was used from a callback or signal handler that it was waiting for itself."""

    code = "busy"


BY_CODE: dict[str, type[Error]] = {
    kind.code: kind
    for kind in (
        InvalidParameterError,
        DimensionMismatchError,
        InvalidVectorError,
        ArrayTypeError,
        DuplicateLabelError,
        UnknownLabelError,
        CapacityError,
        OutOfMemoryError,
        IoError,
        CorruptFileError,
        UnsupportedError,
        CudaError,
        BusyError,
    )
}
"""The class for each code of the library; the extension module looks here."""
