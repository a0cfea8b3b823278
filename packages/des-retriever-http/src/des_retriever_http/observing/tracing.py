"""OpenTelemetry spans, for those who ask for them: one for each request, and one for each read of the storage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from des_format.errors import ConfigurationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .requests import route_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["Traced", "Tracing", "open_tracing"]

_NAME = "des_retriever_http"
_PROPAGATED = ("traceparent", "tracestate")


class Tracing:
    """Makes spans. Whether they go anywhere is up to the OpenTelemetry SDK that the process has set up.

    Args:
        provider: Where they go; None for the one of the process.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._api = trace
        self._tracer = trace.get_tracer(_NAME, tracer_provider=provider)
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span]:
        """A server span, below the span of the caller, if the headers name one."""
        carrier = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name.decode("latin-1") in _PROPAGATED
        }
        method = scope["method"]
        with self._tracer.start_as_current_span(
            method,
            context=self._propagator.extract(carrier),
            kind=self._api.SpanKind.SERVER,
            attributes={"http.request.method": method, "url.scheme": scope.get("scheme", "http")},
        ) as span:
            yield span

    def answered(self, span: Span, method: str, route: str, status: int) -> None:
        """Complete a server span."""
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_status(self._api.Status(self._api.StatusCode.ERROR))

    @contextmanager
    def read(self, operation: str, attributes: Mapping[str, Any]) -> Iterator[None]:
        """A span of a read of the storage."""
        with self._tracer.start_as_current_span(
            f"storage {operation}", kind=self._api.SpanKind.CLIENT, attributes=dict(attributes)
        ):
            yield


class Traced:
    """ASGI layer that makes a span of each request.

    Args:
        app: What it makes spans of.
        tracing: Makes them.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def seen(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        with self._tracing.request(scope) as span:
            try:
                await self._app(scope, receive, seen)
            finally:
                self._tracing.answered(span, scope["method"], route_of(scope), status)


def open_tracing(enabled: bool) -> Tracing | None:
    """Return what makes spans, or None for none.

    Raises:
        ConfigurationError: Spans are asked for, and OpenTelemetry is not installed.
    """
    if not enabled:
        return None
    try:
        return Tracing()
    except ImportError as error:
        raise ConfigurationError("DES_TRACING needs pip install 'des-retriever-http[otel]'") from error
