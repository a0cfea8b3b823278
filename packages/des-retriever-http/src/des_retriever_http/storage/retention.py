"""Copies of files under extended retention: kept until a time, whatever becomes of their archives."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from des_format.entry import Codec, Entry, Kind
from des_format.errors import (
    ChecksumMismatchError,
    ConflictError,
    CorruptArchiveError,
    EntryNotFoundError,
    InvalidInputError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnsupportedOperationError,
)
from des_format.ports.objects import AsyncObjectStore, PutMode, Retains
from des_format.store import StoredEntry

from .checking import checked

if TYPE_CHECKING:
    from .backend import Backend

__all__ = ["Extension", "RetainedError", "Retention", "RetentionRecord"]

_ARCHIVE = "extended-retention"


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

    A file has one copy for its day, under the SHA-256 of its uid and of its content, and a record beside it. First
    the copy is there, then it is locked, then the record says so: what fails in between is done again by asking again.

    Args:
        objects: Where copies are kept.
        prefix: The folder, there.
    """

    def __init__(self, objects: AsyncObjectStore, prefix: str) -> None:
        self._objects = objects
        self._prefix = prefix.strip("/")

    # -- what is kept -----------------------------------------------------------------------

    async def extend(self, backend: Backend, uid: str, created_at: datetime, until: datetime, *, by: str) -> Extension:
        """Keep a file until a time.

        Raises:
            InvalidInputError: The time is not in the future.
            RetainedError: The file is kept for longer already.
            ConflictError: Another request changed it at the same time.
            EntryNotFoundError, EntryDeletedError: There is no such file.
            DesError: The storage failed; ask again.
        """
        if until <= datetime.now(UTC):
            raise InvalidInputError(f"due_date {until.isoformat()} is not in the future")
        found = await self._load(uid, created_at)
        if found is None:
            record = await self._copied(backend, uid, created_at, until, by)
            mode: PutMode = "create"
        else:
            known, tag = found
            if until < known.retain_until:
                raise RetainedError(f"The file is kept until {known.retain_until.isoformat()}; that is not shortened")
            record = known
            mode = {"e_tag": tag}
        key = self._key(record, created_at)
        record = replace(record, retain_until=until, by=by, is_locked=await self._lock(key, until))
        try:
            await self._objects.put_async(self._record_key(uid, created_at), record.encode(), mode=mode)
        except (ObjectExistsError, ObjectChangedError) as error:
            raise ConflictError("another request extended the retention of this file at the same time") from error
        return Extension(key, record, found is None)

    async def until(self, uid: str, created_at: datetime) -> datetime | None:
        """Return until when a file is kept; None if it is not, or not any more."""
        found = await self._load(uid, created_at)
        if found is None or found[0].retain_until <= datetime.now(UTC):
            return None
        return found[0].retain_until

    async def forget(self, uid: str, created_at: datetime) -> None:
        """Delete the copy of a file whose time is over, if there is one."""
        found = await self._load(uid, created_at)
        if found is not None:
            # The record last: it is what tells that there is a copy.
            await self._objects.delete_async(self._key(found[0], created_at))
            await self._objects.delete_async(self._record_key(uid, created_at))

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
                await self._objects.put_async(self._key(record, created_at), path, mode="create")
        return record

    async def _lock(self, key: str, until: datetime) -> bool:
        if not isinstance(self._objects, Retains):
            return False
        try:
            await self._objects.retain_async(key, until)
        except UnsupportedOperationError:
            return False
        return True

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
        return StoredEntry(f"{created_at.astimezone(UTC):%Y%m%d}", "", _ARCHIVE, entry)

    async def read(self, uid: str, created_at: datetime, start: int, end: int) -> bytes:
        """Read bytes `[start, end)` of a copy.

        Raises:
            EntryNotFoundError: There is none.
        """
        if start == end:
            return b""
        record = await self._record(uid, created_at)
        answer = await self._objects.get_async(self._key(record, created_at), options={"range": (start, end)})
        data = bytes(memoryview(await answer.buffer_async()))
        if len(data) == record.size and hashlib.sha256(data).hexdigest() != record.sha256:
            raise ChecksumMismatchError(f"the copy of {uid!r} under extended retention differs from its SHA-256")
        return data

    async def _record(self, uid: str, created_at: datetime) -> RetentionRecord:
        found = await self._load(uid, created_at)
        if found is None:
            raise EntryNotFoundError(f"no entry {uid!r}, neither archived nor under extended retention")
        return found[0]

    async def _load(self, uid: str, created_at: datetime) -> tuple[RetentionRecord, str | None] | None:
        key = self._record_key(uid, created_at)
        try:
            answer = await self._objects.get_async(key)
        except ObjectNotFoundError:
            return None
        return RetentionRecord.decode(bytes(memoryview(await answer.buffer_async())), key), answer.meta["e_tag"]

    # -- names ------------------------------------------------------------------------------

    def _key(self, record: RetentionRecord, created_at: datetime) -> str:
        return f"{self._stem(record.uid, created_at)}-{record.sha256}.dat"

    def _record_key(self, uid: str, created_at: datetime) -> str:
        return f"{self._stem(uid, created_at)}.json"

    def _stem(self, uid: str, created_at: datetime) -> str:
        name = hashlib.sha256(uid.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._prefix}/{created_at.astimezone(UTC):%Y%m%d}/{name}"
