"""OpenAPI for what is no ordinary function of FastAPI, and what all routes say of errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import ASGIApp

from .problems import PROBLEM_TYPE

__all__ = ["CreatedAt", "ProblemModel", "ServedRoute", "problems"]

CreatedAt = Annotated[
    str,
    Query(
        description="When it was created: ISO 8601 with an offset, in which + is sent as %2B. Its UTC day counts.",
        examples=["2025-11-25T10:00:00Z"],
        json_schema_extra={"format": "date-time"},
    ),
]

_MEANINGS = {
    400: "The request is malformed",
    401: "Credentials are missing or wrong",
    403: "The credentials do not allow it",
    404: "There is no such file",
    409: "It contradicts what is there",
    410: "It was deleted, or has expired",
    412: "The file is another version",
    413: "The body is over its limit",
    414: "The query, or the uid, is over its limit",
    416: "No byte of the range is in the file",
    422: "A parameter is missing or has the wrong type",
    429: "Too many requests",
    431: "The headers are over their limit",
    501: "The storage cannot do this",
    502: "The stored data is damaged",
    503: "The storage, or the service, is unavailable; try again",
}

_OF_LIMITS = (413, 414, 431, 503)


class ProblemModel(BaseModel):
    """Problem details, as RFC 9457 has them."""

    type: str = Field(examples=["urn:des:error:entry_not_found"])
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable and machine-readable.")
    request_id: str | None = None


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what a route documents of its errors; those of limits, which all routes have, are added."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _MEANINGS[status], "content": content} for status in sorted({*statuses, *_OF_LIMITS})
    }


class ServedRoute(APIRoute):
    """A route that a function's signature and docstring document, and that an ASGI application serves.

    Args:
        path: The path.
        document: The function; it is never called.
        served_by: The application.
        arguments: As for `APIRoute`.
    """

    def __init__(self, path: str, document: Callable[..., Any], *, served_by: ASGIApp, **arguments: Any) -> None:
        # Without it the document would say that all answers are JSON too.
        arguments.setdefault("response_class", Response)
        super().__init__(path, document, **arguments)
        self.app = served_by
