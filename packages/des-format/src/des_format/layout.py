"""Byte layout of the fixed parts: HEADER and FOOTER, and the limits every part obeys.

Source: docs/format.md, sections "Header" and "Footer".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from operator import attrgetter

from .checksum import checksum64
from .errors import ChecksumMismatchError, CorruptArchiveError, EntryTooLargeError, UnsupportedFormatError

__all__ = [
    "BLOCK_SIZE",
    "FOOTER_MAGIC",
    "FOOTER_SIZE",
    "HEADER",
    "HEADER_MAGIC",
    "HEADER_SIZE",
    "INDEX_ALIGNMENT",
    "MINOR_VERSION",
    "Footer",
    "check_bounds",
    "check_header",
    "decode_footer",
    "encode_footer",
]

HEADER_MAGIC = b"DESHEAD3"
FOOTER_MAGIC = b"DESFOOT3"
MINOR_VERSION = 0
SUPPORTED_FEATURES = 0
BLOCK_SIZE = 4096
INDEX_ALIGNMENT = 64

_HEADER = struct.Struct("<8sHHI8xQ")
_FOOTER = struct.Struct("<8sHHI19Q16s8xQ")
_CHECKSUM = struct.Struct("<Q")
HEADER_SIZE = _HEADER.size
FOOTER_SIZE = _FOOTER.size


def _encode_header() -> bytes:
    head = _HEADER.pack(HEADER_MAGIC, MINOR_VERSION, SUPPORTED_FEATURES, 0, 0)[: -_CHECKSUM.size]
    return head + _CHECKSUM.pack(checksum64(head))


HEADER = _encode_header()


def _check_features(part: str, offset: int, required: int) -> None:
    unknown = required & ~SUPPORTED_FEATURES
    if unknown:
        raise UnsupportedFormatError(
            f"{part} at offset {offset} requires unknown features {unknown:#06x};"
            " read this archive with a newer des-format"
        )


def check_header(data: bytes) -> None:
    """Check the first `HEADER_SIZE` bytes of an archive.

    Raises:
        UnsupportedFormatError: Another magic, or required features that are unknown.
        CorruptArchiveError: Too short, or its checksum does not hold.

    Source: docs/format.md, section "Header".
    """
    if len(data) < HEADER_SIZE:
        raise CorruptArchiveError(f"header at offset 0: found {len(data)} bytes, expected {HEADER_SIZE}")
    magic, _minor, required, _optional, stored = _HEADER.unpack_from(data)
    if magic != HEADER_MAGIC:
        raise UnsupportedFormatError(f"header at offset 0: found magic {magic!r}, expected {HEADER_MAGIC!r}")
    found = checksum64(data[: HEADER_SIZE - _CHECKSUM.size])
    if found != stored:
        raise ChecksumMismatchError(f"header at offset 0: checksum {found:#018x}, expected {stored:#018x}")
    _check_features("header", 0, required)


@dataclass(frozen=True, slots=True)
class Footer:
    """Where everything is, and what it adds up to. Offsets count from the archive's first byte.

    Attributes:
        archive_size: Size of the whole archive, this footer included, in bytes.
        data_start: First byte of the DATA segment that this footer closes.
        data_length: Length of that segment in bytes.
        meta_start: First byte of the META blocks.
        meta_length: Length of the META blocks in bytes, directory not included.
        directory_length: Length of the META directory, which follows the blocks.
        index_start: First byte of the INDEX, a multiple of `INDEX_ALIGNMENT`.
        index_block_count: Number of INDEX blocks of `BLOCK_SIZE` bytes.
        hash_seed: Seed of the name hash.
        entry_count: Entries in the archive, dictionaries not counted.
        raw_bytes: Sum of the payload sizes before compression, external ones included.
        stored_bytes: Sum of the stored payload sizes inside the archive.
        external_count: Entries whose payload lies beside the archive.
        external_bytes: Sum of their payload sizes.
        dictionary_start: First byte of the dictionary entry, 0 for none.
        dictionary_length: Length of the dictionary entry in bytes, 0 for none.
        previous_footer: First byte of the footer that an append came after, 0 for none.
        directory_checksum: XXH3-64 of the META directory.
        index_checksum: XXH3-64 of the checksums of all INDEX blocks.
        content_digest: XXH3-128 of the DATA segment, after the previous footer's digest.
    """

    archive_size: int
    data_start: int
    data_length: int
    meta_start: int
    meta_length: int
    directory_length: int
    index_start: int
    index_block_count: int
    hash_seed: int
    entry_count: int
    raw_bytes: int
    stored_bytes: int
    external_count: int
    external_bytes: int
    dictionary_start: int
    dictionary_length: int
    previous_footer: int
    directory_checksum: int
    index_checksum: int
    content_digest: bytes

    @property
    def directory_start(self) -> int:
        return self.meta_start + self.meta_length

    @property
    def index_length(self) -> int:
        return self.index_block_count * BLOCK_SIZE


_VALUES = attrgetter(*(field.name for field in fields(Footer)))


def encode_footer(footer: Footer) -> bytes:
    """Return the `FOOTER_SIZE` bytes of a footer.

    Raises:
        EntryTooLargeError: The sizes, which an archive that is appended to may state as it likes, add up to over 2**64.
    """
    try:
        body = _FOOTER.pack(FOOTER_MAGIC, MINOR_VERSION, SUPPORTED_FEATURES, 0, *_VALUES(footer), 0)[: -_CHECKSUM.size]
    except struct.error as error:
        raise EntryTooLargeError(f"the entries add up to more than a footer can state: {footer}") from error
    return body + _CHECKSUM.pack(checksum64(body))


def decode_footer(tail: bytes, *, archive_size: int) -> Footer:
    """Read the footer from the last bytes of an archive.

    Args:
        tail: At least the last `FOOTER_SIZE` bytes of the archive.
        archive_size: Size of the whole archive, in bytes.

    Raises:
        UnsupportedFormatError: Required features that are unknown.
        CorruptArchiveError: Magic, length, checksum or region bounds break the format.

    Source: docs/format.md, section "Footer".
    """
    start = archive_size - FOOTER_SIZE
    if len(tail) < FOOTER_SIZE or start < HEADER_SIZE:
        raise CorruptArchiveError(
            f"archive of {archive_size} bytes is too short for a header and a footer"
            f" ({HEADER_SIZE + FOOTER_SIZE} bytes): it is truncated; try `des salvage`"
        )
    data = tail[-FOOTER_SIZE:]
    magic, _minor, required, _optional, *values, stored = _FOOTER.unpack(data)
    if magic != FOOTER_MAGIC:
        raise CorruptArchiveError(
            f"footer at offset {start}: found {magic!r}, expected {FOOTER_MAGIC!r}:"
            " the archive is truncated or damaged; try `des salvage`"
        )
    found = checksum64(data[: -_CHECKSUM.size])
    if found != stored:
        raise ChecksumMismatchError(f"footer at offset {start}: checksum {found:#018x}, expected {stored:#018x}")
    _check_features("footer", start, required)
    footer = Footer(*values)
    check_bounds(footer, archive_size)
    return footer


def check_bounds(footer: Footer, archive_size: int) -> None:
    """Refuse a footer whose regions are not inside the file, in order and without overlap.

    Raises:
        CorruptArchiveError: It is one.
    """
    start = archive_size - FOOTER_SIZE
    index_end = footer.index_start + footer.index_length
    directory_end = footer.directory_start + footer.directory_length
    rules = (
        ("archive size", footer.archive_size, archive_size, footer.archive_size == archive_size),
        ("DATA start", footer.data_start, HEADER_SIZE, footer.data_start >= HEADER_SIZE),
        ("META start", footer.meta_start, start, footer.data_start + footer.data_length == footer.meta_start),
        ("INDEX start", footer.index_start, directory_end, directory_end <= footer.index_start),
        ("INDEX alignment", footer.index_start, INDEX_ALIGNMENT, footer.index_start % INDEX_ALIGNMENT == 0),
        ("INDEX end", index_end, start, index_end == start),
        (
            "entry count",
            footer.entry_count,
            255 * footer.index_block_count,
            footer.entry_count <= 255 * footer.index_block_count,
        ),
        ("external count", footer.external_count, footer.entry_count, footer.external_count <= footer.entry_count),
        ("external bytes", footer.external_bytes, footer.raw_bytes, footer.external_bytes <= footer.raw_bytes),
        (
            "dictionary end",
            footer.dictionary_start + footer.dictionary_length,
            footer.meta_start,
            footer.dictionary_start + footer.dictionary_length <= footer.meta_start,
        ),
        (
            "previous footer",
            footer.previous_footer,
            footer.data_start,
            footer.previous_footer == (0 if footer.data_start == HEADER_SIZE else footer.data_start - FOOTER_SIZE),
        ),
    )
    for what, found, limit, holds in rules:
        if not holds:
            raise CorruptArchiveError(f"footer at offset {start}: {what} {found} contradicts {limit}")
