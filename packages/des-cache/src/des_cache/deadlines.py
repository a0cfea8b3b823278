"""Values with a time, outside of the process: they say when they were kept, and for how long."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

__all__ = ["Clocks", "stamp", "unstamp"]

_STAMP = struct.Struct("<ddd")

Clocks = Callable[[], tuple[float, float]]
"""Gives the time of day and the time since the machine began, in seconds."""


def clocks() -> tuple[float, float]:
    """Read the clocks of this machine."""
    return time.time(), time.monotonic()


def stamp(value: bytes, ttl_seconds: float, now: Clocks = clocks) -> bytes:
    """Return the value followed by its time."""
    return value + _STAMP.pack(*now(), ttl_seconds)


def unstamp(data: bytes, now: Clocks = clocks) -> bytes | None:
    """Return the value, or None if it is too old.

    Both clocks have to say that it is not: the time of day may be set back, and the other one begins anew with the
    machine, or is that of another one.
    """
    if len(data) < _STAMP.size:
        return None
    *kept_at, ttl_seconds = _STAMP.unpack(data[-_STAMP.size :])
    ages = [after - before for after, before in zip(now(), kept_at, strict=True)]
    return data[: -_STAMP.size] if all(0 <= age < ttl_seconds for age in ages) else None
