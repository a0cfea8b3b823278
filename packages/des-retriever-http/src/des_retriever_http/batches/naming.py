"""Names of members that can be unpacked anywhere, whatever the uids are."""

from __future__ import annotations

import re

__all__ = ["MANIFEST", "MemberNames"]

MANIFEST = "des-batch.json"
"""The member that lists all files, with the names of their members."""

_UNNAMED = "unnamed"
_MAX_BYTES = 1024
_MAX_SEGMENT_BYTES = 255
# What some system forbids or understands otherwise, and names that Windows keeps for devices.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\:*?"<>|\ud800-\udfff]')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


class MemberNames:
    """Gives each file a name of its own: its uid where that is safe as a path, else `unnamed/` and its number."""

    def __init__(self) -> None:
        self._count = 0
        self._files: set[str] = {MANIFEST}
        self._folders: set[str] = {_UNNAMED}

    def name(self, uid: str) -> str:
        """Return the name of the member for a file."""
        self._count += 1
        segments = uid.split("/")
        # Compared as file systems do that know no upper and lower case.
        folded = uid.casefold()
        parents = {"/".join(folded.split("/")[:count]) for count in range(1, len(segments))}
        if (
            not _is_safe(uid, segments)
            or parents & self._files
            or _UNNAMED in parents
            or folded in self._files
            or folded in self._folders
        ):
            return f"{_UNNAMED}/{self._count:05}"
        self._files.add(folded)
        self._folders |= parents
        return uid


def _is_safe(uid: str, segments: list[str]) -> bool:
    if _FORBIDDEN.search(uid) or len(uid.encode()) > _MAX_BYTES:
        return False
    return all(_is_safe_segment(one) for one in segments)


def _is_safe_segment(segment: str) -> bool:
    if segment in ("", ".", "..") or len(segment.encode()) > _MAX_SEGMENT_BYTES:
        return False
    return segment == segment.strip(" ").rstrip(".") and not _DEVICE.fullmatch(segment)
