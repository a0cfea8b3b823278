"""Check that what a manifest refers to is there: archives of the past, big files, records of deletions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ...audit.report import Findings
from ...errors import CorruptArchiveError, DesError, NotFoundError, ObjectNotFoundError
from ...ports.objects import ObjectMeta
from ..engine import Engine
from ..model.commits import ArchiveRow, Commit
from ..model.keys import (
    ObjectKind,
    ShardKey,
    StoreObject,
    archive_key,
    big_file_object_key,
    manifest_key,
    tombstones_key,
)
from ..reading.shards import Shards
from ..reading.snapshots import load_history
from ..sansio.effects import Effects, Head, ReadAll, Request, ask, value_of
from ..writing.bigfiles import Runs
from .deletions import decode_deletions
from .shardcheck import CheckedShard

__all__ = ["PresenceCheck", "add_problem"]

_AT_ONCE = 32
# A writer publishes its objects before it commits them.
_COMMIT_TIME = timedelta(minutes=5)


def add_problem(findings: Findings, key: str, error: DesError) -> None:
    """Record what is wrong with an object.

    Raises:
        DesError: `error`, when it says nothing about the object: the storage failed, or refused.
    """
    if error.retryable or not isinstance(error, ValueError | NotFoundError):
        raise error
    findings.add(key, error)


class PresenceCheck:
    """Looks for the objects that shards refer to.

    Args:
        engine: The store.
        runner: Runs effects.
        sizes: The objects that were listed, and their sizes.
        findings: Where problems are recorded.
    """

    def __init__(self, engine: Engine, runner: Runs, sizes: Mapping[str, int], findings: Findings) -> None:
        self._engine = engine
        self._runner = runner
        self._sizes = sizes
        self._findings = findings

    def check(self, where: ShardKey, checked: CheckedShard, listed: Sequence[tuple[StoreObject, ObjectMeta]]) -> None:
        """Check what a shard refers to, all but the visible archives; and whether its manifest itself is there."""
        if checked.is_missing:
            self._miss_manifest(where, listed)
            return
        ids = [one.id for one, _meta in listed if one.kind is ObjectKind.TOMBSTONES]
        records = list(dict.fromkeys([*ids, *checked.records]))
        for at in range(0, len(records), _AT_ONCE):
            self._check_records(where, checked, records[at : at + _AT_ONCE])
        for row in checked.known.values():
            for sha256 in row.big_files:
                self._find(where, row, big_file_object_key(where.day, sha256))
            if checked.is_readable and row.id not in checked.state.rows:
                self._find(where, row, archive_key(where, row.id), row.size)

    def _miss_manifest(self, where: ShardKey, listed: Sequence[tuple[StoreObject, ObjectMeta]]) -> None:
        latest = self._engine.options.clock() - _COMMIT_TIME
        if all(meta["last_modified"] >= latest for _one, meta in listed):
            return
        archives = sum(one.kind is ObjectKind.ARCHIVE for one, _meta in listed)
        self._findings.add(
            manifest_key(where),
            f"it is missing, but {archives} archives and {len(listed) - archives} other objects of its shard"
            " are there; `rebuild` makes it anew",
        )

    def _check_records(self, where: ShardKey, checked: CheckedShard, record_ids: Sequence[str]) -> None:
        """Check records of deletions: those that were listed, and those that a rebuild would need."""
        replies = self._runner.run(_batch([ReadAll(tombstones_key(where, one)) for one in record_ids]))
        for record_id, reply in zip(record_ids, replies, strict=True):
            key = tombstones_key(where, record_id)
            wanted = checked.records.get(record_id, set())
            try:
                data = value_of(reply)
                found = decode_deletions(data.data, where, record_id, self._engine.descriptor.store_id)
            except ObjectNotFoundError as error:
                if wanted and self.is_named(where, record_id):
                    self._findings.add(key, f"the manifest names it, but {error}; a rebuild would undo its deletions")
            except DesError as error:
                add_problem(self._findings, key, error)
            else:
                if missing := wanted - {one.uid for one in found}:
                    self._findings.add(key, f"it lacks the deletion of {len(missing)} uids, such as {min(missing)!r}")

    def _find(self, where: ShardKey, row: ArchiveRow, key: str, size: int | None = None) -> None:
        """Check that an object is there which a row refers to, and has that size."""
        found = self._sizes.get(key)
        if found is None:
            try:
                found = self._runner.run(ask(Head(key)))["size"]
            except ObjectNotFoundError as error:
                if self.is_named(where, row.id):
                    self._findings.add(key, f"archive {row.id} of {where} needs it, but {error}")
                return
        if size is not None and found != size:
            self._findings.add(key, f"found {found} bytes, the manifest says {size}")

    def is_named(self, where: ShardKey, object_id: str) -> bool:
        """Whether the retained history refers to an archive, or a record, at this moment."""
        try:
            _shard, commits = self._runner.run(load_history(Shards(self._engine.descriptor.store_id), where))
        except (CorruptArchiveError, ObjectNotFoundError):
            return True
        return any(_names(commit, object_id) for commit in commits)


def _names(commit: Commit, object_id: str) -> bool:
    archives = (row.id for row in commit.added)
    return object_id in archives or any(one.record == object_id for one in commit.tombstones)


def _batch(requests: list[Request]) -> Effects[list[Any]]:
    return (yield requests)
