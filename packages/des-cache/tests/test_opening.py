"""Caches by URL: what is understood, and what is refused without telling a password."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from des_cache import (
    AsyncRedisIndexCache,
    CacheMetrics,
    DiskIndexCache,
    InMemoryIndexCache,
    RedisIndexCache,
    TieredCache,
    open_async_cache,
    open_cache,
)
from des_format.errors import ConfigurationError
from des_format.ports.opening import open_async_index_cache, open_index_cache
from prometheus_client import CollectorRegistry


def connection_of(cache: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = cache._client.connection_pool.connection_kwargs
    return arguments


def test_memory() -> None:
    cache = open_cache("memory://?max_bytes=2MiB&max_size=7&ttl=1.5")
    assert isinstance(cache, InMemoryIndexCache)
    assert (cache.max_bytes, cache.max_size, cache.default_ttl) == (2 << 20, 7, 1.5)
    default = open_cache("MEMORY://")
    assert isinstance(default, InMemoryIndexCache)
    assert (default.max_bytes, default.max_size, default.default_ttl) == (256 << 20, None, None)


def test_disk(tmp_path: Path) -> None:
    cache = open_cache(f"{(tmp_path / 'größe, 3').as_uri()}?max_bytes=10GiB")
    assert isinstance(cache, DiskIndexCache)
    assert (cache.folder, cache.max_bytes) == (tmp_path / "größe, 3", 10 << 30)


def test_redis() -> None:
    cache = open_cache("redis://user:p%40ss,word@example.org:7000/3?prefix=a,b:&ttl=60&timeout=0.5&retry=9")
    assert isinstance(cache, RedisIndexCache)
    assert (cache._commands.key_prefix, cache._commands.default_ttl) == ("a,b:", 60)
    expected = {"host": "example.org", "port": 7000, "db": 3, "username": "user", "password": "p@ss,word"}
    arguments = connection_of(cache)
    assert {name: arguments[name] for name in expected} == expected
    assert arguments["socket_timeout"] == arguments["socket_connect_timeout"] == 0.5
    local = connection_of(open_cache("redis://"))
    assert (local["host"], local["port"], local["db"], local["password"]) == ("localhost", 6379, 0, None)


def test_redis_with_tls() -> None:
    cache = open_async_cache("rediss://[::1]:1?ssl_ca_certs=/etc/ca.pem&ssl_check_hostname=false")
    assert isinstance(cache, AsyncRedisIndexCache)
    arguments = connection_of(cache)
    assert (arguments["host"], arguments["ssl_ca_certs"], arguments["ssl_check_hostname"]) == (
        "::1",
        "/etc/ca.pem",
        False,
    )
    assert cache._client.connection_pool.connection_class.__name__ == "SSLConnection"


def test_several_are_tiers(tmp_path: Path) -> None:
    url = f"memory://?ttl=60,{tmp_path.as_uri()}, redis://:a,b@host"
    cache, asynchronous = open_cache(url), open_async_cache(url)
    assert isinstance(cache, TieredCache)
    assert isinstance(asynchronous, TieredCache)
    assert [type(tier) for tier in cache.tiers] == [InMemoryIndexCache, DiskIndexCache, RedisIndexCache]
    assert [type(tier) for tier in asynchronous.tiers] == [InMemoryIndexCache, DiskIndexCache, AsyncRedisIndexCache]
    assert connection_of(cache.tiers[2])["password"] == "a,b"


def test_one_asynchronous_cache_is_itself() -> None:
    assert isinstance(open_async_cache("memory://"), InMemoryIndexCache)


async def test_whatever_was_opened_can_be_closed(tmp_path: Path) -> None:
    for url in ("memory://", tmp_path.as_uri(), "redis://host", f"memory://,{tmp_path.as_uri()},redis://host"):
        open_cache(url).close()
        await open_cache(url).close_async()
        await open_async_cache(url).close_async()


def test_entry_points_open_the_same(tmp_path: Path) -> None:
    assert isinstance(open_index_cache(tmp_path.as_uri()), DiskIndexCache)
    assert isinstance(open_index_cache("redis://host"), RedisIndexCache)
    assert isinstance(open_index_cache("rediss://host"), RedisIndexCache)
    assert isinstance(open_async_index_cache("redis://host"), AsyncRedisIndexCache)


def test_an_entry_point_opens_tiers_and_registers_their_metrics(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    cache = open_async_index_cache(f"memory://,{tmp_path.as_uri()}", registry=registry)
    assert isinstance(cache, TieredCache)
    assert cache.get_many(["absent"]) == {}
    assert registry.get_sample_value("des_cache_misses_total", {"tier": "memory"}) == 1


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("", "scheme"),
        ("memory", "scheme"),
        ("other://", "other"),
        ("memory://?max_bytes=many", "max_bytes is 'many'"),
        ("memory://?max_bytes=-1", "max_bytes"),
        ("memory://?max_size=1.5", "max_size"),
        ("memory://?ttl=0", "ttl"),
        ("memory://?ttl=nan", "ttl"),
        ("memory://?ttl=", "ttl"),
        ("memory://?ttl=1&ttl=2", "twice"),
        ("memory://?bytes=1", "'bytes' means nothing here; expected max_bytes, max_size, ttl"),
        ("memory://name", "no name"),
        ("memory://#x", "%23"),
        ("file://host/folder", "absolute path"),
        ("file:///", "absolute path"),
        ("file:///tmp/x?ttl=1", "'ttl'"),
        ("redis://:secret@host:port/0", "port"),
        ("redis://:secret@host/zero", "database"),
        ("redis://:secret@host?ttl=-1", "ttl"),
        ("redis://:secret@host?timeout=soon", "timeout"),
        ("redis://:secret@host?password=secret", "'password'"),
        ("redis://:secret@host?ssl_ca_certs=x", "'ssl_ca_certs'"),
        ("rediss://:secret@host?ssl_secret_knob=x", "ssl_secret_knob"),
        ("redis://:secret@[host", "URL"),
        ("memory://?ttl=1,redis://:secret@host?tl=1", "'tl'"),
    ],
)
def test_a_mistake_is_named_and_a_password_is_not(url: str, named: str) -> None:
    for opener in (open_cache, open_async_cache):
        with pytest.raises(ConfigurationError) as raised:
            opener(url)
        error: BaseException | None = raised.value
        assert named in str(error)
        while error is not None:
            assert ":secret" not in f"{error}"
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_without_redis_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigurationError, match=r"des-cache\[redis\]"):
        open_cache("redis://host")


def test_metrics_are_passed_on(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    cache = open_cache(f"memory://,{tmp_path.as_uri()}", metrics=CacheMetrics(registry))
    cache.get_many(["a"])
    assert [registry.get_sample_value("des_cache_misses_total", {"tier": tier}) for tier in ("memory", "disk")] == [
        1,
        1,
    ]
