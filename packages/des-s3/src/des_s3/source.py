"""An archive in an object store as a range source for readers."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Protocol

from des_format.errors import ObjectChangedError, ObjectNotFoundError
from des_format.objects.results import LoadedResult
from des_format.ports.caches import AsyncIndexCache, IndexCache
from des_format.ports.objects import GetOptions
from des_format.ranges import ByteRange, Tail

from .metrics import S3Metrics
from .pinned import PinnedArchive, Read

__all__ = ["AsyncS3RangeSource", "S3RangeSource"]


class Archives(Protocol):
    """Where archives are: an `S3ObjectStore` or a `ZonedObjectStore`."""

    @property
    def place(self) -> str: ...

    @property
    def metrics(self) -> S3Metrics: ...

    @property
    def backend(self) -> str: ...

    @property
    def parallel_reads(self) -> int: ...

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult: ...

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> LoadedResult: ...


class S3RangeSource:
    """Reads one version of an archive, and the objects beside it; safe to share between threads.

    One GET for the tail, one for each range, in parallel, each on condition that the archive is still the version
    that the first answer was of. No HEAD, no LIST; an empty range is not asked for.

    Args:
        store: Where the archive is.
        key: Its key there.
        cache: Keeps tails and index blocks, by version. With a cached tail the first request is that for a payload;
            if the archive was replaced, that is an `ObjectChangedError`, and the next reader sees the new one.
        max_parallel: Requests at the same time, of all batches, each in a thread that stays until `close`; None for
            what the store says: 256, or less where few files may be open or a client of the caller's keeps fewer
            connections.
        metrics: Count range reads; None for those of the store.
    """

    def __init__(
        self,
        store: Archives,
        key: str,
        *,
        cache: IndexCache | None = None,
        max_parallel: int | None = None,
        metrics: S3Metrics | None = None,
    ) -> None:
        self.archive = PinnedArchive(store.place, key)
        self._store = store
        self._cache = cache
        self._max_parallel = max_parallel or store.parallel_reads
        self._metrics = metrics or store.metrics
        self._backend = store.backend
        self._guard = threading.Lock()
        self._threads: tuple[int, ThreadPoolExecutor] | None = None

    def __repr__(self) -> str:
        return repr(self.archive)

    def read_tail(self, length: int, /) -> Tail:
        """Return the archive's last bytes.

        Raises:
            ObjectNotFoundError: There is no such archive.
        """
        archive, cache = self.archive, self._cache
        if cache is not None:
            held = cache.get_many([archive.tail_key(length)])
            if (known := archive.accept_cached_tail(length, held)) is not None:
                return known
        self._metrics.count_ranges(self._backend, ["footer"])
        tail = archive.accept_tail(self._store.get(archive.key, options=archive.tail_options(length)))
        if cache is not None:
            cache.set_many(archive.tail_item(length, tail))
        return tail

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> list[bytes]:
        """Return ranges of the archive, and of big files beside it.

        Raises:
            ObjectChangedError: The archive was replaced.
            BigFileMissingError: There is no such big file.
        """
        return self._read(ranges) if self._cache is None else self._read_over(self._cache, ranges)

    def _read_over(self, cache: IndexCache, ranges: Sequence[ByteRange]) -> list[bytes]:
        archive = self.archive
        found: dict[ByteRange, bytes] = {}
        if keys := archive.cached_keys(ranges):
            held = cache.get_many(keys)
            found = {part: data for part in ranges if (data := archive.from_cache(part, held)) is not None}
        missing = [part for part in dict.fromkeys(ranges) if part not in found]
        try:
            read = dict(zip(missing, self._read(missing), strict=True))
        except ObjectChangedError:
            cache.delete_many(archive.tail_keys())
            raise
        if items := _items(archive, read):
            cache.set_many(items)
        found |= read
        return [found[part] for part in ranges]

    def _read(self, parts: Sequence[ByteRange]) -> list[bytes]:
        """Return ranges, by a request for each that has bytes."""
        reads = self.archive.reads(parts)
        self._metrics.count_ranges(self._backend, [self.archive.type_of(read.part) for read in reads])
        fetched = self._fetch_all(reads)
        return fetched if len(reads) == len(parts) else _with_empty(parts, fetched)

    def _fetch_all(self, reads: Sequence[Read]) -> list[bytes]:
        if len(reads) < 2:
            return [self._fetch(read) for read in reads]
        fetched = [b""] * len(reads)
        # Each worker takes the next read until none is left, which costs less than a task for each read.
        numbers = iter(range(len(reads)))

        def work() -> None:
            try:
                for number in numbers:
                    fetched[number] = self._fetch(reads[number])
            except BaseException:
                deque(numbers, maxlen=0)  # Nobody needs the rest.
                raise

        pool = self._pool()
        for done in [pool.submit(work) for _ in range(min(self._max_parallel, len(reads)))]:
            done.result()
        return fetched

    def _fetch(self, read: Read) -> bytes:
        try:
            return self.archive.accept(read, self._store.get(read.key, options=read.options))
        except ObjectNotFoundError as error:
            raise self.archive.missing(read, error) from error

    def _pool(self) -> ThreadPoolExecutor:
        threads = self._threads
        if threads is None or threads[0] != os.getpid():  # A forked child has its parent's pool without the threads.
            with self._guard:
                threads = self._threads
                if threads is None or threads[0] != os.getpid():
                    pool = ThreadPoolExecutor(self._max_parallel, thread_name_prefix="des-s3-read")
                    threads = self._threads = os.getpid(), pool
        return threads[1]

    def close(self) -> None:
        """Let go of threads."""
        threads, self._threads = self._threads, None
        if threads is not None and threads[0] == os.getpid():
            threads[1].shutdown(wait=False)


class AsyncS3RangeSource:
    """Asynchronous twin of `S3RangeSource`; for tasks of one event loop."""

    def __init__(
        self,
        store: Archives,
        key: str,
        *,
        cache: AsyncIndexCache | None = None,
        max_parallel: int | None = None,
        metrics: S3Metrics | None = None,
    ) -> None:
        self.archive = PinnedArchive(store.place, key)
        self._store = store
        self._cache = cache
        self._slots = asyncio.Semaphore(max_parallel or store.parallel_reads)
        self._metrics = metrics or store.metrics
        self._backend = store.backend

    def __repr__(self) -> str:
        return repr(self.archive)

    async def read_tail(self, length: int, /) -> Tail:
        """As `S3RangeSource.read_tail`."""
        archive, cache = self.archive, self._cache
        if cache is not None:
            held = await cache.get_many_async([archive.tail_key(length)])
            if (known := archive.accept_cached_tail(length, held)) is not None:
                return known
        self._metrics.count_ranges(self._backend, ["footer"])
        tail = archive.accept_tail(await self._store.get_async(archive.key, options=archive.tail_options(length)))
        if cache is not None:
            await cache.set_many_async(archive.tail_item(length, tail))
        return tail

    async def read_ranges(self, ranges: Sequence[ByteRange], /) -> list[bytes]:
        """As `S3RangeSource.read_ranges`."""
        return await (self._read(ranges) if self._cache is None else self._read_over(self._cache, ranges))

    async def _read_over(self, cache: AsyncIndexCache, ranges: Sequence[ByteRange]) -> list[bytes]:
        archive = self.archive
        found: dict[ByteRange, bytes] = {}
        if keys := archive.cached_keys(ranges):
            held = await cache.get_many_async(keys)
            found = {part: data for part in ranges if (data := archive.from_cache(part, held)) is not None}
        missing = [part for part in dict.fromkeys(ranges) if part not in found]
        try:
            read = dict(zip(missing, await self._read(missing), strict=True))
        except ObjectChangedError:
            await cache.delete_many_async(archive.tail_keys())
            raise
        if items := _items(archive, read):
            await cache.set_many_async(items)
        found |= read
        return [found[part] for part in ranges]

    async def _read(self, parts: Sequence[ByteRange]) -> list[bytes]:
        """As `S3RangeSource._read`."""
        reads = self.archive.reads(parts)
        self._metrics.count_ranges(self._backend, [self.archive.type_of(read.part) for read in reads])
        fetched = await self._fetch_all(reads)
        return fetched if len(reads) == len(parts) else _with_empty(parts, fetched)

    async def _fetch_all(self, reads: Sequence[Read]) -> list[bytes]:
        if len(reads) < 2:
            return [await self._fetch(read) for read in reads]
        tasks = [asyncio.ensure_future(self._fetch(read)) for read in reads]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _fetch(self, read: Read) -> bytes:
        async with self._slots:
            try:
                return self.archive.accept(read, await self._store.get_async(read.key, options=read.options))
            except ObjectNotFoundError as error:
                raise self.archive.missing(read, error) from error


def _items(archive: PinnedArchive, read: Mapping[ByteRange, bytes]) -> dict[str, bytes]:
    return dict(item for part, data in read.items() if data for item in archive.items(part, data))


def _with_empty(parts: Sequence[ByteRange], fetched: Iterable[bytes]) -> list[bytes]:
    following = iter(fetched)
    return [next(following) if part.size > 0 else b"" for part in parts]
