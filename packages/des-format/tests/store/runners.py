"""Runners of effects that tests steer: request by request, in order, without waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from des_format.ports.caches import AsyncIndexCache, IndexCache
from des_format.ports.objects import AsyncObjectStore, ObjectStore
from des_format.store import DesStore, StoreOptions
from des_format.store.aio import AsyncDesStore
from des_format.store.descriptor import Descriptor
from des_format.store.sansio.effects import CacheGet, CacheSet, Request, Sleep
from des_format.store.sansio.running import AsyncRunner, Runner

__all__ = ["AsyncRecordingRunner", "DiedError", "RecordingRunner", "open_async", "open_store"]

_NO_REQUESTS = (CacheGet, CacheSet, Sleep)


class DiedError(BaseException):
    """The process ends here; nothing may catch it."""


class RecordingRunner(Runner):
    """Performs batches request by request, keeps them, never waits, and can die.

    Attributes:
        rounds: Each batch, as far as it asked the object store.
        dies_at: Die at the request of this number, counted from 1; 0 for never.
        dies: Before the request takes effect, or after.
    """

    def __init__(self, objects: ObjectStore, *, cache: IndexCache | None = None) -> None:
        super().__init__(objects, cache=cache, sleep=lambda _seconds: None)
        self.rounds: list[Sequence[Request]] = []
        self.dies_at = 0
        self.dies: Literal["before", "after"] = "before"
        self._count = 0

    @property
    def request_count(self) -> int:
        """How many requests there were."""
        return sum(map(len, self.rounds))

    def forget(self) -> None:
        """Start counting anew."""
        self.rounds.clear()
        self._count = 0

    def _perform(self, requests: list[Request]) -> list[Any]:
        if asked := [request for request in requests if not isinstance(request, _NO_REQUESTS)]:
            self.rounds.append(asked)
        return [self._perform_one(request) for request in requests]

    def _perform_one(self, request: Request) -> Any:
        if isinstance(request, _NO_REQUESTS):
            return self._reply(request)
        self._count += 1
        if self._count == self.dies_at and self.dies == "before":
            raise DiedError
        reply = self._reply(request)
        if self._count == self.dies_at:
            raise DiedError
        return reply


class AsyncRecordingRunner(AsyncRunner):
    """Keeps batches, and never waits.

    Attributes:
        rounds: Each batch, as far as it asked the object store.
    """

    def __init__(self, objects: AsyncObjectStore, *, cache: AsyncIndexCache | None = None) -> None:
        super().__init__(objects, cache=cache, sleep=_no_wait)
        self.rounds: list[Sequence[Request]] = []

    async def perform(self, requests: list[Request]) -> list[Any]:
        if asked := [request for request in requests if not isinstance(request, _NO_REQUESTS)]:
            self.rounds.append(asked)
        return await super().perform(requests)


async def _no_wait(_seconds: float) -> None:
    return None


def open_store(
    objects: ObjectStore,
    options: StoreOptions | None = None,
    *,
    cache: IndexCache | None = None,
    map_files: bool = False,
) -> tuple[DesStore, RecordingRunner]:
    """Open a store on a runner of its own, as another process would; without waiting ever."""
    descriptor = Descriptor.decode(bytes(objects.get("des-store.json").buffer()))
    runner = RecordingRunner(objects, cache=cache)
    store = DesStore(
        descriptor, objects, options or StoreOptions(), runner, cached=cache is not None, map_files=map_files
    )
    return store, runner


def open_async(
    objects: Any, options: StoreOptions | None = None, *, cache: AsyncIndexCache | None = None
) -> tuple[AsyncDesStore, AsyncRecordingRunner]:
    """Open a store asynchronously, on a runner of its own; `objects` has the methods of both ports."""
    descriptor = Descriptor.decode(bytes(objects.get("des-store.json").buffer()))
    runner = AsyncRecordingRunner(objects, cache=cache)
    return AsyncDesStore(descriptor, objects, options or StoreOptions(), runner, cached=cache is not None), runner
