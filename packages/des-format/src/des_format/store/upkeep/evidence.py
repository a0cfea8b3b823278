"""Put what is left of a shard in order: archives and deletions by their times, where no manifest tells. Pure.

Source: docs/store-format.md, section "Rebuild".
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ...layout import Footer
from ..model.commits import ArchiveRow, Commit, Operation, Tombstone
from ..model.ids import CLOCK_DOUBT
from ..model.state import ShardState

__all__ = ["FoundArchive", "FoundDeletion", "rebuilt_commit"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class FoundArchive:
    """An archive that was found beside a manifest.

    Attributes:
        id: Its id.
        footer: Its footer.
        big_files: SHA-256 (hex) of the big files that its entries refer to.
        at: When it was begun.
    """

    id: str
    footer: Footer
    big_files: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class FoundDeletion:
    """A deletion whose record was found beside a manifest.

    Attributes:
        tombstone: What the record says.
        at: When it was made.
    """

    tombstone: Tombstone
    at: datetime


def rebuilt_commit(
    archives: Iterable[FoundArchive],
    deletions: Iterable[FoundDeletion],
    known: ShardState,
    *,
    commit_id: str,
    now: datetime,
) -> Commit:
    """Return the one commit that a rebuilt manifest begins with.

    What a readable manifest knows is in its order, and newer than all that it does not know: that comes from
    a manifest before it. The rest is in the order of time. Archives are numbered 2, 4, 6, ..., so that
    a deletion fits between any two of them.

    The commit's own sequence is at least the number of milliseconds since 1970: greater than any that the lost
    manifest can have reached, so that whoever still holds its last version takes this one for newer.

    Args:
        archives: What was found; those that are known, or given up as garbage, count as the manifest says.
        deletions: What was found.
        known: What a readable manifest says; empty for none.
        commit_id: The commit's id.
        now: The present time.
    """
    given_up = known.condemned.keys() | known.released
    older = sorted(
        (one for one in archives if one.id not in known.rows and one.id not in given_up),
        key=lambda one: (one.at, one.id),
    )
    newer = known.newest_first()[::-1]
    count = len(older) + len(newer)
    sequence = max(2 * count + 2, known.sequence + 1, (now - _EPOCH) // timedelta(milliseconds=1))
    rows = [ArchiveRow(one.id, one.footer, 0, 0, 0, one.big_files) for one in older]
    rows += [replace(row, purged=0) for row in newer]
    return Commit(
        sequence,
        max(now, known.at),
        commit_id,
        Operation.REBUILD,
        added=tuple(replace(row, added=sequence, order=2 * number) for number, row in enumerate(rows, start=1)),
        tombstones=_tombstones(deletions, [one.at for one in older], known, [row.order for row in newer]),
        condemned=tuple(known.condemned.items()),
        released=tuple(sorted(known.released)),
    )


def _tombstones(
    deletions: Iterable[FoundDeletion], times: Sequence[datetime], known: ShardState, orders: Sequence[int]
) -> tuple[Tombstone, ...]:
    """The newest deletion of each uid, numbered to hide what is older.

    Args:
        deletions: What was found.
        times: When the archives that the manifest does not know were begun, ascending.
        known: What the manifest says.
        orders: The old orders of the archives that it knows, ascending.
    """
    found: dict[str, Tombstone] = {}
    for deletion in sorted(deletions, key=lambda one: one.at):
        older = bisect_right(times, deletion.at + CLOCK_DOUBT)  # In doubt, deleted.
        found[deletion.tombstone.uid] = replace(deletion.tombstone, sequence=2 * older + 1)
    for tombstone in known.tombstones.values():
        older = len(times) + bisect_left(orders, tombstone.sequence)
        found[tombstone.uid] = replace(tombstone, sequence=2 * older + 1)
    return tuple(found.values())
