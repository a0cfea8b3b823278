"""des_core archives, versions 1 and 2: magic `DES2`.

Source: docs/legacy-formats.md, section "des_core".
"""

from __future__ import annotations

import re
import struct

from ..bigfiles import BIG_FILES_FOLDER
from ..entry import CODECS, Codec, Entry, Kind
from ..errors import CorruptArchiveError, UnsupportedFormatError
from ..planner import TransferCost
from ..ranges import ByteRange, Steps, Tail
from .archive import LegacyArchive
from .fetching import Fetcher
from .table import Row, RowDecoder, Table

__all__ = ["DesCoreArchive"]

# magic, version, reserved
_HEADER = struct.Struct("<4sB3s")
# magic, length of INDEX
_FOOTER = struct.Struct("<4sQ")
_COUNT = struct.Struct("<I")
_NAME_LENGTH = struct.Struct("<H")
_FLAGS = struct.Struct("<B")
# start and length of the payload, codec, length again, size; in version 2 also the length of the metadata
_INLINE_1 = struct.Struct("<QQBQQ")
_INLINE_2 = struct.Struct("<QQBQQI")
# length of the hash, hash, size, length of the metadata
_EXTERNAL = struct.Struct("<H64sQI")

_HEADER_MAGIC = b"DES2"
_FOOTER_MAGIC = b"DESI"
_RESERVED = bytes(3)
_IS_EXTERNAL = 0x01
_MAX_SIZE = 2**63 - 1
_HASH_LENGTH = 64
_HASH = re.compile(rb"[0-9a-f]{64}")


class DesCoreArchive(LegacyArchive):
    """An opened des_core archive, version 1 or 2."""

    first_bytes = (_HEADER_MAGIC + b"\1" + _RESERVED, _HEADER_MAGIC + b"\2" + _RESERVED)

    @classmethod
    def recognises(cls, tail: Tail) -> bool:
        """Whether the last bytes of an archive are a footer of this format."""
        return tail.data[-_FOOTER.size :].startswith(_FOOTER_MAGIC)

    @classmethod
    def open(cls, tail: Tail, *, max_entry_bytes: int, cost: TransferCost) -> Steps[DesCoreArchive]:
        """Read header and index, in one round at most, and check them.

        Raises:
            CorruptArchiveError: They contradict the format, each other or the archive's size.
            UnsupportedFormatError: Another version, or an entry with an unknown flag or codec.
        """
        region = _decode_footer(tail)
        fetcher = Fetcher(tail, cost)
        header, index = yield from fetcher.fetch([ByteRange(0, _HEADER.size), region])
        fetcher.keep(region.start, index)
        version = _decode_header(header)
        decode, min_row_bytes = _DECODERS[version]
        (count,) = _COUNT.unpack_from(index)
        if count * min_row_bytes > len(index) - _COUNT.size:
            raise CorruptArchiveError(
                f"INDEX at offset {region.start}: {count} entries do not fit into its {len(index)} bytes"
            )
        table = Table(
            index,
            region.start,
            decode,
            first=_COUNT.size,
            count=count,
            data=ByteRange(_HEADER.size, region.start),
        )
        return cls(
            table, fetcher, f"des_core version {version}",
            meta=region, archive_size=tail.archive_size, max_entry_bytes=max_entry_bytes,
        )  # fmt: skip

    def external_key(self, entry: Entry) -> Steps[str]:
        yield from ()
        return f"{BIG_FILES_FOLDER}/{entry.sha256}"


def _decode_header(data: bytes) -> int:
    magic, version, reserved = _HEADER.unpack(data)
    if magic != _HEADER_MAGIC:
        raise CorruptArchiveError(f"header: found magic {magic!r}, expected {_HEADER_MAGIC!r} as the footer says")
    if version not in _DECODERS:
        raise UnsupportedFormatError(f"header: des_core version {version}, known are 1 and 2")
    if reserved != _RESERVED:
        raise CorruptArchiveError(f"header: found reserved bytes {reserved!r}, expected zeros")
    return int(version)


def _decode_footer(tail: Tail) -> ByteRange:
    """The place of INDEX."""
    data = tail.data[-_FOOTER.size :]
    smallest = _HEADER.size + _COUNT.size + _FOOTER.size
    if tail.archive_size < smallest:
        raise CorruptArchiveError(f"a des_core archive has {smallest} bytes or more, found {tail.archive_size}")
    offset = tail.archive_size - _FOOTER.size
    _magic, length = _FOOTER.unpack(data)
    if not _COUNT.size <= length <= offset - _HEADER.size:
        raise CorruptArchiveError(
            f"footer at offset {offset}: INDEX of {length} bytes, allowed is {_COUNT.size} to {offset - _HEADER.size}"
        )
    return ByteRange(offset - length, offset)


def _decode_row_1(index: bytes, at: int, index_start: int) -> Row:
    where = index_start + at
    try:
        name, at = _decode_name(index, at)
        start, length, codec, compressed, size = _INLINE_1.unpack_from(index, at)
    except (struct.error, UnicodeDecodeError) as error:
        raise CorruptArchiveError(f"INDEX entry at offset {where}: {error}") from error
    _check_inline(where, length, codec, compressed, size)
    return Row(name, Kind.INLINE, CODECS[codec], start, length, size, 0, 0, None, at + _INLINE_1.size)


def _decode_row_2(index: bytes, at: int, index_start: int) -> Row:
    where = index_start + at
    try:
        name, at = _decode_name(index, at)
        (flags,) = _FLAGS.unpack_from(index, at)
        at += _FLAGS.size
        if flags == _IS_EXTERNAL:
            hash_length, digest, size, meta_length = _EXTERNAL.unpack_from(index, at)
            _check_external(where, hash_length, digest, size)
            at += _EXTERNAL.size
            place: tuple[Kind, Codec, int, int] = Kind.EXTERNAL, Codec.NONE, 0, 0
            sha256 = digest.decode()
        else:
            start, length, codec, compressed, size, meta_length = _INLINE_2.unpack_from(index, at)
            _check_inline(where, length, codec, compressed, size, flags)
            at += _INLINE_2.size
            place = Kind.INLINE, CODECS[codec], start, length
            sha256 = None
    except (struct.error, UnicodeDecodeError) as error:
        raise CorruptArchiveError(f"INDEX entry at offset {where}: {error}") from error
    return Row(name, *place, size, index_start + at, meta_length, sha256, at + meta_length)


def _decode_name(index: bytes, at: int) -> tuple[str, int]:
    """The name at this position, and the position after it."""
    start = at + _NAME_LENGTH.size
    end = start + _NAME_LENGTH.unpack_from(index, at)[0]
    return index[start:end].decode(), end


def _check_external(where: int, hash_length: int, digest: bytes, size: int) -> None:
    if hash_length != _HASH_LENGTH or not _HASH.fullmatch(digest) or size > _MAX_SIZE:
        raise CorruptArchiveError(
            f"INDEX entry at offset {where}: external payload of {size} bytes, hash {digest!r} of {hash_length} bytes;"
            f" {_HASH_LENGTH} lower-case hex digits are allowed"
        )


def _check_inline(where: int, length: int, codec: int, compressed: int, size: int, flags: int = 0) -> None:
    if flags or codec >= len(CODECS):
        raise UnsupportedFormatError(f"INDEX entry at offset {where}: unknown flags {flags:#x} or codec {codec}")
    # A compressor makes a payload grow by the heads of its blocks at most, so a limit on sizes limits what is stored.
    possible = length == size if codec == Codec.NONE else length <= size + size // 64 + 1024 and size <= _MAX_SIZE
    if not possible or length != compressed:
        raise CorruptArchiveError(
            f"INDEX entry at offset {where}: stores {length} and {compressed} bytes with codec {codec} for a payload"
            f" of {size}"
        )


# For each version: how an entry is decoded, and the fewest bytes that it takes.
_DECODERS: dict[int, tuple[RowDecoder, int]] = {
    1: (_decode_row_1, _NAME_LENGTH.size + _INLINE_1.size),
    2: (_decode_row_2, _NAME_LENGTH.size + _FLAGS.size + _INLINE_2.size),
}
