"""Delete garbage: objects that nothing in the retained history refers to.

What is deleted is decided by facts that a manifest states, never by a read that failed: a shard without
a manifest, or with a damaged one, is left alone. Before anything is deleted the shard's manifest is
changed by a commit that condemns it: from then on no writer can commit a condemned archive, and every
commit that was prepared on an older manifest has to be prepared anew.

Source: docs/store-format.md, section "Garbage".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ...errors import CorruptArchiveError, InvalidInputError, ObjectNotFoundError, UnsupportedFormatError
from ...ports.objects import ObjectMeta
from ..engine import Engine
from ..model.commits import Commit, Operation
from ..model.ids import CLOCK_DOUBT, time_of
from ..model.keys import ObjectKind, ShardKey, StoreObject, check_day, classify
from ..model.state import NO_TIME
from ..reading.shards import Shard
from ..reading.snapshots import load_history
from ..sansio.effects import Delete, Effects, Head, List, ask, together, value_of

__all__ = ["Garbage", "GarbageReport", "collect_garbage"]

_DELETE_BATCH = 500
_UNCOMMITTED = "it was never committed"


@dataclass(frozen=True, slots=True)
class Garbage:
    """One object that nothing refers to.

    Attributes:
        key: Its key.
        size: Its size in bytes.
        kind: What it is.
        why: The fact that makes it garbage.
    """

    key: str
    size: int
    kind: ObjectKind
    why: str


@dataclass(slots=True)
class GarbageReport:
    """What a collection found and deleted.

    Attributes:
        objects: The garbage.
        deleted_count: How much of it was deleted; 0 for a dry run.
        freed_bytes: Its size.
        young_count: Unreferenced objects that are younger than `min_age`, and were kept.
        left_alone: Why shards and days were not looked at: a manifest that is missing or damaged.
    """

    objects: list[Garbage] = field(default_factory=list)
    deleted_count: int = 0
    freed_bytes: int = 0
    young_count: int = 0
    left_alone: list[str] = field(default_factory=list)


Listed = tuple[StoreObject, ObjectMeta]


def collect_garbage(
    engine: Engine, *, min_age: timedelta, day: str | None = None, dry_run: bool = True
) -> Effects[GarbageReport]:
    """Find garbage, and delete it unless `dry_run`.

    Args:
        engine: The store.
        min_age: Leave younger objects: their writers may be about to commit them.
        day: Only of this day.
        dry_run: Only say what would be deleted.

    Raises:
        InvalidInputError: `min_age` is negative.
        UnavailableError: The storage failed; what was not deleted is found again.
    """
    if min_age < timedelta(0):
        raise InvalidInputError(f"min_age {min_age} is negative")
    objects: list[ObjectMeta] = yield from ask(List(check_day(day) if day is not None else ""))
    by_day: dict[str, list[Listed]] = {}
    for meta in objects:
        known = classify(meta["path"])
        if known is not None:
            by_day.setdefault(known.day, []).append((known, meta))
    report = GarbageReport()
    for name in sorted(by_day):
        yield from _Day(engine, name, by_day[name], min_age, report, dry_run=dry_run).collect()
    return report


class _Day:
    """The collection of one day."""

    def __init__(
        self,
        engine: Engine,
        day: str,
        listed: Sequence[Listed],
        min_age: timedelta,
        report: GarbageReport,
        *,
        dry_run: bool,
    ) -> None:
        self._engine = engine
        self._day = day
        self._listed = listed
        self._min_age = min_age
        self._report = report
        self._dry_run = dry_run
        self._now = engine.options.clock().astimezone(UTC)

    def collect(self) -> Effects[None]:
        by_shard: dict[str, list[Listed]] = {}
        for known, meta in self._listed:
            if known.shard:
                by_shard.setdefault(known.shard, []).append((known, meta))
        is_complete = True
        for shard in sorted(by_shard):
            where = ShardKey(self._day, shard)
            if not any(known.kind is ObjectKind.MANIFEST for known, _ in by_shard[shard]):
                self._report.left_alone.append(f"{where}: no manifest; `des store rebuild` makes one")
                is_complete = False
                continue
            try:
                is_complete &= yield from self._collect_shard(where, by_shard[shard])
            except (CorruptArchiveError, ObjectNotFoundError, UnsupportedFormatError) as error:
                self._report.left_alone.append(f"{where}: {error}")
                is_complete = False
        big_files = [(known, meta) for known, meta in self._listed if known.kind is ObjectKind.BIG_FILE]
        if big_files and is_complete:
            yield from self._collect_big_files(sorted(by_shard), big_files)

    # -- shards -----------------------------------------------------------------------------

    def _collect_shard(self, where: ShardKey, listed: Sequence[Listed]) -> Effects[bool]:
        """Collect a shard; False when archives are left that nobody knows, nor which big files they refer to."""
        while True:
            shard, commits = yield from load_history(self._engine.shards, where)
            if shard.e_tag is None:
                raise ObjectNotFoundError("the manifest has gone meanwhile")
            found = _ShardGarbage(shard, commits, listed, self._is_old)
            is_complete = not found.unknown_count
            if self._dry_run or not (found.garbage or found.gone):
                self._report.objects += found.garbage
                self._report.young_count += found.young_count
                self._leave_alone(where, found)
                return is_complete
            if (yield from self._condemn(where, shard, found)):
                break
        self._report.young_count += found.young_count
        # The records of deletions go last: as long as an archive is there, a rebuild needs them.
        yield from self._delete([one for one in found.garbage if one.kind is not ObjectKind.TOMBSTONES])
        yield from self._delete([one for one in found.garbage if one.kind is ObjectKind.TOMBSTONES])
        deleted = {known.id for one in found.garbage if (known := classify(one.key)) is not None}
        yield from self._absolve(where, found.gone | (shard.state.released & deleted))
        self._leave_alone(where, found)
        return is_complete

    def _leave_alone(self, where: ShardKey, found: _ShardGarbage) -> None:
        if found.unknown_count:
            self._report.left_alone.append(
                f"{where}: {found.unknown_count} archives are older than its manifest, which does not know them;"
                " perhaps an earlier manifest was lost: `des store rebuild --force` takes them in"
            )

    def _condemn(self, where: ShardKey, seen: Shard, found: _ShardGarbage) -> Effects[bool]:
        """Commit that the garbage is garbage; False when the shard changed since it was looked at."""
        moved = False

        def change(shard: Shard) -> Commit | None:
            nonlocal moved
            moved = shard.manifest.sequence != seen.manifest.sequence
            condemned = tuple((archive_id, self._now) for archive_id in found.uncommitted)
            return None if moved else Commit(0, NO_TIME, "", Operation.CONDEMN, condemned=condemned)

        if not found.needs_fence:
            return True
        committed = yield from self._engine.transactions.commit(where, change, seen)
        self._engine.present.keep(committed.shard)
        return not moved

    def _absolve(self, where: ShardKey, archive_ids: set[str]) -> Effects[None]:
        """Commit that released archives are deleted, so that the manifest need not name them any more."""

        def change(shard: Shard) -> Commit | None:
            known = tuple(sorted(archive_ids & shard.state.released))
            return Commit(0, NO_TIME, "", Operation.CONDEMN, absolved=known) if known else None

        if archive_ids:
            committed = yield from self._engine.transactions.commit(where, change)
            self._engine.present.keep(committed.shard)

    def _is_old(self, meta: ObjectMeta) -> bool:
        return self._now - meta["last_modified"] >= self._min_age

    def _delete(self, garbage: Sequence[Garbage]) -> Effects[None]:
        for start in range(0, len(garbage), _DELETE_BATCH):
            batch = garbage[start : start + _DELETE_BATCH]
            yield from ask(Delete([one.key for one in batch]))
            self._report.objects += batch
            self._report.deleted_count += len(batch)
            self._report.freed_bytes += sum(one.size for one in batch)

    # -- big files --------------------------------------------------------------------------

    def _collect_big_files(self, shards: Sequence[str], listed: Sequence[Listed]) -> Effects[None]:
        wheres = [ShardKey(self._day, shard) for shard in shards]
        referenced = yield from self._referenced(wheres)
        candidates = [(known, meta) for known, meta in listed if known.id not in referenced]
        old = [(known, meta) for known, meta in candidates if self._is_old(meta)]
        self._report.young_count += len(candidates) - len(old)
        garbage = [Garbage(m["path"], m["size"], known.kind, "no archive of its day refers to it") for known, m in old]
        if self._dry_run:
            self._report.objects += garbage
            return
        for (_known, meta), one in zip(old, garbage, strict=True):
            # A writer that relies on it has made it young again.
            try:
                now: ObjectMeta = yield from ask(Head(one.key))
            except ObjectNotFoundError:
                continue
            if now["last_modified"] == meta["last_modified"] and now["e_tag"] == meta["e_tag"]:
                yield from self._delete([one])

    def _referenced(self, wheres: Iterable[ShardKey]) -> Effects[set[str]]:
        """SHA-256 of every big file that the retained history of some shards refers to."""
        results = yield from together([load_history(self._engine.shards, where) for where in wheres])
        histories = [value_of(result)[1] for result in results]
        return {
            sha256 for commits in histories for commit in commits for row in commit.added for sha256 in row.big_files
        }


class _ShardGarbage:
    """What of a shard's objects is garbage.

    Attributes:
        garbage: The objects.
        uncommitted: Ids of archives that were never committed, and are not condemned yet.
        gone: Ids of released archives that are deleted already.
        young_count: Unreferenced objects that are too young.
        unknown_count: Archives of which it is in doubt whether they are garbage.
    """

    def __init__(
        self, shard: Shard, commits: Sequence[Commit], listed: Sequence[Listed], is_old: Callable[[ObjectMeta], bool]
    ) -> None:
        self.garbage: list[Garbage] = []
        self.uncommitted: list[str] = []
        self.young_count = 0
        self.unknown_count = 0
        self._shard = shard
        self._archives = {row.id for commit in commits for row in commit.added}
        self._records = {tombstone.record for commit in commits for tombstone in commit.tombstones}
        self._segments = {ref.id for ref in shard.manifest.segments}
        why = {}
        for known, meta in listed:
            reason = self._reason(known, meta)
            if not reason:
                self.unknown_count += known.kind is ObjectKind.ARCHIVE and known.id not in self._archives
                continue
            if is_old(meta):
                why[meta["path"]] = (known, meta, reason)
            else:
                self.young_count += 1
        keeps_records = any(
            known.kind is ObjectKind.ARCHIVE and known.id not in self._archives and meta["path"] not in why
            for known, meta in listed
        )
        for known, meta, reason in why.values():
            if known.kind is ObjectKind.TOMBSTONES and keeps_records:
                continue
            self.garbage.append(Garbage(meta["path"], meta["size"], known.kind, reason))
            if known.kind is ObjectKind.ARCHIVE and reason == _UNCOMMITTED:
                self.uncommitted.append(known.id)
        self.gone = shard.state.released - {known.id for known, _meta in listed}

    @property
    def needs_fence(self) -> bool:
        """Whether a writer may be about to commit some of it."""
        return bool(self.uncommitted) or any(one.kind is not ObjectKind.ARCHIVE for one in self.garbage)

    def _reason(self, known: StoreObject, meta: ObjectMeta) -> str:
        """Why an object is garbage; empty when it is not, or when that is in doubt."""
        match known.kind:
            case ObjectKind.ARCHIVE if known.id not in self._archives:
                if known.id in self._shard.state.released:
                    return "its history was dropped"
                if known.id in self._shard.state.condemned:
                    return "it was condemned before"
                began_at = time_of(known.id) or meta["last_modified"]
                created_at = self._shard.manifest.created_at or datetime.max.replace(tzinfo=UTC)
                # What may be older than the manifest's whole history is perhaps that of a manifest that was lost.
                return _UNCOMMITTED if began_at >= created_at + CLOCK_DOUBT else ""
            case ObjectKind.SEGMENT if known.id not in self._segments:
                return "the manifest does not name it"
            case ObjectKind.TOMBSTONES if known.id not in self._records:
                return "its deletions hide nothing any more"
        return ""
