"""Repeated requests as events of this package's logger, and few of them while everything fails.

stamina calls hooks, which belong to the process, and by default has one that writes a bare line for each repetition of
anybody. So an event of our own is a hook, too, and that one is kept from ours.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from des_format.errors import DesError
from stamina.instrumentation import RetryDetails, RetryHook, get_on_retry_hooks, set_on_retry_hooks

__all__ = ["EventLimit", "Repeated", "RepetitionEvents", "tell_repetitions"]

log = logging.getLogger(__name__)

_WARNING_ATTEMPT = 3
"""Two failures in a row are usual with S3 under load."""

_LOGGING = ("stamina.instrumentation._logging", "stamina.instrumentation._structlog")


class Repeated(NamedTuple):
    """A request that may be repeated; the first argument of what stamina repeats, by which its hooks know ours."""

    operation: str
    bucket: str
    key: str


class EventLimit:
    """Admits so many events in each stretch of time.

    Args:
        count: How many.
        seconds: How long a stretch is; it begins with the first event after the one before.
        clock: Monotonic seconds.
    """

    def __init__(self, count: int = 20, seconds: float = 60.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._count = count
        self._seconds = seconds
        self._clock = clock
        self._guard = threading.Lock()
        self._ends_at = clock()
        self._admitted = 0
        self._left_out = 0

    def admit(self) -> int | None:
        """Return how many events were left out since the last one that was admitted; None to leave this one out."""
        with self._guard:
            now = self._clock()
            if now >= self._ends_at:
                self._ends_at, self._admitted = now + self._seconds, 0
            if self._admitted >= self._count:
                self._left_out += 1
                return None
            self._admitted += 1
            left_out, self._left_out = self._left_out, 0
            return left_out


class RepetitionEvents:
    """A hook of stamina that makes events of our repetitions.

    Info for the first ones of a request, which a service under load causes every day, warnings for those after them;
    each level has its own limit.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = {level: EventLimit(clock=clock) for level in (logging.INFO, logging.WARNING)}

    def __call__(self, details: RetryDetails) -> None:
        request = _ours(details)
        if request is None:
            return
        level = logging.WARNING if details.retry_num >= _WARNING_ATTEMPT else logging.INFO
        if not log.isEnabledFor(level) or (left_out := self._limits[level].admit()) is None:
            return
        error = details.caused_by
        fields: dict[str, object] = {
            **request._asdict(),
            "attempt": details.retry_num,
            "wait_seconds": round(details.wait_for, 3),
            "code": error.code if isinstance(error, DesError) else type(error).__name__,
            "error": str(error),
        }
        if left_out:
            fields["left_out_count"] = left_out
        log.log(level, "request_is_repeated", extra=fields)


class _OfOthers:
    """A hook that is not called for our repetitions."""

    def __init__(self, hook: RetryHook) -> None:
        self._hook = hook

    def __call__(self, details: RetryDetails) -> AbstractContextManager[None] | None:
        return self._hook(details) if _ours(details) is None else None


_events = RepetitionEvents()
_guard = threading.Lock()


def tell_repetitions() -> None:
    """Add our hook to those of the process, unless it has none: that is how an application turns hooks off."""
    with _guard:
        hooks = get_on_retry_hooks()
        if hooks and _events not in hooks:
            set_on_retry_hooks([*(_OfOthers(hook) if _writes_lines(hook) else hook for hook in hooks), _events])


def _writes_lines(hook: RetryHook) -> bool:
    return getattr(hook, "__module__", None) in _LOGGING


def _ours(details: RetryDetails) -> Repeated | None:
    first = details.args[0] if details.args else None
    return first if isinstance(first, Repeated) else None
