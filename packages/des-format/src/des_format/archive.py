"""Read a version-3 archive, sans I/O: every method that reads is a generator of requests.

Run them with `drive` or `drive_async`. The read contract (range reads, in rounds):
cold 3 (tail, index block, payload), with a cached block 1, a batch one round of blocks and
one round of payloads. No header is read, nothing is listed.

Source: docs/format.md, sections "Reading" and "Read contract".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from .bigfiles import big_file_key
from .catalog import ArchiveStats
from .codecs import ZstdDictionary, decompress
from .entry import (
    ENTRY_HEAD_SIZE,
    Codec,
    Entry,
    Kind,
    Record,
    check_payload,
    decode_record,
    to_entry,
)
from .errors import (
    ChecksumMismatchError,
    CorruptArchiveError,
    EntryNotFoundError,
    EntryTooLargeError,
    InvalidInputError,
)
from .fetching import fetch
from .hashtable import Slot
from .layout import FOOTER_SIZE, Footer, decode_footer
from .listing import Directory, DirectoryRow, Row, decode_block
from .lookup import IndexLookup
from .planner import TransferCost
from .ranges import ByteRange, Steps, Tail
from .scanning import EntryScanner

__all__ = ["DEFAULT_MAX_ENTRY_BYTES", "Archive"]

DEFAULT_MAX_ENTRY_BYTES = 2**30
_HEAD_GUESS_BYTES = 4096
# What a record may have around its payload without being read in two steps.
_AROUND_PAYLOAD_BYTES = 64 * 2**10
_MAX_PAGE_BLOCKS = 32


class Archive:
    """The geometry of one archive, its cached index blocks and its dictionary.

    Args:
        footer: The archive's footer, from its tail, a manifest or a cache.
        verify: Check the checksums of entries; those of index and META always are.
        max_entry_bytes: Refuse to expand, or to read from beside the archive, a larger payload.
        cost: What a request costs, for merging ranges.
    """

    format_name = "DES version 3"
    has_checksums = True

    def __init__(
        self,
        footer: Footer,
        *,
        verify: bool = True,
        max_entry_bytes: int = DEFAULT_MAX_ENTRY_BYTES,
        cost: TransferCost | None = None,
    ) -> None:
        self.footer = footer
        self.stats = ArchiveStats.of(footer)
        self.verify = verify
        self.max_entry_bytes = max_entry_bytes
        self.cost = cost or TransferCost()
        self._lookup = IndexLookup(footer, self.cost)
        self._directory: Directory | None = None
        self._dictionary: ZstdDictionary | None = None

    def keep_blocks(self, tail: Tail) -> None:
        """Keep the index blocks that a tail read brought along."""
        self._lookup.keep(tail)

    def _fetch(self, reads: Sequence[ByteRange]) -> Steps[list[bytes]]:
        return fetch(reads, self.cost)

    # -- whole entries ----------------------------------------------------------------------

    def get_many(self, names: Iterable[str]) -> Steps[dict[str, tuple[Entry, bytes]]]:
        """Read entries: one round of index blocks, one of payloads, one of external payloads if any.

        Returns:
            Entry and payload for each name that exists, in the order of `names`.
        """
        ordered = list(dict.fromkeys(names))
        if len(ordered) == 1 and (slot := self._lookup.held(ordered[0])) is not None:
            only = yield from self._get_held(ordered[0], slot)
            return {} if only is None else {ordered[0]: only}
        slots = yield from self._lookup.locate(ordered)
        records: dict[str, tuple[Record, bytes]] = {}
        while slots:
            heads = {name: candidates[0] for name, candidates in slots.items()}
            places = list(dict.fromkeys(heads.values()))
            reads = [ByteRange(slot.offset, slot.offset + slot.length) for slot in places]
            extra = self._dictionary_read() if records or reads else []
            data = yield from self._fetch(reads + extra)
            if extra:
                self._load_dictionary(data.pop())
            fetched = dict(zip(places, data, strict=True))
            for name, slot in heads.items():
                found = fetched[slot]
                record = self._decode(slot, found)
                if record.name == name.encode() and record.kind is not Kind.DICTIONARY:
                    records[name] = (record, found[record.length - record.stored_length :])
            slots = {
                name: candidates[1:] for name, candidates in slots.items() if name not in records and candidates[1:]
            }
        return (yield from self._finish({name: records[name] for name in ordered if name in records}))

    def _get_held(self, name: str, slot: Slot) -> Steps[tuple[Entry, bytes] | None]:
        """Read the entry of a name that can be in one place only; None if another one is there.

        Nearly every warm read is such a one, and takes half of the CPU that `get_many` takes for many.
        """
        extra = self._dictionary_read()
        data = yield from self._fetch([ByteRange(slot.offset, slot.offset + slot.length), *extra])
        if extra:
            self._load_dictionary(data.pop())
        record = self._decode(slot, data[0])
        if record.name != name.encode() or record.kind is Kind.DICTIONARY:
            return None
        stored = data[0][slot.length - record.stored_length :]
        if record.kind is Kind.EXTERNAL:
            return (yield from self._finish({name: (record, stored)}))[name]
        if self.verify:
            check_payload(record, stored)
        return to_entry(record), self.expand(record, stored)

    def _decode(self, slot: Slot, data: bytes) -> Record:
        record = decode_record(data, slot.offset, verify=self.verify)
        if record.length != slot.length:
            raise CorruptArchiveError(
                f"entry at offset {slot.offset}: its record takes {record.length} bytes, the index says {slot.length}"
            )
        return record

    def _dictionary_read(self) -> list[ByteRange]:
        footer = self.footer
        if self._dictionary is not None or not footer.dictionary_length:
            return []
        return [ByteRange(footer.dictionary_start, footer.dictionary_start + footer.dictionary_length)]

    def _load_dictionary(self, data: bytes) -> None:
        record = decode_record(data, self.footer.dictionary_start)
        if record.kind is not Kind.DICTIONARY or record.codec is not Codec.NONE or record.length != len(data):
            raise CorruptArchiveError(f"entry at offset {record.offset} is no dictionary, but the footer says so")
        payload = data[record.length - record.stored_length :]
        check_payload(record, payload)
        try:
            self._dictionary = ZstdDictionary(payload)
        except InvalidInputError as error:
            raise CorruptArchiveError(f"dictionary entry at offset {record.offset}: {error}") from error

    def dictionary(self) -> Steps[ZstdDictionary | None]:
        """The archive's dictionary, or None; one read the first time."""
        if self._dictionary is None:
            for data in (yield from self._fetch(self._dictionary_read())):
                self._load_dictionary(data)
        return self._dictionary

    def _finish(self, records: dict[str, tuple[Record, bytes]]) -> Steps[dict[str, tuple[Entry, bytes]]]:
        """Check and expand payloads; fetch the external ones."""
        result: dict[str, tuple[Entry, bytes]] = {}
        external: list[str] = []
        for name, (record, stored) in records.items():
            if self.verify:
                check_payload(record, stored)
            if record.kind is Kind.EXTERNAL:
                external.append(name)
                result[name] = (to_entry(record, stored), b"")
            else:
                result[name] = (to_entry(record), self.expand(record, stored))
        if external:
            entries = [result[name][0] for name in external]
            for entry in entries:
                self._check_ceiling(entry.name, entry.size)
            reads = [ByteRange(0, entry.size, big_file_key(bytes.fromhex(entry.sha256 or ""))) for entry in entries]
            for entry, payload in zip(entries, (yield from self._fetch(reads)), strict=True):
                self._check_external(entry, payload)
                result[entry.name] = (entry, payload)
        return result

    def _check_external(self, entry: Entry, payload: bytes) -> None:
        if self.verify and hashlib.sha256(payload).hexdigest() != entry.sha256:
            raise ChecksumMismatchError(f"big file {entry.sha256} of entry {entry.name!r}: its SHA-256 is another one")

    def _check_ceiling(self, name: str, size: int) -> None:
        if size > self.max_entry_bytes:
            raise EntryTooLargeError(
                f"entry {name!r} has {size} bytes; this reader expands at most {self.max_entry_bytes}"
                " (max_entry_bytes); open() reads it piece by piece"
            )

    def expand(self, record: Record, stored: bytes) -> bytes:
        """Return the payload for a record's stored bytes, which were checked before.

        Raises:
            CorruptArchiveError: They do not expand as the record promises.
            EntryTooLargeError: The payload is over `max_entry_bytes`.
        """
        if record.codec is Codec.NONE:
            return stored
        where = f"payload of entry {record.name.decode(errors='replace')!r} at offset {record.payload_offset}"
        self._check_ceiling(record.name.decode(errors="replace"), record.raw_length)
        dictionary = self._dictionary if record.dictionary else None
        if record.dictionary and (dictionary is None or dictionary.id != record.dictionary):
            raise CorruptArchiveError(f"{where} needs dictionary {record.dictionary:#x}, which the archive lacks")
        return decompress(record.codec, stored, record.raw_length, where=where, dictionary=dictionary)

    def get(self, name: str) -> Steps[tuple[Entry, bytes]]:
        """Read one entry.

        Raises:
            EntryNotFoundError: No entry of this name.
            CorruptArchiveError: Its bytes contradict the format or their checksum.
        """
        if (slot := self._lookup.held(name)) is not None:
            found = yield from self._get_held(name, slot)
        else:
            found = (yield from self.get_many((name,))).get(name)
        if found is None:
            raise EntryNotFoundError(f"no entry {name!r} in the archive")
        return found

    def get_within(
        self, name: str, limit_bytes: int, *, keep_zstd: bool = False
    ) -> Steps[tuple[Entry, bytes, Codec] | None]:
        """Read one entry, as `get` does, but nothing of a payload of more than `limit_bytes`.

        Args:
            name: The entry.
            limit_bytes: The limit, for the payload as it was added.
            keep_zstd: Leave a payload that is compressed with zstd, without a dictionary, as it is stored.

        Returns:
            The entry, its payload, and how that is still compressed; the payload is empty when `entry.size` is over the
            limit. None for a missing entry.
        """
        for slot in (yield from self._lookup.places(name)):
            if slot.length > limit_bytes + _AROUND_PAYLOAD_BYTES:
                entry = yield from self.find(name)
                if entry is None or entry.size > limit_bytes:
                    return None if entry is None else (entry, b"", Codec.NONE)
                return (*(yield from self.get(name)), Codec.NONE)
            (data,) = yield from self._fetch([ByteRange(slot.offset, slot.offset + slot.length)])
            record = self._decode(slot, data)
            if record.name != name.encode() or record.kind is Kind.DICTIONARY:
                continue
            stored = data[record.length - record.stored_length :]
            if record.raw_length > limit_bytes or (keep_zstd and _is_plain_zstd(record)):
                check_payload(record, stored)
                entry = to_entry(record, stored if record.kind is Kind.EXTERNAL else None)
                return (entry, b"", Codec.NONE) if record.raw_length > limit_bytes else (entry, stored, Codec.ZSTD)
            if record.dictionary:
                yield from self.dictionary()
            if record.kind is Kind.EXTERNAL:
                found = yield from self._finish({name: (record, stored)})
                return (*found[name], Codec.NONE)
            if self.verify:
                check_payload(record, stored)
            return to_entry(record), self.expand(record, stored), Codec.NONE
        return None

    def may_hold(self, names: Iterable[str]) -> Steps[list[str]]:
        """Which names the index has a candidate for; nearly always those of entries, one round of index blocks."""
        slots = yield from self._lookup.locate(names)
        return list(slots)

    def get_at(
        self, offset: int, length: int, data: bytes, *, limit_bytes: int | None = None
    ) -> Steps[tuple[Entry, bytes]]:
        """Read the entry whose record, at a place known from elsewhere, is `data`.

        With a limit, a larger payload is neither expanded nor fetched, and is empty in the result.

        Raises:
            CorruptArchiveError: The bytes are no record that begins there and is so long.
        """
        record = self._decode(Slot(offset, length), data)
        if record.kind is Kind.DICTIONARY:
            raise CorruptArchiveError(f"the record at offset {offset} is a dictionary, not an entry")
        if limit_bytes is not None and record.raw_length > limit_bytes:
            stored = data[record.length - record.stored_length :]
            check_payload(record, stored)
            return to_entry(record, stored if record.kind is Kind.EXTERNAL else None), b""
        if record.dictionary:
            yield from self.dictionary()
        name = record.name.decode()
        found = yield from self._finish({name: (record, data[record.length - record.stored_length :])})
        return found[name]

    # -- heads and ranges -------------------------------------------------------------------

    def find(self, name: str) -> Steps[Entry | None]:
        """Return an entry's description without its payload, or None; at most one read after its block."""
        for slot in (yield from self._lookup.places(name)):
            guess = min(slot.length, ENTRY_HEAD_SIZE + len(name.encode()) + _HEAD_GUESS_BYTES)
            (data,) = yield from self._fetch([ByteRange(slot.offset, slot.offset + guess)])
            needed = ENTRY_HEAD_SIZE + sum(decode_lengths(data))
            if len(data) < needed <= slot.length:
                (data,) = yield from self._fetch([ByteRange(slot.offset, slot.offset + needed)])
            record = self._decode(slot, data)
            if record.name != name.encode() or record.kind is Kind.DICTIONARY:
                continue
            if record.kind is not Kind.EXTERNAL:
                return to_entry(record)
            stored = data[needed:]
            if len(data) < slot.length:
                (stored,) = yield from self._fetch([ByteRange(record.payload_offset, slot.offset + slot.length)])
            check_payload(record, stored)
            return to_entry(record, stored)
        return None

    def entry(self, name: str) -> Steps[Entry]:
        """As `find`, but a missing entry is an `EntryNotFoundError`."""
        entry = yield from self.find(name)
        if entry is None:
            raise EntryNotFoundError(f"no entry {name!r} in the archive")
        return entry

    def read_range(self, name: str, start: int, end: int) -> Steps[bytes]:
        """Return payload bytes `[start, end)`; what lies beyond the payload is left out.

        Of an uncompressed or external entry exactly these bytes are read, and only their
        place is checked: a checksum covers a whole payload. A compressed entry is read,
        checked and expanded as a whole.
        """
        entry = yield from self.entry(name)
        return (yield from self.read_entry_range(entry, start, end))

    def read_entry_range(self, entry: Entry, start: int, end: int) -> Steps[bytes]:
        """As `read_range`, for an entry from `find`."""
        if not 0 <= start <= end:
            raise InvalidInputError(f"range {start} to {end} of entry {entry.name!r}: 0 <= start <= end is required")
        end = min(end, entry.size)
        if start >= end:
            return b""
        if entry.codec is not Codec.NONE:
            _entry, payload = yield from self.get(entry.name)
            return payload[start:end]
        if entry.is_external:
            read = ByteRange(start, end, big_file_key(bytes.fromhex(entry.sha256 or "")))
        else:
            base = entry.offset + entry.length - entry.size
            read = ByteRange(base + start, base + end)
        (data,) = yield from self._fetch([read])
        return data

    # -- listing ----------------------------------------------------------------------------

    def directory(self) -> Steps[Directory]:
        """The META directory; one read the first time."""
        if self._directory is None:
            footer = self.footer
            start = footer.directory_start
            (data,) = yield from self._fetch([ByteRange(start, start + footer.directory_length)])
            self._directory = Directory.decode(
                data,
                meta_start=footer.meta_start,
                meta_length=footer.meta_length,
                expected_checksum=footer.directory_checksum,
            )
        return self._directory

    def pages(self, prefix: str = "") -> Steps[Sequence[Sequence[DirectoryRow]]]:
        """The META blocks that may hold names with this prefix, in name order, in groups that grow.

        A short listing ends in the first, small groups; a long one takes few requests.
        """
        directory = yield from self.directory()
        blocks = directory.with_prefix(prefix.encode(errors="surrogatepass"))
        groups: list[Sequence[DirectoryRow]] = []
        at, size = 0, 1
        while at < len(blocks):
            groups.append(blocks[at : at + size])
            at, size = at + size, min(2 * size, _MAX_PAGE_BLOCKS)
        return groups

    def list_page(self, page: Sequence[DirectoryRow], prefix: str = "") -> Steps[list[Entry]]:
        """The entries of one group of META blocks whose names have the prefix, in name order; one read."""
        encoded = prefix.encode(errors="surrogatepass")
        return [row.entry for row in (yield from self.rows(page)) if row.name.startswith(encoded)]

    def rows(self, page: Sequence[DirectoryRow]) -> Steps[list[Row]]:
        """The rows of one group of META blocks, in name order; one read."""
        data = yield from self._fetch([ByteRange(block.start, block.end) for block in page])
        return [row for block, stored in zip(page, data, strict=True) for row in decode_block(stored, block)]

    # -- everything, front to back ----------------------------------------------------------

    def scanner(self) -> Steps[EntryScanner]:
        """A scanner over all DATA segments; reads the footers of earlier appends, and the dictionary."""
        footers = yield from self.footers()
        yield from self.dictionary()
        return EntryScanner([(part.data_start, part.meta_start) for part in footers], self)

    def footers(self) -> Steps[list[Footer]]:
        """The footer of every DATA segment, oldest first; one read for each append."""
        chain = [self.footer]
        while chain[-1].previous_footer:
            start = chain[-1].previous_footer
            (data,) = yield from self._fetch([ByteRange(start, start + FOOTER_SIZE)])
            chain.append(decode_footer(data, archive_size=start + FOOTER_SIZE))
        return chain[::-1]


def decode_lengths(head: bytes) -> tuple[int, int]:
    """Name and metadata length of a record, unchecked, to know how much of it to read."""
    return int.from_bytes(head[10:12], "little"), int.from_bytes(head[12:16], "little")


def _is_plain_zstd(record: Record) -> bool:
    return record.kind is Kind.INLINE and record.codec is Codec.ZSTD and not record.dictionary
