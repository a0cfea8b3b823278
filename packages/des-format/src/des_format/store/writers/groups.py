"""Which of the entries that wait go into the next common commit, and how that ends for each of them."""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from ...entry import encode_meta
from ...errors import InvalidInputError
from ...names import encode_name
from ...writer import DesWriter
from ..engine import Engine
from ..model.ids import new_id
from ..model.keys import ShardKey
from ..writing.bigfiles import Runs, StoreBigFiles
from ..writing.writes import NewArchive, Receipt

__all__ = ["Built", "GroupLimits", "Member", "Waiting", "accept", "build_group", "fail", "settle"]

# What an entry takes in memory besides its payload, roughly.
_ENTRY_BYTES = 512


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """How entries are grouped.

    Attributes:
        max_delay_seconds: An entry that finds nothing to join waits so long for others.
        max_entries: At most so many entries are committed at a time.
        max_bytes: So many bytes are committed at a time, roughly, and wait at most.
    """

    max_delay_seconds: float = 0.01
    max_entries: int = 10_000
    max_bytes: int = 64 * 2**20

    def __post_init__(self) -> None:
        if self.max_delay_seconds < 0 or self.max_entries < 1 or self.max_bytes < 1:
            raise InvalidInputError(f"{self}: a delay of 0 or more, and at least one entry and byte, are expected")


class Member(NamedTuple):
    """An accepted entry; `future` tells its end."""

    where: ShardKey
    name: str
    data: bytes
    meta: Mapping[str, Any] | None
    future: Future[Receipt]

    @property
    def size(self) -> int:
        """Bytes that it takes while it waits, roughly."""
        return len(self.data) + _ENTRY_BYTES


Built = tuple[NewArchive, Sequence[Member]]


def accept(
    engine: Engine, uid: str | int, created_at: datetime, data: bytes | bytearray | memoryview, meta: Any
) -> Member:
    """Return an entry as it is now, whatever its caller does to it later.

    Raises:
        TypeError, InvalidInputError: It is refused.
    """
    where, name = engine.reads.locate(uid, created_at)
    encode_name(name)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"data of entry {name!r} must be bytes-like, found {type(data).__name__}")
    return Member(where, name, bytes(data), None if meta is None else json.loads(encode_meta(meta)), Future())


class Waiting:
    """Entries that wait for the next group, in order."""

    def __init__(self, limits: GroupLimits) -> None:
        self._limits = limits
        self._members: deque[Member] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._members)

    def has_room(self, member: Member) -> bool:
        """Whether an entry may wait here; one that is alone always may."""
        return not self._members or self._bytes + member.size <= self._limits.max_bytes

    def add(self, member: Member) -> None:
        """Let an entry wait."""
        self._members.append(member)
        self._bytes += member.size

    @property
    def is_enough(self) -> bool:
        """Whether there is no point in waiting for more."""
        return len(self._members) >= self._limits.max_entries or 2 * self._bytes >= self._limits.max_bytes

    @property
    def futures(self) -> list[Future[Receipt]]:
        """The futures of all that wait."""
        return [member.future for member in self._members]

    def take(self) -> list[Member]:
        """Remove the next group: of equal names only the first, so that the later one is committed later, and wins."""
        group: list[Member] = []
        later: list[Member] = []
        names: set[tuple[ShardKey, str]] = set()
        while self._members and len(group) < self._limits.max_entries:
            member = self._members.popleft()
            if (member.where, member.name) in names:
                later.append(member)
                continue
            self._bytes -= member.size
            if member.future.set_running_or_notify_cancel():
                names.add((member.where, member.name))
                group.append(member)
        self._members.extendleft(reversed(later))
        return group


def build_group(engine: Engine, runner: Runs, group: Iterable[Member]) -> list[Built]:
    """Build one archive for each shard; an entry that is refused fails alone. Stores big files."""
    by_shard: dict[ShardKey, list[Member]] = {}
    for member in group:
        by_shard.setdefault(member.where, []).append(member)
    built = [_build_shard(engine, runner, where, members) for where, members in by_shard.items()]
    return [one for one in built if one is not None]


def _build_shard(engine: Engine, runner: Runs, where: ShardKey, members: Iterable[Member]) -> Built | None:
    options = engine.options.writing
    big_files = StoreBigFiles(runner, where.day, engine.options.clock)
    buffer = io.BytesIO()
    added: list[Member] = []
    writer = DesWriter(
        buffer, compression=options.compression, big_file_threshold=options.big_file_threshold, big_files=big_files
    )
    for member in members:
        try:
            writer.add_file(member.name, member.data, member.meta)
            added.append(member)
        except Exception as error:  # Whatever it is, whoever added the entry has to know, and nobody else.
            fail([member], error)
    try:
        writer.close()
    except Exception as error:  # As above, for this shard.
        fail(added, error)
        return None
    if not added:
        return None
    assert writer.footer is not None
    archive_id = new_id(engine.options.clock())
    return NewArchive(where, archive_id, buffer.getvalue(), writer.footer, tuple(big_files.written)), added


def settle(members: Iterable[Member], receipt: Receipt) -> None:
    """Tell the entries of a shard that they were added."""
    for member in members:
        member.future.set_result(receipt)


def fail(members: Iterable[Member], error: BaseException) -> None:
    """Tell entries, as far as they do not know their end yet, that they failed."""
    for member in members:
        if not member.future.done():
            member.future.set_exception(error)
