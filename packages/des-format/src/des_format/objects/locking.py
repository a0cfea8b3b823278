"""A lock between processes and threads, held by an open file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import UnsupportedOperationError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LocalTurn", "locked"]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, which is made when it is missing; the system frees it when the process dies.

    Whoever holds the lock may remove the file: the others notice that theirs is not the one at `path` any more.

    Raises:
        UnsupportedOperationError: The system has no such locks.
    """
    if fcntl is None:
        raise UnsupportedOperationError(f"cannot lock {path}: this system has no flock")
    handle = _acquire(path)
    try:
        yield
    finally:
        os.close(handle)


def _acquire(path: Path) -> int:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            # A lock of the open file, not of the process: it keeps threads apart too.
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(handle, path):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


class LocalTurn:
    """A turn that is a lock of its own file.

    The file may be removed meanwhile, and then someone else may have another turn: nothing depends on it.
    """

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    @classmethod
    def at(cls, path: Path) -> LocalTurn | None:
        """Join the queue at a file, which is made when it is missing; None where that is not possible."""
        if fcntl is None:
            return None
        try:
            return cls(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666))
        except OSError:
            return None

    def take(self) -> bool:
        """Take the turn, unless someone else has it."""
        if self._handle is None:
            return False
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def end(self) -> None:
        """Let it go."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
