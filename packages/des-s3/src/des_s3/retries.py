"""How long a failed request is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import stamina
from des_format.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from stamina import _core

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds on repeating requests that failed in a way that may pass; waits grow exponentially, with jitter.

    Conditional writes are not repeated: a repetition could not tell its own first success from another's. Their
    `UnavailableError` leaves it to the caller to look.

    Attributes:
        attempts: How often a request is sent at most.
        deadline_seconds: No attempt begins later than this after the first one.
        first_wait_seconds: Pause after the first failure.
        max_wait_seconds: Longest pause.
    """

    attempts: int = 6
    deadline_seconds: float = 30.0
    first_wait_seconds: float = 0.1
    max_wait_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.deadline_seconds, self.first_wait_seconds, self.max_wait_seconds) <= 0:
            raise ConfigurationError(f"{self}: expected at least 1 attempt, and times above 0")

    def retrying(self) -> _core._RetryContextIterator:
        """Return a context of stamina, for `for` and for `async for`."""
        return stamina.retry_context(
            on=_may_pass,
            attempts=self.attempts,
            timeout=self.deadline_seconds,
            wait_initial=self.first_wait_seconds,
            wait_max=self.max_wait_seconds,
            wait_jitter=self.first_wait_seconds,
        )


def _may_pass(error: Exception) -> bool:
    return isinstance(error, UnavailableError)
