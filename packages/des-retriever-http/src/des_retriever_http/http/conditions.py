"""Conditional requests, as RFC 9110 (section 13) has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from .dates import parse_http_date

__all__ = ["evaluate", "range_holds"]

_CONDITIONS = frozenset({"if-match", "if-unmodified-since", "if-none-match", "if-modified-since"})


def evaluate(headers: Mapping[str, str], etag: str, modified: datetime) -> int | None:
    """Return 304 or 412 if a GET or HEAD must be answered so, else None.

    Args:
        headers: The request's headers, by lower-case name.
        etag: The strong validator of what would be sent, with its quotes.
        modified: When it was made.
    """
    if headers.keys().isdisjoint(_CONDITIONS):
        return None
    seconds = modified.replace(microsecond=0)
    if (expected := headers.get("if-match")) is not None:
        if not _lists(expected, etag, weak=False):
            return 412
    elif (since := _date(headers, "if-unmodified-since")) is not None and seconds > since:
        return 412
    if (held := headers.get("if-none-match")) is not None:
        return 304 if _lists(held, etag, weak=True) else None
    if (since := _date(headers, "if-modified-since")) is not None and seconds <= since:
        return 304
    return None


def range_holds(headers: Mapping[str, str], etag: str, modified: datetime) -> bool:
    """Whether `If-Range` allows a part: there is none, or it names exactly what would be sent."""
    condition = headers.get("if-range")
    if condition is None:
        return True
    if condition.lstrip().startswith(('"', "W/")):
        return condition.strip() == etag
    return parse_http_date(condition) == modified.replace(microsecond=0)


def _date(headers: Mapping[str, str], name: str) -> datetime | None:
    text = headers.get(name)
    return None if text is None else parse_http_date(text)


def _lists(header: str, etag: str, *, weak: bool) -> bool:
    if header.strip() == "*":
        return True
    found = [one.strip() for one in header.split(",")]
    return etag in [one.removeprefix("W/") if weak else one for one in found]
