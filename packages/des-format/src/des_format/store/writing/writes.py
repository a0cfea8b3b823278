"""Add archives to shards and delete entries, sans I/O.

The order of publishing: big files, the archive under a new key, the manifest's commit. A crash after
any step loses nothing that was acknowledged, and leaves at most garbage.

Source: docs/store-format.md, sections "Adding", "Deleting".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ...errors import (
    ArchiveCondemnedError,
    ConflictError,
    CorruptArchiveError,
    DesError,
    InvalidInputError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnavailableError,
)
from ...layout import FOOTER_SIZE, Footer, decode_footer
from ...ports.objects import Front
from ..model.checkedjson import encode_checked
from ..model.commits import ArchiveRow, Commit, Operation, Tombstone, format_time
from ..model.ids import new_id, time_of
from ..model.keys import ShardKey, archive_key, tombstones_key
from ..model.state import NO_TIME, known_ids
from ..reading.shards import Shard, Shards
from ..reading.snapshots import Present, load_history
from ..sansio.effects import Assemble, Data, Effects, ReadTail, Sleep, Write, ask
from .bigfiles import GRACE
from .transactions import Committed, Transactions

__all__ = ["Deletion", "NewArchive", "Receipt", "Writes"]

_PUBLISH_ATTEMPTS = 6
_FIRST_WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was added, durable and visible.

    Attributes:
        where: The shard.
        archive_id: The archive that holds it.
        sequence: The shard's commit that made it visible; for an archive that was there already, that one's.
        retries: How often the commit lost against others.
        existed: The archive had been added before; nothing was changed.
    """

    where: ShardKey
    archive_id: str
    sequence: int
    retries: int = 0
    existed: bool = False


@dataclass(frozen=True, slots=True)
class NewArchive:
    """A finished archive that is to be added.

    Attributes:
        where: The shard that its entries belong to.
        id: Its id.
        data: Its bytes, or the path of a local file; None when its object is written already.
        footer: Its footer.
        big_files: SHA-256 (hex) of the big files that its entries refer to.
        began_at: When the first of them may have been stored; None for the time of the id.
        front: What the object store is to put before `data`, a path, by itself.
    """

    where: ShardKey
    id: str
    data: bytes | Path | None
    footer: Footer
    big_files: tuple[str, ...] = ()
    began_at: datetime | None = None
    front: Front | None = None

    def request(self) -> Write | Assemble:
        """The request that writes its object."""
        key = archive_key(self.where, self.id)
        if self.front is not None:
            assert isinstance(self.data, Path)
            return Assemble(key, self.front, self.data)
        assert self.data is not None
        return Write(key, self.data)


@dataclass(frozen=True, slots=True)
class Deletion:
    """Who deletes what, and why.

    Attributes:
        uids: Names of the entries, of one shard.
        reason: Why; not empty.
        by: Who asked for it; not empty.
        ticket: Reference of the request, or None.
    """

    uids: Sequence[str]
    reason: str
    by: str
    ticket: str | None = None

    def __post_init__(self) -> None:
        for what in ("reason", "by"):
            if not getattr(self, what).strip():
                raise InvalidInputError(f"a deletion must say {what!r}: who deletes, and why, is kept with it")


class Writes:
    """Changes to the shards of one store.

    Args:
        store_id: The store's id.
        shards: Reads manifests.
        transactions: Commits.
        present: The present view, which learns of every commit.
        clock: The time of deletions.
    """

    def __init__(
        self,
        store_id: str,
        shards: Shards,
        transactions: Transactions,
        present: Present,
        clock: Callable[[], datetime],
    ) -> None:
        self._store_id = store_id
        self._shards = shards
        self._transactions = transactions
        self._present = present
        self._clock = clock

    def add(self, archive: NewArchive) -> Effects[Receipt]:
        """Publish an archive whose id is new, and commit it.

        Raises:
            ConflictError: Another archive has this id.
            ContentionError: The commit lost against others for too long; nothing was added.
            ArchiveCondemnedError: It was given up as garbage meanwhile.
            UnavailableError: Whether it was added is not known; adding the same archive again is safe.
        """
        yield from self.publish(archive)
        return (yield from self._commit_archive(archive, lambda _shard: None))

    def add_once(self, archive: NewArchive) -> Effects[Receipt]:
        """As `add`, for an id that may have been added before, also if it was removed since: then nothing happens."""
        while True:
            shard, commits = yield from load_history(self._shards, archive.where)
            known = known_ids(commits)
            if archive.id in known:
                return Receipt(archive.where, archive.id, known[archive.id].added, existed=True)
            self._refuse_condemned(archive, shard)
            yield from self.publish(archive)
            seen = shard.manifest.sequence

            def check(now: Shard, seen: int = seen) -> None:
                recent = [commit for commit in now.manifest.tail if commit.sequence > seen]
                if len(recent) < now.manifest.sequence - seen:
                    raise _HistoryMovedError
                if archive.id in known_ids(recent):
                    raise _HistoryMovedError

            try:
                return (yield from self._commit_archive(archive, check))
            except _HistoryMovedError:
                continue

    def publish(self, archive: NewArchive) -> Effects[None]:
        """Write an archive's object; one that is there already must be the same.

        Raises:
            ConflictError: Another one is there.
            UnavailableError: Whether it was written is not known.
        """
        if archive.data is None:
            return
        key = archive_key(archive.where, archive.id)
        for attempt in range(_PUBLISH_ATTEMPTS):
            try:
                yield from ask(archive.request())
                return
            except (ObjectExistsError, UnavailableError) as error:
                failure: DesError = error
            try:
                found: Data = yield from ask(ReadTail(key, FOOTER_SIZE))
            except ObjectNotFoundError:
                pass
            except UnavailableError as error:
                failure = error
            else:
                if found.size != archive.footer.archive_size or not _is_footer(found, archive.footer):
                    raise ConflictError(f"another archive is stored as {key}; its footer is another one") from failure
                return
            if attempt < _PUBLISH_ATTEMPTS - 1:
                yield from ask(Sleep(_FIRST_WAIT_SECONDS * 2**attempt))
        raise UnavailableError(f"archive {key} could not be written: {failure}") from failure

    def _refuse_condemned(self, archive: NewArchive, shard: Shard) -> None:
        if archive.id in shard.state.condemned or archive.id in shard.state.released:
            raise ArchiveCondemnedError(
                f"archive {archive.id} of {archive.where} was given up as garbage; write it again under another id"
            )

    def _refuse_late(self, archive: NewArchive) -> None:
        """Big files that were there when writing began may be garbage by now: see docs/store-format.md, "Garbage"."""
        began_at = archive.began_at or time_of(archive.id)
        if archive.big_files and began_at is not None and self._clock() - began_at > GRACE / 2:
            raise ConflictError(
                f"archive {archive.id} of {archive.where} was begun at {format_time(began_at)}, more than"
                f" {GRACE / 2} ago: its big files may have been collected; write it again"
            )

    def _commit_archive(self, archive: NewArchive, check: Callable[[Shard], None]) -> Effects[Receipt]:
        def change(shard: Shard) -> Commit | None:
            if archive.id in shard.state.rows:
                return None
            check(shard)
            self._refuse_condemned(archive, shard)
            self._refuse_late(archive)
            row = ArchiveRow(archive.id, archive.footer, 0, 0, big_files=archive.big_files)
            return Commit(0, NO_TIME, "", Operation.ADD, added=(row,))

        committed = yield from self.commit(archive.where, change)
        row = committed.shard.state.rows.get(archive.id)
        sequence = committed.commit.sequence if committed.commit else row.added if row else 0
        return Receipt(archive.where, archive.id, sequence, committed.retries, existed=committed.commit is None)

    def delete(self, where: ShardKey, deletion: Deletion) -> Effects[Committed]:
        """Commit tombstones; a record of them is stored beside the manifest first, so that a rebuild keeps them.

        Raises:
            ConflictError, UnavailableError: As for `add`; deleting again is safe.
        """
        commit_id = new_id(self._clock())
        at = self._clock()
        tombstones = tuple(
            Tombstone(uid, 0, at, deletion.reason, deletion.by, deletion.ticket, commit_id)
            for uid in dict.fromkeys(deletion.uids)
        )
        record = {
            "format": "des-tombstones",
            "version": 1,
            "store_id": self._store_id,
            "day": where.day,
            "shard": where.shard,
            "tombstones": [tombstone.to_json() for tombstone in tombstones],
        }
        # The id is new, so whatever is there is an earlier attempt of this very write.
        write = Write(tombstones_key(where, commit_id), encode_checked(record), overwrite=True)
        held = self._present.held(where) or (yield from self._shards.load(where))
        yield from ask(write)

        def change(_shard: Shard) -> Commit:
            return Commit(0, NO_TIME, "", Operation.DELETE, tombstones=tombstones)

        committed = yield from self.commit(where, change, held, commit_id)
        if committed.retries:
            # What came between may be a collection that took the record for garbage. Now the manifest names it.
            yield from ask(write)
        return committed

    def commit(
        self,
        where: ShardKey,
        change: Callable[[Shard], Commit | None],
        held: Shard | None = None,
        commit_id: str | None = None,
    ) -> Effects[Committed]:
        """Commit a change, starting from the version that is held, and hold the result."""
        held = held or self._present.held(where)
        committed = yield from self._transactions.commit(where, change, held, commit_id)
        self._present.keep(committed.shard)
        return committed


class _HistoryMovedError(Exception):
    """The commits since the history was read are not at hand; read it again."""


def _is_footer(found: Data, footer: Footer) -> bool:
    try:
        return decode_footer(found.data, archive_size=found.size) == footer
    except CorruptArchiveError:
        return False
