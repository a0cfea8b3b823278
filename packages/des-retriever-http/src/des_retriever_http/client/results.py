"""What the service tells, as objects; members that this version does not know are left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from .problems import UnexpectedAnswerError

__all__ = ["Deletion", "FileMeta", "Link", "ListedFile", "Page", "Retained", "decoded", "text_of"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What the archive says about a file.

    Attributes:
        uid: Its uid.
        day: Its UTC day, `YYYYMMDD`.
        shard: Its shard, in hex.
        archive_id: The archive that has it.
        size: Size in bytes.
        stored_size: Bytes that it takes in the archive; 0 for a file beside it.
        codec: How it is compressed: `none`, `zstd` or `lz4`.
        external: Whether it lies beside the archive, under its SHA-256.
        sha256: That, if it does.
        content_type: Its media type.
        etag: Its strong entity tag, with its quotes.
        last_modified: When the archive was made.
        meta: What its writer added.
    """

    uid: str
    day: str
    shard: str
    archive_id: str
    size: int
    stored_size: int
    codec: str
    external: bool
    sha256: str | None
    content_type: str
    etag: str
    last_modified: datetime
    meta: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> FileMeta:
        """Read it from JSON."""
        return cls(
            uid=text_of(found["uid"]),
            day=text_of(found["day"]),
            shard=text_of(found["shard"]),
            archive_id=text_of(found["archive_id"]),
            size=int(found["size"]),
            stored_size=int(found["stored_size"]),
            codec=text_of(found["codec"]),
            external=bool(found["external"]),
            sha256=found.get("sha256"),
            content_type=text_of(found["content_type"]),
            etag=text_of(found["etag"]),
            last_modified=datetime.fromisoformat(found["last_modified"]),
            meta=dict(found.get("meta") or {}),
        )


@dataclass(frozen=True, slots=True)
class Deletion:
    """A deletion of a file.

    Attributes:
        sequence: Number of the commit in the file's shard.
        at: When.
        by: Who asked for it.
        reason: Why.
        ticket: Reference of the request.
    """

    sequence: int
    at: datetime
    by: str
    reason: str
    ticket: str | None

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Deletion:
        """Read it from JSON."""
        return cls(
            sequence=int(found["sequence"]),
            at=datetime.fromisoformat(found["at"]),
            by=text_of(found["by"]),
            reason=text_of(found["reason"]),
            ticket=found.get("ticket"),
        )


@dataclass(frozen=True, slots=True)
class Retained:
    """A file that is kept.

    Attributes:
        key: Of its copy, where the service keeps such.
        until: Until when it is kept.
        is_new: Whether it was put there now; otherwise its time was moved on.
        is_locked: Whether the storage keeps the copy from everybody, by object lock.
    """

    key: str
    until: datetime
    is_new: bool
    is_locked: bool

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> Retained:
        """Read it from JSON."""
        return cls(
            key=text_of(found["key"]),
            until=datetime.fromisoformat(found["retention_until"]),
            is_new=found["action"] == "moved",
            is_locked=bool(found["locked"]),
        )


@dataclass(frozen=True, slots=True)
class Link:
    """A link with which anyone can read a file, until it expires.

    Attributes:
        token: For `get_located`. It is all that it takes, so keep it like a password.
        url: The address that it makes.
        expires_at: When it ends.
    """

    token: str = field(repr=False)
    url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file in a listing.

    Attributes:
        uid: Its uid.
        day: Its UTC day, `YYYYMMDD`.
        shard: Its shard, in hex.
        archive_id: The archive that has it.
        size: Size in bytes.
    """

    uid: str
    day: str
    shard: str
    archive_id: str
    size: int

    @classmethod
    def parse(cls, found: Mapping[str, Any]) -> ListedFile:
        """Read it from JSON."""
        uid, day, shard, archive = (text_of(found[name]) for name in ("uid", "day", "shard", "archive_id"))
        return cls(uid, day, shard, archive, int(found["size"]))


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing.

    Attributes:
        files: Its files.
        cursor: Where the next one begins; None for the last page.
    """

    files: tuple[ListedFile, ...]
    cursor: str | None


def text_of(value: Any) -> str:
    """Return a value that must be text.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {type(value).__name__}")
    return value


def decoded(what: str, body: bytes, parse: Callable[[Any], T]) -> T:
    """Return what a body in JSON says.

    Args:
        what: What was asked for.
        body: The body.
        parse: Makes a result of what it holds.

    Raises:
        UnexpectedAnswerError: It says something else.
    """
    try:
        return parse(json.loads(body))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnexpectedAnswerError(
            f"{what}: the answer is not as expected ({type(error).__name__}: {error})"
        ) from error
