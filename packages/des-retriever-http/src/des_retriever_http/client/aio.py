"""`AsyncRetrieverClient`: the service, for asynchronous code."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from datetime import date, datetime
from types import TracebackType
from typing import Self, TypeVar

import httpx
from des_format.errors import CorruptArchiveError, DesError, UnavailableError

from . import calls
from .arguments import CreatedAt, FileKey, Uid, file_key
from .batches import BatchFile, BatchTransfer, parts
from .connecting import Timeout, Verify, checked_url, http_arguments, policy_of, prepared, refused
from .credentials import AsyncToken, Credentials
from .downloads import FileHead, FileTransfer
from .incoming import AsyncIncoming
from .messages import Answer, Call, Request
from .problems import translated
from .results import Deletion, FileMeta, Link, ListedFile, Retained
from .retrying import RetryPolicy

__all__ = ["AsyncDownload", "AsyncRetrieverClient"]

T = TypeVar("T")


class AsyncDownload:
    """A file that is being read: iterate over it once for its bytes, in pieces of any size.

    Attributes:
        head: What is known of it before its first byte.
    """

    def __init__(self, head: FileHead, pieces: AsyncIterator[bytes]) -> None:
        self.head = head
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces


class AsyncRetrieverClient:
    """Asynchronous twin of `RetrieverClient`: the same operations, arguments and errors.

    May be shared by the tasks of one event loop. A function for `token` may be asynchronous.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        token: AsyncToken | None = None,
        auth: httpx.Auth | None = None,
        timeout: Timeout | None = None,
        retries: int | RetryPolicy | None = None,
        http_client: httpx.AsyncClient | None = None,
        verify: Verify | None = None,
    ) -> None:
        self._base_url = checked_url(base_url)
        self._policy = policy_of(retries)
        inner = http_client.auth if auth is None and http_client is not None else auth
        self._auth = Credentials(api_key, token, inner)
        arguments = http_arguments(http_client, timeout, verify)
        self._http = httpx.AsyncClient(**arguments) if http_client is None else http_client
        self._owns_http = http_client is None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        if self._owns_http:
            await self._http.aclose()

    async def get(self, uid: Uid, created_at: CreatedAt) -> bytes:
        """Return a file."""
        key = file_key(uid, created_at)
        if not key.has_path:
            (file,) = [file async for file in self.batch([key])]
            return file.read()
        return (await self._whole(key))[1]

    async def get_range(self, uid: Uid, created_at: CreatedAt, start: int, end: int) -> bytes:
        """Return bytes `[start, end)` of a file, cut at its end."""
        return await self._run(calls.get_range(file_key(uid, created_at), start, end))

    @asynccontextmanager
    async def stream(self, uid: Uid, created_at: CreatedAt) -> AsyncIterator[AsyncDownload]:
        """Read a file piece by piece. A transfer that breaks goes on where it broke, without repeating a byte."""
        transfer = FileTransfer(file_key(uid, created_at))
        async with aclosing(AsyncIncoming(transfer, self._open, self._policy)) as incoming:
            await incoming.open()
            yield AsyncDownload(transfer.head, aiter(incoming))

    async def exists(self, uid: Uid, created_at: CreatedAt) -> bool:
        """Whether there is such a file that was not deleted."""
        return await self._run(calls.exists(file_key(uid, created_at)))

    async def meta(self, uid: Uid, created_at: CreatedAt) -> FileMeta:
        """Return what the archive says about a file."""
        return await self._run(calls.meta(file_key(uid, created_at)))

    async def history(self, uid: Uid, created_at: CreatedAt) -> tuple[Deletion, ...]:
        """Return who deleted a file, when and why; the oldest deletion first."""
        return await self._run(calls.history(file_key(uid, created_at)))

    async def delete(self, uid: Uid, created_at: CreatedAt, *, reason: str, by: str, ticket: str | None = None) -> int:
        """Delete a file; return the number of the commit in its shard."""
        return await self._run(calls.delete(file_key(uid, created_at), reason, by, ticket))

    async def extend_retention(self, uid: Uid, created_at: CreatedAt, until: datetime) -> Retained:
        """Keep a file until a time, whatever becomes of its archive."""
        return await self._run(calls.extend_retention(file_key(uid, created_at), until))

    async def locator(self, uid: Uid, created_at: CreatedAt, *, ttl_seconds: int | None = None) -> Link:
        """Make a link with which anyone can read a file."""
        return await self._run(calls.locator(file_key(uid, created_at), ttl_seconds, self._base_url))

    async def get_located(self, token: str) -> bytes:
        """Return the file of a link."""
        return await self._run(calls.get_located(token))

    async def list(
        self, day: str | date, shard: str | int | None = None, prefix: str = ""
    ) -> AsyncIterator[ListedFile]:
        """Yield the files of a day that are not deleted, shard by shard, in the order of their uids in each."""
        cursor = None
        while True:
            page = await self._run(calls.page(day, shard, prefix, cursor))
            for file in page.files:
                yield file
            if (cursor := page.cursor) is None:
                return

    async def days(self) -> tuple[str, ...]:
        """Return the days that have files."""
        return await self._run(calls.days())

    async def batch(self, files: Iterable[tuple[Uid, CreatedAt]]) -> AsyncIterator[BatchFile]:
        """Yield files in the order in which they are asked for, with one request for up to 10,000 of them."""
        for part in parts(files):
            transfer = BatchTransfer(part)
            while not transfer.complete:
                try:
                    async with aclosing(AsyncIncoming(transfer, self._open, self._policy)) as incoming:
                        async for file in incoming:
                            yield file
                except UnavailableError:
                    if (key := transfer.unfinished) is None:
                        raise
                    yield await self._alone(key)
                    transfer.settle()

    async def _alone(self, key: FileKey) -> BatchFile:
        try:
            return BatchFile.whole(key, *await self._whole(key))
        except CorruptArchiveError as error:
            return BatchFile.damaged(key, error)

    async def _whole(self, key: FileKey) -> tuple[FileHead, bytes]:
        transfer = FileTransfer(key, packed=True)
        async with aclosing(AsyncIncoming(transfer, self._open, self._policy)) as incoming:
            payload = b"".join([piece async for piece in incoming])
        return transfer.head, payload

    async def _run(self, call: Call[T]) -> T:
        try:
            request = next(call)
            while True:
                try:
                    answer = await self._exchange(request)
                except DesError as error:
                    request = call.throw(error)
                else:
                    request = call.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    async def _exchange(self, request: Request) -> Answer:
        async for attempt in self._policy.retrying():
            with attempt:
                with translated(request.what):
                    async with aclosing(await self._open(request)) as response:
                        await response.aread()
                if response.status_code >= 300:
                    raise refused(request.what, response, attempt.num)
                return Answer(response.status_code, response.headers, response.content)
        raise AssertionError("unreachable")

    async def _open(self, request: Request) -> httpx.Response:
        prepared_request = prepared(self._http, self._base_url, request)
        return await self._http.send(prepared_request, stream=True, auth=self._auth, follow_redirects=False)
