"""Loading through a cache."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from des_cache import AsyncCachedLoader, CachedLoader, InMemoryIndexCache
from des_format.caches import MemoryIndexCache
from des_format.errors import ConfigurationError, UnavailableError
from des_format.testing import FaultyIndexCache, Plan, fail_before

from .clock import Clock


class Origin:
    """Where values are; counts the loads."""

    def __init__(self, **values: bytes) -> None:
        self.values = values
        self.loaded: list[str] = []
        self.failure: Exception | None = None
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    def load(self, key: str) -> bytes | None:
        self.loaded.append(key)
        if self.failure is not None:
            raise self.failure
        return self.values.get(key)

    async def load_async(self, key: str) -> bytes | None:
        value = self.load(key)
        await asyncio.sleep(0)
        if self.meanwhile is not None:
            await self.meanwhile()
        return value


class Loading:
    """A loader, driven by one or the other kind of methods."""

    def __init__(self, origin: Origin, cache: Any, *more: Any, asynchronous: bool, **named: Any) -> None:
        self.sync = None if asynchronous else CachedLoader(cache, origin.load, *more, **named)
        self.aio = AsyncCachedLoader(cache, origin.load_async, *more, **named) if asynchronous else None

    async def get(self, key: str) -> bytes | None:
        return await self.aio.get_async(key) if self.aio else self.sync.get(key)  # type: ignore[union-attr]

    async def forget(self, *keys: str) -> None:
        await self.aio.forget_async(keys) if self.aio else self.sync.forget(keys)  # type: ignore[union-attr]


@pytest.fixture(params=["sync", "async"])
def loading(request: pytest.FixtureRequest) -> Any:
    return lambda *arguments, **more: Loading(*arguments, asynchronous=request.param == "async", **more)


async def test_a_value_is_loaded_once_even_an_empty_one(loading: Any) -> None:
    origin = Origin(a=b"1", b=b"")
    loader = loading(origin, InMemoryIndexCache())
    assert [await loader.get(key) for key in "abab"] == [b"1", b"", b"1", b""]
    assert origin.loaded == ["a", "b"]


async def test_what_is_not_there_is_asked_for_again_after_a_short_time(loading: Any, clock: Clock) -> None:
    origin = Origin()
    loader = loading(origin, InMemoryIndexCache(), 2.0, clock=clock)
    assert [await loader.get("a") for _ in range(5)] == [None] * 5
    assert origin.loaded == ["a"]
    origin.values["a"] = b"1"
    clock.advance(2)
    assert await loader.get("a") == b"1"


async def test_without_negative_ttl_it_is_asked_for_each_time(loading: Any) -> None:
    origin = Origin()
    loader = loading(origin, InMemoryIndexCache(), None)
    assert [await loader.get("a") for _ in range(3)] == [None] * 3
    assert len(origin.loaded) == 3


async def test_an_error_is_not_kept(loading: Any) -> None:
    origin = Origin(a=b"1")
    origin.failure = UnavailableError("down")
    loader = loading(origin, InMemoryIndexCache())
    with pytest.raises(UnavailableError):
        await loader.get("a")
    origin.failure = None
    assert await loader.get("a") == b"1"


async def test_a_broken_cache_is_as_good_as_an_empty_one(loading: Any) -> None:
    origin = Origin(a=b"1")
    loader = loading(origin, FaultyIndexCache(MemoryIndexCache(), Plan(fail_before(None))))
    assert [await loader.get("a") for _ in range(2)] == [b"1", b"1"]
    assert len(origin.loaded) == 2
    with pytest.raises(UnavailableError):
        await loader.forget("a")


async def test_forget_forgets_values_and_that_there_were_none(loading: Any) -> None:
    origin = Origin(a=b"1")
    loader = loading(origin, InMemoryIndexCache(), 60)
    assert (await loader.get("a"), await loader.get("b")) == (b"1", None)
    origin.values.update(a=b"2", b=b"3")
    await loader.forget("a", "b")
    assert (await loader.get("a"), await loader.get("b")) == (b"2", b"3")


@pytest.mark.parametrize("old", [b"old", None])
async def test_a_load_that_began_before_forget_keeps_nothing(old: bytes | None) -> None:
    origin = Origin() if old is None else Origin(a=old)
    loader = AsyncCachedLoader(InMemoryIndexCache(), origin.load_async, 60)

    async def change() -> None:
        origin.meanwhile = None
        origin.values["a"] = b"new"
        await loader.forget_async(["a"])

    origin.meanwhile = change
    assert await loader.get_async("a") == old
    assert await loader.get_async("a") == b"new"


async def test_many_tasks_cause_one_load() -> None:
    origin = Origin(a=b"1")
    loader = AsyncCachedLoader(InMemoryIndexCache(), origin.load_async)
    keys = ["a", "missing"] * 50
    assert await asyncio.gather(*map(loader.get_async, keys)) == [b"1", None] * 50
    assert sorted(origin.loaded) == ["a", "missing"]


def test_many_threads_cause_one_load() -> None:
    origin = Origin(a=b"1")
    together = threading.Barrier(8)
    loader = CachedLoader(InMemoryIndexCache(), origin.load)

    def ask(_: int) -> list[bytes | None]:
        together.wait(30)
        return [loader.get(key) for key in ("a", "missing", "a")]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [[b"1", None, b"1"]] * 8
    assert sorted(origin.loaded) == ["a", "missing"]


def test_a_time_must_be_positive() -> None:
    with pytest.raises(ConfigurationError, match="negative_ttl"):
        CachedLoader(InMemoryIndexCache(), Origin().load, 0)
