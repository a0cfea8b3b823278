"""Values by key within bounds: what was used last stays, what is too old goes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["ExpiringLru"]

V = TypeVar("V")


class _Item(Generic[V]):
    __slots__ = ("cost", "expires_at", "value")

    def __init__(self, value: V, cost: int, expires_at: float | None) -> None:
        self.value = value
        self.cost = cost
        self.expires_at = expires_at


class ExpiringLru(Generic[V]):
    """A table bounded in cost and in entries; every operation but `count_expired` takes constant time. Not locked.

    Args:
        max_cost: What the costs of all values may add up to; a value that does not fit by itself is not kept.
        max_entries: How many values, or None for any number within the cost.
        clock: Seconds that only grow.

    Attributes:
        cost: What the costs of the values add up to.
        evicted_count: How many values went because a bound was reached.
    """

    def __init__(self, *, max_cost: int, max_entries: int | None, clock: Callable[[], float]) -> None:
        self.cost = 0
        self.evicted_count = 0
        self._max_cost = max_cost
        self._max_entries = max_entries
        self._clock = clock
        self._items: OrderedDict[str, _Item[V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: str) -> V | None:
        """Return a value, which thereby becomes the one used last; None if there is none or it is too old."""
        item = self._items.get(key)
        if item is None:
            return None
        if item.expires_at is not None and item.expires_at <= self._clock():
            self.drop(key)
            return None
        self._items.move_to_end(key)
        return item.value

    def put(self, key: str, value: V, cost: int, ttl_seconds: float | None) -> None:
        """Replace a value, for `ttl_seconds` if that is not None, and make room for it."""
        self.drop(key)
        if cost > self._max_cost or (ttl_seconds is not None and ttl_seconds <= 0):
            return
        expires_at = None if ttl_seconds is None else self._clock() + ttl_seconds
        self._items[key] = _Item(value, cost, expires_at)
        self.cost += cost
        while self.cost > self._max_cost or (self._max_entries is not None and len(self._items) > self._max_entries):
            self.drop(next(iter(self._items)))
            self.evicted_count += 1

    def drop(self, key: str) -> None:
        """Forget a value, if it is there."""
        if (item := self._items.pop(key, None)) is not None:
            self.cost -= item.cost

    def clear(self) -> None:
        """Forget all values."""
        self._items.clear()
        self.cost = 0

    def count_expired(self) -> int:
        """How many values are too old and were not asked for since; takes time for each value."""
        now = self._clock()
        return sum(item.expires_at is not None and item.expires_at <= now for item in self._items.values())
