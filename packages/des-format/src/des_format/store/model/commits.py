"""What a manifest is made of: archives, tombstones and the commits that added and removed them. Pure.

Source: docs/store-format.md, section "Manifest".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from ...errors import CorruptArchiveError
from ...layout import Footer, check_bounds

__all__ = ["ArchiveRow", "Commit", "Operation", "Tombstone", "format_time", "parse_time"]


def format_time(time: datetime) -> str:
    """Return a time as the store writes it: UTC, microseconds, `Z`."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Read what `format_time` wrote."""
    time = datetime.fromisoformat(text)
    if time.utcoffset() != timedelta(0):
        raise ValueError(f"time {text!r} is not in UTC")
    return time


class Operation(StrEnum):
    """What a commit did."""

    ADD = "add"
    DELETE = "delete"
    COMPACT = "compact"
    EXPIRE = "expire"
    CONDEMN = "condemn"
    REBUILD = "rebuild"
    BASE = "base"
    """Not a commit of anyone's: the sum of all commits up to its sequence."""


# The fields of a footer that differ between archives of one version; the rest follows from them.
_GEOMETRY = (
    "archive_size data_start data_length meta_start meta_length directory_length index_start index_block_count"
    " hash_seed entry_count raw_bytes stored_bytes external_count external_bytes dictionary_start dictionary_length"
    " previous_footer directory_checksum index_checksum"
).split()


@dataclass(frozen=True, slots=True)
class ArchiveRow:
    """One archive of a shard.

    Attributes:
        id: Its id, part of its key.
        footer: Its footer, so that no reader has to fetch it.
        added: Sequence of the commit that made it visible.
        order: Its age among the shard's archives: the entries of a higher order win, and a tombstone
            hides those of a lower one. The sequence that added it; for a compacted archive the highest of its inputs.
        purged: A compaction dropped what tombstones up to this sequence hide; 0 for none.
        big_files: SHA-256 (hex) of the big files that its entries refer to.
    """

    id: str
    footer: Footer
    added: int
    order: int
    purged: int = 0
    big_files: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return self.footer.archive_size

    def to_json(self) -> dict[str, Any]:
        """Return the row as the manifest holds it."""
        footer = self.footer
        value: dict[str, Any] = {
            "id": self.id,
            "added": self.added,
            "order": self.order,
            "geometry": [getattr(footer, name) for name in _GEOMETRY],
            "digest": footer.content_digest.hex(),
        }
        if self.purged:
            value["purged"] = self.purged
        if self.big_files:
            value["big_files"] = list(self.big_files)
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read a row.

        Raises:
            CorruptArchiveError: The geometry breaks the rules of a footer.
        """
        geometry = value["geometry"]
        if len(geometry) != len(_GEOMETRY):
            raise CorruptArchiveError(
                f"archive {value['id']}: {len(geometry)} numbers of geometry, {len(_GEOMETRY)} expected"
            )
        footer = Footer(**dict(zip(_GEOMETRY, geometry, strict=True)), content_digest=bytes.fromhex(value["digest"]))
        check_bounds(footer, footer.archive_size)
        return cls(
            value["id"],
            footer,
            value["added"],
            value["order"],
            value.get("purged", 0),
            tuple(value.get("big_files", ())),
        )


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A deletion.

    Attributes:
        uid: Every entry of this name in archives of a lower order is hidden.
        sequence: The commit that made it.
        at: When, in UTC.
        reason: Why.
        by: Who asked for it.
        ticket: Reference of the request, or None.
        record: Id of the object beside the manifest that repeats the deletion; empty for none.
    """

    uid: str
    sequence: int
    at: datetime
    reason: str
    by: str
    ticket: str | None = None
    record: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the tombstone as the manifest holds it."""
        value: dict[str, Any] = {
            "uid": self.uid,
            "sequence": self.sequence,
            "at": format_time(self.at),
            "reason": self.reason,
            "by": self.by,
        }
        if self.ticket is not None:
            value["ticket"] = self.ticket
        if self.record:
            value["record"] = self.record
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read a tombstone."""
        return cls(
            value["uid"],
            value["sequence"],
            parse_time(value["at"]),
            value["reason"],
            value["by"],
            value.get("ticket"),
            value.get("record", ""),
        )


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of a shard.

    Attributes:
        sequence: Its number; the first commit of a shard is 1.
        at: When, by the clock of who committed, never before the commit before it.
        id: Chosen by who committed; how a writer knows its own commit again.
        operation: What it did.
        added: Archives that it made visible.
        removed: Ids of archives that it made invisible.
        tombstones: Deletions.
        condemned: Ids of archives that were never committed and never will be, with the time they were condemned.
        released: Ids of archives that no history refers to any more; garbage, to be deleted.
        absolved: Ids of released archives that were deleted.
    """

    sequence: int
    at: datetime
    id: str
    operation: Operation
    added: tuple[ArchiveRow, ...] = ()
    removed: tuple[str, ...] = ()
    tombstones: tuple[Tombstone, ...] = ()
    condemned: tuple[tuple[str, datetime], ...] = ()
    released: tuple[str, ...] = ()
    absolved: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        """How much it takes in a manifest, in archive rows or so."""
        ids = len(self.removed) + len(self.condemned) + len(self.released) + len(self.absolved)
        return 1 + len(self.added) + len(self.tombstones) + ids // 8

    def to_json(self) -> dict[str, Any]:
        """Return the commit as the manifest holds it."""
        value: dict[str, Any] = {
            "sequence": self.sequence,
            "at": format_time(self.at),
            "id": self.id,
            "operation": self.operation.value,
        }
        if self.added:
            value["added"] = [row.to_json() for row in self.added]
        if self.removed:
            value["removed"] = list(self.removed)
        if self.tombstones:
            value["tombstones"] = [tombstone.to_json() for tombstone in self.tombstones]
        if self.condemned:
            value["condemned"] = [[archive_id, format_time(at)] for archive_id, at in self.condemned]
        if self.released:
            value["released"] = list(self.released)
        if self.absolved:
            value["absolved"] = list(self.absolved)
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read a commit."""
        return cls(
            value["sequence"],
            parse_time(value["at"]),
            value["id"],
            Operation(value["operation"]),
            tuple(ArchiveRow.from_json(row) for row in value.get("added", ())),
            tuple(value.get("removed", ())),
            tuple(Tombstone.from_json(tombstone) for tombstone in value.get("tombstones", ())),
            tuple((archive_id, parse_time(at)) for archive_id, at in value.get("condemned", ())),
            tuple(value.get("released", ())),
            tuple(value.get("absolved", ())),
        )

    def numbered(self, sequence: int, at: datetime) -> Self:
        """Return the commit as number `sequence`: rows that it adds for the first time get it."""
        return replace(
            self,
            sequence=sequence,
            at=at,
            added=tuple(replace(row, added=row.added or sequence, order=row.order or sequence) for row in self.added),
            tombstones=tuple(replace(tombstone, sequence=sequence, at=at) for tombstone in self.tombstones),
        )
