"""A store against a model: a dict for every sequence, whatever is done, in whatever order, and whatever fails.

More examples: `DES_MODEL_EXAMPLES=500 hatch run pytest packages/des-format/tests/store/test_store_model.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
from des_format.errors import DesError, EntryDeletedError, EntryNotFoundError, InvalidInputError
from des_format.objects import MemoryObjectStore
from des_format.store import ArchiveOptions, CommitPolicy, DesStore, NewEntry, Operation, StoreOptions
from des_format.testing import FaultyObjectStore, Plan, delay, fail_after, fail_before, lose_reply
from hypothesis import settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from .filling import AT, DAY
from .runners import DiedError, RecordingRunner, open_store
from .simulation import Failure, Process
from .sweeping import check_nothing_needed_is_gone, read_all, yesterday

NO_AGE = timedelta(0)
OPTIONS = StoreOptions(writing=ArchiveOptions(big_file_threshold=64), commits=CommitPolicy(timeout_seconds=0.3))
WHY: dict[str, Any] = {"reason": "asked to", "by": "me"}
Entries = dict[str, bytes]

UIDS = ["a", "7", "żółw"]
uids = st.sampled_from(UIDS)
payloads = st.sampled_from([b"", b"one", b"two", b"text " * 30, b"x" * 64, bytes(65), b"y" * 300])
deaths = st.just(0) | st.integers(1, 14)
failures: st.SearchStrategy[Failure] = st.sampled_from(["none", "none", "none", "before", "after", "lose reply"])


@dataclass
class Change:
    """What an addition or a deletion would do to the entries."""

    added: Entries
    deleted: tuple[str, ...] = ()

    def applied(self, entries: Entries) -> Entries:
        left = {uid: data for uid, data in entries.items() if uid not in self.deleted}
        return {**left, **self.added}


class StoreMachine(RuleBasedStateMachine):
    """One shard. What the manifest says was committed is applied to the model, in its order; each acknowledged change
    must be among it, each failed one at most once, and nothing else."""

    writers = Bundle("writers")

    def __init__(self) -> None:
        super().__init__()
        self.objects = MemoryObjectStore()
        first = DesStore.init(self.objects, n_bits=0, options=replace(OPTIONS, clock=yesterday))
        self.store, _runner = self._open()
        self.stale, _runner = self._open(ttl=3600.0)
        self.states: dict[int, Entries] = {0: {}}
        self.changes: dict[str, Change] = {}  # By archive id, and by reason of a deletion.
        self.acknowledged: set[str] = set()
        self.applied: set[str] = set()
        self.serial = 0
        # A manifest of yesterday: what nobody committed is garbage only if it is younger.
        key, effects = self._adding(first, {"a": b"one"})
        first.runner.run(effects)
        self.acknowledged.add(key)
        self._learn()

    def _open(self, objects: Any = None, ttl: float = 0.0) -> tuple[DesStore, RecordingRunner]:
        return open_store(objects or self.objects, replace(OPTIONS, manifest_ttl_seconds=ttl))

    # -- the model ------------------------------------------------------------------------------

    @property
    def now(self) -> Entries:
        return self.states[max(self.states)]

    def _learn(self) -> None:
        """Apply the commits that are new."""
        for commit in self._open()[0].history(DAY, "0"):
            if commit.sequence <= max(self.states):
                continue
            assert commit.sequence == max(self.states) + 1, "history has a gap"
            entries = self.now
            if commit.operation in (Operation.ADD, Operation.DELETE):
                (key,) = {row.id for row in commit.added} | {one.reason for one in commit.tombstones}
                assert key not in self.applied, "it was committed twice"
                self.applied.add(key)
                entries = self.changes[key].applied(entries)
            self.states[commit.sequence] = entries
        assert self.acknowledged <= self.applied, "what was acknowledged is not there"

    def _adding(self, store: DesStore, entries: Entries) -> tuple[str, Any]:
        """Prepare an addition, stopped before its first request; its big files are stored already."""
        built = store.engine.build(store.runner, [NewEntry(uid, AT, data) for uid, data in entries.items()])
        archive = built[0][0]
        self.changes[archive.id] = Change(dict(entries))
        return archive.id, store.engine.add_all([archive])

    def _deleting(self, store: DesStore, names: tuple[str, ...]) -> tuple[str, Any]:
        self.serial += 1
        reason = f"reason {self.serial}"
        self.changes[reason] = Change({}, names)
        return reason, store.engine.delete([(uid, AT) for uid in names], reason, "me", None)

    # -- changes --------------------------------------------------------------------------------

    @rule(entries=st.dictionaries(uids, payloads, min_size=1, max_size=3), by_stale=st.booleans())
    def add(self, entries: Entries, by_stale: bool) -> None:
        store = self.stale if by_stale else self.store
        key, effects = self._adding(store, entries)
        store.runner.run(effects)
        self.acknowledged.add(key)
        self._learn()
        assert store.get_many([(uid, AT) for uid in entries]) == {(uid, AT): data for uid, data in entries.items()}

    @rule(pick=st.integers(0, 2), by_stale=st.booleans())
    def delete(self, pick: int, by_stale: bool) -> None:
        """Mostly of what is there."""
        uid = sorted(self.now or UIDS)[pick % len(self.now or UIDS)]
        store = self.stale if by_stale else self.store
        key, effects = self._deleting(store, (uid,))
        try:
            store.runner.run(effects)
        except (EntryNotFoundError, EntryDeletedError):
            assert by_stale or uid not in self.now
            return
        assert by_stale or uid in self.now
        self.acknowledged.add(key)
        self._learn()
        assert not store.exists(uid, AT)

    @rule(
        entries=st.dictionaries(uids, payloads, min_size=1, max_size=2),
        nth=st.integers(1, 6),
        make=st.sampled_from([fail_before, fail_after, lose_reply]),
    )
    def add_with_a_failure(self, entries: Entries, nth: int, make: Any) -> None:
        plan = Plan()
        store, _runner = self._open(FaultyObjectStore(self.objects, plan))
        key, effects = self._adding(store, entries)
        plan.add(make(nth))
        try:
            store.runner.run(effects)
        except DesError:
            pass
        else:
            self.acknowledged.add(key)
        self._learn()

    @rule(entries=st.dictionaries(uids, payloads, min_size=1, max_size=2), nth=st.integers(1, 3), after=st.booleans())
    def die_in_adding(self, entries: Entries, nth: int, after: bool) -> None:
        store, _runner = self._open()
        process = Process(self._adding(store, entries)[1], self.objects)
        for _ in range(nth - 1):
            if process.is_running:
                process.step()
        process.die(after=after)
        self._learn()

    # -- writers that are slow ------------------------------------------------------------------

    @rule(
        target=writers,
        entries=st.dictionaries(uids, payloads.filter(lambda data: len(data) <= 64), min_size=1, max_size=2),
    )
    def begin_to_add(self, entries: Entries) -> tuple[str, Process]:
        """Without a big file, which a collection of that age might take from a writer."""
        key, effects = self._adding(self._open()[0], entries)
        return key, Process(effects, self.objects)

    @rule(target=writers, uid=uids)
    def begin_to_delete(self, uid: str) -> tuple[str, Process]:
        key, effects = self._deleting(self._open()[0], (uid,))
        return key, Process(effects, self.objects)

    @rule(writer=writers, steps=st.lists(failures, min_size=1, max_size=3))
    def go_on(self, writer: tuple[str, Process], steps: list[Failure]) -> None:
        key, process = writer
        for failure in steps:
            if process.is_running:
                process.step(failure)
        if not process.is_running and process.error is None:
            self.acknowledged.add(key)
        self._learn()

    @rule(writer=consumes(writers))
    def end(self, writer: tuple[str, Process]) -> None:
        key, process = writer
        while process.is_running:
            process.step()
        if process.error is None:
            self.acknowledged.add(key)
        self._learn()

    # -- maintenance ----------------------------------------------------------------------------

    @rule(
        full=st.booleans(), dies_at=deaths, after=st.booleans(), other=uids, adds=st.booleans(), nth=st.integers(1, 12)
    )
    def compact(self, full: bool, dies_at: int, after: bool, other: str, adds: bool, nth: int) -> None:
        """While someone else adds or deletes."""
        plan = Plan()
        store, runner = self._open(FaultyObjectStore(self.objects, plan))
        plan.add(delay(lambda _operation, _key: self.meanwhile(other, adds), nth=nth))
        self._maintain(runner, dies_at, after, partial(store.compact, full=full))

    def meanwhile(self, uid: str, adds: bool) -> None:
        store, runner = self._open()
        self._learn()
        if adds or uid in self.now:
            key, effects = self._adding(store, {uid: b"meanwhile"}) if adds else self._deleting(store, (uid,))
            runner.run(effects)
            self.acknowledged.add(key)
            self._learn()

    @rule(dies_at=deaths, after=st.booleans())
    def expire(self, dies_at: int, after: bool) -> None:
        store, runner = self._open()
        self._maintain(runner, dies_at, after, partial(store.expire, NO_AGE))

    @rule(dies_at=deaths, after=st.booleans())
    def collect(self, dies_at: int, after: bool) -> None:
        store, runner = self._open()
        self._maintain(runner, dies_at, after, partial(store.gc, min_age=NO_AGE, dry_run=False))

    def _maintain(self, runner: RecordingRunner, dies_at: int, after: bool, run: Callable[[], object]) -> None:
        runner.forget()
        runner.dies_at, runner.dies = dies_at, "after" if after else "before"
        with contextlib.suppress(DiedError):
            run()
        self._learn()

    @precondition(lambda self: max(self.states) > 1)
    @rule()
    def time_passes_for_the_stale_one(self) -> None:
        self.stale, _runner = self._open(ttl=3600.0)

    # -- what always holds ----------------------------------------------------------------------

    @invariant()
    def entries_are_those_of_the_model(self) -> None:
        where = self.store.engine.shard_key(DAY, "0")
        for reader in (self.store, self._open()[0]):
            assert read_all(reader, where) == self.now
        for uid in UIDS:
            assert self.store.exists(uid, AT) == (uid in self.now)
            if uid in self.now:
                assert self.store.get(uid, AT) == self.now[uid]
            else:
                with pytest.raises((EntryNotFoundError, EntryDeletedError)):
                    self.store.get(uid, AT)

    @invariant()
    def every_past_since_the_horizon_is_as_it_was(self) -> None:
        store = self._open()[0]
        where = store.engine.shard_key(DAY, "0")
        horizon = store.runner.run(store.engine.shards.load(where)).manifest.horizon
        for sequence in list(self.states)[-5:]:
            past = store.as_of(sequence=sequence)
            if sequence < horizon:
                with pytest.raises(InvalidInputError, match="expire"):
                    read_all(past, where)
            else:
                assert read_all(past, where) == self.states[sequence]

    @invariant()
    def what_the_history_names_is_there(self) -> None:
        check_nothing_needed_is_gone(self.objects)


StoreMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("DES_MODEL_EXAMPLES", "25")), stateful_step_count=30
)
TestStore = StoreMachine.TestCase
