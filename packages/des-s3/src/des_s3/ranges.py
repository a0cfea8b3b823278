"""Range headers, and what an answer's headers say of the object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from des_format.errors import InvalidInputError, UnavailableError
from des_format.ports.objects import GetOptions, ObjectMeta

__all__ = ["content_range", "describe", "has_no_bytes", "range_header"]

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def range_header(key: str, options: GetOptions) -> str | None:
    """Return the value of a `Range` header; None for the whole object.

    Raises:
        InvalidInputError: The range is negative, or ends before it starts.
    """
    chosen = options.get("range")
    match chosen:
        case None:
            return None
        case {"suffix": int(length)} if length >= 0:
            return f"bytes=-{length}"
        case {"offset": int(start)} if start >= 0:
            return f"bytes={start}-"
        case [int(start), int(end)] if 0 <= start <= end:
            return f"bytes={start}-{end - 1}"
    raise InvalidInputError(f"range {chosen!r} of object {key!r} is negative, ends before it starts, or is no range")


def has_no_bytes(options: GetOptions) -> bool:
    """Whether the range is empty: such a one cannot be asked for, `bytes=8-7` brings the whole object."""
    match options.get("range"):
        case {"suffix": 0}:
            return True
        case [start, end]:
            return start == end
    return False


def content_range(key: str, header: str) -> tuple[int, int, int]:
    """Return start, end (exclusive) and size of the object from a `Content-Range` header.

    Raises:
        UnavailableError: It is malformed.
    """
    match = _CONTENT_RANGE.match(header)
    if match is None:
        raise UnavailableError(f"object {key!r}: the answer's Content-Range is {header!r}")
    return int(match[1]), int(match[2]) + 1, int(match[3])


def describe(path: str, answer: Mapping[str, Any], size: int) -> ObjectMeta:
    """Return what an answer says of the object at `path`."""
    version = answer.get("VersionId")
    return ObjectMeta(
        path=path,
        last_modified=answer.get("LastModified") or datetime.fromtimestamp(0, UTC),
        size=size,
        e_tag=answer.get("ETag"),
        version=None if version == "null" else version,
    )
