"""Stop asking a place that does not answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Breaker"]


class Breaker:
    """Opens after failures in a row; once it was open for a while, one call at a time tries whether all is well again.

    Args:
        failure_count: So many failures in a row open it.
        open_seconds: So long nothing is tried; as long again after each try that failed, or that never ended.
        clock: Monotonic seconds.
    """

    def __init__(
        self, failure_count: int = 5, open_seconds: float = 30.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = failure_count
        self._open_seconds = open_seconds
        self._clock = clock
        self._failures = 0
        self._tries_at = 0.0
        self._guard = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether so many calls failed in a row; some may be let through nevertheless."""
        return self._failures >= self._limit

    def admits(self) -> bool:
        """Whether a call may be made now; tell how it ended by `succeeded` or `failed`."""
        if not self.is_open:
            return True
        with self._guard:
            now = self._clock()
            if now < self._tries_at:
                return False
            self._tries_at = now + self._open_seconds
            return True

    def succeeded(self) -> None:
        """The place answered."""
        self._failures = 0

    def failed(self) -> bool:
        """The place did not answer; return whether this opened the breaker."""
        with self._guard:
            self._failures += 1
            self._tries_at = self._clock() + self._open_seconds
            return self._failures == self._limit
