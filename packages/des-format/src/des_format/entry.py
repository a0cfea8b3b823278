"""One entry: its record in DATA, and what a reader says about it.

Source: docs/format.md, section "Entries".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, TypeGuard

from .checksum import checksum32
from .errors import (
    ChecksumMismatchError,
    CorruptArchiveError,
    EntryTooLargeError,
    InvalidInputError,
    UnsupportedFormatError,
)
from .names import decode_name

__all__ = [
    "CODECS",
    "ENTRY_HEAD",
    "ENTRY_HEAD_SIZE",
    "ENTRY_MAGIC",
    "EXTERNAL_PAYLOAD_SIZE",
    "KINDS",
    "MAX_ENTRY_BYTES",
    "MAX_META_BYTES",
    "NO_META",
    "Codec",
    "Entry",
    "Kind",
    "Record",
    "check_payload",
    "decode_meta",
    "decode_record",
    "encode_meta",
    "encode_record",
    "to_entry",
]

ENTRY_MAGIC = b"DESE"
MAX_ENTRY_BYTES = 2**32 - 1
MAX_META_BYTES = 16 * 2**20
EXTERNAL_PAYLOAD_SIZE = 32

# magic, head checksum, kind, codec, name, meta and stored length, payload checksum, raw length, dictionary id
ENTRY_HEAD = struct.Struct("<4sIBBHIIIQI")
_AFTER_CHECKSUM = struct.Struct("<BBHIIIQI")
_MAGIC_AND_CHECKSUM = struct.Struct("<4sI")
ENTRY_HEAD_SIZE = ENTRY_HEAD.size


NO_META: Mapping[str, Any] = MappingProxyType({})


class Kind(IntEnum):
    """What an entry's payload is."""

    INLINE = 0
    EXTERNAL = 1
    DICTIONARY = 2


class Codec(IntEnum):
    """How an entry's payload is stored."""

    NONE = 0
    ZSTD = 1
    LZ4 = 2


KINDS = tuple(Kind)
CODECS = tuple(Codec)


class Entry(NamedTuple):
    """What an archive says about one entry.

    Attributes:
        name: The entry's name.
        size: Size of the payload as it was added, in bytes.
        stored_size: Bytes that the payload takes inside the archive (0 for an external one).
        kind: Inline or external.
        codec: How the payload is compressed.
        offset: First byte of the entry's record in the archive.
        length: Length of that record, in bytes.
        meta: The entry's metadata; empty for none.
        payload_offset: First byte of the stored payload, or None when only META was read.
        payload_checksum: Low half of XXH3-64 of the stored payload; None when only META was
            read and for formats without checksums.
        sha256: Content hash (hex) that names the external object; None for inline entries
            and when only META was read.
    """

    name: str
    size: int
    stored_size: int
    kind: Kind
    codec: Codec
    offset: int
    length: int
    meta: Mapping[str, Any] = NO_META
    payload_offset: int | None = None
    payload_checksum: int | None = None
    sha256: str | None = None

    @property
    def is_external(self) -> bool:
        return self.kind is Kind.EXTERNAL


class Record(NamedTuple):
    """A decoded and checked entry record, without its payload."""

    offset: int
    kind: Kind
    codec: Codec
    name: bytes
    meta: bytes
    stored_length: int
    raw_length: int
    payload_checksum: int
    dictionary: int

    @property
    def payload_offset(self) -> int:
        return self.offset + ENTRY_HEAD_SIZE + len(self.name) + len(self.meta)

    @property
    def length(self) -> int:
        return ENTRY_HEAD_SIZE + len(self.name) + len(self.meta) + self.stored_length


def _has_string_keys(meta: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(meta, Mapping) and all(isinstance(key, str) for key in meta)


def encode_meta(meta: Mapping[str, Any] | None) -> bytes:
    """Return the stored form of an entry's metadata: compact UTF-8 JSON, or nothing for none.

    Raises:
        InvalidInputError: Not a mapping with string keys, or not JSON.
        EntryTooLargeError: Over `MAX_META_BYTES`.
    """
    if not meta:
        if meta is None or isinstance(meta, Mapping):
            return b""
    elif _has_string_keys(meta):
        try:
            text = json.dumps(dict(meta), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            encoded = text.encode()
        except (TypeError, ValueError) as error:
            raise InvalidInputError(f"metadata cannot be stored as JSON: {error}") from error
        if len(encoded) > MAX_META_BYTES:
            raise EntryTooLargeError(f"metadata of {len(encoded)} bytes; at most {MAX_META_BYTES} are allowed")
        return encoded
    raise InvalidInputError(f"metadata must be a mapping with string keys, found {meta!r:.80}")


def _refuse_constant(token: str) -> NoReturn:
    raise ValueError(f"{token} is no JSON value")


# A decoder for each choice: `json.loads` would make one for each call.
_STRICT_JSON = json.JSONDecoder(parse_constant=_refuse_constant)
_LENIENT_JSON = json.JSONDecoder()


def decode_meta(encoded: bytes, *, where: str, allow_nan: bool = False) -> Mapping[str, Any]:
    """Return the metadata for its stored form.

    Args:
        encoded: A UTF-8 JSON object, or nothing for none.
        where: Names the place in error messages.
        allow_nan: Accept `NaN` and `Infinity`, which are no JSON, but which Python writes.

    Raises:
        CorruptArchiveError: Not a UTF-8 JSON object; `where` names the place.
    """
    if not encoded:
        return NO_META
    try:
        meta = (_LENIENT_JSON if allow_nan else _STRICT_JSON).decode(encoded.decode())
    except (ValueError, RecursionError) as error:
        raise CorruptArchiveError(f"metadata of {where} is not JSON: {error}") from error
    if not isinstance(meta, dict):
        raise CorruptArchiveError(f"metadata of {where} is {type(meta).__name__}, expected an object")
    return meta


def encode_record(
    offset: int, kind: int, codec: int, name: bytes, meta: bytes, payload: bytes, raw_length: int, dictionary: int
) -> bytes:
    """Return the bytes of an entry up to its payload.

    The head's checksum is seeded with `offset`, so that a record is valid only at its own
    place: an archive stored inside an archive never passes for entries of the outer one.
    """
    rest = (
        _AFTER_CHECKSUM.pack(
            kind, codec, len(name), len(meta), len(payload), checksum32(payload), raw_length, dictionary
        )
        + name
        + meta
    )
    return _MAGIC_AND_CHECKSUM.pack(ENTRY_MAGIC, checksum32(rest, offset)) + rest


def decode_record(data: bytes, offset: int, *, verify: bool = True) -> Record:
    """Decode the record at `offset` of an archive from its first bytes.

    Args:
        data: Bytes that start at `offset`; the head, name and metadata must be complete, the
            payload may be missing.
        offset: Position of `data` in the archive.
        verify: Check the head's checksum.

    Raises:
        CorruptArchiveError: The bytes are no entry, or contradict themselves.
        UnsupportedFormatError: Unknown kind or codec.
    """
    where = f"entry at offset {offset}"
    if len(data) < ENTRY_HEAD_SIZE:
        raise CorruptArchiveError(f"{where}: found {len(data)} bytes, expected at least {ENTRY_HEAD_SIZE}")
    magic, stored, kind, codec, name_length, meta_length, stored_length, payload_checksum, raw_length, dictionary = (
        ENTRY_HEAD.unpack_from(data)
    )
    if magic != ENTRY_MAGIC:
        raise CorruptArchiveError(f"{where}: found magic {magic!r}, expected {ENTRY_MAGIC!r}")
    name_end = ENTRY_HEAD_SIZE + name_length
    meta_end = name_end + meta_length
    if meta_length > MAX_META_BYTES or len(data) < meta_end:
        raise CorruptArchiveError(f"{where}: name and metadata end at {meta_end} of {len(data)} bytes read")
    if verify:
        found = checksum32(data[8:meta_end], offset)
        if found != stored:
            raise ChecksumMismatchError(f"{where}: head checksum {found:#010x}, expected {stored:#010x}")
    if kind >= len(KINDS) or codec >= len(CODECS):
        raise UnsupportedFormatError(f"{where}: unknown kind {kind} or codec {codec}; read it with a newer des-format")
    record = Record(
        offset, KINDS[kind], CODECS[codec], data[ENTRY_HEAD_SIZE:name_end], data[name_end:meta_end],
        stored_length, raw_length, payload_checksum, dictionary,
    )  # fmt: skip
    _check_consistency(record, where)
    return record


def _check_consistency(record: Record, where: str) -> None:
    if record.length > MAX_ENTRY_BYTES:
        raise CorruptArchiveError(f"{where}: length {record.length} is over {MAX_ENTRY_BYTES}")
    if record.kind is Kind.EXTERNAL:
        if record.stored_length != EXTERNAL_PAYLOAD_SIZE or record.codec is not Codec.NONE:
            raise CorruptArchiveError(f"{where}: external, but its payload is no {EXTERNAL_PAYLOAD_SIZE}-byte hash")
    elif record.codec is Codec.NONE and record.stored_length != record.raw_length:
        raise CorruptArchiveError(
            f"{where}: uncompressed, but stores {record.stored_length} of {record.raw_length} bytes"
        )
    if record.dictionary and not (record.codec is Codec.ZSTD or record.kind is Kind.DICTIONARY):
        raise CorruptArchiveError(f"{where}: names dictionary {record.dictionary:#x}, but is not compressed with zstd")


def check_payload(record: Record, payload: bytes) -> None:
    """Check stored payload bytes against their record.

    Raises:
        CorruptArchiveError: Another length.
        ChecksumMismatchError: Another checksum.
    """
    if len(payload) != record.stored_length:
        raise CorruptArchiveError(f"{_payload_of(record)}: found {len(payload)} bytes, expected {record.stored_length}")
    found = checksum32(payload)
    if found != record.payload_checksum:
        raise ChecksumMismatchError(
            f"{_payload_of(record)}: checksum {found:#010x}, expected {record.payload_checksum:#010x}"
        )


def _payload_of(record: Record) -> str:
    return f"payload of entry {record.name.decode(errors='replace')!r} at offset {record.payload_offset}"


def to_entry(record: Record, external_hash: bytes | None = None) -> Entry:
    """Return the public form of a record; `external_hash` is the payload of an external one."""
    name = decode_name(record.name)
    return Entry(
        name,
        record.raw_length,
        0 if record.kind is Kind.EXTERNAL else record.stored_length,
        record.kind,
        record.codec,
        record.offset,
        record.length,
        decode_meta(record.meta, where=f"entry {name!r}"),
        record.payload_offset,
        record.payload_checksum,
        external_hash.hex() if external_hash is not None else None,
    )
