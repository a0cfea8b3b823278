"""`create_app`: the service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from des_format.errors import DesError
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .document import describe_service
from .http.heads import head_routes
from .http.paths import EntryPaths
from .http.problems import Problem, shown
from .routes import batch, deletion, history, listing, locators, meta, retention
from .routes.console import console_routes
from .routes.files import FileEndpoint, file_routes
from .service import Service
from .settings import Settings
from .storage.opening import open_backend

__all__ = ["create_app"]

_TITLE = "Data Easy Store retriever"


def create_app(settings: Settings | None = None, **arguments: Any) -> FastAPI:
    """Make the service. The store is opened when it starts, and closed when it stops.

    Args:
        settings: How it runs; None to read the environment.
        arguments: Settings that beat the environment.

    Raises:
        ConfigurationError: The environment, or an argument, is not what the service understands.
    """
    if settings is None:
        settings = Settings.read(**arguments)
    service = Service(settings)
    app = Retriever(
        title=_TITLE,
        version=version("des-retriever-http"),
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url="/docs" if settings.docs else None,
        redoc_url="/redoc" if settings.docs else None,
    )
    app.state.service = service
    files = FileEndpoint(service)
    app.router.routes.extend(file_routes(files))
    app.router.routes.append(locators.locator_route(service))
    if settings.console:
        app.router.routes.extend(console_routes())
    for part in (meta, batch, deletion, retention, history, listing, locators):
        app.include_router(part.router)
    app.router.routes.extend(head_routes(listing.router))
    app.front = EntryPaths(*(_guarded(service, one) for one in (app.routed, files)))
    for kind in (Problem, DesError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _show)
    app.openapi = lambda: describe_service(app, settings)  # type: ignore[method-assign]
    return app


class Retriever(FastAPI):
    """A FastAPI application whose requests pass the service's own ASGI layers first.

    Attributes:
        front: The outermost of them; the innermost calls `routed`.
    """

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope["app"] = self
            await self.front(scope, receive, send)
        else:
            await self.routed(scope, receive, send)

    async def routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve by the routes of FastAPI."""
        await super().__call__(scope, receive, send)


def _guarded(service: Service, app: ASGIApp) -> ASGIApp:
    """Put the gate before an application, if there are credentials at all."""
    if not service.settings.has_gate:
        return app
    from .security.gate import Gate

    # Both are asked late: they are set when the service starts.
    return Gate(app, lambda: service.guards, lambda result: service.count_access(result))  # noqa: PLW0108


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    async with open_backend(service.settings) as backend, service.guarded():
        service.backend = backend
        try:
            yield
        finally:
            service.backend = None


async def _show(request: Request, error: Exception) -> Response:
    return shown(error, request.scope)
