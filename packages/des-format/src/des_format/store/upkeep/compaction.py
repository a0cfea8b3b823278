"""Merge the archives of a shard, and leave out what is deleted or was replaced.

A compaction deletes nothing: the archives that it replaces stay until `expire` and `gc`. Before the commit
every entry of the new archive is read back from the object store and compared with what was read from the
old ones. If one of these was replaced by someone else meanwhile, the compaction is given up.

Source: docs/store-format.md, section "Compaction".
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...compression import Compression
from ...errors import DesError
from ...layout import Footer
from ...ports.objects import Front
from ..engine import Engine
from ..model.commits import ArchiveRow, Commit, Operation
from ..model.ids import id_at, time_of
from ..model.keys import ShardKey, archive_key
from ..model.state import NO_TIME, ShardState
from ..reading.archives import StoredArchive
from ..reading.shards import Shard
from ..sansio.effects import Delete, Head, ask
from ..writing.bigfiles import Runs
from ..writing.writes import NewArchive
from .fronts import KeptArchive, keep_largest
from .merging import Merging, Progress

__all__ = ["Compaction", "compact_shard", "plan_compaction"]

_MAX_RATIO = 4


@dataclass(frozen=True, slots=True)
class Compaction:
    """What one compaction did, or would do.

    Attributes:
        where: The shard.
        inputs: Ids of the archives that were merged, oldest first.
        output: Id of the new one; None when no entry was left, when nothing had to be rewritten, and for a dry run.
        entries_kept: Entries of the new archive.
        entries_dropped: Entries that were deleted, or replaced by newer ones.
        bytes_before: Size of the inputs.
        bytes_after: Size of the output.
        abandoned: Someone else replaced an input first, or gave the output up as garbage; nothing was changed.
        copied_bytes: Bytes of the output that the object store copied by itself.
        refusal: Why that failed, and every entry was written anew; empty when it was not tried.
    """

    where: ShardKey
    inputs: tuple[str, ...]
    output: str | None = None
    entries_kept: int = 0
    entries_dropped: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    abandoned: bool = False
    copied_bytes: int = 0
    refusal: str = ""


def plan_compaction(state: ShardState, *, target_bytes: int, full: bool = False) -> list[list[ArchiveRow]]:
    """Choose runs of archives, adjacent in age, that should become one; each run oldest first.

    An archive is rewritten when newer ones of at least a quarter of its size are merged into it, or when
    deletions may concern it. `full` takes every run that fits into `target_bytes`.
    """
    runs: list[list[ArchiveRow]] = []
    size = 0
    for row in state.newest_first():
        fits = runs and size + row.size <= target_bytes and (full or row.size <= _MAX_RATIO * size)
        if fits:
            runs[-1].insert(0, row)
            size += row.size
        else:
            runs.append([row])
            size = row.size
    return [run for run in runs if len(run) > 1 or _undecided_deletions(state, run[0])]


def _undecided_deletions(state: ShardState, row: ArchiveRow) -> list[str]:
    """Deleted uids that a compaction has not looked for in this archive yet."""
    return [
        tombstone.uid
        for tombstone in state.tombstones.values()
        if row.order < tombstone.sequence and row.purged < tombstone.sequence
    ]


def compact_shard(
    engine: Engine,
    runner: Runs,
    where: ShardKey,
    *,
    target_bytes: int = 2**30,
    full: bool = False,
    dry_run: bool = False,
    least_front_bytes: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Compaction]:
    """Compact a shard, run by run; yields what each run came to.

    With `least_front_bytes`, the object store may copy archives of at least so many bytes by itself.

    Raises:
        CorruptArchiveError: An archive is damaged; nothing was changed by its run.
    """
    state = runner.run(engine.present.state(where, fresh=True))
    for run in plan_compaction(state, target_bytes=target_bytes, full=full):
        merge = _Merge(engine, runner, where, state, run, least_front_bytes)
        yield from merge.run(dry_run=dry_run, progress=progress)


class _Merge:
    """One run of archives that become one."""

    def __init__(
        self,
        engine: Engine,
        runner: Runs,
        where: ShardKey,
        state: ShardState,
        run: Sequence[ArchiveRow],
        least_front_bytes: int | None,
    ) -> None:
        self._engine = engine
        self._runner = runner
        self._where = where
        self._state = state
        self._rows = run
        self._ids = tuple(row.id for row in run)
        self._before = sum(row.size for row in run)
        self._least_front_bytes = least_front_bytes
        self._refusal = ""

    def run(self, *, dry_run: bool, progress: Progress | None) -> Iterator[Compaction]:
        if len(self._rows) == 1 and not self._holds_deleted(self._rows[0]):
            if not dry_run:
                self._mark_purged(self._rows[0])
            return
        if dry_run:
            yield Compaction(self._where, self._ids, bytes_before=self._before)
            return
        with tempfile.TemporaryDirectory(prefix="des-compact-") as folder:
            yield self._assembled(Path(folder) / "rest.des", progress) or self._written(
                Path(folder) / "archive.des", progress
            )

    def _holds_deleted(self, row: ArchiveRow) -> bool:
        archive = self._engine.archives.get(self._where, row)
        uids = _undecided_deletions(self._state, row)
        return bool(self._runner.run(archive.run(archive.core.may_hold(uids))))

    def _mark_purged(self, row: ArchiveRow) -> None:
        """Say that an archive holds nothing deleted, so that the tombstones can be dropped one day."""

        def change(shard: Shard) -> Commit | None:
            if shard.state.rows.get(row.id) != row:
                return None
            marked = replace(row, purged=self._state.sequence)
            return Commit(0, NO_TIME, "", Operation.COMPACT, added=(marked,), removed=(row.id,))

        self._runner.run(self._engine.writes.commit(self._where, change))

    def _assembled(self, path: Path, progress: Progress | None) -> Compaction | None:
        """Merge in such a way that the object store copies the largest archive by itself; None when it cannot be.

        Whatever goes wrong on this way, the other one decides what that means.
        """
        if self._least_front_bytes is None:
            return None
        archives = [self._engine.archives.get(self._where, row) for row in self._rows]
        compression = Compression.of(self._engine.options.writing.compression)
        try:
            kept = self._runner.run(keep_largest(archives, self._state, compression, self._least_front_bytes))
            if kept is None:
                return None
            merging = self._merging(progress, kept)
            row = self._row(merging, merging.write(path, self._rows))
            self._publish(row, path, kept.front)
            try:
                merging.compare(self._stored(row))
            except DesError:
                self._forget(row)
                raise
        except DesError as error:
            self._refusal = str(error)
            return None
        return self._commit(row, merging, kept.front.length)

    def _written(self, path: Path, progress: Progress | None) -> Compaction:
        """Merge by writing every entry anew."""
        merging = self._merging(progress)
        row = self._row(merging, merging.write(path, self._rows))
        if row.footer.entry_count:
            self._publish(row, path)
            merging.compare(self._stored(row))
        return self._commit(row, merging)

    def _merging(self, progress: Progress | None, kept: KeptArchive | None = None) -> Merging:
        return Merging(self._engine, self._runner, self._where, self._state, progress, self._before, kept)

    def _row(self, merging: Merging, footer: Footer) -> ArchiveRow:
        order = max(row.order for row in self._rows)
        return ArchiveRow(id_at(self._age()), footer, 0, order, self._state.sequence, tuple(merging.big_files))

    def _publish(self, row: ArchiveRow, path: Path, front: Front | None = None) -> None:
        archive = NewArchive(self._where, row.id, path, row.footer, front=front)
        self._runner.run(self._engine.writes.publish(archive))

    def _stored(self, row: ArchiveRow) -> StoredArchive:
        return StoredArchive("", self._where, row, self._engine.options.reading, cached=False)

    def _forget(self, row: ArchiveRow) -> None:
        """Delete what was assembled wrongly: nobody else knows its id, but a rebuild would take it in."""
        with suppress(DesError):
            self._runner.run(ask(Delete([archive_key(self._where, row.id)])))

    def _commit(self, output: ArchiveRow, merging: Merging, copied_bytes: int = 0) -> Compaction:
        added = (output,) if output.footer.entry_count else ()

        def change(shard: Shard) -> Commit | None:
            # Not by ids alone: a rebuild gives archives another order, and what was planned is void.
            if any(shard.state.rows.get(row.id) != row for row in self._rows):
                return None
            if output.id in shard.state.condemned or output.id in shard.state.released:
                return None
            return Commit(0, NO_TIME, "", Operation.COMPACT, added=added, removed=self._ids)

        committed = self._runner.run(self._engine.writes.commit(self._where, change))
        return Compaction(
            self._where,
            self._ids,
            output.id if added and committed.commit else None,
            output.footer.entry_count,
            merging.dropped,
            self._before,
            output.size if added else 0,
            abandoned=committed.commit is None,
            copied_bytes=copied_bytes,
            refusal=self._refusal,
        )

    def _age(self) -> Any:
        """The time of the newest input: a rebuild, which knows nothing else, must not take the output for newer."""
        newest = self._rows[-1].id
        return time_of(newest) or self._runner.run(ask(Head(archive_key(self._where, newest))))["last_modified"]
