"""What identifies a version of an entry to HTTP: its entity tag and its date."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from des_format.store import StoredEntry

from .answers import RawHeaders
from .dates import http_date

__all__ = ["Validators", "made_at", "validators_of"]


class Validators(NamedTuple):
    """Validators of one representation of an entry.

    Attributes:
        etag: A strong entity tag, with its quotes.
        modified: When the archive that holds the entry was made, or the entry's day where the archive does not tell.
    """

    etag: str
    modified: datetime

    def headers(self) -> RawHeaders:
        """They as headers."""
        return [(b"etag", self.etag.encode("latin-1")), (b"last-modified", _date_header(self.modified))]


def validators_of(stored: StoredEntry, encoding: str = "") -> Validators:
    """Return an entry's validators.

    An archive never changes, so its id and a place in it name the same bytes for ever. Where a published system
    has replaced an archive under its old name, checksums tell the difference, if its format has any.

    Args:
        stored: The entry.
        encoding: The content coding in which it is sent; each has a tag of its own.
    """
    entry = stored.entry
    content = (entry.sha256 or "")[:16] or f"{entry.payload_checksum or 0:x}"
    suffix = f"-{encoding}" if encoding else ""
    etag = f'"{stored.archive_id}-{entry.offset:x}-{entry.size:x}-{content}{suffix}"'
    return Validators(etag, made_at(stored.archive_id, stored.day))


@lru_cache(4096)
def made_at(archive_id: str, day: str) -> datetime:
    """Return when an archive was made, or its day (`YYYYMMDD`) where its id does not tell."""
    # An id of a store begins with its milliseconds (RFC 9562, UUIDv7); those of published archives are names.
    if len(archive_id) == 32 and archive_id[12] == "7":
        try:
            return datetime.fromtimestamp(int(archive_id[:12], 16) / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            pass
    return datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)


@lru_cache(4096)
def _date_header(time: datetime) -> bytes:
    return http_date(time).encode()
