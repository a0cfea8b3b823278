"""Range sources for a local file and for bytes in memory."""

from __future__ import annotations

import asyncio
import errno
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

from .errors import BigFileMissingError, UnsupportedFormatError
from .ranges import AsyncRangeSource, ByteRange, RangeSource, Tail

__all__ = ["BufferSource", "FileSource", "LoopSource", "ThreadedSource"]

_NO_SUCH_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG})


class BufferSource:
    """An archive in memory, or mapped into it.

    Args:
        data: The archive's bytes.
        folder: Folder of the archive, for big files beside it; None when there is none.
    """

    def __init__(self, data: bytes | mmap.mmap, folder: Path | None = None) -> None:
        self.data = data
        self._folder = folder

    def read_tail(self, length: int, /) -> Tail:
        return Tail(self.data[max(0, len(self.data) - length) :], len(self.data))

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> list[bytes]:
        data = self.data
        return [self._read_beside(part) if part.beside else data[part.start : part.end] for part in ranges]

    def _read_beside(self, part: ByteRange) -> bytes:
        if self._folder is None:
            raise BigFileMissingError(f"big file {part.beside} lies beside an archive, but this one is only in memory")
        path = self._folder / part.beside
        try:
            with path.open("rb") as file:
                # A read allocates what it is asked for, which an archive may state as it likes.
                size = min(part.end, os.fstat(file.fileno()).st_size) - part.start
                if size <= 0:
                    return b""
                file.seek(part.start)
                return file.read(size)
        except OSError as error:
            if error.errno not in _NO_SUCH_FILE:
                raise
            raise BigFileMissingError(f"big file {path} is missing") from error

    def close(self) -> None:
        """Release the bytes."""


class FileSource(BufferSource):
    """A local archive, mapped into memory.

    Args:
        path: The file. It must not be truncated while it is open; replacing it by a rename
            is safe, the reader keeps the old one.
        size: Map only the first `size` bytes, or what there is of them; None for all of it.
    """

    def __init__(self, path: Path, size: int | None = None) -> None:
        self.path = path
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            found = os.fstat(handle).st_size
            if found == 0:
                raise UnsupportedFormatError(f"{path} is empty: not an archive")
            self._map = mmap.mmap(handle, found if size is None else min(size, found), access=mmap.ACCESS_READ)
        finally:
            os.close(handle)
        super().__init__(self._map, path.parent)

    def close(self) -> None:
        self._map.close()


class LoopSource:
    """An asynchronous source as a synchronous one, for threads other than that of its event loop."""

    def __init__(self, source: AsyncRangeSource, loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._loop = loop

    def read_tail(self, length: int, /) -> Tail:
        return asyncio.run_coroutine_threadsafe(self._source.read_tail(length), self._loop).result()

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> Sequence[bytes]:
        return asyncio.run_coroutine_threadsafe(self._source.read_ranges(ranges), self._loop).result()


class ThreadedSource:
    """A synchronous source as an asynchronous one; each call runs in a worker thread."""

    def __init__(self, source: RangeSource) -> None:
        self._source = source

    async def read_tail(self, length: int, /) -> Tail:
        return await asyncio.to_thread(self._source.read_tail, length)

    async def read_ranges(self, ranges: Sequence[ByteRange], /) -> Sequence[bytes]:
        return await asyncio.to_thread(self._source.read_ranges, ranges)
