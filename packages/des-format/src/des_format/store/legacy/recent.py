"""A bounded dictionary that lets go of what was not used for longest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["Recent"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values that were used last; safe to share between threads.

    Args:
        max_count: How many values are kept.
    """

    def __init__(self, max_count: int) -> None:
        self._max_count = max_count
        self._values: OrderedDict[K, V] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return the value of a key, or None."""
        with self._guard:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def set(self, key: K, value: V) -> None:
        """Keep a value."""
        with self._guard:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._max_count:
                self._values.popitem(last=False)

    def forget(self, is_meant: Callable[[K], bool]) -> None:
        """Let go of all keys that are meant."""
        with self._guard:
            for key in [key for key in self._values if is_meant(key)]:
                del self._values[key]
