"""Make the manifest of a shard anew, from its archives and the records of its deletions.

What is rebuilt holds every archive that can be read, also some that a compaction had replaced or that were
never committed: they change nothing that a reader sees, except that an addition that failed may have
succeeded. The history is lost. Nothing is deleted.

Source: docs/store-format.md, section "Rebuild".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC

from ...audit import Problem
from ...errors import (
    ConflictError,
    CorruptArchiveError,
    DesError,
    InvalidInputError,
    ObjectNotFoundError,
    UnavailableError,
)
from ...ports.objects import ObjectMeta
from ..engine import Engine
from ..model.commits import Commit, Operation
from ..model.ids import new_id
from ..model.keys import ObjectKind, ShardKey, StoreObject, check_day, classify, damaged_key, manifest_key
from ..model.manifest import Manifest
from ..model.state import ShardState, fold
from ..reading.shards import Shard, Shards
from ..sansio.effects import Data, Effects, List, ReadAll, Sleep, Write, ask
from ..writing.bigfiles import Runs
from .evidence import FoundArchive, FoundDeletion, rebuilt_commit
from .inspecting import Inspection

__all__ = ["Rebuild", "rebuild_shards"]

_ATTEMPTS = 50
_WAIT_SECONDS = 0.05

Listed = tuple[StoreObject, ObjectMeta]


@dataclass(frozen=True, slots=True)
class Rebuild:
    """What was done, or would be done, about the manifest of one shard.

    Attributes:
        where: The shard.
        why: What is wrong with its manifest; "forced" for nothing.
        archives: Ids of the archives that the new manifest names, oldest first.
        tombstone_count: Deleted uids.
        problems: Objects that cannot be read, or are not of this shard; such archives are left out, and left alone.
        is_blocked: Deletions are among the problems, so deleted entries might come back: only `force` goes on.
        sequence: The commit that the new manifest begins with; None when nothing was written.
        kept_as: Key of the copy of the manifest that was replaced; None for none.
    """

    where: ShardKey
    why: str
    archives: tuple[str, ...]
    tombstone_count: int
    problems: tuple[Problem, ...] = ()
    is_blocked: bool = False
    sequence: int | None = None
    kept_as: str | None = None


def rebuild_shards(
    engine: Engine,
    runner: Runs,
    day: str | None,
    shard: str | int | None,
    *,
    dry_run: bool,
    force: bool,
    without: Collection[str] = (),
) -> list[Rebuild]:
    """Rebuild the manifests that are missing or damaged; with `force` all.

    Args:
        engine: The store.
        runner: Runs effects.
        day: Only this day.
        shard: Only this shard; needs `day`.
        dry_run: Only say what would be done.
        force: Also replace manifests that can be read, and go on where records of deletions cannot.
        without: Ids of archives to leave out, such as one whose object is lost; for one shard, whose manifest is
            replaced even if it can be read.

    Raises:
        InvalidInputError: A shard without a day, or archives to leave out without a shard.
        UnsupportedFormatError: A manifest is of a newer version; it was left as it is.
        ConflictError, UnavailableError: As for any commit; that shard's manifest is as it was.
    """
    if shard is not None and day is None:
        raise InvalidInputError(f"shard {shard} of which day? Rebuilding one shard needs both")
    if without and shard is None:
        raise InvalidInputError(f"archives {', '.join(without)} of which shard? Leaving some out needs day and shard")
    only = engine.shard_key(day, shard) if day is not None and shard is not None else None
    by_day: dict[str, set[ShardKey]] = {}
    for known, _meta in runner.run(_listed(day)):
        where = ShardKey(known.day, known.shard)
        if only in (None, where):
            by_day.setdefault(known.day, set()).add(where)
    return [
        done
        for one in sorted(by_day)
        for done in _rebuild_day(engine, runner, sorted(by_day[one]), dry_run, force, without)
    ]


def _rebuild_day(
    engine: Engine, runner: Runs, shards: Sequence[ShardKey], dry_run: bool, force: bool, without: Collection[str]
) -> list[Rebuild]:
    seen = {where: runner.run(_look(engine, where)) for where in shards}
    wanted = [where for where in shards if force or without or seen[where].why]
    if not wanted:
        return []
    # Listed after the manifests were read: whatever these commit was there before.
    listed = runner.run(_listed(wanted[0].day))
    return [
        runner.run(
            _ShardRebuild(
                engine,
                where,
                seen[where],
                [(known, meta) for known, meta in listed if known.shard == where.shard],
                without,
            ).run(dry_run=dry_run, force=force)
        )
        for where in wanted
    ]


def _listed(day: str | None) -> Effects[list[Listed]]:
    """The objects of shards."""
    objects: list[ObjectMeta] = yield from ask(List(check_day(day) if day is not None else ""))
    found = [(known, meta) for meta in objects if (known := classify(meta["path"])) is not None]
    return [(known, meta) for known, meta in found if known.shard and known.kind is not ObjectKind.DAMAGED]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A manifest, as far as it can be read.

    Attributes:
        data: The manifest object; None when there is none.
        known: What it says; of one with lost segments, what its latest commits say.
        commits: Its commits that can be read.
        why: What is wrong with it; empty for nothing.
    """

    data: Data | None
    known: ShardState
    commits: tuple[Commit, ...]
    why: str


def _look(engine: Engine, where: ShardKey) -> Effects[_Seen]:
    """Read a manifest and all of its segments."""
    store_id = engine.descriptor.store_id
    while True:
        try:
            data: Data = yield from ask(ReadAll(manifest_key(where)))
        except ObjectNotFoundError:
            return _Seen(None, ShardState(), (), "there is no manifest")
        own: list[Commit] = []
        try:
            manifest = Manifest.decode(data.data, where, store_id)
            own = manifest.own_commits()
            # Not through the engine, which may hold segments that are lost.
            older = yield from Shards(store_id).segments(where, manifest.needed_segments())
        except (CorruptArchiveError, ObjectNotFoundError) as error:
            try:
                if (yield from ask(ReadAll(manifest_key(where), data.e_tag))) is None:
                    return _Seen(data, fold(own), tuple(own), str(error))
            except ObjectNotFoundError:
                pass
            continue
        commits = [*older, *own]
        return _Seen(data, fold(commits), tuple(commits), "")


class _ShardRebuild:
    """The rebuild of one shard.

    Args:
        engine: The store.
        where: The shard.
        seen: Its manifest.
        listed: Its objects, listed after the manifest was read.
        without: Ids of archives to leave out.
    """

    def __init__(
        self, engine: Engine, where: ShardKey, seen: _Seen, listed: Sequence[Listed], without: Collection[str]
    ) -> None:
        self._engine = engine
        self._where = where
        self._seen = seen
        self._listed = [(known, meta) for known, meta in listed if known.id not in without]
        self._without = without
        self._id = new_id(engine.options.clock())

    def run(self, *, dry_run: bool, force: bool) -> Effects[Rebuild]:
        inspection = Inspection(self._engine.descriptor, self._where, self._engine.options.reading)
        archives = yield from inspection.archives(self._of_kind(ObjectKind.ARCHIVE))
        deletions = yield from inspection.deletions(self._of_kind(ObjectKind.TOMBSTONES))
        commit = self._commit(archives, deletions)
        is_blocked = inspection.lost_deletions and not force
        report = Rebuild(
            self._where,
            self._seen.why or "forced",
            tuple(row.id for row in commit.added),
            len(commit.tombstones),
            tuple(sorted(inspection.problems, key=lambda problem: problem.where)),
            is_blocked,
        )
        if dry_run or is_blocked:
            return report
        kept_as = yield from self._keep_copy()
        commit = yield from self._write(archives, deletions)
        return replace(
            report,
            archives=tuple(row.id for row in commit.added),
            tombstone_count=len(commit.tombstones),
            sequence=commit.sequence,
            kept_as=kept_as,
        )

    def _of_kind(self, kind: ObjectKind) -> list[tuple[str, ObjectMeta]]:
        return [(known.id, meta) for known, meta in self._listed if known.kind is kind]

    def _commit(self, archives: Sequence[FoundArchive], deletions: Sequence[FoundDeletion]) -> Commit:
        now = self._engine.options.clock().astimezone(UTC)
        known = self._seen.known.copy()
        known.rows = {key: row for key, row in known.rows.items() if key not in self._without}
        return rebuilt_commit(archives, deletions, known, commit_id=self._id, now=now)

    def _keep_copy(self) -> Effects[str | None]:
        """Copy the manifest that is about to be replaced."""
        if self._seen.data is None:
            return None
        key = damaged_key(self._where, self._id)
        # The id is new, so whatever is there is an earlier attempt of this very write.
        yield from ask(Write(key, self._seen.data.data, overwrite=True))
        return key

    def _write(self, archives: Sequence[FoundArchive], deletions: Sequence[FoundDeletion]) -> Effects[Commit]:
        """Replace the manifest by the rebuilt one; what others commit meanwhile becomes part of it."""
        failure: DesError | None = None
        for _ in range(_ATTEMPTS):
            commit = self._commit(archives, deletions)
            try:
                self._engine.present.keep((yield from self._swap(commit)))
                return commit
            except (ConflictError, UnavailableError) as error:
                failure = error
            yield from ask(Sleep(_WAIT_SECONDS))
            self._seen = yield from _look(self._engine, self._where)
            # A lost reply may have been a success; others may have committed on top of it.
            mine = [one for one in self._seen.commits if one.id == self._id and one.operation is Operation.REBUILD]
            if mine:
                return mine[0]
        assert failure is not None
        raise failure

    def _swap(self, commit: Commit) -> Effects[Shard]:
        transactions = self._engine.transactions
        state = fold([commit])
        # Archives that were left out are older than that, so `gc` leaves them alone.
        created_at = commit.at
        empty = Manifest(self._engine.descriptor.store_id, self._where, horizon=commit.sequence, created_at=created_at)
        manifest = empty.with_commit(commit)
        if manifest.is_full:
            manifest = manifest.sealed([(yield from transactions.write_segment(self._where, [commit]))], state)
        e_tag = self._seen.data.e_tag if self._seen.data is not None else None
        return (yield from transactions.swap_manifest(Shard(empty, ShardState(), e_tag, 0), manifest, state))
