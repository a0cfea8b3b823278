"""`AsyncDesStore`: asynchronous twin of `DesStore`, running the same logic."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from ..errors import InvalidInputError
from ..objects.local import LocalObjectStore, path_of
from ..ports.caches import AsyncIndexCache
from ..ports.objects import AsyncObjectStore, Mappable
from ..ports.opening import open_object_store
from ..routing import RoutingScheme
from .descriptor import Descriptor, found_store, read_descriptor
from .engine import Engine, check_agreement
from .model.commits import ArchiveRow, Commit, Operation
from .model.ids import new_id
from .model.keys import ShardKey
from .model.locators import Locator, decode
from .model.state import ShardState
from .options import StoreOptions
from .reading.entryfile import AsyncEntryFile
from .reading.listing import ReadEntry, StoredEntry
from .reading.mapped import MappedReads
from .reading.reads import Reads, Request, Uid
from .reading.snapshots import AsOf, load_history
from .sansio.effects import Effects
from .sansio.running import AsyncRunner, LoopRunner
from .upkeep.collection import GarbageReport
from .upkeep.compaction import Compaction
from .upkeep.expiry import Expiry
from .upkeep.maintenance import Maintenance
from .upkeep.rebuilding import Rebuild
from .upkeep.statistics import StoreStats
from .upkeep.verification import StoreVerifyReport
from .writers.grouping import AsyncGroupWriter, GroupLimits
from .writing.building import NewEntry
from .writing.probing import check_conditional_writes
from .writing.writes import Receipt

__all__ = ["AsyncDesStore", "AsyncSnapshot"]

T = TypeVar("T")

# What is read in the event loop, from mapped files: payloads up to this size, of shards with so many archives.
_MAPPED_BYTES = 2**20
_MAPPED_ARCHIVES = 64


class _AsyncStoreReads:
    """What a store and a snapshot of it have in common; operations and errors as in `DesStore`."""

    def __init__(self, engine: Engine, runner: AsyncRunner, reads: Reads) -> None:
        self._engine = engine
        self._runner = runner
        self._reads = reads

    async def _run(self, effects: Effects[T]) -> T:
        return await self._runner.run(effects)

    async def get(self, uid: Uid, created_at: datetime) -> bytes:
        """Return an entry's payload."""
        return (await self._run(self._reads.get(uid, created_at))).payload

    async def get_many(self, requests: Iterable[Request]) -> dict[Request, bytes]:
        """Return the payloads of many `(uid, created_at)`, in their order; missing and deleted ones are left out."""
        found = await self._run(self._reads.get_many(list(dict.fromkeys(requests))))
        return {request: one.payload for request, one in found.items()}

    async def read_entries(self, requests: Iterable[Request], *, limit_bytes: int) -> dict[Request, ReadEntry]:
        """Return the descriptions of many entries with their payloads; arguments and errors as for `DesStore`."""
        return await self._run(self._reads.get_many_within(list(dict.fromkeys(requests)), limit_bytes))

    async def get_entry(self, uid: Uid, created_at: datetime) -> StoredEntry:
        """Return where an entry is and what its archive says about it, without reading its payload."""
        return (await self._run(self._reads.find(uid, created_at))).stored

    async def read_entry(
        self, uid: Uid, created_at: datetime, *, limit_bytes: int | None = None, keep_zstd: bool = False
    ) -> ReadEntry:
        """Return an entry's description together with its payload; arguments and errors as for `DesStore`."""
        limit = sys.maxsize if limit_bytes is None else limit_bytes
        return await self._run(self._reads.get_within(uid, created_at, limit, keep_zstd))

    async def exists(self, uid: Uid, created_at: datetime) -> bool:
        """Whether there is such an entry that was not deleted."""
        request = (uid, created_at)
        return request in await self._run(self._reads.find_many([request]))

    async def read_range(self, uid: Uid, created_at: datetime, start: int, end: int) -> bytes:
        """Return payload bytes `[start, end)`, as `DesReader.read_range` does."""
        return await self._run(self._reads.read_range(uid, created_at, start, end))

    async def open_entry(self, uid: Uid, created_at: datetime) -> AsyncEntryFile:
        """Return a seekable, read-only file over an entry's payload; a compressed one is expanded for each read."""
        found = await self._run(self._reads.find(uid, created_at))
        archive, entry = found.archive, found.entry
        return AsyncEntryFile(
            entry, lambda start, end: self._run(archive.run(archive.core.read_entry_range(entry, start, end)))
        )

    async def days(self) -> list[str]:
        """Return the days that have shards; lists the store's objects."""
        return sorted({where.day for where in await self._run(self._engine.all_shards())})

    async def shards(self, day: str) -> list[str]:
        """Return the shards of a day, in hex; lists the store's objects of that day."""
        return [where.shard for where in await self._run(self._engine.all_shards(day))]

    async def list(self, day: str, shard: str | int | None = None, prefix: str = "") -> AsyncIterator[StoredEntry]:
        """Yield the entries of a day, shard by shard, in name order within each."""
        engine = self._engine
        shards = await self._run(engine.all_shards(day)) if shard is None else [engine.shard_key(day, shard)]
        for where in shards:
            listing = await self._run(engine.listing(self._reads, where, prefix))
            while (entries := await self._run(listing.step())) is not None:
                for entry in entries:
                    yield entry


class AsyncSnapshot(_AsyncStoreReads):
    """A store as it was at some point: read-only, made by `AsyncDesStore.as_of`."""


class AsyncDesStore(_AsyncStoreReads):
    """Asynchronous twin of `DesStore`: the same operations, errors and guarantees.

    Made by `await AsyncDesStore.open(...)`; may be shared by the tasks of one event loop. What works on
    whole archives (building one, maintenance) runs in worker threads.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        objects: AsyncObjectStore,
        options: StoreOptions,
        runner: AsyncRunner,
        *,
        cached: bool,
        map_files: bool = True,
    ) -> None:
        engine = Engine(descriptor, options, cached=cached)
        super().__init__(engine, runner, engine.reads)
        self._objects = objects
        self._mapped: MappedReads | None = None
        if map_files and isinstance(objects, Mappable):
            self._mapped = MappedReads(objects, descriptor, engine.present, self._believed, options.reading)

    def _believed(self, where: ShardKey) -> ShardState | None:
        """The state of a shard, if it is known by now, and has so few archives that they can be mapped meanwhile."""
        present = self._engine.present
        shard = present.held(where)
        if shard is None or time.monotonic() >= present.good_until(where):
            return None
        return shard.state if len(shard.state.rows) <= _MAPPED_ARCHIVES else None

    @classmethod
    async def init(
        cls,
        store: str | os.PathLike[str] | AsyncObjectStore,
        *,
        n_bits: int = 8,
        scheme: RoutingScheme | str = RoutingScheme.MODULO_CRC32,
        cache: AsyncIndexCache | None = None,
        options: StoreOptions | None = None,
    ) -> Self:
        """Make a new store and open it; arguments and errors as for `DesStore.init`."""
        objects = _objects(store, create=True)
        runner = AsyncRunner(objects, cache=cache)
        descriptor = Descriptor(new_id(), n_bits, RoutingScheme(scheme))
        await runner.run(check_conditional_writes())
        await runner.run(found_store(descriptor))
        return cls(descriptor, objects, options or StoreOptions(), runner, cached=cache is not None)

    @classmethod
    async def open(
        cls,
        store: str | os.PathLike[str] | AsyncObjectStore,
        *,
        n_bits: int | None = None,
        cache: AsyncIndexCache | None = None,
        manifest_ttl_seconds: float | None = None,
        options: StoreOptions | None = None,
        map_files: bool = True,
    ) -> Self:
        """Open a store; arguments and errors as for `DesStore.open`.

        Small payloads of archives that are local files are read from the mapped file, in the event loop itself: that
        takes microseconds, but as long as the disk takes where the file is not in memory.
        """
        options = options or StoreOptions()
        if manifest_ttl_seconds is not None:
            options = replace(options, manifest_ttl_seconds=manifest_ttl_seconds)
        objects = _objects(store)
        runner = AsyncRunner(objects, cache=cache)
        descriptor = await runner.run(read_descriptor())
        check_agreement(descriptor, n_bits)
        return cls(descriptor, objects, options, runner, cached=cache is not None, map_files=map_files)

    @property
    def descriptor(self) -> Descriptor:
        """What all processes that use this store agree on."""
        return self._engine.descriptor

    @property
    def engine(self) -> Engine:
        """The sans-I/O logic behind this store."""
        return self._engine

    async def get(self, uid: Uid, created_at: datetime) -> bytes:
        """Return an entry's payload."""
        found = self._from_map(uid, created_at, _MAPPED_BYTES)
        return await super().get(uid, created_at) if found is None else found.payload

    async def read_entry(
        self, uid: Uid, created_at: datetime, *, limit_bytes: int | None = None, keep_zstd: bool = False
    ) -> ReadEntry:
        """Return an entry's description together with its payload; arguments and errors as for `DesStore`."""
        limit = _MAPPED_BYTES if limit_bytes is None else min(limit_bytes, _MAPPED_BYTES)
        if found := self._from_map(uid, created_at, limit, keep_zstd):
            return found
        return await super().read_entry(uid, created_at, limit_bytes=limit_bytes, keep_zstd=keep_zstd)

    def _from_map(self, uid: Uid, created_at: datetime, limit: int, keep_zstd: bool = False) -> ReadEntry | None:
        if self._mapped is None or not isinstance(uid, str):
            return None
        found = self._mapped.read(uid, created_at, limit, keep_zstd=keep_zstd)
        return None if found is None or found.stored.entry.size > limit else found

    async def locator(self, uid: Uid, created_at: datetime, *, expires_at: datetime | None = None) -> Locator:
        """Return a locator of an entry, to be read later with one request."""
        return await self._run(self._reads.locator(uid, created_at, expires_at))

    async def read_locator(self, locator: Locator | str, key: bytes | Sequence[bytes] | None = None) -> bytes:
        """Return the payload that a locator names; arguments and errors as for `DesStore.read_locator`."""
        if isinstance(locator, str):
            locator = decode(locator, key, now=self._engine.options.clock())
        return (await self.read_located(locator)).payload

    async def read_located(self, locator: Locator, *, limit_bytes: int | None = None) -> ReadEntry:
        """Return the entry that a locator names, with its payload; as `DesStore.read_located`."""
        return await self._run(self._reads.get_located(locator, limit_bytes))

    async def archives(self, day: str, shard: str | int) -> list[ArchiveRow]:
        """Return the archives that make up a shard, newest first."""
        return list((await self._run(self._engine.present.state(self._engine.shard_key(day, shard)))).newest_first())

    async def refresh(self, uid: Uid, created_at: datetime) -> None:
        """Ask the storage what was added and deleted in an entry's shard; as `DesStore.refresh`."""
        where, _name = self._reads.locate(uid, created_at)
        await self._run(self._engine.present.state(where, fresh=True))

    async def history(self, day: str, shard: str | int) -> list[Commit]:
        """Return the commits of a shard since its horizon, oldest first."""
        _shard, commits = await self._run(load_history(self._engine.shards, self._engine.shard_key(day, shard)))
        return [commit for commit in commits if commit.operation is not Operation.BASE]

    def as_of(self, *, sequence: int | None = None, time: datetime | None = None) -> AsyncSnapshot:
        """Return the store as it was after a commit's sequence, or at a time."""
        return AsyncSnapshot(self._engine, self._runner, self._engine.past(AsOf(sequence, time)))

    def _in_thread(self) -> LoopRunner:
        """A runner for a worker thread, whose requests run in this loop."""
        return LoopRunner(self._runner, asyncio.get_running_loop())

    async def put(
        self, uid: Uid, created_at: datetime, data: bytes | bytearray | memoryview, meta: Any = None
    ) -> Receipt:
        """Add one entry: one archive and one commit, durable and visible when this returns."""
        return (await self.put_many([NewEntry(uid, created_at, data, meta)]))[0]

    async def put_many(self, entries: Iterable[NewEntry]) -> list[Receipt]:
        """Add entries, one archive and one commit for each shard; return a receipt for each, in their order."""
        built = await asyncio.to_thread(self._engine.build, self._in_thread(), list(entries))
        added = await self._run(self._engine.add_all([archive for archive, _ in built]))
        receipts = {at: receipt for receipt, (_, positions) in zip(added, built, strict=True) for at in positions}
        return [receipts[position] for position in sorted(receipts)]

    async def put_archive(
        self, path: str | os.PathLike[str], day: str, shard: str | int, archive_id: str | None = None
    ) -> Receipt:
        """Add a finished archive file, and the big files beside it; arguments and errors as for `DesStore`."""
        where = self._engine.shard_key(day, shard)
        archive = await asyncio.to_thread(self._engine.load_archive, self._in_thread(), Path(path), where, archive_id)
        writes = self._engine.writes
        return await self._run(writes.add(archive) if archive_id is None else writes.add_once(archive))

    def group_writer(
        self, *, max_delay_seconds: float = 0.01, max_entries: int = 10_000, max_bytes: int = 64 * 2**20
    ) -> AsyncGroupWriter:
        """Return a writer that puts the entries of many tasks into common archives; as `DesStore.group_writer`."""
        limits = GroupLimits(max_delay_seconds, max_entries, max_bytes)
        return AsyncGroupWriter(self._engine, self._runner, limits)

    async def delete(
        self, uid: Uid, created_at: datetime, *, reason: str, by: str, ticket: str | None = None
    ) -> Receipt:
        """Delete an entry: it is hidden from now on, whatever time of its day is asked for."""
        return (await self.delete_many([(uid, created_at)], reason=reason, by=by, ticket=ticket))[0]

    async def delete_many(
        self, requests: Iterable[Request], *, reason: str, by: str, ticket: str | None = None
    ) -> list[Receipt]:
        """Delete entries, one commit for each shard; return a receipt for each shard."""
        wanted = list(dict.fromkeys(requests))
        if not wanted:
            raise InvalidInputError("no entries to delete")
        return await self._run(self._engine.delete(wanted, reason, by, ticket))

    # -- maintenance ------------------------------------------------------------------------

    def _maintenance(self) -> Maintenance:
        return Maintenance(self._engine, self._in_thread(), self._objects)

    async def compact(self, day: str | None = None, shard: str | int | None = None, **options: Any) -> list[Compaction]:
        """Merge small archives in a worker thread; arguments as for `DesStore.compact`."""
        return await asyncio.to_thread(self._maintenance().compact, day, shard, **options)

    async def expire(
        self, older_than: timedelta, day: str | None = None, shard: str | int | None = None, *, dry_run: bool = False
    ) -> list[Expiry]:
        """Drop history; as `DesStore.expire`."""
        return await asyncio.to_thread(self._maintenance().expire, older_than, day, shard, dry_run=dry_run)

    async def gc(self, **options: Any) -> GarbageReport:
        """Delete garbage; arguments as for `DesStore.gc`."""
        return await asyncio.to_thread(self._maintenance().gc, **options)

    async def verify(self, **options: Any) -> StoreVerifyReport:
        """Check the whole store, or a part; arguments as for `DesStore.verify`."""
        return await asyncio.to_thread(self._maintenance().verify, **options)

    async def rebuild(self, day: str | None = None, shard: str | int | None = None, **options: Any) -> list[Rebuild]:
        """Make lost or damaged manifests anew; arguments as for `DesStore.rebuild`."""
        return await asyncio.to_thread(self._maintenance().rebuild, day, shard, **options)

    async def stats(self, day: str | None = None) -> StoreStats:
        """Add up what the manifests say; as `DesStore.stats`."""
        return await asyncio.to_thread(self._maintenance().stats, day)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing to let go of: the object store belongs to whoever opened it."""


def _objects(store: str | os.PathLike[str] | AsyncObjectStore, *, create: bool = False) -> AsyncObjectStore:
    if not isinstance(store, str | os.PathLike):
        return store
    text = os.fspath(store)
    if create and ("://" not in text or text.startswith("file:")):
        return LocalObjectStore(path_of(text) if "://" in text else text, create=True)
    # Adapters have the methods of both protocols.
    return cast("AsyncObjectStore", open_object_store(store))
