"""Single flight: readers who want the same bytes at the same time share one request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Hashable
from concurrent.futures import Future
from typing import Any

__all__ = ["AsyncFlights", "Flights"]


class Flights:
    """Shares the results of calls between threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        # What others wait for; None as long as nobody does, for a future costs more than the rest.
        self._running: dict[Hashable, Future[Any] | None] = {}

    def do(self, key: Hashable, call: Callable[[], Any]) -> Any:
        """Return the result of `call`, or that of one for the same key which another thread has begun."""
        joined: Future[Any] | None = None
        with self._guard:
            if key not in self._running:
                self._running[key] = None
            elif (joined := self._running[key]) is None:
                joined = self._running[key] = Future()
        if joined is not None:
            return joined.result()
        try:
            result = call()
        except BaseException as error:
            if (awaited := self._end(key)) is not None:
                awaited.set_exception(error)
            raise
        if (awaited := self._end(key)) is not None:
            awaited.set_result(result)
        return result

    def _end(self, key: Hashable) -> Future[Any] | None:
        """Take no more who wait, and return what those who do wait for."""
        with self._guard:
            return self._running.pop(key)


class _Flight:
    """A call that some tasks wait for."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.waiting = 0


class AsyncFlights:
    """Shares the results of calls between the tasks of one event loop."""

    def __init__(self) -> None:
        self._running: dict[Hashable, _Flight] = {}

    async def do(self, key: Hashable, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """As `Flights.do`; a call goes on as long as anyone waits for it, whoever began it."""
        flight = self._running.get(key)
        if flight is None:
            flight = self._running[key] = _Flight(asyncio.get_running_loop().create_task(call()))
            flight.task.add_done_callback(lambda task: self._end(key, task))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                self._end(key, flight.task)
                flight.task.cancel()

    def _end(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        """Let a call go, unless another one has taken its place."""
        flight = self._running.get(key)
        if flight is not None and flight.task is task:
            del self._running[key]
