"""Merge the archives of a shard, and leave out what is deleted or was replaced.

A compaction deletes nothing: the archives that it replaces stay until `expire` and `gc`. Before the commit
every entry of the new archive is read back from the object store and compared with what was read from the
old ones. If one of these was replaced by someone else meanwhile, the compaction is given up.

Source: docs/store-format.md, section "Compaction".
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xxhash import xxh3_128_digest

from ...entry import Entry
from ...errors import ChecksumMismatchError
from ...layout import Footer
from ...writer import DesWriter
from ..engine import Engine
from ..model.commits import ArchiveRow, Commit, Operation
from ..model.ids import id_at, time_of
from ..model.keys import ShardKey, archive_key
from ..model.state import NO_TIME, ShardState
from ..reading.archives import StoredArchive
from ..reading.shards import Shard
from ..sansio.effects import Head, Read, ask
from ..writing.bigfiles import Runs
from ..writing.writes import NewArchive

__all__ = ["Compaction", "compact_shard", "plan_compaction"]

_MAX_RATIO = 4

Progress = Callable[[int, int], None]


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
        abandoned: Someone else replaced an input first; nothing was changed.
    """

    where: ShardKey
    inputs: tuple[str, ...]
    output: str | None = None
    entries_kept: int = 0
    entries_dropped: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    abandoned: bool = False


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
    progress: Progress | None = None,
) -> Iterator[Compaction]:
    """Compact a shard, run by run; yields what each run came to.

    Raises:
        CorruptArchiveError: An archive is damaged; nothing was changed by its run.
    """
    state = runner.run(engine.present.state(where, fresh=True))
    for run in plan_compaction(state, target_bytes=target_bytes, full=full):
        yield from _Merge(engine, runner, where, state, run).run(dry_run=dry_run, progress=progress)


class _Merge:
    """One run of archives that become one."""

    def __init__(
        self, engine: Engine, runner: Runs, where: ShardKey, state: ShardState, run: Sequence[ArchiveRow]
    ) -> None:
        self._engine = engine
        self._runner = runner
        self._where = where
        self._state = state
        self._rows = run
        self._ids = tuple(row.id for row in run)
        self._before = sum(row.size for row in run)

    def run(self, *, dry_run: bool, progress: Progress | None) -> Iterator[Compaction]:
        if len(self._rows) == 1 and not self._holds_deleted(self._rows[0]):
            if not dry_run:
                self._mark_purged(self._rows[0])
            return
        if dry_run:
            yield Compaction(self._where, self._ids, bytes_before=self._before)
            return
        copy = _Copy(self._engine, self._runner, self._where, self._state, progress, self._before)
        with tempfile.TemporaryDirectory(prefix="des-compact-") as folder:
            yield self._commit(copy, copy.write(Path(folder) / "archive.des", self._rows))

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

    def _commit(self, copy: _Copy, written: tuple[Path, Footer]) -> Compaction:
        path, footer = written
        added: tuple[ArchiveRow, ...] = ()
        if footer.entry_count:
            archive_id = id_at(self._age())
            row = ArchiveRow(
                archive_id, footer, 0, max(row.order for row in self._rows), self._state.sequence, tuple(copy.big_files)
            )
            self._runner.run(self._engine.writes.publish(NewArchive(self._where, archive_id, path, footer)))
            copy.compare(StoredArchive("", self._where, row, self._engine.options.reading, cached=False))
            added = (row,)

        def change(shard: Shard) -> Commit | None:
            # Not by ids alone: a rebuild gives archives another order, and what was planned is void.
            if any(shard.state.rows.get(row.id) != row for row in self._rows):
                return None
            return Commit(0, NO_TIME, "", Operation.COMPACT, added=added, removed=self._ids)

        committed = self._runner.run(self._engine.writes.commit(self._where, change))
        return Compaction(
            self._where,
            self._ids,
            added[0].id if added and committed.commit else None,
            footer.entry_count,
            copy.dropped,
            self._before,
            footer.archive_size if added else 0,
            abandoned=committed.commit is None,
        )

    def _age(self) -> Any:
        """The time of the newest input: a rebuild, which knows nothing else, must not take the output for newer."""
        newest = self._rows[-1].id
        return time_of(newest) or self._runner.run(ask(Head(archive_key(self._where, newest))))["last_modified"]


class _Copy:
    """Copies what is visible of some archives into one, and remembers what it must hold."""

    def __init__(
        self,
        engine: Engine,
        runner: Runs,
        where: ShardKey,
        state: ShardState,
        progress: Progress | None,
        total_bytes: int,
    ) -> None:
        self._engine = engine
        self._runner = runner
        self._where = where
        self._state = state
        self._progress = progress
        self._total = total_bytes
        self._done = 0
        self._expected: dict[str, bytes] = {}
        self.dropped = 0
        self.big_files: dict[str, None] = {}

    def write(self, path: Path, rows: Sequence[ArchiveRow]) -> tuple[Path, Footer]:
        """Write the new archive to a local file."""
        options = self._engine.options.writing
        with DesWriter(path, compression=options.compression, big_file_threshold=2**32) as writer:
            for row in reversed(rows):
                archive = self._engine.archives.get(self._where, row)
                for entry, payload in self._scan(archive):
                    self._copy(writer, row, entry, payload)
        assert writer.footer is not None
        return path, writer.footer

    def _copy(self, writer: DesWriter, row: ArchiveRow, entry: Entry, payload: bytes | None) -> None:
        if entry.name in self._expected or self._state.hides(entry.name, row):
            self.dropped += 1
            return
        self._expected[entry.name] = _fingerprint(entry, payload)
        if payload is not None:
            writer.add_file(entry.name, payload, entry.meta or None)
            return
        assert entry.sha256 is not None
        writer.add_external(entry.name, entry.sha256, entry.size, entry.meta or None)
        self.big_files[entry.sha256] = None

    def _scan(self, archive: StoredArchive) -> Iterator[tuple[Entry, bytes | None]]:
        scanner = self._runner.run(archive.run(archive.core.scanner()))
        while (wanted := scanner.next_range()) is not None:
            found = self._runner.run(ask(Read(archive.key, wanted.start, wanted.end)))
            self._count(len(found.data))
            yield from scanner.feed(archive.accept(found))

    def _count(self, count: int) -> None:
        # Everything is read twice, old and new, but how large the new archive will be is not known.
        self._done += count
        if self._progress is not None:
            self._progress(min(self._done, self._total), self._total)

    def compare(self, archive: StoredArchive) -> None:
        """Read the new archive back and compare every entry.

        Raises:
            ChecksumMismatchError: It is not what was copied; nothing was committed.
        """
        missing = dict(self._expected)
        for entry, payload in self._scan(archive):
            if missing.pop(entry.name, None) != _fingerprint(entry, payload):
                raise ChecksumMismatchError(
                    f"archive {archive.key}: entry {entry.name!r} is not what was read from the archives"
                    " that it is to replace; nothing was committed"
                )
        if missing:
            raise ChecksumMismatchError(f"archive {archive.key} lacks {len(missing)} entries; nothing was committed")


def _fingerprint(entry: Entry, payload: bytes | None) -> bytes:
    content = f"{entry.sha256} {entry.size}".encode() if payload is None else payload
    meta = repr(sorted(entry.meta.items())).encode()
    return xxh3_128_digest(content) + xxh3_128_digest(meta)
