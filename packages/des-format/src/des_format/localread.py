"""The fast path: version-3 entries straight from a mapped file, index used in place.

About two probes and no system call an entry. Everything unusual (an overflowing block, an
external payload, any contradiction) is left to the sans-I/O code, which does it slowly and
explains what it finds.
"""

from __future__ import annotations

import mmap
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from xxhash import xxh3_64_intdigest

from .entry import (
    ENTRY_HEAD_SIZE,
    ENTRY_MAGIC,
    NO_META,
    Codec,
    Entry,
    Kind,
    Record,
    check_payload,
    decode_meta,
    decode_record,
    to_entry,
)
from .errors import CorruptArchiveError
from .hashtable import SLOTS_PER_BLOCK, check_block
from .layout import BLOCK_SIZE, Footer
from .names import decode_name
from .scanning import Expander, Scanned, finish_scanned

__all__ = ["LocalIndex", "scan_mapped"]

# head checksum, kind and codec (0: inline, uncompressed), name, meta and stored length, payload checksum, raw length,
# dictionary
_FIELDS = struct.Struct("<4xIHHIIIQI")
# of these, what it takes to find the payload: kind and codec, name, meta and stored length
_LENGTHS = struct.Struct("<8xHHII")
_KIND = 0xFF  # the low half of kind and codec
# To look up a member of an enumeration takes longer than a checksum.
_INLINE, _UNCOMPRESSED = Kind.INLINE, Codec.NONE


_T = TypeVar("_T")


def _undecided(_name: str) -> None:
    return None


# Where in a block the search begins: the place of the first slot's tag, in units of 4 bytes, for the hash's low byte.
# A table, because to compute a remainder costs 5 % of a get.
_FIRST_TAGS = tuple(byte % SLOTS_PER_BLOCK * 4 + 2 for byte in range(256))


class LocalIndex:
    """Lookup in a mapped version-3 archive; safe to share between threads.

    Args:
        data: The archive.
        footer: Its footer, whose regions were checked against the size of `data`.
        expander: Expands compressed payloads, and says whether the checksums of entries are checked.
    """

    def __init__(self, data: bytes | mmap.mmap, footer: Footer, expander: Expander) -> None:
        self._data = data
        self._expander = expander
        start, end = footer.index_start, footer.index_start + footer.index_length
        self._halves = memoryview(data)[start:end].cast("I")
        # A word early, so that half the position of a slot's tag is the position of its offset.
        self._words = memoryview(data)[start - 8 : end - 8].cast("Q")
        self._index_start = footer.index_start
        self._blocks = footer.index_block_count
        self._seed = footer.hash_seed
        self._checked = bytearray(footer.index_block_count)
        self._data_end = footer.meta_start

    @staticmethod
    def supports(footer: Footer) -> bool:
        """Whether the index can be used in place: little-endian machine, at least one entry."""
        return sys.byteorder == "little" and footer.index_block_count > 0

    def _check(self, block: int) -> None:
        start = self._index_start + block * BLOCK_SIZE
        check_block(self._data[start : start + BLOCK_SIZE], block, self._index_start)
        self._checked[block] = 1

    def _read_compressed(self, offset: int, length: int) -> bytes:
        """Read the inline entry that the index places at `offset`, by the rules for any record.

        Raises:
            CorruptArchiveError: Its bytes contradict the format, the index or their checksum.
        """
        data = self._data[offset : offset + length]
        record = decode_record(data, offset, verify=self._expander.verify)
        if record.length != length or offset + length > self._data_end:
            raise CorruptArchiveError(f"entry at offset {offset}: takes {record.length} bytes, the index says {length}")
        stored = data[length - record.stored_length :]
        if self._expander.verify:
            check_payload(record, stored)
        return self._expander.expand(record, stored)

    def getter(
        self, otherwise: Callable[[str], _T], absent: Callable[[str], _T] | None = None
    ) -> Callable[[str], bytes | _T]:
        """Return a function that reads inline entries, and asks `otherwise` for all others.

        A name that the index proves not to be there is for `absent`, if it is given.

        It is a closure because half of the 1.3 microseconds of a get are the interpreter's: an
        attribute of an object, or one call more, costs several percent. For the same reason the
        search for the slot is written out twice in this class.
        """
        # Nearly every archive has seed 0, and a call without it is faster.
        hash_name = partial(xxh3_64_intdigest, seed=self._seed) if self._seed else xxh3_64_intdigest
        return (
            self._checking_getter(hash_name, otherwise, absent or otherwise)
            if self._expander.verify
            else self._trusting_getter(hash_name, otherwise, absent or otherwise)
        )

    def _checking_getter(
        self, hash_name: Callable[[bytes], int], otherwise: Callable[[str], _T], absent: Callable[[str], _T]
    ) -> Callable[[str], bytes | _T]:
        data, words, halves, blocks, data_end = self._data, self._words, self._halves, self._blocks, self._data_end
        checked, check, fields, hash_of = self._checked, self._check, _FIELDS.unpack_from, xxh3_64_intdigest
        first_tags, read_compressed = _FIRST_TAGS, self._read_compressed

        def get(name: str) -> bytes | _T:
            try:
                encoded = name.encode()
            except (AttributeError, UnicodeEncodeError):
                return otherwise(name)
            hashed = hash_name(encoded)
            block = ((hashed >> 32) * blocks) >> 32
            if not checked[block]:
                check(block)
            tag = (hashed >> 8) & 0xFFFFFFFF or 1
            at = (block << 10) + first_tags[hashed & 255]
            wrapped = False
            while True:
                found = halves[at]
                if found == tag:
                    offset = words[at >> 1]
                    try:
                        (
                            head_checksum,
                            stored_as,
                            name_length,
                            meta_length,
                            stored_length,
                            checksum,
                            raw_length,
                            dictionary,
                        ) = fields(data, offset)
                    except (struct.error, OverflowError):
                        return otherwise(name)
                    start = offset + ENTRY_HEAD_SIZE
                    end = start + name_length
                    if data[start:end] == encoded:
                        if stored_as and not stored_as & _KIND:
                            return read_compressed(offset, halves[at + 1])
                        start = end + meta_length
                        end = start + stored_length
                        payload = data[start:end]
                        if (
                            stored_as
                            or raw_length != stored_length
                            or dictionary
                            or end - offset != halves[at + 1]
                            or end > data_end
                            or hash_of(payload) & 0xFFFFFFFF != checksum
                            or hash_of(data[offset + 8 : start], offset) & 0xFFFFFFFF != head_checksum
                        ):
                            return otherwise(name)
                        return payload
                elif not found:
                    return absent(name)
                at += 4
                if at & 1023 == 1022:
                    if wrapped:
                        return otherwise(name)
                    wrapped = True
                    at -= 1020

        return get

    def _trusting_getter(
        self, hash_name: Callable[[bytes], int], otherwise: Callable[[str], _T], absent: Callable[[str], _T]
    ) -> Callable[[str], bytes | _T]:
        data, words, halves, blocks, data_end = self._data, self._words, self._halves, self._blocks, self._data_end
        checked, check, lengths = self._checked, self._check, _LENGTHS.unpack_from
        first_tags, read_compressed = _FIRST_TAGS, self._read_compressed

        def get(name: str) -> bytes | _T:
            try:
                encoded = name.encode()
            except (AttributeError, UnicodeEncodeError):
                return otherwise(name)
            hashed = hash_name(encoded)
            block = ((hashed >> 32) * blocks) >> 32
            if not checked[block]:
                check(block)
            tag = (hashed >> 8) & 0xFFFFFFFF or 1
            at = (block << 10) + first_tags[hashed & 255]
            wrapped = False
            while True:
                found = halves[at]
                if found == tag:
                    offset = words[at >> 1]
                    try:
                        stored_as, name_length, meta_length, stored_length = lengths(data, offset)
                    except (struct.error, OverflowError):
                        return otherwise(name)
                    start = offset + ENTRY_HEAD_SIZE
                    end = start + name_length
                    if data[start:end] == encoded:
                        if stored_as and not stored_as & _KIND:
                            return read_compressed(offset, halves[at + 1])
                        start = end + meta_length
                        end = start + stored_length
                        if stored_as or end > data_end:
                            return otherwise(name)
                        return data[start:end]
                elif not found:
                    return absent(name)
                at += 4
                if at & 1023 == 1022:
                    if wrapped:
                        return otherwise(name)
                    wrapped = True
                    at -= 1020

        return get

    def read(self, name: str, limit_bytes: int, *, keep_zstd: bool = False) -> tuple[Entry, bytes, Codec] | None:
        """As `Archive.get_within`, for an inline entry; None for whatever the slow path must decide."""
        encoded = name.encode()
        hashed = xxh3_64_intdigest(encoded, self._seed)
        block = ((hashed >> 32) * self._blocks) >> 32
        if not self._checked[block]:
            self._check(block)
        tag = (hashed >> 8) & 0xFFFFFFFF or 1
        first = _FIRST_TAGS[hashed & 255]
        # From the first slot to the block's end; what wrapped around is rare, and left to the slow path.
        for at in range((block << 10) + first, (block + 1) << 10, 4):
            found = self._halves[at]
            if not found:
                return None
            if found == tag:
                offset, length = self._words[at >> 1], self._halves[at + 1]
                if plain := self._plain(name, encoded, offset, length, limit_bytes):
                    return plain
                record = self._record(offset, length)
                if record.name == encoded:
                    return self._described(record, limit_bytes, keep_zstd)
        return None

    def _plain(
        self, name: str, encoded: bytes, offset: int, length: int, limit_bytes: int
    ) -> tuple[Entry, bytes, Codec] | None:
        """The entry at `offset`, if it is inline, uncompressed, of this name, within the limit, and in order.

        Nearly every read is of such an entry, and the general way takes three times as long.
        """
        data = self._data
        try:
            head_checksum, stored_as, name_length, meta_length, stored_length, checksum, raw_length, dictionary = (
                _FIELDS.unpack_from(data, offset)
            )
        except (struct.error, OverflowError):
            return None
        name_end = ENTRY_HEAD_SIZE + name_length
        start = offset + name_end + meta_length
        end = start + stored_length
        if stored_as or dictionary or raw_length != stored_length or raw_length > limit_bytes:
            return None
        if end - offset != length or end > self._data_end:
            return None
        head, payload = data[offset:start], data[start:end]
        if (
            head[ENTRY_HEAD_SIZE:name_end] != encoded
            or not head.startswith(ENTRY_MAGIC)
            or xxh3_64_intdigest(head[8:], offset) & 0xFFFFFFFF != head_checksum
            or (self._expander.verify and xxh3_64_intdigest(payload) & 0xFFFFFFFF != checksum)
        ):
            return None
        meta = decode_meta(head[name_end:], where=f"entry {name!r}") if meta_length else NO_META
        row = (
            name, stored_length, stored_length, _INLINE, _UNCOMPRESSED, offset, length, meta, start, checksum, None,
        )  # fmt: skip
        return tuple.__new__(Entry, row), payload, _UNCOMPRESSED

    def _record(self, offset: int, length: int) -> Record:
        """Decode the record that the index places at `offset`."""
        end = min(offset + length, self._data_end)
        head = offset + ENTRY_HEAD_SIZE
        _kind, name_length, meta_length, _stored = _LENGTHS.unpack_from(self._data, offset)
        record = decode_record(self._data[offset : min(end, head + name_length + meta_length)], offset)
        if record.length != length or offset + length > self._data_end:
            raise CorruptArchiveError(f"entry at offset {offset}: takes {record.length} bytes, the index says {length}")
        return record

    def _described(self, record: Record, limit_bytes: int, keep_zstd: bool) -> tuple[Entry, bytes, Codec] | None:
        if record.kind is not Kind.INLINE:
            return None
        if record.raw_length > limit_bytes:
            return to_entry(record), b"", Codec.NONE
        start = record.payload_offset
        stored = self._data[start : start + record.stored_length]
        if self._expander.verify:
            check_payload(record, stored)
        if keep_zstd and record.codec is Codec.ZSTD and not record.dictionary:
            return to_entry(record), stored, Codec.ZSTD
        return to_entry(record), self._expander.expand(record, stored), Codec.NONE

    def get_many(self, names: Iterable[str]) -> dict[str, bytes | None]:
        """What the fast path finds for each name, in their order; None where the slow path must decide.

        Sorting the reads by offset would cost more than it gains, even where the file is not in memory.
        """
        get = self.getter(_undecided)
        return {name: get(name) for name in names}

    def close(self) -> None:
        """Release the views, so that the file can be unmapped."""
        for view in (self._words, self._halves):
            view.release()


def scan_mapped(data: bytes | mmap.mmap, segments: Sequence[tuple[int, int]], expander: Expander) -> Iterator[Scanned]:
    """As an `EntryScanner` over the same segments, without copying chunks: plain entries in one go."""
    fields, hash_of, verify = _FIELDS.unpack_from, xxh3_64_intdigest, expander.verify
    # To look up a member of an enumeration, or to call a named tuple's own constructor, takes longer than a checksum.
    new, inline, plain = tuple.__new__, Kind.INLINE, Codec.NONE
    for offset, end in segments:
        while offset < end:
            if offset + ENTRY_HEAD_SIZE > end:
                raise CorruptArchiveError(f"DATA ends at {end}, in the middle of the entry at offset {offset}")
            head_checksum, stored_as, name_length, meta_length, stored_length, checksum, raw_length, dictionary = (
                fields(data, offset)
            )
            start = offset + ENTRY_HEAD_SIZE + name_length + meta_length
            following = start + stored_length
            if following > end:
                raise CorruptArchiveError(f"the entry at offset {offset} ends at {following}, DATA at {end}")
            checked = data[offset + 8 : start]
            payload = data[start:following]
            if (
                stored_as
                or meta_length
                or raw_length != stored_length
                or dictionary
                or hash_of(payload) & 0xFFFFFFFF != checksum
                or hash_of(checked, offset) & 0xFFFFFFFF != head_checksum
            ):
                record = decode_record(data[offset:start], offset, verify=verify)
                yield from finish_scanned(record, payload, expander)
            else:
                encoded = checked[ENTRY_HEAD_SIZE - 8 :]
                try:
                    name = encoded.decode()
                except UnicodeDecodeError:
                    name = ""
                if not name or "\0" in name:
                    name = decode_name(encoded)  # Says what is wrong with it.
                length = following - offset
                row = (
                    name, stored_length, stored_length, inline, plain, offset, length, NO_META, start, checksum, None,
                )  # fmt: skip
                yield new(Entry, row), payload
            offset = following
