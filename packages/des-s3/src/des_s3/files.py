"""Read source files from S3 by their URI."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import boto3
from des_format.errors import InvalidInputError
from des_format.ports.objects import GetOptions, ObjectMeta

from .calls import Caller
from .clients import Clients
from .metrics import S3Metrics
from .operations import get, head
from .settings import S3Settings

__all__ = ["S3FileReader", "split_uri"]

_WINDOW_BYTES = 8 << 20


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of `s3://bucket/key`; the key is taken as it is, nothing in it is decoded.

    Raises:
        InvalidInputError: It is no such URI.
    """
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme.lower() != "s3" or not separator or not bucket or not key:
        raise InvalidInputError(f"{uri!r} is no URI of an object: expected s3://bucket/key")
    return bucket, key


class S3FileReader:
    """Reads objects of any bucket and of any name, such as the files that are to be packed.

    Requests that fail are repeated, also where an answer's body was cut. Safe to share between threads.

    Args:
        client: A boto3 client; None for one of its own.
        session: As for `S3ObjectStore`.
        metrics: Counts reads; None to count for nobody.
        window_bytes: A file that is opened is read in pieces of this size, one of which is held.
        settings: Other attributes of `S3Settings`, such as `endpoint_url`, `region_name`, `retries`.
    """

    def __init__(
        self,
        client: Any = None,
        *,
        session: boto3.Session | None = None,
        metrics: S3Metrics | None = None,
        window_bytes: int = _WINDOW_BYTES,
        **settings: Any,
    ) -> None:
        if window_bytes < 1:
            raise InvalidInputError(f"window_bytes is {window_bytes}, expected at least 1")
        self._settings = S3Settings(**settings)
        self._clients = Clients("", self._settings, session, client)
        self._metrics = metrics or S3Metrics()
        self._window_bytes = window_bytes

    def read(self, uri: str) -> bytes:
        """Return an object's content.

        Raises:
            InvalidInputError: This is no URI of an object.
            ObjectNotFoundError: There is no such object.
            AccessDeniedError: It may not be read.
            UnavailableError: It could not be read, but may be later.
        """
        bucket, key = split_uri(uri)
        with self._measured() as sizes:
            data = self._caller(bucket).run(get(uri, key, {})).data
            sizes.append(len(data))
            return data

    def open(self, uri: str) -> io.BufferedReader:
        """Open an object as a seekable file, of which one window is in memory; errors as for `read`, also of its reads.

        All of it is of one version: if the object is replaced meanwhile, a read is an `ObjectChangedError`.
        """
        bucket, key = split_uri(uri)
        return io.BufferedReader(_Stream(self, self._caller(bucket), uri, key, self._window_bytes))

    def describe(self, uri: str) -> ObjectMeta:
        """Return size, version and time of an object; errors as for `read`."""
        bucket, key = split_uri(uri)
        return self._caller(bucket).run(head(uri, key))

    def _caller(self, bucket: str) -> Caller:
        return Caller(Clients(bucket, self._settings, None, self._clients.sync()), self._metrics)

    @contextmanager
    def _measured(self, *, is_first: bool = True) -> Iterator[list[int]]:
        sizes: list[int] = []
        started = time.perf_counter()
        status = "error"
        try:
            yield sizes
            status = "ok"
        finally:
            if is_first or status == "error":
                self._metrics.source_reads.labels(status).inc()
            self._metrics.source_bytes.inc(sum(sizes))
            self._metrics.source_seconds.labels(status).observe(time.perf_counter() - started)

    def close(self) -> None:
        """Let go of connections, except those of the caller's client."""
        self._clients.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Stream(io.RawIOBase):
    """An object as a raw file, read window by window."""

    def __init__(self, reader: S3FileReader, caller: Caller, uri: str, key: str, window_bytes: int) -> None:
        super().__init__()
        self.name = uri
        self._reader = reader
        self._caller = caller
        self._key = key
        self._window_bytes = window_bytes
        self._e_tag: str | None = None
        self._at = 0
        self._start = 0
        self._data = b""
        self._size = 0
        self._load(0, is_first=True)

    def _load(self, start: int, *, is_first: bool = False) -> None:
        options: GetOptions = {"range": (start, start + self._window_bytes)}
        if self._e_tag is not None:
            options["if_match"] = self._e_tag
        with self._reader._measured(is_first=is_first) as sizes:
            result = self._caller.run(get(self.name, self._key, options))
            sizes.append(len(result.data))
        self._start, self._data = start, result.data
        self._size, self._e_tag = result.meta["size"], result.meta["e_tag"]

    def readinto(self, buffer: Any, /) -> int:
        room = memoryview(buffer).cast("B")
        if self._at >= self._size or not room:
            return 0
        if not self._start <= self._at < self._start + len(self._data):
            self._load(self._at)
        piece = self._data[self._at - self._start :][: len(room)]
        room[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}")
        self._at = base + offset
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
