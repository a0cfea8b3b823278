"""Run effects over an object store: synchronously (in a few threads) or asynchronously."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ...errors import DesError
from ...ports.caches import AsyncExpires, AsyncIndexCache, Expires, IndexCache
from ...ports.objects import (
    Assembles,
    AsyncObjectStore,
    CountsRanges,
    GetOptions,
    NotModified,
    ObjectMeta,
    ObjectStore,
    PutMode,
    RangeKind,
    TakesTurns,
    Turn,
    translate,
)
from .effects import (
    Assemble,
    CacheGet,
    CacheSet,
    Data,
    Delete,
    Effects,
    Head,
    List,
    Read,
    ReadAll,
    ReadTail,
    Request,
    Sleep,
    Write,
)
from .flights import AsyncFlights, Flights
from .widths import Widths

__all__ = ["AsyncRunner", "LoopRunner", "Runner"]

T = TypeVar("T")


def _options(request: Read | ReadTail | ReadAll) -> GetOptions:
    options: GetOptions = {}
    if isinstance(request, Read):
        options["range"] = (request.start, request.end)
    elif isinstance(request, ReadTail):
        options["range"] = {"suffix": request.length}
    elif request.if_none_match is not None:
        options["if_none_match"] = request.if_none_match
    if not isinstance(request, ReadAll) and request.if_match is not None:
        options["if_match"] = request.if_match
    return options


def _mode(request: Write) -> PutMode:
    if request.overwrite:
        return "overwrite"
    return "create" if request.expected is None else {"e_tag": request.expected}


_BUGS = (AssertionError, AttributeError, MemoryError, NameError, TypeError)


def _failure(error: Exception, request: Request) -> DesError | None:
    """The reply for a failed request; None stands for "not modified"."""
    if isinstance(error, _BUGS):
        raise error
    translated = translate(error, getattr(request, "key", ""))
    return None if isinstance(translated, NotModified) else translated


def _is_shared(request: Request) -> bool:
    """Whether readers who ask the same at the same time may share one answer."""
    return isinstance(request, Read) or (isinstance(request, ReadAll) and request.shared)


def _without_turns(requests: list[Request]) -> list[Request]:
    return [Sleep(request.seconds) if isinstance(request, Sleep) else request for request in requests]


def _turn(objects: object, request: Sleep) -> Turn | None:
    return objects.turn(request.turn_at) if request.turn_at is not None and isinstance(objects, TakesTurns) else None


def _expires(cache: object) -> Expires | None:
    return cache if isinstance(cache, Expires) else None


def _expires_async(cache: object) -> AsyncExpires | None:
    return cache if isinstance(cache, AsyncExpires) else None


def _counter(objects: object) -> Callable[[RangeKind], None] | None:
    return objects.count_range if isinstance(objects, CountsRanges) else None


def _kind(request: Read | ReadTail | ReadAll) -> RangeKind | None:
    """What a request reads a range for; None for a whole object, and where that is not known."""
    if isinstance(request, Read):
        return request.kind
    return "footer" if isinstance(request, ReadTail) else None


def _turn_pause() -> float:
    """How long to wait before the next look at a turn: less than a commit takes, and not in step with others."""
    return random.uniform(0.0005, 0.003)


class Runner:
    """Runs effects over a synchronous object store.

    Args:
        objects: The object store.
        cache: Where index blocks are kept, or None.
        concurrency: Requests of one batch that run at the same time; None for 32, or for a batch of reads as many as
            the object store says (`ReadsInParallel`). There are no more threads than that, for all batches.
        sleep: What waits; tests replace it.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        cache: IndexCache | None = None,
        concurrency: int | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.objects = objects
        self._cache = cache
        self._expiring = _expires(cache)
        self._count_range = _counter(objects)
        self._widths = Widths(objects, concurrency, usual=32)
        self._sleep = sleep
        self._threads: ThreadPoolExecutor | None = None
        self._process = os.getpid()
        self._guard = threading.Lock()
        self._flights = Flights()

    def run(self, effects: Effects[T]) -> T:
        """Run effects to their end and return the result."""
        try:
            requests = next(effects)
            while True:
                requests = effects.send(self._perform(requests))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            effects.close()  # What it holds, such as a turn, ends now, whatever was raised.

    def _perform(self, requests: list[Request]) -> list[Any]:
        if len(requests) < 2:
            return [self._reply(request) for request in requests]
        requests = _without_turns(requests)
        replies: list[Any] = [None] * len(requests)
        # Each worker takes the next request until none is left: a task for each request would cost more than many
        # requests do. Taking the next number is one step of the interpreter.
        numbers = iter(range(len(requests)))

        def work() -> None:
            for number in numbers:
                replies[number] = self._reply(requests[number])

        pool = self._pool()
        for done in [pool.submit(work) for _ in range(self._widths.of(requests))]:
            done.result()
        return replies

    def _pool(self) -> ThreadPoolExecutor:
        if self._process != os.getpid():
            # A forked child has its parent's pool without the threads, and perhaps the lock in someone's hold.
            self._guard, self._threads, self._process = threading.Lock(), None, os.getpid()
        with self._guard:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._widths.widest, thread_name_prefix="des-store")
            return self._threads

    def _reply(self, request: Request) -> Any:
        if _is_shared(request):
            return self._flights.do(request, lambda: self._own_reply(request))
        return self._own_reply(request)

    def _own_reply(self, request: Request) -> Any:
        try:
            return self._answer(request)
        except Exception as error:  # A foreign object store raises what it likes; `translate` knows it by name.
            return _failure(error, request)

    def _answer(self, request: Request) -> Any:
        match request:
            case Read() | ReadTail() | ReadAll():
                if self._count_range is not None and (kind := _kind(request)) is not None:
                    self._count_range(kind)
                result = self.objects.get(request.key, options=_options(request))
                return Data(bytes(result.buffer()), result.meta["size"], result.meta["e_tag"])
            case Write():
                return self.objects.put(request.key, request.data, mode=_mode(request))["e_tag"]
            case Assemble():
                assert isinstance(self.objects, Assembles)
                return self.objects.assemble(request.key, request.front, request.rest)["e_tag"]
            case Head():
                return self.objects.head(request.key)
            case List():
                found: list[ObjectMeta] = []
                for page in self.objects.list(request.prefix or None, offset=request.offset):
                    found += page
                    if request.limit is not None and len(found) >= request.limit:
                        break
                return found
            case Delete():
                return self.objects.delete(list(request.keys))
            case CacheGet():
                return self._cached(request)
            case CacheSet():
                return self._keep(request)
            case Sleep():
                if (turn := _turn(self.objects, request)) is None:
                    return self._sleep(request.seconds)
                ends_at = time.monotonic() + request.turn_seconds
                while not turn.take() and time.monotonic() < ends_at:
                    self._sleep(_turn_pause())
                return turn

    def _cached(self, request: CacheGet) -> dict[str, bytes]:
        if request.expiring:
            return self._expiring.get_expiring(request.keys) if self._expiring is not None else {}
        return self._cache.get_many(request.keys) if self._cache is not None else {}

    def _keep(self, request: CacheSet) -> None:
        if request.ttl_seconds is None:
            if self._cache is not None:
                self._cache.set_many(request.items)
        elif self._expiring is not None:
            self._expiring.set_expiring(request.items, request.ttl_seconds)

    def close(self) -> None:
        """Let the threads go; a later batch starts new ones."""
        if self._process != os.getpid():
            return  # The threads are the parent's.
        with self._guard:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()


class AsyncRunner:
    """Runs effects over an asynchronous object store.

    Arguments as for `Runner`; `concurrency` None stands for 64, and bounds each batch, however many there are.
    """

    def __init__(
        self,
        objects: AsyncObjectStore,
        *,
        cache: AsyncIndexCache | None = None,
        concurrency: int | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.objects = objects
        self._cache = cache
        self._expiring = _expires_async(cache)
        self._count_range = _counter(objects)
        self._widths = Widths(objects, concurrency, usual=64)
        self._sleep = sleep
        self._flights = AsyncFlights()

    async def run(self, effects: Effects[T]) -> T:
        """Run effects to their end and return the result."""
        try:
            requests = next(effects)
            while True:
                requests = effects.send(await self.perform(requests))
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            effects.close()  # What it holds, such as a turn, ends now, whatever was raised.

    async def perform(self, requests: list[Request]) -> list[Any]:
        """Perform one batch."""
        if len(requests) < 2:
            return [await self._reply(request) for request in requests]
        requests = _without_turns(requests)
        replies: list[Any] = [None] * len(requests)
        numbers = iter(range(len(requests)))

        async def work() -> None:
            for number in numbers:
                replies[number] = await self._reply(requests[number])

        async with asyncio.TaskGroup() as group:
            for _ in range(self._widths.of(requests)):
                group.create_task(work())
        return replies

    async def _reply(self, request: Request) -> Any:
        if _is_shared(request):
            return await self._flights.do(request, lambda: self._own_reply(request))
        return await self._own_reply(request)

    async def _own_reply(self, request: Request) -> Any:
        try:
            return await self._answer(request)
        except Exception as error:  # As in `Runner`.
            return _failure(error, request)

    async def _answer(self, request: Request) -> Any:
        match request:
            case Read() | ReadTail() | ReadAll():
                if self._count_range is not None and (kind := _kind(request)) is not None:
                    self._count_range(kind)
                result = await self.objects.get_async(request.key, options=_options(request))
                return Data(bytes(await result.buffer_async()), result.meta["size"], result.meta["e_tag"])
            case Write():
                return (await self.objects.put_async(request.key, request.data, mode=_mode(request)))["e_tag"]
            case Assemble():
                assert isinstance(self.objects, Assembles)
                return (await self.objects.assemble_async(request.key, request.front, request.rest))["e_tag"]
            case Head():
                return await self.objects.head_async(request.key)
            case List():
                listed: list[ObjectMeta] = []
                async for chunk in self.objects.list_async(request.prefix or None, offset=request.offset):
                    listed += chunk
                    if request.limit is not None and len(listed) >= request.limit:
                        break
                return listed
            case Delete():
                return await self.objects.delete_async(list(request.keys))
            case CacheGet():
                return await self._cached(request)
            case CacheSet():
                return await self._keep(request)
            case Sleep():
                if (turn := _turn(self.objects, request)) is None:
                    return await self._sleep(request.seconds)
                ends_at = time.monotonic() + request.turn_seconds
                while not turn.take() and time.monotonic() < ends_at:
                    await self._sleep(_turn_pause())
                return turn

    async def _cached(self, request: CacheGet) -> dict[str, bytes]:
        if request.expiring:
            return await self._expiring.get_expiring_async(request.keys) if self._expiring is not None else {}
        return await self._cache.get_many_async(request.keys) if self._cache is not None else {}

    async def _keep(self, request: CacheSet) -> None:
        if request.ttl_seconds is None:
            if self._cache is not None:
                await self._cache.set_many_async(request.items)
        elif self._expiring is not None:
            await self._expiring.set_expiring_async(request.items, request.ttl_seconds)


class LoopRunner:
    """Runs effects in a thread of its own while their requests run in an event loop."""

    def __init__(self, runner: AsyncRunner, loop: asyncio.AbstractEventLoop) -> None:
        self._runner = runner
        self._loop = loop

    def run(self, effects: Effects[T]) -> T:
        """Run effects to their end and return the result; not from the loop's own thread."""
        return asyncio.run_coroutine_threadsafe(self._runner.run(effects), self._loop).result()
