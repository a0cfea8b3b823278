"""Find the entries of a damaged archive by their magic, in time linear in its size."""

from __future__ import annotations

import mmap
from collections.abc import Collection
from typing import NamedTuple

from ..entry import (
    CODECS,
    ENTRY_HEAD,
    ENTRY_HEAD_SIZE,
    ENTRY_MAGIC,
    EXTERNAL_PAYLOAD_SIZE,
    KINDS,
    MAX_META_BYTES,
    Codec,
    Kind,
    Record,
    decode_record,
)
from ..errors import DesError
from ..layout import FOOTER_MAGIC, FOOTER_SIZE, Footer, decode_footer

__all__ = ["EntrySearch", "FoundRecord", "TrustedFooter", "trusted_footers"]

_SMALL_HEAD_BYTES = 4096


class FoundRecord(NamedTuple):
    """A record whose head is good, and where it begins in the damaged file (its offset says where it once was)."""

    position: int
    record: Record

    @property
    def payload(self) -> int:
        return self.position + self.record.payload_offset - self.record.offset

    @property
    def end(self) -> int:
        return self.position + self.record.length


class EntrySearch:
    """Finds entries whose head is good.

    Args:
        data: The damaged archive.
        shifts: How many bytes may have been lost before an entry; 0 for none.
    """

    def __init__(self, data: bytes | mmap.mmap, shifts: Collection[int]) -> None:
        self._data = data
        self._shifts = sorted(shifts)
        # Hashing that overlaps (large heads, and payloads that are searched again) must not make the search
        # quadratic. Undamaged, an archive needs its own size of it, once for each shift.
        self._budget = 4 * (1 + len(self._shifts)) * len(data) + 4 * MAX_META_BYTES
        self.unexamined = 0

    def spend(self, count: int) -> bool:
        """Take `count` bytes of hashing from the budget, if it still has them."""
        if count > self._budget:
            return False
        self._budget -= count
        return True

    def first(self, position: int) -> FoundRecord | None:
        """The first entry from `position` on."""
        at = self._data.find(ENTRY_MAGIC, position)
        while at >= 0:
            found = self.at(at)
            if found is not None:
                return found
            at = self._data.find(ENTRY_MAGIC, at + 1)
        return None

    def at(self, position: int) -> FoundRecord | None:
        """The entry that begins at `position`, if the checksum of its head says so."""
        size = _plausible_head(self._data[position : position + ENTRY_HEAD_SIZE])
        if not size or position + size > len(self._data):
            return None
        for lost in self._shifts:
            if size > _SMALL_HEAD_BYTES and not self.spend(size):
                self.unexamined += 1
                return None
            try:
                return FoundRecord(position, decode_record(self._data[position : position + size], position + lost))
            except DesError:
                continue
        return None


def _plausible_head(head: bytes) -> int:
    """Size of a record's head, name and metadata, or 0 when no writer wrote these 36 bytes."""
    if len(head) < ENTRY_HEAD_SIZE:
        return 0
    magic, _checksum, kind, codec, name, meta, stored, _payload, raw, _dictionary = ENTRY_HEAD.unpack(head)
    if magic != ENTRY_MAGIC or kind >= len(KINDS) or codec >= len(CODECS) or not name or meta > MAX_META_BYTES:
        return 0
    expected = EXTERNAL_PAYLOAD_SIZE if kind == Kind.EXTERNAL else raw if codec == Codec.NONE else stored
    return ENTRY_HEAD_SIZE + name + meta if stored == expected else 0


class TrustedFooter(NamedTuple):
    """A footer of the damaged archive itself, where it lies, and how many bytes were lost before it."""

    position: int
    footer: Footer
    lost: int


def trusted_footers(data: bytes | mmap.mmap) -> list[TrustedFooter]:
    """Find the footers that are the archive's own, last first.

    A footer that lies where it says is trusted, and so is the one at the end of the file, even
    if it lies too early because bytes were lost, with those before it in its chain. All others
    belong to archives that are stored inside this one.
    """
    trusted: list[TrustedFooter] = []
    position = data.rfind(FOOTER_MAGIC)
    while position >= 0:
        encoded = data[position : position + FOOTER_SIZE]
        try:
            footer = decode_footer(encoded, archive_size=int.from_bytes(encoded[16:24], "little"))
        except DesError:
            pass
        else:
            lost = footer.archive_size - position - FOOTER_SIZE
            if lost >= 0 and (not lost or _belongs(footer, lost, trusted, position + FOOTER_SIZE == len(data))):
                trusted.append(TrustedFooter(position, footer, lost))
        position = data.rfind(FOOTER_MAGIC, 0, position)
    return trusted


def _belongs(footer: Footer, lost: int, newer: list[TrustedFooter], at_end: bool) -> bool:
    """Whether a footer that lies `lost` bytes too early is the last one, or the one before the last that is trusted."""
    if not newer:
        return at_end
    return newer[-1].footer.data_start == footer.archive_size and lost <= newer[-1].lost
