"""The outermost layer: every request gets an id, is counted, and leaves a line in the log if it should."""

from __future__ import annotations

import logging
import random
import re
import secrets
from collections.abc import Callable
from itertools import count
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..http.problems import shown
from .logs import REQUEST_ID
from .metrics import OPERATIONS, RetrieverMetrics

__all__ = ["Requests", "route_of"]

REQUEST = "request"
BROKEN_OFF = "answer_broken_off"

log = logging.getLogger("des_retriever_http.access")

_GIVEN = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_SHOWN_CHARACTERS = 512
_PARSED_BYTES = 1024
_FILES = "/files/"
_LOCATORS = "/locators/"
_CLOSE = (b"connection", b"close")


class Requests:
    """ASGI layer that observes.

    Args:
        app: What it observes.
        metrics: Where it counts.
        log_share: Share of answers below 400 that are logged.
        is_draining: Whether the process is about to stop; then answers end their connections.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: RetrieverMetrics,
        *,
        log_share: float = 0.0,
        is_draining: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._log_share = log_share
        self._is_draining = is_draining
        self._prefix = secrets.token_hex(6)
        self._numbers = count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        request_id = self._id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        seen = _Seen(send, request_id, self._is_draining())
        metrics = self._metrics
        metrics.in_flight += 1
        token = REQUEST_ID.set(request_id)
        try:
            await self._app(scope, receive, seen.send)
        except Exception as error:
            await self._failed(error, seen, scope, receive)
        finally:
            metrics.in_flight -= 1
            self._count(scope, seen, perf_counter() - began)
            REQUEST_ID.reset(token)

    async def _failed(self, error: Exception, seen: _Seen, scope: Scope, receive: Receive) -> None:
        if not seen.status:
            await shown(error, scope)(scope, receive, seen.send)
        elif not seen.is_complete:
            # The server ends the connection, so the client sees that something is missing.
            fields = {"code": getattr(error, "code", "internal_error"), "error": str(error)}
            log.error(BROKEN_OFF, extra=fields, exc_info=None if hasattr(error, "code") else error)

    def _id_of(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == b"x-request-id" and _GIVEN.fullmatch(value):
                given: str = value.decode()
                return given
        return f"{self._prefix}{next(self._numbers):08x}"

    def _count(self, scope: Scope, seen: _Seen, seconds: float) -> None:
        metrics, status, route = self._metrics, seen.status, route_of(scope)
        if not seen.is_complete:
            metrics.incomplete()
        if status:
            metrics.answered(scope["method"], status, route, seconds, seen.sent_bytes)
        if status >= 400 or (self._log_share and random.random() < self._log_share):
            if status == 503 and route.startswith(OPERATIONS):
                return  # A probe was told what it asked for.
            level = logging.INFO if status < 400 else logging.WARNING if status < 500 else logging.ERROR
            if log.isEnabledFor(level):
                log.log(level, REQUEST, extra=_fields(scope, seen, seconds))


class _Seen:
    """What was sent of one answer."""

    __slots__ = ("_is_last", "_request_id", "_send", "is_complete", "sent_bytes", "status")

    def __init__(self, send: Send, request_id: str, is_last: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._is_last = is_last
        self.status = 0
        self.sent_bytes = 0
        self.is_complete = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            # A new list: the application may use its own again.
            message["headers"] = headers = [*message["headers"], (b"x-request-id", self._request_id.encode())]
            if self._is_last:
                headers.append(_CLOSE)
            await self._send(message)
        else:
            await self._send(message)
            self.sent_bytes += len(message["body"])
            self.is_complete = not message.get("more_body", False)


def route_of(scope: Scope) -> str:
    """Return the template of the route that a request took, such as `/files/{uid}`; `other` for none."""
    route = scope.get("route")
    if route is not None:
        template: str = getattr(route, "path", "other")
        return template
    return "/files/{uid}" if scope.get("path_uid") else "other"


def _fields(scope: Scope, seen: _Seen, seconds: float) -> dict[str, Any]:
    """What the log says of a request: nothing of its headers, and of its query only the time."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    fields = {
        "method": scope["method"],
        "path": path.partition(_LOCATORS)[0] + _LOCATORS + "..." if _LOCATORS in path else path[:_SHOWN_CHARACTERS],
        "route": route_of(scope),
        "status": seen.status,
        "seconds": round(seconds, 6),
        "sent_bytes": seen.sent_bytes,
        "client": (scope.get("client") or ("",))[0],
        "request_id": scope["state"]["request_id"],
    }
    if path.startswith(_FILES):
        given = parse_qs(scope["query_string"][:_PARSED_BYTES].decode("latin-1"))
        if times := given.get("created_at"):
            fields["created_at"] = times[0][:64]
    if not seen.is_complete:
        fields["is_complete"] = False
    return fields
