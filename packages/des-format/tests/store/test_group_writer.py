"""Group commit: common archives, an acknowledgement for each entry."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from des_format import DesWriter
from des_format.errors import (
    EntryNotFoundError,
    InvalidInputError,
    InvalidNameError,
    UnavailableError,
    WriterClosedError,
)
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.store import ArchiveOptions, AsyncDesStore, CommitPolicy, DesStore, Receipt, StoreOptions
from des_format.store.writers.grouping import GroupLimits
from des_format.testing import FaultyObjectStore, delay, fail_after, fail_before, lose_reply
from hypothesis import given, settings
from hypothesis import strategies as st

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
DAY = "20251125"
NO_PATIENCE = StoreOptions(commits=CommitPolicy(timeout_seconds=0))


@pytest.fixture(params=["memory", "local"])
def inner(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An object store with a store of four shards in it."""
    inner: Any = MemoryObjectStore()
    if request.param == "local":
        inner = LocalObjectStore(tmp_path / "objects", create=True)
    DesStore.init(inner, n_bits=2).close()
    return inner


class Gate:
    """Holds the first write of an archive back, so that a test decides what gathers meanwhile."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, _operation: str, _key: str) -> None:
        self.reached.set()
        self.opened.wait()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def objects(inner: Any, gate: Gate) -> FaultyObjectStore:
    """The object store behind the gate."""
    objects = FaultyObjectStore(inner)
    objects.plan.add(delay(gate, 1, ["put"], "*.des"))
    return objects


def end(future: Future[Receipt]) -> Any:
    return future.exception() or future.result()


def test_entries_that_come_while_a_group_is_written_share_the_next_commit(
    inner: Any, objects: FaultyObjectStore, gate: Gate
) -> None:
    store = DesStore.open(objects)
    with store.group_writer(max_delay_seconds=0) as group:
        first = group.add(0, NOON, b"first")
        gate.reached.wait()
        others = [group.add(4 * number, NOON, b"%d" % number) for number in range(1, 100)]
        assert not first.done()
        gate.opened.set()
    assert first.result().sequence == 1
    assert {future.result() for future in others} == {others[0].result()}
    assert others[0].result().sequence == 2
    assert DesStore.open(inner).get(4 * 99, NOON) == b"99"


def test_each_shard_has_an_archive_of_its_own(inner: Any) -> None:
    store = DesStore.open(inner)
    with store.group_writer(max_delay_seconds=60) as group:
        futures = [group.add(number, NOON + timedelta(days=number % 2), b"x") for number in range(80)]
        group.flush()
        assert all(future.done() for future in futures)
    assert len({future.result() for future in futures}) == 4
    assert all(len(store.history(day, shard)) == 1 for day in store.days() for shard in store.shards(day))


def test_what_is_refused_fails_alone(inner: Any) -> None:
    store = DesStore.open(inner)
    with store.group_writer() as group:
        good = [group.add(f"good{number}", NOON, b"x", {"n": number}) for number in range(20)]
        refused = {
            InvalidInputError: [
                group.add("", NOON, b""),
                group.add("naive", datetime(2025, 1, 1), b""),  # noqa: DTZ001  # that is what is refused
                group.add("meta", NOON, b"", {"a": object()}),
                group.add("\ud800", NOON, b""),
            ],
            InvalidNameError: [group.add("n" * 70_000, NOON, b"")],
            TypeError: [group.add(1.5, NOON, b""), group.add("text", NOON, "text")],  # type: ignore[arg-type]
        }
    assert all(future.result().sequence for future in good)
    for kind, futures in refused.items():
        for future in futures:
            with pytest.raises(kind):
                future.result()
    assert {entry.entry.name for entry in store.list(DAY)} == {f"good{number}" for number in range(20)}


def test_an_entry_is_added_as_it_was_when_it_was_accepted(objects: FaultyObjectStore, gate: Gate) -> None:
    store = DesStore.open(objects)
    data, meta = bytearray(b"before"), {"a": [1]}
    with store.group_writer(max_delay_seconds=60) as group:
        group.add("a", NOON, data, meta)
        data[:] = b"after!"
        meta["a"].append(2)
        gate.opened.set()
    assert store.get("a", NOON) == b"before"
    assert store.get_entry("a", NOON).entry.meta == {"a": [1]}


def test_of_equal_names_the_later_one_wins(inner: Any) -> None:
    store = DesStore.open(inner)
    with store.group_writer(max_delay_seconds=60) as group:
        futures = [group.add(4, NOON, b"%d" % number) for number in range(5)]
        other = group.add(8, NOON, b"other")
    assert [future.result().sequence for future in futures] == [1, 2, 3, 4, 5]
    assert other.result().sequence == 1
    assert store.get(4, NOON) == b"4"


def test_a_shard_that_fails_fails_its_own_entries(inner: Any) -> None:
    objects = FaultyObjectStore(inner)
    store = DesStore.open(objects, options=NO_PATIENCE)
    objects.plan.add(fail_before(None, ["put"], f"{DAY}/1.manifest"))
    with store.group_writer(max_delay_seconds=60) as group:
        futures = [group.add(number, NOON, b"x") for number in range(40)]
        group.flush()
        objects.plan.clear()
        again = group.add(1, NOON, b"again")
    assert [isinstance(end(future), UnavailableError) for future in futures] == [n % 4 == 1 for n in range(40)]
    assert again.result().sequence == 1
    assert store.get(1, NOON) == b"again"


@pytest.mark.parametrize("fault", [fail_before, fail_after, lose_reply])
def test_whichever_call_fails_once_every_entry_is_added_once_or_fails(fault: Any) -> None:
    def run(*faults: Any) -> tuple[int, list[Any], DesStore]:
        inner = MemoryObjectStore()
        DesStore.init(inner, n_bits=1).close()
        objects = FaultyObjectStore(inner)
        store = DesStore.open(objects)
        opening = objects.plan.call_count
        objects.plan.add(*faults)
        with store.group_writer(max_delay_seconds=60) as group:
            futures = [group.add(number, NOON, b"x") for number in range(4)]
        return objects.plan.call_count - opening, [end(future) for future in futures], DesStore.open(inner)

    calls, _ends, _store = run()
    for nth in range(1, calls + 1):
        _calls, ends, store = run(fault(nth))
        assert all(isinstance(one, Receipt) for one in ends)
        assert [entry.entry.name for entry in store.list(DAY)] == ["0", "2", "1", "3"]
        assert sum(len(store.history(DAY, shard)) for shard in (0, 1)) == 2


def test_a_failure_that_is_no_error_of_the_store_is_told_too(inner: Any) -> None:
    objects = FaultyObjectStore(inner)
    store = DesStore.open(objects)
    objects.plan.add(fail_before(1, ["put"], "*.des", error=AssertionError))
    with store.group_writer(max_delay_seconds=0) as group:
        with pytest.raises(AssertionError):
            group.add(1, NOON, b"x").result()
        assert group.add(1, NOON, b"x").result().sequence == 1


def test_a_big_file_that_cannot_be_stored_fails_alone(inner: Any) -> None:
    objects = FaultyObjectStore(inner)
    options = StoreOptions(writing=ArchiveOptions(big_file_threshold=8))
    store = DesStore.open(objects, options=options)
    objects.plan.add(fail_before(None, ["put"], "*/_bigFiles/*"))
    with store.group_writer(max_delay_seconds=60) as group:
        small, big = group.add(4, NOON, b"small"), group.add(8, NOON, b"more than that")
        alone = group.add(1, NOON, b"more than that")
    assert small.result().sequence == 1
    assert isinstance(end(big), UnavailableError)
    assert isinstance(end(alone), UnavailableError)
    assert store.shards(DAY) == ["0"]


def test_an_archive_that_cannot_be_built_fails_its_entries(inner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DesStore.open(inner)

    def fail(_self: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(DesWriter, "close", fail)
    with store.group_writer(max_delay_seconds=60) as group:
        future = group.add(1, NOON, b"x")
    assert isinstance(end(future), MemoryError)


def test_adding_blocks_while_too_much_waits(objects: FaultyObjectStore, gate: Gate) -> None:
    store = DesStore.open(objects)
    with store.group_writer(max_delay_seconds=0, max_bytes=4000) as group:
        group.add(0, NOON, b"x")
        gate.reached.wait()
        futures = [group.add(4, NOON, bytes(1000)), group.add(8, NOON, bytes(1000))]
        blocked = threading.Thread(target=lambda: futures.append(group.add(12, NOON, bytes(1000))))
        blocked.start()
        blocked.join(0.01)
        assert len(futures) == 2
        gate.opened.set()
        blocked.join()
    assert [future.result().sequence for future in futures] == [2, 2, 3]


def test_closing_wakes_those_that_are_blocked(objects: FaultyObjectStore, gate: Gate) -> None:
    store = DesStore.open(objects)
    group = store.group_writer(max_delay_seconds=0, max_bytes=100)
    first = group.add(0, NOON, b"x")
    gate.reached.wait()
    waiting = group.add(4, NOON, bytes(1000))
    errors: list[Exception] = []

    def add() -> None:
        try:
            group.add(8, NOON, b"x")
        except WriterClosedError as error:
            errors.append(error)

    blocked = threading.Thread(target=add)
    blocked.start()
    closing = threading.Thread(target=group.close)
    closing.start()
    blocked.join()
    gate.opened.set()
    closing.join()
    assert len(errors) == 1
    assert first.result().sequence < waiting.result().sequence
    group.close()
    with pytest.raises(WriterClosedError):
        group.add(1, NOON, b"x")


def test_a_block_that_ends_by_an_exception_keeps_what_was_accepted(inner: Any) -> None:
    store = DesStore.open(inner)
    futures = []

    def work() -> None:
        with store.group_writer(max_delay_seconds=60) as group:
            futures.append(group.add(1, NOON, b"x"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert futures[0].result().sequence == 1


def test_an_entry_can_be_cancelled_until_its_group_begins(objects: FaultyObjectStore, gate: Gate) -> None:
    store = DesStore.open(objects)
    with store.group_writer(max_delay_seconds=0) as group:
        first = group.add(0, NOON, b"x")
        gate.reached.wait()
        assert not first.cancel()
        second, third = group.add(4, NOON, b"second"), group.add(4, NOON, b"third")
        assert second.cancel()
        gate.opened.set()
        group.flush()
    assert third.result().sequence == 2
    assert store.get(4, NOON) == b"third"


def test_no_more_entries_share_a_commit_than_allowed(inner: Any) -> None:
    store = DesStore.open(inner)
    with store.group_writer(max_delay_seconds=60, max_entries=3) as group:
        futures = [group.add(4 * number, NOON, b"x") for number in range(9)]
    assert max(sum(one.result().sequence == number for one in futures) for number in range(1, 10)) <= 3


@pytest.mark.parametrize("limits", [(-1, 1, 1), (0, 0, 1), (0, 1, 0)])
def test_limits_that_make_no_sense_are_refused(limits: tuple[float, int, int]) -> None:
    with pytest.raises(InvalidInputError):
        GroupLimits(*limits)


def _use_in_child(group: Any, answers: Any) -> None:
    for use in (lambda: group.add(1, NOON, b"x"), group.flush):
        try:
            use()
        except WriterClosedError as error:
            answers.put(str(error))
    group.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_is_refused_and_the_parent_goes_on(inner: Any) -> None:
    context = multiprocessing.get_context("fork")
    store = DesStore.open(inner)
    with store.group_writer() as group:
        answers = context.SimpleQueue()
        child = context.Process(target=_use_in_child, args=(group, answers))
        child.start()
        child.join()
        assert child.exitcode == 0
        assert f"belongs to process {os.getpid()}" in answers.get()
        assert f"belongs to process {os.getpid()}" in answers.get()
        assert group.add(1, NOON, b"x").result().sequence == 1


def _write_in_child(store: DesStore) -> None:
    with store, store.group_writer() as group:
        for number in range(20):
            group.add(f"child{number}", NOON, b"x").result()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_can_use_the_store_itself(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    store = DesStore.init(tmp_path, n_bits=2)
    with store.group_writer(max_delay_seconds=60) as group:
        for number in range(20):
            group.add(number, NOON, b"x")
    child = context.Process(target=_write_in_child, args=(store,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert len(list(DesStore.open(tmp_path).list(DAY))) == 40


# -- many threads -----------------------------------------------------------------------------

Add = tuple[str, bytes, bool]
ADDS = st.lists(
    st.tuples(st.sampled_from([f"name{number}" for number in range(12)]), st.binary(max_size=40), st.booleans()),
    max_size=30,
)


@given(plan=st.lists(ADDS, min_size=1, max_size=4), max_entries=st.integers(1, 20))
@settings(max_examples=40)
def test_whatever_threads_add_each_acknowledged_entry_reads_back_and_the_later_wins(
    plan: list[list[Add]], max_entries: int
) -> None:
    store = DesStore.init(MemoryObjectStore(), n_bits=1)
    ends: list[list[tuple[str, bytes, Future[Receipt]]]] = [[] for _ in plan]
    start = threading.Barrier(len(plan))

    def add(group: Any, number: int) -> None:
        start.wait()
        for name, data, is_good in plan[number]:
            uid = f"{number}-{name}"
            meta = {"a": 1} if is_good else {"a": object()}
            ends[number].append((uid, data, group.add(uid, NOON, data, meta)))

    with store.group_writer(max_delay_seconds=0, max_entries=max_entries) as group:
        threads = [threading.Thread(target=add, args=(group, number)) for number in range(len(plan))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    expected: dict[str, bytes] = {}
    for number, added in enumerate(ends):
        for (uid, data, future), (_name, _data, is_good) in zip(added, plan[number], strict=True):
            assert (future.exception() is None) == is_good
            if is_good:
                expected[uid] = data
    assert {entry.entry.name for entry in store.list(DAY)} == set(expected)
    assert {uid: store.get(uid, NOON) for uid in expected} == expected
    for uid in {uid for added in ends for uid, _data, _future in added} - set(expected):
        with pytest.raises(EntryNotFoundError):
            store.get(uid, NOON)
    store.close()


# -- asynchronously ---------------------------------------------------------------------------


async def test_tasks_share_commits(inner: Any) -> None:
    store = await AsyncDesStore.open(inner)
    async with store.group_writer(max_delay_seconds=60) as group:
        adding = asyncio.gather(*(group.add(4 * number, NOON, b"%d" % number) for number in range(50)))
        await asyncio.sleep(0)
        await group.flush()
        assert {receipt.sequence for receipt in await adding} == {1}
    assert await store.get(4, NOON) == b"1"


async def test_a_task_whose_entry_is_refused_fails_alone(inner: Any) -> None:
    store = await AsyncDesStore.open(inner)
    async with store.group_writer(max_delay_seconds=0) as group:
        refused = group.add("a", NOON, b"", {"a": object()})
        ends = await asyncio.gather(group.add(1, NOON, b"x"), refused, return_exceptions=True)
    assert [type(one) for one in ends] == [Receipt, InvalidInputError]


async def test_of_equal_names_the_later_task_wins(inner: Any) -> None:
    store = await AsyncDesStore.open(inner)
    async with store.group_writer(max_delay_seconds=0) as group:
        receipts = await asyncio.gather(*(group.add(4, NOON, b"%d" % number) for number in range(5)))
    assert [receipt.sequence for receipt in receipts] == [1, 2, 3, 4, 5]
    assert await store.get(4, NOON) == b"4"


async def test_a_shard_that_fails_fails_its_own_tasks(inner: Any) -> None:
    objects = FaultyObjectStore(inner)
    store = await AsyncDesStore.open(objects, options=NO_PATIENCE)
    objects.plan.add(fail_before(None, ["put"], f"{DAY}/1.manifest"))
    async with store.group_writer(max_delay_seconds=0) as group:
        ends = await asyncio.gather(*(group.add(n, NOON, b"x") for n in range(8)), return_exceptions=True)
    assert [isinstance(one, UnavailableError) for one in ends] == [n % 4 == 1 for n in range(8)]


async def test_a_bug_in_the_object_store_is_told_to_tasks_too(inner: Any) -> None:
    objects = FaultyObjectStore(inner)
    store = await AsyncDesStore.open(objects)
    objects.plan.add(fail_before(1, ["put"], "*.des", error=AssertionError))
    async with store.group_writer(max_delay_seconds=0) as group:
        with pytest.raises(BaseException) as raised:  # noqa: PT011  # what it is wrapped in does not matter
            await group.add(1, NOON, b"x")
        assert "AssertionError" in repr(raised.value)
        assert (await group.add(1, NOON, b"x")).sequence == 1


async def test_tasks_wait_while_too_much_waits(inner: Any) -> None:
    store = await AsyncDesStore.open(inner)
    async with store.group_writer(max_delay_seconds=0, max_bytes=2000) as group:
        receipts = await asyncio.gather(*(group.add(4 * number, NOON, bytes(1000)) for number in range(6)))
    assert {receipt.sequence for receipt in receipts} == {1, 2, 3, 4, 5, 6}


async def test_a_closed_writer_refuses_tasks(inner: Any) -> None:
    store = await AsyncDesStore.open(inner)
    group = store.group_writer()
    await group.close()
    await group.close()
    with pytest.raises(WriterClosedError):
        await group.add(1, NOON, b"x")


def test_a_loop_that_ends_tells_what_still_waits(inner: Any) -> None:
    ends: list[BaseException] = []

    async def work() -> None:
        store = await AsyncDesStore.open(inner)
        group = store.group_writer(max_delay_seconds=60)

        async def add() -> None:
            try:
                await group.add(1, NOON, b"x")
            except BaseException as error:
                ends.append(error)
                raise

        task = asyncio.create_task(add())
        await asyncio.sleep(0)
        assert not task.done()

    asyncio.run(work())
    assert len(ends) == 1
    assert isinstance(ends[0], asyncio.CancelledError | WriterClosedError)
