"""Which nonces were used already."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from des_format.errors import UnavailableError

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["MemoryNonces", "Nonces", "RedisNonces"]

_MAX_COUNT = 1_000_000


class Nonces(Protocol):
    """Nonces that are in use, each for a while.

    Whoever calls `use` has checked the signature before, or else anybody could use up the nonces of others.
    """

    async def use(self, key_id: str, nonce: str) -> bool:
        """Remember a nonce of a key; False if it was used before.

        Raises:
            UnavailableError: It cannot be remembered, so the request must be refused.
        """


class MemoryNonces:
    """Nonces of one process, which other processes do not see.

    Args:
        ttl_seconds: For so long each is remembered.
        max_count: So many at most. None is forgotten early: what is forgotten could be replayed.
        clock: Seconds that never go back.
    """

    def __init__(
        self, *, ttl_seconds: float, max_count: int = _MAX_COUNT, clock: Callable[[], float] = monotonic
    ) -> None:
        self._ttl_seconds = ttl_seconds
        self._max_count = max_count
        self._clock = clock
        self._expires: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def use(self, key_id: str, nonce: str) -> bool:
        """Remember a nonce of a key; False if it was used before."""
        now = self._clock()
        while self._expires and next(iter(self._expires.values())) <= now:
            self._expires.popitem(last=False)
        if (key_id, nonce) in self._expires:
            return False
        if len(self._expires) >= self._max_count:
            raise UnavailableError(f"{self._max_count} nonces are in use; try again later")
        self._expires[key_id, nonce] = now + self._ttl_seconds
        return True


class RedisNonces:
    """Nonces of all processes that share a Redis.

    Args:
        redis: The client; whoever made it closes it.
        ttl_seconds: For so long each is remembered. Redis must not evict them before (`noeviction`).
        prefix: How their keys begin.
    """

    def __init__(self, redis: Redis, *, ttl_seconds: float, prefix: str) -> None:
        self._redis = redis
        self._ttl_ms = int(ttl_seconds * 1000)
        self._prefix = prefix

    async def use(self, key_id: str, nonce: str) -> bool:
        """Remember a nonce of a key; False if it was used before."""
        from redis.exceptions import RedisError

        name = hashlib.sha256(f"{len(key_id)}:{key_id}{nonce}".encode("utf-8", "surrogatepass")).hexdigest()
        try:
            return await self._redis.set(f"{self._prefix}{name}", b"", nx=True, px=self._ttl_ms) is not None
        except (RedisError, OSError) as error:
            raise UnavailableError("the Redis that remembers nonces does not answer") from error
