"""Times, durations and points in history, from the command line and for people."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from ...errors import InvalidInputError

__all__ = ["Point", "parse_duration", "parse_point", "parse_time", "shown_time"]

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,6})?) ?([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST = timedelta(days=36_525)


def parse_time(text: str) -> datetime:
    """Return a time such as `2025-11-25T10:00:00Z` or `2025-11-25T11:00+01:00`, in UTC.

    Raises:
        InvalidInputError: No such time, or one without a time zone.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInputError(f"time {text!r}; ISO 8601 is expected, such as 2025-11-25T10:00:00Z") from error
    if time.utcoffset() is None:
        raise InvalidInputError(f"time {text!r} has no time zone, so its day is in doubt; in UTC: {time.isoformat()}Z")
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInputError(f"time {text!r} is not in the calendar of UTC") from error


def parse_duration(text: str) -> timedelta:
    """Return a duration such as `0s`, `90m`, `36h`, `30d` or `4w`, of up to a hundred years.

    Raises:
        InvalidInputError: No such duration.
    """
    match = _DURATION.fullmatch(text)
    try:
        duration = timedelta(**{_UNITS[match[2]]: float(match[1])}) if match else None
    except OverflowError:
        duration = None
    if duration is None or duration > _LONGEST:
        raise InvalidInputError(f"duration {text!r}; such as 90s, 15m, 36h, 30d or 4w is expected, up to 100 years")
    return duration


class Point(TypedDict, total=False):
    """A point in history, as `DesStore.as_of` takes it."""

    sequence: int
    time: datetime


def parse_point(text: str) -> Point:
    """Return a point in history: a sequence when it is all digits, a time otherwise.

    Raises:
        InvalidInputError: Neither.
    """
    if text.isascii() and text.isdigit():
        return {"sequence": int(text)}
    return {"time": parse_time(text)}


def shown_time(time: datetime) -> str:
    """Return a time in UTC, to the second, with the fraction if it has one."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
