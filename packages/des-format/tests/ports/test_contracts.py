"""The adapters in memory keep the promises of their ports, also behind the wrappers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from des_format.caches import MemoryIndexCache
from des_format.ports.caches import AsyncIndexCache, IndexCache
from des_format.ports.metadata import Metadata
from des_format.testing import (
    FaultyIndexCache,
    FaultyMetadata,
    MemoryMetadata,
    MeteredIndexCache,
    MeteredMetadata,
)
from des_format.testing.contracts import (
    AsyncExpiresContract,
    AsyncIndexCacheContract,
    ClaimsContract,
    ContainersContract,
    ExpiresContract,
    IndexCacheContract,
    LeasesContract,
)


class TestMemoryIndexCache(IndexCacheContract, ExpiresContract):
    @pytest.fixture(params=[lambda inner: inner, FaultyIndexCache, MeteredIndexCache])
    def cache(self, request: pytest.FixtureRequest) -> Any:
        cache: IndexCache = request.param(MemoryIndexCache(1 << 20))
        return cache


class TestMemoryIndexCacheAsync(AsyncIndexCacheContract, AsyncExpiresContract):
    @pytest.fixture(params=[lambda inner: inner, FaultyIndexCache, MeteredIndexCache])
    def cache(self, request: pytest.FixtureRequest) -> Any:
        cache: AsyncIndexCache = request.param(MemoryIndexCache(1 << 20))
        return cache


class _InMemory:
    @pytest.fixture
    def clock(self) -> list[datetime]:
        return [datetime(2025, 11, 25, tzinfo=UTC)]

    @pytest.fixture(params=[lambda inner: inner, FaultyMetadata, MeteredMetadata])
    def metadata(self, request: pytest.FixtureRequest, clock: list[datetime]) -> Metadata:
        metadata: Metadata = request.param(MemoryMetadata(lambda: clock[0]))
        return metadata

    @pytest.fixture
    def pass_time(self, clock: list[datetime]) -> Callable[[float], Awaitable[None]]:
        async def pass_time(seconds: float) -> None:
            clock[0] += timedelta(seconds=seconds)

        return pass_time


class TestMemoryLeases(_InMemory, LeasesContract):
    pass


class TestMemoryClaims(_InMemory, ClaimsContract):
    pass


class TestMemoryContainers(_InMemory, ContainersContract):
    pass
