"""`/locators/{token}`: files by links that are signed and end by themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from des_format.errors import EntryDeletedError, InvalidLocatorError, NotFoundError
from des_format.store import AsyncDesStore
from des_format.store.model.locators import decode
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.types import Receive, Scope, Send

from ..http.dates import parse_created_at
from ..http.documenting import CreatedAt, ServedRoute, problems
from ..http.paths import Uid
from ..http.problems import Problem, shown
from ..service import Service, service_of
from ..storage.backend import Fetched
from .files import answer_with, described_responses, headers_of

__all__ = ["locator_route", "router"]

router = APIRouter(tags=["locators"])

_PRIVATE = b"private, no-store"
_OUTDATED = Problem(404, "locator_outdated", "The file was moved since the link was made; ask for a new one")


class Link(BaseModel):
    """A link to a file."""

    token: str = Field(description="The locator. It is all that it takes to read the file, so keep it like a password.")
    url: str = Field(description="Where it can be read, relative to the root of the service.")
    expires_at: str


@router.post("/files/{uid}/locator", status_code=201, responses=problems(400, 404, 410, 422, 502, 503))
async def make_locator(
    request: Request,
    response: Response,
    uid: Uid,
    created_at: CreatedAt,
    ttl_seconds: Annotated[int, Query(description="How long the link is valid.", ge=1)] = 3600,
) -> Link:
    """Make a link with which anyone can read a file, until it expires, or the file is deleted or moved by maintenance.

    The service looks the file up for it, and reads by it with one request to the storage.
    """
    service = service_of(request)
    store = _store(service)
    if ttl_seconds > service.settings.locator_max_seconds:
        raise Problem(400, "invalid_input", f"ttl_seconds is at most {service.settings.locator_max_seconds} here")
    expires_at = (datetime.now(UTC) + timedelta(seconds=ttl_seconds)).replace(microsecond=0)
    locator = await store.locator(uid, parse_created_at(created_at), expires_at=expires_at)
    token = locator.encode(service.settings.signing_keys()[0])
    response.headers["Cache-Control"] = "no-store"
    return Link(token=token, url=f"locators/{token}", expires_at=expires_at.isoformat())


def locator_route(service: Service) -> ServedRoute:
    """Return the route that reads by a link."""
    return ServedRoute(
        "/locators/{token}",
        get_located,
        served_by=_Located(service),
        methods=["GET"],
        responses=described_responses(403),
        response_model=None,
        tags=["locators"],
    )


async def get_located(token: Annotated[str, Path(description="The link's token.")]) -> None:
    """Read a file by a link; ranges and conditions as for the file itself. The link is the credential."""


class _Located:
    """ASGI application that answers with the file that a link names."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            service = self._service
            limit = service.settings.fetch_bytes
            locator = decode(scope["path_params"]["token"], _keys(service), now=datetime.now(UTC))
            stored, payload, _codec = await _store(service).read_located(locator, limit_bytes=limit)
            found = Fetched(stored, payload if stored.entry.size <= limit else None)
            day = datetime.strptime(stored.day, "%Y%m%d").replace(tzinfo=UTC)
            service.audit_link(scope, stored.entry.name, day)
            answer = await answer_with(
                service, found, stored.entry.name, day, headers=headers_of(scope), cache_control=_PRIVATE
            )
        except NotFoundError as error:
            gone = isinstance(error, EntryDeletedError)
            answer = shown(error if gone else _OUTDATED, scope)
        except InvalidLocatorError as error:
            self._service.audit_refused_link(scope, error.code)
            answer = shown(error, scope)
        except Exception as error:
            answer = shown(error, scope)
        await answer(scope, receive, send)


def _keys(service: Service) -> list[bytes]:
    keys = service.settings.signing_keys()
    if not keys:
        raise Problem(503, "not_configured", "Locators not configured")
    return keys


def _store(service: Service) -> AsyncDesStore:
    _keys(service)
    store = service.backend.des_store
    if store is None:
        raise Problem(503, "unsupported_operation", "Locators not supported for this backend")
    return store
