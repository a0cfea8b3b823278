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

from ...errors import ObjectNotFoundError
from ...opening import ReadOptions
from ...ports.objects import Mappable
from ...reader import DesReader
from ...routing import RoutingScheme
from ..descriptor import Descriptor
from ..model.keys import ShardKey, archive_key
from ..model.state import ShardState
from .snapshots import Present

__all__ = ["MappedReads"]

Finder = Callable[[str], "bytes | None"]

_HELD_ARCHIVES = 1024


class _MappedShard:
    """A shard's archives, newest first, as functions that find a payload; None where the general way must decide."""

    __slots__ = ("find", "good_until", "state")

    def __init__(self, state: ShardState, finders: list[Finder], good_until: float) -> None:
        self.state = state
        self.good_until = good_until
        self.find = finders[0] if len(finders) == 1 and not state.tombstones else _chain(state, finders)


def _chain(state: ShardState, finders: list[Finder]) -> Finder:
    deleted = frozenset(state.tombstones)

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
        refresh: Reads a shard's state through the general way.
        options: How archives are read.
    """

    def __init__(
        self,
        objects: Mappable,
        descriptor: Descriptor,
        present: Present,
        refresh: Callable[[ShardKey], ShardState],
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
        self.get = self._getter(descriptor.scheme)
        present.changed = self._drop

    def _getter(self, scheme: RoutingScheme) -> Callable[[str, datetime], bytes | None]:
        """A closure, as in `LocalIndex.getter`: routing must not cost as much as reading."""
        shards, opened, mask = self._shards, self._opened, (1 << self._n_bits) - 1
        monotonic, sha256, shift = time.monotonic, hashlib.sha256, 256 - self._n_bits
        by_checksum = scheme is RoutingScheme.MODULO_CRC32

        def get(uid: str, created_at: datetime) -> bytes | None:
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
                shard = opened(created_at, index)
                if shard is None:
                    return None
            return shard.find(uid)

        return get

    def _drop(self, where: ShardKey) -> None:
        """Read a shard anew next time, because this process knows of another version."""
        day = date(int(where.day[:4]), int(where.day[4:6]), int(where.day[6:]))
        self._shards.pop(day.toordinal() << 16 | int(where.shard, 16), None)

    def _opened(self, created_at: datetime, index: int) -> _MappedShard | None:
        """Bring a shard up to date; None when there is nothing to map."""
        where = ShardKey(f"{created_at:%Y%m%d}".zfill(8), f"{index:0{self._width}X}")
        key = created_at.toordinal() << 16 | index
        state = self._refresh(where)
        held = self._shards.get(key)
        # Not a time of its own: what is held may have been asked for long ago.
        good_until = self._present.good_until(where)
        if held is not None and held.state is state:
            held.good_until = good_until
            return held
        if not state.rows:
            return None
        try:
            finders = [self._reader(where, row.id).finder() for row in state.newest_first()]
        except ObjectNotFoundError:
            return None
        shard = _MappedShard(state, finders, good_until)
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
