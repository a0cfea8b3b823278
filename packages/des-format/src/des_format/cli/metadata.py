"""What `des pack` keeps of a file besides its bytes, in the entry's metadata.

`mtime_ns` is the time of the last modification in nanoseconds since 1970 (UTC); `mode` holds
the permission bits, and is left out for 0o644. Nothing else is stored: neither owners nor
other times, so that equal trees give equal archives whoever packs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["DEFAULT_MODE", "MODE", "MTIME", "date_of", "file_meta", "mode_of", "mtime_of"]

MTIME = "mtime_ns"
MODE = "mode"
DEFAULT_MODE = 0o644
_PERMISSIONS = 0o777
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def file_meta(mtime_ns: int | None, mode: int | None) -> dict[str, Any]:
    """Return the metadata to store for a file; None for what is not known."""
    meta = {}
    if mtime_ns is not None:
        meta[MTIME] = mtime_ns
    if mode is not None and mode & _PERMISSIONS != DEFAULT_MODE:
        meta[MODE] = mode & _PERMISSIONS
    return meta


def mtime_of(meta: Mapping[str, Any]) -> int | None:
    """Return the modification time in nanoseconds, or None; metadata may hold anything."""
    value = meta.get(MTIME)
    # `type` and not `isinstance`: true is no time.
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def mode_of(meta: Mapping[str, Any]) -> int | None:
    """Return the permission bits, without set-uid and the like, or None for none that make sense."""
    value = meta.get(MODE)
    return value & _PERMISSIONS if type(value) is int and value >= 0 else None


def date_of(meta: Mapping[str, Any]) -> str:
    """Return the modification time in UTC to the second, such as `2025-11-25T10:00:00Z`; empty for none."""
    mtime = mtime_of(meta)
    if mtime is None:
        return ""
    return (_EPOCH + timedelta(seconds=mtime // 10**9)).strftime("%Y-%m-%dT%H:%M:%SZ")
