"""Stores of the published systems, asynchronously."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from ...errors import UnsupportedOperationError
from ...ports.objects import AsyncObjectStore
from ...ports.opening import open_object_store
from ..model.keys import check_day
from ..reading.entryfile import AsyncEntryFile
from ..reading.listing import ReadEntry, StoredEntry
from ..sansio.running import AsyncRunner
from .layouts import LegacyLayout
from .opening import LegacyOptions
from .pages import DayListing
from .pinned import Pinned
from .search import LegacyReads, Request, Uid
from .view import AsyncView

__all__ = ["AsyncLegacyStore"]


class AsyncLegacyStore:
    """Asynchronous twin of `LegacyStore`: the same operations, errors and requests.

    Made by `AsyncLegacyStore.open(...)`. Any number of tasks of one event loop may share it.
    """

    def __init__(self, runner: AsyncRunner, reads: LegacyReads) -> None:
        self._runner = runner
        self._reads = reads

    @classmethod
    def open(
        cls,
        objects: str | os.PathLike[str] | AsyncObjectStore,
        layout: LegacyLayout | str,
        *,
        concurrency: int = 64,
        **options: Any,
    ) -> AsyncLegacyStore:
        """Open a store; nothing is read yet, so this is no coroutine. Arguments and errors as `LegacyStore.open`."""
        chosen = LegacyOptions(layout, **options)
        opened = _open(objects) if isinstance(objects, str | os.PathLike) else objects
        reads = chosen.reads(opened)
        view = AsyncView(opened, chosen.folder(), chosen.in_order(opened))
        return cls(AsyncRunner(view, concurrency=concurrency), reads)

    async def get(self, uid: Uid, created_at: datetime) -> bytes:
        """Return an entry's payload."""
        return (await self._runner.run(self._reads.get(uid, created_at))).payload

    async def get_entry(self, uid: Uid, created_at: datetime) -> StoredEntry:
        """Return where an entry is and what its archive says about it, without its payload."""
        return await self._runner.run(self._reads.describe(uid, created_at))

    async def read_entry(
        self, uid: Uid, created_at: datetime, *, limit_bytes: int | None = None, keep_zstd: bool = False
    ) -> ReadEntry:
        """Return an entry's description together with its payload; as `AsyncDesStore.read_entry`."""
        limit = sys.maxsize if limit_bytes is None else limit_bytes
        return await self._runner.run(self._reads.get_within(uid, created_at, limit, keep_zstd))

    async def get_many(self, requests: Iterable[Request]) -> dict[Request, bytes]:
        """Return payloads by `(uid, created_at)`; those that are missing or deleted are left out."""
        found = await self._runner.run(self._reads.get_many(requests))
        return {request: located.payload for request, located in found.items()}

    async def read_entries(self, requests: Iterable[Request], *, limit_bytes: int) -> dict[Request, ReadEntry]:
        """Return the descriptions of many entries with their payloads; arguments and errors as for `LegacyStore`."""
        return await self._runner.run(self._reads.get_many_within(list(dict.fromkeys(requests)), limit_bytes))

    async def read_range(self, uid: Uid, created_at: datetime, start: int, end: int) -> bytes:
        """Return payload bytes `[start, end)`."""
        return await self._runner.run(self._reads.read_range(uid, created_at, start, end))

    async def open_entry(self, uid: Uid, created_at: datetime) -> AsyncEntryFile:
        """Return a seekable, read-only file over an entry's payload, whose `read` is a coroutine."""
        pinned = Pinned(await self._runner.run(self._reads.find(uid, created_at)))
        return AsyncEntryFile(pinned.entry, lambda start, end: self._runner.run(pinned.read(start, end)))

    async def exists(self, uid: Uid, created_at: datetime) -> bool:
        """Whether `get` would find an entry; False for a deleted one."""
        return await self._runner.run(self._reads.exists(uid, created_at))

    async def refresh(self, uid: Uid, created_at: datetime) -> None:
        """See what was added and deleted in an entry's shard from now on, whatever `listing_ttl_seconds` says."""
        self._reads.relist(uid, created_at)

    async def list(self, day: str, shard: str | int | None = None, prefix: str = "") -> AsyncIterator[StoredEntry]:
        """Yield the entries of a day that are not deleted, as `LegacyStore.list` does."""
        listing = DayListing(self._reads, day, shard, prefix)
        while page := await self._runner.run(listing.next_page()):
            for entry in page:
                yield entry

    async def days(self) -> Sequence[str]:
        """Return the days that have archives, as `YYYYMMDD`. This lists the whole store."""
        return await self._runner.run(self._reads.listings.days())

    async def shards(self, day: str) -> Sequence[str]:
        """Return the shards of a day that have archives, in upper-case hex."""
        return await self._runner.run(self._reads.listings.shards(check_day(day)))


def _open(url: str | os.PathLike[str]) -> AsyncObjectStore:
    opened = open_object_store(url)
    if not hasattr(opened, "get_async"):
        raise UnsupportedOperationError(f"{type(opened).__name__} is synchronous only; use LegacyStore")
    return cast("AsyncObjectStore", opened)
