"""`created_at` in requests: ISO 8601 with an offset, and dates in HTTP headers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from .problems import Problem

__all__ = ["http_date", "parse_created_at", "parse_http_date"]

_EXAMPLE = "expected ISO 8601 with an offset, such as 2025-11-25T10:00:00Z"


def parse_created_at(text: str) -> datetime:
    """Return a time in UTC.

    Raises:
        Problem: 400; it is malformed, or has no offset, so its day would be a guess.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        hint = "; a + must be sent as %2B" if " " in text[10:] else ""
        raise _invalid(f"{_EXAMPLE}{hint}") from None
    if time.utcoffset() is None:
        raise _invalid(f"it has no time zone; append Z for UTC, or an offset; {_EXAMPLE}")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise _invalid("it has no equal in UTC") from None


def _invalid(why: str) -> Problem:
    return Problem(400, "invalid_created_at", f"Invalid created_at format: {why}")


def http_date(time: datetime) -> str:
    """Return a time as headers have it, with whole seconds."""
    return format_datetime(time.astimezone(UTC), usegmt=True)


def parse_http_date(text: str) -> datetime | None:
    """Return the time of a header, or None for what is none, which HTTP ignores."""
    try:
        time = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
