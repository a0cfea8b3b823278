"""Every cache keeps the promises of the ports it has, alone and in tiers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from des_cache import (
    AsyncRedisIndexCache,
    DiskIndexCache,
    InMemoryIndexCache,
    RedisIndexCache,
    TieredCache,
    open_async_cache,
    open_cache,
)
from des_format.caches import MemoryIndexCache
from des_format.ports.caches import AsyncIndexCache, IndexCache
from des_format.testing.contracts import AsyncIndexCacheContract, IndexCacheContract


class OnlySync:
    """A cache with the methods of one port."""

    def __init__(self) -> None:
        inner = MemoryIndexCache()
        self.get_many, self.set_many, self.delete_many = inner.get_many, inner.set_many, inner.delete_many


class OnlyAsync:
    def __init__(self) -> None:
        inner = MemoryIndexCache()
        self.get_many_async, self.set_many_async = inner.get_many_async, inner.set_many_async
        self.delete_many_async = inner.delete_many_async


LOCAL: dict[str, Callable[[Path], Any]] = {
    "memory": lambda _: InMemoryIndexCache(),
    "memory-bounded": lambda _: InMemoryIndexCache(1000, 60, max_bytes=2 << 20),
    "disk": DiskIndexCache,
    "disk-small": lambda folder: DiskIndexCache(folder, 2 << 20),
    "one-tier": lambda _: TieredCache(InMemoryIndexCache()),
    "memory-disk": lambda folder: TieredCache(InMemoryIndexCache(), DiskIndexCache(folder)),
    "full-disk": lambda folder: TieredCache(InMemoryIndexCache(max_bytes=0), DiskIndexCache(folder)),
    "memory-sync": lambda _: TieredCache(InMemoryIndexCache(), OnlySync()),
    "nested": lambda folder: TieredCache(TieredCache(OnlySync(), OnlySync()), DiskIndexCache(folder)),
    "by-url": lambda folder: open_cache(f"memory://?max_bytes=2MiB,{folder.as_uri()}?max_bytes=2MiB"),
}


@pytest.fixture(params=LOCAL)
def local_cache(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return LOCAL[request.param](tmp_path)


class TestLocalCaches(IndexCacheContract):
    @pytest.fixture
    def cache(self, local_cache: Any) -> IndexCache:
        return local_cache  # type: ignore[no-any-return]


class TestLocalCachesAsync(AsyncIndexCacheContract):
    @pytest.fixture
    def cache(self, local_cache: Any) -> AsyncIndexCache:
        return local_cache  # type: ignore[no-any-return]


class TestRedis(IndexCacheContract):
    @pytest.fixture
    def cache(self, client: Any) -> Iterator[IndexCache]:
        cache = RedisIndexCache(client, timeout_seconds=20)
        yield cache
        cache.close()


class TestRedisInThreads(AsyncIndexCacheContract):
    @pytest.fixture
    def cache(self, client: Any) -> Iterator[AsyncIndexCache]:
        cache = RedisIndexCache(client, timeout_seconds=20)
        yield cache
        cache.close()


class TestRedisWithTheClientAsItIs(IndexCacheContract):
    @pytest.fixture
    def cache(self, client: Any) -> IndexCache:
        return RedisIndexCache(client, timeout_seconds=None)


class TestAsyncRedis(AsyncIndexCacheContract):
    @pytest.fixture
    async def cache(self, async_client: Any) -> AsyncIterator[AsyncIndexCache]:
        cache = AsyncRedisIndexCache(async_client, default_ttl=60, timeout_seconds=20)
        yield cache
        await cache.close_async()


class TestAsyncRedisWithTheClientAsItIs(AsyncIndexCacheContract):
    @pytest.fixture
    def cache(self, async_client: Any) -> AsyncIndexCache:
        return AsyncRedisIndexCache(async_client, timeout_seconds=None)


class TestThreeTiers(IndexCacheContract):
    @pytest.fixture
    def cache(self, client: Any, tmp_path: Path) -> Iterator[IndexCache]:
        cache = TieredCache(InMemoryIndexCache(), DiskIndexCache(tmp_path), RedisIndexCache(client, timeout_seconds=20))
        yield cache
        cache.close()


class TestMixedTiers(AsyncIndexCacheContract):
    @pytest.fixture
    async def cache(self, async_client: Any, tmp_path: Path) -> AsyncIterator[AsyncIndexCache]:
        remote = AsyncRedisIndexCache(async_client, timeout_seconds=20)
        cache = TieredCache(InMemoryIndexCache(), DiskIndexCache(tmp_path), OnlySync(), OnlyAsync(), remote)
        yield cache
        await cache.close_async()


class TestAsyncByUrl(AsyncIndexCacheContract):
    @pytest.fixture
    async def cache(self, server: Any) -> AsyncIterator[AsyncIndexCache]:
        cache = open_async_cache(f"memory://,redis://127.0.0.1:{server.port}/1?prefix=x:&timeout=20")
        assert isinstance(cache, TieredCache)
        yield cache
        await cache.close_async()
