"""The one writer of files: the file that is there stays whole until the new one is complete and on disk.

``Index.save`` does the same in the library (``common/system/atomic_file.hpp``).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

from concord.errors import IoError, io_error

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def replacing(path: PathLike) -> Iterator[BinaryIO]:
    """A new file that takes the place of ``path`` when the block ends, and is removed if it raises.

    It is made beside the file that ``path`` leads to through links, under a short name of its own. It has
    the mode, owner and group of the old file, or the mode that the umask gives. Where the system does not
    let the process give it the group, the group's permissions are taken away.
    """
    with failures_at(path):
        target = os.path.realpath(path)
        folder = os.path.dirname(target)
        old = _status(target)
        temporary = os.path.join(folder, f".concord-{secrets.token_hex(8)}.tmp")
        mode = 0o666 if old is None else stat.S_IMODE(old.st_mode) & 0o777
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with failures_at(path), open(descriptor, "wb") as file:
            if old is not None:
                _take_over(file.fileno(), old)
            yield file
            file.flush()
            os.fsync(file.fileno())
        with failures_at(path):
            os.replace(temporary, target)
            _sync(folder)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def failures_at(path: PathLike) -> Iterator[None]:
    """What the system refuses within becomes an IoError about ``path``."""
    try:
        yield
    except IoError:
        raise
    except OSError as error:
        name = os.fspath(path)
        raise io_error(f"'{name}': {error.strerror or error}", error.errno or 0, name) from error


def _status(path: str) -> os.stat_result | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise IoError(f"cannot write '{path}': it is there and not a regular file")
    return status


def _take_over(file: int, old: os.stat_result) -> None:
    mode = stat.S_IMODE(old.st_mode) & 0o777
    made = os.fstat(file)
    if (made.st_uid, made.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.fchown(file, old.st_uid, old.st_gid)
        except PermissionError:
            try:
                os.fchown(file, -1, old.st_gid)
            except PermissionError:
                mode &= 0o707
    os.fchmod(file, mode)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
