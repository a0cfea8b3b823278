"""Maintenance of a store, for `DesStore` and `AsyncDesStore`: what works on whole archives and on history."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta

from ...ports.objects import Assembles
from ..engine import Engine
from ..model.keys import ShardKey
from ..writing.bigfiles import Runs
from .collection import GarbageReport, collect_garbage
from .compaction import Compaction, compact_shard
from .expiry import Expiry, expire_shard
from .rebuilding import Rebuild, rebuild_shards
from .statistics import StoreStats, store_stats
from .verification import StoreVerifyReport, verify_store

__all__ = ["Maintenance"]

Progress = Callable[[int, int], None]

DAY = timedelta(hours=24)


class Maintenance:
    """Operations of an operator; each may be interrupted at any time and run again.

    Args:
        engine: The store's logic.
        runner: Runs its effects synchronously.
        objects: The store's object store, for what it can do beside the requests that all can answer.
    """

    def __init__(self, engine: Engine, runner: Runs, objects: object) -> None:
        self._engine = engine
        self._blocking: Runs = runner
        self._least_front_bytes = objects.least_front_bytes if isinstance(objects, Assembles) else None

    def compact(
        self,
        day: str | None = None,
        shard: str | int | None = None,
        *,
        target_bytes: int = 2**30,
        full: bool = False,
        rewrite: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> list[Compaction]:
        """Merge small archives, and leave out what is deleted or was replaced.

        The largest of them may stay as it is, at the front of the new one, if the object store can copy it there.

        Args:
            day: Only this day.
            shard: Only this shard, in hex.
            target_bytes: No larger archives are made of smaller ones.
            full: Merge whatever fits into `target_bytes`, however little is gained.
            rewrite: Write every entry anew, with the present compression, where the object store could copy them.
            dry_run: Only say what would be merged.
            progress: Called for each shard with the bytes done, and how many there are.

        Raises:
            CorruptArchiveError: An archive is damaged; what was merged before stays merged.
        """
        return [
            done
            for where in self._shards(day, shard)
            for done in compact_shard(
                self._engine,
                self._blocking,
                where,
                target_bytes=target_bytes,
                full=full,
                dry_run=dry_run,
                least_front_bytes=None if rewrite else self._least_front_bytes,
                progress=progress,
            )
        ]

    def expire(
        self, older_than: timedelta, day: str | None = None, shard: str | int | None = None, *, dry_run: bool = False
    ) -> list[Expiry]:
        """Drop the history that is older than a time: it cannot be read any more, and `gc` deletes its archives.

        The present stays as it is, and so does the state at that time and all history after it.

        Args:
            older_than: 0 to drop everything but the present.
            day: Only this day.
            shard: Only this shard, in hex.
            dry_run: Only say what would be dropped.
        """
        results = [
            self._blocking.run(expire_shard(self._engine, where, older_than=older_than, dry_run=dry_run))
            for where in self._shards(day, shard)
        ]
        return [result for result in results if result is not None]

    def gc(self, *, min_age: timedelta = DAY, day: str | None = None, dry_run: bool = True) -> GarbageReport:
        """Delete the objects that nothing refers to: archives that `expire` released or that were never committed.

        Args:
            min_age: Leave younger objects. Below 24 hours, nobody may be adding big files meanwhile.
            day: Only this day.
            dry_run: Only say what would be deleted. This is the default.
        """
        return self._blocking.run(collect_garbage(self._engine, min_age=min_age, day=day, dry_run=dry_run))

    def verify(
        self,
        *,
        sample: float = 1.0,
        budget_seconds: float | None = None,
        after: str | None = None,
        progress: Progress | None = None,
    ) -> StoreVerifyReport:
        """Check the descriptor, all manifests with their history, every archive, and whatever these refer to.

        Runs with a budget, each after where the one before it ended, go round the whole store.

        Args:
            sample: Share of each archive's entries to read, above 0 to 1; at least one entry is.
            budget_seconds: Begin no other archive after so long; at least one is read. None for no limit.
            after: Begin after the archive of this key: `resume_after` of an earlier run.
            progress: Called with the bytes read so far, and how many there are about.

        Raises:
            UnavailableError: The storage failed; what the store holds is not known.
        """
        return verify_store(
            self._engine, self._blocking, sample=sample, budget_seconds=budget_seconds, after=after, progress=progress
        )

    def rebuild(
        self,
        day: str | None = None,
        shard: str | int | None = None,
        *,
        dry_run: bool = True,
        force: bool = False,
        without: Collection[str] = (),
    ) -> list[Rebuild]:
        """Make manifests that are missing or damaged anew, from the archives and the records of deletions.

        History is lost, and nothing else: of two versions of an entry the one whose archive was begun later wins,
        and what was deleted stays deleted. Where the times of a deletion and of an archive are within 5 minutes,
        the deletion wins. A manifest that is replaced is kept under another key.

        Args:
            day: Only this day.
            shard: Only this shard, in hex; needs `day`.
            dry_run: Only say what would be done. This is the default.
            force: Also replace manifests that can be read, and go on where records of deletions cannot.
            without: Ids of archives to leave out, such as one whose object is lost; needs `day` and `shard`.
        """
        return rebuild_shards(self._engine, self._blocking, day, shard, dry_run=dry_run, force=force, without=without)

    def stats(self, day: str | None = None) -> StoreStats:
        """Add up what the manifests say, by day; reads no archive.

        Args:
            day: Only this day.

        Raises:
            CorruptArchiveError: A manifest is damaged; `verify` names all that are.
        """
        return store_stats(self._engine, self._blocking, day)

    def _shards(self, day: str | None, shard: str | int | None) -> list[ShardKey]:
        """The shards that an operation is for; `shard` alone means that one of every day."""
        engine = self._engine
        if day is not None and shard is not None:
            return [engine.shard_key(day, shard)]
        found = self._blocking.run(engine.all_shards(day))
        return found if shard is None else [where for where in found if where == engine.shard_key(where.day, shard)]
