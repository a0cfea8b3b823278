"""Compaction, expiry and collection, interrupted at every request, and while others write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from des_format.errors import DesError, UnavailableError
from des_format.objects import MemoryObjectStore
from des_format.store import ArchiveOptions, CommitPolicy, DesStore, NewEntry, StoreOptions
from des_format.store.model.ids import new_id
from des_format.testing import FaultyObjectStore, Plan, delay, fail_before

from .filling import fill
from .runners import open_store
from .simulation import Process
from .sweeping import Sweep, Swept, all_keys, check_history, check_nothing_needed_is_gone, look, needed_keys, yesterday

DAY = "20251125"
AT = datetime(2025, 11, 25, 12, tzinfo=UTC)
NO_AGE = timedelta(0)
OPTIONS = StoreOptions(writing=ArchiveOptions(big_file_threshold=100))
EARLIER = replace(OPTIONS, clock=yesterday)
HURRIED = replace(OPTIONS, commits=CommitPolicy(timeout_seconds=0.2))
WHY: dict[str, Any] = {"reason": "asked to", "by": "me"}


def lived_in(store: DesStore) -> None:
    """Versions, deletions, a restored entry, a shared big file, and one that only a deleted entry has."""
    store.put_many([NewEntry(uid, AT, f"first {uid}".encode()) for uid in "abcd"])
    store.put("a", AT, b"second a")
    store.put("big", AT, bytes(500))
    store.put("big too", AT, bytes(500))
    store.put("secret", AT, b"s" * 500)
    store.delete_many([("b", AT), ("secret", AT)], **WHY)
    store.delete("c", AT, **WHY)
    store.put("c", AT, b"restored c")


def compacted(store: DesStore) -> None:
    lived_in(store)
    store.compact(full=True)
    store.put("late", AT, b"late")


def expired(store: DesStore) -> None:
    compacted(store)
    store.expire(NO_AGE)
    # What writers left that died: an archive, a segment, a record of a deletion, a big file.
    objects: Any = store.objects
    for key in all_keys(objects):
        if key.endswith((".des", ".tombstones")):
            left = f"{DAY}/0_{new_id()}.{key.rpartition('.')[2]}"
            objects.put(left, bytes(objects.get(key).buffer()))
    objects.put(f"{DAY}/0_left.commits", b"left")
    objects.put(f"{DAY}/_bigFiles/{'0' * 64}", b"left")


def nothing_more(objects: MemoryObjectStore) -> None:
    report = open_store(objects)[0].gc(min_age=NO_AGE)
    assert not report.objects
    assert not report.left_alone
    assert needed_keys(objects) == all_keys(objects)


def test_compaction() -> None:
    def check(objects: MemoryObjectStore) -> None:
        store, _runner = open_store(objects)
        rows = store.runner.run(store.engine.shards.load(store.engine.shard_key(DAY, 0))).state.rows
        assert len(rows) == 1, "all in one"

    sweep = Sweep(Swept(lived_in, lambda store: store.compact(full=True), options=OPTIONS, check=check))
    assert sweep.old == sweep.new
    sweep.run()


def test_compaction_of_two_shards_that_seals_a_segment() -> None:
    def prepare(store: DesStore) -> None:
        fill(32)(store)
        for uid in "0101":
            store.put(uid, AT, b"newer")

    sweep = Sweep(Swept(prepare, lambda store: store.compact(full=True), n_bits=1))
    assert sweep.old == sweep.new
    sweep.run()


def test_expiry() -> None:
    sweep = Sweep(Swept(compacted, lambda store: store.expire(NO_AGE), options=OPTIONS))
    assert sweep.old == sweep.new
    sweep.run()


def test_expiry_of_a_history_in_segments() -> None:
    def prepare(store: DesStore) -> None:
        fill(40)(store)
        store.compact(full=True)

    sweep = Sweep(Swept(prepare, lambda store: store.expire(NO_AGE)))
    assert sweep.old == sweep.new
    sweep.run()


def test_collection() -> None:
    collect: Callable[[DesStore], object] = lambda store: store.gc(min_age=NO_AGE, dry_run=False)  # noqa: E731
    sweep = Sweep(Swept(expired, collect, options=OPTIONS, check=nothing_more))
    assert sweep.old == sweep.new
    assert len(all_keys(sweep._restored())) > 12
    sweep.run()


def test_all_of_it_in_a_row() -> None:
    def run(store: DesStore) -> None:
        store.compact(full=True)
        store.expire(NO_AGE)
        store.gc(min_age=NO_AGE, dry_run=False)

    Sweep(Swept(lived_in, run, options=OPTIONS)).run()


def test_a_collection_leaves_a_store_alone_that_has_no_garbage() -> None:
    objects = MemoryObjectStore()
    store = DesStore.init(objects, n_bits=0, options=EARLIER)
    lived_in(store)
    before = {key: bytes(objects.get(key).buffer()) for key in all_keys(objects)}
    report = store.gc(min_age=NO_AGE, dry_run=False)
    assert (report.objects, report.deleted_count, report.left_alone) == ([], 0, [])
    assert {key: bytes(objects.get(key).buffer()) for key in all_keys(objects)} == before


def test_young_garbage_and_what_is_not_of_the_store_is_left_alone() -> None:
    objects = MemoryObjectStore()
    store = DesStore.init(objects, n_bits=0, options=EARLIER)
    expired(store)
    foreign = ["README.txt", f"{DAY}/notes.txt", "other-team/x.des", f"{DAY}/0.manifest.bak", "2025112/0_a.des"]
    for key in foreign:
        objects.put(key, b"of someone else")
    before = all_keys(objects)
    report = store.gc(dry_run=False)
    assert report.deleted_count == 0
    assert report.young_count > 3
    assert all_keys(objects) == before
    store.gc(min_age=NO_AGE, dry_run=False)
    assert set(foreign) <= all_keys(objects)


@pytest.mark.parametrize("damage", ["manifest gone", "manifest damaged", "segment gone", "read fails"])
def test_a_shard_that_is_not_understood_is_left_alone_with_the_big_files_of_its_day(damage: str) -> None:
    objects = MemoryObjectStore()
    store = DesStore.init(objects, n_bits=1, options=OPTIONS)
    for uid in ("0", "1"):
        for number in range(35):
            store.put(uid, AT, bytes([number]) * 150)
    objects.put(f"{DAY}/0_garbage1.des", b"garbage")
    if damage == "manifest gone":
        objects.delete(f"{DAY}/0.manifest")
    elif damage == "manifest damaged":
        objects.put(f"{DAY}/0.manifest", b"{}")
    elif damage == "segment gone":
        objects.delete(next(key for key in all_keys(objects) if key.startswith(f"{DAY}/0_") and "commits" in key))
    before = all_keys(objects)
    reader, _runner = open_store(objects)
    if damage == "read fails":
        plan = Plan()
        faulty = FaultyObjectStore(objects, plan)
        reader, _runner = open_store(faulty)
        plan.add(fail_before(None, ["get"], f"{DAY}/0.manifest"))
        with pytest.raises(DesError):
            reader.gc(min_age=NO_AGE, dry_run=False)
    else:
        report = reader.gc(min_age=NO_AGE, dry_run=False)
        assert len(report.left_alone) == 1
        assert f"{DAY}/0" in report.left_alone[0]
    assert all_keys(objects) == before


# -- while others write -------------------------------------------------------------------------


def putting(objects: Any, uid: str, data: bytes) -> Process:
    store = DesStore.open(objects, options=OPTIONS)
    ((archive, _positions),) = store.engine.build(store.runner, [NewEntry(uid, AT, data)])
    return Process(store.engine.add_all([archive]), objects)


@pytest.mark.parametrize("maintenance", ["compact", "expire", "gc", "all"])
@pytest.mark.parametrize("other", ["put", "delete", "compact", "everything"])
def test_what_others_do_between_any_two_requests_of_maintenance_is_kept(maintenance: str, other: str) -> None:
    """Nothing that is acknowledged is lost, whatever comes in between."""

    def run(store: DesStore) -> None:
        if maintenance in ("compact", "all"):
            store.compact(full=True)
        if maintenance in ("expire", "all"):
            store.expire(NO_AGE)
        if maintenance in ("gc", "all"):
            store.gc(min_age=NO_AGE, dry_run=False)

    def interfere(objects: Any) -> None:
        store, _runner = open_store(objects, OPTIONS)
        if other in ("put", "everything"):
            store.put("a", AT, b"newest a")
        if other in ("delete", "everything"):
            store.delete("d", AT, **WHY)
        if other in ("compact", "everything"):
            store.compact(full=True)
            store.expire(NO_AGE)

    def meanwhile(objects: Any, interfered: list[str], operation: str, key: str) -> None:
        interfered.append(f"{operation} {key}")
        interfere(objects)

    prepare = {"gc": expired, "expire": compacted}.get(maintenance, lived_in)
    nth = 0
    while True:
        nth += 1
        objects = MemoryObjectStore()
        prepare(DesStore.init(objects, n_bits=0, options=EARLIER))
        interfered: list[str] = []
        plan = Plan()
        store, _runner = open_store(FaultyObjectStore(objects, plan), HURRIED)
        plan.add(delay(partial(meanwhile, objects, interfered), nth=nth))
        try:
            run(store)
        except UnavailableError as error:
            # To drop all history at once also drops what tells whether a commit of just now took effect.
            assert "not known" in str(error)  # noqa: PT017
            run(open_store(objects, OPTIONS)[0])
        if not interfered:
            break
        (entries,) = look(objects).values()
        expected = {"a": b"second a", "c": b"restored c", "d": b"first d", "big": bytes(500), "big too": bytes(500)}
        if prepare is not lived_in:
            expected["late"] = b"late"
        if other in ("put", "everything"):
            expected["a"] = b"newest a"
        if other in ("delete", "everything"):
            del expected["d"]
        assert entries == expected, f"before request {nth}"
        check_nothing_needed_is_gone(objects)
        check_history(objects)
    assert nth > 3


@pytest.mark.parametrize("step", range(6))
def test_a_collection_during_a_put_is_no_loss(step: int) -> None:
    """Either the archive is condemned, and its put fails and can be repeated, or it is there with all its bytes."""
    objects = MemoryObjectStore()
    expired(DesStore.init(objects, n_bits=0, options=EARLIER))
    process = putting(objects, "new", b"new")
    for _ in range(step):
        if process.is_running:
            process.step()
    DesStore.open(objects).gc(min_age=NO_AGE, dry_run=False)
    while process.is_running:
        process.step()
    reader, _runner = open_store(objects)
    if process.error is None:
        assert reader.get("new", AT) == b"new"
    else:
        assert not reader.exists("new", AT)
        reader.put("new", AT, b"new")
        assert reader.get("new", AT) == b"new"
    check_nothing_needed_is_gone(objects)


@pytest.mark.parametrize("step", range(8))
def test_a_collection_during_a_deletion_keeps_its_record_or_the_deletion_writes_it_again(step: int) -> None:
    objects = MemoryObjectStore()
    expired(DesStore.init(objects, n_bits=0, options=EARLIER))
    process = Process(DesStore.open(objects).engine.delete([("a", AT)], "asked to", "me", None), objects)
    for _ in range(step):
        if process.is_running:
            process.step()
    DesStore.open(objects).gc(min_age=NO_AGE, dry_run=False)
    while process.is_running:
        process.step()
    assert process.error is None
    assert not open_store(objects)[0].exists("a", AT)
    check_nothing_needed_is_gone(objects)
