"""How long writers of one manifest wait before they try, so that they meet less often. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..model.keys import ShardKey

__all__ = ["Waits"]

# The longest wait doubles with each conflict and shrinks by this with each success, and whoever succeeded waits before
# the next commit too: a winner that starts afresh wins again, and of 16 processes on one shard some lost 190 times.
_RELAXATION = 0.9
_FORGOTTEN = 1 / 8

# A wait that is short beside an attempt avoids no conflict: the others are within theirs. Over S3 it took five
# conflicts, each of two requests, until a first wait of 2 ms had doubled to one that helps.
_FIRST_WAIT_ATTEMPTS = 2.0


@dataclass(slots=True)
class _Wait:
    """The longest wait now, and the one that it began with, in seconds."""

    longest: float
    first: float


class Waits:
    """What a writer remembers of each shard where others commit too.

    Args:
        first_seconds: The longest first wait, unless attempts take long.
        max_seconds: No wait is longer.
    """

    def __init__(self, first_seconds: float, max_seconds: float) -> None:
        self._first_seconds = first_seconds
        self._max_seconds = max_seconds
        self._waits: dict[ShardKey, _Wait] = {}

    def longest(self, where: ShardKey) -> float | None:
        """How long to wait at most before an attempt; None where nobody else was met lately."""
        wait = self._waits.get(where)
        return wait.longest if wait is not None else None

    def lost(self, where: ShardKey, attempt_seconds: float) -> None:
        """An attempt failed that took so long."""
        first = max(self._first_seconds, _FIRST_WAIT_ATTEMPTS * attempt_seconds)
        wait = self._waits.get(where)
        longest = first if wait is None else max(first, 2 * wait.longest)
        self._waits[where] = _Wait(min(self._max_seconds, longest), min(self._max_seconds, first))

    def won(self, where: ShardKey) -> None:
        """An attempt succeeded."""
        wait = self._waits.get(where)
        if wait is not None:
            wait.longest *= _RELAXATION
            if wait.longest < wait.first * _FORGOTTEN:
                self._waits.pop(where, None)
