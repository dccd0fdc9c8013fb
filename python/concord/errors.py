"""The exceptions of concord: one hierarchy, with the text of the library.

Every class also derives from the built-in exception that a Python program would expect, so
``except ValueError`` catches a vector with NaN and ``except KeyError`` an unknown label. A call that
raises one of these leaves the index as it was.
"""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """The base class of every exception of concord."""

    code: ClassVar[str] = "error"
    """The name of the kind of error, as in the C++ library."""

    __str__ = Exception.__str__  # KeyError's would put the text in quotes


class InvalidParameterError(Error, ValueError):
    """A parameter is outside its documented range."""

    code = "invalid_parameter"


class DimensionMismatchError(Error, ValueError):
    """The shape of an array does not fit the index or the other arrays of the call."""

    code = "dimension_mismatch"


class InvalidVectorError(Error, ValueError):
    """NaN, infinity, or a norm so large that distances would overflow."""

    code = "invalid_vector"


class ArrayTypeError(Error, TypeError):
    """Not an array, or an array of an element type that is neither read in place nor converted."""

    code = "array_type"


class DuplicateLabelError(Error, ValueError):
    """A label is already in the index, or occurs twice in the call."""

    code = "duplicate_label"


class UnknownLabelError(Error, KeyError):
    """No vector has this label."""

    code = "unknown_label"


class UnknownPresetError(Error, KeyError):
    """No preset reaches the recall, or the index has changed too much since it was tuned."""

    code = "unknown_preset"


class CapacityError(Error, OverflowError):
    """More vectors than an index can number."""

    code = "capacity"


class OutOfMemoryError(Error, MemoryError):
    """The system refused memory."""

    code = "out_of_memory"


class IoError(Error, OSError):
    """The file system refused: path, permission, space, a closed file.

    ``errno`` and ``filename`` are set where a system call failed. If Python has a class for the errno, the
    exception is of that class too: ``except FileNotFoundError`` catches a file that is missing.
    """

    code = "io"

    def __str__(self) -> str:
        """The text of the library, which has the path and the reason."""
        return str(self.strerror or Exception.__str__(self))


class MissingFileError(IoError, FileNotFoundError):
    """There is no such file or folder."""


class AccessError(IoError, PermissionError):
    """The process may not do that with the file or folder."""


class FolderError(IoError, IsADirectoryError):
    """A folder is where a file is needed."""


class NotAFolderError(IoError, NotADirectoryError):
    """A part of the path is not a folder."""


class ExistsError(IoError, FileExistsError):
    """The file or folder is there already."""


class CorruptFileError(Error, ValueError):
    """The file is not a Concord index, is damaged, or has a newer version."""

    code = "corrupt_file"


class DivergedError(CorruptFileError):
    """The files have another history than the replica that follows them.

    Open another :class:`~concord.Replica` once the files are what you want.
    """

    code = "diverged"


class UnsupportedError(Error, RuntimeError):
    """This machine or build lacks what was asked for, for example a CUDA device."""

    code = "unsupported"


class CudaError(Error, RuntimeError):
    """A CUDA call failed."""

    code = "cuda"


class BusyError(Error, RuntimeError):
    """A callback or signal handler used the index that was waiting for it, or an index changed during a call
    that needs it at rest.
    """

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
        UnknownPresetError,
        CapacityError,
        OutOfMemoryError,
        IoError,
        CorruptFileError,
        DivergedError,
        UnsupportedError,
        CudaError,
        BusyError,
    )
}
"""The class of each code of the library, for the extension module."""


def io_error(message: str, errno: int, filename: str | None) -> IoError:
    """The exception of a failed call to the file system; ``errno`` is 0 if none failed."""
    if errno == 0:
        return IoError(message)
    kinds = (MissingFileError, AccessError, FolderError, NotAFolderError, ExistsError)
    builtin = type(OSError(errno, message))
    kind = next((kind for kind in kinds if builtin in kind.__bases__), IoError)
    return kind(errno, message, filename)
