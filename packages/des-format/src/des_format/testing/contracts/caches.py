"""What an index cache promises."""

from __future__ import annotations

import pytest

from ...ports.caches import AsyncIndexCache, IndexCache

__all__ = ["AsyncIndexCacheContract", "IndexCacheContract"]


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
