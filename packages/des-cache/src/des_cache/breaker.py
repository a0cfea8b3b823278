"""A short circuit: what failed several times in a row is left alone for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

__all__ = ["Breaker"]


class Breaker:
    """Tells whether an attempt is worth it. Safe to share.

    Args:
        failure_limit: Failures in a row after which attempts stop.
        retry_seconds: After this long one attempt is let through, and again after each such time.
        clock: Seconds that only grow.
    """

    def __init__(
        self, failure_limit: int = 3, retry_seconds: float = 5.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._failure_limit = failure_limit
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._failure_count = 0
        self._retry_at = 0.0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether attempts have stopped."""
        return self._failure_count >= self._failure_limit

    def allows(self) -> bool:
        """Whether to try; of several callers that wait for the next attempt, one gets it."""
        if not self.is_open:
            return True
        with self._lock:
            now = self._clock()
            if now < self._retry_at:
                return False
            self._retry_at = now + self._retry_seconds
            return True

    def succeeded(self) -> None:
        """Let everyone try again."""
        self._failure_count = 0

    def failed(self) -> None:
        """Count a failure; the next attempt is `retry_seconds` from now, once the limit is reached."""
        with self._lock:
            self._failure_count += 1
            self._retry_at = self._clock() + self._retry_seconds
