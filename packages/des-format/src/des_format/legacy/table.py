"""The index of a legacy archive: parsed once, checked as a whole, kept as its own bytes.

Beside the bytes of the index only the place of each name's entry in it is remembered; an
entry is decoded again when it is asked for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ..catalog import ArchiveStats
from ..entry import Codec, Kind
from ..errors import CorruptArchiveError
from ..names import encode_name
from ..ranges import ByteRange

__all__ = ["Row", "RowDecoder", "Table"]


class Row(NamedTuple):
    """One entry of an index.

    Attributes:
        name: Any string that is UTF-8, even one that a version-3 archive would refuse.
        kind: Inline or external.
        codec: How the payload is stored.
        start: First byte of the stored payload; 0 for an external one.
        stored_length: Bytes that the payload takes inside the archive.
        size: Size of the payload, in bytes.
        meta_start: First byte of the entry's metadata in the archive.
        meta_length: Length of that metadata, in bytes.
        sha256: Hash that names an external payload, where the format has one.
        following: Position in the index right after the entry.
    """

    name: str
    kind: Kind
    codec: Codec
    start: int
    stored_length: int
    size: int
    meta_start: int
    meta_length: int
    sha256: str | None
    following: int


class RowDecoder(Protocol):
    """Decodes the entry at position `at` of an index that begins at `index_start` of the archive.

    Checks what can be known without its neighbours.
    """

    def __call__(self, index: bytes, at: int, index_start: int, /) -> Row: ...


class Table:
    """The entries of one archive by name; of equal names the last one counts.

    Both writers lay payloads down in the order of the index, so an entry that begins before
    the end of its predecessor is damaged or hostile. Refusing it also means that no archive
    makes a reader transfer more than its own size.

    Args:
        index: All bytes of the index.
        index_start: Its first byte in the archive.
        decode: The format's decoder.
        first: Position of the first entry.
        count: How many entries the archive states.
        data: Where payloads may lie.
        meta: The region that metadata fills without a gap, in the order of the index; None
            when it lies in the index.

    Raises:
        CorruptArchiveError: The entries break the format or do not fill the index.
        UnsupportedFormatError: An entry has an unknown flag or codec.
    """

    def __init__(
        self,
        index: bytes,
        index_start: int,
        decode: RowDecoder,
        *,
        first: int,
        count: int,
        data: ByteRange,
        meta: ByteRange | None = None,
    ) -> None:
        self._index = index
        self._index_start = index_start
        self._decode = decode
        self._positions: dict[str, int] = {}
        self._sorted: list[str] | None = None
        self._counts = dict.fromkeys(Kind, 0)
        self._sizes = dict.fromkeys(Kind, 0)
        self._stored = 0
        self._parse(first, count, data, meta)

    def _row(self, at: int) -> Row:
        return self._decode(self._index, at, self._index_start)

    def _parse(self, at: int, count: int, data: ByteRange, meta: ByteRange | None) -> None:
        data_free = data.start
        meta_free = meta.start if meta is not None else 0
        for _ in range(count):
            row = self._row(at)
            if row.kind is Kind.INLINE:
                if not data_free <= row.start <= data.end - row.stored_length:
                    self._refuse(at, row.start, row.stored_length, "payload", data_free, data.end)
                data_free = row.start + row.stored_length
            if meta is not None:
                if row.meta_start != meta_free or row.meta_length > meta.end - meta_free:
                    self._refuse(at, row.meta_start, row.meta_length, "metadata", meta_free, meta.end)
                meta_free += row.meta_length
            self._enter(row, at)
            at = row.following
        if at != len(self._index) or (meta is not None and meta_free != meta.end):
            raise CorruptArchiveError(
                f"INDEX at offset {self._index_start}: its {count} entries end at {self._index_start + at},"
                f" their metadata at {meta_free}; neither may leave bytes over"
            )

    def _refuse(self, at: int, start: int, length: int, part: str, free: int, end: int) -> None:
        raise CorruptArchiveError(
            f"INDEX entry at offset {self._index_start + at}: its {part} lies from {start} to {start + length},"
            f" allowed is from {free} to {end}"
        )

    def _enter(self, row: Row, at: int) -> None:
        replaced = self._positions.pop(row.name, None)
        self._positions[row.name] = at
        self._count(row, 1)
        if replaced is not None:
            self._count(self._row(replaced), -1)

    def _count(self, row: Row, sign: int) -> None:
        self._counts[row.kind] += sign
        self._sizes[row.kind] += sign * row.size
        self._stored += sign * row.stored_length

    def __len__(self) -> int:
        return len(self._positions)

    def stats(self, archive_size: int) -> ArchiveStats:
        """What the entries that can be read add up to; replaced duplicates are not counted."""
        return ArchiveStats(
            total_files=len(self),
            internal_files=self._counts[Kind.INLINE],
            external_files=self._counts[Kind.EXTERNAL],
            internal_size_bytes=self._sizes[Kind.INLINE],
            external_size_bytes=self._sizes[Kind.EXTERNAL],
            stored_size_bytes=self._stored,
            archive_size_bytes=archive_size,
        )

    def find(self, name: str) -> Row | None:
        """The entry of this name, or None.

        Raises:
            TypeError: `name` is not a `str`.
        """
        if not isinstance(name, str):
            encode_name(name)
        at = self._positions.get(name)
        return None if at is None else self._row(at)

    def rows(self) -> Iterator[Row]:
        """All entries, in the order of the index."""
        return map(self._row, self._positions.values())

    def names(self, prefix: str) -> list[str]:
        """The names that have the prefix, in the order of their UTF-8 bytes."""
        # str compares by code point, which is the order of UTF-8.
        if self._sorted is None:
            self._sorted = sorted(self._positions)
        if not prefix:
            return self._sorted
        first = bisect_left(self._sorted, prefix)
        last = bisect_right(self._sorted, prefix, lo=first, key=lambda name: name[: len(prefix)])
        return self._sorted[first:last]
