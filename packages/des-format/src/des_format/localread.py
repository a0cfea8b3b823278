"""The fast path: version-3 entries straight from a mapped file, index used in place.

About two probes and no system call an entry. Everything unusual (an overflowing block, an
external payload, any contradiction) is left to the sans-I/O code, which does it slowly and
explains what it finds.
"""

from __future__ import annotations

import mmap
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from xxhash import xxh3_64_intdigest

from .entry import ENTRY_HEAD_SIZE, NO_META, Codec, Entry, Kind, check_payload, decode_record
from .errors import CorruptArchiveError
from .hashtable import check_block
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
        self._view = memoryview(data)[footer.index_start : footer.index_start + footer.index_length]
        self._words = self._view.cast("Q")
        self._halves = self._view.cast("I")
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

    def getter(self, otherwise: Callable[[str], bytes]) -> Callable[[str], bytes]:
        """Return a function that reads inline entries, and asks `otherwise` for all others.

        It is a closure because half of the 1.3 microseconds of a get are the interpreter's: an
        attribute of an object, or one call more, costs several percent. For the same reason the
        search for the slot is written out three times in this class.
        """
        # Nearly every archive has seed 0, and a call without it is faster.
        hash_name = partial(xxh3_64_intdigest, seed=self._seed) if self._seed else xxh3_64_intdigest
        return (
            self._checking_getter(hash_name, otherwise)
            if self._expander.verify
            else self._trusting_getter(hash_name, otherwise)
        )

    def _checking_getter(
        self, hash_name: Callable[[bytes], int], otherwise: Callable[[str], bytes]
    ) -> Callable[[str], bytes]:
        data, words, halves, blocks, data_end = self._data, self._words, self._halves, self._blocks, self._data_end
        checked, check, fields, hash_of = self._checked, self._check, _FIELDS.unpack_from, xxh3_64_intdigest
        read_compressed = self._read_compressed

        def get(name: str) -> bytes:
            try:
                encoded = name.encode()
            except (AttributeError, UnicodeEncodeError):
                return otherwise(name)
            hashed = hash_name(encoded)
            block = ((hashed >> 32) * blocks) >> 32
            if not checked[block]:
                check(block)
            tag = (hashed >> 8) & 0xFFFFFFFF or 1
            at = (block << 10) + ((hashed & 255) % 255 << 2) + 2
            wrapped = False
            while True:
                found = halves[at]
                if found == tag:
                    offset = words[(at >> 1) - 1]
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
                    return otherwise(name)
                at += 4
                if at & 1023 == 1022:
                    if wrapped:
                        return otherwise(name)
                    wrapped = True
                    at -= 1020

        return get

    def _trusting_getter(
        self, hash_name: Callable[[bytes], int], otherwise: Callable[[str], bytes]
    ) -> Callable[[str], bytes]:
        data, words, halves, blocks, data_end = self._data, self._words, self._halves, self._blocks, self._data_end
        checked, check, lengths = self._checked, self._check, _LENGTHS.unpack_from
        read_compressed = self._read_compressed

        def get(name: str) -> bytes:
            try:
                encoded = name.encode()
            except (AttributeError, UnicodeEncodeError):
                return otherwise(name)
            hashed = hash_name(encoded)
            block = ((hashed >> 32) * blocks) >> 32
            if not checked[block]:
                check(block)
            tag = (hashed >> 8) & 0xFFFFFFFF or 1
            at = (block << 10) + ((hashed & 255) % 255 << 2) + 2
            wrapped = False
            while True:
                found = halves[at]
                if found == tag:
                    offset = words[(at >> 1) - 1]
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
                    return otherwise(name)
                at += 4
                if at & 1023 == 1022:
                    if wrapped:
                        return otherwise(name)
                    wrapped = True
                    at -= 1020

        return get

    def get_many(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """As `get` for each name, in the order of `names`, reading in offset order."""
        data, words, halves, blocks, seed = self._data, self._words, self._halves, self._blocks, self._seed
        checked, verify, fields, data_end = self._checked, self._expander.verify, _FIELDS.unpack_from, self._data_end
        located = []
        for position, name in enumerate(names):
            hashed = xxh3_64_intdigest(name.encode(), seed)
            block = ((hashed >> 32) * blocks) >> 32
            if not checked[block]:
                self._check(block)
            tag = (hashed >> 8) & 0xFFFFFFFF or 1
            at = (block << 10) + ((hashed & 255) % 255 << 2) + 2
            wrapped = False
            while halves[at] != tag:
                if not halves[at]:
                    break
                at += 4
                if at & 1023 == 1022:
                    if wrapped:
                        break
                    wrapped = True
                    at -= 1020
            else:
                located.append((words[(at >> 1) - 1], position, halves[at + 1]))
        located.sort()
        payloads: list[bytes | None] = [None] * len(names)
        for offset, position, length in located:
            try:
                head_checksum, stored_as, name_length, meta_length, stored_length, checksum, raw_length, dictionary = (
                    fields(data, offset)
                )
            except (struct.error, OverflowError) as error:
                raise CorruptArchiveError(f"the index points to {offset}, outside of the file") from error
            start = offset + ENTRY_HEAD_SIZE
            end = start + name_length
            if data[start:end] != names[position].encode():
                continue
            if stored_as:
                if not stored_as & _KIND:
                    payloads[position] = self._read_compressed(offset, length)
                continue
            start = end + meta_length
            end = start + stored_length
            if raw_length != stored_length or dictionary or end - offset != length or end > data_end:
                continue
            payload = data[start:end]
            if verify:
                if (
                    xxh3_64_intdigest(payload) & 0xFFFFFFFF != checksum
                    or xxh3_64_intdigest(data[offset + 8 : start], offset) & 0xFFFFFFFF != head_checksum
                ):
                    continue
            elif len(payload) != stored_length:
                continue
            payloads[position] = payload
        return dict(zip(names, payloads, strict=True))

    def close(self) -> None:
        """Release the views, so that the file can be unmapped."""
        for view in (self._words, self._halves, self._view):
            view.release()


def scan_mapped(data: bytes | mmap.mmap, segments: Sequence[tuple[int, int]], expander: Expander) -> Iterator[Scanned]:
    """As an `EntryScanner` over the same segments, without copying chunks: plain entries in one go."""
    fields = _FIELDS.unpack_from
    verify = expander.verify
    for offset, end in segments:
        while offset < end:
            if offset + ENTRY_HEAD_SIZE > end:
                raise CorruptArchiveError(f"DATA ends at {end}, in the middle of the entry at offset {offset}")
            head_checksum, stored_as, name_length, meta_length, stored_length, checksum, raw_length, dictionary = (
                fields(data, offset)
            )
            name_end = offset + ENTRY_HEAD_SIZE + name_length
            start = name_end + meta_length
            following = start + stored_length
            if following > end:
                raise CorruptArchiveError(f"the entry at offset {offset} ends at {following}, DATA at {end}")
            payload = data[start:following]
            if (
                stored_as
                or meta_length
                or raw_length != stored_length
                or dictionary
                or xxh3_64_intdigest(payload) & 0xFFFFFFFF != checksum
                or xxh3_64_intdigest(data[offset + 8 : name_end], offset) & 0xFFFFFFFF != head_checksum
            ):
                record = decode_record(data[offset:start], offset, verify=verify)
                yield from finish_scanned(record, payload, expander)
            else:
                try:
                    name = data[offset + ENTRY_HEAD_SIZE : name_end].decode()
                except UnicodeDecodeError:
                    name = ""
                if not name or "\0" in name:
                    name = decode_name(data[offset + ENTRY_HEAD_SIZE : name_end])  # Says what is wrong with it.
                yield (
                    Entry(
                        name, stored_length, stored_length, Kind.INLINE, Codec.NONE,
                        offset, following - offset, NO_META, start, checksum,
                    ),
                    payload,
                )  # fmt: skip
            offset = following
