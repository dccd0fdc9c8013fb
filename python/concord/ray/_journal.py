"""A journal that changes hands: who has it, and how a new owner keeps an old one from acknowledging anything.

And who may change the index.

An index whose journal is another file than the one that it has open refuses to acknowledge a change. So a new
owner puts a copy of the journal in its place. Whatever the old one acknowledged before is in the copy.
Thread-safety: one taker of a journal at a time. Local file systems alone were tested.
"""

from __future__ import annotations

import fcntl
import os
import shutil


def is_locked(journal: str) -> bool:
    """Whether an index has the journal open, in any process of this machine."""
    try:
        with open(journal, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def identity(journal: str) -> tuple[int, int] | None:
    """Which file is in the journal's place; none if there is none."""
    try:
        status = os.stat(journal)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def take_over(journal: str) -> None:
    """Put a copy of the journal in its place; its old owner can acknowledge nothing from then on.

    The owner may write while it is copied. So it is copied again until nothing came since the copy began.
    """
    copy = f"{journal}.taken-{os.getpid()}"
    with open(journal, "rb") as old:
        before = None
        while before != (before := _state(old.fileno())):
            old.seek(0)
            with open(copy, "wb") as new:
                shutil.copymode(journal, copy)
                shutil.copyfileobj(old, new)
                new.flush()
                os.fsync(new.fileno())
            os.replace(copy, journal)
            _sync_folder(os.path.dirname(journal))


def writer_of(index_file: str) -> str | None:
    """The name that :func:`note_writer` has kept; none if there is none."""
    try:
        with open(f"{index_file}.writer", encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return None


def note_writer(index_file: str, writer: str) -> None:
    """Keep the name of whoever changes the index, so that a process that is started again knows it."""
    name = f"{index_file}.writer"
    with open(f"{name}.new", "w", encoding="ascii") as file:
        file.write(writer)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{name}.new", name)
    _sync_folder(os.path.dirname(index_file))


def _state(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
