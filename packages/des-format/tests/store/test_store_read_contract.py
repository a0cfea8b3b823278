"""The requests of every read, counted, and what is refused: docs/store-format.md, section "Reading"."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from des_format.caches import MemoryIndexCache
from des_format.errors import (
    BigFileMissingError,
    CorruptArchiveError,
    DesError,
    EntryDeletedError,
    EntryNotFoundError,
    ObjectChangedError,
    UnavailableError,
)
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.sources import FileSource
from des_format.store import ArchiveOptions, DesStore, NewEntry, StoreOptions
from des_format.store.sansio.effects import Read, ReadAll, Request
from des_format.testing import (
    FaultyIndexCache,
    FaultyObjectStore,
    MeteredObjectStore,
    Plan,
    delay,
    fail_before,
    truncate,
)

from .bridge import Bridge
from .runners import open_async, open_store

DAY = "20251125"
OPTIONS = StoreOptions(writing=ArchiveOptions(big_file_threshold=10_000, compression="none"))
Open = Callable[..., tuple[Any, Any]]


@pytest.fixture(params=["sync", "async"])
def open_recorded(request: pytest.FixtureRequest, loop: asyncio.Runner) -> Open:
    """Open a store as another process would, with its runner; the runner counts rounds."""

    def open_(objects: Any, options: StoreOptions = OPTIONS, **more: Any) -> tuple[Any, Any]:
        if request.param == "sync":
            return open_store(objects, options, **more)
        store, runner = open_async(objects, options, **more)
        return Bridge(store, loop), runner

    return open_


@pytest.fixture
def metered() -> MeteredObjectStore:
    return MeteredObjectStore(MemoryObjectStore())


@pytest.fixture
def writer(metered: MeteredObjectStore) -> DesStore:
    return DesStore.init(metered, n_bits=4, options=OPTIONS)


def kinds(objects: MeteredObjectStore) -> Counter[str]:
    """What was asked since the last call, by what it was about."""
    found: Counter[str] = Counter()
    for operation, key in objects.calls:
        assert operation == "get", f"{operation} of {key} on a read path"
        found["big file" if "_bigFiles" in key else key.rpartition(".")[2]] += 1
    objects.reset()
    return found


def asked(runner: Any) -> list[Sequence[Request]]:
    rounds = list(runner.rounds)
    runner.rounds.clear()
    return rounds


# -- one entry ----------------------------------------------------------------------------------


def test_a_cold_get_asks_for_manifest_block_and_payload_and_a_warm_one_for_the_payload(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put_many([NewEntry(str(16 * number), morning, bytes(100)) for number in range(500)])
    reader, runner = open_recorded(metered)
    metered.reset()
    assert reader.get("160", morning) == bytes(100)
    assert kinds(metered) == {"manifest": 1, "des": 2}
    assert [len(requests) for requests in asked(runner)] == [1, 1, 1]
    assert reader.get("160", morning) == bytes(100)
    assert kinds(metered) == {"des": 1}
    ((payload,),) = asked(runner)
    assert isinstance(payload, Read)
    assert payload.if_match, "every range after the first is of the same version"


def test_an_entry_with_its_description_costs_what_its_payload_costs(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put_many([NewEntry("0", morning, bytes(100)), NewEntry("16", morning, bytes(200_000))])
    reader, _runner = open_recorded(metered)
    metered.reset()
    assert reader.read_entry("0", morning)[1] == bytes(100)
    assert kinds(metered) == {"manifest": 1, "des": 2}
    assert reader.read_entry("0", morning)[1] == bytes(100)
    assert kinds(metered) == {"des": 1}
    before = metered.bytes_read
    assert reader.read_entry("16", morning, limit_bytes=1000)[1] == b""
    assert kinds(metered) == {"des": 1}
    assert metered.bytes_read - before < 10_000


def test_many_entries_with_their_descriptions_take_as_few_rounds_as_one(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    sizes = {str(16 * number): 9000 if number % 50 == 0 else 100 for number in range(2000)}
    writer.put_many([NewEntry(name, morning, bytes(size)) for name, size in sizes.items()])
    reader, runner = open_recorded(metered)
    wanted = [(name, morning) for name in list(sizes)[::10]]
    for rounds in (3, 1):  # Cold: the manifest, index blocks, records; warm: records.
        metered.reset()
        found = reader.read_entries(wanted, limit_bytes=100)
        assert [len(one.payload) for one in found.values()] == [
            100 if sizes[name] == 100 else 0 for name, _time in wanted
        ]
        assert len(asked(runner)) == rounds
        assert sum(kinds(metered).values()) < len(wanted) / 4  # Neighbours are read together.


def test_a_get_reads_no_more_than_a_block_and_the_record(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put_many([NewEntry(str(16 * number), morning, bytes(100)) for number in range(500)])
    reader, _runner = open_recorded(metered)
    metered.reset()
    reader.get("160", morning)
    manifest = next(meta for page in metered.inner.list(DAY) for meta in page if meta["path"].endswith(".manifest"))
    assert metered.bytes_read <= manifest["size"] + 4096 + 200


def test_a_manifest_past_its_time_is_asked_for_on_condition(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put("a", morning, b"1")
    reader, runner = open_recorded(metered, replace(OPTIONS, manifest_ttl_seconds=0))
    reader.get("a", morning)
    asked(runner)
    metered.reset()
    assert reader.get("a", morning) == b"1"
    assert kinds(metered) == {"manifest": 1, "des": 1}
    (question,), (payload,) = asked(runner)
    assert isinstance(question, ReadAll)
    assert question.if_none_match
    assert isinstance(payload, Read)


def test_within_its_time_a_manifest_is_believed_and_no_longer(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put("a", morning, b"1")
    believing, _ = open_recorded(metered, replace(OPTIONS, manifest_ttl_seconds=3600))
    asking, _ = open_recorded(metered, replace(OPTIONS, manifest_ttl_seconds=0))
    for reader in (believing, asking):
        assert reader.get("a", morning) == b"1"
    writer.put("a", morning, b"2")
    assert (believing.get("a", morning), asking.get("a", morning)) == (b"1", b"2")
    writer.delete("a", morning, reason="r", by="me")
    assert believing.get("a", morning) == b"1"
    with pytest.raises(EntryDeletedError):
        asking.get("a", morning)


@pytest.mark.parametrize("archives", [2, 20])
def test_many_archives_in_a_shard_are_asked_side_by_side(
    archives: int, writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    for number in range(archives):
        writer.put(str(16 * number), morning, b"1")
    reader, runner = open_recorded(metered)
    metered.reset()
    assert reader.get("0", morning) == b"1"  # In the oldest.
    assert [len(requests) for requests in asked(runner)] == [1, archives, 1]
    metered.reset()
    assert reader.get("16", morning) == b"1"
    assert kinds(metered) == {"des": 1}


def test_a_big_file_takes_one_request_more(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put("a", morning, bytes(20_000))
    reader, runner = open_recorded(metered)
    metered.reset()
    assert reader.get("a", morning) == bytes(20_000)
    assert kinds(metered) == {"manifest": 1, "des": 2, "big file": 1}
    assert reader.get("a", morning) == bytes(20_000)
    assert kinds(metered) == {"des": 1, "big file": 1}
    assert reader.read_range("a", morning, 5, 9) == bytes(4)
    assert kinds(metered) == {"des": 1, "big file": 1}
    assert len(asked(runner)) == 4 + 2 + 2


def test_what_is_not_there_costs_manifest_and_block_and_then_nothing(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put("0", morning, b"1")
    reader, _runner = open_recorded(metered)
    metered.reset()
    for expected in ({"manifest": 1, "des": 1}, {}):
        with pytest.raises(EntryNotFoundError):
            reader.get("16", morning)
        assert kinds(metered) == expected
    for _ in range(2):  # A shard without a manifest: what is not there is remembered as well.
        with pytest.raises(EntryNotFoundError):
            reader.get("1", morning)
    assert kinds(metered) == {"manifest": 1}


def test_what_was_deleted_costs_the_manifest_and_then_nothing(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put("0", morning, b"1")
    writer.delete("0", morning, reason="r", by="me")
    reader, _runner = open_recorded(metered)
    metered.reset()
    for expected in ({"manifest": 1}, {}):
        with pytest.raises(EntryDeletedError):
            reader.get("0", morning)
        assert kinds(metered) == expected
        assert not reader.exists("0", morning)
        assert kinds(metered) == {}


def test_to_ask_whether_an_entry_exists_reads_no_payload(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put("0", morning, bytes(9000))
    reader, _runner = open_recorded(metered)
    metered.reset()
    assert reader.exists("0", morning)
    assert metered.bytes_read < 4096 + 4096 + 2000
    assert kinds(metered) == {"manifest": 1, "des": 2}


# -- many entries -------------------------------------------------------------------------------


def test_many_names_over_many_shards_take_three_rounds_and_then_one(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    requests = [(str(number), morning) for number in range(200)]
    writer.put_many([NewEntry(uid, at, uid.encode() * 50) for uid, at in requests])
    reader, runner = open_recorded(metered)
    metered.reset()
    found = reader.get_many(requests)
    assert found == {(uid, at): uid.encode() * 50 for uid, at in requests}
    first, second, third = asked(runner)
    assert (len(first), len(second)) == (16, 16)
    assert len(third) >= 16
    kinds(metered)
    assert reader.get_many(requests) == found
    assert len(asked(runner)) == 1
    assert set(kinds(metered)) == {"des"}


@pytest.mark.parametrize("ttl_seconds", [0, 3600])
def test_with_an_index_cache_another_process_takes_one_round_less_or_two(
    ttl_seconds: float, writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    requests = [(str(number), morning) for number in range(64)]
    writer.put_many([NewEntry(uid, at, uid.encode()) for uid, at in requests])
    cache, options = MemoryIndexCache(), replace(OPTIONS, manifest_ttl_seconds=ttl_seconds)
    manifests = {} if ttl_seconds else {"manifest": 16}
    for expected in ({"manifest": 16, "des": 32}, manifests | {"des": 16}):
        reader, runner = open_recorded(metered, options, cache=cache)
        metered.reset()
        assert reader.get_many(requests) == {(uid, at): uid.encode() for uid, at in requests}
        assert kinds(metered) == expected
        assert len(asked(runner)) == len(expected) + (expected["des"] == 32)
    reader, _runner = open_recorded(metered, options, cache=cache)
    metered.reset()
    assert reader.get("7", morning) == b"7"
    assert kinds(metered) == ({} if ttl_seconds else {"manifest": 1}) | {"des": 1}


# -- locators -----------------------------------------------------------------------------------


def test_a_locator_takes_one_request(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put("a", morning, b"1")
    text = writer.locator("a", morning).encode()
    reader, _runner = open_recorded(metered)
    metered.reset()
    assert reader.read_locator(text) == b"1"
    assert kinds(metered) == {"manifest": 1, "des": 1}
    assert reader.read_locator(text) == b"1"
    assert kinds(metered) == {"des": 1}


# -- a store of files ---------------------------------------------------------------------------


def test_mapped_files_are_read_without_a_request_but_for_the_manifest(morning: datetime, tmp_path: Path) -> None:
    metered = MeteredObjectStore(LocalObjectStore(tmp_path / "store", create=True), capabilities=True)
    writer = DesStore.init(metered, n_bits=4)
    writer.put_many([NewEntry(str(number), morning, b"1") for number in range(40)])
    reader, _runner = open_store(metered, map_files=True)
    metered.reset()
    assert reader.get("5", morning) == reader.get("21", morning) == b"1"
    assert kinds(metered) == {"manifest": 1}
    writer.delete("5", morning, reason="r", by="me")
    writer.put("21", morning, b"2")
    metered.reset()
    assert reader.get("5", morning) == reader.get("21", morning) == b"1"  # It believes its manifest for 5 seconds.
    assert kinds(metered) == {}
    reader.engine.present.ttl_seconds = 0.0
    fresh, _runner = open_store(metered, replace(OPTIONS, manifest_ttl_seconds=0), map_files=True)
    with pytest.raises(EntryDeletedError):
        fresh.get("5", morning)
    assert fresh.get("21", morning) == b"2"
    assert fresh.get_many([("5", morning), ("21", morning), ("6", morning)]) == {
        ("21", morning): b"2",
        ("6", morning): b"1",
    }


def test_mapped_files_are_believed_no_longer_than_the_manifest_that_names_them(
    morning: datetime, tmp_path: Path
) -> None:
    objects = LocalObjectStore(tmp_path / "store", create=True)
    writer = DesStore.init(objects, n_bits=0)
    writer.put("a", morning, b"1")
    reader, _runner = open_store(objects, replace(OPTIONS, manifest_ttl_seconds=3600), map_files=True)
    assert reader.exists("a", morning)  # Holds the manifest, and maps nothing.
    present = reader.engine.present
    (where, (shard, asked_at)) = next(iter(present._held.items()))
    present._held[where] = (shard, asked_at - 3600 + 0.05)
    assert reader.get("a", morning) == b"1"
    writer.put("a", morning, b"2")
    time.sleep(0.06)
    assert reader.get("a", morning) == b"2"


class CommitsWhileMapping(LocalObjectStore):
    """Lets another thread of the same process commit between a manifest's read and the mapping of its archives."""

    meanwhile: Callable[[], object] | None = None

    def map(self, key: str) -> FileSource:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().map(key)


def test_a_process_sees_its_own_commit_even_if_a_thread_was_just_opening_the_shard(
    morning: datetime, tmp_path: Path
) -> None:
    objects = CommitsWhileMapping(tmp_path / "store", create=True)
    DesStore.init(objects).put("a", morning, b"1")
    store = DesStore.open(objects)
    objects.meanwhile = lambda: store.put("a", morning, b"2")
    assert store.get("a", morning) in (b"1", b"2")
    assert store.get("a", morning) == b"2"


# -- what is damaged ----------------------------------------------------------------------------


def one(objects: Any, suffix: str) -> str:
    (key,) = [meta["path"] for page in objects.list(DAY) for meta in page if meta["path"].endswith(suffix)]
    return str(key)


def content(objects: Any, key: str) -> bytes:
    return bytes(objects.get(key).buffer())


@pytest.mark.parametrize("blocks_are_cached", [False, True])
@pytest.mark.parametrize("change", ["payloads", "order", "size", "gone"])
def test_an_archive_replaced_under_a_reader_is_an_error_and_never_a_mix(
    change: str, blocks_are_cached: bool, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    """Of the same geometry, all of the new object may be read, as nothing tells it apart; never some of each."""
    first = DesStore.init(metered, n_bits=0, options=OPTIONS)
    uids = [f"{number:03}" for number in range(300)]
    first.put_many([NewEntry(uid, morning, b"A" * 100) for uid in uids])
    other = MemoryObjectStore()
    second = DesStore.init(other, n_bits=0, options=OPTIONS)
    written = {"payloads": uids, "order": uids[::-1], "size": uids[:-1], "gone": uids}[change]
    second.put_many([NewEntry(uid, morning, b"B" * 100) for uid in written])
    key = one(metered.inner, ".des")
    reader, _runner = open_recorded(metered)
    if blocks_are_cached:
        assert reader.get("000", morning) == b"A" * 100
    if change == "gone":
        metered.delete(key)
    else:
        metered.put(key, content(other, one(other, ".des")))
    for read in (
        lambda: reader.get("001", morning),
        lambda: set(reader.get_many((uid, morning) for uid in uids).values()),
    ):
        if change in ("payloads", "order") and not blocks_are_cached:
            assert read() in (b"B" * 100, {b"B" * 100})
        else:
            with pytest.raises((ObjectChangedError, CorruptArchiveError), match=key):
                read()


def test_an_archive_replaced_between_two_ranges_of_one_read_is_an_error(
    metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    plan = Plan()
    faulty = FaultyObjectStore(metered, plan)
    writer = DesStore.init(metered, n_bits=0, options=OPTIONS)
    writer.put("a", morning, b"A" * 100)
    key = one(metered.inner, ".des")
    same = content(metered, key)
    reader, _runner = open_recorded(faulty)
    plan.add(delay(lambda _operation, _key: metered.put(key, same), nth=2, keys="*.des"))
    with pytest.raises(ObjectChangedError, match=key):
        reader.get("a", morning)


@pytest.mark.parametrize("suffix", [".manifest", ".des", ".commits"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_what_is_damaged_fails_closed_and_is_named(
    suffix: str, damage: str, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer = DesStore.init(metered, n_bits=0, options=OPTIONS)
    if suffix == ".commits":
        for _ in range(33):
            writer.put("a", morning, b"1")
    else:
        writer.put("a", morning, b"1")
    key = one(metered.inner, suffix)
    sound = content(metered, key)
    middle = len(sound) // 2 if suffix != ".des" else sound.index(b"a1") + 1
    damaged = {
        "flip": sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :],
        "cut": sound[:-10],
        "empty": b"",
        "other": b"{}" * 300,
    }[damage]
    metered.put(key, damaged)
    reader, _runner = open_recorded(metered)
    reads: list[Callable[[], Any]] = [lambda: reader.get("a", morning), lambda: reader.get_many([("a", morning)])]
    if suffix == ".commits":
        reads = [lambda: reader.history(DAY, "0")]
    for read in reads:
        with pytest.raises(DesError) as failure:
            read()
        assert isinstance(failure.value, CorruptArchiveError | ObjectChangedError)
        name = key.rpartition(".")[0].rpartition("_")[2] if suffix == ".commits" else f"{DAY}/0"
        assert name in str(failure.value) or suffix == ".des"


def test_the_manifest_of_another_shard_or_store_is_refused(
    metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer = DesStore.init(metered, n_bits=4)
    writer.put("1", morning, b"1")
    writer.put("2", morning, b"2")
    other = MemoryObjectStore()
    DesStore.init(other, n_bits=4).put("1", morning, b"other")
    for foreign in (content(metered, f"{DAY}/2.manifest"), content(other, f"{DAY}/1.manifest")):
        metered.put(f"{DAY}/1.manifest", foreign)
        reader, _runner = open_recorded(metered)
        with pytest.raises(CorruptArchiveError, match=f"{DAY}/1"):
            reader.get("1", morning)
        with pytest.raises(CorruptArchiveError, match=f"{DAY}/1"):
            reader.put("1", morning, b"3")
    assert content(metered, f"{DAY}/1.manifest") == foreign, "nothing is written over what is not understood"


def test_a_big_file_that_is_missing_or_wrong_is_an_error(
    writer: DesStore, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer.put("a", morning, bytes(20_000))
    (key,) = [meta["path"] for page in metered.inner.list(f"{DAY}/_bigFiles") for meta in page]
    reader, _runner = open_recorded(metered)
    for wrong in (b"1" * 20_000, bytes(19_999), b"1" + bytes(20_000), b""):
        metered.put(key, wrong)
        with pytest.raises(CorruptArchiveError):
            reader.get("a", morning)
    metered.delete(key)
    with pytest.raises(BigFileMissingError, match=key):
        reader.get("a", morning)


@pytest.mark.parametrize("length", [0, 1, 100])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_an_answer_that_is_cut_short_is_an_error(
    length: int, nth: int, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    DesStore.init(metered, n_bits=0, options=OPTIONS).put("a", morning, bytes(500))
    plan = Plan()
    reader, _runner = open_recorded(FaultyObjectStore(metered, plan))
    plan.clear()
    plan.add(truncate(length, nth=nth))
    with pytest.raises((CorruptArchiveError, ObjectChangedError, UnavailableError)):
        reader.get("a", morning)
    assert reader.get("a", morning) == bytes(500), "nothing of it is remembered"


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_storage_that_fails_once_is_an_error_that_says_so_and_may_be_retried(
    nth: int, metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    DesStore.init(metered, n_bits=0, options=OPTIONS).put("a", morning, b"1")
    plan = Plan()
    reader, _runner = open_recorded(FaultyObjectStore(metered, plan))
    plan.add(fail_before(nth, ["get"]))
    with pytest.raises(UnavailableError) as failure:
        reader.get("a", morning)
    assert failure.value.retryable
    assert reader.get("a", morning) == b"1"


def test_a_broken_manifest_read_does_not_say_that_an_entry_is_not_there(
    metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    DesStore.init(metered, n_bits=0, options=OPTIONS).put("a", morning, b"1")
    plan = Plan()
    for error in (PermissionError, ConnectionResetError, TimeoutError):
        reader, _runner = open_recorded(FaultyObjectStore(metered, plan))
        plan.add(fail_before(None, ["get"], error=error))
        for read, arguments in ((reader.exists, ("a", morning)), (reader.get_many, ([("a", morning)],))):
            with pytest.raises(DesError) as failure:
                read(*arguments)
            assert not isinstance(failure.value, EntryNotFoundError)
        plan.clear()


# -- the index cache ----------------------------------------------------------------------------


class LyingCache(MemoryIndexCache):
    """Returns what it likes."""

    def __init__(self, lie: Callable[[bytes], Any]) -> None:
        super().__init__()
        self.lie = lie

    def get_many(self, keys: Any, /) -> Any:  # And so `get_expiring`.
        return {key: self.lie(value) for key, value in super().get_many(keys).items()}


@pytest.mark.parametrize(
    "lie", [lambda data: data[:-1], lambda data: b"", lambda data: bytes(4096), lambda data: data + b"1",
            lambda data: bytes([data[0] ^ 1]) + data[1:]],
)  # fmt: skip
def test_a_damaged_index_cache_changes_no_answer(
    lie: Callable[[bytes], bytes], metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer = DesStore.init(metered, n_bits=0, options=OPTIONS)
    requests = [(str(number), morning) for number in range(600)]
    writer.put_many([NewEntry(uid, at, uid.encode()) for uid, at in requests])
    cache = LyingCache(lie)
    for _ in range(3):
        reader, _runner = open_recorded(metered, cache=cache)
        assert reader.get_many(requests) == {(uid, at): uid.encode() for uid, at in requests}
        with pytest.raises(EntryNotFoundError):
            reader.get("missing", morning)


def test_a_cache_that_mixes_up_its_keys_changes_no_answer(
    metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer = DesStore.init(metered, n_bits=0, options=OPTIONS)
    requests = [(str(number), morning) for number in range(1200)]
    writer.put_many([NewEntry(uid, at, uid.encode()) for uid, at in requests[:600]])
    writer.put_many([NewEntry(uid, at, uid.encode()) for uid, at in requests[600:]])
    cache = MemoryIndexCache()
    open_recorded(metered, cache=cache)[0].get_many(requests)
    keys = list(cache._items)
    held = cache.get_many(keys)
    assert len(keys) > 4
    cache.set_many(dict(zip(keys, [held[key] for key in keys[1:] + keys[:1]], strict=True)))
    reader, _runner = open_recorded(metered, cache=cache)
    assert reader.get_many(requests) == {(uid, at): uid.encode() for uid, at in requests}


def test_an_index_cache_that_fails_changes_no_answer(
    metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    DesStore.init(metered, n_bits=0, options=OPTIONS).put("a", morning, b"1")
    cache = FaultyIndexCache(MemoryIndexCache(), Plan(fail_before(None)))
    for _ in range(2):
        reader, _runner = open_recorded(metered, cache=cache)
        assert reader.get("a", morning) == b"1"


# -- while others write -------------------------------------------------------------------------


def test_an_archive_that_has_gone_with_its_manifest_is_found_in_the_new_one(
    metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer = DesStore.init(metered, n_bits=0, options=OPTIONS)
    writer.put("a", morning, b"old")
    reader, _runner = open_recorded(metered, replace(OPTIONS, manifest_ttl_seconds=3600))
    assert not reader.exists("b", morning)
    gone = one(metered.inner, ".des")
    writer.put("a", morning, b"new")
    metered.delete(gone)
    assert reader.get("a", morning) == b"new"


def test_reads_of_a_shard_of_a_thousand_commits_stay_few(
    metered: MeteredObjectStore, open_recorded: Open, morning: datetime
) -> None:
    writer = DesStore.init(metered, n_bits=0, options=OPTIONS)
    for number in range(300):
        writer.put(str(number), morning, b"1")
    reader, runner = open_recorded(metered)
    metered.reset()
    assert reader.get("299", morning) == b"1"
    assert kinds(metered)["commits"] <= 16
    assert len(asked(runner)) == 4, "manifest, segments, blocks, payload"
    metered.reset()
    assert reader.get("298", morning) == b"1"
    assert kinds(metered) == {"des": 1}


def test_a_day_that_is_far_away_is_not_mixed_up(
    writer: DesStore, open_recorded: Open, metered: Any, morning: datetime
) -> None:
    for days in (0, 1, 365, 3650):
        writer.put("a", morning + timedelta(days=days), str(days).encode())
    reader, _runner = open_recorded(metered)
    for days in (0, 1, 365, 3650):
        assert reader.get("a", morning + timedelta(days=days)) == str(days).encode()
