"""The short way to entries of archives that are local files: routed, mapped, checked, and nothing else.

Whatever is not plain (a deletion, an entry that is not there, a big file, a manifest that may have
changed) is left to the general way, which decides and explains.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, date, datetime
from zlib import crc32

from ...errors import EntryNotFoundError, ObjectNotFoundError
from ...opening import ReadOptions
from ...ports.objects import Mappable
from ...reader import DesReader
from ...routing import RoutingScheme
from ..descriptor import Descriptor
from ..model.keys import ShardKey, archive_key
from ..model.state import ShardState
from .listing import ReadEntry, StoredEntry
from .snapshots import Present

__all__ = ["MappedReads"]

Finder = Callable[[str], "bytes | None"]

_HELD_ARCHIVES = 1024


class _MappedShard:
    """A shard's archives, newest first, as functions that find a payload; None where the general way must decide."""

    __slots__ = ("archives", "deleted", "find", "good_until", "state", "where")

    def __init__(
        self, where: ShardKey, state: ShardState, archives: list[tuple[str, DesReader]], good_until: float
    ) -> None:
        finders = [reader.finder() for _id, reader in archives]
        self.where = where
        self.state = state
        self.archives = archives
        self.deleted = frozenset(state.tombstones)
        self.good_until = good_until
        self.find = finders[0] if len(finders) == 1 and not self.deleted else _chain(self.deleted, finders)

    def read(self, uid: str, limit_bytes: int, keep_zstd: bool) -> ReadEntry | None:
        """Find an entry with its description; None where the general way must decide."""
        if uid in self.deleted:
            return None
        for archive_id, reader in self.archives:
            try:
                entry, payload, codec = reader.read_entry(uid, limit_bytes=limit_bytes, keep_zstd=keep_zstd)
            except EntryNotFoundError:
                continue
            return ReadEntry(StoredEntry(self.where.day, self.where.shard, archive_id, entry), payload, codec)
        return None


def _chain(deleted: frozenset[str], finders: list[Finder]) -> Finder:

    def find(uid: str) -> bytes | None:
        if uid in deleted:
            return None
        for finder in finders:
            payload = finder(uid)
            if payload is not None:
                return payload
        return None

    return find


class MappedReads:
    """Reads entries of a local store.

    Args:
        objects: The store's files.
        descriptor: The store's descriptor.
        present: The present view; `refresh` brings it up to date.
        refresh: Gives a shard's state; None where the general way must ask for it first.
        options: How archives are read.
    """

    def __init__(
        self,
        objects: Mappable,
        descriptor: Descriptor,
        present: Present,
        refresh: Callable[[ShardKey], ShardState | None],
        options: ReadOptions,
    ) -> None:
        self._objects = objects
        self._n_bits = descriptor.n_bits
        self._width = max(1, -(-descriptor.n_bits // 4))
        self._present = present
        self._refresh = refresh
        self._options = options
        self._shards: dict[int, _MappedShard] = {}
        self._readers: OrderedDict[str, DesReader] = OrderedDict()
        self._guard = threading.Lock()
        self._shard = self._router(descriptor.scheme)
        present.changed = self._drop

    def get(self, uid: str, created_at: datetime) -> bytes | None:
        """Return an entry's payload; None where the general way must decide."""
        shard = self._shard(uid, created_at)
        return None if shard is None else shard.find(uid)

    def read(self, uid: str, created_at: datetime, limit_bytes: int, *, keep_zstd: bool) -> ReadEntry | None:
        """Return an entry with its payload, as `Archive.get_within` does; None where the general way must decide."""
        shard = self._shard(uid, created_at)
        return None if shard is None else shard.read(uid, limit_bytes, keep_zstd)

    def _router(self, scheme: RoutingScheme) -> Callable[[str, datetime], _MappedShard | None]:
        """A closure, as in `LocalIndex.getter`: routing must not cost as much as reading."""
        shards, opened, mask = self._shards, self._opened, (1 << self._n_bits) - 1
        monotonic, sha256, shift = time.monotonic, hashlib.sha256, 256 - self._n_bits
        by_checksum = scheme is RoutingScheme.MODULO_CRC32

        def route(uid: str, created_at: datetime) -> _MappedShard | None:
            if type(uid) is not str or created_at.tzinfo is not UTC or not uid:
                return None
            try:
                if not by_checksum:
                    index = int.from_bytes(sha256(uid.encode()).digest(), "big") >> shift
                elif uid.isdigit():
                    if not uid.isascii():
                        return None
                    index = int(uid[-16:]) & mask
                else:
                    index = crc32(uid.encode()) & mask
            except UnicodeEncodeError:
                return None
            shard = shards.get(created_at.toordinal() << 16 | index)
            if shard is None or monotonic() >= shard.good_until:
                return opened(created_at, index)
            return shard

        return route

    def _drop(self, where: ShardKey) -> None:
        """Read a shard anew next time, because this process knows of another version."""
        day = date(int(where.day[:4]), int(where.day[4:6]), int(where.day[6:]))
        self._shards.pop(day.toordinal() << 16 | int(where.shard, 16), None)

    def _opened(self, created_at: datetime, index: int) -> _MappedShard | None:
        """Bring a shard up to date; None when there is nothing to map."""
        where = ShardKey(f"{created_at:%Y%m%d}".zfill(8), f"{index:0{self._width}X}")
        key = created_at.toordinal() << 16 | index
        state = self._refresh(where)
        if state is None:
            return None
        held = self._shards.get(key)
        # Not a time of its own: what is held may have been asked for long ago.
        good_until = self._present.good_until(where)
        if held is not None and held.state is state:
            held.good_until = good_until
            return held
        if not state.rows:
            return None
        try:
            archives = [(row.id, self._reader(where, row.id)) for row in state.newest_first()]
        except ObjectNotFoundError:
            return None
        shard = _MappedShard(where, state, archives, good_until)
        with self._guard:
            self._shards[key] = shard
            self._let_go()
        newest = self._present.held(where)
        if newest is not None and newest.state is not state:
            # Another thread committed meanwhile: `_drop` came before there was anything to drop.
            self._shards.pop(key, None)
        return shard

    def _reader(self, where: ShardKey, archive_id: str) -> DesReader:
        key = archive_key(where, archive_id)
        with self._guard:
            reader = self._readers.get(key)
            if reader is not None:
                self._readers.move_to_end(key)
                return reader
        reader = DesReader(
            self._objects.map(key),
            verify=self._options.verify,
            max_entry_bytes=self._options.max_entry_bytes,
            cost=self._options.cost,
        )
        with self._guard:
            return self._readers.setdefault(key, reader)

    def _let_go(self) -> None:
        """Forget the shards of archives that were not opened for longest; who reads them keeps their files alive."""
        while len(self._readers) > _HELD_ARCHIVES and len(self._shards) > 1:
            self._readers.popitem(last=False)
            self._shards.pop(next(iter(self._shards)))

    def forget(self) -> None:
        """Let all files go."""
        with self._guard:
            self._shards.clear()
            self._readers.clear()
