"""Copies of files under extended retention: kept until a time, whatever becomes of their archives."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from des_format.entry import Codec, Entry, Kind
from des_format.errors import (
    ChecksumMismatchError,
    ConflictError,
    CorruptArchiveError,
    EntryDeletedError,
    EntryNotFoundError,
    InvalidInputError,
    ObjectExistsError,
    UnsupportedOperationError,
)
from des_format.ports.objects import AsyncObjectStore, Retains
from des_format.store import StoredEntry

from .checking import checked
from .fallback import day_of

if TYPE_CHECKING:
    from .backend import Backend

__all__ = ["Extension", "RetainedError", "Retention", "RetentionRecord"]

_ARCHIVE = "extended-retention"
_COPY = ".dat"
_RECORD = ".json"
_UNTIL = "%Y%m%dT%H%M%SZ"


class RetainedError(ConflictError):
    """The file is kept until a later time."""

    code = "retained"


@dataclass(frozen=True, slots=True)
class RetentionRecord:
    """What is written down of a copy.

    Attributes:
        uid: The file's uid.
        created_at: Its time, as it was given when it was copied.
        size: Bytes of it.
        sha256: SHA-256 of it, in hex.
        meta: Its metadata.
        retain_until: Until when it is kept.
        by: Who asked for that.
        is_locked: Whether the storage keeps it from everybody, by object lock.
    """

    uid: str
    created_at: str
    size: int
    sha256: str
    meta: dict[str, Any]
    retain_until: datetime
    by: str
    is_locked: bool

    def encode(self) -> bytes:
        """Return it as JSON."""
        members = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({**members, "retain_until": self.retain_until.isoformat()}, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, data: bytes, where: str) -> RetentionRecord:
        """Read it from JSON.

        Raises:
            CorruptArchiveError: It is none.
        """
        try:
            members = json.loads(data)
            until = datetime.fromisoformat(members.pop("retain_until"))
            record = cls(**members, retain_until=until)
            record.retain_until.astimezone(UTC)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise CorruptArchiveError(f"{where}: it is no record of a retention") from None
        return record


@dataclass(frozen=True, slots=True)
class Extension:
    """What an extension has done.

    Attributes:
        key: Of the copy.
        record: What is written down of it now.
        is_new: Whether the file was copied by it.
    """

    key: str
    record: RetentionRecord
    is_new: bool


class Retention:
    """Keeps copies.

    A file of a day has a folder, with a copy under the SHA-256 of its content, and a record for each time until which
    it was to be kept; the latest counts. Nothing is replaced, so requests at the same time need no condition, which not
    every storage honours in a bucket with object lock. First the copy is there, then it is locked, then the record
    says so: what fails in between is done by asking again.

    Args:
        objects: Where copies are kept.
        prefix: The folder, there.
    """

    def __init__(self, objects: AsyncObjectStore, prefix: str) -> None:
        self._objects = objects
        self._prefix = prefix.strip("/")

    # -- what is kept -----------------------------------------------------------------------

    async def extend(self, backend: Backend, uid: str, created_at: datetime, until: datetime, *, by: str) -> Extension:
        """Keep a file until a time, which becomes a whole second.

        Raises:
            InvalidInputError: The time is not in the future.
            RetainedError: The file is kept for longer already.
            EntryNotFoundError, EntryDeletedError: There is no such file.
            DesError: The storage failed; ask again.
        """
        try:
            until = (until.astimezone(UTC) + timedelta(microseconds=999_999)).replace(microsecond=0)
        except OverflowError:
            raise InvalidInputError(f"due_date {until.isoformat()} is no time of the calendar in UTC") from None
        if until <= datetime.now(UTC):
            raise InvalidInputError(f"due_date {until.isoformat()} is not in the future")
        known = await self._latest(uid, created_at)
        if known is not None and until < known.retain_until:
            raise RetainedError(f"The file is kept until {known.retain_until.isoformat()}; that is not shortened")
        record = await self._copied(backend, uid, created_at, until, by) if known is None else known
        await self._refuse_deleted(backend, uid, created_at, is_new=known is None)
        folder = self._folder(uid, created_at)
        key = f"{folder}/{record.sha256}{_COPY}"
        record = replace(record, retain_until=until, by=by, is_locked=await self._lock(key, until))
        await self._objects.put_async(f"{folder}/{until:{_UNTIL}}{_RECORD}", record.encode(), mode="overwrite")
        return Extension(key, record, known is None)

    async def until(self, uid: str, created_at: datetime) -> datetime | None:
        """Return until when a file is kept; None if it is not, or not any more."""
        record = await self._latest(uid, created_at)
        return None if record is None or record.retain_until <= datetime.now(UTC) else record.retain_until

    async def forget(self, uid: str, created_at: datetime) -> None:
        """Delete the copy of a file whose time is over, if there is one."""
        keys = await self._keys(uid, created_at)
        # Records last: they are what tells that there is a copy.
        for key in sorted(keys, key=lambda key: key.endswith(_RECORD)):
            await self._objects.delete_async(key)

    async def _copied(
        self, backend: Backend, uid: str, created_at: datetime, until: datetime, by: str
    ) -> RetentionRecord:
        stored = await backend.describe(uid, created_at, fresh=True)
        digest = hashlib.sha256()
        size = stored.entry.size
        with TemporaryDirectory(prefix="des-retention-") as folder:
            path = Path(folder, "copy")
            with open(path, "wb") as file:  # noqa: ASYNC230 - it is opened in no time, and written in threads
                async for piece in checked(backend.stream(uid, created_at, 0, size), stored.entry):
                    digest.update(piece)
                    await asyncio.to_thread(file.write, piece)
                found = file.tell()
            if found != size:
                raise CorruptArchiveError(f"file {uid!r}: found {found} bytes, expected {size}")
            record = RetentionRecord(
                uid, created_at.isoformat(), size, digest.hexdigest(), dict(stored.entry.meta), until, by, False
            )
            # It is named by its content: where it exists, an earlier request came so far.
            with suppress(ObjectExistsError):
                copy = f"{self._folder(uid, created_at)}/{record.sha256}{_COPY}"
                await self._objects.put_async(copy, path, mode="create")
        return record

    async def _refuse_deleted(self, backend: Backend, uid: str, created_at: datetime, *, is_new: bool) -> None:
        """Keep nothing that was deleted while it was copied, or without asking here; a copy of it may be locked."""
        try:
            await backend.describe(uid, created_at, fresh=True)
        except EntryDeletedError:
            if is_new:
                await self.forget(uid, created_at)
            raise

    async def _lock(self, key: str, until: datetime) -> bool:
        """Lock a copy, and believe it only when the storage says so: Ceph takes the year 2999 for 2006."""
        if not isinstance(self._objects, Retains):
            return False
        try:
            await self._objects.retain_async(key, until)
            locked_until = await self._objects.retained_until_async(key)
        except UnsupportedOperationError:
            return False
        return locked_until is not None and locked_until >= until

    # -- what is read back ------------------------------------------------------------------

    async def find(self, uid: str, created_at: datetime) -> StoredEntry:
        """Return what is known of a copy.

        Raises:
            EntryNotFoundError: There is none.
        """
        record = await self._record(uid, created_at)
        entry = Entry(
            uid, record.size, 0, Kind.EXTERNAL, Codec.NONE, 0, 0, record.meta, payload_offset=0, sha256=record.sha256
        )
        return StoredEntry(day_of(created_at), "", _ARCHIVE, entry)

    async def read(self, uid: str, created_at: datetime, start: int, end: int) -> bytes:
        """Read bytes `[start, end)` of a copy.

        Raises:
            EntryNotFoundError: There is none.
        """
        if start == end:
            return b""
        record = await self._record(uid, created_at)
        key = f"{self._folder(uid, created_at)}/{record.sha256}{_COPY}"
        answer = await self._objects.get_async(key, options={"range": (start, end)})
        data = bytes(memoryview(await answer.buffer_async()))
        if len(data) == record.size and hashlib.sha256(data).hexdigest() != record.sha256:
            raise ChecksumMismatchError(f"the copy of {uid!r} under extended retention differs from its SHA-256")
        return data

    async def _record(self, uid: str, created_at: datetime) -> RetentionRecord:
        record = await self._latest(uid, created_at)
        if record is None:
            raise EntryNotFoundError(f"no entry {uid!r}, neither archived nor under extended retention")
        return record

    async def _latest(self, uid: str, created_at: datetime) -> RetentionRecord | None:
        records = [key for key in await self._keys(uid, created_at) if key.endswith(_RECORD)]
        if not records:
            return None
        key = max(records)
        answer = await self._objects.get_async(key)
        return RetentionRecord.decode(bytes(memoryview(await answer.buffer_async())), key)

    async def _keys(self, uid: str, created_at: datetime) -> list[str]:
        return [meta["path"] async for page in self._objects.list_async(self._folder(uid, created_at)) for meta in page]

    def _folder(self, uid: str, created_at: datetime) -> str:
        name = hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._prefix}/{day_of(created_at)}/{name}"
