"""What the legacy formats share: every read, sans I/O, over a parsed table of entries."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

from ..codecs import decompress
from ..entry import Codec, Entry, Kind, decode_meta
from ..errors import ChecksumMismatchError, EntryNotFoundError, EntryTooLargeError, InvalidInputError
from ..ranges import ByteRange, Steps
from ..scanning import Scanned
from .fetching import Fetcher
from .scanning import TableScanner
from .table import Row, Table

__all__ = ["LegacyArchive"]

_PAGE_ENTRIES = 4096
_PAGE_META_BYTES = 4 * 2**20


class LegacyArchive(ABC):
    """An opened archive without checksums; provides `ArchiveCore`.

    Args:
        table: Its entries.
        fetcher: Reads its bytes.
        format_name: The format and its version, for people.
        meta: Where metadata lies.
        archive_size: Size of the whole archive, in bytes.
        max_entry_bytes: Refuse to hold a payload of more bytes in memory.

    Attributes:
        first_bytes: How an archive of the format may begin.
    """

    first_bytes: ClassVar[tuple[bytes, ...]]
    has_checksums = False

    def __init__(
        self,
        table: Table,
        fetcher: Fetcher,
        format_name: str,
        *,
        meta: ByteRange,
        archive_size: int,
        max_entry_bytes: int,
    ) -> None:
        self.format_name = format_name
        self.stats = table.stats(archive_size)
        self.max_entry_bytes = max_entry_bytes
        self._table = table
        self._fetcher = fetcher
        self.cost = fetcher.cost
        self._meta = meta

    @abstractmethod
    def external_key(self, entry: Entry) -> Steps[str]:
        """Where an external entry's payload, which is not empty, lies beside the archive.

        Raises:
            BigFileMissingError: Nowhere that may be read.
        """

    def describe(self, row: Row, meta: bytes) -> Entry:
        """The public form of a row; a legacy entry has no record, so its place is its payload's."""
        return Entry(
            row.name, row.size, row.stored_length, row.kind, row.codec, row.start, row.stored_length,
            decode_meta(meta, where=f"entry {row.name!r}", allow_nan=True), row.start, None, row.sha256,
        )  # fmt: skip

    # -- whole entries ----------------------------------------------------------------------

    def get(self, name: str) -> Steps[tuple[Entry, bytes]]:
        """Read one entry; one round, one more for an external payload.

        Raises:
            EntryNotFoundError: No entry of this name.
            CorruptArchiveError: Its bytes contradict the format.
            EntryTooLargeError: The payload is over `max_entry_bytes`.
        """
        found = yield from self.get_many((name,))
        if name not in found:
            raise EntryNotFoundError(f"no entry {name!r} in the archive")
        return found[name]

    def get_within(
        self, name: str, limit_bytes: int, *, keep_zstd: bool = False
    ) -> Steps[tuple[Entry, bytes, Codec] | None]:
        """Read one entry, as `get` does, but nothing of a payload of more than `limit_bytes`.

        It is expanded whatever `keep_zstd` says: as it is stored nothing would check it.

        Returns:
            The entry, its payload and `Codec.NONE`; the payload is empty when `entry.size` is over the limit. None for
            a missing entry.
        """
        row = self._table.find(name)
        if row is not None and row.size <= limit_bytes:
            return (*(yield from self.get(name)), Codec.NONE)
        entry = yield from self.find(name)
        return None if entry is None else (entry, b"", Codec.NONE)

    def get_many(self, names: Iterable[str]) -> Steps[dict[str, tuple[Entry, bytes]]]:
        """Read entries: one round for metadata and payloads, more only for external payloads.

        Returns:
            Entry and payload for each name that exists, in the order of `names`.
        """
        rows = [row for row in map(self._table.find, dict.fromkeys(names)) if row is not None]
        for row in rows:
            self._check_ceiling(row)
        data = yield from self._fetcher.fetch(
            [part for row in rows for part in (_meta_range(row), self.payload_range(row))]
        )
        result: dict[str, tuple[Entry, bytes]] = {}
        for row, meta, stored in zip(rows, data[::2], data[1::2], strict=True):
            entry = self.describe(row, meta)
            result[row.name] = entry, b"" if entry.is_external else self._expand(row, stored)
        external = [entry for entry, _ in result.values() if entry.is_external]
        for entry, payload in zip(external, (yield from self._read_external(external)), strict=True):
            result[entry.name] = entry, payload
        return result

    def _read_external(self, entries: Sequence[Entry]) -> Steps[list[bytes]]:
        reads = []
        for entry in entries:
            key = (yield from self.external_key(entry)) if entry.size else ""
            reads.append(ByteRange(0, entry.size, key))
        payloads = yield from self._fetcher.fetch(reads)
        for entry, payload in zip(entries, payloads, strict=True):
            _check_hash(entry, payload)
        return payloads

    def _check_ceiling(self, row: Row) -> None:
        if row.size > self.max_entry_bytes:
            raise EntryTooLargeError(
                f"entry {row.name!r} has {row.size} bytes; this reader holds at most {self.max_entry_bytes}"
                " (max_entry_bytes); read_range reads a part of one that is stored uncompressed"
            )

    def _expand(self, row: Row, stored: bytes) -> bytes:
        where = f"payload of entry {row.name!r} at offset {row.start}"
        return decompress(row.codec, stored, row.size, where=where)

    def find(self, name: str) -> Steps[Entry | None]:
        """Return an entry's description without its payload, or None; at most one read."""
        row = self._table.find(name)
        if row is None:
            return None
        (meta,) = yield from self._fetcher.fetch([_meta_range(row)])
        return self.describe(row, meta)

    def entry(self, name: str) -> Steps[Entry]:
        """As `find`, but a missing entry is an `EntryNotFoundError`."""
        entry = yield from self.find(name)
        if entry is None:
            raise EntryNotFoundError(f"no entry {name!r} in the archive")
        return entry

    def read_entry_range(self, entry: Entry, start: int, end: int) -> Steps[bytes]:
        """Return payload bytes `[start, end)` of an entry from `find` or a listing.

        A compressed entry is read and expanded as a whole. An external payload that is read as
        a whole is checked against its hash, if the format has one; a part cannot be.
        """
        if not 0 <= start <= end:
            raise InvalidInputError(f"range {start} to {end} of entry {entry.name!r}: 0 <= start <= end is required")
        end = min(end, entry.size)
        if start >= end:
            return b""
        if entry.codec is not Codec.NONE:
            _entry, payload = yield from self.get(entry.name)
            return payload[start:end]
        key = (yield from self.external_key(entry)) if entry.is_external else ""
        (data,) = yield from self._fetcher.fetch([ByteRange(entry.offset + start, entry.offset + end, key)])
        if len(data) == entry.size:
            _check_hash(entry, data)
        return data

    # -- listing ----------------------------------------------------------------------------

    def pages(self, prefix: str = "") -> Steps[Sequence[Sequence[str]]]:
        """The names that have the prefix, in name order, in pages whose metadata is read at once.

        Metadata that fits into one range is read as a whole the first time, and kept.
        """
        names = self._table.names(prefix)
        meta = self._meta
        if names and meta.size <= self._fetcher.cost.max_range_bytes and self._fetcher.kept(meta) is None:
            (data,) = yield from self._fetcher.fetch([meta])
            self._fetcher.keep(meta.start, data)
        size = max(1, min(_PAGE_ENTRIES, _PAGE_META_BYTES * len(self._table) // max(meta.size, 1)))
        return [names[at : at + size] for at in range(0, len(names), size)]

    def list_page(self, page: Sequence[str], prefix: str = "") -> Steps[list[Entry]]:
        """The entries of one page whose names have the prefix, in name order; at most one round."""
        rows = [row for name in page if name.startswith(prefix) and (row := self._table.find(name)) is not None]
        metas = yield from self._fetcher.fetch([_meta_range(row) for row in rows])
        return [self.describe(row, meta) for row, meta in zip(rows, metas, strict=True)]

    # -- everything, front to back ----------------------------------------------------------

    def scanner(self) -> Steps[TableScanner]:
        """A scanner over every entry that can be read by its name, in the order of the index.

        An uncompressed payload over `max_entry_bytes` is left to `read_entry_range`, like an
        external one; a compressed one is an `EntryTooLargeError`.
        """
        yield from ()
        return TableScanner(self._table.rows(), self._fetcher, self)

    def payload_range(self, row: Row) -> ByteRange:
        """Where a payload lies that is read together with others; empty for one that is not."""
        if row.kind is Kind.EXTERNAL or (row.codec is Codec.NONE and row.size > self.max_entry_bytes):
            return ByteRange(0, 0)
        self._check_ceiling(row)
        return ByteRange(row.start, row.start + row.stored_length)

    def finish(self, row: Row, meta: bytes, stored: bytes) -> Scanned:
        """One scanned entry, with its payload unless it is read by itself."""
        entry = self.describe(row, meta)
        if row.kind is Kind.EXTERNAL or row.size > self.max_entry_bytes:
            return entry, None
        return entry, self._expand(row, stored)


def _meta_range(row: Row) -> ByteRange:
    return ByteRange(row.meta_start, row.meta_start + row.meta_length)


def _check_hash(entry: Entry, payload: bytes) -> None:
    if entry.sha256 is not None and hashlib.sha256(payload).hexdigest() != entry.sha256:
        raise ChecksumMismatchError(f"big file {entry.sha256} of entry {entry.name!r}: its SHA-256 is another one")
