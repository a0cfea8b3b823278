"""Let an operation fail, or its process die, at each of its requests, and look at what is left.

Whatever happens: the operation succeeds or raises a `DesError`; every shard is as it was before or as it is after the
operation, and the past is as it was; nothing that the retained history names is gone; to repeat the operation succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from des_format.errors import DesError, InvalidInputError
from des_format.objects import MemoryObjectStore
from des_format.store import CommitPolicy, DesStore, Operation, StoreOptions
from des_format.store.model.keys import (
    ShardKey,
    archive_key,
    big_file_object_key,
    manifest_key,
    segment_key,
    tombstones_key,
)
from des_format.store.reading.snapshots import load_history
from des_format.store.sansio.effects import Assemble, Delete, Request, Write
from des_format.testing import Fault, FaultyObjectStore, Plan, fail_after, fail_before, lose_reply

from .runners import DiedError, open_store

__all__ = ["Sweep", "Swept", "View", "check_nothing_needed_is_gone", "look", "needed_keys", "yesterday"]

Entries = dict[str, bytes]
View = dict[ShardKey, Entries]
_PASTS = 4
_CHANGES = (Write, Assemble, Delete)


def yesterday() -> datetime:
    """When what is there was made; what is about as old as a manifest is no garbage, because one may have been lost."""
    return datetime.now(UTC) - timedelta(days=1)


@dataclass(frozen=True)
class Swept:
    """An operation that is swept.

    Attributes:
        prepare: Fills a new store.
        run: The operation.
        done_already: What repeating it may raise when it took effect.
        n_bits: Of the store.
        options: How the store is opened.
        check: Looks at the objects when the operation, or its repetition, has succeeded.
    """

    prepare: Callable[[DesStore], object]
    run: Callable[[DesStore], object]
    done_already: tuple[type[DesError], ...] = ()
    n_bits: int = 0
    options: StoreOptions = field(default_factory=StoreOptions)
    check: Callable[[MemoryObjectStore], object] = lambda _objects: None


def read_all(reader: Any, where: ShardKey) -> Entries:
    """Every entry of a shard, by list and by get; a name comes once."""
    at = datetime.strptime(where.day, "%Y%m%d").replace(tzinfo=UTC)
    names = [stored.entry.name for stored in reader.list(where.day, where.shard)]
    assert len(names) == len(set(names)), "an entry is listed twice"
    found = reader.get_many([(name, at) for name in names])
    assert len(found) == len(names), "a listed entry cannot be read"
    return {str(uid): payload for (uid, _at), payload in found.items()}


def look(objects: Any) -> View:
    """All entries of a store, as a new process sees them."""
    store, runner = open_store(objects)
    return {where: read_all(store, where) for where in runner.run(store.engine.all_shards())}


def look_back(objects: Any) -> dict[tuple[ShardKey, int], Entries]:
    """The latest past of each shard, by sequence."""
    store, runner = open_store(objects)
    pasts = {}
    for where in runner.run(store.engine.all_shards()):
        for commit in store.history(where.day, where.shard)[-_PASTS:]:
            pasts[where, commit.sequence] = read_all(store.as_of(sequence=commit.sequence), where)
    return pasts


def needed_keys(objects: Any) -> set[str]:
    """The objects that the retained histories name."""
    store, runner = open_store(objects)
    keys = {"des-store.json"}
    for where in runner.run(store.engine.all_shards()):
        shard, commits = runner.run(load_history(store.engine.shards, where))
        keys.add(manifest_key(where))
        keys |= {segment_key(where, ref.id) for ref in shard.manifest.segments}
        rows = [row for commit in commits for row in commit.added]
        keys |= {archive_key(where, row.id) for row in rows}
        keys |= {big_file_object_key(where.day, sha256) for row in rows for sha256 in row.big_files}
        records = {tombstone.record for commit in commits for tombstone in commit.tombstones}
        keys |= {tombstones_key(where, record) for record in records if record}
    return keys


def all_keys(objects: Any) -> set[str]:
    return {meta["path"] for page in objects.list() for meta in page}


def check_nothing_needed_is_gone(objects: Any) -> None:
    missing = needed_keys(objects) - all_keys(objects)
    assert not missing, f"the retained history names what is gone: {missing}"


def check_history(objects: Any) -> None:
    """Sequences have no gap, commit ids and added archives come once (a compaction may mark one anew)."""
    store, runner = open_store(objects)
    for where in runner.run(store.engine.all_shards()):
        history = store.history(where.day, where.shard)
        sequences = [commit.sequence for commit in history]
        assert sequences == list(range(sequences[0], sequences[0] + len(sequences))) if sequences else True
        assert len({commit.id for commit in history}) == len(history)
        added = [row.id for commit in history if commit.operation is Operation.ADD for row in commit.added]
        assert len(set(added)) == len(added), "an archive was added twice"


class _Away(Plan):
    """From some call on, the storage does not answer any more."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first = first

    def meet(self, operation: str, keys: Any, *, conditional: bool = False) -> list[Fault]:
        super().meet(operation, keys, conditional=conditional)
        return [fail_before()] if self.first and self.call_count >= self.first else []


def _is_conditional(request: Request) -> bool:
    return isinstance(request, Assemble) or (isinstance(request, Write) and not request.overwrite)


class Sweep:
    """All the ways in which one operation can be interrupted.

    Args:
        swept: The operation.

    Attributes:
        old: What is there before.
        new: What is there after.
    """

    def __init__(self, swept: Swept) -> None:
        self._swept = swept
        objects = MemoryObjectStore()
        earlier = replace(swept.options, clock=yesterday)
        swept.prepare(DesStore.init(objects, n_bits=swept.n_bits, options=earlier))
        self._prepared = {key: bytes(objects.get(key).buffer()) for key in all_keys(objects)}
        self.old = look(objects)
        self._pasts = look_back(objects)
        store, runner = open_store(objects, swept.options)
        swept.run(store)
        self._requests = [request for requests in runner.rounds for request in requests]
        self.new = look(objects)
        self._check(objects, "nothing failed")

    def run(self) -> int:
        """Go through all of them; return how many there were."""
        cases = 0
        for nth, request in enumerate(self._requests, start=1):
            for kind, plan in self._plans(nth, changes=isinstance(request, _CHANGES)):
                self._interrupt(f"{kind} at request {nth}", plan)
                cases += 1
            for dies in ("before", "after"):
                if dies == "before" or isinstance(request, _CHANGES):
                    self._interrupt(f"death {dies} request {nth}", Plan(), dies_at=nth, dies=dies)
                    cases += 1
        for nth in range(1, sum(map(_is_conditional, self._requests)) + 1):
            self._interrupt(f"reply of conditional put {nth} lost", Plan(lose_reply(nth)))
            cases += 1
        return cases

    def _plans(self, nth: int, *, changes: bool) -> Iterator[tuple[str, Plan]]:
        yield "failure before", Plan(fail_before(nth))
        yield "storage away", _Away(nth)
        if changes:  # To fail after a read is to fail before it.
            yield "failure after", Plan(fail_after(nth))
            yield "two failures before", Plan(fail_before(nth), fail_before(nth + 1))
            yield "two failures after", Plan(fail_after(nth), fail_after(nth + 1))

    def _restored(self) -> MemoryObjectStore:
        objects = MemoryObjectStore()
        for key, data in self._prepared.items():
            objects.put(key, data)
        return objects

    def _interrupt(self, case: str, plan: Plan, *, dies_at: int = 0, dies: Any = "before") -> None:
        objects = self._restored()
        faulty = FaultyObjectStore(objects, Plan())
        options = replace(self._swept.options, commits=CommitPolicy(timeout_seconds=0 if "away" in case else 60))
        store, runner = open_store(faulty, options)
        faulty.plan = plan
        runner.dies_at, runner.dies = dies_at, dies
        succeeded = False
        try:
            self._swept.run(store)
            succeeded = True
        except (DesError, DiedError):
            pass
        seen = self._check(objects, case)
        assert not succeeded or seen == self.new, f"{case}: it succeeded without effect"
        try:
            self._swept.run(open_store(objects, self._swept.options)[0])
        except self._swept.done_already:
            assert seen == self.new, f"{case}: it says that it was done already"
        assert self._check(objects, f"{case}, repeated") == self.new, case
        self._check_past(objects, case)
        self._swept.check(objects)

    def _check(self, objects: MemoryObjectStore, case: str) -> View:
        seen = look(objects)
        for where in {*seen, *self.old, *self.new}:
            allowed = (self.old.get(where, {}), self.new.get(where, {}))
            assert seen.get(where, {}) in allowed, f"{case}: {where} is neither as before nor as after"
        check_nothing_needed_is_gone(objects)
        check_history(objects)
        return seen

    def _check_past(self, objects: MemoryObjectStore, case: str) -> None:
        store, _runner = open_store(objects)
        for (where, sequence), entries in self._pasts.items():
            try:
                past = read_all(store.as_of(sequence=sequence), where)
            except InvalidInputError as error:
                assert "dropped by `expire`" in str(error)  # noqa: PT017  # Any other is a failure.
            else:
                assert past == entries, f"{case}: the past of {where} at {sequence} has changed"
