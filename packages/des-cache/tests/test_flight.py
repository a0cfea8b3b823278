"""Many who need the same cause one load."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from des_cache import SingleFlight, SingleFlightAsync


class Gate:
    """A load for threads, which ends when it may; `joined` tells when so many callers are waiting for it."""

    def __init__(self, result: bytes | BaseException) -> None:
        self.result = result
        self.load_count = 0
        self.started, self.may_end = threading.Event(), threading.Event()

    def load(self) -> bytes:
        self.load_count += 1
        self.started.set()
        assert self.may_end.wait(30)
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


def run_together(flights: SingleFlight[bytes], gate: Gate, count: int) -> list[bytes | BaseException]:
    """Let threads ask for one key while the load of the first is going on."""
    entered = threading.Semaphore(0)

    def ask() -> bytes:
        entered.release()
        return flights.run("key", gate.load)

    with ThreadPoolExecutor(count) as pool:
        first = pool.submit(ask)
        assert gate.started.wait(30)
        rest = [pool.submit(ask) for _ in range(count - 1)]
        for _ in range(count):
            assert entered.acquire(timeout=30)
        gate.may_end.set()
        return [future.exception() or future.result() for future in [first, *rest]]


def test_threads_share_a_load() -> None:
    gate = Gate(b"value")
    flights: SingleFlight[bytes] = SingleFlight()
    results = run_together(flights, gate, 8)
    assert results == [b"value"] * 8
    # A thread that enters after the load has ended begins a new one; those that waited did not.
    assert gate.load_count < 8
    count = gate.load_count
    assert flights.run("key", gate.load) == b"value"
    assert gate.load_count == count + 1


def test_an_error_goes_to_all_threads_and_is_not_kept() -> None:
    gate = Gate(ConnectionError("down"))
    flights: SingleFlight[bytes] = SingleFlight()
    assert run_together(flights, gate, 8) == [gate.result] * 8
    gate.result = b"value"
    assert flights.run("key", gate.load) == b"value"


def test_a_thread_that_is_stopped_does_not_stop_the_others() -> None:
    flights: SingleFlight[bytes] = SingleFlight()
    started, may_end = threading.Event(), threading.Event()

    def stopped() -> bytes:
        started.set()
        assert may_end.wait(30)
        raise SystemExit

    with ThreadPoolExecutor(2) as pool:
        leader = pool.submit(flights.run, "key", stopped)
        assert started.wait(30)
        follower = pool.submit(flights.run, "key", lambda: b"value")
        may_end.set()
        assert isinstance(leader.exception(), SystemExit)
        assert follower.result() == b"value"


def test_different_keys_do_not_wait_for_each_other() -> None:
    flights: SingleFlight[str] = SingleFlight()
    assert flights.run("a", lambda: flights.run("b", lambda: "inner") + "!") == "inner!"


def test_a_load_that_asks_for_itself_is_told() -> None:
    flights: SingleFlight[bytes] = SingleFlight()
    with pytest.raises(RuntimeError, match="asks for itself"):
        flights.run("a", lambda: flights.run("a", lambda: b""))
    assert flights.run("a", lambda: b"1") == b"1"


def test_after_forget_a_new_load_begins() -> None:
    flights: SingleFlight[bytes] = SingleFlight()

    def load() -> bytes:
        flights.forget("a")
        return flights.run("a", lambda: b"new") + b" and old"

    assert flights.run("a", load) == b"new and old"


class AsyncGate:
    def __init__(self, result: bytes | Exception = b"value") -> None:
        self.result = result
        self.load_count = 0
        self.cancelled_count = 0
        self.may_end = asyncio.Event()

    async def load(self) -> bytes:
        self.load_count += 1
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled_count += 1
            raise
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_tasks_share_a_load() -> None:
    gate = AsyncGate()
    flights: SingleFlightAsync[bytes] = SingleFlightAsync()
    tasks = [asyncio.create_task(flights.run("key", gate.load)) for _ in range(100)]
    await settle()
    gate.may_end.set()
    assert await asyncio.gather(*tasks) == [b"value"] * 100
    assert gate.load_count == 1
    assert await flights.run("key", gate.load) == b"value"
    assert gate.load_count == 2


async def test_an_error_goes_to_all_tasks_and_is_not_kept() -> None:
    gate = AsyncGate(ConnectionError("down"))
    flights: SingleFlightAsync[bytes] = SingleFlightAsync()
    tasks = [asyncio.create_task(flights.run("key", gate.load)) for _ in range(5)]
    await settle()
    gate.may_end.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) == [gate.result] * 5
    gate.result = b"value"
    assert await flights.run("key", gate.load) == b"value"


@pytest.mark.parametrize("cancelled", [[0], [1], [0, 1, 2]])
async def test_a_cancelled_task_does_not_disturb_the_others(cancelled: list[int]) -> None:
    gate = AsyncGate()
    flights: SingleFlightAsync[bytes] = SingleFlightAsync()
    tasks = [asyncio.create_task(flights.run("key", gate.load)) for _ in range(5)]
    await settle()
    for number in cancelled:
        tasks[number].cancel()
    await settle()
    gate.may_end.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [n in cancelled for n in range(5)]
    assert [result for result in results if isinstance(result, bytes)] == [b"value"] * (5 - len(cancelled))
    assert (gate.load_count, gate.cancelled_count) == (1, 0)


async def test_a_load_that_nobody_waits_for_is_cancelled() -> None:
    gate = AsyncGate()
    flights: SingleFlightAsync[bytes] = SingleFlightAsync()
    tasks = [asyncio.create_task(flights.run("key", gate.load)) for _ in range(3)]
    await settle()
    for task in tasks:
        task.cancel()
    await settle()
    assert gate.cancelled_count == 1
    gate.may_end.set()
    assert await flights.run("key", gate.load) == b"value"


async def test_after_forget_a_new_load_begins_for_tasks() -> None:
    old, new = AsyncGate(b"old"), AsyncGate(b"new")
    flights: SingleFlightAsync[bytes] = SingleFlightAsync()
    first = asyncio.create_task(flights.run("key", old.load))
    await settle()
    flights.forget("key")
    second = asyncio.create_task(flights.run("key", new.load))
    await settle()
    old.may_end.set()
    assert await first == b"old"
    third = asyncio.create_task(flights.run("key", old.load))
    await settle()
    new.may_end.set()
    assert (await second, await third) == (b"new", b"new")
