"""Memory for payloads that are sent piece by piece: the more of them there are, the smaller the pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

__all__ = ["StreamMemory"]

_SMALLEST_PIECE = 64 * 2**10
_LARGEST_PIECE = 8 * 2**20


class StreamMemory:
    """How much memory all streams of a process may take together.

    A piece is in memory while it is read and while the client takes it. Large pieces cost fewer requests; so a
    stream gets an equal share of the memory, at least 64 KiB and at most 8 MiB.

    Args:
        limit_bytes: The memory.
    """

    def __init__(self, limit_bytes: int = 128 * 2**20) -> None:
        self._limit = limit_bytes
        self._taken = 0
        self._streams = 0
        self._freed = asyncio.Condition()

    @property
    def taken_bytes(self) -> int:
        """What is taken now."""
        return self._taken

    @property
    def piece_bytes(self) -> int:
        """How large the next piece may be. A reader's buffers hold it a second time."""
        return min(_LARGEST_PIECE, max(_SMALLEST_PIECE, self._limit // (2 * max(1, self._streams))))

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[None]:
        """Count as a stream, which shares the memory."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    @asynccontextmanager
    async def take(self, size: int) -> AsyncIterator[None]:
        """Wait until there is memory; what is larger than all of it waits until it is alone."""
        size = min(size, self._limit)
        async with self._freed:
            await self._freed.wait_for(lambda: self._taken + size <= self._limit)
            self._taken += size
        try:
            yield
        finally:
            self._taken -= size
            async with self._freed:
                self._freed.notify_all()
