"""HTTP as uvicorn and httptools speak it, with bounds for what is sent before a request is known."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

__all__ = ["BoundedConfig", "BoundedProtocol"]

_ARRIVING_SECONDS = 0.25
_REFUSALS = {
    408: b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
    431: b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
}


class BoundedConfig(Config):
    """A configuration of uvicorn that speaks `BoundedProtocol`.

    Args:
        max_head_bytes: The longest head of a request; what one read brings more may be in memory too.
        head_seconds: How long it may take.
        arguments: As for `uvicorn.Config`.
    """

    def __init__(self, *, max_head_bytes: int, head_seconds: float, **arguments: Any) -> None:
        super().__init__(http=BoundedProtocol, **arguments)
        self.max_head_bytes = max_head_bytes
        self.head_seconds = head_seconds


class BoundedProtocol(HttpToolsProtocol):
    """Ends connections whose client sends the head of a request too slowly, or one that does not end.

    Nothing else bounds it: httptools takes heads of any length, and only a request whose head is complete reaches the
    application.
    """

    config: BoundedConfig

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._is_in_head = True
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._is_in_head = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self.config.max_head_bytes:
                self._refuse(431)
            elif self._head_timer is None:
                self._wait_for_head()

    def shutdown(self) -> None:
        """End the connection after the answer that is under way; a request that is just arriving gets one too."""
        if self._is_answering():
            super().shutdown()
        else:
            self.loop.call_later(_ARRIVING_SECONDS, super().shutdown)

    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(self.config.head_seconds, self._refuse, 408)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            # Nothing is told who sent nothing, and nothing is put into an answer that is under way.
            if self._head_bytes and not self._is_answering():
                self.transport.write(_REFUSALS[status])
            self.transport.close()
