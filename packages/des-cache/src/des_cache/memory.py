"""An index cache in memory, bounded in bytes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .bounds import check_seconds, check_size
from .lru import ExpiringLru
from .metrics import CacheMetrics, Tally
from .twins import InlineTwins

__all__ = ["InMemoryIndexCache"]

_DEFAULT_BYTES = 256 << 20
_ITEM_BYTES = 200
"""What an item costs besides its key and value: measured 178 to 194, depending on how full the table is."""


class InMemoryIndexCache(InlineTwins):
    """Bytes by key; what was used last stays. Safe to share between threads and tasks.

    Args:
        max_size: The bound in entries, or None for any number within `max_bytes`.
        default_ttl: Seconds after which a value is forgotten, or None.
        max_bytes: The bound in bytes of memory: keys, values and what keeping them takes. A value that does not
            fit by itself is not kept.
        clock: Seconds that only grow.
        metrics: Where to count besides `get_stats`.
        tier: The cache's label in `metrics`.

    Raises:
        ConfigurationError: A bound is negative, or the time not positive.
    """

    def __init__(
        self,
        max_size: int | None = None,
        default_ttl: float | None = None,
        *,
        max_bytes: int = _DEFAULT_BYTES,
        clock: Callable[[], float] = time.monotonic,
        metrics: CacheMetrics | None = None,
        tier: str = "memory",
    ) -> None:
        check_size("max_size", max_size)
        check_size("max_bytes", max_bytes)
        check_seconds("default_ttl", default_ttl)
        self.max_size = max_size
        self.max_bytes = max_bytes
        self.default_ttl = default_ttl
        self._items: ExpiringLru[bytes] = ExpiringLru(max_cost=max_bytes, max_entries=max_size, clock=clock)
        self._lock = threading.Lock()
        self._tally = Tally(tier, metrics)

    @property
    def tier(self) -> str:
        """The cache's label in metrics."""
        return self._tally.tier

    # -- one key ----------------------------------------------------------------------------

    def get(self, key: str) -> bytes | None:
        """Return a value, which may be empty, or None."""
        return self.get_many((key,)).get(key)

    def set(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Keep a value for `ttl` seconds (None: the default time; 0 or less: not at all)."""
        self._set({key: value}, self.default_ttl if ttl is None else ttl)

    def delete(self, key: str) -> None:
        """Forget a value."""
        self.delete_many((key,))

    # -- the port ---------------------------------------------------------------------------

    def get_many(self, keys: Iterable[str], /) -> dict[str, bytes]:
        found = {}
        missed_count = 0
        with self._lock:
            for key in keys:
                if (value := self._items.get(key)) is None:
                    missed_count += 1
                else:
                    found[key] = value
        self._tally.read(len(found), missed_count)
        return found

    def set_many(self, items: Mapping[str, bytes], /) -> None:
        self._set(items, self.default_ttl)

    def get_expiring(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return self.get_many(keys)

    def set_expiring(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        self._set(items, ttl_seconds if self.default_ttl is None else min(ttl_seconds, self.default_ttl))

    def delete_many(self, keys: Iterable[str], /) -> None:
        with self._lock:
            for key in keys:
                self._items.drop(key)
            self._tally.holds(self._items.cost, len(self._items))

    def _set(self, items: Mapping[str, bytes], ttl: float | None) -> None:
        copies = {key: _frozen(value) for key, value in items.items()}
        with self._lock:
            evicted_before = self._items.evicted_count
            for key, value in copies.items():
                self._items.put(key, value, _cost(key, value), ttl)
            evicted_count = self._items.evicted_count - evicted_before
            self._tally.holds(self._items.cost, len(self._items))
        if evicted_count:
            self._tally.evicted(evicted_count)

    # -- all of it --------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()
            self._tally.holds(0, 0)

    def get_stats(self) -> dict[str, Any]:
        """Counts: entries, expired and active ones of them, hits, misses, evictions; bytes; and the bounds.

        Takes time for each entry.
        """
        with self._lock:
            entries, expired, size_bytes = len(self._items), self._items.count_expired(), self._items.cost
        return {
            "entries": entries,
            "expired": expired,
            "active": entries - expired,
            "max_size": self.max_size,
            "bytes": size_bytes,
            "max_bytes": self.max_bytes,
            **self._tally.stats(),
        }


def _frozen(value: bytes) -> bytes:
    """Of what can change, a copy; and what is no bytes is refused: `bytes(5)` would be five zeros."""
    return value if type(value) is bytes else bytes(memoryview(value))


def _cost(key: str, value: bytes) -> int:
    return sys.getsizeof(key) + sys.getsizeof(value) + _ITEM_BYTES
