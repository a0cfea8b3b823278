"""What a writer remembers of its entries, and the META, INDEX and FOOTER made from it.

Source: docs/format.md, sections "Meta", "Index" and "Footer".
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .checksum import checksum64
from .entry import Kind
from .errors import InvalidInputError
from .hashtable import block_count, build_index, combined_checksum, name_hash
from .layout import BLOCK_SIZE, FOOTER_SIZE, INDEX_ALIGNMENT, Footer, encode_footer
from .listing import Row, encode_meta_region

__all__ = ["ArchiveStats", "Catalog", "Segment", "tail_regions"]

_MAX_SEEDS = 64


@dataclass(frozen=True, slots=True)
class ArchiveStats:
    """What an archive adds up to.

    Attributes:
        total_files: Entries.
        internal_files: Entries whose payload is inside the archive.
        external_files: Entries whose payload lies beside it.
        internal_size_bytes: Payload bytes inside, before compression.
        external_size_bytes: Payload bytes beside.
        stored_size_bytes: Payload bytes inside, as stored.
        archive_size_bytes: Size of the archive file; 0 while it is being written.
    """

    total_files: int
    internal_files: int
    external_files: int
    internal_size_bytes: int
    external_size_bytes: int
    stored_size_bytes: int
    archive_size_bytes: int

    @property
    def total_size_bytes(self) -> int:
        """Payload bytes of all entries, before compression."""
        return self.internal_size_bytes + self.external_size_bytes

    @property
    def compression_ratio(self) -> float:
        """Stored bytes for each payload byte inside the archive; 1.0 for an empty one."""
        return self.stored_size_bytes / self.internal_size_bytes if self.internal_size_bytes else 1.0

    @classmethod
    def of(cls, footer: Footer) -> ArchiveStats:
        """The statistics that a footer states."""
        return cls(
            total_files=footer.entry_count,
            internal_files=footer.entry_count - footer.external_count,
            external_files=footer.external_count,
            internal_size_bytes=footer.raw_bytes - footer.external_bytes,
            external_size_bytes=footer.external_bytes,
            stored_size_bytes=footer.stored_bytes,
            archive_size_bytes=footer.archive_size,
        )


class Catalog:
    """Names, places and sizes of the entries of one archive, about 150 bytes each in memory."""

    def __init__(self) -> None:
        # Insertion-ordered, and ahead of the columns by the entries that still wait for compression.
        self.names: dict[bytes, None] = {}
        self._offsets = array("Q")
        self._lengths = array("I")
        self._raw_lengths = array("Q")
        self._kinds = bytearray()
        self._codecs = bytearray()
        self._metas: dict[int, bytes] = {}
        self.raw_bytes = 0
        self.stored_bytes = 0
        self.external_count = 0
        self.external_bytes = 0

    def place(
        self, offset: int, length: int, kind: int, codec: int, raw_length: int, stored_length: int, meta: bytes
    ) -> None:
        """Record where the next name's entry lies."""
        if meta:
            self._metas[len(self._offsets)] = meta
        self._offsets.append(offset)
        self._lengths.append(length)
        self._raw_lengths.append(raw_length)
        self._kinds.append(kind)
        self._codecs.append(codec)
        self.raw_bytes += raw_length
        if kind == Kind.EXTERNAL:
            self.external_count += 1
            self.external_bytes += raw_length
        else:
            self.stored_bytes += stored_length

    @classmethod
    def load(cls, rows: Iterable[Row]) -> Catalog:
        """The catalog of an existing archive, from its META rows."""
        catalog = cls()
        for row in sorted(rows, key=lambda row: row.offset):
            entry = row.entry
            catalog.names[row.name] = None
            catalog.place(row.offset, row.length, row.kind, row.codec, row.raw_length, entry.stored_size, row.meta)
        return catalog

    def __len__(self) -> int:
        return len(self._offsets)

    def stats(self) -> ArchiveStats:
        """The statistics of the entries recorded so far."""
        return ArchiveStats(
            total_files=len(self),
            internal_files=len(self) - self.external_count,
            external_files=self.external_count,
            internal_size_bytes=self.raw_bytes - self.external_bytes,
            external_size_bytes=self.external_bytes,
            stored_size_bytes=self.stored_bytes,
            archive_size_bytes=0,
        )

    def rows(self) -> Iterator[Row]:
        """All entries in name order."""
        names = list(self.names)
        order = array("I", sorted(range(len(names)), key=names.__getitem__))  # 4 bytes an entry instead of 40
        for i in order:
            yield Row(
                names[i],
                self._metas.get(i, b""),
                self._kinds[i],
                self._codecs[i],
                self._lengths[i],
                self._raw_lengths[i],
                self._offsets[i],
            )

    def index(self) -> tuple[bytes, int]:
        """The INDEX and the seed of its hash: the smallest that keeps chains of full blocks short.

        Raises:
            InvalidInputError: No seed does, so the names were chosen to collide.
        """
        blocks = block_count(len(self))
        for seed in range(_MAX_SEEDS):
            hashes = (name_hash(name, seed) for name in self.names)
            index = build_index(hashes, self._offsets, self._lengths, blocks)
            if index is not None:
                return index, seed
        raise InvalidInputError(f"{len(self)} names collide under {_MAX_SEEDS} hash seeds: they were chosen to")


@dataclass(frozen=True, slots=True)
class Segment:
    """The DATA segment that a footer closes.

    Attributes:
        start: Its first byte.
        end: The byte after its last.
        digest: XXH3-128 of the segment, after the previous footer's digest.
        previous_footer: First byte of the footer before it, 0 for none.
        dictionary_start: First byte of the archive's dictionary entry, 0 for none.
        dictionary_length: Length of that entry, 0 for none.
    """

    start: int
    end: int
    digest: bytes
    previous_footer: int = 0
    dictionary_start: int = 0
    dictionary_length: int = 0


def tail_regions(catalog: Catalog, segment: Segment) -> Iterator[bytes]:
    """Yield META, INDEX and FOOTER piece by piece; the last piece is the footer."""
    meta_end = segment.end
    directory = b""
    for piece in encode_meta_region(catalog.rows()):
        meta_end += len(directory)
        directory = piece
        yield piece
    index_start = -(-(meta_end + len(directory)) // INDEX_ALIGNMENT) * INDEX_ALIGNMENT
    yield bytes(index_start - meta_end - len(directory))
    index, seed = catalog.index()
    yield index
    yield encode_footer(
        Footer(
            archive_size=index_start + len(index) + FOOTER_SIZE,
            data_start=segment.start,
            data_length=segment.end - segment.start,
            meta_start=segment.end,
            meta_length=meta_end - segment.end,
            directory_length=len(directory),
            index_start=index_start,
            index_block_count=block_count(len(catalog)),
            hash_seed=seed,
            entry_count=len(catalog),
            raw_bytes=catalog.raw_bytes,
            stored_bytes=catalog.stored_bytes,
            external_count=catalog.external_count,
            external_bytes=catalog.external_bytes,
            dictionary_start=segment.dictionary_start,
            dictionary_length=segment.dictionary_length,
            previous_footer=segment.previous_footer,
            directory_checksum=checksum64(directory),
            index_checksum=combined_checksum(index[at : at + BLOCK_SIZE] for at in range(0, len(index), BLOCK_SIZE)),
            content_digest=segment.digest,
        )
    )
