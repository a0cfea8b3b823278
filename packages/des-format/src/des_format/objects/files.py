"""Files that are objects: opened and read safely, with errors of ours."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import DesError, ObjectNotFoundError, UnavailableError, UnsupportedOperationError
from ..ports.objects import translate

__all__ = ["check_file", "open_file", "read_file", "status_of", "translated", "writing"]

_ABSENT = (FileNotFoundError, NotADirectoryError)


@contextlib.contextmanager
def translated(key: str) -> Iterator[None]:
    """Make errors of the tree of what the system raises."""
    try:
        yield
    except DesError:
        raise
    except _ABSENT as error:
        raise ObjectNotFoundError(f"object {key!r} does not exist") from error
    except OSError as error:
        raise translate(error, key) from error


@contextlib.contextmanager
def writing(key: str) -> Iterator[None]:
    """As `_translated`, where the folder was there a moment ago."""
    try:
        with translated(key):
            yield
    except ObjectNotFoundError as error:
        raise UnavailableError(f"object {key!r} cannot be written: its folder is gone") from error


def open_file(path: Path) -> int:
    """Open a file for reading, but nothing else that has its name; return the descriptor."""
    # A name that is no file must neither lead elsewhere (a link) nor block (a pipe).
    special = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, os.O_RDONLY | special)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError(error.errno, "is a link", str(path)) from error
        raise


def check_file(key: str, status: os.stat_result) -> os.stat_result:
    """Return the status, if it is that of a file; `ObjectNotFoundError` otherwise."""
    if not stat.S_ISREG(status.st_mode):
        raise ObjectNotFoundError(f"object {key!r} does not exist: what has its name is no file")
    return status


def status_of(key: str, path: Path) -> os.stat_result | None:
    """Return the status of the file at `path`; None when there is nothing."""
    try:
        status = os.lstat(path)
    except _ABSENT:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise UnsupportedOperationError(f"object {key!r} cannot be written: {path} is a folder or a link")
    return status


def read_file(key: str, handle: int, start: int, end: int) -> bytes:
    """Return bytes `[start, end)` of an open file; fewer are `UnavailableError`."""
    parts = []
    position = start
    while position < end:
        part = _pread(handle, end - position, position)
        if not part:
            raise UnavailableError(f"object {key!r} ends at byte {position}, before its size")
        parts.append(part)
        position += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _pread(handle: int, size: int, position: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(handle, size, position)
    os.lseek(handle, position, os.SEEK_SET)  # Windows; nobody else uses this handle
    return os.read(handle, size)
