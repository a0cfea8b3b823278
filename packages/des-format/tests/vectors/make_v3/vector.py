"""What a vector is: one archive, and what a reader must make of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .raw import RawArchive

CORRUPT, CHECKSUM, UNSUPPORTED = "corrupt_archive", "checksum_mismatch", "unsupported_format"


@dataclass(frozen=True)
class Expected:
    """One entry that a reader finds."""

    name: str
    payload: bytes
    meta: Mapping[str, Any] = field(default_factory=dict)
    external: bool = False

    def to_json(self) -> dict[str, Any]:
        row: dict[str, Any] = {
            "name": shorten(self.name),
            "size": len(self.payload),
            "sha256": hashlib.sha256(self.payload).hexdigest(),
        }
        return row | ({"meta": dict(self.meta)} if self.meta else {}) | ({"external": True} if self.external else {})


def shorten(name: str) -> str | list[Any]:
    """A name as the manifest writes it: itself, or `[text, times]` for a very long one."""
    part = "long/"
    return [part, len(name) // len(part)] if len(name) > 1000 and name == part * (len(name) // len(part)) else name


@dataclass(frozen=True)
class Vector:
    """An archive and what is expected of it.

    Attributes:
        file: Its file name.
        about: What it is there to show.
        data: Its bytes.
        entries: What a scan yields, in this order; all but those in `refused_get` can be read by name.
        absent: Names that are not in it.
        listed: Names in the order of a listing, if that is not simply the names of `entries`, sorted.
        refused: Error codes by operation: `open`, `open_local` (only where the header is read), `list`, `scan`.
        refused_get: Error codes by name, for reading a payload.
        refused_meta: Error codes by name, for reading metadata.
        beside: Files that lie beside the archive, by relative key.
        rewritten: How today's writer makes the same archive again.
        unsafe: Names that must never become a path.
        journal: The append journal beside the archive; without it the archive is refused as corrupt.
    """

    file: str
    about: str
    data: bytes
    entries: Sequence[Expected] = ()
    absent: Sequence[str] = ()
    listed: Sequence[str] | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    refused_get: Mapping[str, str] = field(default_factory=dict)
    refused_meta: Mapping[str, str] = field(default_factory=dict)
    beside: Mapping[str, bytes] = field(default_factory=dict)
    rewritten: Mapping[str, Any] = field(default_factory=dict)
    unsafe: Sequence[str] = ()
    journal: bytes | None = None

    def to_json(self) -> dict[str, Any]:
        row: dict[str, Any] = {
            "file": self.file,
            "about": self.about,
            "size": len(self.data),
            "sha256": hashlib.sha256(self.data).hexdigest(),
            "entries": [entry.to_json() for entry in self.entries],
        }
        if self.journal is not None:
            row["journal_sha256"] = hashlib.sha256(self.journal).hexdigest()
        if self.beside:
            row["beside"] = {key: hashlib.sha256(data).hexdigest() for key, data in self.beside.items()}
        if self.listed is not None:
            row["listed"] = [shorten(name) for name in self.listed]
        optional: dict[str, Any] = {
            "absent": list(self.absent),
            "refused": dict(self.refused),
            "refused_get": dict(self.refused_get),
            "refused_meta": dict(self.refused_meta),
            "rewritten": dict(self.rewritten),
            "unsafe": list(self.unsafe),
        }
        return row | {key: value for key, value in optional.items() if value}


GOOD = Expected("good", b"a payload that stays readable")
OTHER = Expected("other", b"another one", {"n": 1})


def sound() -> RawArchive:
    """An archive of two sound entries."""
    archive = RawArchive()
    archive.add(b"good", GOOD.payload)
    archive.add(b"other", OTHER.payload, meta=b'{"n":1}')
    return archive
