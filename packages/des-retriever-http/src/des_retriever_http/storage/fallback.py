"""Where files are that the archives do not have, such as the original store of those that are not archived yet."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from des_format.entry import Codec, Entry, Kind
from des_format.errors import ConflictError, EntryNotFoundError, ObjectNotFoundError, UnsafePathError
from des_format.ports.objects import AsyncObjectStore, ObjectMeta
from des_format.store import StoredEntry

__all__ = ["Chain", "Fallback", "OriginalRemainsError", "Source", "day_of"]

T = TypeVar("T")


class Source(Protocol):
    """Where files may be that the archives do not have."""

    async def find(self, uid: str, created_at: datetime) -> StoredEntry:
        """Return what is known of a file.

        Raises:
            EntryNotFoundError: It is not there.
        """

    async def read(self, uid: str, created_at: datetime, start: int, end: int) -> bytes:
        """Read bytes `[start, end)` of a file; all of them are checked, where there is something to check them by.

        Raises:
            EntryNotFoundError: It is not there.
        """


@dataclass(frozen=True, slots=True)
class Chain:
    """Several sources, the first one first.

    Attributes:
        sources: One or more.
    """

    sources: Sequence[Source]

    async def find(self, uid: str, created_at: datetime) -> StoredEntry:
        """As `Source.find`."""
        return await self._first(lambda source: source.find(uid, created_at))

    async def read(self, uid: str, created_at: datetime, start: int, end: int) -> bytes:
        """As `Source.read`."""
        return await self._first(lambda source: source.read(uid, created_at, start, end))

    async def _first(self, ask: Callable[[Source], Awaitable[T]]) -> T:
        *others, last = self.sources
        for source in others:
            try:
                return await ask(source)
            except EntryNotFoundError:
                continue
        return await ask(last)


class OriginalRemainsError(ConflictError):
    """The original store still has a file, so a deletion of it here would not hold."""

    code = "original_remains"


@dataclass(frozen=True, slots=True)
class Fallback:
    """Files as objects of their own.

    Attributes:
        objects: The store of objects.
        key: What a file is called there, with `{uid}`, `{year}`, `{month}` and `{day}`.
        begins_at: Returns from when on files may be there; None for always.
    """

    objects: AsyncObjectStore
    key: str
    begins_at: Callable[[], datetime | None]

    async def find(self, uid: str, created_at: datetime) -> StoredEntry:
        """Return what is known of a file.

        Raises:
            EntryNotFoundError: It is not there.
        """
        return _described(uid, created_at, await self._asked(uid, created_at, self.objects.head_async))

    async def read(self, uid: str, created_at: datetime, start: int, end: int) -> bytes:
        """Read bytes `[start, end)` of a file.

        Raises:
            EntryNotFoundError: It is not there.
        """
        if start == end:
            return b""

        async def get(key: str) -> bytes:
            answer = await self.objects.get_async(key, options={"range": (start, end)})
            return bytes(memoryview(await answer.buffer_async()))

        return await self._asked(uid, created_at, get)

    async def _asked(self, uid: str, created_at: datetime, ask: Callable[[str], Awaitable[T]]) -> T:
        absent = EntryNotFoundError(f"no entry {uid!r}, neither archived nor in the original store")
        begins_at = self.begins_at()
        if begins_at is not None and created_at <= begins_at:
            raise absent
        try:
            return await ask(self._key(uid, created_at))
        except (ObjectNotFoundError, UnsafePathError):
            raise absent from None

    async def holds(self, uid: str, created_at: datetime) -> bool:
        """Whether a file is there, also if it is too old to be looked for: another time may name the same object."""
        try:
            await self.objects.head_async(self._key(uid, created_at))
        except (ObjectNotFoundError, UnsafePathError):
            return False
        return True

    def _key(self, uid: str, created_at: datetime) -> str:
        time = created_at.astimezone(UTC)
        return self.key.format(uid=uid, year=f"{time.year:04}", month=f"{time:%m}", day=f"{time:%d}")


def _described(uid: str, created_at: datetime, meta: ObjectMeta) -> StoredEntry:
    """An object as an entry; its version takes the place of the archive's id."""
    version = f"{meta['e_tag']}|{meta['version']}|{meta['last_modified'].isoformat()}"
    name = f"original-{hashlib.sha256(version.encode()).hexdigest()[:32]}"
    size = meta["size"]
    entry = Entry(uid, size, 0, Kind.EXTERNAL, Codec.NONE, 0, 0, payload_offset=0)
    return StoredEntry(day_of(created_at), "", name, entry)


def day_of(created_at: datetime) -> str:
    """Return a UTC day as `YYYYMMDD`; `%Y` has three digits for the year 999, where the C library says so."""
    time = created_at.astimezone(UTC)
    return f"{time.year:04}{time:%m%d}"
