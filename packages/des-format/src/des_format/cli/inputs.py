"""Inputs of `des pack`: something with a name that can be opened once, and what happens when it cannot."""

from __future__ import annotations

import io
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, BinaryIO, NamedTuple, Protocol

from ..errors import DuplicateEntryError, InvalidInputError
from .exit_codes import PartlyFailedError
from .messages import Messages, printable
from .metadata import file_meta
from .sizes import plural

__all__ = ["FileInput", "Input", "InputError", "Opened", "Report", "clean_name"]

_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class InputError(PartlyFailedError):
    """An input cannot be read, or changed meanwhile."""

    code = "input_failed"


class Opened(NamedTuple):
    """An input's bytes, to be read to their end, and its metadata."""

    stream: BinaryIO
    meta: Mapping[str, Any]


class Input(Protocol):
    """One future entry; `size` is what is known before it is read, 0 for nothing."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    def open(self) -> AbstractContextManager[Opened]:
        """Open it; this, and reading the stream, raise `InputError`."""
        ...


def clean_name(path: str) -> str:
    """Return an entry name for a path from a list or a foreign archive: relative, without `.` and empty parts.

    Raises:
        InvalidInputError: Nothing is left, or a part is `..`.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise InvalidInputError(f"path {path!r} cannot become an entry name: it is empty or has a '..' part")
    return "/".join(parts)


class _FileStream(io.RawIOBase):
    """A file that must not change while it is read; the read that would say "end" raises if it did."""

    def __init__(self, handle: int, before: os.stat_result) -> None:
        self._handle = handle
        self._before = before
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        try:
            data = os.read(self._handle, len(buffer))
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}") from error
        buffer[: len(data)] = data
        self._size += len(data)
        if not data:
            self._check()
        return len(data)

    def _check(self) -> None:
        after = os.fstat(self._handle)
        if self._size != self._before.st_size or after.st_size != self._size:
            raise InputError(
                f"changed while it was read: it had {self._before.st_size} bytes, then {after.st_size},"
                f" and {self._size} were read"
            )
        if after.st_mtime_ns != self._before.st_mtime_ns:
            raise InputError("was written to while it was read")

    def close(self) -> None:
        if not self.closed:
            os.close(self._handle)
        super().close()


@dataclass(frozen=True, slots=True)
class FileInput:
    """A regular file."""

    name: str
    path: str
    size: int

    @contextmanager
    def open(self) -> Iterator[Opened]:
        try:
            # Without waiting: a FIFO that has taken the file's place must not block for ever.
            handle = os.open(self.path, _OPEN_FLAGS)
        except OSError as error:
            raise InputError(f"cannot be opened: {error.strerror}") from error
        before = os.fstat(handle)
        raw = _FileStream(handle, before)
        with io.BufferedReader(raw, 1 << 16) as stream:
            if not stat.S_ISREG(before.st_mode):
                raise InputError("is no regular file any more")
            yield Opened(stream, file_meta(before.st_mtime_ns, stat.S_IMODE(before.st_mode)))


@dataclass
class Report:
    """What was left out of an archive, and why.

    Args:
        messages: Where failures are reported.
        keep_going: Go on without inputs that fail; otherwise the first one ends the command.
    """

    messages: Messages
    keep_going: bool = False
    skipped: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    _first: dict[str, str] = field(default_factory=dict)

    def skip(self, kind: str, path: str | PurePath) -> None:
        """Count something that is left out on purpose, such as a `socket`; an s makes a plural of the kind."""
        self.skipped[kind] += 1
        self._first.setdefault(kind, str(path))

    def fail(self, name: str, error: Exception) -> None:
        """Report an input that cannot be packed.

        Raises:
            InputError: Without `keep_going`.
            DuplicateEntryError: Without `keep_going`, if that is the error.
        """
        if isinstance(error, DuplicateEntryError) and not self.keep_going:
            raise error
        if not self.keep_going:
            raise InputError(
                f"{printable(name)}: {error}; nothing was written (--keep-going packs the rest)"
            ) from error
        self.failed.append(name)
        self.messages.problem(name, str(error))

    def summary(self) -> str:
        """What was skipped, in words; empty for nothing."""
        kinds = (
            f"{plural(count, kind)} ({'first: ' if count > 1 else ''}{printable(self._first[kind])})"
            for kind, count in sorted(self.skipped.items())
        )
        return ", ".join(kinds)
