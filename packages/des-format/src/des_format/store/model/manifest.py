"""The manifest of one shard of one day: a small object that says which archives are visible.

It holds the latest commits. When there are many, they move to an immutable *segment* object that the
manifest names, and what readers of the present need stays in the manifest as a *base*, as long as it
is small. Segments of equal level are merged, so their number grows with the logarithm of the commits.

Source: docs/store-format.md, section "Manifest".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import zstandard

from ...checksum import checksum64
from ...errors import ChecksumMismatchError, CorruptArchiveError, DesError, UnsupportedFormatError
from .checkedjson import decode_checked, encode_checked
from .commits import Commit, Operation, format_time, parse_time
from .ids import time_of
from .keys import ShardKey
from .state import ShardState

__all__ = [
    "MERGED_SEGMENTS",
    "TAIL_COMMITS",
    "Manifest",
    "SegmentRef",
    "decode_segment",
    "encode_segment",
    "is_small",
    "merge_commits",
    "segments_to_merge",
]

FORMAT_VERSION = 1
TAIL_COMMITS = 32
TAIL_WEIGHT = 128
BASE_ROWS = 64
MERGED_SEGMENTS = 8
_MAX_SEGMENT_BYTES = 2**30


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """A segment: the commits `first` to `last`, in an object of their own.

    Attributes:
        id: Part of its key.
        first: Sequence of its first commit.
        last: Sequence of its last commit.
        size: Bytes of the object.
        digest: XXH3-64 of the object, in hex.
        has_base: Whether it begins with a base, so that no earlier segment is needed for the state after it.
        level: How often its commits were merged.
    """

    id: str
    first: int
    last: int
    size: int
    digest: str
    has_base: bool
    level: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the reference as the manifest holds it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of a manifest.

    Attributes:
        store_id: The store that it belongs to.
        where: Its day and shard.
        sequence: That of the last commit; 0 while there is none.
        horizon: History before this sequence was dropped; 0 when all of it is there.
        created_at: When the first of its archives was begun; None while there is no commit.
        segments: Older commits, in order.
        base: The state that `tail` starts from, or None when it is in the segments.
        tail: The latest commits.
    """

    store_id: str
    where: ShardKey
    sequence: int = 0
    horizon: int = 0
    created_at: datetime | None = None
    segments: tuple[SegmentRef, ...] = ()
    base: Commit | None = None
    tail: tuple[Commit, ...] = field(default=())

    def needed_segments(self) -> tuple[SegmentRef, ...]:
        """The segments that the present state depends on."""
        if self.base is not None:
            return ()
        for at in range(len(self.segments) - 1, -1, -1):
            if self.segments[at].has_base:
                return self.segments[at:]
        return self.segments

    def own_commits(self) -> list[Commit]:
        """The base, if any, and the latest commits."""
        return [*([self.base] if self.base else ()), *self.tail]

    def with_commit(self, commit: Commit) -> Manifest:
        """Return the manifest after one more commit."""
        created_at = self.created_at or min([commit.at, *filter(None, (time_of(row.id) for row in commit.added))])
        return replace(self, sequence=commit.sequence, created_at=created_at, tail=(*self.tail, commit))

    @property
    def is_full(self) -> bool:
        """Whether its commits should move to a segment."""
        return len(self.tail) > TAIL_COMMITS or sum(commit.weight for commit in self.tail) > TAIL_WEIGHT

    def sealed(self, segments: Sequence[SegmentRef], state: ShardState) -> Manifest:
        """Return the manifest with all its commits in `segments`; `state` is what they add up to."""
        return replace(self, segments=tuple(segments), base=state.base() if is_small(state) else None, tail=())

    def encode(self) -> bytes:
        """Return the object's bytes."""
        value: dict[str, Any] = {
            "format": "des-manifest",
            "version": FORMAT_VERSION,
            "store_id": self.store_id,
            "day": self.where.day,
            "shard": self.where.shard,
            "sequence": self.sequence,
            "horizon": self.horizon,
            "created_at": format_time(self.created_at) if self.created_at else None,
            "segments": [segment.to_json() for segment in self.segments],
            "base": self.base.to_json() if self.base else None,
            "commits": [commit.to_json() for commit in self.tail],
        }
        return encode_checked(value)

    @classmethod
    def decode(cls, data: bytes, where: ShardKey, store_id: str) -> Manifest:
        """Read the object's bytes.

        Raises:
            ChecksumMismatchError, CorruptArchiveError: Damaged, or not the manifest of this shard.
            UnsupportedFormatError: Made by a newer version.
        """
        what = f"manifest {where}"
        value = decode_checked(data, what)
        try:
            if value["format"] != "des-manifest":
                raise CorruptArchiveError(f"{what} has format {value['format']!r}, expected 'des-manifest'")
            if value["version"] != FORMAT_VERSION:
                raise UnsupportedFormatError(
                    f"{what} has version {value['version']}, this des-format reads {FORMAT_VERSION}"
                )
            found = (value["store_id"], value["day"], value["shard"])
            if found != (store_id, where.day, where.shard):
                raise CorruptArchiveError(
                    f"{what} of store {store_id} is that of {found[1]}/{found[2]} of store {found[0]}"
                )
            return cls(
                store_id,
                where,
                value["sequence"],
                value["horizon"],
                parse_time(value["created_at"]) if value["created_at"] else None,
                tuple(SegmentRef(**segment) for segment in value["segments"]),
                Commit.from_json(value["base"]) if value["base"] else None,
                tuple(Commit.from_json(commit) for commit in value["commits"]),
            )
        except DesError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptArchiveError(f"{what} breaks the format: {error!r}") from error


def is_small(state: ShardState) -> bool:
    """Whether a state may stay in the manifest, which every commit writes anew."""
    return state.weight <= BASE_ROWS


def encode_segment(segment_id: str, commits: Sequence[Commit], *, level: int = 0) -> tuple[SegmentRef, bytes]:
    """Return the reference and the bytes of a segment for commits in order, the first of which may be a base."""
    has_base = commits[0].operation is Operation.BASE
    text = json.dumps([commit.to_json() for commit in commits], separators=(",", ":"), ensure_ascii=False)
    data = zstandard.ZstdCompressor(level=6).compress(text.encode())
    first = commits[0].sequence + has_base
    return SegmentRef(
        segment_id, first, commits[-1].sequence, len(data), f"{checksum64(data):016x}", has_base, level
    ), data


def decode_segment(ref: SegmentRef, data: bytes, where: ShardKey) -> list[Commit]:
    """Read a segment.

    Raises:
        ChecksumMismatchError, CorruptArchiveError: Damaged, or not what the reference says.
    """
    what = f"segment {ref.id} of manifest {where}"
    found = f"{checksum64(data):016x}"
    if len(data) != ref.size or found != ref.digest:
        raise ChecksumMismatchError(
            f"{what}: found {len(data)} bytes with checksum {found}, expected {ref.size} with {ref.digest}"
        )
    try:
        if zstandard.frame_content_size(data) > _MAX_SEGMENT_BYTES:
            raise CorruptArchiveError(f"{what} would expand to over {_MAX_SEGMENT_BYTES} bytes")
        text = zstandard.ZstdDecompressor().decompress(data, max_output_size=_MAX_SEGMENT_BYTES)
        return [Commit.from_json(commit) for commit in json.loads(text)]
    except DesError:
        raise
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptArchiveError(f"{what} breaks the format: {error!r}") from error


def segments_to_merge(segments: Sequence[SegmentRef]) -> int:
    """How many of the last segments should become one: those of one level, once they are enough; else 0."""
    last = segments[-MERGED_SEGMENTS:]
    return len(last) if len(last) == MERGED_SEGMENTS and len({segment.level for segment in last}) == 1 else 0


def merge_commits(parts: Sequence[Sequence[Commit]]) -> list[Commit]:
    """The commits of adjacent segments as those of one: of their bases only the first is needed."""
    return [
        commit
        for number, part in enumerate(parts)
        for commit in part
        if number == 0 or commit.operation is not Operation.BASE
    ]
