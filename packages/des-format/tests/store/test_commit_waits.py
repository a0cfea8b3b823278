"""How long a writer waits after it lost: as long as helps, whatever the storage takes for a request."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from des_format.errors import ObjectChangedError
from des_format.objects import MemoryObjectStore
from des_format.store import Commit, CommitPolicy, Operation, Tombstone
from des_format.store.model.keys import ShardKey
from des_format.store.model.state import NO_TIME
from des_format.store.reading.shards import Shard, Shards
from des_format.store.sansio.effects import Request, Sleep, Write
from des_format.store.sansio.running import Runner
from des_format.store.writing.transactions import Transactions

WHERE = ShardKey("20251125", "4D")
POLICY = CommitPolicy(timeout_seconds=1000.0, backoff_seconds=0.002, max_backoff_seconds=0.25)
CHANGE = Commit(0, NO_TIME, "", Operation.DELETE, tombstones=(Tombstone("u", 0, NO_TIME, "asked", "me"),))


class Storage(Runner):
    """A storage that takes the same time for every request, by a clock of its own, and lets a writer lose.

    Attributes:
        losses: So many of the next writes lose.
        waits: How long at most was waited, each time.
        reads: How many requests were no writes.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, request_seconds: float) -> None:
        super().__init__(MemoryObjectStore())
        self.losses = 0
        self.waits: list[float] = []
        self.reads = 0
        self._seconds = request_seconds
        self._now = 0.0
        clock = SimpleNamespace(monotonic=lambda: self._now)
        monkeypatch.setattr("des_format.store.writing.transactions.time", clock)
        self._transactions = Transactions(Shards("0" * 32), policy=POLICY)
        monkeypatch.setattr(self._transactions._random, "uniform", lambda _least, most: most)
        self._held: Shard | None = None
        self.commit()

    def commit(self, losses: int = 0) -> list[float]:
        """Commit after so many losses; return the waits."""
        self.losses, self.waits, self.reads = losses, [], 0
        self._held = self.run(self._transactions.commit(WHERE, lambda _shard: CHANGE, self._held)).shard
        return [round(seconds, 6) for seconds in self.waits]

    def _perform(self, requests: list[Request]) -> list[Any]:
        return [self._perform_one(request) for request in requests]

    def _perform_one(self, request: Request) -> Any:
        if isinstance(request, Sleep):
            self.waits.append(request.seconds)
            self._now += request.seconds
            return None
        self._now += self._seconds
        self.reads += not isinstance(request, Write)
        if isinstance(request, Write) and self.losses:
            self.losses -= 1
            return ObjectChangedError(request.key)
        return self._reply(request)


def test_the_first_wait_is_twice_what_the_attempt_took(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Storage(monkeypatch, 0.03).commit(losses=1) == [0.06]


def test_a_storage_that_answers_at_once_is_waited_for_as_long_as_the_policy_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Storage(monkeypatch, 0.0).commit(losses=3) == [0.002, 0.004, 0.008]


def test_waits_double_and_none_is_longer_than_the_policy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    # From the second one on, an attempt is two requests: the manifest is read first.
    assert Storage(monkeypatch, 0.03).commit(losses=4) == [0.06, 0.12, 0.24, 0.25]
    assert Storage(monkeypatch, 10.0).commit(losses=2) == [0.25, 0.25]


def test_after_a_loss_a_writer_looks_first_until_it_won_often_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(monkeypatch, 0.03)
    assert storage.commit() == []
    storage.commit(losses=1)
    longest = 0.06
    count = 0
    while waits := storage.commit():
        count += 1
        longest *= 0.9
        assert waits == [pytest.approx(longest, abs=1e-6)]
        assert storage.reads == 1
    assert 10 < count < 25
    assert storage.reads == 0
