"""The asynchronous methods of a store that has the synchronous ones."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence

from ..ports.objects import Content, GetOptions, ObjectMeta, PutMode, PutResult
from .results import LoadedResult

__all__ = ["ThreadedObjectStore"]


class ThreadedObjectStore(ABC):
    """Base of stores that block: each asynchronous call runs in a worker thread."""

    @abstractmethod
    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult: ...

    @abstractmethod
    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult: ...

    @abstractmethod
    def head(self, path: str) -> ObjectMeta: ...

    @abstractmethod
    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]: ...

    @abstractmethod
    def delete(self, paths: str | Sequence[str]) -> None: ...

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        return await asyncio.to_thread(self.get, path, options=options)

    async def put_async(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        return await asyncio.to_thread(self.put, path, file, mode=mode)

    async def head_async(self, path: str) -> ObjectMeta:
        return await asyncio.to_thread(self.head, path)

    async def list_async(
        self, prefix: str | None = None, *, offset: str | None = None
    ) -> AsyncIterator[Sequence[ObjectMeta]]:
        chunks = self.list(prefix, offset=offset)
        while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
            yield chunk

    async def delete_async(self, paths: str | Sequence[str]) -> None:
        await asyncio.to_thread(self.delete, paths)
