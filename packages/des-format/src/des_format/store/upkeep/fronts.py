"""An archive that a compaction leaves as it is: the object store copies it to the front of the new one by itself.

Records say where they are, so an archive can be kept at its own place only, and only as a whole: none of its entries
may be deleted or replaced. What is copied is believed to nobody. The new archive is read back: the copied DATA has
to have the digest that the manifest says, and everything else the checksums of footers that are themselves compared.

Source: docs/store-format.md, section "Compaction", and docs/format.md, section "Append".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xxhash import xxh3_128, xxh3_128_digest

from ...audit.report import Findings
from ...audit.structure import check_header_part, check_old_regions
from ...catalog import Catalog
from ...codecs import ZstdDictionary
from ...compression import Compression
from ...entry import Codec, Entry
from ...errors import ChecksumMismatchError, CorruptArchiveError
from ...layout import FOOTER_SIZE, HEADER, Footer, decode_footer, encode_footer
from ...listing import Row
from ...ports.objects import Front
from ...ranges import ByteRange
from ..model.state import ShardState
from ..reading.archives import StoredArchive
from ..sansio.effects import Effects, Read, ask
from ..writing.bigfiles import Runs
from .objectsource import ObjectSource, StorageFailedError

__all__ = ["DataDigests", "KeptArchive", "check_assembled", "keep_largest", "place_of"]

_DEAD_SHARE = 8
_MAX_SEGMENTS = 16


@dataclass(frozen=True, slots=True)
class KeptArchive:
    """An archive that stays as it is.

    Attributes:
        archive: Where it is.
        footers: Those of all its segments, oldest first.
        catalog: Its entries.
        places: What `place_of` says of each of them.
        dictionary: Its dictionary, or None.
    """

    archive: StoredArchive
    footers: list[Footer]
    catalog: Catalog
    places: dict[str, bytes]
    dictionary: ZstdDictionary | None

    @property
    def front(self) -> Front:
        """What the object store is to copy."""
        return Front(self.archive.key, self.archive.row.size, self.archive.e_tag)


def keep_largest(
    archives: Sequence[StoredArchive], state: ShardState, compression: Compression, least_bytes: int
) -> Effects[KeptArchive | None]:
    """Return the largest of some archives, if it can be kept as it is.

    Args:
        archives: Oldest first.
        state: Of their shard.
        compression: That of the new archive; one that is compressed in another way is not kept.
        least_bytes: Smaller ones are not kept.

    Raises:
        CorruptArchiveError: It is damaged.
    """
    largest = max(archives, key=lambda archive: archive.row.size)
    if largest.row.size < least_bytes or len(archives) < 2:
        return None
    footers = yield from largest.run(largest.core.footers())
    if len(footers) > _MAX_SEGMENTS or _dead_bytes(footers) * _DEAD_SHARE > largest.row.size:
        return None
    if not (yield from _is_of_this_version(largest)):
        return None
    dictionary = yield from largest.run(largest.core.dictionary())
    rows = yield from _rows(largest)
    if not _agrees(compression, dictionary, rows):
        return None
    catalog = Catalog.load(rows)
    if not len(rows) == len(catalog.names) == largest.row.footer.entry_count:
        raise CorruptArchiveError(
            f"archive {largest.key}: META lists {len(rows)} entries under {len(catalog.names)} names,"
            f" the footer counts {largest.row.footer.entry_count}"
        )
    places = {entry.name: place_of(entry) for entry in (row.entry for row in rows)}
    if any(uid in places and state.hides(uid, largest.row) for uid in state.tombstones):
        return None
    for newer in archives[archives.index(largest) + 1 :]:
        if any(row.name in catalog.names for row in (yield from _rows(newer))):
            return None
    return KeptArchive(largest, footers, catalog, places, dictionary)


def _dead_bytes(footers: Sequence[Footer]) -> int:
    """What of an archive nobody needs once something comes after it: META, INDEX and footers."""
    return footers[-1].archive_size - len(HEADER) - sum(footer.data_length for footer in footers)


def _is_of_this_version(archive: StoredArchive) -> Effects[bool]:
    """Whether header and footer hold nothing that this version does not write: it could not carry that over."""
    footer = archive.row.footer
    header = archive.accept((yield from ask(Read(archive.key, 0, len(HEADER), archive.e_tag, "header"))))
    end = footer.archive_size
    tail = archive.accept((yield from ask(Read(archive.key, end - FOOTER_SIZE, end, archive.e_tag, "footer"))))
    return header == HEADER and tail == encode_footer(footer)


def _agrees(compression: Compression, dictionary: ZstdDictionary | None, rows: Sequence[Row]) -> bool:
    """Whether an archive is compressed as a new one would be, as far as that can be seen."""
    if isinstance(compression.dictionary, bytes):
        same = dictionary is not None and dictionary.data == compression.dictionary
    else:
        same = (compression.dictionary is None) == (dictionary is None)
    return same and all(row.codec in (Codec.NONE, compression.codec) for row in rows)


def _rows(archive: StoredArchive) -> Effects[list[Row]]:
    rows: list[Row] = []
    for page in (yield from archive.run(archive.core.pages())):
        rows += yield from archive.run(archive.core.rows(page))
    return rows


def place_of(entry: Entry) -> bytes:
    """Return a digest of what META and the record both say of an entry."""
    said = (entry.offset, entry.length, entry.size, entry.kind, entry.codec, sorted(entry.meta.items()))
    return xxh3_128_digest(repr(said).encode())


class DataDigests:
    """Checks the content digests of an archive while its DATA is read front to back.

    Args:
        key: The archive's key.
        footers: Those of all its segments, oldest first.
    """

    def __init__(self, key: str, footers: Sequence[Footer]) -> None:
        self._key = key
        before = [b"", *(footer.content_digest for footer in footers)]
        self._segments = [(footer, xxh3_128(digest)) for footer, digest in zip(footers, before, strict=False)]

    def update(self, part: ByteRange, data: bytes) -> None:
        """Take a part of one segment."""
        for footer, digest in self._segments:
            if footer.data_start <= part.start < footer.meta_start:
                digest.update(data)

    def check(self) -> None:
        """Compare, when all was read.

        Raises:
            ChecksumMismatchError: A digest is not that of the DATA.
        """
        for footer, digest in self._segments:
            if digest.digest() != footer.content_digest:
                raise ChecksumMismatchError(
                    f"archive {self._key}: DATA at offset {footer.data_start} has the content digest"
                    f" {digest.hexdigest()}, expected {footer.content_digest.hex()}"
                )


def check_assembled(runner: Runs, archive: StoredArchive, kept: KeptArchive) -> list[Footer]:
    """Check all that is no DATA of an archive which an object store assembled; return its footers, oldest first.

    Raises:
        CorruptArchiveError: It is not what it should be.
    """
    footers = runner.run(archive.run(archive.core.footers()))
    if footers[:-1] != kept.footers:
        raise ChecksumMismatchError(f"archive {archive.key} does not begin with archive {kept.archive.key}")
    source = ObjectSource(runner, archive.key, archive.where.day)
    findings = Findings(0, None)
    try:
        tail = source.read_tail(FOOTER_SIZE)
        if decode_footer(tail.data, archive_size=tail.archive_size) != archive.row.footer:
            raise ChecksumMismatchError(f"archive {archive.key} ends with another footer than it was given")
        check_header_part(source, findings)
        for footer in footers:
            check_old_regions(footer, source, findings)
    except StorageFailedError as failure:
        raise failure.error from failure
    for problem in findings.report(complete=True, has_checksums=True).problems:
        raise ChecksumMismatchError(f"archive {archive.key}: {problem}")
    return footers
