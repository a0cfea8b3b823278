"""How long a failed request is sent again."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import stamina
from des_format.errors import ConfigurationError

from .problems import may_pass, wait_of

if TYPE_CHECKING:
    from stamina import _core

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds on repeating requests that failed in a way that may pass; waits grow exponentially, with jitter.

    A `Retry-After` of the service is waited for; one that is beyond the deadline ends the attempts.

    Attributes:
        retries: How often a request is sent again at most.
        deadline_seconds: No attempt begins later than this after the first one.
        first_wait_seconds: Pause after the first failure.
        max_wait_seconds: Longest pause, if the service does not ask for another one.
    """

    retries: int = 4
    deadline_seconds: float = 60.0
    first_wait_seconds: float = 0.2
    max_wait_seconds: float = 10.0

    def __post_init__(self) -> None:
        if self.retries < 0 or min(self.deadline_seconds, self.first_wait_seconds, self.max_wait_seconds) <= 0:
            raise ConfigurationError(f"{self}: expected 0 retries or more, and times above 0")

    def retrying(self) -> _core._RetryContextIterator:
        """Return a context of stamina, for `for` and for `async for`."""
        began = time.monotonic()

        def pause(error: Exception) -> bool | float:
            if not may_pass(error):
                return False
            asked = wait_of(error)
            if asked is None:
                return True
            wait = asked + random.uniform(0, self.first_wait_seconds)
            return wait if time.monotonic() - began + wait < self.deadline_seconds else False

        return stamina.retry_context(
            on=pause,
            attempts=self.retries + 1,
            timeout=self.deadline_seconds,
            wait_initial=self.first_wait_seconds,
            wait_max=self.max_wait_seconds,
            wait_jitter=self.first_wait_seconds,
        )
