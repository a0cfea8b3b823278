"""A store that loses its manifests gets them back: what was there is there, and what was deleted stays deleted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from des_format import DesWriter
from des_format.errors import (
    ConfigurationError,
    EntryDeletedError,
    InvalidInputError,
    StoreExistsError,
    StoreNotFoundError,
    UnavailableError,
    UnsupportedFormatError,
)
from des_format.objects import MemoryObjectStore
from des_format.store import DesStore, Rebuild
from des_format.store.model.checkedjson import decode_checked, encode_checked
from des_format.store.model.commits import Operation
from des_format.store.model.ids import id_at
from des_format.store.model.keys import DESCRIPTOR_KEY, ObjectKind
from des_format.testing import FaultyObjectStore, delay, fail_after, fail_before, lose_reply
from hypothesis import given, settings
from hypothesis import strategies as st

from .damage import DAY, Clock, Shop, cut, drop, flip, keys_of, read, write

Damage = Callable[[Any, str], None]

NONE_AT_ALL = timedelta(0)
DAY_NAME = "20251125"


def lose_manifests(objects: Any, damage: Damage = drop) -> list[str]:
    keys = keys_of(objects, ObjectKind.MANIFEST)
    for key in keys:
        damage(objects, key)
    return keys


def rebuild(shop: Shop, **arguments: Any) -> list[Rebuild]:
    return shop.open().rebuild(dry_run=False, **arguments)


@pytest.fixture
def shop() -> Shop:
    shop = Shop(MemoryObjectStore())
    for uid in ("1", "3", "5", "2"):
        shop.put(uid)
    shop.put("3", b"replaced")
    shop.put("big", b"x" * 5000)
    shop.put("7", at=shop.noon + DAY)
    shop.delete("5")
    return shop


# -- what comes back ------------------------------------------------------------------------


@pytest.mark.parametrize("damage", [drop, cut, flip])
def test_a_store_without_its_manifests_gets_them_back(objects: Any, damage: Damage) -> None:
    shop = Shop(objects)
    shop.fill()
    shop.put("2", b"replaced")
    held = shop.open()
    shop.check(held)
    keys = lose_manifests(objects, damage)
    damaged = {key: read(objects, key) for key in keys if damage is not drop}
    done = rebuild(shop)
    assert [f"{one.where}.manifest" for one in done] == keys
    assert all(one.problems == () and one.sequence for one in done)
    shop.check()
    shop.check(held)
    with pytest.raises(EntryDeletedError):
        held.get("4", shop.noon)
    assert {one.kept_as: read(objects, one.kept_as) for one in done if one.kept_as} == {
        one.kept_as: damaged[f"{one.where}.manifest"] for one in done if damaged
    }
    assert shop.store.verify().ok
    assert shop.open().rebuild() == []


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(shop: Shop) -> None:
    first, *_rest = lose_manifests(shop.objects)
    before = {key: read(shop.objects, key) for key in keys_of(shop.objects)}
    listed = shop.open().rebuild()
    assert {key: read(shop.objects, key) for key in keys_of(shop.objects)} == before
    assert [one.why for one in listed] == ["there is no manifest"] * 3
    assert all(one.sequence is None and one.kept_as is None for one in listed)
    done = rebuild(shop)
    assert [(one.where, one.archives, one.tombstone_count) for one in done] == [
        (one.where, one.archives, one.tombstone_count) for one in listed
    ]
    assert first == f"{done[0].where}.manifest"


def test_one_day_or_one_shard_can_be_rebuilt(shop: Shop) -> None:
    lose_manifests(shop.objects)
    assert [str(one.where) for one in rebuild(shop, day="2025-11-26")] == ["20251126/1"]
    assert [str(one.where) for one in rebuild(shop, day=DAY_NAME, shard=0)] == [f"{DAY_NAME}/0"]
    assert [str(one.where) for one in rebuild(shop)] == [f"{DAY_NAME}/1"]
    shop.check()
    with pytest.raises(InvalidInputError, match="of which day"):
        shop.store.rebuild(shard="1")


def test_a_rebuilt_store_is_used_on_as_before(shop: Shop) -> None:
    lose_manifests(shop.objects)
    rebuild(shop)
    shop.put("9")
    shop.put("3", b"replaced again")
    shop.delete("1")
    shop.put("5", b"restored")
    for maintain in (lambda: shop.store.compact(full=True), lambda: shop.store.expire(NONE_AT_ALL)):
        maintain()
        shop.check()
    shop.clock.advance(days=2)
    shop.store.gc(min_age=NONE_AT_ALL, dry_run=False)
    shop.check()
    assert shop.store.verify().ok


def test_history_begins_anew_with_a_later_number_than_ever_before(shop: Shop) -> None:
    before = shop.store.history(DAY_NAME, "1")
    lost_at = shop.clock()
    lose_manifests(shop.objects)
    done = {str(one.where): one for one in rebuild(shop)}[f"{DAY_NAME}/1"]
    (commit,) = shop.open().history(DAY_NAME, "1")
    assert (commit.operation, commit.sequence) == (Operation.REBUILD, done.sequence)
    assert commit.sequence > before[-1].sequence
    assert all(row.order < commit.sequence and row.added == commit.sequence for row in commit.added)
    with pytest.raises(InvalidInputError, match="dropped"):
        shop.open().as_of(time=lost_at - timedelta(hours=1)).get("1", shop.noon)
    shop.clock.advance(minutes=1)
    shop.check(shop.open().as_of(time=shop.clock()))  # type: ignore[arg-type]  # A snapshot reads as a store does.


def test_many_archives_move_to_a_segment() -> None:
    shop = Shop(MemoryObjectStore(), n_bits=0)
    for number in range(150):
        shop.put(f"{number}")
    lose_manifests(shop.objects)
    rebuild(shop)
    (key,) = keys_of(shop.objects, ObjectKind.MANIFEST)
    assert len(read(shop.objects, key)) < 1000
    shop.check()
    assert shop.store.verify().ok


# -- what was deleted -----------------------------------------------------------------------


@pytest.mark.parametrize("skew", [-4, 4])
def test_what_was_deleted_stays_so_when_clocks_differ(skew: int) -> None:
    shop = Shop(MemoryObjectStore())
    other = shop.open(Clock(shop.clock() + timedelta(minutes=skew)))
    shop.put("1")
    shop.clock.now -= timedelta(minutes=10)
    shop.delete("1", store=other)
    lose_manifests(shop.objects)
    rebuild(shop)
    shop.check()


def test_what_was_restored_long_after_its_deletion_stays_restored_and_in_doubt_it_is_deleted() -> None:
    shop = Shop(MemoryObjectStore())
    shop.put("1")
    shop.delete("1")
    shop.put("1", b"restored")
    lose_manifests(shop.objects)
    rebuild(shop)
    shop.check()
    shop.delete("1")
    shop.clock.now -= timedelta(minutes=6)
    shop.put("1", b"restored too soon")
    shop.check()
    lose_manifests(shop.objects)
    rebuild(shop)
    with pytest.raises(EntryDeletedError):
        shop.open().get("1", shop.noon)


@pytest.mark.parametrize("collected", [False, True])
def test_a_compaction_does_not_bring_anything_back(shop: Shop, collected: bool) -> None:
    shop.store.compact(full=True)
    shop.put("1", b"newer than the compaction")
    shop.delete("2")
    if collected:
        shop.clock.advance(days=2)
        shop.store.expire(NONE_AT_ALL)
        assert shop.store.gc(min_age=NONE_AT_ALL, dry_run=False).deleted_count
    lose_manifests(shop.objects)
    rebuild(shop)
    shop.check()
    with pytest.raises(EntryDeletedError):
        shop.open().get("2", shop.noon)


def test_a_gc_that_died_half_way_does_not_bring_anything_back(shop: Shop) -> None:
    shop.store.compact(full=True)
    shop.clock.advance(days=2)
    shop.store.expire(NONE_AT_ALL)
    for nth in range(1, 30):
        objects = MemoryObjectStore()
        for key in keys_of(shop.objects):
            write(objects, key, read(shop.objects, key))
        faulty = FaultyObjectStore(objects)
        store = shop.open(objects=faulty)
        faulty.plan.add(fail_before(nth, ("delete",)))
        try:
            store.gc(min_age=NONE_AT_ALL, dry_run=False)
        except UnavailableError:
            lose_manifests(objects)
            shop.open(objects=objects).rebuild(dry_run=False)
            shop.check(shop.open(objects=objects))
        else:
            assert nth > 1
            return
    raise AssertionError("gc never ended")


@pytest.mark.parametrize("damage", [flip, cut])
def test_without_the_record_of_a_deletion_only_force_goes_on(shop: Shop, damage: Damage) -> None:
    (record,) = keys_of(shop.objects, ObjectKind.TOMBSTONES)
    damage(shop.objects, record)
    lose_manifests(shop.objects)
    blocked = [one for one in rebuild(shop) if one.is_blocked]
    assert [str(one.where) for one in blocked] == [f"{DAY_NAME}/1"]
    assert [problem.where for problem in blocked[0].problems] == [record]
    assert blocked[0].sequence is None
    assert f"{DAY_NAME}/1.manifest" not in keys_of(shop.objects)
    (forced,) = rebuild(shop, day=DAY_NAME, shard=1, force=True)
    assert forced.sequence is not None
    assert not forced.is_blocked
    assert shop.open().get("5", shop.noon) == b"payload of 5"


# -- what is left out -----------------------------------------------------------------------


def test_an_archive_that_cannot_be_read_is_named_left_out_and_left_alone(shop: Shop) -> None:
    broken = keys_of(shop.objects, ObjectKind.ARCHIVE, DAY_NAME)[0]
    cut(shop.objects, broken)
    write(shop.objects, f"{DAY_NAME}/1_unfinished.des", b"DESHEAD3")
    lose_manifests(shop.objects)
    done = rebuild(shop)
    problems = [problem for one in done for problem in one.problems]
    assert [problem.where for problem in problems] == [broken, f"{DAY_NAME}/1_unfinished.des"]
    shop.clock.advance(days=30)
    report = shop.store.gc(min_age=NONE_AT_ALL, dry_run=False)
    assert report.left_alone
    assert broken in keys_of(shop.objects)
    assert f"{DAY_NAME}/1_unfinished.des" in keys_of(shop.objects)


def test_copies_of_damaged_manifests_are_nobodys_garbage(shop: Shop) -> None:
    lose_manifests(shop.objects, flip)
    copies = [one.kept_as for one in rebuild(shop)]
    shop.clock.advance(days=300)
    shop.store.expire(NONE_AT_ALL)
    shop.store.gc(min_age=NONE_AT_ALL, dry_run=False)
    assert keys_of(shop.objects, ObjectKind.DAMAGED) == copies


def test_big_files_stay_referenced(shop: Shop) -> None:
    lose_manifests(shop.objects)
    rebuild(shop)
    shop.clock.advance(days=30)
    shop.store.gc(min_age=NONE_AT_ALL, dry_run=False)
    shop.check()
    assert len(keys_of(shop.objects, ObjectKind.BIG_FILE)) == 1


def test_big_files_of_an_archive_that_was_left_out_are_kept(shop: Shop) -> None:
    uid, at = "big", shop.noon
    described = shop.store.get_entry(uid, at)
    key = f"{described.day}/{described.shard}_{described.archive_id}.des"
    data = read(shop.objects, key)
    cut(shop.objects, key)
    lose_manifests(shop.objects)
    rebuild(shop)
    shop.clock.advance(days=30)
    shop.store.gc(min_age=NONE_AT_ALL, dry_run=False)
    write(shop.objects, key, data)
    rebuild(shop, force=True)
    shop.check()


def archive_of(path: Path, *names: str) -> Path:
    with DesWriter(path) as writer:
        for name in names:
            writer.add_file(name, name.encode())
    return path


def test_an_archive_of_another_shard_is_left_out_and_a_mixed_one_is_taken_in(shop: Shop, tmp_path: Path) -> None:
    shop.store.put_archive(archive_of(tmp_path / "a.des", "11", "12"), DAY_NAME, 1, "mixed")
    shop.store.put_archive(archive_of(tmp_path / "b.des", "14", "16"), DAY_NAME, 1, "foreign")
    lose_manifests(shop.objects)
    done = {str(one.where): one for one in rebuild(shop)}[f"{DAY_NAME}/1"]
    assert [(problem.where, problem.name) for problem in done.problems] == [
        (f"{DAY_NAME}/1_foreign.des", None),
        (f"{DAY_NAME}/1_mixed.des", "12"),
    ]
    assert "mixed" in done.archives
    assert "foreign" not in done.archives
    assert shop.open().get("11", shop.noon) == b"11"


# -- manifests that can be read ---------------------------------------------------------------


def test_a_sound_manifest_is_replaced_only_by_force_and_reads_as_before(shop: Shop) -> None:
    shop.store.compact(full=True)
    shop.put("5", b"restored")
    shop.delete("1")
    shop.clock.now -= timedelta(minutes=10)
    shop.put("1", b"restored at once")
    shop.check()
    assert rebuild(shop) == []
    done = rebuild(shop, force=True)
    assert [one.why for one in done] == ["forced"] * 3
    assert all(one.kept_as in keys_of(shop.objects, ObjectKind.DAMAGED) for one in done)
    shop.check()
    assert shop.store.verify().ok


def test_by_force_nothing_comes_back_though_its_record_is_lost(shop: Shop) -> None:
    (record,) = keys_of(shop.objects, ObjectKind.TOMBSTONES)
    drop(shop.objects, record)
    rebuild(shop, force=True)
    shop.check()


def test_what_was_given_up_as_garbage_stays_so(shop: Shop) -> None:
    shop.clock.advance(hours=2)
    orphan_id = id_at(shop.clock.now)
    orphan = f"{DAY_NAME}/1_{orphan_id}.des"
    write(shop.objects, orphan, read(shop.objects, keys_of(shop.objects, ObjectKind.ARCHIVE, DAY_NAME)[-1]))
    shop.clock.advance(days=1)
    assert shop.store.gc(min_age=NONE_AT_ALL, dry_run=False).deleted_count == 1
    write(shop.objects, orphan, read(shop.objects, keys_of(shop.objects, ObjectKind.ARCHIVE, DAY_NAME)[-1]))
    done = {str(one.where): one for one in rebuild(shop, force=True)}[f"{DAY_NAME}/1"]
    assert orphan_id not in done.archives
    shop.check()


@pytest.mark.parametrize("damage", [drop, flip])
def test_a_lost_segment_is_repaired_without_force(damage: Damage) -> None:
    shop = Shop(MemoryObjectStore(), n_bits=0)
    for number in range(140):
        shop.put(f"{number % 100}", f"{number}".encode())
    shop.delete("17")
    for key in keys_of(shop.objects, ObjectKind.SEGMENT):
        damage(shop.objects, key)
    assert not shop.store.verify().ok
    (done,) = rebuild(shop)
    assert "segment" in done.why or ".commits" in done.why
    shop.check()
    assert shop.store.verify().ok


def test_a_manifest_of_a_newer_version_is_left_as_it_is(shop: Shop) -> None:
    key = keys_of(shop.objects, ObjectKind.MANIFEST)[0]
    value = decode_checked(read(shop.objects, key), key)
    write(shop.objects, key, encode_checked({**value, "version": 2}))
    before = read(shop.objects, key)
    with pytest.raises(UnsupportedFormatError):
        rebuild(shop, force=True)
    assert read(shop.objects, key) == before


# -- others at the same time ----------------------------------------------------------------


@pytest.mark.parametrize("damage", [drop, flip])
@pytest.mark.parametrize("keys", ["*/1_*.des", "*/1.manifest"])
def test_what_others_commit_during_a_rebuild_is_not_lost(shop: Shop, keys: str, damage: Damage) -> None:
    lose_manifests(shop.objects, damage)
    writer = shop.open()
    busy = False

    def interfere(_operation: str, _key: object) -> None:
        nonlocal busy
        if not busy and len(shop.model) < 20:
            busy = True
            try:
                shop.put(f"{2 * len(shop.model) + 101}", store=writer)
            finally:
                busy = False

    if damage is flip:  # Nobody can commit to a manifest that cannot be read; someone else rebuilds it first.

        def interfere(_operation: str, _key: object) -> None:
            nonlocal busy
            if not busy:
                busy = True
                rebuild(shop)
                shop.put("101", store=writer)
                shop.delete("2", store=writer)

    objects = FaultyObjectStore(shop.objects)
    objects.plan.add(delay(interfere, None, ("get",) if keys.endswith(".des") else ("put",), keys))
    assert shop.open(objects=objects).rebuild(dry_run=False)
    assert busy or len(shop.model) > 6
    shop.check()
    assert shop.store.verify().ok


def test_a_writer_that_published_before_and_commits_after_is_added_once(shop: Shop) -> None:
    lose_manifests(shop.objects)
    objects = FaultyObjectStore(shop.objects)
    late = shop.open(objects=objects)
    objects.plan.add(delay(lambda _operation, _key: rebuild(shop) and None, 1, ("put",), "*.manifest"))
    shop.put("9", store=late)
    shop.check()
    assert len(shop.open().history(DAY_NAME, "1")) == 1


def test_a_deletion_under_way_holds(shop: Shop) -> None:
    objects = FaultyObjectStore(shop.objects)
    late = shop.open(objects=objects)
    objects.plan.add(delay(lambda _operation, _key: rebuild(shop, force=True) and None, 1, ("put",), "*.manifest"))
    shop.delete("1", store=late)
    shop.check()


def test_a_writer_whose_manifest_is_older_than_the_horizon_commits_without_waiting(shop: Shop) -> None:
    other = shop.open()
    shop.put("9", store=other)
    shop.put("9", b"newer")
    shop.clock.advance(days=1)
    shop.store.expire(NONE_AT_ALL)
    shop.clock.advance(days=1)
    shop.put("9", b"newest", store=other)
    shop.check()


def test_a_compaction_under_way_is_given_up(shop: Shop) -> None:
    shop.put("3", b"newest")
    objects = FaultyObjectStore(shop.objects)
    late = shop.open(objects=objects)

    def interfere(_operation: str, _key: object) -> None:
        shop.delete("1")
        rebuild(shop, force=True)

    objects.plan.add(delay(interfere, 1, ("put",), f"{DAY_NAME}/1.manifest"))
    (done,) = late.compact(DAY_NAME, 1, full=True)
    assert done.abandoned
    shop.check()
    shop.store.compact(full=True)
    shop.check()


@pytest.mark.parametrize("fault", [lose_reply, fail_after, fail_before])
def test_a_lost_reply_is_no_second_rebuild(shop: Shop, fault: Callable[..., Any]) -> None:
    lose_manifests(shop.objects)
    objects = FaultyObjectStore(shop.objects)
    arguments = {} if fault is lose_reply else {"operations": ("put",)}
    objects.plan.add(fault(1, keys="*/1.manifest", **arguments))
    done = shop.open(objects=objects).rebuild(dry_run=False)
    assert [len(shop.open().history(one.where.day, one.where.shard)) for one in done] == [1] * 3
    shop.check()


def test_a_storage_that_fails_leaves_everything_as_it_was(shop: Shop) -> None:
    lose_manifests(shop.objects, flip)
    before = {key: read(shop.objects, key) for key in keys_of(shop.objects)}
    for keys in ("*.des", "*.tombstones", "*/1.manifest"):
        objects = FaultyObjectStore(shop.objects)
        store = shop.open(objects=objects)
        objects.plan.add(fail_before(None, ("get",), keys))
        with pytest.raises(UnavailableError):
            store.rebuild(DAY_NAME, 1, dry_run=False)
        assert {key: read(shop.objects, key) for key in keys_of(shop.objects)} == before


# -- the descriptor ---------------------------------------------------------------------------


def test_a_lost_descriptor_is_made_anew_with_the_id_that_manifests_tell(shop: Shop) -> None:
    drop(shop.objects, DESCRIPTOR_KEY)
    made = DesStore.rebuild_descriptor(shop.objects, n_bits=1)
    assert made == shop.store.descriptor
    shop.check()
    with pytest.raises(StoreExistsError):
        DesStore.rebuild_descriptor(shop.objects, n_bits=1)


def test_a_damaged_descriptor_is_replaced_and_kept(shop: Shop) -> None:
    cut(shop.objects, DESCRIPTOR_KEY)
    damaged = read(shop.objects, DESCRIPTOR_KEY)
    DesStore.rebuild_descriptor(shop.objects, n_bits=1, store_id=shop.store.descriptor.store_id)
    shop.check()
    (copy,) = [key for key in keys_of(shop.objects) if key.startswith(DESCRIPTOR_KEY + ".")]
    assert read(shop.objects, copy) == damaged


def test_without_manifests_records_or_the_caller_tell_the_id(shop: Shop) -> None:
    drop(shop.objects, DESCRIPTOR_KEY)
    lose_manifests(shop.objects)
    assert DesStore.rebuild_descriptor(shop.objects, n_bits=1) == shop.store.descriptor
    drop(shop.objects, DESCRIPTOR_KEY)
    drop(shop.objects, keys_of(shop.objects, ObjectKind.TOMBSTONES)[0])
    made = DesStore.rebuild_descriptor(shop.objects, n_bits=1, store_id="0" * 32)
    assert made == replace(shop.store.descriptor, store_id="0" * 32)
    rebuild(shop)
    assert shop.open().get("1", shop.noon) == b"payload of 1"


@pytest.mark.parametrize(
    "wrong", [{"n_bits": 0}, {"n_bits": 2}, {"n_bits": 5}, {"scheme": "sha256-prefix"}, {"store_id": "0" * 32}]
)
def test_a_descriptor_that_contradicts_the_store_is_refused(shop: Shop, wrong: dict[str, Any]) -> None:
    drop(shop.objects, DESCRIPTOR_KEY)
    shop.put("2")
    with pytest.raises(ConfigurationError, match="contradict"):
        DesStore.rebuild_descriptor(shop.objects, **{"n_bits": 1, **wrong})
    assert DESCRIPTOR_KEY not in keys_of(shop.objects)


def test_objects_of_two_stores_are_no_store(shop: Shop) -> None:
    other = Shop(MemoryObjectStore())
    other.put("1")
    key = f"{DAY_NAME}/1.manifest"
    write(shop.objects, "20251127/1.manifest", read(other.objects, key))
    drop(shop.objects, DESCRIPTOR_KEY)
    with pytest.raises(ConfigurationError, match="several stores"):
        DesStore.rebuild_descriptor(shop.objects, n_bits=1)


def test_where_nothing_is_no_descriptor_is_made() -> None:
    with pytest.raises(StoreNotFoundError):
        DesStore.rebuild_descriptor(MemoryObjectStore(), n_bits=8)


# -- any history ----------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "delete", "delete", "compact", "expire", "gc", "rebuild"]),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from([0, 1, 120, 299, 301, 900, 90_000]),
    ),
    max_size=25,
)


@settings(max_examples=150)
@given(STEPS)
def test_after_any_history_a_rebuild_gives_what_was_there(steps: list[tuple[str, str, int]]) -> None:
    shop = Shop(MemoryObjectStore(), n_bits=0)
    shop.clock.now = datetime.now(UTC)
    added: dict[str, datetime] = {}
    deleted: dict[str, datetime] = {}
    for number, (what, uid, seconds) in enumerate(steps):
        shop.clock.advance(seconds=seconds)
        now = shop.clock()
        present = (uid, shop.noon) in shop.model
        match what:
            case "put":
                shop.put(uid, f"{number}".encode() * (1 if number % 5 else 400))
                added[uid] = now
            case "delete" if present:
                shop.delete(uid)
                deleted[uid] = now
            case "compact":
                shop.store.compact(full=number % 2 == 0)
            case "expire":
                shop.store.expire(NONE_AT_ALL)
            case "gc":
                shop.store.gc(min_age=NONE_AT_ALL, dry_run=False)
            case "rebuild":
                shop.store.rebuild(dry_run=False, force=True)
        shop.clock.now = now
        shop.check(shop.store)
    lose_manifests(shop.objects)
    rebuild(shop)
    reader = shop.open()
    found = reader.get_many([(uid, shop.noon) for uid in added])
    for uid, at in added.items():
        request = (uid, shop.noon)
        if request not in shop.model:
            assert request not in found
        elif request not in found:
            assert uid in deleted
            assert at - deleted[uid] <= timedelta(minutes=5)
        else:
            assert found[request] == shop.model[request]
    assert shop.store.verify().ok


def test_an_archive_whose_object_is_lost_can_be_left_out(shop: Shop) -> None:
    lost = keys_of(shop.objects, ObjectKind.ARCHIVE, DAY_NAME)[0]
    where, archive_id = lost.removesuffix(".des").split("/")[1].split("_")
    drop(shop.objects, lost)
    with pytest.raises(InvalidInputError, match="of which shard"):
        shop.store.rebuild(DAY_NAME, without=[archive_id])
    (done,) = shop.store.rebuild(DAY_NAME, where, without=[archive_id], dry_run=False)
    assert archive_id not in done.archives
    assert shop.store.verify().ok
    assert {row.archive_id for row in shop.store.list(DAY_NAME, where)} <= set(done.archives)
