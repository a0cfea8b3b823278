"""An asynchronous store behind the synchronous port, so that one contract holds for both."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, TypeVar

from ...objects.results import LoadedResult
from ...ports.objects import AsyncObjectStore, Content, GetOptions, ObjectMeta, PutMode, PutResult

__all__ = ["SyncObjectStore"]

T = TypeVar("T")


class SyncObjectStore:
    """The synchronous methods of an asynchronous store; an event loop in a thread of its own runs them."""

    def __init__(self, inner: AsyncObjectStore) -> None:
        self._inner = inner
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        async def load() -> LoadedResult:
            result = await self._inner.get_async(path, options=options)
            return LoadedResult(result.meta, result.range, bytes(await result.buffer_async()))

        return self._run(load())

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        return self._run(self._put(path, file, mode))

    async def _put(self, path: str, file: Content, mode: PutMode | None) -> PutResult:
        return await self._inner.put_async(path, file, mode=mode)

    def head(self, path: str) -> ObjectMeta:
        async def head() -> ObjectMeta:
            return await self._inner.head_async(path)

        return self._run(head())

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Sequence[Sequence[ObjectMeta]]:
        async def collect() -> Sequence[Sequence[ObjectMeta]]:
            return [chunk async for chunk in self._inner.list_async(prefix, offset=offset)]

        return self._run(collect())

    def delete(self, paths: str | Sequence[str]) -> None:
        async def delete() -> None:
            await self._inner.delete_async(paths)

        self._run(delete())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def __enter__(self) -> SyncObjectStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
