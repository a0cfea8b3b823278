"""`GET /files/{uid}/history`: who deleted a file, when and why."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ..http.dates import parse_created_at
from ..http.documenting import CreatedAt, problems
from ..http.paths import Uid
from ..http.problems import Problem
from ..service import service_of

__all__ = ["router"]

router = APIRouter(tags=["files"])


class Deleted(BaseModel):
    """A deletion of the file."""

    sequence: int = Field(description="Number of the commit in the file's shard.")
    operation: Literal["delete"] = "delete"
    at: str
    by: str
    reason: str
    ticket: str | None


class History(BaseModel):
    """What was done to a file since the horizon of its shard's history, the oldest first."""

    uid: str
    commits: list[Deleted]


@router.get("/files/{uid}/history", responses=problems(400, 422, 501, 502, 503))
async def get_history(request: Request, uid: Uid, created_at: CreatedAt) -> History:
    """Tell who deleted a file, when and why; also of one that is deleted, or never was there."""
    store = service_of(request).backend.des_store
    if store is None:
        raise Problem(501, "unsupported_operation", "A published layout keeps no history")
    where, name = store.engine.reads.locate(uid, parse_created_at(created_at))
    commits = [
        Deleted(
            sequence=commit.sequence,
            at=tombstone.at.isoformat(),
            by=tombstone.by,
            reason=tombstone.reason,
            ticket=tombstone.ticket,
        )
        for commit in await store.history(where.day, where.shard)
        for tombstone in commit.tombstones
        if tombstone.uid == name and commit.operation == "delete"
    ]
    return History(uid=uid, commits=commits)
