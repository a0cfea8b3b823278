"""META: every entry's name, place, size and metadata in name order, for listing.

META is a sequence of zstd-compressed blocks of about 64 KiB, followed by a directory with
one row for each block. Inside a block the fields lie in columns, numbers as byte planes
(all lowest bytes, then all second bytes, ...) and names without the part that they share
with their predecessor, so that a row costs about 11 bytes.

Source: docs/format.md, section "Meta".
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .checksum import checksum64
from .codecs import compress_zstd, decompress_zstd
from .entry import CODECS, ENTRY_HEAD_SIZE, KINDS, MAX_META_BYTES, Entry, Kind, decode_meta
from .errors import ChecksumMismatchError, CorruptArchiveError
from .names import MAX_NAME_BYTES, decode_name

__all__ = ["Directory", "DirectoryRow", "Row", "decode_block", "encode_meta_region"]

BLOCK_TARGET_BYTES = 64 * 1024
MAX_RAW_BLOCK_BYTES = BLOCK_TARGET_BYTES + MAX_NAME_BYTES + MAX_META_BYTES + 64
_LEVEL = 3

_COUNT = struct.Struct("<I")
_ROW_HEAD = struct.Struct("<IIIHQ")
# name bytes shared with the row before, further name bytes, metadata bytes, kind, codec, length, raw length, offset
_COLUMNS = ("H", "H", "I", "B", "B", "I", "Q", "Q")
_ROW_BYTES = sum(array(code).itemsize for code in _COLUMNS)


class Row(NamedTuple):
    """One entry as META knows it."""

    name: bytes
    meta: bytes
    kind: int
    codec: int
    length: int
    raw_length: int
    offset: int

    @property
    def entry(self) -> Entry:
        """The public form of the row.

        Raises:
            CorruptArchiveError: Name, kind, codec or metadata break the format.
        """
        name = decode_name(self.name)
        if self.kind not in (Kind.INLINE, Kind.EXTERNAL) or self.codec >= len(CODECS):
            raise CorruptArchiveError(f"META row of {name!r}: unknown kind {self.kind} or codec {self.codec}")
        kind = KINDS[self.kind]
        stored = self.length - ENTRY_HEAD_SIZE - len(self.name) - len(self.meta)
        if stored < 0:
            raise CorruptArchiveError(f"META row of {name!r}: {self.length} bytes do not hold its name and metadata")
        if kind is Kind.EXTERNAL:
            stored = 0
        meta = decode_meta(self.meta, where=f"entry {name!r}")
        return Entry(name, self.raw_length, stored, kind, CODECS[self.codec], self.offset, self.length, meta)


class DirectoryRow(NamedTuple):
    """Where one META block lies, and the first name in it."""

    start: int
    end: int
    raw_length: int
    entry_count: int
    checksum: int
    first_name: bytes


def _to_planes(values: Iterable[int], code: str) -> bytes:
    column = array(code, values)
    if sys.byteorder == "big":
        column.byteswap()
    raw = column.tobytes()
    width = column.itemsize
    return b"".join(raw[plane::width] for plane in range(width))


def _from_planes(data: bytes, count: int, code: str) -> array[int]:
    column = array(code)
    width = column.itemsize
    raw = bytearray(count * width)
    for plane in range(width):
        raw[plane::width] = data[plane * count : (plane + 1) * count]
    column.frombytes(bytes(raw))
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _shared_prefix(first: bytes, second: bytes) -> int:
    size = min(len(first), len(second))
    differing = int.from_bytes(first[:size]) ^ int.from_bytes(second[:size])
    return size - (differing.bit_length() + 7) // 8


def _encode_block(rows: list[Row]) -> bytes:
    names = [row.name for row in rows]
    shared = [0, *map(_shared_prefix, names, names[1:])]
    columns = (
        shared,
        [len(name) - common for name, common in zip(names, shared, strict=True)],
        [len(row.meta) for row in rows],
        [row.kind for row in rows],
        [row.codec for row in rows],
        [row.length for row in rows],
        [row.raw_length for row in rows],
        [row.offset for row in rows],
    )
    parts = [_COUNT.pack(len(rows))]
    parts += map(_to_planes, columns, _COLUMNS)
    parts += [name[common:] for name, common in zip(names, shared, strict=True)]
    parts += [row.meta for row in rows]
    return b"".join(parts)


def encode_meta_region(rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield the META blocks for rows in name order, then the directory as the last item."""
    directory = []
    block: list[Row] = []
    size = 0

    def seal() -> bytes:
        raw = _encode_block(block)
        stored = compress_zstd(raw, _LEVEL)
        head = _ROW_HEAD.pack(len(stored), len(raw), len(block), len(block[0].name), checksum64(stored))
        directory.append(head + block[0].name)
        return stored

    for row in rows:
        block.append(row)
        size += _ROW_BYTES + len(row.name) + len(row.meta)
        if size >= BLOCK_TARGET_BYTES:
            yield seal()
            block, size = [], 0
    if block:
        yield seal()
    yield _COUNT.pack(len(directory)) + b"".join(directory)


def decode_block(stored: bytes, row: DirectoryRow) -> list[Row]:
    """Return the rows of one META block.

    Raises:
        CorruptArchiveError: Length, checksum or content contradict the directory.
    """
    where = f"META block at offset {row.start}"
    if len(stored) != row.end - row.start:
        raise CorruptArchiveError(f"{where}: found {len(stored)} bytes, expected {row.end - row.start}")
    found = checksum64(stored)
    if found != row.checksum:
        raise ChecksumMismatchError(f"{where}: checksum {found:#018x}, expected {row.checksum:#018x}")
    raw = decompress_zstd(stored, row.raw_length, where=where)
    count = int.from_bytes(raw[: _COUNT.size], "little")
    if count != row.entry_count or _COUNT.size + count * _ROW_BYTES > len(raw):
        raise CorruptArchiveError(f"{where}: holds {count} rows in {len(raw)} bytes, expected {row.entry_count}")
    at = _COUNT.size
    columns = []
    for code in _COLUMNS:
        width = array(code).itemsize
        columns.append(_from_planes(raw[at : at + count * width], count, code))
        at += count * width
    shared, fresh, meta_lengths, kinds, codecs, lengths, raw_lengths, offsets = columns
    meta_at = at + sum(fresh)
    if meta_at + sum(meta_lengths) != len(raw):
        raise CorruptArchiveError(f"{where}: names and metadata do not fill its {len(raw)} bytes")
    # A name may share all of the one before it, so a small block could expand without end.
    if sum(shared) + sum(fresh) + sum(meta_lengths) > MAX_RAW_BLOCK_BYTES:
        raise CorruptArchiveError(f"{where}: its names and metadata expand to over {MAX_RAW_BLOCK_BYTES} bytes")
    rows = []
    name = b""
    for index in range(count):
        if shared[index] > len(name):
            raise CorruptArchiveError(f"{where}: row {index} shares {shared[index]} bytes of a {len(name)}-byte name")
        name = name[: shared[index]] + raw[at : at + fresh[index]]
        at += fresh[index]
        meta = raw[meta_at : meta_at + meta_lengths[index]]
        meta_at += meta_lengths[index]
        rows.append(Row(name, meta, kinds[index], codecs[index], lengths[index], raw_lengths[index], offsets[index]))
    return rows


class Directory:
    """The META directory: which block holds which names."""

    def __init__(self, rows: list[DirectoryRow]) -> None:
        self.rows = rows
        self._first_names = [row.first_name for row in rows]

    @classmethod
    def decode(cls, data: bytes, *, meta_start: int, meta_length: int, expected_checksum: int) -> Directory:
        """Read a directory.

        Raises:
            CorruptArchiveError: The checksum does not hold, or the rows do not tile META.
        """
        where = f"META directory at offset {meta_start + meta_length}"
        found = checksum64(data)
        if found != expected_checksum:
            raise ChecksumMismatchError(f"{where}: checksum {found:#018x}, expected {expected_checksum:#018x}")
        rows = []
        position = meta_start
        try:
            (count,) = _COUNT.unpack_from(data)
            at = _COUNT.size
            for _ in range(count):
                length, raw_length, entries, name_length, checksum = _ROW_HEAD.unpack_from(data, at)
                at += _ROW_HEAD.size
                name = data[at : at + name_length]
                at += name_length
                if raw_length > MAX_RAW_BLOCK_BYTES:
                    raise CorruptArchiveError(f"{where}: a block of {raw_length} bytes is over {MAX_RAW_BLOCK_BYTES}")
                rows.append(DirectoryRow(position, position + length, raw_length, entries, checksum, name))
                position += length
        except struct.error as error:
            raise CorruptArchiveError(f"{where}: {error}") from error
        if at != len(data) or position != meta_start + meta_length:
            raise CorruptArchiveError(f"{where}: {count} rows do not fill {len(data)} and {meta_length} bytes")
        return cls(rows)

    def with_prefix(self, prefix: bytes) -> list[DirectoryRow]:
        """The blocks that may hold names with this prefix, in name order."""
        if not prefix:
            return self.rows
        first = max(bisect_left(self._first_names, prefix) - 1, 0)
        last = bisect_right(self._first_names, prefix, key=lambda name: name[: len(prefix)])
        return self.rows[first:last]
