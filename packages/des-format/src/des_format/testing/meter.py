"""Counts of what was asked for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

__all__ = ["Meter"]


class Meter:
    """What was asked for since the last `reset`; safe to share between threads.

    Attributes:
        requests: How many requests of each operation.
        calls: Each request in order, as (operation, key).
        bytes_read: Bytes that were returned.
        bytes_written: Bytes that were written.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Start counting anew."""
        self.requests: Counter[str] = Counter()
        self.calls: list[tuple[str, str]] = []
        self.bytes_read = 0
        self.bytes_written = 0

    @property
    def request_count(self) -> int:
        """How many requests there were."""
        return len(self.calls)

    def count(self, operation: str, keys: Iterable[str]) -> None:
        """Count one request for each key."""
        with self._lock:
            for key in keys:
                self.requests[operation] += 1
                self.calls.append((operation, key))

    def add_bytes(self, *, read: int = 0, written: int = 0) -> None:
        """Count bytes."""
        with self._lock:
            self.bytes_read += read
            self.bytes_written += written
