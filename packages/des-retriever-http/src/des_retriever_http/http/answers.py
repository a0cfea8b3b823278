"""Answers without a framework: status, headers and body as ASGI sends them."""

from __future__ import annotations

from starlette.types import Receive, Scope, Send

__all__ = ["Answer", "RawHeaders"]

RawHeaders = list[tuple[bytes, bytes]]


class Answer:
    """An answer that is in memory as a whole.

    Args:
        status: The HTTP status.
        headers: Its headers, with lower-case names.
        body: Its body; a `HEAD` says in its headers how long another one would be.
    """

    __slots__ = ("_body", "headers", "status")

    def __init__(self, status: int, headers: RawHeaders, body: bytes | memoryview = b"") -> None:
        self.status = status
        self.headers = headers
        self._body = body

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self._body})
