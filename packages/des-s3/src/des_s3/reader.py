"""Read an archive in a bucket."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from des_format.aio import AsyncDesReader
from des_format.archive import DEFAULT_MAX_ENTRY_BYTES
from des_format.planner import TransferCost
from des_format.ports.caches import AsyncIndexCache, IndexCache
from des_format.reader import DesReader

from .source import AsyncS3RangeSource, S3RangeSource
from .store import S3ObjectStore

__all__ = ["AsyncS3DesReader", "S3DesReader"]


class S3DesReader(DesReader):
    """A `DesReader` of an archive in a bucket: a tail, an index block and a payload are one GET each.

    Every answer must be of the version that the first one was of. Payloads over the writer's threshold are read from
    `_bigFiles/` beside the archive.

    Args:
        bucket: The bucket's name.
        key: The archive's key.
        s3_client: A boto3 client, which then sends every request; None for one of its own (see `S3ObjectStore`).
        cache: Keeps the archive's tail and index blocks between readers; see `S3RangeSource`.
        verify: As for `DesReader`.
        max_entry_bytes: As for `DesReader`.
        cost: As for `DesReader`.
        max_parallel: Requests of batches at the same time; see `S3RangeSource`.
        connection: Other arguments of `S3ObjectStore`, such as `endpoint_url`, `session`, `retries`, `metrics`.

    Raises:
        ObjectNotFoundError: There is no such archive.
        As `DesReader`.
    """

    def __init__(
        self,
        bucket: str,
        key: str,
        s3_client: Any = None,
        cache: IndexCache | None = None,
        *,
        verify: bool = True,
        max_entry_bytes: int = DEFAULT_MAX_ENTRY_BYTES,
        cost: TransferCost | None = None,
        max_parallel: int | None = None,
        **connection: Any,
    ) -> None:
        self._store = S3ObjectStore(bucket, client=s3_client, **connection)
        self._ranges = S3RangeSource(self._store, key, cache=cache, max_parallel=max_parallel)
        super().__init__(self._ranges, verify=verify, max_entry_bytes=max_entry_bytes, cost=cost)
        self._ranges.archive.is_open = True

    def close(self) -> None:
        """Let go of threads and connections, except those of the caller's client."""
        super().close()
        self._ranges.close()
        self._store.close()


class AsyncS3DesReader(AsyncDesReader):
    """Asynchronous twin of `S3DesReader`, made by `await AsyncS3DesReader.open(bucket, key)`."""

    _store: S3ObjectStore

    @classmethod
    async def open(  # type: ignore[override]  # a bucket and a key stand in the place of a source
        cls,
        bucket: str,
        key: str,
        s3_client: Any = None,
        cache: AsyncIndexCache | None = None,
        *,
        verify: bool = True,
        max_entry_bytes: int = DEFAULT_MAX_ENTRY_BYTES,
        cost: TransferCost | None = None,
        max_parallel: int | None = None,
        **connection: Any,
    ) -> AsyncS3DesReader:
        """Open an archive; arguments and errors as for `S3DesReader`."""
        store = S3ObjectStore(bucket, client=s3_client, **connection)
        source = AsyncS3RangeSource(store, key, cache=cache, max_parallel=max_parallel)
        try:
            opened = await AsyncDesReader.open(source, verify=verify, max_entry_bytes=max_entry_bytes, cost=cost)
        except BaseException:
            await store.aclose()
            raise
        source.archive.is_open = True
        reader = cls(opened._core, source)
        reader._store = store
        return reader

    async def aclose(self) -> None:
        """Let go of connections, except those of the caller's client; `async with` does it."""
        await self._store.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
