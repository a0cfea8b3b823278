"""Identifiers of archives and commits: UUIDv7 as 32 lower-case hex digits.

Such an identifier begins with its time, so identifiers sort by when they were made. The time is
for people and for the age of garbage; what is newer in a shard is for its manifest to say.

Source: RFC 9562, sections 5.7 and 6.2 (method 2, "Monotonic Random"); docs/store-format.md, section "Keys".
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

from ...errors import InvalidInputError

__all__ = ["CLOCK_DOUBT", "check_archive_id", "id_at", "new_id", "time_of"]

CLOCK_DOUBT = timedelta(minutes=5)
"""Two times that differ by less, from clocks of two machines, do not tell what came first."""

_ARCHIVE_ID = re.compile(r"[0-9a-z]{1,64}\Z")
_UUID7 = re.compile(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}\Z")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

_TAIL_BITS = 74  # what a UUIDv7 has besides its time, version and variant
_LOW_BITS = 62  # the part of the tail that follows the variant
_STEP_BITS = 48  # hard to guess, and still 2**25 identifiers on average before they run into the next millisecond


class _Ascending:
    """Numbers of 122 bits, a time in milliseconds followed by a tail; each is greater than the one before.

    Args:
        follows_back: Start afresh at an earlier time, instead of going on from the latest.
    """

    __slots__ = ("_follows_back", "_last", "_lock")

    def __init__(self, *, follows_back: bool) -> None:
        self._follows_back = follows_back
        self._last = 0
        self._lock = threading.Lock()

    def next(self, milliseconds: int) -> int:
        with self._lock:
            latest = self._last >> _TAIL_BITS
            if milliseconds > latest or (milliseconds < latest and self._follows_back):
                self._last = _start(milliseconds)
            else:
                self._last += 1 + secrets.randbits(_STEP_BITS)
            return self._last

    def part_from_parent(self) -> None:
        """Go on in a millisecond of its own: a child process has its parent's numbers, perhaps in a lock's hold."""
        self._lock = threading.Lock()
        self._last = _start((self._last >> _TAIL_BITS) + 1)


def _start(milliseconds: int) -> int:
    # The top bit stays free, so that no start lies close to the next millisecond.
    return milliseconds << _TAIL_BITS | secrets.randbits(_TAIL_BITS - 1)


_by_clock = _Ascending(follows_back=False)
_by_caller = _Ascending(follows_back=True)

if sys.platform != "win32":
    os.register_at_fork(after_in_child=_by_clock.part_from_parent)
    os.register_at_fork(after_in_child=_by_caller.part_from_parent)


def new_id(now: datetime | None = None) -> str:
    """Return a new identifier.

    Without `now`, each is greater than all that this process, or a parent before it forked, made
    without `now`: across threads, within one millisecond, and when the clock is set back (they
    go on from the latest time then).

    Args:
        now: The time to use instead of the clock's, with a time zone; millisecond precision.
            Identifiers made one after the other with the same `now` ascend; an earlier one is
            followed back, and identifiers made by the clock are not affected.

    Raises:
        InvalidInputError: `now` has no time zone, or is before 1970.
    """
    if now is None:
        return _to_text(_by_clock.next(time.time_ns() // 1_000_000))
    return _to_text(_by_caller.next(_to_milliseconds(now)))


def id_at(time: datetime) -> str:
    """Return an identifier of the given time (to the millisecond) with a random tail.

    Raises:
        InvalidInputError: `time` has no time zone, or is before 1970.
    """
    return _to_text(_to_milliseconds(time) << _TAIL_BITS | secrets.randbits(_TAIL_BITS))


def time_of(id: str) -> datetime | None:
    """Return the time of an identifier in UTC, to the millisecond; None when it is no UUIDv7 of a time up to 9999."""
    if not _UUID7.match(id):
        return None
    try:
        return _EPOCH + int(id[:12], 16) * _MILLISECOND
    except OverflowError:
        return None


def check_archive_id(text: str) -> str:
    """Return `text` if it can be the identifier of an archive: 1 to 64 of `0-9` and `a-z`.

    Raises:
        InvalidInputError: It cannot.
    """
    value: object = text
    if not isinstance(value, str) or not _ARCHIVE_ID.match(value):
        raise InvalidInputError(f"archive id {value!r:.80}: 1 to 64 characters of 0-9 and a-z are expected")
    return value


def _to_milliseconds(time: datetime) -> int:
    if time.utcoffset() is None:
        raise InvalidInputError(f"time {time.isoformat()} has no time zone")
    milliseconds = (time - _EPOCH) // _MILLISECOND
    if milliseconds < 0:
        raise InvalidInputError(f"time {time.isoformat()} is before 1970, the first that an identifier can hold")
    return milliseconds


def _to_text(number: int) -> str:
    high, low = number >> _LOW_BITS, number & ((1 << _LOW_BITS) - 1)
    milliseconds, middle = high >> 12, high & 0xFFF
    return f"{milliseconds:012x}7{middle:03x}{0b10 << _LOW_BITS | low:016x}"
