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


_BEGIN_ANEW = object()


class AsyncFlights:
    """Shares the results of calls between the tasks of one event loop."""

    def __init__(self) -> None:
        # As for `Flights`. A call runs in the task of whoever began it: one of its own costs more than the rest.
        self._running: dict[Hashable, asyncio.Future[Any] | None] = {}

    async def do(self, key: Hashable, call: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """As `Flights.do`; if whoever began a call is cancelled, one of those who wait for it begins it anew."""
        while key in self._running:
            joined = self._running[key]
            if joined is None:
                joined = self._running[key] = asyncio.get_running_loop().create_future()
            result = await asyncio.shield(joined)
            if result is not _BEGIN_ANEW:
                return result
        self._running[key] = None
        try:
            result = await call()
        except BaseException as error:
            if (awaited := self._running.pop(key)) is not None:
                if isinstance(error, asyncio.CancelledError):
                    awaited.set_result(_BEGIN_ANEW)
                else:
                    awaited.set_exception(error)
            raise
        if (awaited := self._running.pop(key)) is not None:
            awaited.set_result(result)
        return result
