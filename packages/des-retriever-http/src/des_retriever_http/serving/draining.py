"""Stopping without losing anything: first not ready, then no new connections, then the end of what was begun."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType

__all__ = ["Drain"]

DRAINING = "draining"

log = logging.getLogger(__name__)


class Drain:
    """Puts a time between SIGTERM and what the server does then.

    In this time the service says that it is not ready, serves on, and ends each connection with its next answer; so
    load balancers turn away, and few idle connections are left that a request may just be under way on. A second
    SIGTERM ends it. SIGINT does not wait at all.

    Args:
        seconds: The time.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._is_draining = False

    def __call__(self) -> bool:
        """Whether the process is about to stop."""
        return self._is_draining

    def begin(self) -> None:
        """Be not ready from now on."""
        self._is_draining = True

    def install(self, loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
        """Come before the server, which has its own handler already; return what undoes it.

        Nothing happens in other threads than the main one, where nobody handles signals.
        """
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        of_server = signal.getsignal(signal.SIGTERM)

        def stop(number: int, frame: FrameType | None = None) -> None:
            if callable(of_server):
                of_server(number, frame)

        def handle(number: int, frame: FrameType | None) -> None:
            if self._is_draining or not self._seconds:
                self.begin()
                stop(number, frame)
                return
            self.begin()
            log.info(DRAINING, extra={"seconds": self._seconds})
            loop.call_soon_threadsafe(lambda: loop.call_later(self._seconds, stop, number))

        signal.signal(signal.SIGTERM, handle)

        def undo() -> None:
            if signal.getsignal(signal.SIGTERM) is handle:
                signal.signal(signal.SIGTERM, of_server)

        return undo
