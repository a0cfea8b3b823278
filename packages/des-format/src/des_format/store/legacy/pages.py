"""List the entries of a shard of a legacy store, in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...entry import Entry
from ...errors import DesError, InvalidInputError
from ...ranges import Steps
from ...routing import MAX_BITS
from ..model.keys import ShardKey, check_day
from ..reading.listing import StoredEntry
from ..sansio.effects import Effects, together, value_of
from .archives import Opened, again
from .deletions import Ledger
from .listings import Shelf
from .search import BROKEN, LegacyReads

__all__ = ["DayListing", "ShardPages", "open_pages"]


class _Cursor:
    """The entries of one archive, a page at a time."""

    def __init__(self, archive: Opened, prefix: str) -> None:
        self.archive = archive
        self.entries: list[Entry] = []
        self._prefix = prefix
        self._pages: Iterator[Any] | None = None

    def fill(self) -> Effects[bool]:
        """Read a page unless there are entries left; False at the end."""
        while not self.entries:
            page = yield from self.archive.source.run(self._next())
            if page is None:
                return False
            self.entries = page
        return True

    def _next(self) -> Steps[list[Entry] | None]:
        if self._pages is None:
            self._pages = iter((yield from self.archive.core.pages(self._prefix)))
        page = next(self._pages, None)
        if page is None:
            return None
        return (yield from self.archive.core.list_page(page, self._prefix))

    def take(self, last: str) -> list[Entry]:
        """Remove and return the entries up to a name, which comes along."""
        count = sum(entry.name <= last for entry in self.entries)
        taken, self.entries = self.entries[:count], self.entries[count:]
        return taken


class ShardPages:
    """The entries of a shard that are not deleted; of equal names that of the first archive, which a read finds.

    Args:
        where: The shard.
        archives: Its archives, in the order in which they count.
        ledger: What was deleted.
        prefix: Which names are wanted.
        problem: Why some of its archives are left out, or None.

    Attributes:
        problem: To be raised when everything else was listed.
    """

    def __init__(
        self, where: ShardKey, archives: Sequence[Opened], ledger: Ledger, prefix: str, problem: DesError | None
    ) -> None:
        self.where = where
        self.problem = problem
        self._ledger = ledger
        self._cursors = [_Cursor(archive, prefix) for archive in archives]

    def next_page(self) -> Effects[list[StoredEntry]]:
        """The next entries, in the order of their names; none at the end."""
        page: list[StoredEntry] = []
        while not page:
            more = [value_of(result) for result in (yield from together([cursor.fill() for cursor in self._cursors]))]
            self._cursors = [cursor for cursor, has in zip(self._cursors, more, strict=True) if has]
            if not self._cursors:
                break
            last = min(cursor.entries[-1].name for cursor in self._cursors)
            page = self._merge(last)
        return page

    def _merge(self, last: str) -> list[StoredEntry]:
        chosen: dict[str, StoredEntry | None] = {}
        for cursor in self._cursors:
            archive = cursor.archive
            doubtful = archive.key in self._ledger.unknown
            for entry in cursor.take(last):
                if doubtful:
                    chosen[entry.name] = None
                elif entry.name not in chosen and not self._ledger.deletions.hides(entry.name, archive.key, None):
                    chosen[entry.name] = StoredEntry(self.where.day, self.where.shard, archive.id, entry)
        return [found for _name, found in sorted(chosen.items()) if found is not None]


def open_pages(reads: LegacyReads, where: ShardKey, shelf: Shelf, prefix: str) -> Effects[ShardPages]:
    """Begin to list a shard.

    A sidecar that cannot be read hides all names that its archive holds; when it cannot be said which
    these are, it hides the whole shard.
    """
    ledger = yield from reads.sidecars.ledger([shelf])
    problems: list[DesError] = [again(error) for error in ledger.unknown.values()]
    opened: dict[str, Opened] = {}
    results = yield from together([reads.archives.open(found) for found in shelf.archives])
    for found, result in zip(shelf.archives, results, strict=True):
        if isinstance(result, BROKEN):
            problems.append(result)
        else:
            opened[found.key] = value_of(result)
    archives = list(opened.values()) if ledger.unknown.keys() <= opened.keys() else []
    return ShardPages(where, archives, ledger, prefix, problems[0] if problems else None)


class DayListing:
    """The entries of a day, or of one of its shards: shard after shard, each in the order of names.

    Args:
        reads: The store.
        day: The day, as for `check_day`.
        shard: Number of a shard, in hex when it is text; None for all.
        prefix: Which names are wanted.

    Raises:
        InvalidInputError: No day, or no shard.
    """

    def __init__(self, reads: LegacyReads, day: str, shard: str | int | None, prefix: str) -> None:
        self._reads = reads
        self._day = check_day(day)
        self._shard = None if shard is None else reads.layout.shard_text(_number(shard))
        self._prefix = prefix
        self._shards: Iterator[tuple[ShardKey, Shelf]] | None = None
        self._pages: ShardPages | None = None
        self._problem: DesError | None = None

    def next_page(self) -> Effects[list[StoredEntry]]:
        """The next entries; none at the end.

        Raises:
            CorruptArchiveError: At the end, if archives or sidecars could not be read: what they hold was left out.
            UnsupportedFormatError: As before.
        """
        if self._shards is None:
            self._shards = iter((yield from self._begin()))
        while True:
            page = (yield from self._pages.next_page()) if self._pages is not None else []
            if page:
                return page
            following = next(self._shards, None)
            if following is None:
                if self._problem is not None:
                    raise self._problem
                return []
            self._pages = yield from open_pages(self._reads, *following, self._prefix)
            self._problem = self._problem or self._pages.problem

    def _begin(self) -> Effects[list[tuple[ShardKey, Shelf]]]:
        if self._shard is None:
            return list((yield from self._reads.listings.day(self._day)).items())
        where = ShardKey(self._day, self._shard)
        return [(where, (yield from self._reads.listings.shelf(where)))]


def _number(shard: str | int) -> int:
    try:
        number = int(shard, 16) if isinstance(shard, str) else shard
    except ValueError:
        number = -1
    if not 0 <= number < 1 << MAX_BITS:
        raise InvalidInputError(f"shard {shard!r}; 0 to {(1 << MAX_BITS) - 1:X} (hex) are expected")
    return number
