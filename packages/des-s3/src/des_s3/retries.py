"""How long a failed request is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import stamina
from des_format.errors import ConfigurationError, UnavailableError

from .repeating import tell_repetitions

__all__ = ["RetryPolicy"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


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

    def repeating(self, send: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """Return what calls `send`, a function or a coroutine function, again while that may help.

        With a `Repeated` as its first argument, repetitions are events of this package's logger.
        """
        return stamina.retry(
            on=_may_pass,
            attempts=self.attempts,
            timeout=self.deadline_seconds,
            wait_initial=self.first_wait_seconds,
            wait_max=self.max_wait_seconds,
            wait_jitter=self.first_wait_seconds,
        )(send)


def _may_pass(error: Exception) -> bool:
    if not isinstance(error, UnavailableError):
        return False
    # Not at import, and not before there is something to tell: hooks belong to the whole process.
    tell_repetitions()
    return True
