"""Read from a shard's objects what a lost manifest said about them, sans I/O.

Source: docs/store-format.md, section "Rebuild".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ...audit import Problem
from ...entry import Entry
from ...errors import CorruptArchiveError, DesError, NotFoundError
from ...layout import FOOTER_SIZE, decode_footer
from ...opening import ReadOptions
from ...ports.objects import ObjectMeta
from ...routing import locate_shard
from ..descriptor import Descriptor
from ..model.commits import ArchiveRow
from ..model.ids import time_of
from ..model.keys import ShardKey, archive_key, tombstones_key
from ..reading.archives import StoredArchive
from ..sansio.effects import Effects, ReadAll, ReadTail, ask, together
from .deletions import decode_deletions
from .evidence import FoundArchive, FoundDeletion

__all__ = ["Inspection", "misfits", "open_archive"]

_AT_ONCE = 16


def misfits(descriptor: Descriptor, where: ShardKey, entries: Sequence[Entry]) -> list[str]:
    """Names of entries that no reader would look for in this shard."""
    noon = datetime(int(where.day[:4]), int(where.day[4:6]), int(where.day[6:]), 12, tzinfo=UTC)
    return [
        entry.name
        for entry in entries
        if locate_shard(entry.name, noon, descriptor.n_bits, descriptor.scheme).shard_hex != where.shard
    ]


def open_archive(
    where: ShardKey, archive_id: str, meta: ObjectMeta, options: ReadOptions
) -> Effects[tuple[StoredArchive, list[Sequence[Any]]]]:
    """Open an archive that no manifest describes; return it with the pages of its listing.

    Raises:
        CorruptArchiveError, UnsupportedFormatError: It is damaged, unfinished, or of another format.
    """
    key = archive_key(where, archive_id)
    if meta["size"] < FOOTER_SIZE:
        raise CorruptArchiveError(f"{key}: {meta['size']} bytes are too few for an archive")
    tail = yield from ask(ReadTail(key, FOOTER_SIZE))
    row = ArchiveRow(archive_id, decode_footer(tail.data, archive_size=tail.size), 0, 0)
    archive = StoredArchive("", where, row, options, cached=False)
    return archive, list((yield from archive.run(archive.core.pages())))


class Inspection:
    """Reads the objects of one shard.

    Args:
        descriptor: The store's descriptor.
        where: The shard.
        options: How archives are read.

    Attributes:
        problems: What could not be read, or is not of this shard.
        lost_deletions: Whether some of it is the record of a deletion.
    """

    def __init__(self, descriptor: Descriptor, where: ShardKey, options: ReadOptions) -> None:
        self.problems: list[Problem] = []
        self.lost_deletions = False
        self._descriptor = descriptor
        self._where = where
        self._options = options

    def archives(self, listed: Sequence[tuple[str, ObjectMeta]]) -> Effects[list[FoundArchive]]:
        """Read archives, given by id; those that cannot be read, or are of another shard, are left out."""
        found: list[FoundArchive] = []
        for at in range(0, len(listed), _AT_ONCE):
            group = listed[at : at + _AT_ONCE]
            results = yield from together([self._archive(archive_id, meta) for archive_id, meta in group])
            for (_id, meta), result in zip(group, results, strict=True):
                if isinstance(result, DesError):
                    self._note(meta["path"], result)
                else:
                    found.append(result)
        return found

    def deletions(self, listed: Sequence[tuple[str, ObjectMeta]]) -> Effects[list[FoundDeletion]]:
        """Read the records of deletions, given by id."""
        found: list[FoundDeletion] = []
        for at in range(0, len(listed), _AT_ONCE):
            group = listed[at : at + _AT_ONCE]
            results = yield from together([self._deletions(record_id) for record_id, _meta in group])
            for (_id, meta), result in zip(group, results, strict=True):
                if isinstance(result, DesError):
                    self.lost_deletions |= self._note(meta["path"], result)
                else:
                    found += result
        return found

    def _note(self, key: str, error: DesError) -> bool:
        """Record what is wrong with an object; False when it has only gone meanwhile."""
        if error.retryable:
            raise error
        if isinstance(error, NotFoundError):
            return False
        if not isinstance(error, ValueError):
            raise error
        self.problems.append(Problem(key, None, str(error)))
        return True

    def _deletions(self, record_id: str) -> Effects[list[FoundDeletion]]:
        found = yield from ask(ReadAll(tombstones_key(self._where, record_id)))
        tombstones = decode_deletions(found.data, self._where, record_id, self._descriptor.store_id)
        made_at = time_of(record_id)
        return [FoundDeletion(one, max(one.at, made_at or one.at)) for one in tombstones]

    def _archive(self, archive_id: str, meta: ObjectMeta) -> Effects[FoundArchive]:
        archive, pages = yield from open_archive(self._where, archive_id, meta, self._options)
        entries = (yield from archive.run(archive.core.list_page(pages[0]))) if pages else []
        self._check_names(archive.key, entries)
        big_files: dict[str, None] = {}
        footer = archive.row.footer
        if footer.external_count:
            for page in pages[1:]:
                entries += yield from archive.run(archive.core.list_page(page))
            for entry in entries:
                if entry.is_external:
                    described = yield from archive.run(archive.core.entry(entry.name))
                    big_files[described.sha256 or ""] = None
        return FoundArchive(archive_id, footer, tuple(big_files), time_of(archive_id) or meta["last_modified"])

    def _check_names(self, key: str, entries: Sequence[Entry]) -> None:
        """Compare the first entries of an archive with its place.

        Raises:
            CorruptArchiveError: None of them belongs here, so neither does the archive.
        """
        strangers = misfits(self._descriptor, self._where, entries)
        if not strangers:
            return
        text = (
            f"entry {strangers[0]!r} and {len(strangers) - 1} more of the first {len(entries)} belong to another shard"
        )
        if len(strangers) == len(entries):
            raise CorruptArchiveError(f"{key} is not of this shard: {text}")
        self.problems.append(Problem(key, strangers[0], text))
