"""Whether requests should come here: what the storage says, asked seldom and never waited for in vain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, Literal, NamedTuple

from des_format.errors import DesError

from .storage import StorageHistory

__all__ = ["Readiness", "State"]

Status = Literal["ready", "degraded", "draining", "unavailable"]

_KEPT_SECONDS = 1.0
_RECENT_SECONDS = 10.0


class State(NamedTuple):
    """Whether requests should come here, and why."""

    status: Status
    checks: dict[str, Any]

    @property
    def is_ready(self) -> bool:
        """A degraded service still answers: taking it away would make a part of a failure the whole of one."""
        return self.status in ("ready", "degraded")


class Readiness:
    """Asks the storage, at most once at a time and once a second, whoever asks.

    A check that hangs goes on and is not repeated: threads of checks that hang would take those of reads. Until it
    ends, the storage counts as one that does not answer. If reads were answered lately nonetheless, only a part of it
    is out of reach, and the service is degraded.

    Args:
        check: Asks the storage; raises if it does not answer.
        history: When it last answered a read.
        timeout_seconds: How long a check may take.
        is_draining: Whether the process is about to stop.
    """

    def __init__(
        self,
        check: Callable[[], Awaitable[None]],
        history: StorageHistory,
        *,
        timeout_seconds: float,
        is_draining: Callable[[], bool],
    ) -> None:
        self._check = check
        self._history = history
        self._timeout = timeout_seconds
        self._is_draining = is_draining
        self._flight: asyncio.Task[dict[str, Any]] | None = None
        self._began_at = float("-inf")

    async def state(self) -> State:
        """Return how things stand."""
        if self._is_draining():
            return State("draining", {})
        storage = await self._storage()
        checks = {"storage": storage}
        if storage["status"] == "ok":
            return State("degraded" if storage["seconds"] > self._timeout / 2 else "ready", checks)
        answers = monotonic() - self._history.answered_at < _RECENT_SECONDS
        return State("degraded" if answers else "unavailable", checks)

    async def close(self) -> None:
        """Give up a check that is under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.wait([self._flight])

    async def _storage(self) -> dict[str, Any]:
        flight = self._flight
        if flight is None or (flight.done() and monotonic() - self._began_at > _KEPT_SECONDS):
            self._began_at = monotonic()
            flight = self._flight = asyncio.create_task(self._ask())
        left = self._began_at + self._timeout - monotonic()
        await asyncio.wait([flight], timeout=max(0.0, left))
        if not flight.done():
            return {"status": "failed", "code": "timeout", "seconds": round(monotonic() - self._began_at, 3)}
        return flight.result()

    async def _ask(self) -> dict[str, Any]:
        began = monotonic()
        try:
            await self._check()
        except Exception as error:  # Whatever it is, the answer is that the storage does not work.
            code = error.code if isinstance(error, DesError) else "internal_error"
            return {"status": "failed", "code": code, "seconds": round(monotonic() - began, 3)}
        return {"status": "ok", "seconds": round(monotonic() - began, 3)}
