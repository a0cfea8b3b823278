"""Both ports from one set of methods."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from des_format.ports.caches import Expires, IndexCache

__all__ = ["InlineTwins", "ThreadTwins"]


class InlineTwins:
    """Asynchronous methods for a cache whose methods never wait."""

    async def get_many_async(self: IndexCache, keys: Iterable[str], /) -> dict[str, bytes]:
        return self.get_many(keys)

    async def set_many_async(self: IndexCache, items: Mapping[str, bytes], /) -> None:
        self.set_many(items)

    async def delete_many_async(self: IndexCache, keys: Iterable[str], /) -> None:
        self.delete_many(keys)

    async def get_expiring_async(self: Expires, keys: Iterable[str], /) -> dict[str, bytes]:
        return self.get_expiring(keys)

    async def set_expiring_async(self: Expires, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        self.set_expiring(items, ttl_seconds)

    def close(self) -> None:
        """There is nothing to close; every cache that a URL opens can be."""

    async def close_async(self) -> None:
        """There is nothing to close."""


class ThreadTwins:
    """Asynchronous methods for a cache whose methods wait: they run in a thread."""

    async def get_many_async(self: IndexCache, keys: Iterable[str], /) -> dict[str, bytes]:
        return await asyncio.to_thread(self.get_many, list(keys))

    async def set_many_async(self: IndexCache, items: Mapping[str, bytes], /) -> None:
        await asyncio.to_thread(self.set_many, dict(items))

    async def delete_many_async(self: IndexCache, keys: Iterable[str], /) -> None:
        await asyncio.to_thread(self.delete_many, list(keys))

    async def get_expiring_async(self: Expires, keys: Iterable[str], /) -> dict[str, bytes]:
        return await asyncio.to_thread(self.get_expiring, list(keys))

    async def set_expiring_async(self: Expires, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        await asyncio.to_thread(self.set_expiring, dict(items), ttl_seconds)

    def close(self) -> None:
        """Let go of what is open; a cache that keeps nothing open has nothing to do."""

    async def close_async(self) -> None:
        """As `close`."""
        await asyncio.to_thread(self.close)
