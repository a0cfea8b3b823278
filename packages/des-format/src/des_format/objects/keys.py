"""Keys that are safe as paths below a folder."""

from __future__ import annotations

import re
from functools import lru_cache

from ..errors import UnsafePathError

__all__ = ["MAX_SEGMENT_BYTES", "is_segment", "split_key", "split_prefix"]

MAX_SEGMENT_BYTES = 240
"""Most file systems allow 255; temporary files and locks add to the name."""

_UNSAFE = re.compile(r"\.|.*[\\/\0]|[A-Za-z]:", re.DOTALL)


def is_segment(text: str) -> bool:
    """Whether `text` can be one segment of a key: not hidden, and nothing that a file system interprets."""
    if not text or _UNSAFE.match(text):
        return False
    try:
        return len(text.encode()) <= MAX_SEGMENT_BYTES
    except UnicodeEncodeError:
        return False


def split_key(key: str) -> list[str]:
    """Split a key into its segments.

    Raises:
        UnsafePathError: It is empty or absolute, or a segment is empty, too long, begins with `.` or with a drive
            letter, or contains a backslash or NUL.
    """
    if not _is_key(key):
        raise UnsafePathError(
            f"key {key!r} is refused: segments, separated by '/', must be 1 to {MAX_SEGMENT_BYTES} bytes of UTF-8, not "
            "begin with '.' or a drive letter, and not contain a backslash or NUL"
        )
    return key.split("/")


@lru_cache(maxsize=4096)
def _is_key(key: str) -> bool:
    # A reader asks for the same keys again and again.
    return all(map(is_segment, key.split("/")))


def split_prefix(prefix: str | None) -> list[str]:
    """Split a prefix, which may be missing, empty or end with `/`, into its segments."""
    prefix = (prefix or "").removesuffix("/")
    return split_key(prefix) if prefix else []
