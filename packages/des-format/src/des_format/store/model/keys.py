"""The keys of a store's objects, and what a key that was listed is.

Source: docs/store-format.md, section "Keys".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import NamedTuple

from ...errors import InvalidInputError

__all__ = [
    "DESCRIPTOR_KEY",
    "ObjectKind",
    "ShardKey",
    "StoreObject",
    "archive_key",
    "big_file_object_key",
    "check_day",
    "classify",
    "damaged_key",
    "manifest_key",
    "segment_key",
    "tombstones_key",
]

DESCRIPTOR_KEY = "des-store.json"

_DAY = re.compile(r"(\d{4})(-?)(\d{2})\2(\d{2})\Z", re.ASCII)
_KEY = re.compile(
    r"(?P<day>[0-9]{8})/(?:_bigFiles/(?P<sha256>[0-9a-f]{64})"
    r"|(?P<shard>[0-9A-F]{1,4})(?:\.manifest|_(?P<id>[0-9a-z]{1,64})\.(?P<suffix>des|commits|tombstones|damaged)))\Z"
)


class ObjectKind(Enum):
    """What an object of a store is, by its key.

    `DAMAGED` is a copy of a manifest that a rebuild replaced. It may be the only trace of what was lost,
    so nothing ever deletes it but people.
    """

    MANIFEST = "manifest"
    SEGMENT = "commits"
    ARCHIVE = "des"
    TOMBSTONES = "tombstones"
    BIG_FILE = "big file"
    DAMAGED = "damaged"


class ShardKey(NamedTuple):
    """One shard of one UTC day: `day` as `YYYYMMDD`, `shard` in upper-case hex."""

    day: str
    shard: str

    def __str__(self) -> str:
        return f"{self.day}/{self.shard}"


@dataclass(frozen=True, slots=True)
class StoreObject:
    """A key taken apart; `shard` is empty and `id` a SHA-256 for a big file."""

    kind: ObjectKind
    day: str
    shard: str
    id: str


def check_day(day: str | date) -> str:
    """Return a day as `YYYYMMDD`; also takes a `date` and `YYYY-MM-DD`.

    Raises:
        InvalidInputError: No day of the calendar.
    """
    if isinstance(day, datetime):
        raise InvalidInputError(f"a day is wanted, found the time {day.isoformat()}")
    if isinstance(day, date):
        return f"{day:%Y%m%d}".zfill(8)
    match = _DAY.match(day)
    try:
        if match is None:
            raise ValueError("not of that form")
        return f"{date(int(match[1]), int(match[3]), int(match[4])):%Y%m%d}".zfill(8)
    except ValueError as error:
        raise InvalidInputError(f"day {day!r}: {error}; YYYYMMDD or YYYY-MM-DD is expected") from error


def manifest_key(where: ShardKey) -> str:
    """Key of a shard's manifest."""
    return f"{where.day}/{where.shard}.manifest"


def archive_key(where: ShardKey, archive_id: str) -> str:
    """Key of an archive."""
    return f"{where.day}/{where.shard}_{archive_id}.des"


def segment_key(where: ShardKey, digest: str) -> str:
    """Key of an older part of a manifest."""
    return f"{where.day}/{where.shard}_{digest}.commits"


def tombstones_key(where: ShardKey, commit_id: str) -> str:
    """Key of the record of a deletion."""
    return f"{where.day}/{where.shard}_{commit_id}.tombstones"


def damaged_key(where: ShardKey, copy_id: str) -> str:
    """Key of the copy of a manifest that a rebuild replaced."""
    return f"{where.day}/{where.shard}_{copy_id}.damaged"


def big_file_object_key(day: str, sha256: str) -> str:
    """Key of a big file, shared by the shards of a day."""
    return f"{day}/_bigFiles/{sha256}"


def classify(key: str) -> StoreObject | None:
    """What an object is by its key, or None for one that is not of a store."""
    match = _KEY.match(key)
    if match is None:
        return None
    if match["sha256"]:
        return StoreObject(ObjectKind.BIG_FILE, match["day"], "", match["sha256"])
    kind = ObjectKind(match["suffix"]) if match["suffix"] else ObjectKind.MANIFEST
    return StoreObject(kind, match["day"], match["shard"], match["id"] or "")
