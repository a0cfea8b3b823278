"""`RetrieverClient`: the service, for synchronous code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime
from types import TracebackType
from typing import Self, TypeVar

import httpx
from des_format.errors import CorruptArchiveError, DesError, UnavailableError

from . import calls
from .arguments import CreatedAt, FileKey, Uid, file_key
from .batches import BatchFile, BatchTransfer, parts
from .connecting import Timeout, Verify, checked_url, http_arguments, policy_of, prepared, refused
from .credentials import Credentials, Token
from .downloads import FileHead, FileTransfer
from .incoming import Incoming
from .messages import Answer, Call, Request
from .problems import translated
from .results import Deletion, FileMeta, Link, ListedFile, Retained
from .retrying import RetryPolicy

__all__ = ["Download", "RetrieverClient"]

T = TypeVar("T")


class Download:
    """A file that is being read: iterate over it once for its bytes, in pieces of any size.

    Attributes:
        head: What is known of it before its first byte.
    """

    def __init__(self, head: FileHead, pieces: Iterator[bytes]) -> None:
        self.head = head
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


class RetrieverClient:
    """Client of a retriever; may be shared by threads.

    What fails raises the errors of `des_format.errors`, as the library does for a store that is at hand. Their
    `__cause__` is an `HttpProblem` if the service has answered.

    Args:
        base_url: Where the service is, such as `https://archive.example.org`.
        api_key: For the header `X-API-Key`.
        token: For `Authorization: Bearer`: text, or a function that is called for each attempt.
        auth: Anything else that `httpx` can prove itself with; it sees requests with the other two in them.
        timeout: Seconds for each step of a request, or a `httpx.Timeout`; 60, and 10 to connect.
        retries: How often a request that failed in a way that may pass is sent again, or a `RetryPolicy`.
        http_client: Sends the requests; it is not closed with this one. Without `auth` its own is used.
        verify: Whether certificates of servers are checked, or an `ssl.SSLContext` that says how.

    Raises:
        ConfigurationError: An argument is not usable, or contradicts another one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        token: Token | None = None,
        auth: httpx.Auth | None = None,
        timeout: Timeout | None = None,
        retries: int | RetryPolicy | None = None,
        http_client: httpx.Client | None = None,
        verify: Verify | None = None,
    ) -> None:
        self._base_url = checked_url(base_url)
        self._policy = policy_of(retries)
        inner = http_client.auth if auth is None and http_client is not None else auth
        self._auth = Credentials(api_key, token, inner)
        arguments = http_arguments(http_client, timeout, verify)
        self._http = httpx.Client(**arguments) if http_client is None else http_client
        self._owns_http = http_client is None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        if self._owns_http:
            self._http.close()

    def get(self, uid: Uid, created_at: CreatedAt) -> bytes:
        """Return a file.

        Args:
            uid: Its uid.
            created_at: When it was created: a datetime or ISO 8601, with an offset. Its UTC day counts.

        Raises:
            EntryNotFoundError: There is none.
            EntryDeletedError: It was deleted.
            InvalidInputError: An argument cannot be accepted; a time without an offset is one.
            AccessDeniedError: The credentials are not enough.
            CorruptArchiveError: It is damaged in the storage.
            UnavailableError: The service cannot be reached, or the storage does not answer it.
            UnexpectedAnswerError: What answered is no retriever.
        """
        key = file_key(uid, created_at)
        if not key.has_path:
            (file,) = self.batch([key])
            return file.read()
        return self._whole(key)[1]

    def get_range(self, uid: Uid, created_at: CreatedAt, start: int, end: int) -> bytes:
        """Return bytes `[start, end)` of a file, cut at its end; errors as for `get`."""
        return self._run(calls.get_range(file_key(uid, created_at), start, end))

    @contextmanager
    def stream(self, uid: Uid, created_at: CreatedAt) -> Iterator[Download]:
        """Read a file piece by piece. A transfer that breaks goes on where it broke, without repeating a byte.

        Raises:
            ObjectChangedError: It is another file now, so the rest does not belong to what was read.
            ChecksumMismatchError: It is damaged; its end was not returned.
            DesError: Otherwise as for `get`.
        """
        transfer = FileTransfer(file_key(uid, created_at))
        with closing(Incoming(transfer, self._open, self._policy)) as incoming:
            incoming.open()
            yield Download(transfer.head, iter(incoming))

    def exists(self, uid: Uid, created_at: CreatedAt) -> bool:
        """Whether there is such a file that was not deleted; errors as for `get`."""
        return self._run(calls.exists(file_key(uid, created_at)))

    def meta(self, uid: Uid, created_at: CreatedAt) -> FileMeta:
        """Return what the archive says about a file; errors as for `get`."""
        return self._run(calls.meta(file_key(uid, created_at)))

    def history(self, uid: Uid, created_at: CreatedAt) -> tuple[Deletion, ...]:
        """Return who deleted a file, when and why; the oldest deletion first."""
        return self._run(calls.history(file_key(uid, created_at)))

    def delete(self, uid: Uid, created_at: CreatedAt, *, reason: str, by: str, ticket: str | None = None) -> int:
        """Delete a file.

        Args:
            uid: Its uid.
            created_at: When it was created.
            reason: `GDPR`, `retention_expired` or `user_request`.
            by: Who asks for it; kept in its history.
            ticket: Reference of the request.

        Returns:
            The number of the commit in the file's shard.

        Raises:
            EntryDeletedError: It was deleted before. Where the answer was lost it may have been by this request, if
                the credentials do not allow to look that up in its history.
            DesError: Otherwise as for `get`.
        """
        return self._run(calls.delete(file_key(uid, created_at), reason, by, ticket))

    def extend_retention(self, uid: Uid, created_at: CreatedAt, until: datetime) -> Retained:
        """Keep a file until a time, whatever becomes of its archive; the time can be moved on and not back.

        Args:
            uid: Its uid.
            created_at: When it was created.
            until: In the future, with an offset.

        Raises:
            ConflictError: It is kept for longer already.
            DesError: Otherwise as for `meta`.
        """
        return self._run(calls.extend_retention(file_key(uid, created_at), until))

    def locator(self, uid: Uid, created_at: CreatedAt, *, ttl_seconds: int | None = None) -> Link:
        """Make a link with which anyone can read a file.

        Args:
            uid: Its uid.
            created_at: When it was created.
            ttl_seconds: How long the link is valid; None for what the service finds usual.
        """
        return self._run(calls.locator(file_key(uid, created_at), ttl_seconds, self._base_url))

    def get_located(self, token: str) -> bytes:
        """Return the file of a link.

        Raises:
            InvalidLocatorError: The service has not signed it.
            LocatorExpiredError: It has ended.
            NotFoundError: The file was moved since; ask for a new link.
            DesError: Otherwise as for `get`.
        """
        return self._run(calls.get_located(token))

    def list(self, day: str | date, shard: str | int | None = None, prefix: str = "") -> Iterator[ListedFile]:
        """Yield the files of a day that are not deleted, shard by shard, in the order of their uids in each.

        Args:
            day: A UTC day, `YYYYMMDD`.
            shard: Only this one; in hex, if it is text.
            prefix: Only uids that begin so.
        """
        cursor = None
        while True:
            page = self._run(calls.page(day, shard, prefix, cursor))
            yield from page.files
            if (cursor := page.cursor) is None:
                return

    def days(self) -> tuple[str, ...]:
        """Return the days that have files."""
        return self._run(calls.days())

    def batch(self, files: Iterable[tuple[Uid, CreatedAt]]) -> Iterator[BatchFile]:
        """Yield files in the order in which they are asked for, with one request for up to 10,000 of them.

        What is missing, deleted or damaged is yielded too, with its status and without a payload. An answer that is cut
        off is asked for again from there, and a file in whose middle that happens again and again by itself. Payloads
        are always whole.

        Args:
            files: Uids, and when they were created. Any number: it is taken in as files are yielded.

        Raises:
            UnavailableError: The service cannot be reached, or answers are cut off again and again.
            DesError: Otherwise as for `get`, but only for what is wrong with the request.
        """
        for part in parts(files):
            transfer = BatchTransfer(part)
            while not transfer.complete:
                try:
                    with closing(Incoming(transfer, self._open, self._policy)) as incoming:
                        yield from incoming
                except UnavailableError:
                    if (key := transfer.unfinished) is None:
                        raise
                    yield self._alone(key)
                    transfer.settle()

    def _alone(self, key: FileKey) -> BatchFile:
        try:
            return BatchFile.whole(key, *self._whole(key))
        except CorruptArchiveError as error:
            return BatchFile.damaged(key, error)

    def _whole(self, key: FileKey) -> tuple[FileHead, bytes]:
        transfer = FileTransfer(key, packed=True)
        with closing(Incoming(transfer, self._open, self._policy)) as incoming:
            payload = b"".join(incoming)
        return transfer.head, payload

    def _run(self, call: Call[T]) -> T:
        try:
            request = next(call)
            while True:
                try:
                    answer = self._exchange(request)
                except DesError as error:
                    request = call.throw(error)
                else:
                    request = call.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result

    def _exchange(self, request: Request) -> Answer:
        for attempt in self._policy.retrying():
            with attempt:
                with translated(request.what), closing(self._open(request)) as response:
                    response.read()
                if response.status_code >= 300:
                    raise refused(request.what, response, attempt.num)
                return Answer(response.status_code, response.headers, response.content)
        raise AssertionError("unreachable")

    def _open(self, request: Request) -> httpx.Response:
        prepared_request = prepared(self._http, self._base_url, request)
        return self._http.send(prepared_request, stream=True, auth=self._auth, follow_redirects=False)
