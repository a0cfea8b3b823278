"""Index caches around another one: one that fails as planned, one that counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ..ports.caches import AsyncExpires, AsyncIndexCache, Expires, IndexCache
from .faults import Plan, perform, perform_async, script
from .meter import Meter

__all__ = ["AnyIndexCache", "FaultyIndexCache", "MeteredIndexCache"]


class AnyIndexCache(IndexCache, AsyncIndexCache, Expires, AsyncExpires, Protocol):
    """A cache with the methods of all its ports."""


class FaultyIndexCache:
    """A cache that fails as planned; operations are the synchronous methods, `get_many` and so on."""

    def __init__(self, inner: AnyIndexCache, plan: Plan | None = None) -> None:
        self.inner = inner
        self.plan = plan or Plan()

    def get_many(self, keys: Iterable[str], /) -> dict[str, bytes]:
        keys = list(keys)
        faults = self.plan.meet("get_many", keys)
        result: dict[str, bytes] = perform(script(faults, "get_many", keys, lambda: self.inner.get_many(keys)))
        return result

    def set_many(self, items: Mapping[str, bytes], /) -> None:
        faults = self.plan.meet("set_many", items)
        perform(script(faults, "set_many", list(items), lambda: self.inner.set_many(items)))

    def delete_many(self, keys: Iterable[str], /) -> None:
        keys = list(keys)
        faults = self.plan.meet("delete_many", keys)
        perform(script(faults, "delete_many", keys, lambda: self.inner.delete_many(keys)))

    async def get_many_async(self, keys: Iterable[str], /) -> dict[str, bytes]:
        keys = list(keys)
        steps = script(self.plan.meet("get_many", keys), "get_many", keys, lambda: self.inner.get_many_async(keys))
        result: dict[str, bytes] = await perform_async(steps)
        return result

    async def set_many_async(self, items: Mapping[str, bytes], /) -> None:
        faults = self.plan.meet("set_many", items)
        await perform_async(script(faults, "set_many", list(items), lambda: self.inner.set_many_async(items)))

    async def delete_many_async(self, keys: Iterable[str], /) -> None:
        keys = list(keys)
        faults = self.plan.meet("delete_many", keys)
        await perform_async(script(faults, "delete_many", keys, lambda: self.inner.delete_many_async(keys)))

    def get_expiring(self, keys: Iterable[str], /) -> dict[str, bytes]:
        keys = list(keys)
        faults = self.plan.meet("get_expiring", keys)
        result: dict[str, bytes] = perform(script(faults, "get_expiring", keys, lambda: self.inner.get_expiring(keys)))
        return result

    def set_expiring(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        faults = self.plan.meet("set_expiring", items)
        perform(script(faults, "set_expiring", list(items), lambda: self.inner.set_expiring(items, ttl_seconds)))

    async def get_expiring_async(self, keys: Iterable[str], /) -> dict[str, bytes]:
        keys = list(keys)
        faults = self.plan.meet("get_expiring", keys)
        steps = script(faults, "get_expiring", keys, lambda: self.inner.get_expiring_async(keys))
        result: dict[str, bytes] = await perform_async(steps)
        return result

    async def set_expiring_async(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        faults = self.plan.meet("set_expiring", items)
        steps = script(faults, "set_expiring", list(items), lambda: self.inner.set_expiring_async(items, ttl_seconds))
        await perform_async(steps)


class MeteredIndexCache(Meter):
    """A cache that counts; each call counts once for each of its keys."""

    def __init__(self, inner: AnyIndexCache) -> None:
        super().__init__()
        self.inner = inner

    def get_many(self, keys: Iterable[str], /) -> dict[str, bytes]:
        keys = list(keys)
        self.count("get_many", keys)
        return self._read(self.inner.get_many(keys))

    def set_many(self, items: Mapping[str, bytes], /) -> None:
        self.count("set_many", items)
        self.inner.set_many(items)
        self.add_bytes(written=sum(map(len, items.values())))

    def delete_many(self, keys: Iterable[str], /) -> None:
        keys = list(keys)
        self.count("delete_many", keys)
        self.inner.delete_many(keys)

    async def get_many_async(self, keys: Iterable[str], /) -> dict[str, bytes]:
        keys = list(keys)
        self.count("get_many", keys)
        return self._read(await self.inner.get_many_async(keys))

    async def set_many_async(self, items: Mapping[str, bytes], /) -> None:
        self.count("set_many", items)
        await self.inner.set_many_async(items)
        self.add_bytes(written=sum(map(len, items.values())))

    async def delete_many_async(self, keys: Iterable[str], /) -> None:
        keys = list(keys)
        self.count("delete_many", keys)
        await self.inner.delete_many_async(keys)

    def get_expiring(self, keys: Iterable[str], /) -> dict[str, bytes]:
        keys = list(keys)
        self.count("get_expiring", keys)
        return self._read(self.inner.get_expiring(keys))

    def set_expiring(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        self.count("set_expiring", items)
        self.inner.set_expiring(items, ttl_seconds)
        self.add_bytes(written=sum(map(len, items.values())))

    async def get_expiring_async(self, keys: Iterable[str], /) -> dict[str, bytes]:
        keys = list(keys)
        self.count("get_expiring", keys)
        return self._read(await self.inner.get_expiring_async(keys))

    async def set_expiring_async(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        self.count("set_expiring", items)
        await self.inner.set_expiring_async(items, ttl_seconds)
        self.add_bytes(written=sum(map(len, items.values())))

    def _read(self, found: dict[str, bytes]) -> dict[str, bytes]:
        self.add_bytes(read=sum(map(len, found.values())))
        return found
