"""Many files with few requests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from des_format.errors import CorruptArchiveError, DesError

from .arguments import CreatedAt, FileKey, Uid, file_key
from .downloads import FileHead
from .frames import Frame, FrameDecoder
from .messages import IDENTITY, Head, Request
from .problems import HttpProblem, UnexpectedAnswerError, error_of

__all__ = ["BATCH_FILES", "BatchFile", "BatchTransfer", "parts"]

BATCH_FILES = 10_000
# The service takes bodies of 4 MiB, if it is not told otherwise.
_BATCH_BYTES = 2 * 2**20
_BODY_TYPE = "application/vnd.des.frames"


@dataclass(frozen=True, slots=True)
class BatchFile:
    """A file of a batch, or why it is not there.

    Attributes:
        uid: Its uid.
        created_at: When it was created, in UTC.
        status: As for a request for it alone: 200, 404, 410, 502, 503, 400 or 403.
        payload: All of it; None if the status is not 200.
        code: Of the error, stable and machine-readable; empty for 200.
        detail: What happened; empty for 200.
        content_type: Its media type; empty if there is no file.
        etag: Its strong entity tag; empty if there is no file.
        last_modified: When its archive was made, as HTTP writes it; empty if there is no file.
    """

    uid: str
    created_at: datetime
    status: int
    payload: bytes | None = field(repr=False)
    code: str = ""
    detail: str = ""
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""

    @property
    def error(self) -> DesError | None:
        """The error that `get` would raise; None for none."""
        if self.payload is not None:
            return None
        what = str(FileKey(self.uid, self.created_at))
        return error_of(what, HttpProblem(self.status, self.code, self.detail))

    @classmethod
    def whole(cls, key: FileKey, head: FileHead, payload: bytes) -> BatchFile:
        """Return a file that was read by itself."""
        return cls(*key, 200, payload, "", "", head.content_type, head.etag, head.last_modified)

    @classmethod
    def damaged(cls, key: FileKey, error: CorruptArchiveError) -> BatchFile:
        """Return a file that was read by itself, and is not what its checksum says."""
        detail = error.__cause__.detail if isinstance(error.__cause__, HttpProblem) else "The file is damaged"
        return cls(*key, 502, None, error.code, detail)

    def read(self) -> bytes:
        """Return the payload.

        Raises:
            DesError: As `get`.
        """
        if self.payload is None:
            raise self.error or UnexpectedAnswerError(f"{self.uid!r} has neither a payload nor an error")
        return self.payload


def parts(files: Iterable[tuple[Uid, CreatedAt]]) -> Iterator[list[FileKey]]:
    """Yield what one request each asks for: up to 10,000 files, and less of those with very long uids.

    Raises:
        InvalidInputError: As `file_key`.
    """
    part: list[FileKey] = []
    size = 0
    for uid, created_at in files:
        key = file_key(uid, created_at)
        length = len(_shown(key))
        if part and (len(part) == BATCH_FILES or size + length > _BATCH_BYTES):
            yield part
            part, size = [], 0
        part.append(key)
        size += length
    if part:
        yield part


class BatchTransfer:
    """The files of one request; what was cut off is asked for again, without those that came.

    Args:
        files: What is asked for; not empty.
    """

    def __init__(self, files: Sequence[FileKey]) -> None:
        self._files = files
        self._count = 0
        self._decoder = FrameDecoder()

    @property
    def complete(self) -> bool:
        """Whether all files have come."""
        return self._count == len(self._files)

    @property
    def unfinished(self) -> FileKey | None:
        """The file in whose payload the last answer broke off, if it can be asked for by itself; else None.

        The service ends an answer so when a large payload proves to be damaged after most of it was sent.
        """
        if self.complete or self._decoder.pending is None or not self._files[self._count].has_path:
            return None
        return self._files[self._count]

    def settle(self) -> None:
        """Take that the next file came otherwise."""
        self._count += 1
        self._decoder = FrameDecoder()

    def request(self) -> Request:
        """Return the request for the files that are not there yet."""
        files = self._files[self._count :]
        body = b'{"files":[' + b",".join(_shown(key) for key in files) + b"]}"
        headers = {**IDENTITY, "Accept": f"{_BODY_TYPE}, application/problem+json", "Content-Type": "application/json"}
        return Request(f"batch of {len(files)} files", "POST", "/batch?format=frames", headers, body)

    def begin(self, head: Head) -> None:
        """Take the head of an answer that is no error.

        Raises:
            UnexpectedAnswerError: It has no frames.
        """
        found = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        if (head.status, found, head.coding) != (200, _BODY_TYPE, "identity"):
            raise UnexpectedAnswerError(
                f"a batch was answered with status {head.status}, type {found!r} and coding {head.coding!r}"
            )
        self._decoder = FrameDecoder()

    def feed(self, data: bytes) -> list[BatchFile]:
        """Take bytes of the body; return the files that are whole with them.

        Raises:
            UnexpectedAnswerError: They are no frames, or other files than were asked for.
        """
        files = [self._next(frame) for frame in self._decoder.feed(data)]
        if self._decoder.ended and not self.complete:
            raise UnexpectedAnswerError(f"a batch has {self._count} files, {len(self._files)} were asked for")
        return files

    def end(self) -> list[BatchFile]:
        """Take that the body has ended.

        Raises:
            UnavailableError: Its end mark is missing.
        """
        self._decoder.close()
        return []

    def _next(self, frame: Frame) -> BatchFile:
        header = frame.header
        if self.complete:
            raise UnexpectedAnswerError(f"a batch has more than the {self._count} files that were asked for")
        key = self._files[self._count]
        status = header.get("status")
        if header.get("uid") != key.uid or type(status) is not int:
            raise UnexpectedAnswerError(f"a frame is not that of {key}, which is the next one")
        self._count += 1

        def text(name: str) -> str:
            value = header.get(name)
            return value if isinstance(value, str) else ""

        return BatchFile(
            *key,
            status,
            frame.payload if status == 200 else None,
            code=text("code"),
            detail=text("detail"),
            content_type=text("content_type"),
            etag=text("etag"),
            last_modified=text("last_modified"),
        )


def _shown(key: FileKey) -> bytes:
    return json.dumps({"uid": key.uid, "created_at": key.time}, ensure_ascii=False).encode()
