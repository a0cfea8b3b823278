"""Tiers: who is asked, what is copied, and what a tier that fails does not do."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from des_cache import DiskIndexCache, InMemoryIndexCache, TieredCache
from des_format.caches import MemoryIndexCache
from des_format.errors import ConfigurationError, UnavailableError, UnsupportedOperationError
from des_format.testing import FaultyIndexCache, MeteredIndexCache, Plan, fail_before

from .clock import Clock
from .test_contracts import OnlyAsync, OnlySync


class Driven:
    """A tiered cache, driven by one or the other kind of methods."""

    def __init__(self, cache: TieredCache, *, asynchronous: bool) -> None:
        self.cache = cache
        self.asynchronous = asynchronous

    async def get(self, *keys: str) -> dict[str, bytes]:
        return await self.cache.get_many_async(keys) if self.asynchronous else self.cache.get_many(keys)

    async def set(self, items: Mapping[str, bytes]) -> None:
        await self.cache.set_many_async(items) if self.asynchronous else self.cache.set_many(items)

    async def delete(self, *keys: str) -> None:
        await self.cache.delete_many_async(keys) if self.asynchronous else self.cache.delete_many(keys)


@pytest.fixture(params=["sync", "async"])
def tiered(request: pytest.FixtureRequest) -> Any:
    return lambda *tiers: Driven(TieredCache(*tiers), asynchronous=request.param == "async")


def metered() -> MeteredIndexCache:
    return MeteredIndexCache(MemoryIndexCache())


async def test_a_tier_is_asked_for_what_those_before_it_do_not_have(tiered: Any) -> None:
    tiers = [metered(), metered(), metered()]
    tiers[0].inner.set_many({"a": b"1"})
    tiers[1].inner.set_many({"b": b""})
    tiers[2].inner.set_many({"c": b"3"})
    assert await tiered(*tiers).get("a", "b", "b", "c", "d") == {"a": b"1", "b": b"", "c": b"3"}
    asked = [[key for operation, key in tier.calls if operation == "get_many"] for tier in tiers]
    assert asked == [["a", "b", "c", "d"], ["b", "c", "d"], ["c", "d"]]


async def test_what_a_later_tier_has_is_copied_into_those_before_it(tiered: Any) -> None:
    tiers = [metered(), metered(), metered()]
    tiers[1].inner.set_many({"b": b""})
    tiers[2].inner.set_many({"c": b"3"})
    cache = tiered(*tiers)
    await cache.get("b", "c")
    copied = [[key for operation, key in tier.calls if operation == "set_many"] for tier in tiers]
    assert copied == [["b", "c"], ["c"], []]
    for tier in tiers:
        tier.reset()
    assert await cache.get("b", "c") == {"b": b"", "c": b"3"}
    assert [tier.request_count for tier in tiers] == [2, 0, 0]


async def test_a_copy_has_the_time_of_its_own_tier(tiered: Any, clock: Clock) -> None:
    fast, slow = InMemoryIndexCache(default_ttl=10, clock=clock), InMemoryIndexCache()
    cache = tiered(fast, slow)
    await cache.set({"a": b"1"})
    clock.advance(11)
    assert fast.get("a") is None
    assert await cache.get("a") == {"a": b"1"}
    assert fast.get("a") == b"1"


@pytest.mark.parametrize("broken", [0, 1, 2])
@pytest.mark.parametrize("error", [UnavailableError, OSError, RuntimeError])
async def test_a_broken_tier_fails_no_read_and_no_write(tiered: Any, broken: int, error: type[Exception]) -> None:
    plan = Plan(fail_before(None, error=error))
    tiers: list[Any] = [MemoryIndexCache() for _ in range(3)]
    tiers[broken] = FaultyIndexCache(tiers[broken], plan)
    cache = tiered(*tiers)
    await cache.set({"a": b"1"})
    assert await cache.get("a", "b") == {"a": b"1"}
    tiers[broken - 1].delete_many(["a"])
    assert await cache.get("a") == {"a": b"1"}
    assert cache.cache.get_stats()["tiers"][broken]["errors"] >= 2


async def test_a_delete_goes_through_all_tiers_and_tells_of_those_that_failed(tiered: Any) -> None:
    inner = MemoryIndexCache()
    plan = Plan(fail_before(1, operations={"delete_many"}))
    tiers: list[Any] = [MemoryIndexCache(), FaultyIndexCache(inner, plan), MemoryIndexCache()]
    cache = tiered(*tiers)
    await cache.set({"a": b"1"})
    with pytest.raises(UnavailableError, match="1 cached values were not deleted from: FaultyIndexCache") as raised:
        await cache.delete("a")
    assert isinstance(raised.value.__cause__, UnavailableError)
    assert (tiers[0].get_many(["a"]), inner.get_many(["a"]), tiers[2].get_many(["a"])) == ({}, {"a": b"1"}, {})
    await cache.delete("a")
    assert await cache.get("a") == {}


async def test_a_full_disk_behind_memory(tiered: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("des_cache.disk._create", full)
    cache = tiered(InMemoryIndexCache(), DiskIndexCache(tmp_path))
    await cache.set({"a": b"1"})
    assert await cache.get("a", "b") == {"a": b"1"}


async def test_what_was_not_asked_for_is_not_taken(tiered: Any) -> None:
    class Eager(OnlySync):
        def __init__(self) -> None:
            super().__init__()
            self.get_many = lambda keys: {"other": b"x"}

    fast = InMemoryIndexCache()
    assert await tiered(fast, Eager()).get("a") == {}
    assert fast.get("other") is None


async def test_a_defect_is_not_hidden(tiered: Any) -> None:
    with pytest.raises(TypeError):
        await tiered(InMemoryIndexCache()).set({"a": 5})
    with pytest.raises(TypeError):
        await tiered(FaultyIndexCache(MemoryIndexCache(), Plan(fail_before(error=TypeError)))).get("a")
    with pytest.raises(TypeError, match="neither port"):
        await TieredCache(object()).get_many_async(["a"])  # type: ignore[arg-type]


async def test_tiers_that_wait_run_in_threads_and_memory_does_not() -> None:
    threads: dict[str, int] = {}

    class Where:
        def __init__(self, name: str, inner: Any) -> None:
            self.name, self.inner = name, inner

        def get_many(self, keys: Iterable[str], /) -> dict[str, bytes]:
            threads[self.name] = threading.get_ident()
            found: dict[str, bytes] = self.inner.get_many(keys)
            return found

        def set_many(self, items: Mapping[str, bytes], /) -> None: ...

        def delete_many(self, keys: Iterable[str], /) -> None: ...

    class WhereInline(Where, InMemoryIndexCache):
        def __init__(self) -> None:
            InMemoryIndexCache.__init__(self)
            Where.__init__(self, "memory", InMemoryIndexCache())

    cache = TieredCache(WhereInline(), Where("foreign", MemoryIndexCache()), OnlyAsync())
    assert await cache.get_many_async(["a"]) == {}
    assert threads["memory"] == threading.get_ident() != threads["foreign"]


def test_an_asynchronous_tier_cannot_be_used_synchronously() -> None:
    with pytest.raises(UnsupportedOperationError, match="OnlyAsync"):
        TieredCache(InMemoryIndexCache(), OnlyAsync()).get_many(["a"])


def test_there_must_be_a_tier() -> None:
    with pytest.raises(ConfigurationError):
        TieredCache()


def test_clear_and_stats_are_those_of_the_tiers(tmp_path: Path) -> None:
    cache = TieredCache(InMemoryIndexCache(), OnlySync(), DiskIndexCache(tmp_path))
    cache.set_many({"a": b"1"})
    assert [(stats["tier"], stats.get("entries")) for stats in cache.get_stats()["tiers"]] == [
        ("memory", 1),
        ("OnlySync", None),
        ("disk", 1),
    ]
    cache.clear()
    assert [stats.get("entries") for stats in cache.get_stats()["tiers"]] == [0, None, 0]


def test_a_clear_that_failed_is_told(tmp_path: Path) -> None:
    disk = DiskIndexCache(tmp_path)
    cache = TieredCache(InMemoryIndexCache(), disk)
    cache.set_many({"a": b"1"})
    path = disk._path("a")
    path.unlink()
    path.mkdir()
    with pytest.raises(UnavailableError, match="1 of 2"):
        cache.clear()
    assert cache.get_stats()["tiers"][0]["entries"] == 0


async def test_closing_closes_what_can_be_closed() -> None:
    closed = []

    class Closing(OnlySync):
        def close(self) -> None:
            closed.append("sync")

    class ClosingAsync(OnlyAsync):
        async def close_async(self) -> None:
            closed.append("async")

    TieredCache(InMemoryIndexCache(), Closing()).close()
    await TieredCache(Closing(), ClosingAsync(), OnlySync()).close_async()
    assert closed == ["sync", "sync", "async"]
