"""Commits: what a manifest holds, how it grows, and what many writers make of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import hypothesis.strategies as st
import pytest
from des_format.errors import (
    AccessDeniedError,
    ChecksumMismatchError,
    ContentionError,
    CorruptArchiveError,
    UnavailableError,
    UnsupportedFormatError,
)
from des_format.layout import Footer
from des_format.objects import MemoryObjectStore
from des_format.store import ArchiveOptions, ArchiveRow, Commit, CommitPolicy, DesStore, NewEntry, Operation, Tombstone
from des_format.store.model.checkedjson import encode_checked
from des_format.store.model.ids import new_id
from des_format.store.model.keys import ShardKey, manifest_key, segment_key
from des_format.store.model.manifest import Manifest, decode_segment, encode_segment
from des_format.store.model.state import NO_TIME, ShardState, fold
from des_format.store.reading.shards import Shard, Shards
from des_format.store.reading.snapshots import AsOf, load_history, state_as_of
from des_format.store.sansio.effects import Effects
from des_format.store.writing.building import build_archive
from des_format.store.writing.transactions import Committed, Transactions
from des_format.testing import FaultyObjectStore, Plan, fail_after, fail_before, lose_reply
from hypothesis import given, settings

from .runners import RecordingRunner
from .simulation import Failure, Process, run_in_turns

STORE = "0" * 32
WHERE = ShardKey("20251125", "4D")
EPOCH = datetime(2025, 11, 25, tzinfo=UTC)


@lru_cache
def footer() -> Footer:
    entry = NewEntry("a", EPOCH, b"1")
    return build_archive([("a", entry)], None, ArchiveOptions())[1]  # type: ignore[arg-type]  # No big file.


def added(archive_id: str, **fields: Any) -> Commit:
    return Commit(0, NO_TIME, "", Operation.ADD, added=(ArchiveRow(archive_id, footer(), 0, 0, **fields),))


def adding(archive_id: str) -> Callable[[Shard], Commit]:
    return lambda _shard: added(archive_id)


def making(draft: Commit) -> Callable[[Shard], Commit]:
    return lambda _shard: draft


def deleted(uid: str) -> Commit:
    return Commit(0, NO_TIME, "", Operation.DELETE, tombstones=(Tombstone(uid, 0, EPOCH, "asked", "me"),))


def committing(objects: Any, change: Any, policy: CommitPolicy | None = None, **more: Any) -> Effects[Committed]:
    return Transactions(Shards(STORE), policy=policy).commit(WHERE, change, **more)


def load(objects: Any) -> tuple[Shard, list[Commit]]:
    return RecordingRunner(objects).run(load_history(Shards(STORE), WHERE))


def real(commits: list[Commit]) -> list[Commit]:
    return [commit for commit in commits if commit.operation is not Operation.BASE]


# -- what a manifest holds ----------------------------------------------------------------------

ids = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=64)
times = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
rows = st.builds(
    lambda archive_id, added_at, order, purged, big: ArchiveRow(archive_id, footer(), added_at, order, purged, big),
    ids, st.integers(1, 2**40), st.integers(1, 2**40), st.integers(0, 2**40),
    st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=2).map(tuple),
)  # fmt: skip
tombstones = st.builds(Tombstone, texts, st.integers(1, 2**40), times, texts, texts, st.none() | texts)
commits = st.builds(
    Commit, st.integers(1, 2**40), times, ids, st.sampled_from(Operation),
    st.lists(rows, max_size=3).map(tuple), st.lists(ids, max_size=3).map(tuple),
    st.lists(tombstones, max_size=3).map(tuple), st.lists(st.tuples(ids, times), max_size=2).map(tuple),
)  # fmt: skip


@given(st.lists(commits, max_size=6), st.none() | commits, st.integers(0, 2**40))
@settings(max_examples=60)
def test_a_manifest_comes_back_as_it_was(tail: list[Commit], base: Commit | None, horizon: int) -> None:
    manifest = Manifest(STORE, WHERE, sequence=2**41, horizon=horizon, base=base, tail=tuple(tail))
    assert Manifest.decode(manifest.encode(), WHERE, STORE) == manifest


@given(st.lists(commits, min_size=1, max_size=6), st.integers(0, 5))
@settings(max_examples=60)
def test_a_segment_comes_back_as_it_was(held: list[Commit], level: int) -> None:
    ref, data = encode_segment("id", held, level=level)
    assert decode_segment(ref, data, WHERE) == held
    assert (ref.size, ref.level, ref.last) == (len(data), level, held[-1].sequence)
    assert ref.has_base == (held[0].operation is Operation.BASE)


def test_every_flipped_bit_of_a_manifest_and_of_a_segment_is_found() -> None:
    held = [added("abc").numbered(1, EPOCH), deleted("zażółć").numbered(2, EPOCH)]
    manifest = Manifest(STORE, WHERE, sequence=2, tail=tuple(held)).encode()
    ref, segment = encode_segment("id", held)
    for bit in range(8 * len(manifest)):
        damaged = bytearray(manifest)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptArchiveError, match="20251125/4D"):
            Manifest.decode(bytes(damaged), WHERE, STORE)
    for bit in range(8 * len(segment)):
        damaged = bytearray(segment)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ChecksumMismatchError, match="20251125/4D"):
            decode_segment(ref, bytes(damaged), WHERE)


def test_every_truncated_manifest_is_found() -> None:
    manifest = Manifest(STORE, WHERE, sequence=1, tail=(added("abc").numbered(1, EPOCH),)).encode()
    for length in range(len(manifest)):
        with pytest.raises(CorruptArchiveError):
            Manifest.decode(manifest[:length], WHERE, STORE)


@given(st.recursive(st.none() | st.integers() | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
@settings(max_examples=50)
def test_any_json_with_a_checksum_is_a_manifest_or_is_refused(value: Any) -> None:
    genuine = {
        "format": "des-manifest", "version": 1, "store_id": STORE, "day": WHERE.day, "shard": WHERE.shard,
        "sequence": 0, "horizon": 0, "segments": [], "base": None, "commits": [],
    }  # fmt: skip
    for field in genuine:
        with_it = encode_checked({**genuine, field: value})
        try:
            Manifest.decode(with_it, WHERE, STORE)
        except (CorruptArchiveError, UnsupportedFormatError):
            continue


# -- how it grows -------------------------------------------------------------------------------


def test_after_thousands_of_commits_every_sequence_can_be_read_and_segments_are_few() -> None:
    objects = MemoryObjectStore()
    runner = RecordingRunner(objects)
    shards = Shards(STORE)
    transactions = Transactions(shards)
    expected = ShardState()
    numbers: list[tuple[int, int, int]] = []
    held: Shard | None = None
    for number in range(1, 2501):
        draft = deleted(f"u{number % 50}") if number % 7 == 0 else added(f"a{number}")
        if number % 5 == 0:
            draft = replace(draft, removed=(f"a{number - 3}",))
        committed = runner.run(transactions.commit(WHERE, making(draft), held))
        held = committed.shard
        assert committed.commit is not None
        expected.apply(committed.commit)
        if number % 250 == 1:
            assert held.state == expected
            fresh = runner.run(Shards(STORE).load(WHERE))
            assert fresh.state == expected
            numbers.append((number, len(fresh.manifest.segments), len(objects.get(manifest_key(WHERE)).data)))
    shard, history = load(objects)
    assert [commit.sequence for commit in real(history)] == list(range(1, 2501))
    assert fold(real(history)) == expected
    assert len(shard.manifest.segments) <= 8 + 8, numbers
    firsts = [ref.first for ref in shard.manifest.segments]
    assert [ref.last + 1 for ref in shard.manifest.segments[:-1]] == firsts[1:], "segments leave no gap"
    state = ShardState()
    for commit in real(history):
        state.apply(commit)
        if commit.sequence % 61 == 0 or commit.sequence in firsts:
            assert state_as_of(shard, history, AsOf(sequence=commit.sequence)) == state
            assert state.newest_first() == state.copy().newest_first()


def test_the_order_of_archives_is_sorted_once_for_each_state_and_follows_every_change() -> None:
    state = ShardState()
    dice = random.Random(5)
    for number in range(1, 400):
        removed = tuple(dice.sample(sorted(state.rows), k=min(len(state.rows), dice.randrange(3))))
        rows = (*added(f"a{number}").added, *added(f"b{number}").added)
        ordered = tuple(replace(row, order=dice.randrange(1, 20), added=number) for row in rows)
        operation = Operation.BASE if number % 90 == 0 else Operation.ADD
        earlier, seen = state.copy(), state.newest_first()
        assert earlier.newest_first() == seen
        state.apply(Commit(number, NO_TIME, "", operation, added=ordered, removed=removed))
        expected = sorted(state.rows.values(), key=lambda row: (row.order, row.added, row.id))[::-1]
        assert [*state.newest_first()] == expected
        assert state.newest_first() is state.newest_first()
        assert earlier.newest_first() == seen, "what others hold does not change"
        assert earlier.after([]).newest_first() == seen


def test_a_shard_of_few_archives_is_read_with_one_request_however_many_commits_it_has() -> None:
    objects = MemoryObjectStore()
    runner = RecordingRunner(objects)
    transactions = Transactions(Shards(STORE))
    held = None
    for number in range(200):
        draft = replace(added(f"a{number}"), removed=(f"a{number - 20}",))
        held = runner.run(transactions.commit(WHERE, making(draft), held)).shard
        if number > 20:
            runner.forget()
            runner.run(Shards(STORE).load(WHERE))
            assert runner.request_count == 1


def test_times_never_go_back_within_a_shard() -> None:
    objects = MemoryObjectStore()
    clock = iter([EPOCH, EPOCH, EPOCH + timedelta(hours=1), EPOCH - timedelta(days=1), EPOCH, EPOCH])
    transactions = Transactions(Shards(STORE), clock=lambda: next(clock, EPOCH))
    for number in range(4):
        RecordingRunner(objects).run(transactions.commit(WHERE, adding(f"a{number}"), commit_id=f"{number}"))
    history = load(objects)[1]
    assert [one.at for one in history] == sorted(one.at for one in history)


# -- replies that get lost ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [fail_after(1, ["put"]), lose_reply(1), fail_before(1, ["put"]), fail_after(2, ["get"])]
)
@pytest.mark.parametrize("earlier", [0, 1, 32, 33])
def test_a_commit_whose_reply_is_lost_is_there_once(fault: Any, earlier: int) -> None:
    objects = MemoryObjectStore()
    for number in range(earlier):
        RecordingRunner(objects).run(committing(objects, adding(f"a{number}")))
    faulty = FaultyObjectStore(objects, Plan(fault))
    committed = RecordingRunner(faulty).run(committing(faulty, adding("mine")))
    assert committed.commit is not None
    assert committed.commit.sequence == earlier + 1
    shard, history = load(objects)
    assert shard.manifest.sequence == earlier + 1
    assert [one.sequence for one in real(history) if any(row.id == "mine" for row in one.added)] == [earlier + 1]


def test_a_commit_that_finds_itself_under_the_commits_of_others_is_there_once() -> None:
    """Its reply is lost, and before it looks, others commit so much that it is in a segment."""
    objects = MemoryObjectStore()

    class Busy(FaultyObjectStore):
        def get(self, path: str, *, options: Any = None) -> Any:
            if self.plan.calls["put"] == 1 and not self.busy:
                self.busy = True
                for number in range(70):
                    RecordingRunner(objects).run(committing(objects, adding(f"other{number}")))
            return super().get(path, options=options)

        busy = False

    faulty = Busy(objects, Plan(fail_after(1, ["put"])))
    committed = RecordingRunner(faulty).run(committing(faulty, adding("mine")))
    assert committed.commit is not None
    assert committed.commit.sequence == 1
    history = real(load(objects)[1])
    assert len(history) == 71
    assert [one.sequence for one in history if any(row.id == "mine" for row in one.added)] == [1]


def test_when_the_storage_stays_away_a_commit_gives_up_and_says_that_nobody_knows() -> None:
    objects = FaultyObjectStore(MemoryObjectStore(), Plan(fail_before(None)))
    with pytest.raises(UnavailableError, match="20251125/4D") as failure:
        RecordingRunner(objects).run(committing(objects, adding("a"), CommitPolicy(timeout_seconds=0)))
    assert failure.value.retryable
    away = MemoryObjectStore()
    objects = FaultyObjectStore(away, Plan(fail_after(None, ["put"]), fail_before(None, ["get"], "*.never")))
    RecordingRunner(objects).run(committing(objects, adding("a"), CommitPolicy(timeout_seconds=0)))
    assert load(away)[0].manifest.sequence == 1, "it looked, and found its commit"


def test_a_commit_that_others_outrun_for_too_long_is_a_conflict_and_nothing_was_committed() -> None:
    objects = MemoryObjectStore()

    class Outrun(FaultyObjectStore):
        def put(self, path: str, file: Any, *, mode: Any = None) -> Any:
            RecordingRunner(objects).run(committing(objects, adding(new_id())))
            return super().put(path, file, mode=mode)

    outrun = Outrun(objects)
    policy = CommitPolicy(timeout_seconds=0)
    with pytest.raises(ContentionError, match=r"others committed faster \(tries: 1\)") as failure:
        RecordingRunner(outrun).run(committing(outrun, adding("mine"), policy))
    assert failure.value.retryable
    assert not any(row.id == "mine" for one in load(objects)[1] for row in one.added)


def test_what_cannot_pass_is_not_tried_again() -> None:
    plan = Plan(fail_before(None, ["put"], error=AccessDeniedError))
    objects = FaultyObjectStore(MemoryObjectStore(), plan)
    with pytest.raises(AccessDeniedError):
        RecordingRunner(objects).run(committing(objects, adding("a")))
    assert plan.calls["put"] == 1


def test_a_stale_version_costs_nothing_but_a_conflict_even_when_its_segments_have_gone() -> None:
    objects = earlier_commits(8 * 33 - 1)
    runner = RecordingRunner(objects)
    stale = load(objects)[0]
    assert len(stale.manifest.segments) == 7
    for number in range(3):
        runner.run(committing(objects, adding(f"b{number}")))
    named = {ref.id for ref in load(objects)[0].manifest.segments}
    gone = [ref for ref in stale.manifest.segments if ref.id not in named]
    assert len(gone) == 7, "seven and the new one became one"
    objects.delete([segment_key(WHERE, ref.id) for ref in gone])  # As `gc` does.
    late = runner.run(committing(objects, adding("late"), held=stale))
    assert late.commit is not None
    assert late.commit.sequence == 8 * 33 + 3
    assert [one.sequence for one in real(load(objects)[1])] == list(range(1, 8 * 33 + 4))


def test_a_manifest_that_lost_a_segment_is_not_committed_to_for_ever() -> None:
    objects = earlier_commits(8 * 33 - 1)
    runner = RecordingRunner(objects)
    lost = load(objects)[0].manifest.segments[3]
    objects.delete([segment_key(WHERE, lost.id)])
    with pytest.raises((CorruptArchiveError, FileNotFoundError), match=lost.id):
        runner.run(committing(objects, adding("more"), CommitPolicy(timeout_seconds=0)))


# -- many writers, in any order -----------------------------------------------------------------

failures: st.SearchStrategy[Failure] = st.sampled_from(
    ["none", "none", "none", "none", "before", "after", "lose reply"]
)
turns = st.lists(st.tuples(st.integers(0, 11), failures), max_size=80)


def marker(process: int, number: int) -> str:
    return f"p{process}n{number}"


def several(process: int, count: int, acknowledged: list[str]) -> Effects[None]:
    """One process commits several times, and notes what was acknowledged."""
    transactions = Transactions(Shards(STORE), policy=CommitPolicy(timeout_seconds=3600))
    held: Shard | None = None
    for number in range(count):
        name = marker(process, number)
        committed = yield from transactions.commit(WHERE, adding(name), held)
        held = committed.shard
        acknowledged.append(name)


def check_history(objects: Any, acknowledged: list[str], attempted: set[str]) -> None:
    shard, history = load(objects)
    committed = [row.id for one in real(history) for row in one.added]
    assert [one.sequence for one in real(history)] == list(range(1, shard.manifest.sequence + 1)), "no gap"
    assert len(committed) == len(set(committed)), "none twice"
    assert set(acknowledged) <= set(committed) <= attempted
    assert fold(real(history)).rows == shard.state.rows
    for process in {name.partition("n")[0] for name in acknowledged if "n" in name}:
        mine = [one for one in committed if one.partition("n")[0] == process]
        assert mine == sorted(mine), "in the order of its process"


@given(turns=turns, earlier=st.sampled_from([0, 30, 262]), counts=st.lists(st.integers(1, 4), min_size=2, max_size=5))
@settings(max_examples=60)
def test_in_whatever_order_processes_take_turns_and_fail_every_commit_is_there_once(
    turns: list[tuple[int, Failure]], earlier: int, counts: list[int]
) -> None:
    objects = earlier_commits(earlier)
    known = [row.id for one in load(objects)[1] for row in one.added if one.operation is not Operation.BASE]
    acknowledged: list[str] = []
    processes = [Process(several(number, count, acknowledged), objects) for number, count in enumerate(counts)]
    run_in_turns(processes, iter(turns))
    failed = [process for process in processes if process.error is not None]
    assert all(isinstance(process.error, UnavailableError) for process in failed)
    attempted = {marker(process, number) for process, count in enumerate(counts) for number in range(count)}
    check_history(objects, known + acknowledged, {*known, *attempted})
    if not failed:
        assert set(acknowledged) == attempted


@given(turns=turns, deaths=st.lists(st.tuples(st.integers(0, 30), st.booleans()), min_size=3, max_size=3))
@settings(max_examples=60)
def test_a_process_that_dies_has_committed_or_has_not(
    turns: list[tuple[int, Failure]], deaths: list[tuple[int, bool]]
) -> None:
    objects = earlier_commits(31)
    known = [row.id for one in load(objects)[1] for row in one.added if one.operation is not Operation.BASE]
    acknowledged: list[str] = []
    processes = [Process(several(number, 3, acknowledged), objects) for number in range(4)]
    for who, failure in turns:
        running = [process for process in processes if process.is_running]
        if not running:
            break
        running[who % len(running)].step(failure)
        for process, (step, after) in zip(processes, deaths, strict=False):
            if process.is_running and process.step_count == step:
                process.die(after=after)
    run_in_turns(processes, iter(()))
    attempted = {marker(process, number) for process in range(4) for number in range(3)}
    check_history(objects, known + acknowledged, {*known, *attempted})
    # Whoever comes later commits on top of it.
    assert RecordingRunner(objects).run(committing(objects, adding("late"))).commit is not None


@lru_cache
def _earlier(count: int) -> dict[str, bytes]:
    objects = MemoryObjectStore()
    transactions, held = Transactions(Shards(STORE)), None
    for number in range(count):
        held = RecordingRunner(objects).run(transactions.commit(WHERE, adding(f"a{number}"), held)).shard
    return {meta["path"]: bytes(objects.get(meta["path"]).buffer()) for page in objects.list() for meta in page}


def earlier_commits(count: int) -> MemoryObjectStore:
    objects = MemoryObjectStore()
    for key, data in _earlier(count).items():
        objects.put(key, data)
    return objects


@given(turns=turns)
@settings(max_examples=40)
def test_deleters_and_adders_in_any_order_leave_what_the_order_of_their_commits_says(
    turns: list[tuple[int, Failure]],
) -> None:
    objects = MemoryObjectStore()
    at = datetime(2025, 11, 25, tzinfo=UTC)
    store = DesStore.init(objects, n_bits=0)
    store.put_many([NewEntry(uid, at, b"old") for uid in "abc"])
    processes = []
    for uid in "abcab":
        other = DesStore.open(objects)
        built = other.engine.build(other.runner, [NewEntry(uid, at, b"new " + uid.encode())])
        processes.append(Process(other.engine.add_all([built[0][0]]), objects))
        processes.append(Process(DesStore.open(objects).engine.delete([(uid, at)], "asked", "me", None), objects))
    run_in_turns(processes, iter(turns))
    expected: dict[str, bool] = dict.fromkeys("abc", True)
    reader = DesStore.open(objects)
    owners = {stored.archive_id: stored.entry.name for stored in reader.list("20251125", "0")}
    for one in reader.history("20251125", "0")[1:]:
        for tombstone in one.tombstones:
            expected[tombstone.uid] = False
        for row in one.added:
            (name,) = (
                stored.entry.name
                for stored in reader.as_of(sequence=one.sequence).list("20251125")
                if stored.archive_id == row.id
            )
            expected[name] = True
    assert {uid for uid, is_there in expected.items() if is_there} == set(owners.values())
