"""Check the manifest of one shard and all of its segments, sans I/O.

Source: docs/store-format.md, section "Verification".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import CorruptArchiveError, DesError, NotFoundError, ObjectNotFoundError
from ..model.commits import ArchiveRow, Commit
from ..model.consistency import history_problems, manifest_problems, segment_problems
from ..model.keys import ObjectKind, ShardKey, StoreObject, manifest_key, segment_key
from ..model.manifest import Manifest, SegmentRef, decode_segment
from ..model.state import ShardState, fold
from ..sansio.effects import Data, Effects, ReadAll, ask, value_of

__all__ = ["CheckedShard", "check_shard"]


@dataclass(slots=True)
class CheckedShard:
    """What a shard's manifest and segments say, as far as they can be read.

    Attributes:
        problems: The key of an object, and what is wrong with it.
        is_missing: There is no manifest.
        is_readable: The present state is known.
        is_complete: All of the retained history is known.
        state: The present state.
        known: Every archive that the retained history refers to, by id.
        records: The uids of each record of a deletion that still counts, by its id.
    """

    problems: list[tuple[str, str]] = field(default_factory=list)
    is_missing: bool = False
    is_readable: bool = False
    is_complete: bool = False
    state: ShardState = field(default_factory=ShardState)
    known: dict[str, ArchiveRow] = field(default_factory=dict)
    records: dict[str, set[str]] = field(default_factory=dict)
    _segments: frozenset[str] = frozenset()
    _old_records: frozenset[str] = frozenset()

    def refers_to(self, one: StoreObject) -> bool:
        """Whether an object of the shard is referred to; of a complete one only."""
        match one.kind:
            case ObjectKind.ARCHIVE:
                return one.id in self.known
            case ObjectKind.SEGMENT:
                return one.id in self._segments
            case ObjectKind.TOMBSTONES:
                return one.id in self._old_records
        return True

    def learn(self, manifest: Manifest, commits: list[Commit]) -> None:
        """Take in the commits that could be read."""
        self.known = {row.id: row for commit in commits for row in commit.added}
        self._segments = frozenset(ref.id for ref in manifest.segments)
        self._old_records = frozenset(tombstone.record for commit in commits for tombstone in commit.tombstones)
        for tombstone in self.state.tombstones.values():
            if tombstone.record:
                self.records.setdefault(tombstone.record, set()).add(tombstone.uid)


def check_shard(where: ShardKey, store_id: str) -> Effects[CheckedShard]:
    """Read a shard's manifest and segments, none of them from memory, and check them.

    Raises:
        UnavailableError, AccessDeniedError: The storage failed.
    """
    key = manifest_key(where)
    while True:
        checked = CheckedShard()
        try:
            found: Data = yield from ask(ReadAll(key))
        except ObjectNotFoundError:
            checked.is_missing = True
            return checked
        try:
            manifest = Manifest.decode(found.data, where, store_id)
        except ValueError as error:
            checked.problems.append((key, str(error)))
            return checked
        checked.problems += [(key, text) for text in manifest_problems(manifest)]
        parts = yield from _read_segments(where, manifest, checked)
        if None in parts.values():
            try:
                if (yield from ask(ReadAll(key, found.e_tag))) is not None:
                    continue  # Another version may have replaced the segments.
            except ObjectNotFoundError:
                continue
        _sum_up(key, manifest, parts, checked)
        return checked


def _read_segments(
    where: ShardKey, manifest: Manifest, checked: CheckedShard
) -> Effects[dict[SegmentRef, list[Commit] | None]]:
    """The commits of each segment, or None for one that cannot be read."""
    replies = (yield [ReadAll(segment_key(where, ref.id)) for ref in manifest.segments]) if manifest.segments else []
    parts: dict[SegmentRef, list[Commit] | None] = {}
    for ref, reply in zip(manifest.segments, replies, strict=True):
        key = segment_key(where, ref.id)
        try:
            data: Data = value_of(reply)
            commits = decode_segment(ref, data.data, where)
        except DesError as error:
            if error.retryable or not isinstance(error, CorruptArchiveError | NotFoundError):
                raise
            checked.problems.append((key, str(error)))
            parts[ref] = None
        else:
            checked.problems += [(key, text) for text in segment_problems(ref, commits)]
            parts[ref] = commits
    return parts


def _sum_up(key: str, manifest: Manifest, parts: dict[SegmentRef, list[Commit] | None], checked: CheckedShard) -> None:
    own = manifest.own_commits()
    needed = [parts[ref] for ref in manifest.needed_segments()]
    checked.is_readable = None not in needed
    checked.is_complete = None not in parts.values()
    if checked.is_readable:
        checked.state = fold([commit for part in needed for commit in part or ()] + own)
    commits = [commit for part in parts.values() for commit in part or ()] + own
    if checked.is_complete:
        checked.problems += [(key, text) for text in history_problems(commits, manifest.horizon)]
    checked.learn(manifest, commits)
