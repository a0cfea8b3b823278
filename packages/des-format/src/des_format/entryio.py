"""A seekable, read-only binary file over one entry's payload."""

from __future__ import annotations

import io
from collections.abc import Callable

from .entry import Entry

__all__ = ["EntryFile", "open_entry"]

_BUFFER_BYTES = 256 * 1024


class EntryFile(io.RawIOBase):
    """Unbuffered file over an entry; every read asks `read_range(start, end)`."""

    def __init__(self, entry: Entry, read_range: Callable[[int, int], bytes]) -> None:
        self.name = entry.name
        self._size = entry.size
        self._read_range = read_range
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}.get(whence)
        if base is None:
            raise ValueError(f"whence {whence}; 0, 1 or 2 are allowed")
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is before the first byte")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        end = min(self._position + len(buffer), self._size)
        data = self._read_range(self._position, end) if self._position < end else b""
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def open_entry(entry: Entry, read_range: Callable[[int, int], bytes]) -> io.BufferedReader:
    """Return a buffered file over an entry."""
    return io.BufferedReader(EntryFile(entry, read_range), buffer_size=_BUFFER_BYTES)
