"""An object store in a bucket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import boto3
from des_format.errors import ConfigurationError, InvalidInputError
from des_format.objects.content import pieces
from des_format.objects.keys import split_key, split_prefix
from des_format.objects.results import LoadedResult, expected_tag
from des_format.ports.objects import Content, Front, GetOptions, ObjectMeta, PutMode, PutResult, RangeKind

from .assembling import LEAST_FRONT_BYTES, assemble
from .calls import Caller
from .checksums import UploadChecksums
from .clients import Clients
from .engines import BotoReads, ObstoreReads, Reads
from .locks import retain, retained_until
from .metrics import S3Metrics
from .multipart import PartSize, Upload
from .operations import copy, delete, head, list_page, put
from .quotes import IfMatchQuotes
from .ranges import describe
from .retries import RetryPolicy
from .settings import AddressingStyle, S3Settings
from .target import S3Target

__all__ = ["Engine", "S3ObjectStore"]

Engine = Literal["obstore", "boto"]

_SINGLE_PUT_BYTES = 64 << 20
"""Up to here, content that is at hand is one request, whose condition every service honours."""


class S3ObjectStore:
    """Objects below a prefix of a bucket, by the ports `ObjectStore` and `AsyncObjectStore`, `Creates` and `Assembles`.

    Credentials, region and endpoint come from boto3's own chain (environment, profile, container, instance), and
    follow when they rotate. Clients are made when they are first needed; nothing is asked of the service here.

    Asynchronous calls run by an aiobotocore client for each event loop, which `aclose` closes; conditional writes,
    and content that has to be read by blocking calls (a path, a file, an iterator), by boto3 in a worker thread.

    Args:
        bucket: The bucket's name.
        prefix: All keys are below it; empty for the whole bucket.
        client: A boto3 client that sends every request, asynchronous ones from worker threads. It brings its own
            settings: where it repeats a conditional write by itself, its own success may come back as a conflict,
            which callers must see through by reading back (`DesStore` does). Reads then need the engine `boto`.
        session: A boto3 session; None for a new one.
        engine: What reads: `obstore` (a third of the CPU time or less), or `boto`. None is `obstore`, or `boto` with
            `client`.
        if_match_quotes: Whether conditional writes send a version's quotes. Ceph refuses them. `auto` finds out when
            an update is refused for the first time, by an object `des-probe-...` that it writes and deletes.
        metrics: Counts requests; None to count for nobody.
        endpoint_url: As for `S3Settings`, like the arguments after it.
        region_name: As for `S3Settings`.
        addressing_style: As for `S3Settings`.
        request_payer: As for `S3Settings`.
        anonymous: As for `S3Settings`.
        sse: As for `S3Settings`.
        upload_checksums: As for `S3Settings`.
        retries: As for `S3Settings`.
        connect_timeout_seconds: As for `S3Settings`.
        read_timeout_seconds: As for `S3Settings`.

    Raises:
        ConfigurationError: Arguments contradict each other.
    """

    lists_in_order = True
    backend = "s3"

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        client: Any = None,
        session: boto3.Session | None = None,
        engine: Engine | None = None,
        if_match_quotes: Literal["auto"] | bool = "auto",
        metrics: S3Metrics | None = None,
        endpoint_url: str | None = None,
        region_name: str | None = None,
        addressing_style: AddressingStyle = "auto",
        request_payer: bool = False,
        anonymous: bool = False,
        sse: Mapping[str, Any] | None = None,
        upload_checksums: UploadChecksums = "auto",
        retries: RetryPolicy | None = None,
        connect_timeout_seconds: float = 5.0,
        read_timeout_seconds: float = 30.0,
    ) -> None:
        settings = S3Settings(
            endpoint_url=endpoint_url,
            region_name=region_name,
            addressing_style=addressing_style,
            request_payer=request_payer,
            anonymous=anonymous,
            sse=dict(sse or {}),
            upload_checksums=upload_checksums,
            retries=retries or RetryPolicy(),
            connect_timeout_seconds=connect_timeout_seconds,
            read_timeout_seconds=read_timeout_seconds,
        )
        self.bucket = _check_bucket(bucket)
        self.prefix = _check_prefix(prefix)
        self.engine = _check_engine(engine, client)
        self.metrics = metrics or S3Metrics()
        self._clients = Clients(bucket, settings, session, client)
        self._caller = Caller(self._clients, self.metrics)
        self._quotes = IfMatchQuotes(None if if_match_quotes == "auto" else if_match_quotes, self.prefix)
        reference = BotoReads(self._caller)
        self._reads: Reads = reference
        if self.engine == "obstore":
            self._reads = ObstoreReads(self._clients, self.metrics, reference)

    def __repr__(self) -> str:
        return f"S3ObjectStore('s3://{self.bucket}/{self.prefix}')"

    @property
    def place(self) -> str:
        """The name of this place, which no other one has."""
        return f"{self._clients.settings.endpoint_url or ''}/{self.bucket}/{self.prefix}".rstrip("/")

    @property
    def parallel_reads(self) -> int:
        """How many reads of a batch run at the same time; see `des_format.ports.objects.ReadsInParallel`."""
        return self._clients.parallel_reads

    def count_range(self, kind: RangeKind, /) -> None:
        """Count what a range is read for; see `des_format.ports.objects.CountsRanges`."""
        self.metrics.count_ranges(self.backend, [kind])

    @property
    def if_match_quotes(self) -> bool | None:
        """Whether conditional writes send a version's quotes; None while that is not known."""
        return self._quotes.known

    # -- the port ---------------------------------------------------------------------------

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        return self._reads.get(path, self._key(path), options or {})

    def head(self, path: str) -> ObjectMeta:
        return self._caller.run(head(path, self._key(path)))

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        key, mode = self._key(path), mode or "overwrite"
        expected_tag(path, mode)
        if (data := _at_hand(file)) is not None:
            return self._caller.run(put(key, data, mode, self._quotes))
        upload = Upload(self._caller, key, mode, self._quotes)
        try:
            for piece in pieces(file):
                upload.write(piece)
            return upload.finish()
        except BaseException:
            upload.abort()
            raise

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]:
        below, after = self._bounds(prefix, offset)
        token: str | None = None
        while True:
            rows, token = self._caller.run(list_page(below, after, token))
            if found := self._described(rows):
                yield found
            if token is None:
                return

    def delete(self, paths: str | Sequence[str]) -> None:
        self._caller.run(delete(self._keys(paths)))

    # -- its asynchronous twin --------------------------------------------------------------

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        return await self._reads.get_async(path, self._key(path), options or {})

    async def head_async(self, path: str) -> ObjectMeta:
        return await self._caller.run_async(head(path, self._key(path)))

    async def put_async(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        key, mode = self._key(path), mode or "overwrite"
        expected_tag(path, mode)
        # A conditional write is sent once, but aiohttp repeats a PUT by itself where the connection is dropped.
        if isinstance(file, bytes) and len(file) <= _SINGLE_PUT_BYTES and mode == "overwrite":
            return await self._caller.run_async(put(key, file, mode, self._quotes))
        return await asyncio.to_thread(self.put, path, file, mode=mode)

    async def list_async(
        self, prefix: str | None = None, *, offset: str | None = None
    ) -> AsyncIterator[Sequence[ObjectMeta]]:
        below, after = self._bounds(prefix, offset)
        token: str | None = None
        while True:
            rows, token = await self._caller.run_async(list_page(below, after, token))
            if found := self._described(rows):
                yield found
            if token is None:
                return

    async def delete_async(self, paths: str | Sequence[str]) -> None:
        await self._caller.run_async(delete(self._keys(paths)))

    # -- more than the port -----------------------------------------------------------------

    def copy(self, source: str, target: str) -> PutResult:
        """Copy an object of up to 5 GiB within the service, over whatever `target` is.

        Raises:
            ObjectNotFoundError: There is no such source.
        """
        return self._caller.run(copy(self.bucket, self._key(source), self._key(target)))

    async def copy_async(self, source: str, target: str) -> PutResult:
        """Asynchronous twin of `copy`."""
        return await self._caller.run_async(copy(self.bucket, self._key(source), self._key(target)))

    @property
    def least_front_bytes(self) -> int:
        """From how many bytes on copying pays; see `des_format.ports.objects.Assembles`."""
        return LEAST_FRONT_BYTES

    def assemble(self, path: str, front: Front, rest: Content) -> PutResult:
        """Create an object whose first bytes the service copies; see `des_format.ports.objects.Assembles`."""
        return assemble(self, path, self._key(front.path), front, pieces(rest))

    async def assemble_async(self, path: str, front: Front, rest: Content) -> PutResult:
        """Asynchronous twin of `assemble`."""
        return await asyncio.to_thread(self.assemble, path, front, rest)

    def retain(self, path: str, until: datetime) -> None:
        """Lock an object; see `des_format.ports.objects.Retains`. Governance mode, in a bucket with object lock."""
        self._caller.run(retain(self._key(path), until))

    async def retain_async(self, path: str, until: datetime) -> None:
        """Asynchronous twin of `retain`."""
        await self._caller.run_async(retain(self._key(path), until))

    def retained_until(self, path: str) -> datetime | None:
        """Return until when an object is locked; see `des_format.ports.objects.Retains`."""
        return self._caller.run(retained_until(self._key(path)))

    async def retained_until_async(self, path: str) -> datetime | None:
        """Asynchronous twin of `retained_until`."""
        return await self._caller.run_async(retained_until(self._key(path)))

    def target(self, key: str, /, *, part_size: PartSize = "adaptive", max_parallel_parts: int = 4) -> S3Target:
        """Begin a new object; see `des_format.ports.objects.Creates`, and `S3Target` for the arguments."""
        return S3Target(self, key, part_size=part_size, max_parallel_parts=max_parallel_parts)

    def upload(self, key: str, *, part_size: PartSize, max_parallel: int) -> Upload:
        """Begin to write a new object; for `S3Target`."""
        return Upload(
            self._caller, self._key(key), "create", self._quotes, part_size=part_size, max_parallel=max_parallel
        )

    def close(self) -> None:
        """Let go of synchronous connections; the store goes on working, with new ones."""
        self._clients.close()

    async def aclose(self) -> None:
        """Let go of all connections of the running event loop, and of synchronous ones."""
        await self._clients.aclose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    # -- keys -------------------------------------------------------------------------------

    def _key(self, path: str) -> str:
        split_key(path)
        return self.prefix + path

    def _keys(self, paths: str | Sequence[str]) -> Sequence[str]:
        return [self._key(path) for path in dict.fromkeys([paths] if isinstance(paths, str) else paths)]

    def _bounds(self, prefix: str | None, offset: str | None) -> tuple[str, str | None]:
        below = self.prefix + "/".join([*split_prefix(prefix), ""]).lstrip("/")
        return below, None if offset is None else self.prefix + offset

    def _described(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[ObjectMeta]:
        """What a page lists; names that are no keys, such as the "folders" of some tools, are not ours."""
        found = []
        for row in rows:
            path = row["Key"][len(self.prefix) :]
            try:
                split_key(path)
            except InvalidInputError:
                continue
            found.append(describe(path, row, row["Size"]))
        return found


def _at_hand(content: Content) -> bytes | None:
    if isinstance(content, Path):
        return content.read_bytes() if content.stat().st_size <= _SINGLE_PUT_BYTES else None
    if isinstance(content, bytes | bytearray | memoryview) and memoryview(content).nbytes <= _SINGLE_PUT_BYTES:
        return bytes(content)
    return None


def _check_bucket(bucket: str) -> str:
    if not bucket or "/" in bucket:
        raise ConfigurationError(f"{bucket!r} is no name of a bucket")
    return bucket


def _check_prefix(prefix: str) -> str:
    prefix = prefix.strip("/")
    if not prefix:
        return ""
    if any(segment in ("", ".", "..") for segment in prefix.split("/")):
        raise ConfigurationError(f"prefix {prefix!r} has an empty segment, or one of dots")
    return prefix + "/"


def _check_engine(engine: Engine | None, client: Any) -> Engine:
    if engine not in (None, "obstore", "boto"):
        raise ConfigurationError(f"engine is {engine!r}, expected 'obstore' or 'boto'")
    if client is not None and engine == "obstore":
        raise ConfigurationError("a client of yours cannot serve the engine 'obstore': give a session, or use 'boto'")
    return engine or ("obstore" if client is None else "boto")
