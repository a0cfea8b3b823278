"""Read DATA front to back: every entry, in the order in which they were added."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from .entry import ENTRY_HEAD_SIZE, MAX_META_BYTES, Entry, Kind, Record, check_payload, decode_record, to_entry
from .errors import CorruptArchiveError
from .ranges import ByteRange

__all__ = ["EntryScanner", "Expander", "Scanned", "Scanner", "finish_scanned"]

CHUNK_BYTES = 8 * 2**20

Scanned = tuple[Entry, bytes | None]


class Scanner(Protocol):
    """Push parser: fetch `next_range`, `feed` it, until there is no next range."""

    def next_range(self) -> ByteRange | None:
        """What to read next, or None at the end."""
        ...

    def feed(self, data: bytes) -> Iterator[Scanned]:
        """Yield the entries that are complete now; the payload of external ones is None."""
        ...


class Expander(Protocol):
    """What a scanner needs of its archive."""

    verify: bool

    def expand(self, record: Record, stored: bytes) -> bytes: ...


class EntryScanner:
    """Scanner of version-3 DATA segments, each `(start, end)`."""

    def __init__(self, segments: Sequence[tuple[int, int]], expander: Expander) -> None:
        self._segments = [segment for segment in segments if segment[0] < segment[1]]
        self._expander = expander
        self._number = 0
        self._position = self._segments[0][0] if self._segments else 0
        self._rest = b""
        self._needed = 0

    def next_range(self) -> ByteRange | None:
        if self._number == len(self._segments):
            return None
        end = self._segments[self._number][1]
        start = self._position + len(self._rest)
        return ByteRange(start, min(end, max(start + CHUNK_BYTES, self._position + self._needed)))

    def feed(self, data: bytes) -> Iterator[Scanned]:
        expander = self._expander
        end = self._segments[self._number][1]
        buffer = self._rest + data if self._rest else data
        at = 0
        while True:
            size = _record_size(buffer, at)
            if size is None or at + size > len(buffer):
                break
            record = decode_record(buffer[at : at + size], self._position, verify=expander.verify)
            stored = buffer[at + size - record.stored_length : at + size]
            at += size
            self._position += size
            yield from finish_scanned(record, stored, expander)
        self._rest = buffer[at:]
        self._needed = _needed_bytes(self._rest, self._position, verify=expander.verify)
        if self._position + len(self._rest) == end:
            if self._rest:
                raise CorruptArchiveError(
                    f"DATA ends at {end}, in the middle of the entry at offset {self._position}: the archive is damaged"
                )
            self._number += 1
            if self._number < len(self._segments):
                self._position = self._segments[self._number][0]


def finish_scanned(record: Record, stored: bytes, expander: Expander) -> Iterator[Scanned]:
    """Check and expand one scanned record; a dictionary yields nothing."""
    if expander.verify:
        check_payload(record, stored)
    if record.kind is Kind.EXTERNAL:
        yield to_entry(record, stored), None
    elif record.kind is Kind.INLINE:
        yield to_entry(record), expander.expand(record, stored)


def _needed_bytes(start: bytes, offset: int, *, verify: bool) -> int:
    """How much of the record that starts so must be fetched next: its head, and once that is proved, all of it.

    Raises:
        CorruptArchiveError: The head is damaged; a size that it states would be fetched in vain.
    """
    if len(start) < ENTRY_HEAD_SIZE:
        return ENTRY_HEAD_SIZE
    name_length = int.from_bytes(start[10:12], "little")
    meta_length = int.from_bytes(start[12:16], "little")
    if meta_length <= MAX_META_BYTES and len(start) < ENTRY_HEAD_SIZE + name_length + meta_length:
        return ENTRY_HEAD_SIZE + name_length + meta_length
    return decode_record(start, offset, verify=verify).length


def _record_size(buffer: bytes, at: int) -> int | None:
    """Size of the record at `at`, unchecked, or None when its head is not complete."""
    if len(buffer) < at + ENTRY_HEAD_SIZE:
        return None
    name_length = int.from_bytes(buffer[at + 10 : at + 12], "little")
    meta_length = int.from_bytes(buffer[at + 12 : at + 16], "little")
    stored_length = int.from_bytes(buffer[at + 16 : at + 20], "little")
    return ENTRY_HEAD_SIZE + name_length + meta_length + stored_length
