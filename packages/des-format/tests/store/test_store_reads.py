"""What goes into a store comes out of it: every object store, both APIs."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import zstandard
from des_format import DesWriter
from des_format.entry import Codec
from des_format.errors import (
    BigFileMissingError,
    ConfigurationError,
    ConflictError,
    DuplicateEntryError,
    EntryDeletedError,
    EntryNotFoundError,
    InvalidInputError,
    InvalidLocatorError,
    LocatorExpiredError,
    NotFoundError,
    StoreExistsError,
    StoreNotFoundError,
    UnsupportedFormatError,
)
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.routing import locate_shard
from des_format.store import ArchiveOptions, AsyncDesStore, DesStore, NewEntry, StoreOptions

OpenAny = Callable[..., Any]
BIG = StoreOptions(writing=ArchiveOptions(big_file_threshold=1000))
DAY = "20251125"


def names(listed: Any) -> list[str]:
    return [stored.entry.name for stored in listed]


def test_an_entry_that_was_put_is_read_at_once_and_by_others(
    store: Any, objects: Any, open_any: OpenAny, morning: datetime
) -> None:
    receipt = store.put("a", morning, b"payload", {"k": 1})
    assert (receipt.where.day, receipt.sequence, receipt.existed) == (DAY, 1, False)
    for reader in (store, open_any(objects)):
        assert reader.get("a", morning) == b"payload"
        assert reader.exists("a", morning)
        described = reader.get_entry("a", morning)
        assert (described.day, described.archive_id) == (DAY, receipt.archive_id)
        assert (described.entry.name, described.entry.size) == ("a", 7)


def test_an_entry_is_read_together_with_its_description(objects: Any, open_any: OpenAny, morning: datetime) -> None:
    payloads = {"plain": b"p" * 500, "zstd.txt": b"words " * 150, "big": bytes(range(256)) * 8, "empty": b""}
    store = open_any(objects, make=True, n_bits=0, options=BIG)
    store.put_many([NewEntry(name, morning, payload, {"name": name}) for name, payload in payloads.items()])
    store.put("later", morning, b"of a second archive")
    for reader in (store, open_any(objects)):
        for name, payload in payloads.items():
            for _warm in range(2):
                stored, read, _codec = reader.read_entry(name, morning)
                assert read == payload
                assert stored == reader.get_entry(name, morning)
                assert stored.entry.meta == {"name": name}
        assert reader.read_entry("later", morning)[1] == b"of a second archive"


def test_of_a_payload_over_the_limit_nothing_is_read_but_its_description(
    objects: Any, open_any: OpenAny, morning: datetime
) -> None:
    payloads = {"plain": b"p" * 500, "zstd.txt": b"words " * 150, "big": bytes(range(256)) * 8}
    store = open_any(objects, make=True, n_bits=0, options=BIG)
    store.put_many([NewEntry(name, morning, payload) for name, payload in payloads.items()])
    for _warm in range(2):
        for name, payload in payloads.items():
            stored, read, _codec = store.read_entry(name, morning, limit_bytes=len(payload) - 1)
            assert (stored.entry.size, read) == (len(payload), b"")
            assert stored == store.get_entry(name, morning)
            assert store.read_entry(name, morning, limit_bytes=len(payload))[1] == payload


def test_a_record_far_over_the_limit_is_not_fetched(objects: Any, open_any: OpenAny, morning: datetime) -> None:
    store = open_any(objects, make=True, options=StoreOptions(writing=ArchiveOptions(compression="none")))
    store.put("large", morning, bytes(3 * 2**20), {"k": 1})
    store.put("annotated", morning, b"small", {"text": "x" * 200_000})
    for _warm in range(2):
        stored, read, _codec = store.read_entry("large", morning, limit_bytes=1000)
        assert (stored.entry.size, stored.entry.meta, read) == (3 * 2**20, {"k": 1}, b"")
        assert store.read_entry("annotated", morning, limit_bytes=1000)[1] == b"small"


def test_a_payload_that_is_stored_with_zstd_is_passed_on_as_it_is_if_asked_for(
    objects: Any, open_any: OpenAny, morning: datetime
) -> None:
    payloads = {"plain": bytes(range(256)), "zstd.txt": b"words " * 150, "big": bytes(range(256)) * 8}
    store = open_any(objects, make=True, n_bits=0, options=BIG)
    store.put_many([NewEntry(name, morning, payload) for name, payload in payloads.items()])
    for _warm in range(2):
        for name, payload in payloads.items():
            read = store.read_entry(name, morning, keep_zstd=True)
            assert read.codec is (Codec.ZSTD if name == "zstd.txt" else Codec.NONE)
            expanded = zstandard.decompress(read.payload) if read.codec else read.payload
            assert expanded == payload
        assert store.read_entry("zstd.txt", morning, limit_bytes=899, keep_zstd=True).payload == b""


def test_many_entries_are_read_together_with_their_descriptions(
    objects: Any, open_any: OpenAny, morning: datetime
) -> None:
    payloads = {"plain": b"p" * 500, "zstd.txt": b"words " * 150, "big": bytes(range(256)) * 8, "empty": b""}
    payloads |= {f"{number}": bytes([number]) * number for number in range(100)}
    store = open_any(objects, make=True, n_bits=2, options=BIG)
    store.put_many([NewEntry(name, morning, payload, {"n": name}) for name, payload in payloads.items()])
    store.put("gone", morning, b"1")
    store.delete("gone", morning, reason="asked to", by="me")
    store.put("7", morning, b"newer")
    payloads["7"] = b"newer"
    wanted = [(name, morning) for name in [*payloads, "gone", "none", "plain"]]
    for reader in (store, open_any(objects)):
        for limit in (10_000, 600, 0):
            found = reader.read_entries(iter(wanted), limit_bytes=limit)
            assert [name for name, _time in found] == list(payloads)
            for (name, _time), (stored, payload, codec) in found.items():
                assert stored == reader.get_entry(name, morning)
                assert (payload, codec) == (payloads[name] if len(payloads[name]) <= limit else b"", Codec.NONE)
    assert store.read_entries([], limit_bytes=1) == {}


def test_together_with_its_description_a_deleted_entry_is_not_read_either(store: Any, morning: datetime) -> None:
    store.put("a", morning, b"1")
    assert store.read_entry("a", morning)[1] == b"1"
    store.delete("a", morning, reason="asked to", by="me")
    with pytest.raises(EntryDeletedError):
        store.read_entry("a", morning)
    with pytest.raises(EntryNotFoundError):
        store.read_entry("b", morning)


def test_what_is_not_there_is_an_error_and_left_out_of_a_batch(store: Any, morning: datetime) -> None:
    store.put("a", morning, b"1")
    for uid, time in [("b", morning), ("a", morning + timedelta(days=1)), (17, morning)]:
        assert not store.exists(uid, time)
        for read in (store.get, store.get_entry, store.locator):
            with pytest.raises(EntryNotFoundError, match=f"'{uid}'") as failure:
                read(uid, time)
            assert isinstance(failure.value, KeyError)
    assert store.get_many([("b", morning), ("a", morning)]) == {("a", morning): b"1"}


def test_a_batch_is_in_the_order_of_its_requests(store: Any, morning: datetime) -> None:
    requests = [(f"{number:03}", morning + timedelta(days=number % 3)) for number in range(60)]
    receipts = store.put_many([NewEntry(uid, at, uid.encode() * 9) for uid, at in requests])
    assert len(receipts) == 60
    assert len({(receipt.where, receipt.archive_id) for receipt in receipts}) > 3
    for (uid, at), receipt in zip(requests, receipts, strict=True):
        assert receipt.where.shard == locate_shard(uid, at, 4).shard_hex
    found = store.get_many(reversed(requests))
    assert list(found) == requests[::-1]
    assert all(found[uid, at] == uid.encode() * 9 for uid, at in requests)


def test_the_newest_of_equal_names_wins_whatever_its_size(objects: Any, open_any: OpenAny, morning: datetime) -> None:
    store = open_any(objects, make=True, options=BIG)
    versions = [b"small", bytes(5000), b"", b"text " * 150, b"x" * 3000, b"last"]
    for version in versions:
        store.put("a", morning, version)
        for reader in (store, open_any(objects)):
            assert reader.get("a", morning) == version
            assert reader.get_many([("a", morning)]) == {("a", morning): version}
            assert reader.read_range("a", morning, 1, 4) == version[1:4]
            assert [stored.entry.size for stored in reader.list(DAY)] == [len(version)]
    assert len(store.history(DAY, store.put("a", morning, b"").where.shard)) == len(versions) + 1


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 70_000])
@pytest.mark.parametrize("kind", ["text", "zeros", "noise"])
def test_any_part_of_an_entry_can_be_read(size: int, kind: str, morning: datetime, tmp_path: Path) -> None:
    noise = bytes(number * number % 251 for number in range(size))
    payload = {"text": (b"all work " * size)[:size], "zeros": bytes(size), "noise": noise}[kind]
    for objects in (MemoryObjectStore(), LocalObjectStore(tmp_path / "store", create=True)):
        with DesStore.init(objects, options=BIG) as store:
            store.put("a", morning, payload)
            for start, end in [(0, size), (0, 0), (size // 3, size // 2), (max(0, size - 5), size)]:
                assert store.read_range("a", morning, start, end) == payload[start:end]
            with store.open_entry("a", morning) as file:
                assert file.seekable()
                assert not file.writable()
                assert file.read() == payload
                file.seek(size // 2)
                assert file.read(7) == payload[size // 2 : size // 2 + 7]


def test_a_day_is_listed_shard_by_shard_and_in_name_order(store: Any, morning: datetime) -> None:
    uids = [f"{name}/{number}" for name in "abc" for number in range(20)]
    for part in (uids[::2], uids[1::2], uids[:7]):
        store.put_many([NewEntry(uid, morning, uid.encode()) for uid in part])
    store.put("other day", morning + timedelta(days=1), b"")
    listed = list(store.list(DAY))
    assert sorted(names(listed)) == sorted(uids)
    shards = store.shards(DAY)
    assert shards == sorted(set(shards))
    assert {stored.shard for stored in listed} == set(shards)
    for shard in shards:
        here = names(store.list("2025-11-25", shard))
        assert here == sorted(here) == [stored.entry.name for stored in listed if stored.shard == shard]
        assert names(store.list(DAY, int(shard, 16), prefix="b/")) == [uid for uid in here if uid.startswith("b/")]
    assert store.days() == [DAY, "20251126"]
    assert list(store.list("20250101")) == []
    assert list(store.list("20250101", "0")) == []


@pytest.mark.parametrize("where", [("2025112", "0"), ("20251125", "10"), ("20251325", "0"), (DAY, "G"), (DAY, -1)])
def test_a_place_that_cannot_be_is_refused(store: Any, where: tuple[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        list(store.list(*where))
    with pytest.raises(InvalidInputError):
        store.history(*where)


# -- names and days -----------------------------------------------------------------------------


@pytest.mark.parametrize("uid", ["²", "a/b/c", "../up", "0007", "żółw", "a b", "%2F", "x" * 300, "७", "-1", "1" * 40])
def test_any_text_is_a_uid(uid: str, morning: datetime, tmp_path: Path) -> None:
    for objects in (MemoryObjectStore(), LocalObjectStore(tmp_path / "store", create=True)):
        store = DesStore.init(objects)
        store.put(uid, morning, b"payload")
        reader = DesStore.open(objects)
        assert reader.get(uid, morning) == b"payload"
        assert reader.get_many([(uid, morning)]) == {(uid, morning): b"payload"}
        assert names(reader.list(DAY)) == [uid]
        reader.delete(uid, morning, reason="test", by="me")
        assert not DesStore.open(objects).exists(uid, morning)


def test_a_number_is_the_uid_of_its_decimal_text(store: Any, morning: datetime) -> None:
    store.put(1234, morning, b"number")
    assert store.get("1234", morning) == store.get(1234, morning) == b"number"
    assert not store.exists("01234", morning)
    store.put("1234", morning, b"text")
    assert store.get(1234, morning) == b"text"
    assert names(store.list(DAY)) == ["1234"]
    assert store.get_many([(1234, morning), ("1234", morning)]) == {
        (1234, morning): b"text",
        ("1234", morning): b"text",
    }


@pytest.mark.parametrize("uid", ["", -1, "\ud800", "a\0b"])
def test_what_cannot_be_a_uid_is_refused_everywhere(store: Any, uid: Any, morning: datetime) -> None:
    with pytest.raises(InvalidInputError):
        store.put(uid, morning, b"")
    for read in (store.get, store.exists, store.get_entry):
        with contextlib.suppress(InvalidInputError, EntryNotFoundError):
            assert read(uid, morning) is False
    assert store.days() == []


def test_a_time_without_a_zone_is_refused_everywhere(store: Any, morning: datetime) -> None:
    naive = morning.replace(tzinfo=None)
    store.put("a", morning, b"")
    calls: list[Callable[[], Any]] = [
        lambda: store.put("a", naive, b""),
        lambda: store.get("a", naive),
        lambda: store.get_many([("a", naive)]),
        lambda: store.exists("a", naive),
        lambda: store.read_range("a", naive, 0, 0),
        lambda: store.locator("a", naive),
        lambda: store.delete("a", naive, reason="r", by="b"),
        lambda: store.as_of(time=naive),
    ]
    for call in calls:
        with pytest.raises(InvalidInputError, match="time zone"):
            call()


def test_the_day_of_an_entry_is_that_of_the_instant_in_utc(store: Any) -> None:
    last = datetime(2025, 11, 25, 23, 59, 59, 999999, tzinfo=UTC)
    store.put("a", last, b"last moment")
    store.put("a", last + timedelta(microseconds=1), b"first moment")
    assert store.days() == [DAY, "20251126"]
    for hours in (-12, -5, 0, 5.75, 14):
        zone = timezone(timedelta(hours=hours))
        assert store.get("a", last.astimezone(zone)) == b"last moment"
        assert store.get("a", (last + timedelta(microseconds=1)).astimezone(zone)) == b"first moment"
        assert store.get("a", datetime(2025, 11, 25, 0, 0, tzinfo=UTC).astimezone(zone)) == b"last moment"
    # The calendar day of the zone is not the day of the store.
    assert store.get("a", datetime(2025, 11, 25, 22, 0, tzinfo=timezone(timedelta(hours=-5)))) == b"first moment"


# -- finished archives --------------------------------------------------------------------------


def archive_of(path: Path, entries: dict[str, bytes], **options: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    with DesWriter(path, **options) as writer:
        for name, payload in entries.items():
            writer.add_file(name, payload)
    return path


def test_a_finished_archive_is_added_with_its_big_files(
    store: Any, objects: Any, open_any: OpenAny, tmp_path: Path
) -> None:
    at = datetime(2025, 11, 25, tzinfo=UTC)
    entries = {"5": b"small", "21": bytes(5000)}
    path = archive_of(tmp_path / "made" / "a.des", entries, big_file_threshold=1000)
    receipt = store.put_archive(path, DAY, "5", "packed1")
    assert (receipt.archive_id, receipt.sequence, receipt.existed) == ("packed1", 1, False)
    assert open_any(objects).get_many([("5", at), ("21", at)]) == {("5", at): b"small", ("21", at): bytes(5000)}
    again = store.put_archive(path, DAY, "5", "packed1")
    assert (again.sequence, again.existed) == (1, True)
    assert len(store.history(DAY, "5")) == 1


def test_an_archive_id_names_one_archive_for_ever(store: Any, tmp_path: Path) -> None:
    store.put_archive(archive_of(tmp_path / "a.des", {"5": b"one"}), DAY, "5", "same")
    other = archive_of(tmp_path / "b.des", {"21": b"other"})
    assert store.put_archive(other, DAY, "5", "same").existed
    assert not store.exists("21", datetime(2025, 11, 25, tzinfo=UTC))
    with pytest.raises(InvalidInputError, match="archive id"):
        store.put_archive(other, DAY, "5", "Not/An/Id")


def test_an_object_of_another_content_is_not_taken_for_the_archive(store: Any, objects: Any, tmp_path: Path) -> None:
    path = archive_of(tmp_path / "a.des", {"5": b"one"})
    objects.put(f"{DAY}/5_same.des", archive_of(tmp_path / "b.des", {"5": b"two"}).read_bytes())
    with pytest.raises(ConflictError, match=r"5_same\.des"):
        store.put_archive(path, DAY, "5", "same")
    assert store.shards(DAY) == []


def test_an_archive_whose_big_file_is_missing_or_wrong_is_not_added(store: Any, tmp_path: Path) -> None:
    path = archive_of(tmp_path / "made" / "a.des", {"5": bytes(5000)}, big_file_threshold=1000)
    (big,) = (tmp_path / "made" / "_bigFiles").iterdir()
    big.write_bytes(b"1" * 5000)
    with pytest.raises(InvalidInputError, match="big file"):
        store.put_archive(path, DAY, "5")
    big.unlink()
    with pytest.raises((BigFileMissingError, FileNotFoundError)):
        store.put_archive(path, DAY, "5")
    with pytest.raises(UnsupportedFormatError):
        store.put_archive(Path(__file__), DAY, "5")
    assert store.shards(DAY) == []


# -- locators -----------------------------------------------------------------------------------


def test_a_locator_reads_its_entry_and_no_other(store: Any, morning: datetime) -> None:
    store.put_many([NewEntry(uid, morning, uid.encode()) for uid in ("a", "b", "c")])
    locator = store.locator("b", morning)
    assert store.read_locator(locator) == store.read_locator(locator.encode()) == b"b"
    key = b"k" * 32
    assert store.read_locator(locator.encode(key), key) == b"b"
    with pytest.raises(InvalidLocatorError):
        store.read_locator(locator.encode(), key)
    late = store.locator("b", morning, expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(LocatorExpiredError):
        store.read_locator(late.encode())
    store.put("b", morning, b"newer")
    assert store.read_locator(locator) == b"b"  # It names a version.
    store.delete("b", morning, reason="r", by="me")
    with pytest.raises(EntryDeletedError):
        store.read_locator(locator)


def test_two_stores_of_a_process_do_not_mix(open_any: OpenAny, morning: datetime) -> None:
    one, two = (open_any(MemoryObjectStore(), make=True) for _ in range(2))
    one.put("a", morning, b"one")
    assert one.descriptor.store_id != two.descriptor.store_id
    with pytest.raises(EntryNotFoundError):
        two.get("a", morning)
    two.put("a", morning, b"two")
    assert (one.get("a", morning), two.get("a", morning)) == (b"one", b"two")
    with pytest.raises(InvalidLocatorError, match=one.descriptor.store_id):
        two.read_locator(one.locator("a", morning))


def test_a_locator_of_an_archive_that_is_not_there_is_not_found(store: Any, morning: datetime) -> None:
    from dataclasses import replace

    store.put("a", morning, b"1")
    locator = store.locator("a", morning)
    with pytest.raises(NotFoundError):
        store.read_locator(replace(locator, archive_id="gone"))
    with pytest.raises(InvalidLocatorError):
        store.read_locator(replace(locator, offset=locator.offset + 10_000))
    with pytest.raises(InvalidLocatorError):
        store.read_locator(replace(locator, uid_tag=locator.uid_tag ^ 1))


# -- opening ------------------------------------------------------------------------------------


def test_a_store_is_made_once(objects: Any, open_any: OpenAny) -> None:
    with pytest.raises(StoreNotFoundError):
        open_any(objects)
    first = open_any(objects, make=True, n_bits=3)
    with pytest.raises(StoreExistsError, match=first.descriptor.store_id):
        open_any(objects, make=True, n_bits=8)
    assert open_any(objects).descriptor == first.descriptor
    assert [meta["path"] for page in objects.list() for meta in page] == ["des-store.json"]


def test_what_contradicts_the_descriptor_stops_the_process(objects: Any, open_any: OpenAny) -> None:
    open_any(objects, make=True, n_bits=5)
    assert open_any(objects, n_bits=5).descriptor.n_bits == 5
    with pytest.raises(ConfigurationError, match=r"8 contradicts .* 5"):
        open_any(objects, n_bits=8)
    with pytest.raises(InvalidInputError, match="17"):
        open_any(MemoryObjectStore(), make=True, n_bits=17)


@pytest.mark.parametrize("scheme", ["modulo-crc32", "sha256-prefix"])
@pytest.mark.parametrize("n_bits", [0, 1, 5, 8, 16])
def test_every_width_and_scheme_finds_its_entries(n_bits: int, scheme: str, morning: datetime, tmp_path: Path) -> None:
    for objects in (MemoryObjectStore(), LocalObjectStore(tmp_path / "store", create=True)):
        store = DesStore.init(objects, n_bits=n_bits, scheme=scheme)
        requests = [(uid, morning) for uid in ("7", "a", "ż", "123456789012345678901234567890")]
        store.put_many([NewEntry(uid, at, uid.encode()) for uid, at in requests])
        reader = DesStore.open(objects)
        assert reader.get_many(requests) == {(uid, at): uid.encode() for uid, at in requests}
        for uid, at in requests:
            assert reader.get(uid, at) == uid.encode()
            shard = locate_shard(uid, at, n_bits, scheme).shard_hex
            assert uid in names(reader.list(DAY, shard))


# -- refused entries ----------------------------------------------------------------------------


def test_an_entry_that_is_refused_leaves_nothing_behind(store: Any, objects: Any, morning: datetime) -> None:
    with pytest.raises(DuplicateEntryError):
        store.put_many([NewEntry("1", morning, b""), NewEntry(1, morning + timedelta(hours=1), b"")])
    with pytest.raises((InvalidInputError, TypeError)):
        store.put("a", morning, b"", {"k": object()})
    assert store.put_many([]) == []
    assert store.get_many([]) == {}
    with pytest.raises(InvalidInputError):
        store.delete_many([], reason="r", by="b")
    assert [meta["path"] for page in objects.list() for meta in page] == ["des-store.json"]


def test_metadata_comes_back_and_is_not_changed(store: Any, morning: datetime) -> None:
    meta = {"type": "scan", "pages": [1, 2]}
    store.put("a", morning, b"1", meta)
    assert meta == {"type": "scan", "pages": [1, 2]}
    (listed,) = store.list(DAY)
    assert listed.entry.meta == meta


async def test_the_asynchronous_store_is_maintained_and_its_entries_are_read_in_parts() -> None:
    store = await AsyncDesStore.init(MemoryObjectStore(), n_bits=0)
    at = datetime(2025, 11, 25, tzinfo=UTC)
    payload = bytes(range(256)) * 64
    for name in ("a", "b", "c"):
        await store.put(name, at, payload)
    file = await store.open_entry("b", at)
    assert file.seek(-10, io.SEEK_END) == len(payload) - 10
    assert await file.read() == payload[-10:]
    assert await file.read() == b""
    await store.delete("a", at, reason="test", by="me")
    (done,) = await store.compact()
    assert (done.entries_kept, done.entries_dropped) == (2, 1)
    assert (await store.verify()).ok
    assert await store.rebuild() == []
    assert (await store.stats()).entries == 2
    assert [one.where.shard for one in await store.expire(timedelta(0))] == ["0"]
    assert (await store.gc(min_age=timedelta(0), dry_run=False)).deleted_count == 4
    assert await store.get("c", at) == payload


def test_a_store_that_lost_its_descriptor_is_not_made_anew_over_its_archives() -> None:
    objects = MemoryObjectStore()
    at = datetime(2025, 11, 25, tzinfo=UTC)
    DesStore.init(objects).put("a", at, b"payload")
    with pytest.raises(StoreExistsError, match="is here already"):
        DesStore.init(objects)
    objects.delete("des-store.json")
    with pytest.raises(StoreExistsError, match="is lost, as 20251125/"):
        DesStore.init(objects)
    DesStore.rebuild_descriptor(objects, n_bits=8)
    assert DesStore.open(objects).get("a", at) == b"payload"


def test_a_time_outside_of_the_calendar_is_refused(store: Any) -> None:
    with pytest.raises(InvalidInputError, match="no time of the calendar"):
        store.get("a", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))))


def test_history_that_can_never_be_old_enough_is_kept() -> None:
    store = DesStore.init(MemoryObjectStore(), n_bits=0)
    store.put("a", datetime(2025, 11, 25, tzinfo=UTC), b"payload")
    assert store.expire(timedelta.max) == []


@pytest.mark.parametrize("shard", ["0x1", "1_0", " 1", "+1", "", "10", "G", "-1", 16, -1])
def test_what_is_no_shard_of_the_store_is_refused(shard: str | int) -> None:
    store = DesStore.init(MemoryObjectStore(), n_bits=4)
    with pytest.raises(InvalidInputError, match="0 to F"):
        list(store.list(DAY, shard))


def test_making_a_store_looks_at_the_first_objects_only() -> None:
    class Endless(MemoryObjectStore):
        def list(self, prefix: str | None = None, *, offset: str | None = None) -> Any:
            number = 0
            while True:
                assert number < 100, "it lists everything"
                page = [{"path": f"other/{number:06}-{at}", "size": 0, "last_modified": None} for at in range(100)]
                yield page
                number += 1

    assert DesStore.init(Endless()).descriptor.n_bits == 8
