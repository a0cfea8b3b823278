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

from .http.documenting import ProblemModel
from .http.paths import EntryPaths
from .http.problems import Problem, problem_of, problem_response
from .routes import meta
from .routes.files import file_routes
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
    app = FastAPI(
        title=_TITLE,
        version=version("des-retriever-http"),
        lifespan=_lifespan,
        redirect_slashes=False,
        docs_url="/docs" if settings.docs else None,
        redoc_url="/redoc" if settings.docs else None,
    )
    app.state.service = service
    app.router.routes.extend(file_routes(service))
    app.include_router(meta.router)
    app.add_middleware(EntryPaths)
    for kind in (Problem, DesError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _show)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    async with open_backend(service.settings) as backend:
        service.backend = backend
        try:
            yield
        finally:
            service.backend = None


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document of the routes, with the one schema of all errors."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = ProblemModel.model_json_schema()
        app.openapi_schema = document
    return app.openapi_schema


async def _show(request: Request, error: Exception) -> Response:
    return problem_response(request, problem_of(error))
