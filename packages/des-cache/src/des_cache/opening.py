"""Caches by URL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import unquote
from urllib.request import url2pathname

from des_format.errors import ConfigurationError
from des_format.ports.caches import IndexCache
from des_format.ports.opening import open_index_cache
from prometheus_client import CollectorRegistry

from .disk import DiskIndexCache
from .memory import InMemoryIndexCache
from .metrics import CacheMetrics
from .rediscache import AsyncRedisIndexCache, RedisIndexCache
from .tiers import TieredCache
from .urls import CacheUrl, split_urls

__all__ = ["open_async_cache", "open_async_urls", "open_cache", "open_disk", "open_memory", "open_redis"]

C = TypeVar("C", bound=RedisIndexCache | AsyncRedisIndexCache)
AnyCache = InMemoryIndexCache | DiskIndexCache | RedisIndexCache | TieredCache
AnyAsyncCache = InMemoryIndexCache | DiskIndexCache | AsyncRedisIndexCache | TieredCache


def open_cache(url: str, *, metrics: CacheMetrics | None = None) -> AnyCache:
    """Open the cache of a URL, or the tiers of several, with commas between them and the fastest first.

        memory://?max_bytes=256MiB&max_size=100000&ttl=60
        file:///var/cache/des?max_bytes=10GiB
        redis://user:password@host:6379/0?prefix=des:index:&ttl=86400&timeout=0.25

    Redis with TLS is `rediss://`, which also takes the `ssl_...` arguments of redis-py. Schemes of other distributions
    are opened as `des_format.ports.opening.open_index_cache` does. Close the cache with `close`, or `close_async`.

    Args:
        url: The URL or URLs.
        metrics: Where the caches count.

    Raises:
        ConfigurationError: A scheme is unknown, or a parameter is; or has a value that it cannot have. The message
            names it, and shows nothing that could hold a password.
    """
    caches = [_open(one, metrics) for one in split_urls(url)]
    if len(caches) == 1 and isinstance(caches[0], InMemoryIndexCache | DiskIndexCache | RedisIndexCache):
        return caches[0]
    return TieredCache(*caches, metrics=metrics)


def open_async_cache(url: str, *, metrics: CacheMetrics | None = None) -> AnyAsyncCache:
    """Open the same for one event loop: Redis is asked without threads.

    Arguments and errors as for `open_cache`.
    """
    caches = [
        open_async_redis(one, metrics=metrics) if _scheme(one) in _REDIS else _open(one, metrics)
        for one in split_urls(url)
    ]
    if len(caches) == 1 and isinstance(caches[0], InMemoryIndexCache | DiskIndexCache | AsyncRedisIndexCache):
        return caches[0]
    return TieredCache(*caches, metrics=metrics)


def open_async_urls(url: str, *, registry: CollectorRegistry | None = None) -> AnyAsyncCache:
    """`open_async_cache`, for who knows this distribution only by its entry points.

    Args:
        url: The URL or URLs.
        registry: Where the caches register their metrics; one registry takes those of one call.
    """
    return open_async_cache(url, metrics=None if registry is None else CacheMetrics(registry))


def open_memory(url: str, *, metrics: CacheMetrics | None = None) -> InMemoryIndexCache:
    """Open a cache in memory; errors as for `open_cache`."""
    parsed = CacheUrl(url)
    arguments = _given(max_bytes=parsed.size("max_bytes"))
    cache = InMemoryIndexCache(parsed.count("max_size"), parsed.seconds("ttl"), metrics=metrics, **arguments)
    parsed.finish(known="max_bytes, max_size, ttl")
    if parsed.parts.netloc or parsed.parts.path.strip("/"):
        raise parsed.error("a cache in memory has no name; expected memory://?max_bytes=SIZE")
    return cache


def open_disk(url: str, *, metrics: CacheMetrics | None = None) -> DiskIndexCache:
    """Open a cache in a folder; errors as for `open_cache`."""
    parsed = CacheUrl(url)
    arguments = _given(max_bytes=parsed.size("max_bytes"))
    parsed.finish(known="max_bytes")
    if parsed.parts.netloc not in {"", "localhost"} or not parsed.parts.path.strip("/"):
        raise parsed.error("expected an absolute path, as in file:///var/cache/des")
    return DiskIndexCache(url2pathname(parsed.parts.path), metrics=metrics, **arguments)


def open_redis(url: str, *, metrics: CacheMetrics | None = None) -> RedisIndexCache:
    """Open a cache in Redis; nothing is connected before it is used. Errors as for `open_cache`."""
    return _open_redis(url, RedisIndexCache, _redis().Redis, metrics)


def open_async_redis(url: str, *, metrics: CacheMetrics | None = None) -> AsyncRedisIndexCache:
    """Open the same for one event loop."""
    return _open_redis(url, AsyncRedisIndexCache, _redis().asyncio.Redis, metrics)


def _open_redis(url: str, kind: Callable[..., C], client: Callable[..., Any], metrics: CacheMetrics | None) -> C:
    parsed = CacheUrl(url)
    parts = parsed.parts
    arguments = _given(timeout_seconds=parsed.seconds("timeout"), retry_seconds=parsed.seconds("retry"))
    prefix, ttl = parsed.text("prefix", "des:index:"), parsed.seconds("ttl")
    tls: dict[str, Any] = {}
    if parsed.scheme == "rediss":
        tls = {name: _BOOLEANS.get(text, text) for name, text in parsed.take("ssl_").items()} | {"ssl": True}
    parsed.finish(known="prefix, retry, timeout, ttl")
    database = parts.path.strip("/") or "0"
    if not (database.isascii() and database.isdecimal()):
        raise parsed.error("the database, after the host, is no number")
    try:
        connection = client(
            host=unquote(parts.hostname or "localhost"),
            port=parsed.port or 6379,
            db=int(database),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            **tls,
        )
    except (TypeError, ValueError):
        raise parsed.error(f"redis-py does not know or accept one of {', '.join(sorted(tls))}") from None
    return kind(connection, prefix, ttl, metrics=metrics, **arguments)


def _redis() -> Any:
    try:
        import redis.asyncio
    except ImportError as error:
        raise ConfigurationError("caches in Redis need redis-py: pip install 'des-cache[redis]'") from error
    return redis


_BOOLEANS: dict[str, bool] = {"true": True, "false": False}
_REDIS = frozenset({"redis", "rediss"})
_OPENERS: dict[str, Callable[..., IndexCache]] = {
    "memory": open_memory,
    "file": open_disk,
    "redis": open_redis,
    "rediss": open_redis,
}


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def _open(url: str, metrics: CacheMetrics | None) -> IndexCache:
    if (opener := _OPENERS.get(_scheme(url))) is None:
        return open_index_cache(url)
    return opener(url, metrics=metrics)


def _given(**arguments: Any) -> dict[str, Any]:
    """Arguments that are not left out."""
    return {name: value for name, value in arguments.items() if value is not None}
