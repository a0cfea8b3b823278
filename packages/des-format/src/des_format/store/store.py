"""`DesStore`: a store of archives, used synchronously."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from ..compression import Compression, Profile
from ..entryio import open_entry
from ..errors import InvalidInputError
from ..objects.local import LocalObjectStore, path_of
from ..ports.caches import IndexCache
from ..ports.objects import Mappable, ObjectStore
from ..ports.opening import open_object_store
from ..routing import RoutingScheme
from .descriptor import Descriptor, found_store, read_descriptor
from .engine import Engine, check_agreement
from .model.commits import ArchiveRow, Commit, Operation
from .model.ids import new_id
from .model.locators import Locator, decode
from .options import StoreOptions
from .reading.listing import ReadEntry, StoredEntry
from .reading.mapped import MappedReads
from .reading.reads import Reads, Request, Uid
from .reading.snapshots import AsOf, load_history
from .sansio.effects import Effects
from .sansio.running import Runner
from .upkeep.maintenance import Maintenance
from .upkeep.refounding import rebuild_descriptor
from .writers.grouping import GroupLimits, GroupWriter
from .writers.shardwriter import ShardWriter
from .writing.building import NewEntry
from .writing.probing import check_conditional_writes
from .writing.writes import Receipt

__all__ = ["DesStore", "Snapshot"]

T = TypeVar("T")


class _StoreReads:
    """What a store and a snapshot of it have in common."""

    def __init__(self, engine: Engine, runner: Runner, reads: Reads) -> None:
        self._engine = engine
        self._runner = runner
        self._reads = reads

    def _run(self, effects: Effects[T]) -> T:
        return self._runner.run(effects)

    def get(self, uid: Uid, created_at: datetime) -> bytes:
        """Return an entry's payload.

        Args:
            uid: Its name.
            created_at: When it was created, with a time zone; only its UTC day matters.

        Raises:
            EntryNotFoundError: There is no such entry (also a `KeyError`).
            EntryDeletedError: It was deleted.
            CorruptArchiveError: Its bytes contradict the format or their checksum.
            UnavailableError: The storage failed.
        """
        return self._run(self._reads.get(uid, created_at)).payload

    def read_entry(
        self, uid: Uid, created_at: datetime, *, limit_bytes: int | None = None, keep_zstd: bool = False
    ) -> ReadEntry:
        """Return an entry's description together with its payload: one lookup, and one request where `get` has one.

        Args:
            uid: As for `get`.
            created_at: As for `get`.
            limit_bytes: Of a payload of more bytes nothing is read, and it is empty in the result; None for no limit.
            keep_zstd: Leave a payload that is compressed with zstd, without a dictionary, as it is stored; checked.

        Raises:
            As `get`.
        """
        limit = sys.maxsize if limit_bytes is None else limit_bytes
        return self._run(self._reads.get_within(uid, created_at, limit, keep_zstd))

    def get_many(self, requests: Iterable[Request]) -> dict[Request, bytes]:
        """Return the payloads of many `(uid, created_at)`, in their order; missing and deleted ones are left out.

        However many shards they are in, this takes three rounds of parallel requests, one when all is cached.
        """
        found = self._run(self._reads.get_many(list(dict.fromkeys(requests))))
        return {request: one.payload for request, one in found.items()}

    def read_entries(self, requests: Iterable[Request], *, limit_bytes: int) -> dict[Request, ReadEntry]:
        """Return the descriptions of many entries with their payloads; missing and deleted ones are left out.

        Args:
            requests: Their `(uid, created_at)`.
            limit_bytes: Of a payload of more bytes nothing is read, and it is empty in the result.
        """
        return self._run(self._reads.get_many_within(list(dict.fromkeys(requests)), limit_bytes))

    def get_entry(self, uid: Uid, created_at: datetime) -> StoredEntry:
        """Return where an entry is and what its archive says about it, without reading its payload."""
        return self._run(self._reads.find(uid, created_at)).stored

    def exists(self, uid: Uid, created_at: datetime) -> bool:
        """Whether there is such an entry that was not deleted."""
        request = (uid, created_at)
        return request in self._run(self._reads.find_many([request]))

    def read_range(self, uid: Uid, created_at: datetime, start: int, end: int) -> bytes:
        """Return payload bytes `[start, end)`, as `DesReader.read_range` does."""
        return self._run(self._reads.read_range(uid, created_at, start, end))

    def open_entry(self, uid: Uid, created_at: datetime) -> io.BufferedReader:
        """Return a seekable, read-only binary file over an entry's payload, as `DesReader.open` does."""
        found = self._run(self._reads.find(uid, created_at))
        if found.entry.codec:
            return io.BufferedReader(io.BytesIO(self.get(uid, created_at)))
        archive, entry = found.archive, found.entry
        return open_entry(
            entry, lambda start, end: self._run(archive.run(archive.core.read_entry_range(entry, start, end)))
        )

    def days(self) -> list[str]:
        """Return the days that have shards; lists the store's objects."""
        return sorted({where.day for where in self._run(self._engine.all_shards())})

    def shards(self, day: str) -> list[str]:
        """Return the shards of a day, in hex; lists the store's objects of that day."""
        return [where.shard for where in self._run(self._engine.all_shards(day))]

    def list(self, day: str, shard: str | int | None = None, prefix: str = "") -> Iterator[StoredEntry]:
        """Yield the entries of a day, shard by shard, in name order within each.

        Args:
            day: `YYYYMMDD` or `YYYY-MM-DD`.
            shard: Only this one, in hex; None for all, which lists the store's objects of that day.
            prefix: Only names that begin so.
        """
        engine = self._engine
        shards = self._run(engine.all_shards(day)) if shard is None else [engine.shard_key(day, shard)]
        for where in shards:
            listing = self._run(engine.listing(self._reads, where, prefix))
            while (entries := self._run(listing.step())) is not None:
                yield from entries


class Snapshot(_StoreReads):
    """A store as it was at some point: read-only, made by `DesStore.as_of`."""


class DesStore(Maintenance, _StoreReads):
    """A store of archives under one prefix of an object store, or in one folder.

    Made by `DesStore.init` or `DesStore.open`. May be shared by threads; any number of processes on
    any number of machines may add to, delete from and read one store at the same time.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        objects: ObjectStore,
        options: StoreOptions,
        runner: Runner,
        *,
        cached: bool,
        map_files: bool = True,
    ) -> None:
        engine = Engine(descriptor, options, cached=cached)
        _StoreReads.__init__(self, engine, runner, engine.reads)
        Maintenance.__init__(self, engine, runner, objects)
        self._objects = objects
        self._mapped: MappedReads | None = None
        if map_files and isinstance(objects, Mappable):
            self._mapped = MappedReads(
                objects,
                descriptor,
                engine.present,
                lambda where: self._run(engine.present.state(where)),
                options.reading,
            )

    # -- opening ----------------------------------------------------------------------------

    @classmethod
    def init(
        cls,
        store: str | os.PathLike[str] | ObjectStore,
        *,
        n_bits: int = 8,
        scheme: RoutingScheme | str = RoutingScheme.MODULO_CRC32,
        cache: IndexCache | None = None,
        options: StoreOptions | None = None,
    ) -> Self:
        """Make a new store and open it.

        Args:
            store: URL or path, or an object store such as one of obstore.
            n_bits: There will be 2**n_bits shards a day, for ever.
            scheme: How a uid becomes a shard number.
            cache: As for `open`.
            options: As for `open`.

        Raises:
            StoreExistsError: There is one.
            UnsupportedOperationError: The object store lacks conditional writes, so commits would not be safe.
        """
        objects = _objects(store, create=True)
        runner = Runner(objects, cache=cache)
        descriptor = Descriptor(new_id(), n_bits, RoutingScheme(scheme))
        runner.run(check_conditional_writes())
        runner.run(found_store(descriptor))
        return cls(descriptor, objects, options or StoreOptions(), runner, cached=cache is not None)

    @classmethod
    def open(
        cls,
        store: str | os.PathLike[str] | ObjectStore,
        *,
        n_bits: int | None = None,
        cache: IndexCache | None = None,
        manifest_ttl_seconds: float | None = None,
        options: StoreOptions | None = None,
        map_files: bool = True,
    ) -> Self:
        """Open a store; reads its descriptor.

        Args:
            store: URL or path, or an object store such as one of obstore.
            n_bits: What the caller believes; a contradiction to the descriptor is an error.
            cache: Where index blocks are kept across processes or restarts; None to keep them in memory only.
            manifest_ttl_seconds: Shortcut for the option of that name.
            options: How to read and write.
            map_files: Map archives that are local files into memory.

        Raises:
            StoreNotFoundError: There is none.
            ConfigurationError: `n_bits` contradicts the store, or no distribution for the URL is installed.
        """
        options = options or StoreOptions()
        if manifest_ttl_seconds is not None:
            options = replace(options, manifest_ttl_seconds=manifest_ttl_seconds)
        objects = _objects(store)
        runner = Runner(objects, cache=cache)
        descriptor = runner.run(read_descriptor())
        check_agreement(descriptor, n_bits)
        return cls(descriptor, objects, options, runner, cached=cache is not None, map_files=map_files)

    @staticmethod
    def rebuild_descriptor(
        store: str | os.PathLike[str] | ObjectStore,
        *,
        n_bits: int,
        scheme: RoutingScheme | str = RoutingScheme.MODULO_CRC32,
        store_id: str | None = None,
    ) -> Descriptor:
        """Write the descriptor of a store that lost it; a damaged one is replaced, and kept under another key.

        Args:
            store: URL or path, or an object store.
            n_bits: As when the store was made.
            scheme: As when the store was made.
            store_id: The store's id; None to take it from its manifests, or a new one where there are none.

        Raises:
            StoreExistsError: There is a descriptor.
            ConfigurationError: The store's manifests or archives contradict the arguments; nothing was written.
            StoreNotFoundError: There is nothing that a descriptor could be for.
        """
        with closing(Runner(_objects(store))) as runner:
            return runner.run(rebuild_descriptor(n_bits, RoutingScheme(scheme), store_id))

    @property
    def descriptor(self) -> Descriptor:
        """What all processes that use this store agree on."""
        return self._engine.descriptor

    @property
    def objects(self) -> ObjectStore:
        """The object store below."""
        return self._objects

    @property
    def engine(self) -> Engine:
        """The sans-I/O logic behind this store."""
        return self._engine

    @property
    def runner(self) -> Runner:
        """What runs the logic's effects."""
        return self._runner

    # -- reading ----------------------------------------------------------------------------

    def get(self, uid: Uid, created_at: datetime) -> bytes:
        """Return an entry's payload; see the base class."""
        if self._mapped is not None:
            payload = self._mapped.get(uid, created_at)  # type: ignore[arg-type]  # Any other is left to the general way.
            if payload is not None:
                return payload
        return super().get(uid, created_at)

    def read_entry(
        self, uid: Uid, created_at: datetime, *, limit_bytes: int | None = None, keep_zstd: bool = False
    ) -> ReadEntry:
        """Return an entry's description together with its payload; see the base class."""
        if self._mapped is not None:
            limit = sys.maxsize if limit_bytes is None else limit_bytes
            found = self._mapped.read(uid, created_at, limit, keep_zstd=keep_zstd)  # type: ignore[arg-type]
            if found is not None:
                return found
        return super().read_entry(uid, created_at, limit_bytes=limit_bytes, keep_zstd=keep_zstd)

    def get_many(self, requests: Iterable[Request]) -> dict[Request, bytes]:
        """Return the payloads of many `(uid, created_at)`; see the base class."""
        wanted = list(dict.fromkeys(requests))
        if self._mapped is None:
            return super().get_many(wanted)
        quick = {request: self._mapped.get(*request) for request in wanted}  # type: ignore[arg-type]
        slow = [request for request, payload in quick.items() if payload is None]
        found = super().get_many(slow) if slow else {}
        both = {request: payload if payload is not None else found.get(request) for request, payload in quick.items()}
        return {request: payload for request, payload in both.items() if payload is not None}

    def locator(self, uid: Uid, created_at: datetime, *, expires_at: datetime | None = None) -> Locator:
        """Return a locator of an entry, to be read later with one request; `encode` makes text of it."""
        return self._run(self._reads.locator(uid, created_at, expires_at))

    def read_locator(self, locator: Locator | str, key: bytes | Sequence[bytes] | None = None) -> bytes:
        """Return the payload that a locator names.

        Args:
            locator: A locator, or its text.
            key: The key (or keys) that the text must be signed with; None for unsigned text.

        Raises:
            InvalidLocatorError: Malformed, of another store, or not signed by any of the keys.
            LocatorExpiredError: Its time has passed.
            EntryDeletedError: The entry was deleted since.
            NotFoundError: Its archive was compacted since; make a new locator.
        """
        if isinstance(locator, str):
            locator = decode(locator, key, now=self._engine.options.clock())
        return self.read_located(locator).payload

    def read_located(self, locator: Locator, *, limit_bytes: int | None = None) -> ReadEntry:
        """Return the entry that a locator names, with its payload, as `read_entry` does.

        Raises:
            As `read_locator`.
        """
        return self._run(self._reads.get_located(locator, limit_bytes))

    def archives(self, day: str, shard: str | int) -> list[ArchiveRow]:
        """Return the archives that make up a shard, newest first."""
        return list(self._run(self._engine.present.state(self._engine.shard_key(day, shard))).newest_first())

    def refresh(self, uid: Uid, created_at: datetime) -> None:
        """Ask the storage what was added and deleted in an entry's shard, however lately that was asked.

        What is read of that shard from now on is as new as this call, whatever `manifest_ttl_seconds` says.
        """
        where, _name = self._reads.locate(uid, created_at)
        self._run(self._engine.present.state(where, fresh=True))

    # -- history ----------------------------------------------------------------------------

    def history(self, day: str, shard: str | int) -> list[Commit]:
        """Return the commits of a shard since its horizon, oldest first."""
        _shard, commits = self._run(load_history(self._engine.shards, self._engine.shard_key(day, shard)))
        return [commit for commit in commits if commit.operation is not Operation.BASE]

    def as_of(self, *, sequence: int | None = None, time: datetime | None = None) -> Snapshot:
        """Return the store as it was: after a commit's sequence (for reads of one shard), or at a time.

        Reading it raises InvalidInputError where the history was dropped by `expire`.
        """
        return Snapshot(self._engine, self._runner, self._engine.past(AsOf(sequence, time)))

    # -- adding and deleting ----------------------------------------------------------------

    def put(self, uid: Uid, created_at: datetime, data: bytes | bytearray | memoryview, meta: Any = None) -> Receipt:
        """Add one entry: one archive and one commit, durable and visible when this returns.

        The newest of equal names wins; adding a deleted entry again restores it. `put_many` and
        `group_writer` put many entries into one archive, which is what an archive is for.

        Raises:
            InvalidInputError: The entry is refused; nothing was added.
            ContentionError: Others committed to the same shard for so long that this gave up; nothing was added.
            UnavailableError: The storage failed; whether it was added is not known, adding it again is safe.
        """
        return self.put_many([NewEntry(uid, created_at, data, meta)])[0]

    def put_many(self, entries: Iterable[NewEntry]) -> list[Receipt]:
        """Add entries, one archive and one commit for each shard; return a receipt for each, in their order.

        Raises:
            DuplicateEntryError: Two of them have the same uid and day; nothing was added.
            As `put`; entries of other shards may have been added then.
        """
        built = self._engine.build(self._runner, entries)
        receipts: dict[int, Receipt] = {}
        for receipt, (_archive, positions) in zip(
            self._run(self._engine.add_all([archive for archive, _ in built])), built, strict=True
        ):
            receipts.update(dict.fromkeys(positions, receipt))
        return [receipts[position] for position in sorted(receipts)]

    def put_archive(
        self, path: str | os.PathLike[str], day: str, shard: str | int, archive_id: str | None = None
    ) -> Receipt:
        """Add a finished archive file, and the big files beside it.

        Args:
            path: A version-3 archive; it is copied.
            day: The day that all its entries belong to.
            shard: The shard that all its entries belong to.
            archive_id: Chosen by who wants that adding the same archive twice does nothing; a new one by default.

        Raises:
            UnsupportedFormatError, CorruptArchiveError: Not such an archive.
            ConflictError: Another archive has this id.
            ArchiveCondemnedError: An archive of this id was collected as garbage.
        """
        where = self._engine.shard_key(day, shard)
        archive = self._engine.load_archive(self._runner, Path(path), where, archive_id)
        writes = self._engine.writes
        return self._run(writes.add(archive) if archive_id is None else writes.add_once(archive))

    def writer(
        self,
        day: str,
        shard: str | int,
        archive_id: str | None = None,
        *,
        compression: Compression | Profile | None = None,
        big_file_threshold: int | None = None,
    ) -> ShardWriter:
        """Return a writer of one new archive of a shard; its `close` also commits.

        Args:
            day: The day that all its entries belong to, which is not checked.
            shard: The shard that all its entries belong to; others are refused.
            archive_id: As for `put_archive`.
            compression: As for `DesWriter`; the store's option by default.
            big_file_threshold: As for `DesWriter`; the store's option by default.
        """
        return ShardWriter(
            self._engine,
            self._runner,
            self._objects,
            self._engine.shard_key(day, shard),
            archive_id,
            compression=compression,
            big_file_threshold=big_file_threshold,
        )

    def group_writer(
        self, *, max_delay_seconds: float = 0.01, max_entries: int = 10_000, max_bytes: int = 64 * 2**20
    ) -> GroupWriter:
        """Return a writer that puts the entries of many threads into common archives, and acknowledges each.

        Args:
            max_delay_seconds: An entry that finds nothing to join waits so long for others; 0 for not at all.
            max_entries: At most so many entries are committed at a time.
            max_bytes: So many bytes of payloads are committed at a time, roughly, and wait at most.
        """
        return GroupWriter(self._engine, self._runner, GroupLimits(max_delay_seconds, max_entries, max_bytes))

    def delete(self, uid: Uid, created_at: datetime, *, reason: str, by: str, ticket: str | None = None) -> Receipt:
        """Delete an entry: it is hidden from now on, whatever time of its day is asked for.

        Its bytes go with `compact`, `expire` and `gc`.

        Args:
            uid: Its name.
            created_at: When it was created.
            reason: Why; kept with the deletion.
            by: Who asked for it; kept with the deletion.
            ticket: Reference of the request, or None.

        Raises:
            EntryNotFoundError: There is no such entry.
            EntryDeletedError: It was deleted already.
        """
        return self.delete_many([(uid, created_at)], reason=reason, by=by, ticket=ticket)[0]

    def delete_many(
        self, requests: Iterable[Request], *, reason: str, by: str, ticket: str | None = None
    ) -> list[Receipt]:
        """Delete entries, one commit for each shard; return a receipt for each shard.

        Raises:
            As `delete`; nothing was deleted then.
        """
        wanted = list(dict.fromkeys(requests))
        if not wanted:
            raise InvalidInputError("no entries to delete")
        return self._run(self._engine.delete(wanted, reason, by, ticket))

    # -- ending -----------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of threads and files."""
        self._runner.close()
        if self._mapped is not None:
            self._mapped.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<DesStore {self.descriptor.store_id} in {self._objects!r}>"


def _objects(store: str | os.PathLike[str] | ObjectStore, *, create: bool = False) -> ObjectStore:
    if not isinstance(store, str | os.PathLike):
        return store
    text = os.fspath(store)
    if create and ("://" not in text or text.startswith("file:")):
        return LocalObjectStore(path_of(text) if "://" in text else text, create=True)
    return open_object_store(store)
