"""Load through a cache: each key once at a time, and what is not there not again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterable

from des_format.ports.caches import AsyncIndexCache, IndexCache

from .bounds import check_seconds
from .flight import SingleFlight, SingleFlightAsync
from .lru import ExpiringLru
from .metrics import CacheMetrics
from .tiers import TieredCache

__all__ = ["AsyncCachedLoader", "CachedLoader"]

_ABSENT_COUNT = 10_000


class _Absent:
    """Keys that were found not to be there, for a short while; and how often something was forgotten."""

    def __init__(self, negative_ttl: float | None, clock: Callable[[], float]) -> None:
        check_seconds("negative_ttl", negative_ttl)
        self._ttl = negative_ttl
        self._keys: ExpiringLru[bool] = ExpiringLru(max_cost=_ABSENT_COUNT, max_entries=None, clock=clock)
        self._lock = threading.Lock()
        self.forgotten_count = 0

    def __contains__(self, key: str) -> bool:
        with self._lock:
            return self._keys.get(key) is not None

    def note(self, key: str, forgotten_count: int) -> None:
        """Note that a key is not there, unless something was forgotten since."""
        with self._lock:
            if self._ttl is not None and forgotten_count == self.forgotten_count:
                self._keys.put(key, True, 1, self._ttl)

    def forget(self, keys: Iterable[str]) -> None:
        with self._lock:
            self.forgotten_count += 1
            for key in keys:
                self._keys.drop(key)


class CachedLoader:
    """Values by key, from a cache or from where they are; safe to share between threads.

    Any number of threads that miss one key at the same time cause one load. An error of the load goes to all of them
    and is not kept. A cache that fails is as good as an empty one.

    Args:
        cache: Where values are kept; use another key for another content.
        load: Called with a key; returns the value, or None if there is none.
        negative_ttl: Seconds for which it is remembered, in this process, that there is none; None for not at all.
        clock: Seconds that only grow.
        metrics: Where to count failures of the cache.

    Raises:
        ConfigurationError: The time is not positive.
    """

    def __init__(
        self,
        cache: IndexCache,
        load: Callable[[str], bytes | None],
        negative_ttl: float | None = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        metrics: CacheMetrics | None = None,
    ) -> None:
        self._cache = TieredCache(cache, metrics=metrics)
        self._load = load
        self._absent = _Absent(negative_ttl, clock)
        self._flights: SingleFlight[bytes | None] = SingleFlight()

    def get(self, key: str) -> bytes | None:
        """Return the value of a key, or None if there is none; errors as of the load."""
        return self._flights.run(key, lambda: self._fetch(key))

    def forget(self, keys: Iterable[str]) -> None:
        """Forget values, and that there were none; loads that are going on keep nothing.

        Raises:
            UnavailableError: The cache did not confirm it; the values may come back.
        """
        keys = list(keys)
        self._absent.forget(keys)
        for key in keys:
            self._flights.forget(key)
        self._cache.delete_many(keys)

    def _fetch(self, key: str) -> bytes | None:
        # Before the cache is asked: what it answers may be forgotten by then.
        forgotten_count = self._absent.forgotten_count
        if key in self._absent:
            return None
        if (value := self._cache.get_many((key,)).get(key)) is not None:
            return value
        value = self._load(key)
        if value is None:
            self._absent.note(key, forgotten_count)
        elif forgotten_count == self._absent.forgotten_count:
            self._cache.set_many({key: value})
        return value


class AsyncCachedLoader:
    """The same for the tasks of one event loop; arguments and promises as for `CachedLoader`."""

    def __init__(
        self,
        cache: IndexCache | AsyncIndexCache,
        load: Callable[[str], Awaitable[bytes | None]],
        negative_ttl: float | None = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        metrics: CacheMetrics | None = None,
    ) -> None:
        self._cache = TieredCache(cache, metrics=metrics)
        self._load = load
        self._absent = _Absent(negative_ttl, clock)
        self._flights: SingleFlightAsync[bytes | None] = SingleFlightAsync()

    async def get_async(self, key: str) -> bytes | None:
        """Return the value of a key, or None if there is none; errors as of the load."""
        return await self._flights.run(key, lambda: self._fetch(key))

    async def forget_async(self, keys: Iterable[str]) -> None:
        """As `CachedLoader.forget`."""
        keys = list(keys)
        self._absent.forget(keys)
        for key in keys:
            self._flights.forget(key)
        await self._cache.delete_many_async(keys)

    async def _fetch(self, key: str) -> bytes | None:
        # Before the cache is asked: what it answers may be forgotten by then.
        forgotten_count = self._absent.forgotten_count
        if key in self._absent:
            return None
        if (value := (await self._cache.get_many_async((key,))).get(key)) is not None:
            return value
        value = await self._load(key)
        if value is None:
            self._absent.note(key, forgotten_count)
        elif forgotten_count == self._absent.forgotten_count:
            await self._cache.set_many_async({key: value})
        return value
