"""Many who need the same at the same time cause one load."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

__all__ = ["SingleFlight", "SingleFlightAsync"]

T = TypeVar("T")


class _Flight(Generic[T]):
    def __init__(self) -> None:
        self.leader = threading.get_ident()
        self.result: Future[T] = Future()


class SingleFlight(Generic[T]):
    """One load for each key at a time, for threads; nothing is kept after it."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}
        self._lock = threading.Lock()

    def run(self, key: Hashable, load: Callable[[], T]) -> T:
        """Return what `load` returns: called here, or by another thread that is at it already.

        An error of the load goes to all who wait for it. If the thread that loads is stopped (`KeyboardInterrupt`,
        `SystemExit`), one that waits loads anew.

        Raises:
            RuntimeError: `load` asks for the same key, and would wait for itself.
        """
        while True:
            with self._lock:
                flight = self._flights.get(key)
                leads = flight is None
                if flight is None:
                    flight = self._flights[key] = _Flight()
            if leads:
                return self._lead(key, flight, load)
            if flight.leader == threading.get_ident():
                raise RuntimeError(f"the load of {key!r} asks for itself")
            if flight.result.exception() is None or isinstance(flight.result.exception(), Exception):
                return flight.result.result()

    def forget(self, key: Hashable) -> None:
        """Let the next caller load anew, even while a load is going on."""
        with self._lock:
            self._flights.pop(key, None)

    def _lead(self, key: Hashable, flight: _Flight[T], load: Callable[[], T]) -> T:
        try:
            value = load()
        except BaseException as error:
            self._land(key, flight)
            flight.result.set_exception(error)
            raise
        self._land(key, flight)
        flight.result.set_result(value)
        return value

    def _land(self, key: Hashable, flight: _Flight[T]) -> None:
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]


class _AsyncFlight(Generic[T]):
    def __init__(self, task: asyncio.Task[T]) -> None:
        self.task = task
        self.waiter_count = 0


class SingleFlightAsync(Generic[T]):
    """One load for each key at a time, for the tasks of one event loop; nothing is kept after it.

    The load runs in a task of its own: that one of those who wait is cancelled disturbs no other, and when all of
    them are, the load is cancelled too.
    """

    def __init__(self) -> None:
        self._flights: dict[Hashable, _AsyncFlight[T]] = {}

    async def run(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        """Return what `load` returns, called for this task or for another one that asked before.

        An error of the load goes to all who wait for it.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = _AsyncFlight(asyncio.ensure_future(_await(load)))
            self._flights[key] = flight
            flight.task.add_done_callback(lambda _: self._land(key, flight))
        flight.waiter_count += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiter_count -= 1
            if flight.waiter_count == 0 and not flight.task.done():
                # Nobody may join what is being cancelled.
                self._land(key, flight)
                flight.task.cancel()

    def forget(self, key: Hashable) -> None:
        """Let the next caller load anew, even while a load is going on."""
        self._flights.pop(key, None)

    def _land(self, key: Hashable, flight: _AsyncFlight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


async def _await(load: Callable[[], Awaitable[T]]) -> T:
    return await load()
