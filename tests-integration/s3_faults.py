"""Runs schedules of faults against a store in S3, and tells on its output what became of them.

A schedule follows from its number: a workload of some operations by two clients in turn, one after the other, and what
happens to each of their requests on its way. Credentials come from the environment.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from des_format.errors import DesError, EntryDeletedError, EntryNotFoundError, UnavailableError
from des_format.store import (
    ArchiveOptions,
    AsyncDesStore,
    CommitPolicy,
    DesStore,
    Operation,
    Receipt,
    StoreOptions,
)
from des_s3 import RetryPolicy, S3ObjectStore
from servers import (
    Answer,
    Cut,
    Fault,
    FaultProxy,
    Latency,
    LostReply,
    Reset,
    SeededFaults,
    Seen,
    Trickle,
)
from servers.http1 import Head
from servers.proxies import Connection

MakeObjects = Callable[..., S3ObjectStore]
THREADS = 6
"""A schedule waits more than it works."""
OPERATIONS = 8
UIDS = ("a", "b", "c", "d")
READ_TIMEOUT_SECONDS = 0.4

RETRIES = RetryPolicy(attempts=4, deadline_seconds=5.0, first_wait_seconds=0.005, max_wait_seconds=0.02)
OPTIONS = StoreOptions(
    manifest_ttl_seconds=0,
    writing=ArchiveOptions(compression="none"),
    commits=CommitPolicy(timeout_seconds=1.0, backoff_seconds=0.002, max_backoff_seconds=0.02),
)

# -- schedules ------------------------------------------------------------------------------

WRITES = ("put", "create", "update")
READS = ("get", "get_range", "list")
CUTS = (Cut(0), Cut(50), Cut(500), Cut(50, is_reset=True))
SLOW = (Latency(0.02), Trickle(2000, 0.005))
STALL = Latency(2 * READ_TIMEOUT_SECONDS)
"""The client has given up when the server sees the request, which takes effect all the same."""
ERRORS = (Answer(500), Answer(503))
ALL: tuple[Fault, ...] = (Reset(), LostReply(), LostReply(), *ERRORS, *CUTS, *SLOW)

Schedule = Callable[[Seen], Fault | None]


@dataclass(frozen=True)
class Storm:
    """Every request from one number to another one is answered with an error."""

    first: int
    last: int

    def __call__(self, seen: Seen) -> Fault | None:
        return ERRORS[seen.number % 2] if self.first <= seen.number <= self.last else None


def schedule_of(number: int) -> Schedule:
    start = random.Random(number).randrange(4, 25)
    kinds: tuple[Callable[[], Schedule], ...] = (
        lambda: SeededFaults(number, 0.15, ALL),
        lambda: SeededFaults(number, 0.4, [LostReply()], WRITES),
        lambda: SeededFaults(number, 0.4, [Reset()]),
        lambda: SeededFaults(number, 0.5, CUTS, READS),
        lambda: SeededFaults(number, 0.4, ERRORS),
        lambda: Storm(start, start + random.Random(-number).choice([8, 20, 60])),
        lambda: SeededFaults(number, 0.5, SLOW),
        lambda: SeededFaults(number, 0.15, [STALL, LostReply()], WRITES),
        lambda: SeededFaults(number, 0.4, ALL),
    )
    return kinds[number % len(kinds)]()


class Network(FaultProxy):
    """Knows whether requests are still on their way, also those that nobody waits for any more."""

    under_way = 0

    async def handle(self, connection: Connection, head: Head, seen: Seen) -> bool:
        self.under_way += 1
        try:
            return await super().handle(connection, head, seen)
        finally:
            self.under_way -= 1

    def repair(self) -> None:
        """Let everything pass from here on, and wait for what is on its way."""
        self.schedule = None
        give_up_at = time.monotonic() + 60
        while self.under_way:
            assert time.monotonic() < give_up_at
            time.sleep(0.01)


# -- the model ------------------------------------------------------------------------------


@dataclass
class Model:
    """What a shard may hold, as far as its clients were told.

    Attributes:
        may_be: The possible payloads of each entry; None stands for none.
        is_in_doubt: A commit whose end nobody knows may still take effect. The next one that is acknowledged ends
            that: it replaced the manifest that the other one expects.
        acknowledged: What was acknowledged, by the kind of commit.
        unknown: How many operations of each kind ended without anybody knowing how.
    """

    may_be: dict[str, set[bytes | None]] = field(default_factory=lambda: {uid: {None} for uid in UIDS})
    is_in_doubt: bool = False
    acknowledged: dict[Operation, list[Receipt]] = field(
        default_factory=lambda: {Operation.ADD: [], Operation.DELETE: []}
    )
    unknown: Counter[Operation] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)

    def committed(self, operation: Operation, uid: str, value: bytes | None, receipt: Receipt) -> None:
        self.may_be[uid] = {value}
        self.is_in_doubt = False
        self.acknowledged[operation].append(receipt)

    def lost_sight(self, operation: Operation, uid: str, value: bytes | None) -> None:
        self.may_be[uid].add(value)
        self.is_in_doubt = True
        self.unknown[operation] += 1

    def saw(self, uid: str, value: bytes | None) -> None:
        assert value in self.may_be[uid], f"{uid} is {_short(value)}, expected {[*map(_short, self.may_be[uid])]}"
        if not self.is_in_doubt:
            self.may_be[uid] = {value}


def _short(value: bytes | None) -> str:
    return "absent" if value is None else f"{value[:12]!r} of {len(value)}"


# -- clients --------------------------------------------------------------------------------


class Client:
    """A store of either kind, whose methods wait."""

    def __init__(
        self, kind: type[DesStore] | type[AsyncDesStore], objects: S3ObjectStore, loop: asyncio.Runner
    ) -> None:
        self._kind = kind
        self._objects = objects
        self._loop = loop
        self._store: Any = None
        self.name = f"{kind.__name__} by {objects.engine}"
        self.open()

    def open(self) -> None:
        """Forget all that is known of the store."""
        self._store = self._wait_for(self._kind.open(self._objects, options=OPTIONS))

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._wait_for(getattr(self._store, method)(*arguments, **options))

    def _wait_for(self, result: Any) -> Any:
        async def settle() -> Any:
            if isinstance(result, AsyncIterator):
                return [one async for one in result]
            return await result

        if inspect.isawaitable(result) or isinstance(result, AsyncIterator):
            return self._loop.run(settle())
        return list(result) if isinstance(result, Iterator) else result

    def get(self, uid: str, at: datetime) -> bytes | None:
        """Return a payload; None where there is no such entry."""
        try:
            payload: bytes = self.call("get", uid, at)
        except (EntryNotFoundError, EntryDeletedError):
            return None
        return payload


class Workload:
    """Some operations on one day of the store, which nobody else uses.

    Args:
        number: Of the schedule.
        clients: Those who take turns.
    """

    def __init__(self, number: int, clients: Sequence[Client]) -> None:
        self.dice = random.Random(f"workload {number}")
        self.clients = self.dice.sample(clients, 2)
        self.at = datetime(1950, 1, 1, 12, tzinfo=UTC) + timedelta(days=number)
        self.day = f"{self.at:%Y%m%d}"
        self.model = Model()
        self._payload_count = 0

    def run(self) -> None:
        operations = [self.put, self.delete, self.get, self.get_many, self.list, self.reopen]
        for _ in range(OPERATIONS):
            client = self.dice.choice(self.clients)
            (operation,) = self.dice.choices(operations, [8, 3, 3, 2, 2, 1])
            self.model.log.append(f"{operation.__name__} by {client.name}")
            try:
                operation(client, self.dice.choice(UIDS))
            except DesError as error:
                if not error.retryable:
                    raise
                self.model.log[-1] += f": {type(error).__name__}"

    def put(self, client: Client, uid: str) -> None:
        self._payload_count += 1
        payload = b"%d %s " % (self._payload_count, uid.encode()) * self.dice.choice([1, 100, 1000])
        try:
            receipt = client.call("put", uid, self.at, payload)
        except UnavailableError:
            self.model.lost_sight(Operation.ADD, uid, payload)
            raise
        self.model.committed(Operation.ADD, uid, payload, receipt)

    def delete(self, client: Client, uid: str) -> None:
        try:
            receipt = client.call("delete", uid, self.at, reason="test", by="test")
        except (EntryNotFoundError, EntryDeletedError):
            self.model.saw(uid, None)
        except UnavailableError:
            self.model.lost_sight(Operation.DELETE, uid, None)
            raise
        else:
            assert self.model.may_be[uid] != {None}
            self.model.committed(Operation.DELETE, uid, None, receipt)

    def get(self, client: Client, uid: str) -> None:
        self.model.saw(uid, client.get(uid, self.at))

    def get_many(self, client: Client, _uid: str) -> None:
        found = client.call("get_many", [(uid, self.at) for uid in UIDS])
        for uid in UIDS:
            self.model.saw(uid, found.get((uid, self.at)))

    def list(self, client: Client, _uid: str) -> None:
        listed = [found.entry.name for found in client.call("list", self.day)]
        assert len(set(listed)) == len(listed)
        for uid in UIDS:
            assert (None if uid not in listed else ...) in {
                None if value is None else ... for value in self.model.may_be[uid]
            }

    def reopen(self, client: Client, _uid: str) -> None:
        client.open()

    def check(self, direct: DesStore) -> None:
        """See by one who had no part in it what is there, and that the clients are in their right minds."""
        self.model.log.append("check")
        self.model.is_in_doubt = False  # everything is at rest
        found = direct.get_many([(uid, self.at) for uid in UIDS])
        for uid in UIDS:
            self.model.saw(uid, found.get((uid, self.at)))
        listed = sorted(one.entry.name for one in direct.list(self.day))
        assert listed == sorted(uid for uid, _at in found)
        for client in self.clients:
            assert client.call("get_many", [(uid, self.at) for uid in UIDS]) == found
        self.check_history(direct)

    def check_history(self, direct: DesStore) -> None:
        history = direct.history(self.day, "0")
        assert [commit.sequence for commit in history] == list(range(1, len(history) + 1))
        assert len({commit.id for commit in history}) == len(history)
        added = {(commit.sequence, row.id) for commit in history for row in commit.added}
        for operation, receipts in self.model.acknowledged.items():
            count = sum(commit.operation is operation for commit in history)
            assert len(receipts) <= count <= len(receipts) + self.model.unknown[operation]
            if operation is Operation.ADD:
                assert {(receipt.sequence, receipt.archive_id) for receipt in receipts} <= added


# -- running --------------------------------------------------------------------------------


@dataclass
class Tally:
    """What became of the schedules."""

    schedules: int = 0
    requests: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, workload: Workload, requests: Sequence[Seen]) -> None:
        model = workload.model
        self.schedules += 1
        self.requests += len(requests)
        self.operations["acknowledged"] += sum(map(len, model.acknowledged.values()))
        self.operations["of unknown end"] += model.unknown.total()
        self.operations["failed otherwise"] += sum(": " in line for line in model.log) - model.unknown.total()
        self.faults.update(type(seen.fault).__name__ for seen in requests if seen.fault is not None)


class Worker:
    """Runs schedules, one after the other, with connections of its own.

    Args:
        make_objects: Makes object stores; takes arguments of `S3ObjectStore`.
        endpoint_url: The server's.
        stack: Ends what this begins.
    """

    def __init__(self, make_objects: MakeObjects, endpoint_url: str, stack: ExitStack) -> None:
        self.network = stack.enter_context(Network(endpoint_url))
        direct = stack.enter_context(make_objects(endpoint_url=endpoint_url))
        self.direct = stack.enter_context(DesStore.open(direct, options=OPTIONS))
        loop = stack.enter_context(asyncio.Runner())
        self.clients = []
        for engine in ("obstore", "boto"):
            objects = make_objects(
                endpoint_url=self.network.url,
                engine=engine,
                retries=RETRIES,
                read_timeout_seconds=READ_TIMEOUT_SECONDS,
            )
            stack.callback(lambda objects=objects: loop.run(objects.aclose()))
            self.clients += [Client(kind, objects, loop) for kind in (DesStore, AsyncDesStore)]

    def run(self, number: int) -> Workload:
        workload = Workload(number, self.clients)
        self.network.reset()
        self.network.schedule = schedule_of(number)
        try:
            workload.run()
            self.network.repair()
            workload.check(self.direct)
        except BaseException as error:
            error.add_note(f"DES_FAULT_FIRST={number} DES_FAULT_SCHEDULES=1; day {workload.day}")
            seen = [f"{one.kind} {one.target[-60:]}: {one.fault} {one.status}" for one in self.network.requests]
            error.add_note("\n".join([*workload.model.log, *seen]))
            raise
        return workload


def main(endpoint_url: str, bucket: str, prefix: str, quotes: bool, numbers: Iterable[int]) -> Tally:
    """Run the schedules of these numbers, some at a time."""
    logging.getLogger("des_s3").setLevel(logging.ERROR)  # it warns of repeated requests
    session = boto3.Session()
    tally = Tally()
    lock = threading.Lock()
    left = iter(numbers)

    def make_objects(**arguments: Any) -> S3ObjectStore:
        return S3ObjectStore(bucket, prefix, session=session, if_match_quotes=quotes, **arguments)

    def work(_: int) -> None:
        with ExitStack() as stack:
            worker = Worker(make_objects, endpoint_url, stack)
            for number in left:
                workload = worker.run(number)
                with lock:
                    tally.add(workload, worker.network.requests)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(work, range(THREADS)))
    return tally


if __name__ == "__main__":
    told = main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4] == "quoted", range(*map(int, sys.argv[5:])))
    print(json.dumps(vars(told)))
