"""An index cache in memory."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

from ..errors import ConfigurationError

__all__ = ["MemoryIndexCache", "open_memory"]

_DEFAULT_BYTES = 64 << 20
_ITEM_BYTES = 200
"""What an item costs besides its key and value; objects and the table's slot."""

_SIZE = re.compile(r"([0-9]+) *(|B|KiB|MiB|GiB)", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}


class MemoryIndexCache:
    """Bytes by key within `max_bytes`, keys and overhead counted; what was used last stays. Safe to share.

    Args:
        max_bytes: The bound; a value that does not fit by itself is not kept.
        clock: Seconds that only grow.

    Raises:
        ConfigurationError: The bound is negative.
    """

    def __init__(self, max_bytes: int = _DEFAULT_BYTES, *, clock: Callable[[], float] = time.monotonic) -> None:
        if max_bytes < 0:
            raise ConfigurationError(f"max_bytes is {max_bytes}, expected 0 or more")
        self.max_bytes = max_bytes
        self.size_bytes = 0
        self._items: OrderedDict[str, bytes] = OrderedDict()
        self._ends_at: dict[str, float] = {}
        self._clock = clock
        self._lock = threading.Lock()

    def get_many(self, keys: Iterable[str], /) -> dict[str, bytes]:
        found = {}
        with self._lock:
            for key in keys:
                if key in self._ends_at and self._ends_at[key] <= self._clock():
                    self._drop(key)
                if (value := self._items.get(key)) is not None:
                    self._items.move_to_end(key)
                    found[key] = value
        return found

    def set_many(self, items: Mapping[str, bytes], /) -> None:
        self._set(items, None)

    def get_expiring(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return self.get_many(keys)

    def set_expiring(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        if ttl_seconds > 0:
            self._set(items, self._clock() + ttl_seconds)
        else:
            self.delete_many(items)

    def _set(self, items: Mapping[str, bytes], ends_at: float | None) -> None:
        with self._lock:
            for key, value in items.items():
                self._drop(key)
                cost = _cost(key, value)
                if cost <= self.max_bytes:
                    self._items[key] = bytes(value)
                    self.size_bytes += cost
                    if ends_at is not None:
                        self._ends_at[key] = ends_at
            while self.size_bytes > self.max_bytes:
                self._drop(next(iter(self._items)))

    def delete_many(self, keys: Iterable[str], /) -> None:
        with self._lock:
            for key in keys:
                self._drop(key)

    def _drop(self, key: str) -> None:
        if (value := self._items.pop(key, None)) is not None:
            self.size_bytes -= _cost(key, value)
            self._ends_at.pop(key, None)

    async def get_many_async(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return self.get_many(keys)

    async def set_many_async(self, items: Mapping[str, bytes], /) -> None:
        self.set_many(items)

    async def delete_many_async(self, keys: Iterable[str], /) -> None:
        self.delete_many(keys)

    async def get_expiring_async(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return self.get_expiring(keys)

    async def set_expiring_async(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        self.set_expiring(items, ttl_seconds)


def _cost(key: str, value: bytes) -> int:
    return len(key) + len(value) + _ITEM_BYTES


def open_memory(url: str) -> MemoryIndexCache:
    """Open a new cache, such as `memory://?max_bytes=64MiB`.

    Raises:
        ConfigurationError: The URL says anything but `max_bytes`, or that is no size.
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    text = options.pop("max_bytes", str(_DEFAULT_BYTES))
    size = _SIZE.fullmatch(text)
    if options or size is None or parts.netloc or parts.path.strip("/") or parts.fragment:
        raise ConfigurationError(f"{url} is no cache in memory: expected memory://?max_bytes=SIZE, as in 64MiB")
    return MemoryIndexCache(int(size[1]) * _UNITS[size[2].lower()])
