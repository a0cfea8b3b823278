"""Writers of one manifest queue where the object store lets them."""

from __future__ import annotations

import asyncio
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format.errors import AccessDeniedError, ObjectChangedError
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.ports.objects import TakesTurns, Turn
from des_format.store import DesStore
from des_format.store.sansio.effects import Head, Sleep
from des_format.store.sansio.running import AsyncRunner, Runner
from des_format.testing import FaultyObjectStore, fail_before

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")


@pytest.fixture
def local(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path, create=True)


def turn(objects: LocalObjectStore, key: str = "a") -> Turn:
    found = objects.turn(key)
    assert found is not None
    return found


def test_one_at_a_time_has_the_turn_at_an_object(local: LocalObjectStore) -> None:
    first, second, other = turn(local), turn(local), turn(local, "b")
    assert first.take()
    assert not second.take()
    assert other.take()
    first.end()
    first.end()
    assert not first.take()
    assert second.take()
    second.end()
    other.end()


def test_turns_are_no_objects_and_end_with_theirs(local: LocalObjectStore) -> None:
    one = turn(local)
    assert one.take()
    assert [*local.list()] == []
    local.put("a", b"x", mode="create")
    local.delete("a")
    assert [*local.root.iterdir()] == []
    other = turn(local)
    assert other.take()
    one.end()
    other.end()


def test_there_is_no_turn_where_no_file_can_be(local: LocalObjectStore) -> None:
    assert local.turn("missing/folder") is None
    assert not isinstance(MemoryObjectStore(), TakesTurns)


class Waits:
    """Stands for sleeping: keeps how long, and lets something happen."""

    def __init__(self, then: Any = None) -> None:
        self.seconds: list[float] = []
        self._then = then

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if self._then is not None:
            self._then()

    async def later(self, seconds: float) -> None:
        self(seconds)


QUEUE = Sleep(5.0, "a", 60.0)


async def ask(runner: Runner | AsyncRunner, *requests: Any) -> list[Any]:
    """Let a runner perform one batch."""

    def effects() -> Any:
        return (yield list(requests))

    found: Any = runner.run(effects())
    replies: list[Any] = await found if asyncio.iscoroutine(found) else found
    return replies


def runner(objects: Any, waits: Waits, *, is_async: bool) -> Any:
    return AsyncRunner(objects, sleep=waits.later) if is_async else Runner(objects, sleep=waits)


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_runner_waits_until_the_turn_is_free(local: LocalObjectStore, is_async: bool) -> None:
    holder = turn(local)
    holder.take()
    waits = Waits(holder.end)
    (held,) = await ask(runner(local, waits, is_async=is_async), QUEUE)
    assert len(waits.seconds) == 1
    assert waits.seconds[0] < 0.01
    assert not turn(local).take()
    held.end()


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_runner_goes_on_without_a_turn_in_time(local: LocalObjectStore, is_async: bool) -> None:
    holder = turn(local)
    holder.take()
    (late,) = await ask(runner(local, Waits(), is_async=is_async), Sleep(5.0, "a", 0.0))
    late.end()
    assert not turn(local).take()
    holder.end()


@pytest.mark.parametrize("is_async", [False, True])
async def test_without_turns_or_beside_others_a_runner_only_waits(local: LocalObjectStore, is_async: bool) -> None:
    for objects, requests in ((MemoryObjectStore(), [QUEUE]), (local, [QUEUE, Head("b")]), (local, [Sleep(5.0)])):
        waits = Waits()
        assert (await ask(runner(objects, waits, is_async=is_async), *requests))[0] is None
        assert waits.seconds == [5.0]


class Watched(FaultyObjectStore):
    """Passes turns on, and keeps them."""

    def __init__(self, inner: LocalObjectStore) -> None:
        super().__init__(inner)
        self.turns: list[Turn] = []

    def turn(self, key: str, /) -> Turn | None:
        found = self.inner.turn(key)  # type: ignore[attr-defined]
        self.turns.append(found)
        return found  # type: ignore[no-any-return]


def test_who_lost_queues_and_lets_the_turn_go(local: LocalObjectStore) -> None:
    DesStore.init(local, n_bits=0).close()
    watched = Watched(local)
    store, other = DesStore.open(watched), DesStore.open(local)
    store.put("a", NOON, b"1")
    assert watched.turns == []
    other.put("b", NOON, b"2")
    assert store.put("c", NOON, b"3").retries == 1
    assert len(watched.turns) == 1
    free = turn(local, "20251125/0.manifest")
    assert free.take()
    free.end()
    store.put("d", NOON, b"4")
    assert len(watched.turns) == 2


def test_a_commit_that_fails_lets_its_turn_go(local: LocalObjectStore) -> None:
    DesStore.init(local, n_bits=0).close()
    watched = Watched(local)
    store = DesStore.open(watched)
    store.put("a", NOON, b"1")
    watched.plan.add(
        fail_before(1, ["put"], "*.manifest", error=ObjectChangedError),
        fail_before(2, ["put"], "*.manifest", error=PermissionError),
    )
    with pytest.raises(AccessDeniedError):
        store.put("b", NOON, b"2")
    free = turn(local, "20251125/0.manifest")
    assert free.take()
    free.end()


def test_threads_that_queue_do_not_lose(local: LocalObjectStore) -> None:
    DesStore.init(local, n_bits=0).close()
    start = threading.Barrier(4)

    def add(number: int) -> None:
        with DesStore.open(local) as store:
            start.wait()
            for count in range(10):
                store.put(f"{number}-{count}", NOON, b"x")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = DesStore.open(local)
    assert len(list(store.list("20251125"))) == 40
    assert [commit.sequence for commit in store.history("20251125", 0)] == list(range(1, 41))
