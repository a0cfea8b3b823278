"""`GET /files/{uid}/meta`: what the archive says about a file."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field

from ..http.dates import parse_created_at
from ..http.documenting import CreatedAt, problems
from ..http.paths import Uid
from ..http.representation import content_type_of
from ..http.validators import validators_of
from ..service import service_of

__all__ = ["FileMeta", "router"]

router = APIRouter(tags=["files"])


class FileMeta(BaseModel):
    """What the archive says about a file."""

    uid: str
    day: str = Field(description="Its UTC day, `YYYYMMDD`.")
    shard: str = Field(description="Its shard, in hex.")
    archive_id: str
    size: int = Field(description="Size in bytes.")
    stored_size: int = Field(description="Bytes that it takes in the archive; 0 for a file beside it.")
    codec: str = Field(description="How it is compressed: `none`, `zstd` or `lz4`.")
    external: bool = Field(description="Whether it lies beside the archive, under its SHA-256.")
    sha256: str | None = None
    content_type: str
    etag: str
    last_modified: str
    meta: dict[str, Any] = Field(description="What its writer added.")


@router.get("/files/{uid}/meta", responses=problems(400, 404, 410, 422, 502, 503))
async def get_meta(
    request: Request,
    uid: Uid,
    created_at: CreatedAt,
    cache_control: Annotated[str, Header(description="`no-cache` sees deletions at once.")] = "",
) -> FileMeta:
    """Tell what the archive says about a file, without reading its payload."""
    service = service_of(request)
    stored = await service.backend.describe(
        uid, parse_created_at(created_at), fresh="no-cache" in cache_control.lower()
    )
    entry = stored.entry
    validators = validators_of(stored)
    return FileMeta(
        uid=uid,
        day=stored.day,
        shard=stored.shard,
        archive_id=stored.archive_id,
        size=entry.size,
        stored_size=entry.stored_size,
        codec=entry.codec.name.lower(),
        external=entry.is_external,
        sha256=entry.sha256,
        content_type=content_type_of(entry.meta),
        etag=validators.etag,
        last_modified=validators.modified.isoformat(),
        meta=dict(entry.meta),
    )
