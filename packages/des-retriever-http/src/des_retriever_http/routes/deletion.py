"""`DELETE /files/{uid}`: the deletion of a file, as the published retriever had it, but one that holds."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from ..http.dates import parse_created_at
from ..http.documenting import CreatedAt, problems
from ..http.paths import Uid
from ..http.problems import Problem
from ..security.principals import principal_of
from ..service import service_of
from ..storage.fallback import OriginalRemainsError
from ..storage.retention import RetainedError

__all__ = ["router"]

router = APIRouter(tags=["files"])


class Reason(StrEnum):
    """Why a file is deleted."""

    GDPR = "GDPR"
    RETENTION_EXPIRED = "retention_expired"
    USER_REQUEST = "user_request"


class Tombstoned(BaseModel):
    """The file is deleted: no read that begins from now on through this process finds it."""

    status: Literal["tombstoned"] = "tombstoned"
    sequence: int = Field(description="Number of the commit in the file's shard.")


@router.delete("/files/{uid}", responses=problems(400, 404, 409, 410, 422, 502, 503))
async def delete_file(
    request: Request,
    uid: Uid,
    created_at: CreatedAt,
    reason: Annotated[Reason, Query(description="Why.")],
    deleted_by: Annotated[str, Query(description="Who asks for it; kept in the history.", max_length=256)] = "",
    ticket_id: Annotated[str | None, Query(description="Reference of the request.", max_length=256)] = None,
) -> Tombstoned:
    """Delete a file, by one commit in its shard.

    Other processes see it within `DES_MANIFEST_TTL_SECONDS`, or at once for who asks with `Cache-Control: no-cache`.
    When the answer is lost, or 503, do it again: it is 410 if it was done.
    """
    service = service_of(request)
    principal = principal_of(request.scope)
    if principal is None:
        raise Problem(503, "not_configured", "Delete API not configured: the service knows nobody who may")
    if not deleted_by.strip():
        raise Problem(400, "invalid_input", "deleted_by is required")
    time = parse_created_at(created_at)
    if service.backend.des_store is None:
        raise Problem(503, "unsupported_operation", "Deletion not supported for this backend")
    try:
        sequence = await service.backend.delete(
            uid, time, reason=reason.value, by=f"{deleted_by.strip()} ({principal.id})", ticket=ticket_id or None
        )
    except (RetainedError, OriginalRemainsError) as error:
        raise Problem(409, error.code, str(error)) from None
    return Tombstoned(sequence=sequence)
