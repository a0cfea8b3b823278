"""List a shard: the names of all its archives as one, in order, a few META blocks at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from ...entry import Codec, Entry
from ..model.keys import ShardKey
from ..model.state import ShardState
from ..sansio.effects import Effects, together, value_of
from .archives import StoredArchive

__all__ = ["ReadEntry", "ShardListing", "StoredEntry"]


class StoredEntry(NamedTuple):
    """An entry of a store.

    Attributes:
        day: Its UTC day as `YYYYMMDD`.
        shard: Its shard in upper-case hex.
        archive_id: The archive that holds it.
        entry: What the archive says about it.
    """

    day: str
    shard: str
    archive_id: str
    entry: Entry


class ReadEntry(NamedTuple):
    """An entry of a store with its payload.

    Attributes:
        stored: Where it is, and what its archive says about it.
        payload: Its payload; empty for one that is over the limit of the call.
        codec: How `payload` is still compressed: `ZSTD` only if that was asked for.
    """

    stored: StoredEntry
    payload: bytes
    codec: Codec = Codec.NONE


class _Source:
    """The listing of one archive, as far as it was read."""

    def __init__(self, archive: StoredArchive, prefix: str) -> None:
        self.archive = archive
        self.entries: deque[Entry] = deque()
        self.ended = False
        self._prefix = prefix
        self._pages: deque[Any] | None = None

    def advance(self) -> Effects[None]:
        """Read on until there is an entry, or the end."""
        core = self.archive.core
        if self._pages is None:
            self._pages = deque((yield from self.archive.run(core.pages(self._prefix))))
        while not self.entries and self._pages:
            page = self._pages.popleft()
            self.entries.extend((yield from self.archive.run(core.list_page(page, self._prefix))))
        self.ended = not self._pages


class ShardListing:
    """The visible entries of one shard, in name order.

    Args:
        where: The shard.
        state: What it holds.
        archives: Its archives, newest first.
        prefix: Only names that begin so.
    """

    def __init__(self, where: ShardKey, state: ShardState, archives: Sequence[StoredArchive], prefix: str) -> None:
        self._where = where
        self._state = state
        self._sources = [_Source(archive, prefix) for archive in archives]

    def step(self) -> Effects[list[StoredEntry] | None]:
        """Return the next entries, or None at the end; an empty list is not the end."""
        behind = [source for source in self._sources if not source.entries and not source.ended]
        for result in (yield from together([source.advance() for source in behind])):
            value_of(result)
        self._sources = [source for source in self._sources if source.entries or not source.ended]
        if not self._sources:
            return None
        # Beyond the last name of a source that goes on, that source may still have earlier ones.
        bounds = [source.entries[-1].name.encode() for source in self._sources if not source.ended]
        bound = min(bounds) if bounds else None
        newest: dict[bytes, tuple[StoredArchive, Entry]] = {}
        for source in self._sources:
            while source.entries and (bound is None or source.entries[0].name.encode() <= bound):
                entry = source.entries.popleft()
                newest.setdefault(entry.name.encode(), (source.archive, entry))
        return [
            StoredEntry(self._where.day, self._where.shard, archive.row.id, entry)
            for _name, (archive, entry) in sorted(newest.items())
            if not self._state.hides(entry.name, archive.row)
        ]
