"""Drop history: afterwards only the present and the latest past can be read, and `gc` may delete the rest.

Source: docs/store-format.md, section "Expiry".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ...errors import ConflictError, InvalidInputError, ObjectNotFoundError
from ..engine import Engine
from ..model.commits import ArchiveRow, Commit, Operation, Tombstone
from ..model.keys import ShardKey
from ..model.manifest import Manifest, is_small
from ..model.state import NO_TIME, ShardState, fold
from ..reading.shards import Shard
from ..reading.snapshots import load_history
from ..sansio.effects import Effects

__all__ = ["CONDEMNED_FOR", "Expiry", "expire_shard"]

CONDEMNED_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Expiry:
    """What an expiry dropped, or would drop.

    Attributes:
        where: The shard.
        horizon: The oldest sequence that can still be read.
        commits_dropped: Commits of the history before it.
        archives_released: Archives that nothing refers to any more; `gc` deletes them.
        tombstones_dropped: Deletions that hide nothing any more.
    """

    where: ShardKey
    horizon: int
    commits_dropped: int = 0
    archives_released: tuple[str, ...] = ()
    tombstones_dropped: int = 0


@dataclass(frozen=True, slots=True)
class _Plan:
    """A shard's history after an expiry."""

    base: Commit
    kept: tuple[Commit, ...]
    report: Expiry


def _plan(where: ShardKey, commits: Sequence[Commit], horizon: int, now: datetime) -> _Plan:
    base, kept = _split(commits, horizon)
    retained = [*base.rows.values(), *(row for commit in kept for row in commit.added)]
    ids = {row.id for row in retained}
    released = tuple(dict.fromkeys(row.id for commit in commits for row in commit.added if row.id not in ids))
    tombstones = [one for one in base.tombstones.values() if not _is_done(one, retained)]
    dropped = len(base.tombstones) - len(tombstones)
    base.tombstones = {one.uid: one for one in tombstones}
    base.condemned = {one: at for one, at in base.condemned.items() if now - at < CONDEMNED_FOR}
    real = [commit for commit in commits if commit.operation is not Operation.BASE]
    report = Expiry(where, horizon, len(real) - len(kept), released, dropped)
    return _Plan(base.base(), kept, report)


def _split(commits: Sequence[Commit], horizon: int) -> tuple[ShardState, tuple[Commit, ...]]:
    """The state at the horizon, and the commits after it."""
    before = [commit for commit in commits if commit.sequence <= horizon]
    after = tuple(c for c in commits if c.sequence > horizon and c.operation is not Operation.BASE)
    return fold(before), after


def _is_done(tombstone: Tombstone, rows: Sequence[ArchiveRow]) -> bool:
    """Whether no retained archive can hold what a tombstone hides."""
    return all(row.purged >= tombstone.sequence for row in rows if row.order < tombstone.sequence)


def expire_shard(engine: Engine, where: ShardKey, *, older_than: timedelta, dry_run: bool) -> Effects[Expiry | None]:
    """Drop the history of a shard that is older than a time; None when there is nothing to drop.

    Raises:
        InvalidInputError: `older_than` is negative.
    """
    if older_than < timedelta(0):
        raise InvalidInputError(f"older_than {older_than} is negative")
    now = engine.options.clock().astimezone(UTC)
    shard, commits = yield from load_history(engine.shards, where)
    # A clock that was ahead gave commits a time to come; they must not keep history from ever being dropped.
    horizon = max((c.sequence for c in commits if now - min(c.at, now) >= older_than), default=0)
    if horizon <= shard.manifest.horizon:
        return None
    plan = _plan(where, commits, horizon, now)
    if _is_trivial(plan, shard):
        return None
    if dry_run:
        return plan.report

    def change(shard: Shard) -> Commit | None:
        if shard.manifest.horizon >= horizon:
            return None
        return Commit(0, NO_TIME, "", Operation.EXPIRE, released=plan.report.archives_released)

    def rewrite(shard: Shard, commit: Commit) -> Effects[tuple[Manifest, ShardState]]:
        try:
            commits = yield from engine.shards.history(shard)
        except ObjectNotFoundError as error:
            raise ConflictError(f"shard {where}: its history was rewritten meanwhile") from error
        plan = _plan(where, commits, horizon, now)
        return (yield from _rewritten(engine, shard.manifest, [plan.base, *plan.kept, commit], horizon))

    committed = yield from engine.transactions.commit(where, change, shard, rewrite=rewrite)
    engine.present.keep(committed.shard)
    return plan.report if committed.commit else None


def _is_trivial(plan: _Plan, shard: Shard) -> bool:
    """Whether the only history is what an earlier expiry left, so that another one would only add to it."""
    report = plan.report
    is_alone = plan.base.sequence == shard.manifest.sequence and report.commits_dropped == 1
    return is_alone and not report.archives_released and not report.tombstones_dropped


def _rewritten(
    engine: Engine, manifest: Manifest, commits: list[Commit], horizon: int
) -> Effects[tuple[Manifest, ShardState]]:
    """A manifest with exactly these commits, the first of which is a base."""
    state = fold(commits)
    base, *tail = commits
    changed = replace(
        manifest, sequence=commits[-1].sequence, horizon=horizon, segments=(), base=base, tail=tuple(tail)
    )
    if is_small(fold([base])) and not changed.is_full:
        return changed, state
    ref = yield from engine.transactions.write_segment(manifest.where, commits)
    return changed.sealed([ref], state), state
