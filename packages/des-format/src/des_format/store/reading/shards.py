"""Read the manifests of shards: the present, or all of the history."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import ObjectNotFoundError
from ..model.commits import Commit, Operation
from ..model.keys import ShardKey, manifest_key, segment_key
from ..model.manifest import Manifest, SegmentRef, decode_segment
from ..model.state import ShardState, fold
from ..sansio.effects import Data, Effects, ReadAll, ask, value_of

__all__ = ["Shard", "Shards"]


@dataclass(frozen=True, slots=True)
class Shard:
    """One version of a shard, as it was read.

    Attributes:
        manifest: Its manifest; an empty one when there is none.
        state: What its commits add up to.
        e_tag: Version of the manifest object; None when there is none.
        size: Bytes of the manifest object and of the segments that the state needs.
    """

    manifest: Manifest
    state: ShardState
    e_tag: str | None
    size: int


class Shards:
    """Reads the manifests of one store.

    Args:
        store_id: The store's id.
        segment_cache_bytes: Keep segments, which never change, up to this size as stored.
    """

    def __init__(self, store_id: str, *, segment_cache_bytes: int = 8 * 2**20) -> None:
        self._store_id = store_id
        self._limit = segment_cache_bytes
        self._segments: OrderedDict[str, tuple[SegmentRef, list[Commit]]] = OrderedDict()
        self._held_bytes = 0
        self._guard = threading.Lock()

    def load(self, where: ShardKey, held: Shard | None = None, *, shared: bool = False) -> Effects[Shard]:
        """Read a shard's present state: one request, and one round for segments if it has many archives.

        Args:
            where: The shard.
            held: An earlier version; returned as it is when it still is the present one.
            shared: What a request that was begun earlier finds is good enough.
        """
        return (yield from self.load_over(where, held, None, shared=shared))[0]

    def load_over(
        self, where: ShardKey, held: Shard | None, copy: Data | None, *, shared: bool = False
    ) -> Effects[tuple[Shard, Data | None]]:
        """As `load`; return also the manifest as it was transferred, or None if it was not.

        Args:
            where: The shard.
            held: An earlier version, parsed.
            copy: The manifest of some version; not transferred when it still is the present one.
            shared: What a request that was begun earlier finds is good enough.
        """
        if held is not None and copy is not None and held.e_tag == copy.e_tag:
            copy = None
        while True:
            known = copy.e_tag if copy is not None else held.e_tag if held is not None else None
            try:
                read: Data | None = yield from ask(ReadAll(manifest_key(where), known, shared))
            except ObjectNotFoundError:
                return self.empty(where), None
            found: Data | None = copy if read is None else read
            if found is None:
                assert held is not None, "without a condition there is an answer"
                return held, None
            try:
                return (yield from self.parse(where, found, held)), read
            except ObjectNotFoundError:
                # Another version may have replaced both the manifest and the segments meanwhile.
                again = yield from ask(ReadAll(manifest_key(where), found.e_tag))
                if again is None:
                    raise
                copy = None

    def empty(self, where: ShardKey) -> Shard:
        """A shard without a manifest."""
        return Shard(Manifest(self._store_id, where), ShardState(), None, 0)

    def parse(self, where: ShardKey, found: Data, held: Shard | None = None) -> Effects[Shard]:
        """The state that a manifest says; one round for the segments that it needs.

        Raises:
            ObjectNotFoundError: A segment is missing.
        """
        manifest = Manifest.decode(found.data, where, self._store_id)
        needed = manifest.needed_segments()
        size = found.size + sum(ref.size for ref in needed)
        newer = _newer_commits(held, manifest) if held is not None else None
        if held is not None and newer is not None:
            return Shard(manifest, held.state.after(newer), found.e_tag, size)
        commits = yield from self.segments(where, needed)
        state = fold([*commits, *manifest.own_commits()])
        return Shard(manifest, state, found.e_tag, size)

    def history(self, shard: Shard) -> Effects[list[Commit]]:
        """Every commit since the horizon, in order; bases stand where a state can start from.

        Raises:
            ObjectNotFoundError: The shard was read before its history was rewritten; read it again.
        """
        commits = yield from self.segments(shard.manifest.where, shard.manifest.segments)
        return [*commits, *shard.manifest.own_commits()]

    def segments(self, where: ShardKey, refs: Sequence[SegmentRef]) -> Effects[list[Commit]]:
        """The commits of segments, in order; one round for those that are not held."""
        found = {ref.id: held for ref in refs if (held := self._held(ref)) is not None}
        missing = [ref for ref in refs if ref.id not in found]
        if missing:
            replies = yield [ReadAll(segment_key(where, ref.id)) for ref in missing]
            for ref, reply in zip(missing, replies, strict=True):
                data: Data = value_of(reply)
                found[ref.id] = decode_segment(ref, data.data, where)
                self.keep(ref, found[ref.id])
        return [commit for ref in refs for commit in found[ref.id]]

    def _held(self, ref: SegmentRef) -> list[Commit] | None:
        with self._guard:
            held = self._segments.get(ref.id)
            if held is None:
                return None
            self._segments.move_to_end(ref.id)
            return held[1]

    def keep(self, ref: SegmentRef, commits: list[Commit]) -> None:
        """Hold a segment's commits, and let go of those that were not used for longest."""
        with self._guard:
            if ref.id not in self._segments:
                self._segments[ref.id] = (ref, commits)
                self._held_bytes += ref.size
            while self._held_bytes > self._limit and len(self._segments) > 1:
                _key, (dropped, _commits) = self._segments.popitem(last=False)
                self._held_bytes -= dropped.size


# Other operations write the state anew.
_STEPS = frozenset({Operation.ADD, Operation.DELETE, Operation.COMPACT, Operation.CONDEMN})


def _newer_commits(held: Shard, manifest: Manifest) -> Sequence[Commit] | None:
    """The commits that lead from a version that is held to another one, when that one holds them all, else None.

    A shard with thousands of archives is brought up to date in the time of the new ones.
    """
    count = manifest.sequence - held.manifest.sequence
    if not 0 < count < len(manifest.tail) or not held.manifest.tail or held.manifest.horizon != manifest.horizon:
        return None
    newer = manifest.tail[-count:]
    is_same_history = manifest.tail[-count - 1].id == held.manifest.tail[-1].id
    return newer if is_same_history and all(commit.operation in _STEPS for commit in newer) else None
