"""Find entries of a legacy store and read them, sans I/O.

Source: docs/legacy-formats.md, section "Stores".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from ...entry import Codec, Entry
from ...errors import (
    CorruptArchiveError,
    DesError,
    EntryDeletedError,
    EntryNotFoundError,
    ObjectChangedError,
    ObjectNotFoundError,
    UnsupportedFormatError,
)
from ..model.keys import ShardKey
from ..reading.listing import ReadEntry, StoredEntry
from ..reading.ways import Way, descriptions, payloads, within
from ..sansio.effects import Effects, together, value_of
from .archives import Archives, Opened, again
from .deletions import Ledger, Sidecars
from .layouts import Layout
from .listings import EMPTY, Found, Listings, Shelf

__all__ = ["BROKEN", "LegacyReads", "Located", "Request", "Uid"]

T = TypeVar("T")

BROKEN = (CorruptArchiveError, UnsupportedFormatError)

# Archives of a shard that are opened at the same time.
_GROUP = 8

Uid = str | int
Request = tuple[Uid, datetime]
Places = tuple[ShardKey, ...]


class Wanted(NamedTuple):
    """An entry that is looked for: its name, and the time that was asked for, in UTC."""

    uid: str
    created_at: datetime


class Located(NamedTuple):
    """Where an entry was found, what it is, and what was read of it."""

    archive: Opened
    entry: Entry
    payload: bytes
    codec: Codec = Codec.NONE


_Outcomes = dict[Wanted, Located | DesError]


class LegacyReads:
    """Reads a store of one of the published systems.

    Args:
        layout: Its naming rules.
        listings: What there is.
        sidecars: What was deleted.
        archives: What is open.
        whole_day: Look into all archives of the day, those of the entry's own shard first.
    """

    def __init__(
        self, layout: Layout, listings: Listings, sidecars: Sidecars, archives: Archives, *, whole_day: bool
    ) -> None:
        self.layout = layout
        self.listings = listings
        self.sidecars = sidecars
        self.archives = archives
        self._whole_day = whole_day

    # -- entries ----------------------------------------------------------------------------

    def get(self, uid: Uid, created_at: datetime) -> Effects[Located]:
        """Read one entry.

        Raises:
            EntryDeletedError: It was deleted.
            EntryNotFoundError: It is in none of its shard's archives, and all of them could be read.
            CorruptArchiveError: It is damaged, or may be in an archive that is.
        """
        return (yield from self._one(uid, created_at, payloads))

    def get_within(self, uid: Uid, created_at: datetime, limit_bytes: int, keep_zstd: bool) -> Effects[ReadEntry]:
        """As `get`, within a limit, as `Archive.get_within` has it."""
        located = yield from self._one(uid, created_at, within(limit_bytes, keep_zstd=keep_zstd))
        return ReadEntry(self._stored(located), located.payload, located.codec)

    def find(self, uid: Uid, created_at: datetime) -> Effects[Located]:
        """As `get`, without the payload."""
        return (yield from self._one(uid, created_at, descriptions))

    def describe(self, uid: Uid, created_at: datetime) -> Effects[StoredEntry]:
        """As `find`, with the place of the entry in the store."""
        return self._stored((yield from self.find(uid, created_at)))

    def _stored(self, located: Located) -> StoredEntry:
        named = self.layout.parse(located.archive.key)
        assert named is not None, "it was listed as an archive"
        return StoredEntry(named.where.day, named.where.shard, located.archive.id, located.entry)

    def get_many(self, requests: Iterable[Request]) -> Effects[dict[Request, Located]]:
        """Read many entries of any shards; those that are missing or deleted are left out."""
        return (yield from self._many(requests, payloads))

    def get_many_within(self, requests: Iterable[Request], limit_bytes: int) -> Effects[dict[Request, ReadEntry]]:
        """As `get_many`, within a limit, as `get_within` has it."""
        found = yield from self._many(requests, within(limit_bytes))
        return {
            request: ReadEntry(self._stored(located), located.payload, located.codec)
            for request, located in found.items()
        }

    def _many(self, requests: Iterable[Request], read: Way) -> Effects[dict[Request, Located]]:
        located: dict[Request, tuple[Places, Wanted]] = {request: self._locate(*request) for request in requests}
        groups: dict[Places, dict[Wanted, None]] = {}
        for places, wanted in located.values():
            groups.setdefault(places, {})[wanted] = None
        results = yield from together([self._search(places, list(group), read) for places, group in groups.items()])
        outcomes: dict[Places, _Outcomes] = dict(zip(groups, map(value_of, results), strict=True))
        found: dict[Request, Located] = {}
        for request, (places, wanted) in located.items():
            outcome = outcomes[places][wanted]
            if isinstance(outcome, Located):
                found[request] = outcome
            elif not isinstance(outcome, EntryNotFoundError | EntryDeletedError):
                raise outcome
        return found

    def read_range(self, uid: Uid, created_at: datetime, start: int, end: int) -> Effects[bytes]:
        """Read payload bytes `[start, end)`, as `DesReader.read_range` does."""
        archive, entry, *_payload = yield from self.find(uid, created_at)
        return (yield from archive.source.run(archive.core.read_entry_range(entry, start, end)))

    def relist(self, uid: Uid, created_at: datetime) -> None:
        """List an entry's shard anew when it is wanted next: new archives, and new deletions, are seen then."""
        self.listings.forget(self._locate(uid, created_at)[0])

    def exists(self, uid: Uid, created_at: datetime) -> Effects[bool]:
        """Whether `get` would find it; whatever `get` raises for damage is raised here too."""
        try:
            yield from self.find(uid, created_at)
        except (EntryNotFoundError, EntryDeletedError):
            return False
        return True

    def _locate(self, uid: Uid, created_at: datetime) -> tuple[Places, Wanted]:
        name, places = self.layout.places(uid, created_at)
        return tuple(places), Wanted(name, created_at.astimezone(UTC))

    def _one(self, uid: Uid, created_at: datetime, read: Way) -> Effects[Located]:
        places, wanted = self._locate(uid, created_at)
        outcomes = yield from self._search(places, [wanted], read)
        located: Located = value_of(outcomes[wanted])
        return located

    # -- shards -----------------------------------------------------------------------------

    def _search(self, places: Places, wanted: Sequence[Wanted], read: Way) -> Effects[_Outcomes]:
        """Look into shards; once more from a fresh listing when an object was replaced or has gone since."""
        shelves = yield from self._shelves(places)
        try:
            return (yield from self._search_shelves(shelves, wanted, read))
        except (ObjectNotFoundError, ObjectChangedError):
            self.forget(shelves)
            shelves = yield from self._shelves(places)
            return (yield from self._search_shelves(shelves, wanted, read))

    def forget(self, shelves: dict[ShardKey, Shelf]) -> None:
        """List, read and open anew what these shards consist of."""
        self.listings.forget(shelves)
        for shelf in shelves.values():
            self.archives.forget([found.key for found in shelf.archives])
            self.sidecars.forget([found.key for _key, found in shelf.sidecars])

    def _shelves(self, places: Places) -> Effects[dict[ShardKey, Shelf]]:
        if not self._whole_day:
            results = yield from together([self.listings.shelf(where) for where in places])
            return dict(zip(places, map(value_of, results), strict=True))
        shelves = dict.fromkeys(places, EMPTY)
        for result in (
            yield from together([self.listings.day(day) for day in dict.fromkeys(one.day for one in places)])
        ):
            shelves.update(value_of(result))
        return shelves

    def _search_shelves(
        self, shelves: dict[ShardKey, Shelf], wanted: Sequence[Wanted], read: Way
    ) -> Effects[_Outcomes]:
        ledger = yield from self.sidecars.ledger(shelves.values())
        outcomes: _Outcomes = {one: _deleted(one) for one in wanted if ledger.deletions.names(*one)}
        archives = [found for shelf in shelves.values() for found in shelf.archives]
        yield from self._close_doubtful(archives, ledger, wanted, outcomes)
        broken: list[DesError] = []
        for group in _groups(archives):
            left = [one for one in wanted if one not in outcomes]
            if not left:
                break
            for result in (yield from together([self.archives.open(found) for found in group])):
                if isinstance(result, BROKEN):
                    broken.append(result)
                elif any(one not in outcomes for one in left):
                    yield from self._read(value_of(result), ledger, left, read, outcomes)
        for one in wanted:
            if one not in outcomes:
                outcomes[one] = _absent(one, ledger, broken, shelves)
        return outcomes

    def _read(
        self, opened: Opened, ledger: Ledger, wanted: Sequence[Wanted], read: Way, outcomes: _Outcomes
    ) -> Effects[None]:
        visible = [
            one
            for one in wanted
            if one not in outcomes and not ledger.deletions.hides(one.uid, opened.key, one.created_at)
        ]
        if not visible:
            return
        found = yield from opened.source.run(read(opened.core, list(dict.fromkeys(one.uid for one in visible))))
        for one in visible:
            if one.uid in found:
                outcomes[one] = Located(opened, *found[one.uid])

    def _close_doubtful(
        self, archives: Sequence[Found], ledger: Ledger, wanted: Sequence[Wanted], outcomes: _Outcomes
    ) -> Effects[None]:
        """Refuse what an unreadable sidecar may have been about: all that its archive holds, or might have held."""
        present = {found.key: found for found in archives}
        for key, error in ledger.unknown.items():
            left = [one for one in wanted if one not in outcomes]
            held = yield from self.holds(present.get(key), [one.uid for one in left])
            outcomes.update({one: again(error) for one in left if held is None or one.uid in held})

    def holds(self, found: Found | None, names: Sequence[str]) -> Effects[set[str] | None]:
        """Which of these names an archive holds; None when nobody can say."""
        if found is None:
            return None
        try:
            opened = yield from self.archives.open(found)
        except BROKEN:
            return None
        return set((yield from opened.source.run(descriptions(opened.core, names))))


def _groups(archives: Sequence[Found]) -> Iterator[Sequence[Found]]:
    return (archives[at : at + _GROUP] for at in range(0, len(archives), _GROUP))


def _deleted(wanted: Wanted) -> EntryDeletedError:
    return EntryDeletedError(f"entry {wanted.uid!r} of {wanted.created_at:%Y%m%d} was deleted")


def _absent(wanted: Wanted, ledger: Ledger, broken: Sequence[DesError], shelves: Iterable[ShardKey]) -> DesError:
    """Why an entry was not found: what might be in a broken archive is not missing."""
    if wanted.uid in ledger.deletions:
        return _deleted(wanted)
    if broken:
        return again(broken[0])
    where = ", ".join(map(str, shelves))
    return EntryNotFoundError(f"no entry {wanted.uid!r} in {where}")
