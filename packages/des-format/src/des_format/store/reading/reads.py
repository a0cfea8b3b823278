"""Find entries from `(uid, created_at)` and read them, sans I/O.

The read contract (requests, in rounds): a shard's manifest unless it is held, the index blocks of its
archives unless they are cached, the payload. Many names over many shards take the same three rounds,
each in parallel. Nothing is listed, and no HEAD is sent.

Source: docs/store-format.md, section "Reading".
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from ...entry import Codec, Entry
from ...errors import (
    CorruptArchiveError,
    EntryDeletedError,
    EntryNotFoundError,
    InvalidLocatorError,
    NotFoundError,
    ObjectNotFoundError,
)
from ...opening import ReadOptions
from ...routing import locate_shard
from ..descriptor import Descriptor
from ..model.commits import ArchiveRow
from ..model.keys import ShardKey
from ..model.locators import Locator, tag_of_uid
from ..model.state import ShardState
from ..sansio.effects import Effects, together, value_of
from .archives import StoredArchive
from .listing import ReadEntry, StoredEntry
from .snapshots import View
from .ways import Way, descriptions, payloads, within

__all__ = ["Archives", "Found", "Reads"]

T = TypeVar("T")

# Archives of a shard that are asked at the same time, newest first.
_FIRST_GROUP = 32
_HELD_ARCHIVES = 4096

Uid = str | int
Request = tuple[Uid, datetime]


class Archives:
    """The archives of a store that were read lately, with their cached index blocks; shared by all its views.

    Args:
        descriptor: The store's descriptor.
        options: How to read archives.
        cached: Whether there is an index cache to ask.
    """

    def __init__(self, descriptor: Descriptor, options: ReadOptions, *, cached: bool) -> None:
        self._store_id = descriptor.store_id
        self._options = options
        self._cached = cached
        self._held: OrderedDict[str, StoredArchive] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, where: ShardKey, row: ArchiveRow) -> StoredArchive:
        """The archive of a row."""
        key = f"{where}_{row.id}"
        with self._guard:
            archive = self._held.get(key)
            # Deletions are compared with the order, which a rebuild changes.
            if archive is None or (archive.row is not row and _differ(archive.row, row)):
                archive = self._held[key] = StoredArchive(
                    self._store_id, where, row, self._options, cached=self._cached
                )
            self._held.move_to_end(key)
            while len(self._held) > _HELD_ARCHIVES:
                self._held.popitem(last=False)
            return archive


def _differ(one: ArchiveRow, other: ArchiveRow) -> bool:
    return (one.order, one.footer) != (other.order, other.footer)


class Found(NamedTuple):
    """Where an entry was found, what it is, and what was read of it."""

    archive: StoredArchive
    entry: Entry
    payload: bytes
    codec: Codec = Codec.NONE

    @property
    def stored(self) -> StoredEntry:
        """The entry, with its place in the store."""
        where = self.archive.where
        return StoredEntry(where.day, where.shard, self.archive.row.id, self.entry)


class Wanted(NamedTuple):
    """A name that is looked for in a shard."""

    where: ShardKey
    uid: str


@dataclass(frozen=True, slots=True)
class Reads:
    """Reads one view of a store.

    Attributes:
        descriptor: The store's descriptor.
        archives: Its archives.
        view: Which version of each shard is seen.
    """

    descriptor: Descriptor
    archives: Archives
    view: View

    # -- names to shards --------------------------------------------------------------------

    def locate(self, uid: Uid, created_at: datetime) -> Wanted:
        """The shard of an entry, and its name there."""
        place = locate_shard(uid, created_at, self.descriptor.n_bits, self.descriptor.scheme)
        return Wanted(ShardKey(place.date_dir, place.shard_hex), place.uid)

    # -- entries ----------------------------------------------------------------------------

    def get(self, uid: Uid, created_at: datetime) -> Effects[Found]:
        """Read one entry.

        Raises:
            EntryDeletedError: It was deleted.
            EntryNotFoundError: It never was there.
        """
        where, name = self.locate(uid, created_at)
        found = yield from self._in_shard(where, [name], payloads)
        return found[name] if name in found else (yield from self._absent(where, name))

    def find(self, uid: Uid, created_at: datetime) -> Effects[Found]:
        """As `get`, without the payload."""
        where, name = self.locate(uid, created_at)
        found = yield from self._in_shard(where, [name], descriptions)
        return found[name] if name in found else (yield from self._absent(where, name))

    def get_within(self, uid: Uid, created_at: datetime, limit_bytes: int, keep_zstd: bool) -> Effects[ReadEntry]:
        """As `get`, within a limit, as `Archive.get_within` has it."""
        where, name = self.locate(uid, created_at)
        found = yield from self._in_shard(where, [name], within(limit_bytes, keep_zstd=keep_zstd))
        if name not in found:
            yield from self._absent(where, name)
        return ReadEntry(found[name].stored, found[name].payload, found[name].codec)

    def get_many(self, requests: Iterable[Request]) -> Effects[dict[Request, Found]]:
        """Read many entries of any shards; those that are missing or deleted are left out."""
        return (yield from self._many(requests, payloads))

    def get_many_within(self, requests: Iterable[Request], limit_bytes: int) -> Effects[dict[Request, ReadEntry]]:
        """As `get_many`, within a limit, as `get_within` has it."""
        found = yield from self._many(requests, within(limit_bytes))
        return {request: ReadEntry(one.stored, one.payload, one.codec) for request, one in found.items()}

    def find_many(self, requests: Iterable[Request]) -> Effects[dict[Request, Found]]:
        """As `get_many`, without payloads."""
        return (yield from self._many(requests, descriptions))

    def read_range(self, uid: Uid, created_at: datetime, start: int, end: int) -> Effects[bytes]:
        """Read payload bytes `[start, end)`, as `DesReader.read_range` does."""
        found = yield from self.find(uid, created_at)
        return (yield from found.archive.run(found.archive.core.read_entry_range(found.entry, start, end)))

    def _absent(self, where: ShardKey, name: str) -> Effects[Any]:
        state = yield from self.view.state(where)
        if name in state.tombstones:
            raise EntryDeletedError(f"entry {name!r} of {where} was deleted")
        raise EntryNotFoundError(f"no entry {name!r} in shard {where}")

    def _many(self, requests: Iterable[Request], read: Way) -> Effects[dict[Request, Found]]:
        places = {request: self.locate(*request) for request in requests}
        names: dict[ShardKey, list[str]] = {}
        for where, name in dict.fromkeys(places.values()):
            names.setdefault(where, []).append(name)
        results = yield from together([self._in_shard(where, wanted, read) for where, wanted in names.items()])
        found = dict(zip(names, (value_of(result) for result in results), strict=True))
        return {request: found[where][name] for request, (where, name) in places.items() if name in found[where]}

    def _in_shard(self, where: ShardKey, names: Sequence[str], read: Way) -> Effects[dict[str, Found]]:
        """Find names in a shard; once more from a fresh manifest when an archive has gone meanwhile."""
        state = yield from self.view.state(where)
        try:
            return (yield from self._search(where, state, names, read))
        except ObjectNotFoundError as error:
            newer = yield from self.view.state(where, fresh=True)
            if newer.sequence == state.sequence:
                raise CorruptArchiveError(
                    f"shard {where}: an archive that its manifest names is missing: {error}"
                ) from error
            return (yield from self._search(where, newer, names, read))

    def _search(self, where: ShardKey, state: ShardState, names: Sequence[str], read: Way) -> Effects[dict[str, Found]]:
        """Ask the archives in groups, newest first, until every name is found."""
        rows = state.newest_first()
        if len(rows) == 1:  # Of a shard that was compacted; without plans for several it takes less CPU.
            visible = [name for name in names if not state.hides(name, rows[0])]
            return (yield from self._read(self.archives.get(where, rows[0]), visible, read)) if visible else {}
        found: dict[str, Found] = {}
        at, size = 0, _FIRST_GROUP
        while at < len(rows) and len(found) < len(names):
            group = [self.archives.get(where, row) for row in rows[at : at + size]]
            missing = [name for name in names if name not in found]
            found |= yield from self._search_group(state, group, missing, read)
            at, size = at + size, 2 * size
        return found

    def _search_group(
        self, state: ShardState, group: Sequence[StoredArchive], names: Sequence[str], read: Way
    ) -> Effects[dict[str, Found]]:
        """Look names up in the indexes of a group in one round, then read each from the newest that may hold it."""
        visible = [[name for name in names if not state.hides(name, archive.row)] for archive in group]
        if len(group) == 1:
            return (yield from self._read(group[0], visible[0], read)) if visible[0] else {}
        asked = [(archive, wanted) for archive, wanted in zip(group, visible, strict=True) if wanted]
        replies = yield from together([archive.run(archive.core.may_hold(wanted)) for archive, wanted in asked])
        holders: dict[str, list[StoredArchive]] = {}
        for (archive, _wanted), reply in zip(asked, replies, strict=True):
            for name in value_of(reply):
                holders.setdefault(name, []).append(archive)
        found: dict[str, Found] = {}
        while holders:
            by_archive: dict[int, tuple[StoredArchive, list[str]]] = {}
            for name, (newest, *_older) in holders.items():
                by_archive.setdefault(id(newest), (newest, []))[1].append(name)
            results = yield from together(
                [self._read(archive, wanted, read) for archive, wanted in by_archive.values()]
            )
            for result in results:
                found |= value_of(result)
            # A candidate that was none: its name's tag is that of another one.
            holders = {name: rest[1:] for name, rest in holders.items() if name not in found and rest[1:]}
        return found

    def _read(self, archive: StoredArchive, names: Sequence[str], read: Way) -> Effects[dict[str, Found]]:
        result = yield from archive.run(read(archive.core, names))
        return {name: Found(archive, *parts) for name, parts in result.items()}

    # -- locators ---------------------------------------------------------------------------

    def locator(self, uid: Uid, created_at: datetime, expires_at: datetime | None = None) -> Effects[Locator]:
        """Make a locator of an entry."""
        found = yield from self.find(uid, created_at)
        where, name = self.locate(uid, created_at)
        return Locator(
            store_id=self.descriptor.store_id,
            day=where.day,
            shard=where.shard,
            archive_id=found.archive.row.id,
            offset=found.entry.offset,
            length=found.entry.length,
            uid_tag=tag_of_uid(name),
            expires_at=expires_at,
        )

    def get_located(self, locator: Locator, limit_bytes: int | None = None) -> Effects[ReadEntry]:
        """Read the entry that a locator names: one request, and one before it when its shard's manifest is not held.

        With a limit, a larger payload is empty in the result.

        Raises:
            InvalidLocatorError: Of another store, or its record is of another entry.
            EntryDeletedError: The entry was deleted since.
            NotFoundError: Its archive was compacted since; make a new locator.
        """
        if locator.store_id != self.descriptor.store_id:
            raise InvalidLocatorError(
                f"the locator is of store {locator.store_id}, this one is {self.descriptor.store_id}"
            )
        where = ShardKey(locator.day, locator.shard)
        state = yield from self.view.state(where)
        row = state.rows.get(locator.archive_id)
        if row is None:
            state = yield from self.view.state(where, fresh=True)
            row = state.rows.get(locator.archive_id)
        if row is None:
            raise NotFoundError(f"archive {locator.archive_id} of {where} was replaced since; make a new locator")
        if locator.offset + locator.length > row.footer.meta_start:
            raise InvalidLocatorError(
                f"the locator's record ends at {locator.offset + locator.length}, outside of its archive"
            )
        archive = self.archives.get(where, row)
        (reply,) = yield [archive.read_record(locator.offset, locator.length)]
        data = archive.accept(value_of(reply))
        entry, payload = yield from archive.run(
            archive.core.get_at(locator.offset, locator.length, data, limit_bytes=limit_bytes)
        )
        if tag_of_uid(entry.name) != locator.uid_tag:
            raise InvalidLocatorError(f"the locator's record is that of another entry, {entry.name!r}")
        if state.hides(entry.name, row):
            raise EntryDeletedError(f"entry {entry.name!r} of {where} was deleted")
        return ReadEntry(StoredEntry(where.day, where.shard, row.id, entry), payload)
