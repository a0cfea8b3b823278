"""Index caches in Redis, or in Valkey: shared by processes and machines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from .bounds import check_seconds
from .metrics import CacheMetrics
from .rediscommands import Command, RedisCommands, Steps, is_failure
from .redispool import quick_client
from .twins import ThreadTwins

__all__ = ["AsyncRedisIndexCache", "RedisIndexCache"]

T = TypeVar("T")


class _RedisCache:
    """What both kinds have in common; arguments as for `RedisIndexCache`."""

    def __init__(
        self,
        redis_client: Any,
        key_prefix: str = "des:index:",
        default_ttl: float | None = None,
        *,
        timeout_seconds: float | None = 0.25,
        retry_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        metrics: CacheMetrics | None = None,
        tier: str = "redis",
    ) -> None:
        check_seconds("timeout_seconds", timeout_seconds)
        self._commands = RedisCommands(key_prefix, default_ttl, retry_seconds, clock, metrics, tier)
        self._own = None if timeout_seconds is None else quick_client(redis_client, timeout_seconds)
        self._client = redis_client if self._own is None else self._own

    @property
    def tier(self) -> str:
        """The cache's label in metrics."""
        return self._commands.tally.tier

    @property
    def is_short_circuited(self) -> bool:
        """Whether the server failed so often that reads do not ask it for now."""
        return self._commands.server.is_open

    def get_stats(self) -> dict[str, Any]:
        """What this process counted: hits, misses, errors."""
        counts: dict[str, Any] = dict(self._commands.tally.stats())
        del counts["evictions"]  # They are the server's.
        return counts


class RedisIndexCache(_RedisCache, ThreadTwins):
    """Bytes by key in a Redis server that may be down, slow or full: then they are not there.

    No failure reaches a read or a `set`: it is counted. After 3 failures in a row the server is not asked for
    `retry_seconds`, so a dead one does not cost a timeout for each read. Values carry a checksum over key and value;
    one that does not match is removed and was not there. Safe to share between threads.

    Whether the client decodes responses does not matter: values are never decoded. It costs nothing.

    Args:
        redis_client: A client of redis-py or valkey-py, not of a cluster.
        key_prefix: What the names of all keys begin with.
        default_ttl: Seconds after which the server forgets a value, or None for its own policy.
        timeout_seconds: How long to wait for a connection, and for each answer. The cache uses connections of its own,
            at most 32, with the address and login of the client, that never repeat a command; a client of another kind
            (of Sentinel, for example), or any with None, is used as it is, with the timeouts and repetitions it has.
        retry_seconds: When to ask again after a short circuit.
        clock: Seconds that only grow.
        metrics: Where to count besides `get_stats`.
        tier: The cache's label in `metrics`.

    Raises:
        ConfigurationError: A time is not positive.
    """

    # -- one key ----------------------------------------------------------------------------

    def get(self, key: str) -> bytes | None:
        """Return a value, which may be empty, or None."""
        return self.get_many((key,)).get(key)

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Keep a value for `ttl` seconds (None: the default time; 0 or less: not at all)."""
        self._run(self._commands.set_many({key: value}, ttl))

    def delete(self, key: str) -> None:
        """Forget a value; errors as for `delete_many`."""
        self.delete_many((key,))

    # -- the port ---------------------------------------------------------------------------

    def get_many(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return self._run(self._commands.get_many(keys))

    def set_many(self, items: Mapping[str, bytes], /) -> None:
        self._run(self._commands.set_many(items))

    def get_expiring(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return self.get_many(keys)

    def set_expiring(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        self._run(self._commands.set_expiring(items, ttl_seconds))

    def delete_many(self, keys: Iterable[str], /) -> None:
        """Forget keys.

        Raises:
            UnavailableError: The server did not confirm it; the values may come back.
        """
        self._run(self._commands.delete_many(keys))

    # -- all of it --------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget every key with the prefix, and no other.

        Raises:
            UnavailableError: The server did not confirm it.
        """
        self._run(self._commands.clear())

    def close(self) -> None:
        """Close the cache's own connections; those of the client that was given stay."""
        if self._own is not None:
            self._own.connection_pool.disconnect()

    def _run(self, steps: Steps[T]) -> T:
        try:
            commands = next(steps)
            while True:
                commands = steps.send(self._perform(commands))
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _perform(self, commands: list[Command]) -> list[Any] | Exception:
        try:
            if len(commands) == 1:
                return [self._client.execute_command(*commands[0], NEVER_DECODE=True)]
            with self._client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = pipeline.execute(raise_on_error=False)
                return replies
        except Exception as error:  # Clients name their errors alike, but have no class in common.
            if is_failure(error):
                return error
            raise


class AsyncRedisIndexCache(_RedisCache):
    """The same over a client of `redis.asyncio`; its methods are coroutines of one event loop.

    Arguments and promises as for `RedisIndexCache`.
    """

    async def get_async(self, key: str) -> bytes | None:
        """Return a value, which may be empty, or None."""
        return (await self.get_many_async((key,))).get(key)

    async def set_async(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Keep a value for `ttl` seconds (None: the default time; 0 or less: not at all)."""
        await self._run(self._commands.set_many({key: value}, ttl))

    async def delete_async(self, key: str) -> None:
        """Forget a value; errors as for `delete_many_async`."""
        await self.delete_many_async((key,))

    async def get_many_async(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return await self._run(self._commands.get_many(keys))

    async def set_many_async(self, items: Mapping[str, bytes], /) -> None:
        await self._run(self._commands.set_many(items))

    async def get_expiring_async(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return await self.get_many_async(keys)

    async def set_expiring_async(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        await self._run(self._commands.set_expiring(items, ttl_seconds))

    async def delete_many_async(self, keys: Iterable[str], /) -> None:
        """Forget keys.

        Raises:
            UnavailableError: The server did not confirm it; the values may come back.
        """
        await self._run(self._commands.delete_many(keys))

    async def clear_async(self) -> None:
        """Forget every key with the prefix, and no other; errors as for `delete_many_async`."""
        await self._run(self._commands.clear())

    async def close_async(self) -> None:
        """Close the cache's own connections; those of the client that was given stay."""
        if self._own is not None:
            await self._own.connection_pool.disconnect()

    async def _run(self, steps: Steps[T]) -> T:
        try:
            commands = next(steps)
            while True:
                commands = steps.send(await self._perform(commands))
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _perform(self, commands: list[Command]) -> list[Any] | Exception:
        try:
            if len(commands) == 1:
                return [await self._client.execute_command(*commands[0], NEVER_DECODE=True)]
            async with self._client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
                return replies
        except Exception as error:  # As in `RedisIndexCache`.
            if is_failure(error):
                return error
            raise
