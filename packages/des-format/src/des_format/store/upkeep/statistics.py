"""What a store holds, added up from its manifests; no archive is read.

Source: docs/store-format.md, section "Manifest".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from ..engine import Engine
from ..reading.shards import Shard
from ..sansio.effects import together, value_of
from ..writing.bigfiles import Runs

__all__ = ["DayStats", "StoreStats", "store_stats"]

_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class DayStats:
    """What the shards of one day hold.

    Attributes:
        day: The day as `YYYYMMDD`.
        shards: Shards that have a manifest.
        archives: Archives that are visible.
        entries: Their entries, deleted and replaced ones included, until a compaction leaves these out.
        raw_bytes: Size of these entries' payloads before compression, external ones included.
        stored_bytes: Size of the payloads inside the archives.
        archive_bytes: Size of the archives.
        external_count: Entries whose payload is a big file.
        external_bytes: Their size; of equal big files only one is stored.
        tombstones: Deleted uids.
        commits: Commits of the retained history.
        manifest_bytes: Size of the manifests and their segments.
    """

    day: str
    shards: int = 0
    archives: int = 0
    entries: int = 0
    raw_bytes: int = 0
    stored_bytes: int = 0
    archive_bytes: int = 0
    external_count: int = 0
    external_bytes: int = 0
    tombstones: int = 0
    commits: int = 0
    manifest_bytes: int = 0


_SUMS = tuple(field.name for field in fields(DayStats) if field.name != "day")


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What a store, or a day of it, holds; sums of the fields of `DayStats`.

    Attributes:
        by_day: The days, in order.
    """

    by_day: tuple[DayStats, ...]
    days: int
    shards: int
    archives: int
    entries: int
    raw_bytes: int
    stored_bytes: int
    archive_bytes: int
    external_count: int
    external_bytes: int
    tombstones: int
    commits: int
    manifest_bytes: int

    @classmethod
    def of(cls, days: Iterable[DayStats]) -> StoreStats:
        """Add days up."""
        by_day = tuple(sorted(days, key=lambda one: one.day))
        return cls(by_day, len(by_day), **{name: sum(getattr(one, name) for one in by_day) for name in _SUMS})


def store_stats(engine: Engine, runner: Runs, day: str | None) -> StoreStats:
    """Add up what the manifests say; lists the store, and reads the present state of each shard.

    Raises:
        CorruptArchiveError: A manifest is damaged.
    """
    found = runner.run(engine.all_shards(day))
    by_day: dict[str, DayStats] = {}
    for at in range(0, len(found), _AT_ONCE):
        group = [engine.shards.load(where) for where in found[at : at + _AT_ONCE]]
        for result in runner.run(together(group)):
            shard: Shard = value_of(result)
            if shard.e_tag is not None:
                name = shard.manifest.where.day
                by_day[name] = _plus(by_day.get(name) or DayStats(name), _shard_stats(shard))
    return StoreStats.of(by_day.values())


def _plus(one: DayStats, other: DayStats) -> DayStats:
    return DayStats(one.day, **{name: getattr(one, name) + getattr(other, name) for name in _SUMS})


def _shard_stats(shard: Shard) -> DayStats:
    manifest = shard.manifest
    footers = [row.footer for row in shard.state.rows.values()]
    needed_bytes = sum(ref.size for ref in manifest.needed_segments())
    return DayStats(
        manifest.where.day,
        shards=1,
        archives=len(footers),
        entries=sum(footer.entry_count for footer in footers),
        raw_bytes=sum(footer.raw_bytes for footer in footers),
        stored_bytes=sum(footer.stored_bytes for footer in footers),
        archive_bytes=sum(footer.archive_size for footer in footers),
        external_count=sum(footer.external_count for footer in footers),
        external_bytes=sum(footer.external_bytes for footer in footers),
        tombstones=len(shard.state.tombstones),
        commits=len(manifest.tail) + sum(ref.last - ref.first + 1 for ref in manifest.segments),
        manifest_bytes=shard.size - needed_bytes + sum(ref.size for ref in manifest.segments),
    )
