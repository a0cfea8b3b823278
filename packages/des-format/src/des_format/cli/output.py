"""What `des` writes to stdout: results, as bytes, the same on every system."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import IO, Any

from ..errors import InvalidInputError
from .messages import printable

__all__ = ["discard", "finish", "stdout", "stdout_for_archive", "write_json", "write_line", "write_name"]


class _Whole(io.RawIOBase):
    """A raw stream that takes all of what is written; by itself it may take less and only say so."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        view = memoryview(data)
        while view:
            view = view[self._raw.write(view) or 0 :]
        return len(data)


def stdout() -> IO[bytes]:
    """The binary stream for results."""
    # With PYTHONUNBUFFERED, which many containers set, there is no buffer but the raw file.
    buffer: Any = sys.stdout.buffer
    whole: Any = _Whole(buffer) if isinstance(buffer, io.RawIOBase) else buffer
    return whole  # type: ignore[no-any-return]


def stdout_for_archive() -> IO[bytes]:
    """As `stdout`, for bytes that would only confuse a terminal.

    Raises:
        InvalidInputError: It is a terminal.
    """
    if sys.stdout.isatty():
        raise InvalidInputError("stdout is a terminal; send the archive to a file or a pipe")
    return stdout()


def write_line(text: str) -> None:
    """Write one line in UTF-8, whatever the locale."""
    stdout().write(text.encode(errors="backslashreplace") + b"\n")


def write_name(name: str, end: str = "\n") -> None:
    """Write an entry's name as it is, but escaped on a terminal."""
    text = printable(name) if sys.stdout.isatty() else name
    stdout().write((text + end).encode(errors="backslashreplace"))


def write_json(value: Any) -> None:
    """Write one value as one line of JSON."""
    write_line(json.dumps(value, ensure_ascii=False, separators=(", ", ": ")))


def finish() -> None:
    """Write what is buffered, now that a failure can still be reported."""
    sys.stdout.flush()


def discard() -> None:
    """Forget what is buffered if it cannot be written, or the interpreter would fail on it at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(io.UnsupportedOperation):
            hole = os.open(os.devnull, os.O_WRONLY)
            os.dup2(hole, sys.stdout.fileno())
            os.close(hole)
