"""Deletion holds, and nothing else is lost: the failures of the published systems, each impossible here."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from des_format import DesReader, DesWriter
from des_format.errors import ArchiveCondemnedError, EntryDeletedError, EntryNotFoundError, InvalidInputError
from des_format.objects import MemoryObjectStore
from des_format.store import ArchiveOptions, AsyncDesStore, DesStore, NewEntry, Operation, StoreOptions
from des_format.store.model.ids import id_at, new_id
from des_format.store.model.keys import ShardKey
from des_format.store.sansio.effects import Effects, Request
from des_format.store.writing.building import build_archive
from des_format.store.writing.writes import NewArchive

from .runners import RecordingRunner, open_store

DAY = "20251125"
WHY: dict[str, Any] = {"reason": "asked to", "by": "me"}
ALWAYS_ASKS = StoreOptions(manifest_ttl_seconds=0)
BELIEVES = StoreOptions(manifest_ttl_seconds=3600)
OpenAny = Callable[..., Any]


def keys(objects: Any, suffix: str = "") -> set[str]:
    return {meta["path"] for page in objects.list() for meta in page if meta["path"].endswith(suffix)}


def names(reader: Any) -> list[str]:
    return [stored.entry.name for stored in reader.list(DAY)]


# -- adding never replaces ----------------------------------------------------------------------


def test_six_hundred_single_puts_of_a_day_are_all_there(morning: datetime) -> None:
    """One entry for each call, 600 of them for 256 shards: 344 were lost."""
    objects = MemoryObjectStore()
    store = DesStore.init(objects)
    for number in range(600):
        store.put(f"file-{number}", morning, str(number).encode())
    reader = DesStore.open(objects)
    found = reader.get_many([(f"file-{number}", morning) for number in range(600)])
    assert list(found.values()) == [str(number).encode() for number in range(600)]
    assert len(keys(objects, ".des")) == 600
    assert len(names(reader)) == 600


def test_a_second_writer_of_the_same_day_and_shard_erases_nothing(
    objects: Any, open_any: OpenAny, morning: datetime
) -> None:
    open_any(objects, make=True, n_bits=0).put("one", morning, b"1")
    before = {key: bytes(objects.get(key).buffer()) for key in keys(objects, ".des")}
    for number in range(3):
        open_any(objects).put(f"more {number}", morning, b"2")
    assert names(open_any(objects)) == ["more 0", "more 1", "more 2", "one"]
    assert before.items() <= {key: bytes(objects.get(key).buffer()) for key in keys(objects, ".des")}.items()


def test_equal_names_of_two_sources_are_versions_and_both_are_in_the_history(store: Any, morning: datetime) -> None:
    first = store.put("scan.pdf", morning, b"a/scan.pdf")
    store.put("scan.pdf", morning, b"b/scan.pdf")
    assert store.get("scan.pdf", morning) == b"b/scan.pdf"
    assert store.as_of(sequence=first.sequence).get("scan.pdf", morning) == b"a/scan.pdf"


# -- deletion -----------------------------------------------------------------------------------


def test_what_is_deleted_is_hidden_from_every_read(
    store: Any, objects: Any, open_any: OpenAny, morning: datetime
) -> None:
    store.put_many([NewEntry(uid, morning, uid.encode()) for uid in ("a", "b", "c")])
    locator = store.locator("a", morning)
    store.delete("a", morning, **WHY, ticket="T-1")
    for reader in (store, open_any(objects)):
        for read in (reader.get, reader.get_entry, reader.locator):
            with pytest.raises(EntryDeletedError):
                read("a", morning)
        with pytest.raises(EntryDeletedError):
            reader.read_range("a", morning, 0, 1)
        with pytest.raises(EntryDeletedError):
            reader.read_locator(locator)
        with pytest.raises(EntryDeletedError):
            reader.delete("a", morning, **WHY)
        assert not reader.exists("a", morning)
        assert reader.get_many([("a", morning), ("b", morning)]) == {("b", morning): b"b"}
        assert sorted(names(reader)) == ["b", "c"]


@pytest.mark.parametrize("hour", [0, 9, 11, 23])
@pytest.mark.parametrize("offset", [-11, 0, 3, 13])
def test_no_other_time_of_the_day_gets_around_a_deletion(hour: int, offset: int, morning: datetime) -> None:
    """Deleted at 10:00, asked for at 11:00: it was served."""
    store = DesStore.init(MemoryObjectStore())
    store.put("a", morning, b"secret")
    store.delete("a", morning.astimezone(timezone(timedelta(hours=offset))), **WHY)
    at = morning.replace(hour=hour, minute=59, second=59, microsecond=999999)
    for time in (at, at.astimezone(timezone(timedelta(hours=offset)))):
        with pytest.raises(EntryDeletedError):
            store.get("a", time)
        with pytest.raises(EntryDeletedError):
            store.delete("a", time, **WHY)


def test_a_deletion_is_of_one_day(store: Any, morning: datetime) -> None:
    store.put("a", morning, b"today")
    store.put("a", morning + timedelta(days=1), b"tomorrow")
    store.delete("a", morning, **WHY)
    assert store.get("a", morning + timedelta(days=1)) == b"tomorrow"


def test_a_deletion_breaks_no_other_entry_of_its_shard(
    store: Any, objects: Any, open_any: OpenAny, morning: datetime
) -> None:
    """The record of a deletion was taken for an archive: every other read of the shard failed."""
    for number in range(48):
        store.put(str(number), morning, b"1")
    store.delete("16", morning, **WHY)
    reader = open_any(objects)
    assert all(reader.get(str(number), morning) == b"1" for number in range(48) if number != 16)
    for unknown in ("48", "64", "unknown"):
        with pytest.raises(EntryNotFoundError):
            reader.get(unknown, morning)
    reader.delete("32", morning, **WHY)
    assert not open_any(objects).exists("32", morning)


def test_a_deletion_says_who_why_and_when_and_its_record_is_beside_the_manifest(
    store: Any, objects: Any, morning: datetime
) -> None:
    before = datetime.now(UTC)
    store.put("a", morning, b"1")
    receipt = store.delete("a", morning, reason="GDPR art. 17", by="dpo@example.org", ticket="T-9")
    (commit,) = [one for one in store.history(DAY, receipt.where.shard) if one.operation is Operation.DELETE]
    (tombstone,) = commit.tombstones
    assert (tombstone.uid, tombstone.reason, tombstone.by, tombstone.ticket) == (
        "a", "GDPR art. 17", "dpo@example.org", "T-9",
    )  # fmt: skip
    assert before <= tombstone.at <= datetime.now(UTC)
    (record,) = keys(objects, ".tombstones")
    assert b'"GDPR art. 17"' in bytes(objects.get(record).buffer())


@pytest.mark.parametrize("missing", ["reason", "by"])
def test_a_deletion_without_reason_or_name_is_refused(
    missing: str, store: Any, objects: Any, morning: datetime
) -> None:
    store.put("a", morning, b"1")
    with pytest.raises(InvalidInputError, match=missing):
        store.delete("a", morning, **{**WHY, missing: " "})
    assert store.get("a", morning) == b"1"
    assert not keys(objects, ".tombstones")


def test_to_delete_what_is_not_there_is_an_error_and_changes_nothing(
    store: Any, objects: Any, morning: datetime
) -> None:
    store.put("a", morning, b"1")
    with pytest.raises(EntryNotFoundError):
        store.delete("b", morning, **WHY)
    with pytest.raises(EntryNotFoundError):
        store.delete_many([("a", morning), ("b", morning)], **WHY)
    assert store.get("a", morning) == b"1"
    store.delete("a", morning, **WHY)
    before = keys(objects)
    with pytest.raises(EntryDeletedError):
        store.delete("a", morning, **WHY)
    assert keys(objects) == before


def test_many_are_deleted_with_one_commit_for_each_shard(store: Any, morning: datetime) -> None:
    requests = [(str(number), morning) for number in range(40)]
    store.put_many([NewEntry(uid, at, b"1") for uid, at in requests])
    receipts = store.delete_many(requests[:20] + requests[:5], **WHY)
    assert len(receipts) == 16
    assert sorted(map(int, names(store))) == list(range(20, 40))
    assert [len(store.history(DAY, shard)) for shard in store.shards(DAY)] == [2] * 16


# -- restoring ----------------------------------------------------------------------------------


def test_to_add_again_is_to_restore_and_it_can_be_deleted_again(
    store: Any, objects: Any, open_any: OpenAny, morning: datetime
) -> None:
    shard = store.put("a", morning, b"1").where.shard
    for version in (b"2", b"3", b"4"):
        store.delete("a", morning, **WHY)
        assert not open_any(objects).exists("a", morning)
        store.put("a", morning, version)
        assert open_any(objects).get("a", morning) == version
        assert names(open_any(objects)) == ["a"]
    store.delete("a", morning, **WHY)
    assert names(open_any(objects)) == []
    versions = {}
    for commit in store.history(DAY, shard):
        past = store.as_of(sequence=commit.sequence)
        versions[commit.sequence] = past.get("a", morning) if past.exists("a", morning) else None
    assert versions == {1: b"1", 2: None, 3: b"2", 4: None, 5: b"3", 6: None, 7: b"4", 8: None}


def test_the_past_still_shows_what_was_deleted_since(store: Any, morning: datetime) -> None:
    store.put("a", morning, b"1", {"k": 1})
    store.put("b", morning, b"2")
    before = datetime.now(UTC)
    receipt = store.delete("a", morning, **WHY)
    for past in (store.as_of(time=before), store.as_of(sequence=receipt.sequence - 1)):
        assert past.get("a", morning) == b"1"
        assert past.exists("a", morning)
    with pytest.raises(EntryDeletedError):
        store.as_of(sequence=receipt.sequence).get("a", morning)
    with pytest.raises(InvalidInputError, match="to come"):
        store.as_of(sequence=receipt.sequence + 1).get("a", morning)
    assert list(store.as_of(time=datetime(2020, 1, 1, tzinfo=UTC)).list(DAY)) == []


# -- several processes --------------------------------------------------------------------------


def test_two_replicas_that_delete_at_the_same_time_both_succeed_for_ever(morning: datetime) -> None:
    """Each wrote back its own copy of the list of deletions: one came back to life."""
    objects = MemoryObjectStore()
    writer = DesStore.init(objects, n_bits=0)
    writer.put_many([NewEntry(str(number), morning, b"1") for number in range(20)])
    replicas = [open_store(objects, BELIEVES)[0] for _ in range(4)]
    for replica in replicas:
        assert replica.exists("0", morning)  # Each holds the manifest from before all deletions.
    for number in range(20):
        replicas[number % 4].delete(str(number), morning, **WHY)
    reader, _runner = open_store(objects)
    assert names(reader) == []
    assert [commit.sequence for commit in reader.history(DAY, "0")] == list(range(1, 22))
    late, _runner = open_store(objects, ALWAYS_ASKS)
    for number in range(20):
        with pytest.raises(EntryDeletedError):
            late.get(str(number), morning)


def test_a_reader_that_believes_for_long_sees_a_deletion_when_it_asks(
    objects: Any, open_any: OpenAny, morning: datetime
) -> None:
    open_any(objects, make=True, n_bits=0).put("a", morning, b"secret")
    reader = open_any(objects, options=BELIEVES)
    assert reader.get("a", morning) == b"secret"
    open_any(objects).delete("a", morning, **WHY)
    assert reader.get("a", morning) == b"secret"
    reader.refresh("a", morning)
    with pytest.raises(EntryDeletedError):
        reader.get("a", morning)


def test_a_stale_replica_that_writes_brings_nothing_back(morning: datetime) -> None:
    objects = MemoryObjectStore()
    DesStore.init(objects, n_bits=0).put("a", morning, b"secret")
    stale, _runner = open_store(objects, BELIEVES)
    assert stale.get("a", morning) == b"secret"
    open_store(objects)[0].delete("a", morning, **WHY)
    assert stale.get("a", morning) == b"secret", "until its manifest is too old"
    stale.put("b", morning, b"2")  # Commits on top of the deletion, and learns of it.
    with pytest.raises(EntryDeletedError):
        stale.get("a", morning)
    assert names(open_store(objects)[0]) == ["b"]


def test_a_deletion_is_seen_everywhere_once_the_time_to_believe_has_passed(morning: datetime) -> None:
    objects = MemoryObjectStore()
    DesStore.init(objects, n_bits=0).put("a", morning, b"secret")
    stale, _runner = open_store(objects, BELIEVES)
    assert stale.get("a", morning) == b"secret"
    open_store(objects)[0].delete("a", morning, **WHY)
    stale.engine.present.ttl_seconds = 0
    with pytest.raises(EntryDeletedError):
        stale.get("a", morning)
    # A locator made before does not help either.
    with pytest.raises(EntryDeletedError):
        stale.locator("a", morning)


async def test_tasks_that_add_and_delete_at_the_same_time_lose_nothing(morning: datetime) -> None:
    objects = MemoryObjectStore()
    stores = [await AsyncDesStore.init(objects, n_bits=0)]
    stores += [await AsyncDesStore.open(objects) for _ in range(2)]
    await asyncio.gather(*(stores[n % 3].put(str(n), morning, b"1") for n in range(12)))
    await asyncio.gather(
        *(stores[n % 3].delete(str(n), morning, **WHY) for n in range(6)),
        *(stores[n % 3].put(str(n), morning, b"2") for n in range(12, 18)),
    )
    reader = DesStore.open(objects)
    assert sorted(map(int, names(reader))) == list(range(6, 18))
    assert [commit.sequence for commit in reader.history(DAY, "0")] == list(range(1, 25))


# -- a deletion and an addition at the same time ------------------------------------------------


def steps_of_put(store: DesStore, uid: str, at: datetime, data: bytes) -> Effects[Any]:
    ((archive, _positions),) = store.engine.build(store.runner, [NewEntry(uid, at, data)])
    return store.engine.writes.add(archive)


def advance(runner: RecordingRunner, effects: Effects[Any], replies: list[Any] | None) -> list[Request] | None:
    """Send replies, and return what is asked next; None at the end."""
    try:
        return next(effects) if replies is None else effects.send(replies)
    except StopIteration:
        return None


def test_the_order_of_commits_decides_between_a_deletion_and_an_addition(morning: datetime) -> None:
    """An archive that was written before a deletion, but committed after it, is visible: it is later, and was
    acknowledged later. Whoever wants an entry gone for good must also stop whoever adds it."""
    objects = MemoryObjectStore()
    DesStore.init(objects, n_bits=0).put("a", morning, b"old")
    adder, runner = open_store(objects)
    effects = steps_of_put(adder, "a", morning, b"new")
    archive_written = advance(runner, effects, None)
    assert archive_written is not None
    replies = runner._perform(archive_written)
    assert len(keys(objects, ".des")) == 2, "written, not committed"
    open_store(objects)[0].delete("a", morning, **WHY)
    requests = advance(runner, effects, replies)
    while requests is not None:
        requests = advance(runner, effects, runner._perform(requests))
    reader, _runner = open_store(objects)
    assert reader.get("a", morning) == b"new"
    assert [commit.operation.value for commit in reader.history(DAY, "0")] == ["add", "delete", "add"]


def test_an_addition_that_was_committed_before_a_deletion_is_hidden_by_it(morning: datetime) -> None:
    objects = MemoryObjectStore()
    deleter = DesStore.init(objects, n_bits=0, options=BELIEVES)
    deleter.put("a", morning, b"old")
    open_store(objects)[0].put("a", morning, b"new")
    assert deleter.get("a", morning) == b"old", "it does not know of the new one"
    deleter.delete("a", morning, **WHY)
    with pytest.raises(EntryDeletedError):
        open_store(objects)[0].get("a", morning)


def test_a_deleted_entry_does_not_come_back_by_adding_its_archive_again(morning: datetime, tmp_path: Any) -> None:
    """A packer that repeats its task after a crash must not undo a deletion."""
    path = tmp_path / "a.des"
    with DesWriter(path) as writer:
        writer.add_file("a", b"secret")
    objects = MemoryObjectStore()
    store = DesStore.init(objects, n_bits=0)
    store.put_archive(path, DAY, "0", "task1")
    store.delete("a", morning, **WHY)
    assert store.put_archive(path, DAY, "0", "task1").existed
    assert not store.exists("a", morning)
    store.compact(DAY, full=True)
    assert store.put_archive(path, DAY, "0", "task1").existed
    assert not open_store(objects)[0].exists("a", morning)


# -- maintenance --------------------------------------------------------------------------------


def test_a_compaction_keeps_what_is_visible_and_what_was_deleted_stays_hidden(morning: datetime) -> None:
    objects = MemoryObjectStore()
    store = DesStore.init(objects, n_bits=0, options=StoreOptions(writing=ArchiveOptions(big_file_threshold=1000)))
    for number in range(12):
        store.put(str(number % 5), morning, str(number).encode() * (1 + 400 * (number % 2)), {"n": number})
    store.delete_many([("1", morning), ("3", morning)], **WHY)
    store.put("3", morning, b"restored")
    visible = store.get_many([(str(number), morning) for number in range(5)])
    described = {stored.entry.name: stored.entry.meta for stored in store.list(DAY)}
    (done,) = store.compact(full=True)
    assert (len(done.inputs), done.entries_kept, done.abandoned) == (13, 4, False)
    for reader in (store, open_store(objects)[0]):
        assert reader.get_many([(str(number), morning) for number in range(5)]) == visible
        assert {stored.entry.name: stored.entry.meta for stored in reader.list(DAY)} == described
        with pytest.raises(EntryDeletedError):
            reader.get("1", morning)
    for sequence in range(1, 13):
        assert (
            store.as_of(sequence=sequence).get(str((sequence - 1) % 5), morning).startswith(str(sequence - 1).encode())
        )


def test_a_deletion_during_a_compaction_is_not_undone_by_it(morning: datetime) -> None:
    """A compacted archive is as old as the newest of what it was made of, whenever it is committed."""

    class DeletesOnPublish(MemoryObjectStore):
        armed = False

        def put(self, path: str, file: Any, *, mode: Any = None) -> Any:
            if self.armed and path.endswith(".des"):
                self.armed = False
                open_store(self)[0].delete("a", morning, **WHY)
                open_store(self)[0].put("b", morning, b"newer")
            return super().put(path, file, mode=mode)

    objects = DeletesOnPublish()
    store = DesStore.init(objects, n_bits=0)
    for uid in ("a", "b", "c"):
        store.put(uid, morning, b"1")
    objects.armed = True
    (done,) = store.compact(full=True)
    assert not done.abandoned
    reader, _runner = open_store(objects)
    with pytest.raises(EntryDeletedError):
        reader.get("a", morning)
    assert reader.get_many([("b", morning), ("c", morning)]) == {("b", morning): b"newer", ("c", morning): b"1"}
    reader.compact(full=True)
    assert names(reader) == ["b", "c"]


# -- erasure ------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["none", "balanced"])
@pytest.mark.parametrize("size", ["inline", "big file"])
def test_after_compaction_expiry_and_collection_no_byte_of_a_deleted_payload_is_left(
    size: str, compression: Any, objects: Any, morning: datetime
) -> None:
    """What remains: the uid in the record of the commit, with who and why, until a later `expire` drops that."""
    options = StoreOptions(
        writing=ArchiveOptions(compression=compression, big_file_threshold=1000 if size == "big file" else 10**6)
    )
    store = DesStore.init(objects, n_bits=0, options=options)
    needle = random.Random(7).randbytes(64)
    secret = b"surrounded by text " * 40 + needle + b" that can be compressed" * 40
    meta_needle = "the-meta-needle-of-a-deleted-entry"
    store.put_many([NewEntry(uid, morning, uid.encode() * 50) for uid in ("kept-1", "kept-2")])
    store.put_many([NewEntry("deleted-uid", morning, secret, {"note": meta_needle}), NewEntry("kept-3", morning, b"3")])
    for number in range(40):  # A segment, too, knows of it.
        store.put(f"later-{number}", morning, b"1")
    store.delete("deleted-uid", morning, **WHY)

    def everything() -> bytes:
        return b"".join(bytes(objects.get(key).buffer()) for key in sorted(keys(objects)))

    if compression == "none":
        assert needle in everything()
    visible = store.get_many(wanted := [(name, morning) for name in names(store)])
    store.compact(full=True)
    store.expire(timedelta(0))
    report = store.gc(min_age=timedelta(0), dry_run=False)
    assert report.deleted_count
    assert not report.left_alone
    reader, _runner = open_store(objects)
    assert names(reader) == sorted(name for name, _at in wanted)
    assert reader.get_many(wanted) == visible
    assert not reader.exists("deleted-uid", morning)
    left = everything()
    assert needle not in left
    assert meta_needle.encode() not in left
    for key in keys(objects, ".des"):  # What is compressed hides its bytes, so look inside as well.
        with DesReader(bytes(objects.get(key).buffer())) as archive:
            assert all(needle not in archive.get_file(entry.name) for entry in archive.entries())
    assert not [key for key in keys(objects) if "_bigFiles" in key]
    for _ in range(3):
        store.expire(timedelta(0))
        store.gc(min_age=timedelta(0), dry_run=False)
    assert b"deleted-uid" not in everything()
    assert open_store(objects)[0].get_many(wanted) == visible


def test_a_big_file_that_another_entry_needs_outlives_a_deletion(objects: Any, morning: datetime) -> None:
    options = StoreOptions(writing=ArchiveOptions(big_file_threshold=1000))
    store = DesStore.init(objects, n_bits=4, options=options)
    shared = bytes(5000)
    store.put("1", morning, shared)
    store.put("2", morning, shared)  # Another shard of the same day.
    store.delete("1", morning, **WHY)
    store.compact(full=True)
    store.expire(timedelta(0))
    store.gc(min_age=timedelta(0), dry_run=False)
    reader = DesStore.open(objects)
    assert reader.get("2", morning) == shared
    assert not reader.exists("1", morning)
    reader.delete("2", morning, **WHY)
    reader.compact(full=True)
    reader.expire(timedelta(0))
    reader.gc(min_age=timedelta(0), dry_run=False)
    assert not [key for key in keys(objects) if "_bigFiles" in key]


def test_an_archive_id_that_was_collected_is_refused_for_a_time(morning: datetime) -> None:
    objects = MemoryObjectStore()
    store = DesStore.init(objects, n_bits=0)
    store.put("a", morning, b"1")
    where = ShardKey(DAY, "0")
    engine = store.engine
    data, footer = build_archive([("b", NewEntry("b", morning, b"2"))], None, ArchiveOptions())  # type: ignore[arg-type]
    archive = NewArchive(where, id_at(datetime.now(UTC) + timedelta(hours=1)), data, footer)
    store.runner.run(engine.writes.publish(archive))
    store.gc(min_age=timedelta(0), dry_run=False)
    with pytest.raises(ArchiveCondemnedError, match=archive.id):
        store.runner.run(engine.writes.add(archive))
    assert not store.exists("b", morning)
    assert store.runner.run(engine.writes.add(replace(archive, id=new_id()))).sequence
    assert store.get("b", morning) == b"2"
