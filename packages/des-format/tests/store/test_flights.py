import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from des_format.store.sansio.flights import AsyncFlights, Flights


def test_threads_that_ask_the_same_at_the_same_time_share_one_call() -> None:
    flights, calls = Flights(), []
    began, go_on = threading.Event(), threading.Event()

    def call() -> str:
        calls.append(1)
        began.set()
        assert go_on.wait(30)
        return "answer"

    with ThreadPoolExecutor(4) as threads:
        leader = threads.submit(flights.do, "key", call)
        assert began.wait(30)
        others = [threads.submit(flights.do, "key", call) for _ in range(3)]
        assert flights.do("other", lambda: "its own") == "its own"
        while sum(not one.running() for one in others):
            pass
        go_on.set()
        results = [one.result() for one in (leader, *others)]
    assert set(results) == {"answer"}
    assert len(calls) <= 4  # Whoever came after the end asked anew.


def test_an_error_goes_to_all_who_wait_and_is_forgotten() -> None:
    flights = Flights()

    def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        flights.do("key", fail)
    assert flights.do("key", lambda: 1) == 1


async def test_when_the_first_of_several_tasks_is_cancelled_another_one_begins_anew() -> None:
    flights, calls = AsyncFlights(), []
    began_anew, go_on = asyncio.Event(), asyncio.Event()

    async def call() -> str:
        calls.append(1)
        if len(calls) > 1:
            began_anew.set()
        await go_on.wait()
        return "answer"

    first, *others = [asyncio.create_task(flights.do("key", call)) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await began_anew.wait()
    go_on.set()
    assert await asyncio.gather(*others) == ["answer"] * 4
    assert calls == [1, 1]  # One of them began anew, for all.


async def test_tasks_that_ask_the_same_at_the_same_time_share_one_call() -> None:
    flights, calls = AsyncFlights(), []
    go_on = asyncio.Event()

    async def call() -> str:
        calls.append(1)
        await go_on.wait()
        return "answer"

    tasks = [asyncio.create_task(flights.do("key", call)) for _ in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    go_on.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results.pop(2), asyncio.CancelledError)
    assert results == ["answer"] * 4
    assert calls == [1]


async def test_an_error_goes_to_all_tasks_that_wait_and_is_forgotten() -> None:
    flights = AsyncFlights()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise RuntimeError("no")

    results = await asyncio.gather(*(flights.do("key", fail) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in results] == ["no"] * 3
    assert await flights.do("key", lambda: asyncio.sleep(0, 1)) == 1


async def test_a_call_that_nobody_waits_for_any_more_is_cancelled() -> None:
    flights = AsyncFlights()
    ended: list[Any] = []

    async def call() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    one = asyncio.create_task(flights.do("key", call))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await one
    await asyncio.sleep(0)
    assert ended == [True]
    answer = asyncio.create_task(flights.do("key", lambda: asyncio.sleep(0, "new")))
    assert await answer == "new"
