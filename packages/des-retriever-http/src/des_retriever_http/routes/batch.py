"""`POST /batch`: many files in one answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, InstanceOf

from ..batches.packing import Frames, Packing, Tar, Zip
from ..batches.reading import Outcome, Wanted, outcomes
from ..http.documenting import problems
from ..security.principals import principal_of
from ..service import Service, service_of

__all__ = ["router"]

router = APIRouter(tags=["files"])

_MAX_FILES = 10_000
# What is sent at once; small files are gathered up to it.
_GATHERED_BYTES = 256 * 2**10
_PACKINGS: dict[str, type[Packing]] = {"frames": Frames, "tar": Tar, "zip": Zip}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_DOCUMENTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The files, in the order in which they were asked for",
        "content": {one.content_type: _BINARY for one in _PACKINGS.values()},
    },
    **problems(400, 413, 422, 503),
}


class BatchFile(BaseModel):
    """A file that is asked for."""

    model_config = ConfigDict(extra="forbid")

    # Any text of JSON, also one that is no Unicode: what is wrong with one file must not refuse the others.
    uid: InstanceOf[str] = Field(
        description="Up to 65,535 bytes of UTF-8, as it is; a malformed one is told by the status of its file."
    )
    created_at: InstanceOf[str] = Field(
        description="As for `GET /files/{uid}`; a malformed one is told by the status of its file.",
        examples=["2025-11-25T10:00:00Z"],
    )


class Batch(BaseModel):
    """Files that are asked for."""

    model_config = ConfigDict(extra="forbid")

    files: list[BatchFile] = Field(min_length=1, max_length=_MAX_FILES)


@router.post("/batch", responses=_DOCUMENTED, response_class=StreamingResponse)
async def read_batch(
    request: Request,
    batch: Batch,
    format: Annotated[Literal["frames", "tar", "zip"], Query(description="How the files are packed.")] = "frames",
) -> StreamingResponse:
    """Read up to 10,000 files with one answer, which is sent while it is read.

    Each file has a status, as `GET /files/{uid}` has it. In `frames` it is in the header before the payload: four
    bytes with the header's length (big-endian), the header as JSON (`uid`, `created_at`, `status`, `size`, and
    `content_type`, `etag`, `last_modified`, or `code` and `detail`), then `size` bytes; a length of 0 ends the answer.
    In `tar` and `zip`, the last member `des-batch.json` lists all files with their statuses and the names of their
    members. An answer without its end was cut off: what fails in the middle of a payload breaks the connection.
    """
    service, principal = service_of(request), principal_of(request.scope)
    if principal is not None:
        await service.guards.quotas.charge(principal, len(batch.files) - 1)
    files = [Wanted(one.uid, one.created_at) for one in batch.files]
    read = outcomes(service.backend, principal, files, fetch_bytes=service.settings.fetch_bytes)
    stream = _packed(service, request, read, _PACKINGS[format]())
    # Whatever fails before anything is sent is told by the status of the answer.
    first = await anext(stream)
    return StreamingResponse(_all(first, stream), media_type=_PACKINGS[format].content_type, headers=_HEADERS)


_HEADERS = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}


async def _packed(
    service: Service, request: Request, read: AsyncIterator[Outcome], packing: Packing
) -> AsyncIterator[bytes]:
    """Yield the answer, small parts of it gathered."""
    gathered: list[bytes] = []
    size = 0
    async for outcome in read:
        service.audit_read(request.scope, outcome.wanted.uid, outcome.wanted.created_at, _status(outcome))
        async for part in _parts(outcome, packing):
            gathered.append(part)
            size += len(part)
            if size >= _GATHERED_BYTES:
                yield b"".join(gathered)
                gathered, size = [], 0
    yield b"".join([*gathered, packing.end()])


async def _parts(outcome: Outcome, packing: Packing) -> AsyncIterator[bytes]:
    yield packing.begin(outcome)
    if outcome.pieces is not None:
        async for piece in outcome.pieces:
            yield packing.piece(piece)
        yield packing.finish()


def _status(outcome: Outcome) -> int:
    return 200 if outcome.problem is None else outcome.problem.status


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part
