"""Which version of each shard a reader sees: the present one, or one of the past."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from ...errors import InvalidInputError, ObjectNotFoundError
from ..model.commits import Commit, Operation
from ..model.keys import ShardKey
from ..model.state import ShardState, fold
from ..sansio.effects import Effects
from .manifestcache import CachedManifest, ManifestCache
from .shards import Shard, Shards

__all__ = ["AsOf", "Past", "Present", "View", "state_as_of"]

# What a parsed manifest takes in memory for each of its bytes as stored.
_PARSED_BYTES = 6
_SHARD_BYTES = 1024


class View(Protocol):
    """Gives the state of a shard that a reader sees."""

    def state(self, where: ShardKey, *, fresh: bool = False) -> Effects[ShardState]:
        """The state; `fresh` asks the object store whatever is held."""
        ...


class Present:
    """The present state of each shard, at most some seconds old.

    Args:
        shards: Reads manifests.
        ttl_seconds: Believe a manifest for so long; 0 to ask the object store each time.
        limit_bytes: Hold manifests up to this size in memory, roughly.
        cache: Manifests that processes share, or None.
        monotonic: Seconds that only grow.

    Attributes:
        changed: Called with each shard of which another version is held from now on.
    """

    def __init__(
        self,
        shards: Shards,
        *,
        ttl_seconds: float,
        limit_bytes: int,
        cache: ManifestCache | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shards = shards
        self._cache = cache
        self._monotonic = monotonic
        # What was let go while it was young may be newer than what others saw.
        self._doubts_until = -math.inf
        self.ttl_seconds = ttl_seconds
        self._limit = limit_bytes
        self._held: OrderedDict[ShardKey, tuple[Shard, float]] = OrderedDict()
        self._held_bytes = 0
        self._guard = threading.Lock()
        self.changed: Callable[[ShardKey], None] = lambda _where: None

    def held(self, where: ShardKey) -> Shard | None:
        """The version that is held, however old."""
        with self._guard:
            found = self._held.get(where)
            return found[0] if found is not None else None

    def good_until(self, where: ShardKey) -> float:
        """Until when, in monotonic time, the version that is held is believed."""
        with self._guard:
            found = self._held.get(where)
            return found[1] + self.ttl_seconds if found is not None else -math.inf

    def state(self, where: ShardKey, *, fresh: bool = False) -> Effects[ShardState]:
        return (yield from self.shard(where, fresh=fresh)).state

    def shard(self, where: ShardKey, *, fresh: bool = False) -> Effects[Shard]:
        """The shard; no request when what is held is young enough."""
        with self._guard:
            found = self._held.get(where)
            if found is not None:
                self._held.move_to_end(where)
        asked_at = self._monotonic()
        if found is not None and not fresh and asked_at - found[1] < self.ttl_seconds:
            return found[0]
        # Who believes nothing for any time is not served what a request that was begun before finds.
        shared = not fresh and self.ttl_seconds > 0
        held = found[0] if found is not None else None
        if self._cache is None:
            return self.keep((yield from self._shards.load(where, held, shared=shared)), asked_at)
        cached = CachedManifest() if fresh else (yield from self._cache.find(where))
        if asked_at >= self._doubts_until and (seen := (yield from self._seen(where, cached, held))) is not None:
            return self.keep(seen, asked_at - self._cache.half_seconds)
        asked_at = self._monotonic()
        loaded, read = yield from self._shards.load_over(where, held, cached.content, shared=shared)
        yield from self._cache.keep(where, loaded.e_tag, read, self._monotonic() - asked_at)
        return self.keep(loaded, asked_at)

    def _seen(self, where: ShardKey, cached: CachedManifest, held: Shard | None) -> Effects[Shard | None]:
        """The version that the object store was lately seen to have, if it is at hand."""
        if not cached.seen:
            return None
        if held is not None and held.e_tag == cached.e_tag:
            return held
        if cached.e_tag is None:
            return self._shards.empty(where) if held is None else None
        if cached.content is None or cached.content.e_tag != cached.e_tag:
            return None
        try:
            return (yield from self._shards.parse(where, cached.content, held))
        except ObjectNotFoundError:
            return None  # Its segments went since it was seen.

    def keep(self, shard: Shard, asked_at: float | None = None) -> Shard:
        """Hold a version that was read, or written, at a time (default: now); return the newest that is known."""
        where = shard.manifest.where
        with self._guard:
            found = self._held.get(where)
            if found is not None:
                if found[0].manifest.sequence > shard.manifest.sequence:
                    return found[0]
                self._held_bytes -= _footprint(found[0])
            self._held[where] = (shard, self._monotonic() if asked_at is None else asked_at)
            self._held.move_to_end(where)
            self._held_bytes += _footprint(shard)
            while self._held_bytes > self._limit and len(self._held) > 1:
                _where, (dropped, dropped_at) = self._held.popitem(last=False)
                self._held_bytes -= _footprint(dropped)
                self._doubts_until = max(self._doubts_until, dropped_at + self.ttl_seconds)
        if found is None or found[0] is not shard:
            self.changed(where)
        return shard


def _footprint(shard: Shard) -> int:
    return _SHARD_BYTES + shard.size * _PARSED_BYTES


@dataclass(frozen=True, slots=True)
class AsOf:
    """A point in a store's history: of each shard the commits up to a sequence, or up to a time."""

    sequence: int | None = None
    time: datetime | None = None

    def __post_init__(self) -> None:
        if (self.sequence is None) == (self.time is None):
            raise InvalidInputError("a point in history is either a sequence or a time")
        if self.sequence is not None and self.sequence < 0:
            raise InvalidInputError(f"sequence {self.sequence} is negative")
        if self.time is not None and self.time.utcoffset() is None:
            raise InvalidInputError(f"time {self.time.isoformat()} has no time zone")

    def includes(self, commit: Commit) -> bool:
        """Whether a commit was made by then."""
        if self.sequence is not None:
            return commit.sequence <= self.sequence
        assert self.time is not None
        return commit.at <= self.time.astimezone(UTC)


class Past:
    """The state of each shard at a point in history; read once, then held.

    Args:
        shards: Reads manifests.
        point: The point in history.
    """

    def __init__(self, shards: Shards, point: AsOf) -> None:
        self._shards = shards
        self._point = point
        self._held: dict[ShardKey, ShardState] = {}

    def state(self, where: ShardKey, *, fresh: bool = False) -> Effects[ShardState]:
        held = self._held.get(where)
        if held is None or fresh:
            shard, commits = yield from load_history(self._shards, where)
            held = self._held[where] = state_as_of(shard, commits, self._point)
        return held


def load_history(shards: Shards, where: ShardKey) -> Effects[tuple[Shard, list[Commit]]]:
    """A shard and all of its commits, of one and the same version."""
    while True:
        shard = yield from shards.load(where)
        try:
            return shard, (yield from shards.history(shard))
        except ObjectNotFoundError:
            # Its history was rewritten since; a manifest that is still the same has lost a segment.
            again = yield from shards.load(where, shard)
            if again is shard:
                raise


def state_as_of(shard: Shard, commits: Sequence[Commit], point: AsOf) -> ShardState:
    """The state of a shard at a point in history.

    Raises:
        InvalidInputError: The history of that time was dropped, or that sequence is still to come.
    """
    manifest = shard.manifest
    if point.sequence is not None and point.sequence > manifest.sequence:
        raise InvalidInputError(
            f"shard {manifest.where} has {manifest.sequence} commits, sequence {point.sequence} is to come"
        )
    included = [commit for commit in commits if point.includes(commit)]
    if manifest.horizon and (not included or included[-1].sequence < manifest.horizon):
        raise InvalidInputError(
            f"shard {manifest.where}: history before sequence {manifest.horizon} was dropped by `expire` or `rebuild`"
        )
    bases = [number for number, commit in enumerate(included) if commit.operation is Operation.BASE]
    return fold(included[bases[-1] :] if bases else included)
