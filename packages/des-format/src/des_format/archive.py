"""Read a version-3 archive, sans I/O: every method that reads is a generator of requests.

Run them with `drive` or `drive_async`. The read contract (range reads, in rounds):
cold 3 (tail, index block, payload), with a cached block 1, a batch one round of blocks and
one round of payloads. No header is read, nothing is listed.

Source: docs/format.md, sections "Reading" and "Read contract".
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import OrderedDict
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
from .hashtable import MAX_CHAIN_BLOCKS, Slot, block_of, check_block, name_hash, search_block
from .layout import BLOCK_SIZE, FOOTER_SIZE, HEADER_SIZE, Footer, decode_footer
from .listing import Directory, DirectoryRow, decode_block
from .names import encode_name
from .planner import TransferCost, plan_reads
from .ranges import ByteRange, Steps, Tail
from .scanning import EntryScanner

__all__ = ["DEFAULT_MAX_ENTRY_BYTES", "Archive"]

DEFAULT_MAX_ENTRY_BYTES = 2**30
_CACHED_BLOCKS = 4096
_HEAD_GUESS_BYTES = 4096
_MAX_PAGE_BLOCKS = 32


class _BlockCache:
    """Checked index blocks, the least recently used dropped first; shared by threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, number: int) -> bytes | None:
        with self._lock:
            block = self._blocks.get(number)
            if block is not None:
                self._blocks.move_to_end(number)
            return block

    def put(self, number: int, block: bytes) -> None:
        with self._lock:
            self._blocks[number] = block
            while len(self._blocks) > self._capacity:
                self._blocks.popitem(last=False)


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
        self._cost = cost or TransferCost()
        self._blocks = _BlockCache(_CACHED_BLOCKS)
        self._directory: Directory | None = None
        self._dictionary: ZstdDictionary | None = None

    def keep_blocks(self, tail: Tail) -> None:
        """Cache the index blocks that a tail read brought along."""
        tail_start = tail.archive_size - len(tail.data)
        first = max(0, -(-(tail_start - self.footer.index_start) // BLOCK_SIZE))
        for number in range(first, self.footer.index_block_count):
            at = self.footer.index_start + number * BLOCK_SIZE - tail_start
            block = tail.data[at : at + BLOCK_SIZE]
            # A damaged block is an error for the reads that need it, and for no other.
            with contextlib.suppress(CorruptArchiveError):
                check_block(block, number, self.footer.index_start)
                self._blocks.put(number, block)

    # -- locating ---------------------------------------------------------------------------

    def locate(self, names: Iterable[str]) -> Steps[dict[str, list[Slot]]]:
        """Find where each name's record may lie: one round of index blocks, more only if one overflows.

        Returns:
            For each name that may exist, its candidates; nearly always one. Only the record
            itself proves that a candidate is the entry.
        """
        footer = self.footer
        found: dict[str, list[Slot]] = {}
        wanted: dict[int, list[tuple[str, int]]] = {}
        if footer.index_block_count:
            for name in dict.fromkeys(names):
                hashed = name_hash(encode_name(name), footer.hash_seed)
                wanted.setdefault(block_of(hashed, footer.index_block_count), []).append((name, hashed))
        visited = 0
        while wanted and visited < min(footer.index_block_count, MAX_CHAIN_BLOCKS):
            blocks = yield from self._read_blocks(wanted)
            overflowing: dict[int, list[tuple[str, int]]] = {}
            for number, searches in wanted.items():
                following = (number + 1) % footer.index_block_count
                for name, hashed in searches:
                    candidates, goes_on = search_block(blocks[number], hashed)
                    if candidates:
                        found.setdefault(name, []).extend(self._check_slot(slot, number) for slot in candidates)
                    if goes_on:
                        overflowing.setdefault(following, []).append((name, hashed))
            wanted = overflowing
            visited += 1
        _check_disjoint(found)
        return found

    def _check_slot(self, slot: Slot, number: int) -> Slot:
        if (
            slot.offset < HEADER_SIZE
            or slot.offset + slot.length > self.footer.meta_start
            or slot.length < ENTRY_HEAD_SIZE
        ):
            raise CorruptArchiveError(
                f"index block {number} places an entry at {slot.offset} to {slot.offset + slot.length},"
                f" outside of DATA ({HEADER_SIZE} to {self.footer.meta_start})"
            )
        return slot

    def _read_blocks(self, numbers: Iterable[int]) -> Steps[dict[int, bytes]]:
        blocks: dict[int, bytes] = {}
        missing = []
        for number in numbers:
            block = self._blocks.get(number)
            if block is None:
                missing.append(number)
            else:
                blocks[number] = block
        start = self.footer.index_start
        data = yield from self._fetch(
            [ByteRange(start + number * BLOCK_SIZE, start + (number + 1) * BLOCK_SIZE) for number in missing]
        )
        for number, block in zip(missing, data, strict=True):
            check_block(block, number, start)
            self._blocks.put(number, block)
            blocks[number] = block
        return blocks

    def _fetch(self, reads: Sequence[ByteRange]) -> Steps[list[bytes]]:
        """Fetch many reads through the planner in one round; each answer has exactly its size."""
        plan = plan_reads(reads, self._cost)
        fetched: Sequence[bytes] = ()
        if plan.ranges:
            reply = yield plan.ranges
            assert not isinstance(reply, Tail)
            fetched = reply
        for wanted, data in zip(plan.ranges, fetched, strict=True):
            if len(data) != wanted.size:
                raise CorruptArchiveError(
                    f"read of {wanted.beside or 'the archive'} from {wanted.start} to {wanted.end}:"
                    f" found {len(data)} bytes, expected {wanted.size}"
                )
        return [fetched[part.number][part.start : part.end] if part.end else b"" for part in plan.parts]

    # -- whole entries ----------------------------------------------------------------------

    def get_many(self, names: Iterable[str]) -> Steps[dict[str, tuple[Entry, bytes]]]:
        """Read entries: one round of index blocks, one of payloads, one of external payloads if any.

        Returns:
            Entry and payload for each name that exists, in the order of `names`.
        """
        ordered = list(dict.fromkeys(names))
        slots = yield from self.locate(ordered)
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
        found = yield from self.get_many((name,))
        if name not in found:
            raise EntryNotFoundError(f"no entry {name!r} in the archive")
        return found[name]

    # -- heads and ranges -------------------------------------------------------------------

    def find(self, name: str) -> Steps[Entry | None]:
        """Return an entry's description without its payload, or None; at most one read after its block."""
        slots = yield from self.locate((name,))
        for slot in slots.get(name, ()):
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
            (data,) = yield from self._fetch([ByteRange(record.payload_offset, slot.offset + slot.length)])
            check_payload(record, data)
            return to_entry(record, data)
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
        data = yield from self._fetch([ByteRange(block.start, block.end) for block in page])
        return [
            row.entry
            for block, stored in zip(page, data, strict=True)
            for row in decode_block(stored, block)
            if row.name.startswith(encoded)
        ]

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


def _check_disjoint(found: dict[str, list[Slot]]) -> None:
    """Refuse places on top of each other: an index that lies could make a lookup read DATA again and again."""
    if len(found) == 1 and len(next(iter(found.values()))) == 1:
        return
    end = 0
    for slot in sorted({slot for candidates in found.values() for slot in candidates}):
        if slot.offset < end:
            raise CorruptArchiveError(f"the index places an entry at {slot.offset}, inside one that ends at {end}")
        end = slot.offset + slot.length
    for name, candidates in found.items():
        found[name] = list(dict.fromkeys(candidates))


def decode_lengths(head: bytes) -> tuple[int, int]:
    """Name and metadata length of a record, unchecked, to know how much of it to read."""
    return int.from_bytes(head[10:12], "little"), int.from_bytes(head[12:16], "little")
