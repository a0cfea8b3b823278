"""Maintenance of a store, for `DesStore` and `AsyncDesStore`: what works on whole archives and on history."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from .bigfiles import Runs
from .collection import GarbageReport, collect_garbage
from .compaction import Compaction, compact_shard
from .engine import Engine
from .expiry import Expiry, expire_shard
from .keys import ShardKey

__all__ = ["Maintenance"]

Progress = Callable[[int, int], None]

DAY = timedelta(hours=24)


class Maintenance:
    """Operations of an operator; each may be interrupted at any time and run again.

    Args:
        engine: The store's logic.
        runner: Runs its effects synchronously.
    """

    def __init__(self, engine: Engine, runner: Runs) -> None:
        self._engine = engine
        self._blocking: Runs = runner

    def compact(
        self,
        day: str | None = None,
        shard: str | int | None = None,
        *,
        target_bytes: int = 2**30,
        full: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> list[Compaction]:
        """Merge small archives, and leave out what is deleted or was replaced.

        Args:
            day: Only this day.
            shard: Only this shard, in hex.
            target_bytes: No larger archives are made of smaller ones.
            full: Merge whatever fits into `target_bytes`, however little is gained.
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

    def _shards(self, day: str | None, shard: str | int | None) -> list[ShardKey]:
        """The shards that an operation is for; `shard` alone means that one of every day."""
        engine = self._engine
        if day is not None and shard is not None:
            return [engine.shard_key(day, shard)]
        found = self._blocking.run(engine.all_shards(day))
        return found if shard is None else [where for where in found if where == engine.shard_key(where.day, shard)]
