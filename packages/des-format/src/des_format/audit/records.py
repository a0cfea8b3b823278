"""Check the DATA of a version-3 archive: every record, or a sample of them."""

from __future__ import annotations

import random
import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import xxhash

from ..archive import Archive
from ..checksum import checksum64
from ..entry import ENTRY_HEAD_SIZE, ENTRY_MAGIC, MAX_META_BYTES, Kind, Record, decode_meta, decode_record
from ..errors import CorruptArchiveError, DesError
from ..hashtable import Slot
from ..layout import HEADER_SIZE, Footer
from ..names import MAX_NAME_BYTES, decode_name
from ..ranges import RangeSource
from .payload import PayloadCheck
from .pieces import READ_BYTES, Window
from .report import Findings
from .structure import Index

__all__ = ["Evidence", "RecordCheck", "fingerprint"]

_GAP_BYTES = 64 * 1024
_SMALL_HEAD_BYTES = 4096
_SORTED_PARTS = 64
_FINGERPRINT = struct.Struct("<QIBBQH")


def fingerprint(offset: int, length: int, kind: int, codec: int, raw_length: int, name: bytes, meta: bytes) -> int:
    """One number for everything that DATA and META both say about an entry."""
    return checksum64(_FINGERPRINT.pack(offset, length, kind, codec, raw_length, len(name)) + name + meta)


@dataclass(slots=True)
class Totals:
    """What the records seen so far add up to; same fields as in the footer."""

    entry_count: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0
    external_count: int = 0
    external_bytes: int = 0

    def add(self, record: Record) -> None:
        self.entry_count += 1
        self.raw_bytes += record.raw_length
        if record.kind is Kind.EXTERNAL:
            self.external_count += 1
            self.external_bytes += record.raw_length
        else:
            self.stored_bytes += record.stored_length

    def compare(self, footer: Footer, findings: Findings) -> None:
        for field in self.__slots__:
            found, stated = getattr(self, field), getattr(footer, field)
            if found != stated:
                where = f"footer of the archive at {footer.archive_size} bytes"
                findings.add(where, f"{field} {stated}, but the entries add up to {found}")


class Evidence:
    """What was learnt from the records, for comparison with META: 17 bytes an entry.

    Attributes:
        damaged: Problem handles of records whose head cannot be trusted, by offset.
        complete: Whether every record of the archive was read.
    """

    def __init__(self) -> None:
        self.offsets = array("Q")
        self.fingerprints = array("Q")
        self.damaged: dict[int, int] = {}
        self.complete = True

    def add(self, record: Record) -> None:
        """Remember a record; offsets must ascend."""
        self.offsets.append(record.offset)
        self.fingerprints.append(
            fingerprint(
                record.offset, record.length, record.kind, record.codec, record.raw_length, record.name, record.meta
            )
        )

    def position(self, offset: int) -> int | None:
        """Position of the record at `offset` among those that were added."""
        at = bisect_left(self.offsets, offset)
        return at if at < len(self.offsets) and self.offsets[at] == offset else None


class RecordCheck:
    """Walks over records, each checked against its checksums, its codec and the index."""

    def __init__(
        self, archive: Archive, source: RangeSource, index: Index, payloads: PayloadCheck, findings: Findings
    ) -> None:
        self._footer = archive.footer
        self._source = source
        self._index = index
        self._payloads = payloads
        self._findings = findings
        self._known_starts: array[int] | None = None
        self.totals = Totals()
        self.evidence = Evidence()

    # -- all of them ------------------------------------------------------------------------

    def check_segments(self, chain: list[Footer]) -> None:
        """Check every DATA segment, its digest and the totals; of lost footers' segments what the index knows."""
        if chain[0].data_start > HEADER_SIZE:
            self.evidence.complete = False
            self.check_slots(slot for slot in self._index.slots() if slot.offset < chain[0].data_start)
        previous = b""
        for footer in chain:
            self._check_segment(footer, previous, whole_chain=chain[0].data_start == HEADER_SIZE)
            previous = footer.content_digest

    def _check_segment(self, footer: Footer, previous_digest: bytes, *, whole_chain: bool) -> None:
        digest = xxhash.xxh3_128(previous_digest)

        def observe(data: bytes) -> None:
            digest.update(data)
            self._findings.count_bytes(len(data))

        window = Window(self._source, footer.data_start, footer.meta_start, observe)
        self._walk(window, footer.data_start, footer.meta_start)
        where = f"DATA at offset {footer.data_start}"
        try:
            window.drain()
        except CorruptArchiveError as error:
            self._findings.add(where, error)
            return
        if whole_chain and digest.digest() != footer.content_digest:
            self._findings.add(where, f"content digest {digest.hexdigest()}, expected {footer.content_digest.hex()}")
        if whole_chain and not self.evidence.damaged:
            self.totals.compare(footer, self._findings)

    def _walk(self, window: Window, position: int, end: int) -> None:
        while position < end:
            try:
                record = self._read_record(window, position, end)
            except DesError as error:
                self.evidence.damaged[position] = self._findings.add(f"entry at offset {position}", error)
                position = self._next_known_start(position, end)
            else:
                self._check(record, window)
                position += record.length

    def _next_known_start(self, position: int, end: int) -> int:
        """The first place after `position` where an entry starts according to the index, or `end`."""
        if self._known_starts is None:
            self._known_starts = _sorted_offsets(self._index, self._footer.meta_start)
        at = bisect_right(self._known_starts, position)
        return min(self._known_starts[at], end) if at < len(self._known_starts) else end

    # -- a sample ---------------------------------------------------------------------------

    def check_sample(self, share: float) -> None:
        """Check that share of the entries, at least one, chosen at random from the index."""
        self.evidence.complete = False
        count = min(self._index.occupied, max(1, round(share * self._index.occupied)))
        chosen = set(random.sample(range(self._index.occupied), count))
        self.check_slots(slot for number, slot in enumerate(self._index.slots()) if number in chosen)

    def check_slots(self, slots: Iterable[Slot]) -> None:
        """Check the records that these slots point to, reading neighbours together."""
        group: list[Slot] = []
        last_end = HEADER_SIZE
        for slot in sorted(slots):
            end = slot.offset + slot.length
            if slot.offset < last_end or end > self._footer.meta_start:
                self._findings.add(
                    "index", f"places an entry at {slot.offset} to {end}, outside of DATA or on top of another"
                )
                continue
            if group and (slot.offset - last_end > _GAP_BYTES or end - group[0].offset > READ_BYTES):
                self._check_group(group)
                group = []
            group.append(slot)
            last_end = end
        if group:
            self._check_group(group)

    def _check_group(self, slots: list[Slot]) -> None:
        end = slots[-1].offset + slots[-1].length
        window = Window(self._source, slots[0].offset, end, lambda data: self._findings.count_bytes(len(data)))
        for slot in slots:
            where = f"entry at offset {slot.offset}"
            try:
                record = self._read_record(window, slot.offset, slot.offset + slot.length)
                if record.length != slot.length:
                    raise CorruptArchiveError(
                        f"{where}: its record takes {record.length} bytes, the index says {slot.length}"
                    )
            except DesError as error:
                self.evidence.damaged[slot.offset] = self._findings.add(where, error)
            else:
                self._check(record, window)

    # -- one record -------------------------------------------------------------------------

    def _read_record(self, window: Window, position: int, end: int) -> Record:
        """Read and check the head of the record at `position`, which must end by `end`."""
        where = f"entry at offset {position}"
        head = window.read(position, ENTRY_HEAD_SIZE)
        size = ENTRY_HEAD_SIZE + int.from_bytes(head[10:12], "little") + int.from_bytes(head[12:16], "little")
        if size > _SMALL_HEAD_BYTES:
            # Entries do not overlap; without this rule each of many false heads would cost the largest metadata.
            end = self._next_known_start(position, end)
        if head.startswith(ENTRY_MAGIC):
            if size > min(end - position, ENTRY_HEAD_SIZE + MAX_NAME_BYTES + MAX_META_BYTES):
                raise CorruptArchiveError(f"{where}: name and metadata take {size} bytes, up to {end} are allowed")
            head = window.read(position, size)
        record = decode_record(head, position)
        if position + record.length > end:
            raise CorruptArchiveError(f"{where}: it ends at {position + record.length}, the next part begins at {end}")
        return record

    def _check(self, record: Record, window: Window) -> None:
        if record.kind is Kind.DICTIONARY:
            self._check_dictionary(record, window)
            return
        where, name = f"entry at offset {record.offset}", record.name.decode(errors="replace")
        try:
            decode_name(record.name)
            decode_meta(record.meta, where=where)
            self._check_payload(record, window)
        except DesError as error:
            self._findings.add(where, error, name)
        self._findings.entries_checked += 1
        self.totals.add(record)
        self.evidence.add(record)
        if not self._index.finds(record.name, Slot(record.offset, record.length)):
            self._findings.add(where, "a lookup of its name in the index does not lead to it", name)

    def _check_dictionary(self, record: Record, window: Window) -> None:
        where = f"dictionary at offset {record.offset}"
        try:
            self._check_payload(record, window)
        except DesError as error:
            self._findings.add(where, error)
        stated = self._footer.dictionary_start, self._footer.dictionary_length
        if (record.offset, record.length) != stated:
            self._findings.add(where, f"the footer places the dictionary at {stated[0]}")

    def _check_payload(self, record: Record, window: Window) -> None:
        start, size = record.payload_offset, record.stored_length
        self._payloads.check(record, lambda: window.read(start, size), lambda: window.pieces(start, size))


def _sorted_offsets(index: Index, end: int) -> array[int]:
    """Where entries below `end` start according to the index; sorted in parts, since a list takes 40 bytes for each."""
    step = end // _SORTED_PARTS + 1
    parts = [array("Q") for _ in range(_SORTED_PARTS)]
    for slot in index.slots():
        if slot.offset < end:
            parts[slot.offset // step].append(slot.offset)
    offsets = array("Q")
    for part in parts:
        offsets.extend(sorted(part))
    return offsets
