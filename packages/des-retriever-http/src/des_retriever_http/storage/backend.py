"""What the service reads: a store of archives, or one of the published systems, as far as routes need it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, cast

from des_format.entry import Codec
from des_format.errors import EntryNotFoundError, UnsupportedOperationError
from des_format.store import AsyncDesStore, ReadEntry, StoredEntry
from des_format.store.legacy import AsyncLegacyStore

from .fallback import Fallback, OriginalRemainsError, Source
from .retention import Extension, RetainedError, Retention
from .streaming import StreamMemory

__all__ = ["Backend", "Fetched"]


class Fetched(NamedTuple):
    """An entry: what its archive says about it, and its payload.

    Attributes:
        stored: The entry.
        payload: Its payload; None for one that is over the limit.
        coding: How `payload` is still compressed, as HTTP calls it; empty for not at all.
    """

    stored: StoredEntry
    payload: bytes | None
    coding: str = ""


@dataclass(frozen=True, slots=True)
class Backend:
    """The store behind the service.

    Attributes:
        label: What it is, for metrics: `local`, `s3`, `multi_s3`, or another scheme.
        store: The store.
        memory: For payloads that are sent piece by piece.
        fallback: Where files are that the archives do not have.
        retention: Keeps copies of files, if that is set up.
        original: The one of the fallbacks in which files are before they are archived.
    """

    label: str
    store: AsyncDesStore | AsyncLegacyStore
    memory: StreamMemory = field(default_factory=StreamMemory)
    fallback: Source | None = None
    retention: Retention | None = None
    original: Fallback | None = None

    @property
    def des_store(self) -> AsyncDesStore | None:
        """The store, if it has manifests, so that entries can be deleted and located; None for a published layout."""
        return self.store if isinstance(self.store, AsyncDesStore) else None

    async def fetch(
        self, uid: str, created_at: datetime, *, limit: int, fresh: bool = False, keep_zstd: bool = False
    ) -> Fetched:
        """Read an entry, as a whole and checked, if it has up to `limit` bytes.

        Args:
            uid: Its uid.
            created_at: When it was created.
            limit: Of a larger payload nothing is read.
            fresh: Ask the storage for deletions, whatever was known.
            keep_zstd: Leave a payload that is stored in the coding `zstd` as it is.

        Raises:
            DesError: As `AsyncDesStore.get`.
        """
        if fresh:
            await self.refresh(uid, created_at)
        try:
            read = await self.store.read_entry(uid, created_at, limit_bytes=limit, keep_zstd=keep_zstd)
        except EntryNotFoundError:
            if self.fallback is None:
                raise
            stored = await self.fallback.find(uid, created_at)
            if stored.entry.size > limit:
                return Fetched(stored, None)
            return Fetched(stored, await self.fallback.read(uid, created_at, 0, stored.entry.size))
        stored, payload, codec = read
        return Fetched(stored, payload if stored.entry.size <= limit else None, "zstd" if codec is Codec.ZSTD else "")

    async def read_many(
        self, requests: Sequence[tuple[str, datetime]], *, limit: int
    ) -> dict[tuple[str, datetime], ReadEntry]:
        """Read entries of up to `limit` bytes together; of larger ones only what is said about them.

        Those that are missing or deleted are left out.

        Raises:
            DesError: As `AsyncDesStore.get_many`; one damaged entry is enough.
        """
        # Uids are texts here, and requests of a store are of any uid.
        return cast("dict[tuple[str, datetime], ReadEntry]", await self.store.read_entries(requests, limit_bytes=limit))

    async def describe(self, uid: str, created_at: datetime, *, fresh: bool = False) -> StoredEntry:
        """Return what an entry's archive says about it."""
        if fresh:
            await self.refresh(uid, created_at)
        try:
            return await self.store.get_entry(uid, created_at)
        except EntryNotFoundError:
            if self.fallback is None:
                raise
            return await self.fallback.find(uid, created_at)

    async def refresh(self, uid: str, created_at: datetime) -> None:
        """Ask the storage what changed in an entry's shard."""
        await self.store.refresh(uid, created_at)

    async def read_range(self, uid: str, created_at: datetime, start: int, end: int) -> bytes:
        """Read payload bytes `[start, end)`."""
        try:
            return await self.store.read_range(uid, created_at, start, end)
        except EntryNotFoundError:
            if self.fallback is None:
                raise
            return await self.fallback.read(uid, created_at, start, end)

    async def stream(self, uid: str, created_at: datetime, start: int, end: int) -> AsyncIterator[bytes]:
        """Read payload bytes `[start, end)` piece by piece, in as much memory as there is for all such reads."""
        async with self.memory.stream():
            try:
                file = await self.store.open_entry(uid, created_at)
            except EntryNotFoundError:
                if self.fallback is None:
                    raise
                for at in range(start, end, self.memory.piece_bytes):
                    async with self.memory.take(min(self.memory.piece_bytes, end - at)):
                        yield await self.fallback.read(uid, created_at, at, min(at + self.memory.piece_bytes, end))
                return
            if file.entry.codec is Codec.NONE:
                file.seek(start)
                while file.tell() < end:
                    size = min(self.memory.piece_bytes, end - file.tell())
                    async with self.memory.take(size):
                        yield await file.read(size)
                return
            # Whatever is asked of a compressed payload, it is expanded from its beginning: once.
            async with self.memory.take(file.entry.size):
                payload = memoryview(await self.store.get(uid, created_at))[start:end]
                for at in range(0, len(payload), self.memory.piece_bytes):
                    yield bytes(payload[at : at + self.memory.piece_bytes])

    async def delete(self, uid: str, created_at: datetime, *, reason: str, by: str, ticket: str | None) -> int:
        """Delete an entry; return the sequence of the commit.

        Raises:
            RetainedError: It is under extended retention.
            OriginalRemainsError: The original store has it too, from where it would come back.
            EntryDeletedError, EntryNotFoundError: It is not there, by what the storage says now.
            DesError: As `AsyncDesStore.delete`; doing it again is safe.
        """
        store = self.des_store
        if store is None:
            raise UnsupportedOperationError("a published layout is only read")
        await store.refresh(uid, created_at)
        if self.original is not None:
            await store.get_entry(uid, created_at)  # What is not archived, or was deleted, is told as that.
            if await self.original.holds(uid, created_at):
                raise OriginalRemainsError("The original store still has the file; delete it there first, then here")
        if self.retention is not None:
            until = await self.retention.until(uid, created_at)
            if until is not None:
                raise RetainedError(f"The file is kept until {until.isoformat()}")
            await self.retention.forget(uid, created_at)
        return (await store.delete(uid, created_at, reason=reason, by=by, ticket=ticket)).sequence

    async def extend_retention(self, uid: str, created_at: datetime, until: datetime, *, by: str) -> Extension:
        """Keep a copy of an entry until a time; as `Retention.extend`.

        Raises:
            UnsupportedOperationError: There is no place for copies.
            DesError: As `Retention.extend`.
        """
        if self.retention is None:
            raise UnsupportedOperationError("there is no place for copies under extended retention")
        return await self.retention.extend(self, uid, created_at, until, by=by)

    async def check(self) -> None:
        """Ask the storage for something small.

        Raises:
            DesError: It does not answer.
        """
        await self.store.shards(f"{datetime.now(UTC):%Y%m%d}")
