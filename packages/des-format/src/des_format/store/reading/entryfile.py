"""A file over one entry's payload, for asynchronous readers."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable

from ...entry import Entry
from ...errors import InvalidInputError

__all__ = ["AsyncEntryFile"]


class AsyncEntryFile:
    """A seekable, read-only file over one entry's payload; each `read` asks for what it needs.

    Attributes:
        entry: What the archive says about the entry.
    """

    def __init__(self, entry: Entry, read_range: Callable[[int, int], Awaitable[bytes]]) -> None:
        self.entry = entry
        self._read_range = read_range
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte of the payload and return its position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.entry.size}.get(whence)
        if base is None or base + offset < 0:
            raise InvalidInputError(f"position {offset} from {whence} is before the first byte, or from nowhere")
        self._position = base + offset
        return self._position

    async def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, all that are left for -1; none at the end."""
        end = self.entry.size if size < 0 else min(self._position + size, self.entry.size)
        if end <= self._position:
            return b""
        data = await self._read_range(self._position, end)
        self._position += len(data)
        return data
