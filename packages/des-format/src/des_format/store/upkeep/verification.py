"""Verify a whole store, a part of it at a time: descriptor, manifests, archives, big files, records of deletions.

Nothing is changed. What the storage cannot tell at the moment is an error, never a problem of the store; an
archive that others have replaced meanwhile is none either.

Source: docs/store-format.md, section "Verification".
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...archive import Archive
from ...audit import Problem, audit
from ...audit.report import Findings, Progress
from ...errors import DesError, InvalidInputError, ObjectNotFoundError
from ...layout import FOOTER_SIZE, decode_footer
from ...ports.objects import ObjectMeta
from ..descriptor import read_descriptor
from ..engine import Engine
from ..model.commits import ArchiveRow
from ..model.keys import DESCRIPTOR_KEY, ObjectKind, ShardKey, StoreObject, archive_key, big_file_object_key, classify
from ..sansio.effects import List, ask
from ..writing.bigfiles import Runs
from .objectsource import ObjectSource, StorageFailedError
from .presencecheck import PresenceCheck, add_problem
from .shardcheck import CheckedShard, check_shard

__all__ = ["StoreVerifyReport", "verify_store"]


@dataclass(frozen=True, slots=True)
class StoreVerifyReport:
    """The result of a verification.

    Attributes:
        problems: What contradicts the format; `where` is the key of the object.
        shards_checked: Shards whose manifest was read.
        archives_checked: Archives that were read.
        entries_checked: Entries whose payload was read.
        bytes_checked: Bytes read, of archives and of big files.
        unreferenced_count: Objects that no retained history refers to; `gc` decides about them.
        resume_after: Key of the last archive that was read, for the next run; None when the end was reached.
        complete: Whether every byte of what was read was checked, not only a sample of the entries.
    """

    problems: tuple[Problem, ...]
    shards_checked: int
    archives_checked: int
    entries_checked: int
    bytes_checked: int
    unreferenced_count: int
    resume_after: str | None
    complete: bool

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not self.problems

    def __str__(self) -> str:
        extent = "all entries" if self.complete else "a sample"
        verdict = f"{len(self.problems)} problems" if self.problems else "no problem found"
        text = (
            f"{verdict}; {self.shards_checked} shards, {self.archives_checked} archives, {self.entries_checked} entries"
            f" and {self.bytes_checked} bytes read ({extent})"
        )
        return text if self.resume_after is None else f"{text}; to be resumed after {self.resume_after}"


def verify_store(
    engine: Engine,
    runner: Runs,
    *,
    sample: float = 1.0,
    budget_seconds: float | None = None,
    after: str | None = None,
    progress: Progress | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> StoreVerifyReport:
    """Verify a store, from one archive on, for some time.

    Args:
        engine: The store.
        runner: Runs effects.
        sample: Share of each archive's entries to read, above 0 to 1; at least one entry is.
        budget_seconds: Begin no other archive after so long; at least one is read. None for no limit.
        after: Begin after the archive of this key: `resume_after` of an earlier run.
        progress: Called with the bytes read so far, and how many there are about.
        monotonic: What measures time.

    Raises:
        InvalidInputError: `sample` is out of its range, or `after` is not the key of an archive.
        UnavailableError, AccessDeniedError: The storage failed; what the store holds is not known.
    """
    if not 0 < sample <= 1:
        raise InvalidInputError(f"sample {sample}; above 0 to 1 is allowed")
    start = classify(after) if after is not None else None
    if after is not None and (start is None or start.kind is not ObjectKind.ARCHIVE):
        raise InvalidInputError(f"after {after!r} is not the key of an archive")
    # `.` and `_`, which follow a shard's name in keys, sort after nothing.
    offset = f"{start.day}/{start.shard}" if start is not None else None
    listed = [(one, meta) for meta in runner.run(ask(List("", offset))) if (one := classify(meta["path"])) is not None]
    return _Verification(engine, runner, listed, sample, after or "", progress, monotonic).run(budget_seconds)


class _Verification:
    """One run over a store's objects."""

    def __init__(
        self,
        engine: Engine,
        runner: Runs,
        listed: Sequence[tuple[StoreObject, ObjectMeta]],
        sample: float,
        after: str,
        progress: Progress | None,
        monotonic: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._runner = runner
        self._sample = sample
        self._after = after
        self._monotonic = monotonic
        self._ends_at: float | None = None
        self._last: str | None = None
        self._shards: dict[ShardKey, list[tuple[StoreObject, ObjectMeta]]] = defaultdict(list)
        self._unreferenced: dict[str, set[str]] = defaultdict(set)
        for one, meta in listed:
            if one.kind is ObjectKind.BIG_FILE:
                self._unreferenced[one.day].add(meta["path"])
            elif one.kind is not ObjectKind.DAMAGED:
                self._shards[ShardKey(one.day, one.shard)].append((one, meta))
        # Of the first day, the shards before this one are not looked at.
        self._unreferenced.pop(after.partition("/")[0], None)
        read = (ObjectKind.ARCHIVE, ObjectKind.BIG_FILE)
        total = sum(meta["size"] for one, meta in listed if one.kind in read and meta["path"] > after)
        self._findings = Findings(total, progress)
        sizes = {meta["path"]: meta["size"] for _one, meta in listed}
        self._presence = PresenceCheck(engine, runner, sizes, self._findings)
        self._shard_count = self._archive_count = self._unreferenced_count = 0

    def run(self, budget_seconds: float | None) -> StoreVerifyReport:
        self._check_descriptor()
        if budget_seconds is not None:
            self._ends_at = self._monotonic() + budget_seconds
        is_over = False
        for where in sorted(self._shards):
            is_over = not self._check_shard(where)
            if is_over:
                self._unreferenced = defaultdict(
                    set, {day: keys for day, keys in self._unreferenced.items() if day < where.day}
                )
                break
        report = self._findings.report(complete=self._sample == 1, has_checksums=True)
        return StoreVerifyReport(
            report.problems,
            self._shard_count,
            self._archive_count,
            report.entries_checked,
            report.bytes_checked,
            self._unreferenced_count + sum(map(len, self._unreferenced.values())),
            self._last if is_over else None,
            report.complete,
        )

    def _is_over(self) -> bool:
        return self._last is not None and self._ends_at is not None and self._monotonic() >= self._ends_at

    def _check_descriptor(self) -> None:
        try:
            found = self._runner.run(read_descriptor())
        except DesError as error:
            add_problem(self._findings, DESCRIPTOR_KEY, error)
            return
        if found != self._engine.descriptor:
            self._findings.add(DESCRIPTOR_KEY, f"it was replaced: found {found}, expected {self._engine.descriptor}")

    def _check_shard(self, where: ShardKey) -> bool:
        """Check a shard and its archives; False when the time is over before its end."""
        if self._is_over():
            return False
        checked = self._check_manifest(where)
        for key, row in sorted((archive_key(where, row.id), row) for row in checked.state.rows.values()):
            if key <= self._after:
                continue
            if self._is_over():
                return False
            self._check_archive(where, row)
            self._last = key
            self._archive_count += 1
        return True

    def _check_manifest(self, where: ShardKey) -> CheckedShard:
        """Check all of a shard but its archives."""
        listed = self._shards[where]
        checked = self._runner.run(check_shard(where, self._engine.descriptor.store_id))
        self._shard_count += 1
        for key, text in checked.problems:
            self._findings.add(key, text)
        self._presence.check(where, checked, listed)
        if checked.is_complete:
            self._unreferenced_count += sum(not checked.refers_to(one) for one, _meta in listed)
            self._unreferenced[where.day] -= {
                big_file_object_key(where.day, sha256) for row in checked.known.values() for sha256 in row.big_files
            }
        else:
            self._unreferenced.pop(where.day, None)
        return checked

    # -- archives ---------------------------------------------------------------------------

    def _check_archive(self, where: ShardKey, row: ArchiveRow) -> None:
        key = archive_key(where, row.id)
        source = ObjectSource(self._runner, key, where.day)
        try:
            tail = source.read_tail(FOOTER_SIZE)
            if tail.archive_size != row.size:
                self._findings.add(key, f"found {tail.archive_size} bytes, the manifest says {row.size}")
            elif decode_footer(tail.data, archive_size=tail.archive_size) != row.footer:
                self._findings.add(key, "its footer is not the one that the manifest names: it is another archive")
            else:
                self._audit(key, source, row)
        except StorageFailedError as failure:
            if not isinstance(failure.error, ObjectNotFoundError):
                raise failure.error from failure
            if self._presence.is_named(where, row.id):
                self._findings.add(key, f"the manifest names it, but {failure.error}")
        except DesError as error:
            add_problem(self._findings, key, error)

    def _audit(self, key: str, source: ObjectSource, row: ArchiveRow) -> None:
        options = self._engine.options.reading
        core = Archive(row.footer, max_entry_bytes=options.max_entry_bytes, cost=options.cost)
        report = audit(core, source, sample=self._sample)
        self._findings.count_bytes(report.bytes_checked)
        self._findings.entries_checked += report.entries_checked
        for problem in report.problems:
            text = problem.message if problem.where in problem.message else f"{problem.where}: {problem.message}"
            self._findings.add(key, f"{key}: {text}", problem.name)
