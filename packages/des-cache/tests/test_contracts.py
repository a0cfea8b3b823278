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
from des_format.testing.contracts import (
    AsyncExpiresContract,
    AsyncIndexCacheContract,
    ExpiresContract,
    IndexCacheContract,
)


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


class TestLocalCaches(IndexCacheContract, ExpiresContract):
    @pytest.fixture
    def cache(self, local_cache: Any) -> Any:
        return local_cache


class TestLocalCachesAsync(AsyncIndexCacheContract, AsyncExpiresContract):
    @pytest.fixture
    def cache(self, local_cache: Any) -> Any:
        return local_cache


class TestRedis(IndexCacheContract, ExpiresContract):
    @pytest.fixture
    def cache(self, client: Any) -> Iterator[Any]:
        cache = RedisIndexCache(client, timeout_seconds=20)
        yield cache
        cache.close()


class TestRedisInThreads(AsyncIndexCacheContract, AsyncExpiresContract):
    @pytest.fixture
    def cache(self, client: Any) -> Iterator[Any]:
        cache = RedisIndexCache(client, timeout_seconds=20)
        yield cache
        cache.close()


class TestRedisWithTheClientAsItIs(IndexCacheContract, ExpiresContract):
    @pytest.fixture
    def cache(self, client: Any) -> Any:
        return RedisIndexCache(client, timeout_seconds=None)


class TestAsyncRedis(AsyncIndexCacheContract, AsyncExpiresContract):
    @pytest.fixture
    async def cache(self, async_client: Any) -> AsyncIterator[Any]:
        cache = AsyncRedisIndexCache(async_client, default_ttl=60, timeout_seconds=20)
        yield cache
        await cache.close_async()


class TestAsyncRedisWithTheClientAsItIs(AsyncIndexCacheContract, AsyncExpiresContract):
    @pytest.fixture
    def cache(self, async_client: Any) -> Any:
        return AsyncRedisIndexCache(async_client, timeout_seconds=None)


class TestThreeTiers(IndexCacheContract, ExpiresContract):
    @pytest.fixture
    def cache(self, client: Any, tmp_path: Path) -> Iterator[Any]:
        cache = TieredCache(InMemoryIndexCache(), DiskIndexCache(tmp_path), RedisIndexCache(client, timeout_seconds=20))
        yield cache
        cache.close()


class TestMixedTiers(AsyncIndexCacheContract, AsyncExpiresContract):
    @pytest.fixture
    async def cache(self, async_client: Any, tmp_path: Path) -> AsyncIterator[Any]:
        remote = AsyncRedisIndexCache(async_client, timeout_seconds=20)
        cache = TieredCache(InMemoryIndexCache(), DiskIndexCache(tmp_path), OnlySync(), OnlyAsync(), remote)
        yield cache
        await cache.close_async()


class TestAsyncByUrl(AsyncIndexCacheContract, AsyncExpiresContract):
    @pytest.fixture
    async def cache(self, server: Any) -> AsyncIterator[Any]:
        cache = open_async_cache(f"memory://,redis://127.0.0.1:{server.port}/1?prefix=x:&timeout=20")
        assert isinstance(cache, TieredCache)
        yield cache
        await cache.close_async()
