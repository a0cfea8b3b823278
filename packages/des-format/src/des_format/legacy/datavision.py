"""Datavision archives, version 1: magic `DESHEAD1`.

Source: docs/legacy-formats.md, section "Datavision".
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from ..bigfiles import BIG_FILES_FOLDER
from ..entry import Codec, Entry, Kind
from ..errors import BigFileMissingError, CorruptArchiveError, UnsupportedFormatError
from ..planner import TransferCost
from ..ranges import ByteRange, Steps, Tail
from .archive import LegacyArchive
from .fetching import Fetcher
from .table import Row, Table

__all__ = ["DatavisionArchive"]

# magic, version, reserved
_HEADER = struct.Struct("<8sB7s")
# magic, version, reserved, then start and length of DATA, META and INDEX, and the number of entries
_FOOTER = struct.Struct("<8sB7s7Q")
_NAME_LENGTH = struct.Struct("<H")
# start and length of the payload, start and length of the metadata, flags
_ROW = struct.Struct("<QQQQI")

_HEADER_MAGIC = b"DESHEAD1"
_FOOTER_MAGIC = b"DESFOOT1"
_RESERVED = bytes(7)
_IS_EXTERNAL = 0x01
_MIN_ROW_BYTES = _NAME_LENGTH.size + _ROW.size
_MAX_META_BYTES = 10 * 2**20

_MAX_SIZE = 2**63 - 1

# What the writer refuses in a name, and NUL and lone surrogates, which no file system takes.
_NOT_IN_A_KEY = re.compile(r'[/\\:*?"<>|\0\ud800-\udfff]')
_MAX_KEY_BYTES = 1024
_MAX_KEY_FOLDERS = 8


class _Regions(NamedTuple):
    """The regions of an archive, as its footer states them."""

    data: ByteRange
    meta: ByteRange
    table: ByteRange
    entry_count: int


class DatavisionArchive(LegacyArchive):
    """An opened Datavision archive, version 1."""

    first_bytes = (_HEADER_MAGIC,)
    _folders: int | None = None

    @classmethod
    def recognises(cls, tail: Tail) -> bool:
        """Whether the last bytes of an archive are a footer of this format."""
        return tail.data[-_FOOTER.size :].startswith(_FOOTER_MAGIC)

    @classmethod
    def open(cls, tail: Tail, *, max_entry_bytes: int, cost: TransferCost) -> Steps[DatavisionArchive]:
        """Read header and index, in one round at most, and check them.

        Raises:
            CorruptArchiveError: They contradict the format, each other or the archive's size.
            UnsupportedFormatError: Another version, or an entry with an unknown flag.
        """
        regions = _decode_footer(tail)
        fetcher = Fetcher(tail, cost)
        header, index = yield from fetcher.fetch([ByteRange(0, _HEADER.size), regions.table])
        _check_start(header, _HEADER_MAGIC, "header", 0)
        table = Table(
            index,
            regions.table.start,
            _decode_row,
            first=0,
            count=regions.entry_count,
            data=regions.data,
            meta=regions.meta,
        )
        return cls(
            table, fetcher, "Datavision version 1",
            meta=regions.meta, archive_size=tail.archive_size, max_entry_bytes=max_entry_bytes,
        )  # fmt: skip

    def describe(self, row: Row, meta: bytes) -> Entry:
        entry = super().describe(row, meta)
        # The writer records the size twice, which is the nearest to a checksum that there is.
        if entry.meta.get("size", row.size) != row.size:
            raise CorruptArchiveError(f"entry {row.name!r}: its metadata states another size than {row.size} bytes")
        return entry

    def external_key(self, entry: Entry) -> Steps[str]:
        candidates = _keys(entry)
        if self._folders is not None and self._folders < len(candidates):
            # All entries of an archive were written with one prefix: what led to one, leads to all.
            candidates.insert(0, candidates.pop(len(candidates) - 1 - self._folders))
        missing: BigFileMissingError | None = None
        other_size = ""
        for key in candidates:
            try:
                # Its last byte, and the one after it, which must not be there.
                reply = yield [ByteRange(entry.size - 1, entry.size + 1, key)]
            except BigFileMissingError as error:
                missing = error
                continue
            assert not isinstance(reply, Tail)
            if len(reply[0]) == 1:
                self._folders = key.count("/") - 1
                return key
            other_size = key
        if other_size:
            raise CorruptArchiveError(f"big file {other_size} of entry {entry.name!r} has not {entry.size} bytes")
        tried = ", ".join(candidates) or "nothing, as its name cannot be a file's"
        raise BigFileMissingError(
            f"big file of entry {entry.name!r} is not beside the archive; tried {tried}"
        ) from missing


def _check_start(data: bytes, magic: bytes, part: str, offset: int) -> None:
    found, version, reserved = _HEADER.unpack_from(data)
    if found != magic or (version == 1 and reserved != _RESERVED):
        raise CorruptArchiveError(
            f"{part} at offset {offset}: found {found!r} and reserved {reserved!r}, expected {magic!r} and zeros"
        )
    if version != 1:
        raise UnsupportedFormatError(f"{part} at offset {offset}: Datavision version {version}, known is 1")


def _decode_footer(tail: Tail) -> _Regions:
    offset = tail.archive_size - _FOOTER.size
    if offset < _HEADER.size:
        raise CorruptArchiveError(
            f"a Datavision archive has {_HEADER.size + _FOOTER.size} bytes or more, found {tail.archive_size}"
        )
    data = tail.data[-_FOOTER.size :]
    _check_start(data, _FOOTER_MAGIC, "footer", offset)
    starts_and_lengths = _FOOTER.unpack(data)[3:]
    data_start, data_length, meta_start, meta_length, index_start, index_length, count = starts_and_lengths
    regions = _Regions(
        ByteRange(data_start, data_start + data_length),
        ByteRange(meta_start, meta_start + meta_length),
        ByteRange(index_start, index_start + index_length),
        count,
    )
    if (regions.data.start, regions.meta.start, regions.table.start, offset) != (
        _HEADER.size, regions.data.end, regions.meta.end, regions.table.end,
    ):  # fmt: skip
        raise CorruptArchiveError(
            f"footer at offset {offset}: DATA from {data_start} ({data_length} bytes), META from {meta_start}"
            f" ({meta_length}) and INDEX from {index_start} ({index_length}) do not fill the space before it"
        )
    if count * _MIN_ROW_BYTES > index_length:
        raise CorruptArchiveError(f"footer at offset {offset}: {count} entries do not fit into {index_length} bytes")
    return regions


def _decode_row(index: bytes, at: int, index_start: int) -> Row:
    try:
        name_end = at + _NAME_LENGTH.size + _NAME_LENGTH.unpack_from(index, at)[0]
        start, length, meta_start, meta_length, flags = _ROW.unpack_from(index, name_end)
        name = index[at + _NAME_LENGTH.size : name_end].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise CorruptArchiveError(f"INDEX entry at offset {index_start + at}: {error}") from error
    if flags & ~_IS_EXTERNAL:
        raise UnsupportedFormatError(f"INDEX entry at offset {index_start + at}: unknown flags {flags:#x}")
    if meta_length > _MAX_META_BYTES or length > _MAX_SIZE or (flags and start):
        raise CorruptArchiveError(
            f"INDEX entry at offset {index_start + at}: {meta_length} bytes of metadata (at most {_MAX_META_BYTES}),"
            f" {length} bytes of payload at {start} with flags {flags} (at 0 for an external one)"
        )
    kind, stored_length = (Kind.EXTERNAL, 0) if flags else (Kind.INLINE, length)
    return Row(
        name, kind, Codec.NONE, start, stored_length, length, meta_start, meta_length, None, name_end + _ROW.size
    )


def _keys(entry: Entry) -> list[str]:
    """Where an external payload may lie beside the archive, the most likely first.

    It was written to `<prefix>/_bigFiles/<name>` of a bucket, and the archive lies somewhere above
    or in `<prefix>`. So the end of that key is tried, from `_MAX_KEY_FOLDERS` folders of the
    prefix to none; a folder that could lead out of the archive's own is never used, nor is one before it.
    """
    name = entry.name
    if not _is_safe(name) or len(name.encode()) > _MAX_KEY_BYTES:
        return []
    keys = [f"{BIG_FILES_FOLDER}/{name}"]
    written = entry.meta.get("external_key")
    if not isinstance(written, str) or len(written) > _MAX_KEY_BYTES or not written.endswith(f"/{keys[0]}"):
        return keys
    for folder in reversed(written.removesuffix(f"/{keys[0]}").split("/")):
        if not _is_safe(folder) or len(keys) > _MAX_KEY_FOLDERS:
            break
        keys.append(f"{folder}/{keys[-1]}")
    return keys[::-1]


def _is_safe(part: str) -> bool:
    return part not in ("", ".", "..") and not _NOT_IN_A_KEY.search(part)
