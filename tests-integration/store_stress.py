"""One process of a stress test of stores: adds, deletes, and says on its output what was acknowledged."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from des_format.errors import ConflictError, EntryDeletedError, UnavailableError
from des_format.objects import LocalObjectStore
from des_format.ports.objects import Content, PutMode, PutResult, TakesTurns
from des_format.store import DesStore, GroupWriter, Receipt
from des_format.testing import Fault, FaultyObjectStore, MeteredObjectStore, Plan, fail_after, fail_before, lose_reply

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
THREADS = 4
WINDOW = 1024
DELETED_PART = 0.02


def payload(uid: str) -> bytes:
    """What an entry must hold."""
    return (uid * 8).encode()


class MeteredByKind(MeteredObjectStore):
    """Counts what was written of archives and of metadata apart, and the writes that lost against others."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        if isinstance(inner, TakesTurns):
            self.turn = inner.turn
        self.written: Counter[str] = Counter()

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        try:
            result = super().put(path, file, mode=mode)
        except ConflictError:
            with self._lock:
                self.written["conflicts"] += 1
            raise
        kind = "archives" if path.endswith(".des") else "metadata"
        with self._lock:
            self.written[kind] += len(file) if isinstance(file, bytes) else Path(str(file)).stat().st_size
            self.written["manifests"] += path.endswith(".manifest")
        return result


class RandomPlan(Plan):
    """Lets a part of all calls fail, before or after they take effect, or with their reply lost."""

    def __init__(self, seed: int, rate: float) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._rate = rate

    def meet(self, operation: str, keys: Iterable[str], *, conditional: bool = False) -> list[Fault]:
        super().meet(operation, keys, conditional=conditional)
        with self._lock:
            if self._random.random() >= self._rate:
                return []
            kinds = [fail_before, fail_after, *([lose_reply] if conditional else [])]
            return [self._random.choice(kinds)()]


@dataclass
class Outcome:
    """What a process was told."""

    added: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    most_retries: int = 0
    written: dict[str, int] = field(default_factory=dict)

    def note(self, uid: str, receipt: Receipt) -> None:
        self.added.append(uid)
        self.most_retries = max(self.most_retries, receipt.retries)


def add_and_delete(store: DesStore, group: GroupWriter, name: str, count: int) -> Outcome:
    """Add entries, at most `WINDOW` of them unacknowledged at a time, and delete some that were acknowledged."""
    chosen = random.Random(name)
    outcome = Outcome()
    pending: list[tuple[str, Future[Receipt]]] = []
    deletions = int(count * DELETED_PART)
    adds = count - deletions

    def settle(limit: int) -> None:
        while len(pending) > limit:
            uid, future = pending.pop(0)
            try:
                outcome.note(uid, future.result())
            except UnavailableError:
                outcome.unknown.append(uid)

    for number in range(adds):
        uid = f"{name}-{number}"
        pending.append((uid, group.add(uid, NOON, payload(uid))))
        settle(WINDOW)
    settle(0)
    for uid in chosen.sample(outcome.added, min(deletions, len(outcome.added))):
        delete(store, uid)
        outcome.deleted.append(uid)
    return outcome


def delete(store: DesStore, uid: str) -> None:
    """Delete an entry, however often the storage fails."""
    while True:
        try:
            store.delete(uid, NOON, reason="test", by=uid)
            return
        except EntryDeletedError:
            return  # A try before this one, whose end was not known.
        except UnavailableError:
            continue


def grouped(store: DesStore, name: str, count: int) -> Outcome:
    """Adds in groups, and deletions, of several threads."""
    with store.group_writer() as group, ThreadPoolExecutor(THREADS) as threads:
        names = [f"{name}-{number}" for number in range(THREADS)]
        outcomes = list(threads.map(lambda one: add_and_delete(store, group, one, count // THREADS), names))
    return Outcome(
        [uid for one in outcomes for uid in one.added],
        [uid for one in outcomes for uid in one.deleted],
        [uid for one in outcomes for uid in one.unknown],
        max(one.most_retries for one in outcomes),
    )


def single(store: DesStore, name: str, count: int) -> Outcome:
    """Entries that are committed one by one."""
    outcome = Outcome()
    for number in range(count):
        uid = f"{name}-{number}"
        outcome.note(uid, store.put(uid, NOON, payload(uid)))
    return outcome


def main(folder: str, work: str, name: str, count: int, fault_rate: float) -> None:
    """Open the store, wait for the line that starts all processes, work, and print what happened."""
    metered = MeteredByKind(LocalObjectStore(folder))
    # A name is the seed too: what fails is the same each time, except for how threads meet.
    faults = RandomPlan(sum(name.encode()), 0.0)
    store = DesStore.open(FaultyObjectStore(metered, faults) if fault_rate else metered)
    faults._rate = fault_rate
    print("ready", flush=True)
    sys.stdin.readline()
    with store:
        outcome = {"grouped": grouped, "single": single}[work](store, name, count)
    outcome.written = dict(metered.written)
    print(json.dumps(vars(outcome)), flush=True)


if __name__ == "__main__":
    assert threading.current_thread() is threading.main_thread()
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
