"""The fast path: version-3 entries straight from a mapped file, index used in place.

About two probes and no system call an entry. Everything unusual (a probe that reaches the
end of its block, a compressed or external payload, any contradiction) is left to the sans-I/O
code, which does it slowly and explains what it finds.
"""

from __future__ import annotations

import mmap
import struct
import sys
from collections.abc import Iterator, Sequence

from xxhash import xxh3_64_intdigest

from .entry import ENTRY_HEAD_SIZE, NO_META, Codec, Entry, Kind, decode_record
from .errors import CorruptArchiveError
from .hashtable import check_block
from .layout import BLOCK_SIZE, Footer
from .scanning import Expander, Scanned, finish_scanned

__all__ = ["LocalIndex", "scan_mapped"]

# head checksum, kind and codec (0: inline, uncompressed), name, meta and stored length, payload checksum
_FIELDS = struct.Struct("<4xIHHIII")


class LocalIndex:
    """Lookup in a mapped version-3 archive; safe to share between threads.

    Args:
        data: The archive.
        footer: Its footer, whose regions were checked against the size of `data`.
        verify: Check the checksums of entries.
    """

    def __init__(self, data: bytes | mmap.mmap, footer: Footer, *, verify: bool) -> None:
        view = memoryview(data)[footer.index_start : footer.index_start + footer.index_length]
        self._view = view
        self._words = view.cast("Q")
        self._halves = view.cast("I")
        self._data = data
        self._index_start = footer.index_start
        self._checked = bytearray(footer.index_block_count)
        self._hot = (
            data,
            self._words,
            self._halves,
            footer.index_block_count,
            footer.hash_seed,
            self._checked,
            _FIELDS.unpack_from,
            verify,
        )

    @staticmethod
    def supports(footer: Footer) -> bool:
        """Whether the index can be used in place: little-endian machine, at least one entry."""
        return sys.byteorder == "little" and footer.index_block_count > 0

    def _check(self, block: int) -> None:
        start = self._index_start + block * BLOCK_SIZE
        check_block(self._data[start : start + BLOCK_SIZE], block, self._index_start)
        self._checked[block] = 1

    def get(self, name: str) -> bytes | None:
        """Return an inline, uncompressed entry's payload, or None when the slow path must decide."""
        data, words, halves, blocks, seed, checked, fields, verify = self._hot
        encoded = name.encode()
        hashed = xxh3_64_intdigest(encoded, seed)
        block = ((hashed >> 32) * blocks) >> 32
        if not checked[block]:
            self._check(block)
        tag = (hashed >> 8) & 0xFFFFFFFF or 1
        at = (block << 10) + ((hashed & 255) % 255 << 2) + 2
        while True:
            found = halves[at]
            if found == tag:
                offset = words[(at >> 1) - 1]
                try:
                    head_checksum, stored_as, name_length, meta_length, stored_length, checksum = fields(data, offset)
                except (struct.error, OverflowError) as error:
                    raise CorruptArchiveError(f"index block {block} points to {offset}, outside of the file") from error
                start = offset + ENTRY_HEAD_SIZE
                end = start + name_length
                if data[start:end] == encoded:
                    if stored_as:
                        return None
                    start = end + meta_length
                    payload = data[start : start + stored_length]
                    if verify:
                        if (
                            xxh3_64_intdigest(payload) & 0xFFFFFFFF != checksum
                            or xxh3_64_intdigest(data[offset + 8 : start], offset) & 0xFFFFFFFF != head_checksum
                        ):
                            return None
                    elif len(payload) != stored_length:
                        return None
                    return payload
            elif not found:
                return None
            at += 4
            if at & 1023 == 1022:
                return None

    def get_many(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """As `get` for each name, in the order of `names`, reading in offset order."""
        data, words, halves, blocks, seed, checked, fields, verify = self._hot
        located = []
        for position, name in enumerate(names):
            hashed = xxh3_64_intdigest(name.encode(), seed)
            block = ((hashed >> 32) * blocks) >> 32
            if not checked[block]:
                self._check(block)
            tag = (hashed >> 8) & 0xFFFFFFFF or 1
            at = (block << 10) + ((hashed & 255) % 255 << 2) + 2
            while halves[at] != tag:
                if not halves[at]:
                    break
                at += 4
                if at & 1023 == 1022:
                    break
            else:
                located.append((words[(at >> 1) - 1], position))
        located.sort()
        payloads: list[bytes | None] = [None] * len(names)
        for offset, position in located:
            try:
                head_checksum, stored_as, name_length, meta_length, stored_length, checksum = fields(data, offset)
            except (struct.error, OverflowError) as error:
                raise CorruptArchiveError(f"the index points to {offset}, outside of the file") from error
            start = offset + ENTRY_HEAD_SIZE
            end = start + name_length
            if stored_as or data[start:end] != names[position].encode():
                continue
            start = end + meta_length
            payload = data[start : start + stored_length]
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
            head_checksum, stored_as, name_length, meta_length, stored_length, checksum = fields(data, offset)
            name_end = offset + ENTRY_HEAD_SIZE + name_length
            start = name_end + meta_length
            following = start + stored_length
            if following > end:
                raise CorruptArchiveError(f"the entry at offset {offset} ends at {following}, DATA at {end}")
            payload = data[start:following]
            if (
                stored_as
                or meta_length
                or xxh3_64_intdigest(payload) & 0xFFFFFFFF != checksum
                or xxh3_64_intdigest(data[offset + 8 : name_end], offset) & 0xFFFFFFFF != head_checksum
            ):
                record = decode_record(data[offset:start], offset, verify=verify)
                yield from finish_scanned(record, payload, expander)
            else:
                name = data[offset + ENTRY_HEAD_SIZE : name_end].decode()
                yield (
                    Entry(
                        name, stored_length, stored_length, Kind.INLINE, Codec.NONE,
                        offset, following - offset, NO_META, start, checksum,
                    ),
                    payload,
                )  # fmt: skip
            offset = following
