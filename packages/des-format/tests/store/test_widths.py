"""How many requests of a batch run at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from des_format.objects.memory import MemoryObjectStore
from des_format.objects.results import LoadedResult
from des_format.ports.objects import GetOptions
from des_format.store.sansio.effects import Effects, Head, Read, Request, Write
from des_format.store.sansio.running import AsyncRunner, Runner

WIDE = 100
"""More than is usual."""


class Wide(MemoryObjectStore):
    """Answers reads when so many are here as it says: they come at the same time, or not at all."""

    parallel_reads = WIDE

    def __init__(self) -> None:
        super().__init__()
        self.put("object", b"content")
        self._threads = threading.Barrier(WIDE, timeout=30)
        self._tasks = asyncio.Barrier(WIDE)

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        self._threads.wait()
        return super().get(path, options=options)

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        async with asyncio.timeout(30):
            await self._tasks.wait()
        return super().get(path, options=options)


class Narrow(MemoryObjectStore):
    """Knows how many requests there were at the same time."""

    parallel_reads = WIDE

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self._guard = threading.Lock()
        self._fewer = threading.Barrier(32, timeout=30)

    def head(self, path: str) -> Any:
        with self._guard:
            self._now += 1
            self.most = max(self.most, self._now)
        self._fewer.wait()
        with self._guard:
            self._now -= 1
        return super().head(path)


def asking(requests: list[Request]) -> Effects[list[Any]]:
    return (yield requests)


# Different ones, or they would share an answer.
READS: list[Request] = [Read("object", 0, end) for end in range(1, 2 * WIDE + 1)]


def test_threads_read_as_many_at_the_same_time_as_the_object_store_says() -> None:
    runner = Runner(Wide())
    assert [reply.size for reply in runner.run(asking(READS))] == [7] * len(READS)
    runner.close()


async def test_tasks_read_as_many_at_the_same_time_as_the_object_store_says() -> None:
    replies = await AsyncRunner(Wide()).run(asking(READS))
    assert [reply.size for reply in replies] == [7] * len(READS)


def test_what_does_not_only_read_is_as_wide_as_usual() -> None:
    objects = Narrow()
    objects.put("object", b"content")
    runner = Runner(objects)
    replies = runner.run(asking([Head("object")] * 64))
    assert [reply["size"] for reply in replies] == [7] * 64
    assert objects.most <= 32
    runner.close()


@pytest.mark.parametrize("make", [Runner, AsyncRunner])
def test_what_the_caller_says_counts_for_everything(make: Callable[..., Any]) -> None:
    widths = make(Wide(), concurrency=5)._widths
    assert widths.of(READS) == 5
    assert widths.of([Write("object", b"")] * 9) == 5
    assert widths.of(READS[:2]) == 2
