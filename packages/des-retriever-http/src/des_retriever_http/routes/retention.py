"""`PUT /files/{uid}/retention-policy`: keep a file for longer, as published, and readable."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from ..http.dates import parse_created_at
from ..http.documenting import problems
from ..http.paths import Uid
from ..http.problems import Problem
from ..security.auditing import TIME_KEY
from ..security.principals import principal_of
from ..service import service_of
from ..storage.retention import RetainedError

__all__ = ["router"]

router = APIRouter(tags=["files"])


class RetentionPolicy(BaseModel):
    """How long a file is kept."""

    model_config = ConfigDict(extra="forbid")

    created_at: str = Field(description="As for `GET /files/{uid}`.", examples=["2025-11-25T10:00:00Z"])
    due_date: AwareDatetime = Field(description="Until when it is kept, with an offset; in the future.")

    @field_validator("due_date", mode="before")
    @classmethod
    def _no_number(cls, value: Any) -> Any:
        # Pydantic takes numbers, and texts of them, for seconds or milliseconds, whichever is nearer to now.
        if not isinstance(value, str) or "-" not in value[1:]:
            raise ValueError("expected ISO 8601 with an offset, such as 2035-01-01T00:00:00Z")
        return value


class Extended(BaseModel):
    """The file is kept."""

    uid: str
    key: str = Field(description="Of its copy.")
    location: Literal["extended_retention"] = "extended_retention"
    retention_until: str
    action: Literal["moved", "updated"] = Field(description="Whether the copy is new, or its time was moved on.")
    locked: bool = Field(description="Whether the storage keeps the copy from everybody, by object lock.")


@router.put("/files/{uid}/retention-policy", responses=problems(400, 404, 409, 410, 413, 422, 502, 503))
async def extend_retention(request: Request, uid: Uid, policy: RetentionPolicy) -> Extended:
    """Keep a copy of a file until a time, which can later be moved on and not back.

    Until then the file is not deleted here (409), and it stays readable when its archive is gone. Where the storage has
    object lock, nobody can delete the copy. When the answer is lost, or 503, do it again.
    """
    backend, principal = service_of(request).backend, principal_of(request.scope)
    if backend.retention is None:
        raise Problem(503, "not_configured", "Extended retention not configured")
    if principal is None:
        raise Problem(503, "not_configured", "Extended retention not configured: the service knows nobody who may")
    created_at = parse_created_at(policy.created_at)
    request.scope[TIME_KEY] = policy.created_at
    try:
        done = await backend.extend_retention(uid, created_at, policy.due_date, by=principal.id)
    except RetainedError as error:
        raise Problem(409, error.code, str(error)) from None
    return Extended(
        uid=uid,
        key=done.key,
        retention_until=done.record.retain_until.isoformat(),
        action="moved" if done.is_new else "updated",
        locked=done.record.is_locked,
    )
