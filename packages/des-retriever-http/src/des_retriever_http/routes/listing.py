"""`/days` and `GET /files`: what there is, in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from des_format.store import StoredEntry
from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from ..http.documenting import problems
from ..http.problems import Problem
from ..http.validators import made_at
from ..security.principals import principal_of
from ..service import service_of
from ..storage.backend import Backend
from .paging import MAX_CURSOR, Position

__all__ = ["router"]

router = APIRouter(tags=["listing"])

Day = Annotated[str, Path(description="A UTC day, `YYYYMMDD`.", pattern=r"^[0-9]{8}$")]
Shard = Annotated[str, Path(description="A shard, in hex.", pattern=r"^[0-9A-Fa-f]{1,4}$")]


class Days(BaseModel):
    """The days that have files."""

    days: list[str]


class Shards(BaseModel):
    """The shards of a day that have files, or had some."""

    shards: list[str]


class ArchiveSummary(BaseModel):
    """An archive of a shard."""

    archive_id: str
    entry_count: int = Field(description="Files in it, deleted ones included.")
    size: int = Field(description="Size in bytes.")
    created_at: str


class Archives(BaseModel):
    """The archives that make up a shard, the newest first."""

    archives: list[ArchiveSummary]


class ListedFile(BaseModel):
    """A file in a listing."""

    uid: str
    day: str
    shard: str
    archive_id: str
    size: int


class Files(BaseModel):
    """A page of files, shard by shard, in the order of their uids in each."""

    entries: list[ListedFile]
    next: str | None = Field(description="`cursor` of the next page; null for the last one.")


@router.get("/days", responses=problems(503))
async def get_days(request: Request) -> Days:
    """List the days that have files. All of the storage is listed for it."""
    return Days(days=list(await service_of(request).backend.store.days()))


@router.get("/days/{day}/shards", responses=problems(400, 422, 503))
async def get_shards(request: Request, day: Day) -> Shards:
    """List the shards of a day."""
    return Shards(shards=list(await service_of(request).backend.store.shards(day)))


@router.get("/days/{day}/shards/{shard}/archives", responses=problems(400, 422, 501, 502, 503))
async def get_archives(request: Request, day: Day, shard: Shard) -> Archives:
    """List the archives of a shard; a published layout has no list of them."""
    store = service_of(request).backend.des_store
    if store is None:
        raise Problem(501, "unsupported_operation", "A published layout does not say which archives count")
    rows = await store.archives(day, shard)
    summaries = [
        ArchiveSummary(
            archive_id=row.id,
            entry_count=row.footer.entry_count,
            size=row.size,
            created_at=made_at(row.id, day).isoformat(),
        )
        for row in rows
    ]
    return Archives(archives=summaries)


@router.get("/files", responses=problems(400, 422, 502, 503))
async def list_files(
    request: Request,
    day: Annotated[str, Query(description="A UTC day, `YYYYMMDD`.", pattern=r"^[0-9]{8}$")],
    shard: Annotated[str | None, Query(description="Only this shard.", pattern=r"^[0-9A-Fa-f]{0,4}$")] = None,
    prefix: Annotated[str, Query(description="Only uids that begin so.", max_length=1024)] = "",
    cursor: Annotated[str | None, Query(description="`next` of the page before.", max_length=MAX_CURSOR)] = None,
    limit: Annotated[int, Query(description="Files on a page.", ge=1, le=1000)] = 100,
) -> Files:
    """List the files of a day that are not deleted.

    A page reads the listing of its shards again from their beginning. Files that are added or deleted meanwhile are in
    it or not; no other file is missing, or there twice. A cursor is good for the same `day`, `shard` and `prefix`.
    """
    principal = principal_of(request.scope)
    if principal is not None and not principal.may_list(prefix):
        raise Problem(403, "permission_denied", "Permission denied: give a prefix of uids that are all allowed")
    after = Position.decode(cursor) if cursor else None
    found: list[StoredEntry] = []
    async for stored in _listed(service_of(request).backend, day, shard or None, prefix, after):
        if len(found) == limit:
            return Files(entries=[_shown(one) for one in found], next=Position.of(found[-1]).encode())
        found.append(stored)
    return Files(entries=[_shown(one) for one in found], next=None)


async def _listed(
    backend: Backend, day: str, shard: str | None, prefix: str, after: Position | None
) -> AsyncIterator[StoredEntry]:
    """Yield entries, shard by shard, behind one that was listed before."""
    shards = [shard] if shard is not None else list(await backend.store.shards(day))
    for one in shards:
        is_there = after is not None and int(one, 16) == int(after.shard, 16)
        if after is not None and not is_there and int(one, 16) < int(after.shard, 16):
            continue
        listed = backend.store.list(day, one, prefix)
        async for stored in after.behind(listed) if after is not None and is_there else listed:
            yield stored


def _shown(stored: StoredEntry) -> ListedFile:
    return ListedFile(
        uid=stored.entry.name,
        day=stored.day,
        shard=stored.shard,
        archive_id=stored.archive_id,
        size=stored.entry.size,
    )
