"""What an index cache promises."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

import pytest

from ...ports.caches import AsyncExpires, AsyncIndexCache, Expires, IndexCache

__all__ = ["AsyncExpiresContract", "AsyncIndexCacheContract", "ExpiresContract", "IndexCacheContract"]

_SHORT_SECONDS = 0.02
_LONG_SECONDS = 3600.0
_ATTEMPT_COUNT = 1000


class IndexCacheContract:
    """Promises of `des_format.ports.caches.IndexCache`; override `cache`, which must hold at least 1 MiB."""

    @pytest.fixture
    def cache(self) -> IndexCache:
        """An empty cache."""
        raise NotImplementedError("override the fixture `cache`")

    def test_what_was_set_is_returned(self, cache: IndexCache) -> None:
        items = {"a": b"1", "b": b"", "größe/ 3": bytes(range(256)) * 100}
        cache.set_many(items)
        assert cache.get_many([*items, "missing"]) == items
        assert cache.get_many(iter(["a"])) == {"a": b"1"}

    def test_an_empty_call_is_nothing(self, cache: IndexCache) -> None:
        cache.set_many({})
        cache.delete_many([])
        assert cache.get_many([]) == {}

    def test_a_value_is_replaced(self, cache: IndexCache) -> None:
        cache.set_many({"a": b"1"})
        cache.set_many({"a": b"22"})
        assert cache.get_many(["a"]) == {"a": b"22"}

    def test_a_deleted_key_is_gone(self, cache: IndexCache) -> None:
        cache.set_many({"a": b"1", "b": b"2"})
        cache.delete_many(["a", "missing"])
        assert cache.get_many(["a", "b"]) == {"b": b"2"}


class AsyncIndexCacheContract:
    """The same promises of `AsyncIndexCache`; override `cache`."""

    @pytest.fixture
    def cache(self) -> AsyncIndexCache:
        """An empty cache."""
        raise NotImplementedError("override the fixture `cache`")

    async def test_what_was_set_is_returned(self, cache: AsyncIndexCache) -> None:
        items = {"a": b"1", "b": b"", "größe/ 3": bytes(range(256)) * 100}
        await cache.set_many_async(items)
        assert await cache.get_many_async([*items, "missing"]) == items
        assert await cache.get_many_async(iter(["a"])) == {"a": b"1"}

    async def test_an_empty_call_is_nothing(self, cache: AsyncIndexCache) -> None:
        await cache.set_many_async({})
        await cache.delete_many_async([])
        assert await cache.get_many_async([]) == {}

    async def test_a_value_is_replaced(self, cache: AsyncIndexCache) -> None:
        await cache.set_many_async({"a": b"1"})
        await cache.set_many_async({"a": b"22"})
        assert await cache.get_many_async(["a"]) == {"a": b"22"}

    async def test_a_deleted_key_is_gone(self, cache: AsyncIndexCache) -> None:
        await cache.set_many_async({"a": b"1", "b": b"2"})
        await cache.delete_many_async(["a", "missing"])
        assert await cache.get_many_async(["a", "b"]) == {"b": b"2"}


class _ExpiringCache(IndexCache, Expires, Protocol):
    """A cache that can let values go after a time."""


class ExpiresContract:
    """Promises of `des_format.ports.caches.Expires`; override `cache`, as for `IndexCacheContract`."""

    @pytest.fixture
    def cache(self) -> _ExpiringCache:
        """An empty cache."""
        raise NotImplementedError("override the fixture `cache`")

    def test_the_port_is_recognised(self, cache: _ExpiringCache) -> None:
        assert isinstance(cache, Expires)

    def test_a_value_with_a_time_is_returned_within_it(self, cache: _ExpiringCache) -> None:
        items = {"a": b"1", "b": b"", "größe/ 3": bytes(range(256)) * 100}
        cache.set_expiring(items, _LONG_SECONDS)
        assert cache.get_expiring([*items, "missing"]) == items
        assert cache.get_expiring(iter(["a"])) == {"a": b"1"}
        assert cache.get_expiring([]) == {}

    def test_a_value_is_gone_after_its_time(self, cache: _ExpiringCache) -> None:
        cache.set_expiring({"long": b"1"}, _LONG_SECONDS)
        cache.set_expiring({"short": b"2"}, _SHORT_SECONDS)
        for _ in range(_ATTEMPT_COUNT):
            if "short" not in cache.get_expiring(["short"]):
                break
            time.sleep(_SHORT_SECONDS)
        assert cache.get_expiring(["short", "long"]) == {"long": b"1"}

    def test_a_new_value_has_its_own_time(self, cache: _ExpiringCache) -> None:
        cache.set_expiring({"a": b"1"}, _SHORT_SECONDS)
        cache.set_expiring({"a": b"2"}, _LONG_SECONDS)
        time.sleep(2 * _SHORT_SECONDS)
        assert cache.get_expiring(["a"]) == {"a": b"2"}

    @pytest.mark.parametrize("seconds", [0.0, -1.0])
    def test_no_time_is_not_at_all(self, cache: _ExpiringCache, seconds: float) -> None:
        cache.set_expiring({"a": b"1"}, _LONG_SECONDS)
        cache.set_expiring({"a": b"2"}, seconds)
        assert cache.get_expiring(["a"]) == {}

    def test_a_deleted_key_is_gone(self, cache: _ExpiringCache) -> None:
        cache.set_expiring({"a": b"1", "b": b"2"}, _LONG_SECONDS)
        cache.delete_many(["a"])
        assert cache.get_expiring(["a", "b"]) == {"b": b"2"}


class _AsyncExpiringCache(AsyncIndexCache, AsyncExpires, Protocol):
    """A cache that can let values go after a time."""


class AsyncExpiresContract:
    """The same promises of `AsyncExpires`; override `cache`."""

    @pytest.fixture
    def cache(self) -> _AsyncExpiringCache:
        """An empty cache."""
        raise NotImplementedError("override the fixture `cache`")

    def test_the_port_is_recognised(self, cache: _AsyncExpiringCache) -> None:
        assert isinstance(cache, AsyncExpires)

    async def test_a_value_with_a_time_is_returned_within_it(self, cache: _AsyncExpiringCache) -> None:
        items = {"a": b"1", "b": b"", "größe/ 3": bytes(range(256)) * 100}
        await cache.set_expiring_async(items, _LONG_SECONDS)
        assert await cache.get_expiring_async([*items, "missing"]) == items
        assert await cache.get_expiring_async(iter(["a"])) == {"a": b"1"}
        assert await cache.get_expiring_async([]) == {}

    async def test_a_value_is_gone_after_its_time(self, cache: _AsyncExpiringCache) -> None:
        await cache.set_expiring_async({"long": b"1"}, _LONG_SECONDS)
        await cache.set_expiring_async({"short": b"2"}, _SHORT_SECONDS)
        for _ in range(_ATTEMPT_COUNT):
            if "short" not in await cache.get_expiring_async(["short"]):
                break
            await asyncio.sleep(_SHORT_SECONDS)
        assert await cache.get_expiring_async(["short", "long"]) == {"long": b"1"}

    async def test_no_time_is_not_at_all(self, cache: _AsyncExpiringCache) -> None:
        await cache.set_expiring_async({"a": b"1"}, _LONG_SECONDS)
        await cache.set_expiring_async({"a": b"2"}, 0.0)
        assert await cache.get_expiring_async(["a"]) == {}

    async def test_a_deleted_key_is_gone(self, cache: _AsyncExpiringCache) -> None:
        await cache.set_expiring_async({"a": b"1", "b": b"2"}, _LONG_SECONDS)
        await cache.delete_many_async(["a"])
        assert await cache.get_expiring_async(["a", "b"]) == {"b": b"2"}
