"""What one process takes on: requests and memory at a time, sizes of what it is sent, and time for each.

Probes and metrics are never refused: they tell that a process is busy, and one that is busy must not be killed for it.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .http.problems import Problem, shown
from .observing.metrics import RetrieverMetrics

if TYPE_CHECKING:
    from .settings.limits import LimitSettings

__all__ = ["Shedding"]

STALLED = "answer_stalled"

log = logging.getLogger(__name__)

_ALWAYS = frozenset({"/health", "/health/live", "/health/ready", "/metrics", "/stats/live"})
_FILES = "/files/"
_WITHOUT_BODY = frozenset({"GET", "HEAD"})
_PIECE_BYTES = 256 * 2**10
_WATCH_SECONDS = 0.25
_DIGITS = 30
_RETRY_AFTER = {"Retry-After": "1"}


class Shedding:
    """ASGI layer that refuses what is too much, before it costs anything.

    A large body is passed on in pieces, so the server takes the next one when the client has taken the last: what is
    in memory and not yet taken is known, and bounded. Answers that have not begun count as large as recent ones were.

    Args:
        app: What it protects.
        limits: How much is too much.
        metrics: Where it counts.
    """

    def __init__(self, app: ASGIApp, limits: LimitSettings, metrics: RetrieverMetrics) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._running: set[_Running] = set()
        self._beginning = 0
        self._expected_bytes = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path in _ALWAYS:
            await self._app(scope, receive, send)
            return
        problem = self._too_much() or self._too_large(scope, path)
        if problem is not None:
            await shown(problem, scope)(scope, receive, send)
            return
        running = _Running(self, receive, send)
        self._running.add(running)
        self._beginning += 1
        try:
            await self._app(scope, receive if scope["method"] in _WITHOUT_BODY else running.receive, running.send)
            if running.refusal is not None and not running.has_begun:
                await shown(running.refusal, scope)(scope, receive, send)
        except asyncio.CancelledError:
            if running.expired is None or running.task is None:
                raise
            running.task.uncancel()
            await self._expired(running, scope, receive, send)
        finally:
            if not running.has_begun:
                self._beginning -= 1
            self._running.discard(running)

    async def watch(self) -> None:
        """Look after the time that requests take, for as long as this is awaited."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            now = monotonic()
            for running in list(self._running):
                running.look(now, self._limits)

    def _too_much(self) -> Problem | None:
        reason = ""
        if len(self._running) >= self._limits.max_requests:
            reason = "requests"
        elif self._metrics.waiting_bytes + self._beginning * self._expected_bytes > self._limits.max_answer_bytes:
            reason = "memory"
        if not reason:
            return None
        self._metrics.shed(reason)
        return Problem(503, "overloaded", "The service has too much to do; try again", headers=_RETRY_AFTER)

    def _too_large(self, scope: Scope, path: str) -> Problem | None:
        limits, query, headers = self._limits, scope["query_string"], scope["headers"]
        if len(query) > limits.max_query_bytes:
            return Problem(414, "query_too_long", f"The query is longer than {limits.max_query_bytes} bytes")
        if len(path) * 4 > limits.max_uid_bytes and path.startswith(_FILES):
            size = len(path.encode("utf-8", "surrogateescape")) - len(_FILES)
            if size > limits.max_uid_bytes:
                return Problem(414, "uid_too_long", f"The uid is longer than {limits.max_uid_bytes} bytes")
        if len(headers) > limits.max_header_count:
            return Problem(431, "headers_too_large", f"There are more than {limits.max_header_count} headers")
        size = len(scope.get("raw_path", b"")) + len(query)
        for name, value in headers:
            size += len(name) + len(value) + 4
            if name == b"content-length" and _number(value) > limits.max_body_bytes:
                return _too_long_body(limits)
        if size > limits.max_header_bytes:
            return Problem(431, "headers_too_large", f"The headers are longer than {limits.max_header_bytes} bytes")
        return None

    def began(self, size: int) -> None:
        """Note that an answer has begun, and how large it is if all of it is in memory."""
        self._beginning -= 1
        lead = size - self._expected_bytes
        # Up at once, and slowly down.
        self._expected_bytes += lead if lead > 0 else lead / 64

    def waiting(self, size: int) -> None:
        """Note that so many bytes more, or less, wait for a client."""
        self._metrics.waiting_bytes += size

    @property
    def limits(self) -> LimitSettings:
        """How much is too much."""
        return self._limits

    async def _expired(self, running: _Running, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.timed_out(running.expired or "deadline")
        if running.has_begun:
            # Nothing more is sent, so the server ends the connection.
            log.warning(STALLED)
            return
        problem = Problem(503, "deadline_exceeded", "The storage took too long; try again", headers=_RETRY_AFTER)
        await shown(problem, scope)(scope, receive, send)


class _Running:
    """A request under way."""

    __slots__ = (
        "_body_bytes",
        "_owner",
        "_progress_at",
        "_receive",
        "_send",
        "_start",
        "expired",
        "has_begun",
        "refusal",
        "task",
    )

    def __init__(self, owner: Shedding, receive: Receive, send: Send) -> None:
        self._owner = owner
        self._receive = receive
        self._send = send
        self._progress_at = monotonic()
        self._body_bytes = 0
        self._start: Message | None = None
        self.has_begun = False
        self.task = asyncio.current_task()
        self.expired: str | None = None
        self.refusal: Problem | None = None

    def look(self, now: float, limits: LimitSettings) -> None:
        """End it if it has rested for too long."""
        kind, most = "deadline", limits.request_timeout_seconds
        if self.has_begun:
            kind, most = "stall", limits.stall_timeout_seconds
        if self.expired is None and self.task is not None and now - self._progress_at > most:
            self.expired = kind
            self.task.cancel()

    async def receive(self) -> Message:
        """Receive a body, up to the limit."""
        message = await self._receive()
        self._body_bytes += len(message.get("body", b""))
        if self._body_bytes > self._owner.limits.max_body_bytes:
            # Whatever the reader of the body makes of the error, the client gets the refusal.
            self.refusal = _too_long_body(self._owner.limits)
            raise self.refusal
        return message

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on."""
        if self.refusal is not None and not self.has_begun:
            return
        if message["type"] == "http.response.start":
            # Kept until its body is there: only then is it known how large the answer is.
            self._start = message
            return
        body = message.get("body", b"")
        if self._start is not None:
            start, self._start = self._start, None
            self.has_begun = True
            self._owner.began(0 if message.get("more_body") else len(body))
            await self._send(start)
        if len(body) > _PIECE_BYTES:
            await self._send_pieces(memoryview(body), message.get("more_body", False))
        else:
            await self._send(message)
        self._progress_at = monotonic()

    async def _send_pieces(self, body: memoryview, more_body: bool) -> None:
        self._owner.waiting(len(body))
        try:
            for at in range(0, len(body), _PIECE_BYTES):
                piece = body[at : at + _PIECE_BYTES]
                is_last = at + _PIECE_BYTES >= len(body)
                await self._send({"type": "http.response.body", "body": piece, "more_body": more_body or not is_last})
                self._progress_at = monotonic()
        finally:
            self._owner.waiting(-len(body))


def _too_long_body(limits: LimitSettings) -> Problem:
    return Problem(413, "body_too_large", f"The body is longer than {limits.max_body_bytes} bytes")


def _number(value: bytes) -> int:
    # Python reads no more than some thousand digits; one who sends that many means a large body.
    return int(value[:_DIGITS]) if value.isdigit() else 0
