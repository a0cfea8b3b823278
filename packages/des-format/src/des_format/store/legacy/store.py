"""Stores of the published systems, synchronously: read as they are, never written."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from ...entryio import open_entry
from ...ports.objects import ObjectStore
from ...ports.opening import open_object_store
from ..model.keys import check_day
from ..reading.listing import ReadEntry, StoredEntry
from ..sansio.running import Runner
from .layouts import LegacyLayout
from .opening import LegacyOptions
from .pages import DayListing
from .pinned import Pinned
from .search import LegacyReads, Request, Uid
from .view import View

__all__ = ["LegacyStore"]


class LegacyStore:
    """Reads a store of one of the published systems: no descriptor, no manifests, and nothing is ever written.

    Its archives may be of any known format. Safe to share between threads. What is tried for a uid, and how
    deletions are honoured, is described in docs/legacy-formats.md, section "Stores".

    Made by `LegacyStore.open(...)`.
    """

    def __init__(self, runner: Runner, reads: LegacyReads) -> None:
        self._runner = runner
        self._reads = reads

    @classmethod
    def open(
        cls,
        objects: str | os.PathLike[str] | ObjectStore,
        layout: LegacyLayout | str,
        *,
        concurrency: int = 32,
        **options: Any,
    ) -> LegacyStore:
        """Open a store; nothing is read yet.

        Args:
            objects: The object store, or its URL or folder.
            layout: Which system wrote it: `des-core` or `datavision`.
            concurrency: Requests that run at the same time.
            options: As `LegacyOptions` describes: `n_bits`, `prefix`, `big_files_prefix`, `zone`, `whole_day`, ...

        Raises:
            InvalidInputError: An option is out of its range.
            ConfigurationError: Nothing that is installed opens the URL.
            StoreNotFoundError: There is no such folder.
        """
        chosen = LegacyOptions(layout, **options)
        opened = open_object_store(objects) if isinstance(objects, str | os.PathLike) else objects
        reads = chosen.reads(opened)
        view = View(opened, chosen.folder(), chosen.in_order(opened))
        return cls(Runner(view, concurrency=concurrency), reads)

    # -- entries ----------------------------------------------------------------------------

    def get(self, uid: Uid, created_at: datetime) -> bytes:
        """Return an entry's payload.

        Raises:
            EntryDeletedError: It was deleted, or nobody can prove that it is another one than was.
            EntryNotFoundError: It is in none of its shard's archives, and all of them could be read.
            CorruptArchiveError: It is damaged, or may be in an archive that is, or nothing is known about
                deletions, because a sidecar is damaged.
            BigFileMissingError: Its payload lies beside the archive, and is not there.
            EntryTooLargeError: The payload, compressed or external, is over `max_entry_bytes`.
            InvalidInputError: `created_at` has no time zone, or `uid` is empty.
        """
        return self._runner.run(self._reads.get(uid, created_at)).payload

    def get_entry(self, uid: Uid, created_at: datetime) -> StoredEntry:
        """Return where an entry is and what its archive says about it, without its payload; errors as `get`."""
        return self._runner.run(self._reads.describe(uid, created_at))

    def read_entry(
        self, uid: Uid, created_at: datetime, *, limit_bytes: int | None = None, keep_zstd: bool = False
    ) -> ReadEntry:
        """Return an entry's description together with its payload; as `DesStore.read_entry`."""
        limit = sys.maxsize if limit_bytes is None else limit_bytes
        return self._runner.run(self._reads.get_within(uid, created_at, limit, keep_zstd))

    def get_many(self, requests: Iterable[Request]) -> dict[Request, bytes]:
        """Return payloads by `(uid, created_at)`; those that are missing or deleted are left out; errors as `get`."""
        found = self._runner.run(self._reads.get_many(requests))
        return {request: located.payload for request, located in found.items()}

    def read_entries(self, requests: Iterable[Request], *, limit_bytes: int) -> dict[Request, ReadEntry]:
        """Return the descriptions of many entries with their payloads; missing and deleted ones are left out.

        Args:
            requests: Their `(uid, created_at)`.
            limit_bytes: Of a payload of more bytes nothing is read, and it is empty in the result.
        """
        return self._runner.run(self._reads.get_many_within(list(dict.fromkeys(requests)), limit_bytes))

    def read_range(self, uid: Uid, created_at: datetime, start: int, end: int) -> bytes:
        """Return payload bytes `[start, end)`, as `DesReader.read_range` does; errors as `get`."""
        return self._runner.run(self._reads.read_range(uid, created_at, start, end))

    def open_entry(self, uid: Uid, created_at: datetime) -> io.BufferedReader:
        """Return a seekable, read-only binary file over an entry's payload; errors as `get`.

        It reads the versions that it found first; a later deletion does not close it.
        """
        pinned = Pinned(self._runner.run(self._reads.find(uid, created_at)))
        return open_entry(pinned.entry, lambda start, end: self._runner.run(pinned.read(start, end)))

    def exists(self, uid: Uid, created_at: datetime) -> bool:
        """Whether `get` would find an entry; False for a deleted one. Whatever `get` raises for damage is raised."""
        return self._runner.run(self._reads.exists(uid, created_at))

    def refresh(self, uid: Uid, created_at: datetime) -> None:
        """See what was added and deleted in an entry's shard from now on, whatever `listing_ttl_seconds` says."""
        self._reads.relist(uid, created_at)

    # -- listings ---------------------------------------------------------------------------

    def list(self, day: str, shard: str | int | None = None, prefix: str = "") -> Iterator[StoredEntry]:
        """Yield the entries of a day that are not deleted: shard after shard, each in the order of names.

        Args:
            day: `YYYYMMDD` or `YYYY-MM-DD`.
            shard: Only this one; its number, in hex when it is text.
            prefix: Only names that begin so.

        Raises:
            CorruptArchiveError: When all others were listed, if archives or sidecars could not be read.
            InvalidInputError: No day, or no shard.
        """
        return self._pages(DayListing(self._reads, day, shard, prefix))

    def _pages(self, listing: DayListing) -> Iterator[StoredEntry]:
        while page := self._runner.run(listing.next_page()):
            yield from page

    def days(self) -> Sequence[str]:
        """Return the days that have archives, as `YYYYMMDD`. This lists the whole store."""
        return self._runner.run(self._reads.listings.days())

    def shards(self, day: str) -> Sequence[str]:
        """Return the shards of a day that have archives, in upper-case hex."""
        return self._runner.run(self._reads.listings.shards(check_day(day)))

    # -- the store --------------------------------------------------------------------------

    def close(self) -> None:
        """Let the threads go that ran requests; the object store stays open."""
        self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
