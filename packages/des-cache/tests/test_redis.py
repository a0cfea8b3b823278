"""The cache in Redis: bytes, time, damage, and a server that is down, slow, full or someone else's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from des_cache import AsyncRedisIndexCache, RedisIndexCache
from des_cache.breaker import Breaker
from des_cache.redispool import quick_client
from des_format.errors import ConfigurationError, UnavailableError
from redis.backoff import NoBackoff
from redis.retry import Retry

from .clock import Clock
from .server import Server

EVERY_BYTE = bytes(range(256)) * 16
PATIENCE = 20.0  # a busy machine is not a failure


@pytest.fixture
def cache(client: Any, clock: Clock) -> Iterator[RedisIndexCache]:
    cache = RedisIndexCache(client, timeout_seconds=PATIENCE, clock=clock)
    yield cache
    cache.close()


@pytest.fixture
def raw(server: Server) -> Iterator[Any]:
    """A client for what the cache itself would not do."""
    with redis.Redis(port=server.port) as client:
        yield client


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are accepted and never answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield listener.getsockname()[1]


def test_the_published_methods_do_as_published(cache: RedisIndexCache, raw: Any) -> None:
    cache.set("a", EVERY_BYTE)
    cache.set("b", b"", ttl=60)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (EVERY_BYTE, b"", None)
    assert raw.pttl("des:index:a") == -1
    assert 59_000 < raw.pttl("des:index:b") <= 60_000
    cache.delete("a")
    assert cache.get("a") is None
    assert cache.get_stats() == {"hits": 2, "misses": 2, "errors": 0}


def test_what_one_client_keeps_another_reads_however_it_decodes(server: Server) -> None:
    import valkey  # It comes with the server.

    clients: list[Any] = [
        redis.Redis(port=server.port),
        redis.Redis(port=server.port, decode_responses=True),
        redis.Redis(port=server.port, decode_responses=True, protocol=2, encoding="latin-1"),
        valkey.Valkey(port=server.port, decode_responses=True),
    ]
    for timeout in (None, PATIENCE):
        caches = [RedisIndexCache(client, timeout_seconds=timeout) for client in clients]
        for number, writer in enumerate(caches):
            items = {f"ключ/{number}/{timeout}": EVERY_BYTE, "empty": b""}
            writer.set_many(items)
            assert [reader.get_many(items) for reader in caches] == [items] * len(caches)
            assert sum(reader.get_stats()["errors"] for reader in caches) == 0
        for cache in caches:
            cache.close()
    for client in clients:
        client.close()


def test_the_default_time_is_the_servers_to_keep(client: Any, raw: Any) -> None:
    cache = RedisIndexCache(client, "x:", 90, timeout_seconds=PATIENCE)
    cache.set_many({"a": b"1", "b": b"2"})
    assert all(89_000 < raw.pttl(name) <= 90_000 for name in ("x:a", "x:b"))
    cache.set("a", b"3", ttl=-1)
    assert raw.pttl("x:a") < 2
    cache.close()


def test_many_and_large_values_go_in_parts(cache: RedisIndexCache) -> None:
    items = {f"k{number}": bytes([number % 256]) * 5000 for number in range(1200)} | {"large": bytes(6 << 20)}
    cache.set_many(items)
    assert cache.get_many(items) == items
    cache.delete_many(items)
    assert cache.get_many(items) == {}
    assert cache.get_stats()["errors"] == 0


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign", "swap"])
def test_a_damaged_value_was_not_there_and_is_removed(cache: RedisIndexCache, raw: Any, damage: str) -> None:
    cache.set_many({"a": b"value of a", "b": b"value of b"})
    data = bytearray(raw.get("des:index:a"))
    if damage == "flip":
        data[2] ^= 1
    broken = {"cut": bytes(data[:-1]), "empty": b"", "foreign": b'["json"]', "swap": raw.get("des:index:b")}
    raw.set("des:index:a", broken.get(damage, bytes(data)))
    assert cache.get_many(["a", "b"]) == {"b": b"value of b"}
    assert raw.exists("des:index:a") == 0
    assert cache.get_stats()["errors"] == 1


def test_a_value_of_another_type_fails_no_read(cache: RedisIndexCache, raw: Any) -> None:
    cache.set("b", b"1")
    raw.rpush("des:index:a", "x")
    assert cache.get_many(["a", "b"]) == {"b": b"1"}


def test_clear_removes_what_has_the_prefix_and_nothing_else(client: Any, raw: Any) -> None:
    cache = RedisIndexCache(client, "des[1]*:", timeout_seconds=PATIENCE)
    others = ["des1x:a", "des[1]", "des[1]y:a", "other"]
    for name in others:
        raw.set(name, "kept")
    cache.set_many({f"k{number}": b"" for number in range(2500)})
    cache.clear()
    assert sorted(name.decode() for name in raw.scan_iter()) == sorted(others)
    cache.clear()
    cache.close()


def test_a_server_that_dies_and_comes_back(cache: RedisIndexCache, server: Server, clock: Clock) -> None:
    cache.set_many({"a": b"1"})
    assert cache.get("a") == b"1"
    server.kill()
    for _ in range(5):
        assert cache.get_many(["a", "b"]) == {}
        cache.set_many({"a": b"2", "b": b"3"})
    assert cache.is_short_circuited
    with pytest.raises(UnavailableError):
        cache.delete_many(["a"])
    with pytest.raises(UnavailableError):
        cache.clear()
    server.start()
    assert cache.get("a") is None
    clock.advance(5)
    cache.set_many({"a": b"4"})
    assert not cache.is_short_circuited
    assert cache.get("a") == b"4"


def test_a_server_that_was_restarted_meanwhile_is_used_at_once(cache: RedisIndexCache, server: Server) -> None:
    cache.set_many({"a": b"1"})
    server.kill()
    server.start()
    assert cache.get_many(["a"]) == {}
    cache.set_many({"a": b"2"})
    assert cache.get("a") == b"2"
    assert cache.get_stats()["errors"] <= 1


def test_a_dead_server_costs_three_timeouts_and_then_one_now_and_then(silent_port: int, clock: Clock) -> None:
    client = redis.Redis(port=silent_port)
    cache = RedisIndexCache(client, timeout_seconds=0.01, retry_seconds=30, clock=clock)
    for _ in range(50):
        assert cache.get("a") is None
        cache.set("a", b"1")
    assert cache.get_stats() == {"hits": 0, "misses": 50, "errors": 3}
    clock.advance(29)
    assert cache.get("a") is None
    clock.advance(1)
    for _ in range(50):
        assert cache.get("a") is None
    assert cache.get_stats()["errors"] == 4
    cache.close()
    client.close()


def test_the_patience_of_the_client_is_not_ours(silent_port: int) -> None:
    """By its own settings the client would wait for 5 minutes in all."""
    with redis.Redis(port=silent_port, socket_timeout=60, retry=Retry(NoBackoff(), 4)) as client:
        cache = RedisIndexCache(client, timeout_seconds=0.01)
        assert cache.get("a") is None
        cache.close()


def test_a_full_server_still_answers(cache: RedisIndexCache, server: Server, raw: Any, clock: Clock) -> None:
    cache.set("a", b"1")
    raw.config_set("maxmemory", 1)
    for number in range(10):
        cache.set_many({"b": b"2", "c": b"3"})
        assert cache.get_many(["a", "b"]) == {"a": b"1"}, number
    assert not cache.is_short_circuited
    # Three refused pairs; the rest was not sent.
    assert cache.get_stats()["errors"] == 6
    cache.delete("a")
    assert cache.get("a") is None
    raw.config_set("maxmemory", 0)
    clock.advance(5)
    cache.set("b", b"2")
    assert cache.get("b") == b"2"


def test_a_login_that_is_refused_fails_no_read(server: Server) -> None:
    with redis.Redis(port=server.port, username="nobody", password="secret") as client:
        cache = RedisIndexCache(client, timeout_seconds=PATIENCE)
        cache.set("a", b"1")
        assert cache.get("a") is None
        assert cache.get_stats()["errors"] == 2
        with pytest.raises(UnavailableError) as raised:
            cache.delete("a")
        assert "secret" not in str(raised.value)
        cache.close()


def test_a_client_of_another_kind_is_used_as_it_is(server: Server) -> None:
    class Pool(redis.ConnectionPool):
        pass

    with redis.Redis(connection_pool=Pool(port=server.port, decode_responses=True)) as client:
        cache = RedisIndexCache(client, timeout_seconds=PATIENCE)
        cache.set_many({"a": EVERY_BYTE, "b": b""})
        assert cache.get_many(["a", "b"]) == {"a": EVERY_BYTE, "b": b""}
        cache.close()
        client.connection_pool.disconnect()


def test_connections_of_another_kind_are_used_as_they_are() -> None:
    class Connection:
        pass

    client = redis.Redis(connection_pool=redis.ConnectionPool(connection_class=Connection))
    assert quick_client(client, 1.0) is None
    assert quick_client(object(), 1.0) is None


def test_answers_that_make_no_sense_fail_no_read() -> None:
    class Odd:
        def execute_command(self, *command: Any, **options: Any) -> Any:
            return "text" if command[0] == "DEL" else ["text", None]

    cache = RedisIndexCache(Odd())
    assert cache.get_many(["a", "b"]) == {}


def test_a_defect_is_not_hidden() -> None:
    with pytest.raises(AttributeError):
        RedisIndexCache(object()).get("a")


@pytest.mark.parametrize("name", ["default_ttl", "timeout_seconds", "retry_seconds"])
def test_a_time_must_be_positive(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        RedisIndexCache(None, **{name: 0})  # type: ignore[arg-type]


async def test_the_asynchronous_cache_does_the_same(async_client: Any, raw: Any, server: Server) -> None:
    cache = AsyncRedisIndexCache(async_client, default_ttl=60, timeout_seconds=PATIENCE)
    await cache.set_async("a", EVERY_BYTE)
    await cache.set_async("b", b"", ttl=5)
    assert (await cache.get_async("a"), await cache.get_async("b")) == (EVERY_BYTE, b"")
    assert 0 < raw.pttl("des:index:b") <= 5000
    await cache.delete_async("a")
    assert await cache.get_async("a") is None
    raw.set("des:index:b", b"damaged")
    raw.set("other", b"kept")
    assert await cache.get_async("b") is None
    await cache.set_many_async({f"k{number}": b"x" for number in range(1100)})
    assert len(await cache.get_many_async(f"k{number}" for number in range(1100))) == 1100
    await cache.clear_async()
    assert list(raw.scan_iter()) == [b"other"]
    server.kill()
    for _ in range(5):
        assert await cache.get_many_async(["a", "b"]) == {}
        await cache.set_many_async({"a": b"1", "b": b"2"})
    assert cache.is_short_circuited
    with pytest.raises(UnavailableError):
        await cache.clear_async()
    await cache.close_async()


async def test_a_cancelled_read_leaves_the_cache_in_order(async_client: Any) -> None:
    cache = AsyncRedisIndexCache(async_client, timeout_seconds=PATIENCE)
    await cache.set_many_async({f"k{number}": f"v{number}".encode() for number in range(50)})
    reads = [asyncio.create_task(cache.get_async(f"k{number}")) for number in range(50)]
    await asyncio.sleep(0)
    for read in reads[::2]:
        read.cancel()
    results = await asyncio.gather(*reads, return_exceptions=True)
    assert results[1::2] == [f"v{number}".encode() for number in range(1, 50, 2)]
    assert await cache.get_async("k0") == b"v0"
    await cache.close_async()


async def test_a_hanging_server_does_not_hang_the_asynchronous_cache(silent_port: int, clock: Clock) -> None:
    async with redis.asyncio.Redis(port=silent_port) as client:
        cache = AsyncRedisIndexCache(client, timeout_seconds=0.01, clock=clock)
        for _ in range(20):
            assert await cache.get_async("a") is None
        assert cache.get_stats()["errors"] == 3
        await cache.close_async()


def test_one_of_several_gets_the_next_attempt(clock: Clock) -> None:
    breaker = Breaker(2, 10, clock=clock)
    breaker.failed()
    assert breaker.allows()
    breaker.failed()
    assert (breaker.is_open, breaker.allows()) == (True, False)
    clock.advance(10)
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert [breaker.allows() for _ in range(3)] == [True, True, True]
