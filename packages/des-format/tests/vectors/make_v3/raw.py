"""Assemble an archive region by region, straight from docs/format.md and with every checksum right.

Nothing here comes from `des_format`: whatever the specification allows or forbids can be written, also what the
package's own writer never does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import MappingProxyType

import xxhash
import zstandard

BLOCK = 4096
SLOTS = 255
FOOTER_FIELDS = (
    "archive_size data_start data_length meta_start meta_length directory_length index_start index_block_count"
    " hash_seed entry_count raw_bytes stored_bytes external_count external_bytes dictionary_start dictionary_length"
    " previous_footer directory_checksum index_checksum"
).split()


def xxh64(data: bytes, seed: int = 0) -> int:
    return xxhash.xxh3_64_intdigest(data, seed)


def xxh32(data: bytes, seed: int = 0) -> int:
    return xxh64(data, seed) & 0xFFFFFFFF


def header(
    *, magic: bytes = b"DESHEAD3", minor: int = 0, required: int = 0, optional: int = 0, spare: int = 0
) -> bytes:
    body = struct.pack("<8sHHIQ", magic, minor, required, optional, spare)
    return body + struct.pack("<Q", xxh64(body))


@dataclass(frozen=True)
class Row:
    """One entry as META and INDEX know it; each field can be made to lie."""

    name: bytes
    offset: int
    length: int
    raw_length: int
    meta: bytes = b""
    kind: int = 0
    codec: int = 0


@dataclass(frozen=True)
class Head:
    """The fields of a record's head that `RawArchive.add` can be told to write; None is what is right."""

    kind: int = 0
    codec: int = 0
    raw_length: int | None = None
    dictionary: int = 0
    name_length: int | None = None
    meta_length: int | None = None
    stored_length: int | None = None
    payload_checksum: int | None = None
    seed: int | None = None

    def encode(self, offset: int, name: bytes, meta: bytes, payload: bytes) -> bytes:
        def told(value: int | None, right: int) -> int:
            return right if value is None else value

        rest = struct.pack(
            "<BBHIIIQI",
            self.kind,
            self.codec,
            told(self.name_length, len(name)),
            told(self.meta_length, len(meta)),
            told(self.stored_length, len(payload)),
            told(self.payload_checksum, xxh32(payload)),
            told(self.raw_length, len(payload)),
            self.dictionary,
        )
        rest += name + meta
        return struct.pack("<4sI", b"DESE", xxh32(rest, told(self.seed, offset))) + rest


def planes(values: Sequence[int], width: int) -> bytes:
    return b"".join(bytes(value >> 8 * plane & 255 for value in values) for plane in range(width))


def meta_block(rows: Sequence[Row], shared: Sequence[int] | None = None, row_count: int | None = None) -> bytes:
    """The uncompressed content of one META block; `shared` and `row_count` can be made to lie."""
    names = [row.name for row in rows]
    if shared is None:
        shared = [0] + [_common(first, second) for first, second in pairwise(names)]
    fresh = [name[common:] for name, common in zip(names, shared, strict=True)]
    columns = [
        (shared, 2),
        ([len(part) for part in fresh], 2),
        ([len(row.meta) for row in rows], 4),
        ([row.kind for row in rows], 1),
        ([row.codec for row in rows], 1),
        ([row.length for row in rows], 4),
        ([row.raw_length for row in rows], 8),
        ([row.offset for row in rows], 8),
    ]
    count = len(rows) if row_count is None else row_count
    parts = [struct.pack("<I", count), *(planes(values, width) for values, width in columns), *fresh]
    return b"".join(parts + [row.meta for row in rows])


def _common(first: bytes, second: bytes) -> int:
    size = min(len(first), len(second))
    return next((i for i in range(size) if first[i] != second[i]), size)


@dataclass(frozen=True)
class MetaBlock:
    """One META block and what the directory says about it."""

    raw: bytes
    entry_count: int
    first_name: bytes
    raw_length: int | None = None

    @property
    def stored(self) -> bytes:
        return zstandard.ZstdCompressor(level=3).compress(self.raw)

    @property
    def directory_row(self) -> bytes:
        raw_length = len(self.raw) if self.raw_length is None else self.raw_length
        stored = self.stored
        numbers = struct.pack("<IIIHQ", len(stored), raw_length, self.entry_count, len(self.first_name), xxh64(stored))
        return numbers + self.first_name


def place(hashes: Sequence[int], rows: Sequence[Row], count: int) -> list[bytearray]:
    """INDEX blocks with every row in the first free slot of its probing sequence; checksums are not set yet."""
    blocks = [bytearray(BLOCK) for _ in range(count)]
    for hashed, row in zip(hashes, rows, strict=True):
        number = (hashed >> 32) * count >> 32
        while (at := next(free_slots(blocks[number], hashed), None)) is None:
            blocks[number][4080] |= 1
            number = (number + 1) % count
        struct.pack_into("<QII", blocks[number], at, row.offset, (hashed >> 8) & 0xFFFFFFFF or 1, row.length)
    return blocks


def free_slots(block: bytearray, hashed: int) -> Iterator[int]:
    first = (hashed & 255) % SLOTS
    for probe in range(SLOTS):
        at = (first + probe) % SLOTS * 16
        if not any(block[at + 8 : at + 12]):
            yield at


@dataclass
class RawArchive:
    """An archive under construction: add entries, bend what shall be wrong, then `finish`.

    Attributes:
        seed: Seed of the name hash.
        head: The header.
        rows_per_block: Rows of a META block.
        gap: Bytes between the META directory and the padding before INDEX.
        data: Header and DATA so far.
        rows: The entries as META and INDEX are to know them.
        dictionary: Offset and length of the dictionary entry.
    """

    seed: int = 0
    head: bytes = field(default_factory=header)
    rows_per_block: int = 1000
    gap: bytes = b""
    data: bytearray = field(default_factory=bytearray)
    rows: list[Row] = field(default_factory=list)
    dictionary: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        self.data += self.head

    def add(self, name: bytes, payload: bytes, fields: Head = Head(), *, meta: bytes = b"", listed: bool = True) -> Row:
        """Append a record, and its row unless it is not to be listed."""
        offset = len(self.data)
        record = fields.encode(offset, name, meta, payload) + payload
        self.data += record
        raw_length = len(payload) if fields.raw_length is None else fields.raw_length
        row = Row(name, offset, len(record), raw_length, meta, fields.kind, fields.codec)
        if listed:
            self.rows.append(row)
        return row

    def bend(self, name: bytes, **changes: int) -> list[Row]:
        """The rows, with some fields of one of them changed."""
        return [replace(row, **changes) if row.name == name else row for row in self.rows]  # type: ignore[arg-type]

    def meta_blocks(self) -> list[MetaBlock]:
        rows = sorted(self.rows, key=lambda row: row.name)
        groups = [rows[i : i + self.rows_per_block] for i in range(0, len(rows), self.rows_per_block)]
        return [MetaBlock(meta_block(group), len(group), group[0].name) for group in groups]

    def meta_size(self) -> int:
        """Bytes of the META blocks and their directory."""
        return 4 + sum(len(block.stored) + len(block.directory_row) for block in self.meta_blocks())

    def finish(
        self,
        *,
        meta_blocks: list[MetaBlock] | None = None,
        indexed: list[Row] | None = None,
        bend_directory: Callable[[bytes], bytes] = bytes,
        bend_blocks: Callable[[list[bytearray]], object] = list,
        minor: int = 0,
        required: int = 0,
        optional: int = 0,
        spare: int = 0,
        footer: Mapping[str, int] = MappingProxyType({}),
    ) -> bytes:
        """The whole archive; `footer` replaces right values of the footer, whose checksum covers them all the same."""
        meta_blocks = self.meta_blocks() if meta_blocks is None else meta_blocks
        indexed = self.rows if indexed is None else indexed
        meta = b"".join(block.stored for block in meta_blocks)
        rows = b"".join(block.directory_row for block in meta_blocks)
        directory = bend_directory(struct.pack("<I", len(meta_blocks)) + rows)
        before_index = len(self.data) + len(meta) + len(directory) + len(self.gap)
        padding = self.gap + bytes(-before_index % 64)
        blocks = place([xxh64(row.name, self.seed) for row in indexed], indexed, -(-len(indexed) * 4 // (3 * SLOTS)))
        bend_blocks(blocks)
        for block in blocks:
            struct.pack_into("<Q", block, 4088, xxh64(bytes(block[:4088])))
        index_checksum = xxh64(b"".join(block[4088:] for block in blocks))
        index = b"".join(blocks)
        start = before_index + -before_index % 64
        right = self._footer_fields(len(meta), len(directory), start, len(blocks), xxh64(directory), index_checksum)
        values = right | dict(footer)
        body = struct.pack("<8sHHI", b"DESFOOT3", minor, required, optional)
        body += struct.pack("<19Q", *(values[name] for name in FOOTER_FIELDS))
        body += xxhash.xxh3_128(bytes(self.data[len(self.head) :])).digest() + struct.pack("<Q", spare)
        return bytes(self.data) + meta + directory + padding + index + body + struct.pack("<Q", xxh64(body))

    def _footer_fields(
        self, meta: int, directory: int, index_start: int, blocks: int, directory_checksum: int, index_checksum: int
    ) -> dict[str, int]:
        inline = [row for row in self.rows if row.kind == 0]
        external = [row for row in self.rows if row.kind == 1]
        return {
            "archive_size": index_start + blocks * BLOCK + 200,
            "data_start": len(self.head),
            "data_length": len(self.data) - len(self.head),
            "meta_start": len(self.data),
            "meta_length": meta,
            "directory_length": directory,
            "index_start": index_start,
            "index_block_count": blocks,
            "hash_seed": self.seed,
            "entry_count": len(self.rows),
            "raw_bytes": sum(row.raw_length for row in self.rows),
            "stored_bytes": sum(row.length - 36 - len(row.name) - len(row.meta) for row in inline),
            "external_count": len(external),
            "external_bytes": sum(row.raw_length for row in external),
            "dictionary_start": self.dictionary[0],
            "dictionary_length": self.dictionary[1],
            "previous_footer": 0,
            "directory_checksum": directory_checksum,
            "index_checksum": index_checksum,
        }
