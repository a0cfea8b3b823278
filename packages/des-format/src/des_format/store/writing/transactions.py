"""Commit a change to a shard: read the manifest, apply, compare and swap, and look before believing in a loss.

Source: docs/store-format.md, section "Commit protocol", whose numbered failure sequences this implements.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ...errors import ConflictError, ContentionError, DesError, ObjectNotFoundError, UnavailableError
from ...ports.objects import Turn
from ..model.commits import Commit, Operation
from ..model.ids import new_id
from ..model.keys import ShardKey, manifest_key, segment_key
from ..model.manifest import Manifest, SegmentRef, encode_segment, merge_commits, segments_to_merge
from ..model.state import ShardState
from ..reading.shards import Shard, Shards
from ..sansio.effects import Effects, Sleep, Write, ask
from .waits import Waits

__all__ = ["Clock", "CommitPolicy", "Committed", "Transactions"]

Change = Callable[[Shard], "Commit | None"]
"""Takes the shard as it is, returns the commit to make (its numbers are filled in), or None for nothing to do."""

Rewrite = Callable[[Shard, Commit], "Effects[tuple[Manifest, ShardState]]"]
"""Takes the shard as it was read and the numbered commit, returns the whole manifest to replace it, and its state."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class CommitPolicy:
    """How long to try.

    Attributes:
        timeout_seconds: Give up after this time, with an error that may be retried.
        backoff_seconds: The first wait after a conflict is up to this long, or up to twice as long as the attempt took;
            later ones double.
        max_backoff_seconds: No wait is longer.
        turn_seconds: Where the object store lets writers queue, wait so long for a turn before trying without one.
    """

    timeout_seconds: float = 60.0
    backoff_seconds: float = 0.002
    max_backoff_seconds: float = 0.25
    turn_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Committed:
    """How a commit ended.

    Attributes:
        commit: What was committed, or None when there was nothing to do.
        shard: The shard afterwards.
        retries: How often someone else was faster.
    """

    commit: Commit | None
    shard: Shard
    retries: int


class _Place:
    """A commit's place in the queue for its manifest, if there is one, and since when it tries."""

    turn: Turn | None = None

    def __init__(self) -> None:
        self.began_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has tried."""
        return time.monotonic() - self.began_at

    def leave(self) -> None:
        if self.turn is not None:
            self.turn.end()
            self.turn = None


class Transactions:
    """Commits to the shards of one store.

    Args:
        shards: Reads them.
        clock: Gives the time of a commit.
        policy: How long to try.
    """

    def __init__(
        self, shards: Shards, *, clock: Clock = lambda: datetime.now(UTC), policy: CommitPolicy | None = None
    ) -> None:
        self._shards = shards
        self._clock = clock
        self._policy = policy or CommitPolicy()
        self._random = random.Random()
        self._waits = Waits(self._policy.backoff_seconds, self._policy.max_backoff_seconds)

    def commit(
        self,
        where: ShardKey,
        change: Change,
        held: Shard | None = None,
        commit_id: str | None = None,
        rewrite: Rewrite | None = None,
    ) -> Effects[Committed]:
        """Commit a change; a conflict with someone else's commit is resolved by applying it anew.

        Args:
            where: The shard.
            change: Decides, for the shard as it is, what to commit; called again after each conflict.
            held: The shard as last seen, to save a read; a stale one costs nothing but that.
            commit_id: The commit's id; a new one by default.
            rewrite: Makes the new manifest, where that is not the old one with one more commit.

        Raises:
            ContentionError: Others were faster for as long as `timeout_seconds`; nothing was committed.
            UnavailableError: The storage failed for that long; whether the commit took effect is not known.
            DesError: What `change` raises; nothing was committed.
        """
        place = _Place()
        try:
            return (yield from self._commit(where, change, held, commit_id or new_id(self._clock()), rewrite, place))
        finally:
            place.leave()

    def _commit(
        self,
        where: ShardKey,
        change: Change,
        held: Shard | None,
        commit_id: str,
        rewrite: Rewrite | None,
        place: _Place,
    ) -> Effects[Committed]:
        gives_up_at = time.monotonic() + self._policy.timeout_seconds
        shard = yield from self._begin(where, held, gives_up_at, place)
        # Whoever gave `held` learns by this, too, that others committed since.
        retries = int(held is not None and shard is not held)
        while True:
            draft = change(shard)
            if draft is None:
                return Committed(None, shard, retries)
            at = max(self._clock().astimezone(UTC), shard.state.at)
            commit = replace(draft, id=commit_id).numbered(shard.state.sequence + 1, at)
            try:
                shard = yield from self._swap(shard, commit, rewrite)
                self._waits.won(where)
                return Committed(commit, shard, retries)
            except (ConflictError, UnavailableError) as error:
                failure: DesError = error
                self._waits.lost(where, place.seconds)
            # Whose commit it was that won, or whether a lost reply was a success, only the manifest tells. It is read
            # after the wait, right before the next try: what was read before it would lose again.
            while True:
                is_last = time.monotonic() >= gives_up_at
                if not is_last:
                    yield from self._wait(where, place)
                try:
                    shard = yield from self._shards.load(where, shard)
                    if (yield from self._landed(shard, commit)):
                        return Committed(commit, shard, retries)
                    if not is_last:
                        break
                except UnavailableError as error:
                    failure = error
                    self._waits.lost(where, place.seconds)
                if is_last:
                    raise _given_up(where, retries, failure) from failure
                retries += 1
            retries += 1

    def _begin(self, where: ShardKey, held: Shard | None, gives_up_at: float, place: _Place) -> Effects[Shard]:
        """The shard to start from; what is held does not do where others commit too."""
        while True:
            if held is not None and self._waits.longest(where) is None:
                return held
            yield from self._wait(where, place)
            try:
                return (yield from self._shards.load(where, held))
            except UnavailableError:
                if time.monotonic() >= gives_up_at:
                    raise
                self._waits.lost(where, place.seconds)

    def _wait(self, where: ShardKey, place: _Place) -> Effects[None]:
        place.leave()
        if (longest := self._waits.longest(where)) is not None:
            seconds = self._random.uniform(0, longest)
            place.turn = yield from ask(Sleep(seconds, manifest_key(where), self._policy.turn_seconds))
        place.began_at = time.monotonic()

    def _landed(self, shard: Shard, commit: Commit) -> Effects[bool]:
        """Whether a commit took effect: the commit of its number has its id."""
        manifest = shard.manifest
        if manifest.sequence < commit.sequence:
            return False
        found = {known.sequence: known.id for known in manifest.tail}
        if commit.sequence not in found:
            refs = [ref for ref in manifest.segments if ref.first <= commit.sequence <= ref.last]
            try:
                commits = yield from self._shards.segments(manifest.where, refs)
            except ObjectNotFoundError as error:
                raise UnavailableError(f"the history of shard {manifest.where} was rewritten meanwhile") from error
            found = {known.sequence: known.id for known in commits if known.id}
        if commit.sequence not in found and manifest.horizon >= commit.sequence:
            if (yield from self._precedes(manifest, commit)):
                return False
            raise UnavailableError(
                f"shard {manifest.where}: whether commit {commit.sequence} took effect is not known any more,"
                " because its history was dropped meanwhile; look before trying again"
            )
        return found.get(commit.sequence) == commit.id

    def _precedes(self, manifest: Manifest, commit: Commit) -> Effects[bool]:
        """Whether the history that was dropped ended before a commit, by the times of commits, which never decrease.

        A rebuild takes in whatever was published before, so it does not matter whether that was committed too.
        """
        refs = manifest.segments[:1]
        try:
            commits = yield from self._shards.segments(manifest.where, refs)
        except ObjectNotFoundError as error:
            raise UnavailableError(f"the history of shard {manifest.where} was rewritten meanwhile") from error
        oldest = [*commits, *manifest.own_commits()][0]
        return oldest.operation is Operation.REBUILD or oldest.at < commit.at

    def _swap(self, shard: Shard, commit: Commit, rewrite: Rewrite | None) -> Effects[Shard]:
        """Write the manifest with one more commit, if nobody else wrote it since it was read."""
        if rewrite is not None:
            return (yield from self.swap_manifest(shard, *(yield from rewrite(shard, commit))))
        state = shard.state.copy()
        state.apply(commit)
        manifest = shard.manifest.with_commit(commit)
        if manifest.is_full:
            manifest = yield from self._seal(manifest, state)
        return (yield from self.swap_manifest(shard, manifest, state))

    def swap_manifest(self, shard: Shard, manifest: Manifest, state: ShardState) -> Effects[Shard]:
        """Replace the manifest that was read by another one.

        Raises:
            ObjectExistsError, ObjectChangedError: Someone else wrote it meanwhile.
            UnavailableError: Whether it was replaced is not known.
        """
        data = manifest.encode()
        e_tag = yield from ask(Write(manifest_key(manifest.where), data, shard.e_tag))
        return Shard(manifest, state, e_tag, len(data) + sum(ref.size for ref in manifest.needed_segments()))

    def _seal(self, manifest: Manifest, state: ShardState) -> Effects[Manifest]:
        """Move the manifest's commits to a segment, merged with others when there are enough."""
        refs = list(manifest.segments)
        refs.append((yield from self.write_segment(manifest.where, manifest.own_commits())))
        while count := segments_to_merge(refs):
            parts = []
            try:
                for ref in refs[-count:]:
                    parts.append((yield from self._shards.segments(manifest.where, [ref])))
            except ObjectNotFoundError:
                # The manifest is an old version, whose segments are gone: the swap will find that out.
                break
            merged = merge_commits(parts)
            refs[-count:] = [(yield from self.write_segment(manifest.where, merged, level=refs[-1].level + 1))]
        return manifest.sealed(refs, state)

    def write_segment(self, where: ShardKey, commits: list[Commit], level: int = 0) -> Effects[SegmentRef]:
        """Write a segment, always under a new id: one that an earlier attempt left may be on its way to deletion."""
        ref, data = encode_segment(new_id(self._clock()), commits, level=level)
        yield from ask(Write(segment_key(where, ref.id), data))
        self._shards.keep(ref, commits)
        return ref


def _given_up(where: ShardKey, retries: int, failure: DesError) -> DesError:
    if isinstance(failure, UnavailableError):
        return UnavailableError(f"shard {where} could not be committed to in time: {failure}")
    return ContentionError(f"shard {where}: others committed faster (tries: {retries + 1}); try again")
