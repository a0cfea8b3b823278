"""One zone in several places."""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from des_format import DesReader, locate_shard
from des_format.errors import (
    ConfigurationError,
    DesError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    UnavailableError,
)
from des_format.objects import MemoryObjectStore
from des_format.ports.objects import NotModified, ObjectStore
from des_format.store import AsyncDesStore, CommitPolicy, DesStore, NewEntry, StoreOptions
from des_format.testing import FaultyObjectStore, Plan, fail_after, fail_before
from des_format.testing.contracts import AsyncObjectStoreContract, ObjectStoreContract
from des_s3 import Replica, ReplicatedObjectStore, S3RangeSource, Zone, ZonedObjectStore

DAY = datetime(2025, 11, 25, 12, tzinfo=UTC)
SEALED = "20251125/00_a.commits"
MANIFEST = "20251125/00.manifest"
BIG_FILE = f"20251125/_bigFiles/{hashlib.sha256(b'content').hexdigest()}"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Places:
    """A primary `p` and replicas `r1`, `r2`..., each of which can be cut off."""

    def __init__(self, count: int = 3, writes: Any = "all") -> None:
        self.clock = Clock()
        self.plans = [Plan() for _ in range(count)]
        self.inner = [MemoryObjectStore() for _ in range(count)]
        for number, store in enumerate(self.inner):
            for _ in range(number * 10):  # so that tags differ between places
                store.put("x", b"")
            store.delete("x")
        self.writes = writes
        self.store = self.open()

    def stores(self) -> list[FaultyObjectStore]:
        return [FaultyObjectStore(inner, plan) for inner, plan in zip(self.inner, self.plans, strict=True)]

    def replicas(self) -> tuple[Replica, ...]:
        return tuple(Replica(f"r{number}", store) for number, store in enumerate(self.stores()[1:], 1))

    def open(self) -> ReplicatedObjectStore:
        """Another process's view of the same places."""
        return ReplicatedObjectStore("p", self.stores()[0], self.replicas(), writes=self.writes, clock=self.clock)

    def zoned(self) -> ZonedObjectStore:
        primary: Any = self.stores()[0]
        zone = Zone("p", 0, 0, primary, self.replicas())
        return ZonedObjectStore([zone], 0, writes=self.writes, clock=self.clock)

    def cut(self, *numbers: int, operations: Any = None) -> None:
        for number in numbers:
            self.plans[number].add(fail_before(None, operations))

    def mend(self) -> None:
        for plan in self.plans:
            plan.clear()
        self.clock.now += 31

    def keys(self, number: int) -> list[str]:
        return [meta["path"] for page in self.inner[number].list() for meta in page]

    def having(self, key: str) -> list[int]:
        return [number for number in range(len(self.inner)) if key in self.keys(number)]


class TestReplicatedObjectStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return Places().store


class TestReplicatedObjectStoreInThreads(AsyncObjectStoreContract):
    @pytest.fixture
    def async_store(self) -> Any:
        return Places().store


class TestZonedObjectStoreWithReplicas(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return Places().zoned()


class TestQuorumWithADeadReplica(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        places = Places(writes="quorum")
        places.cut(2, operations=("get", "put", "head", "list"))
        return places.store


# -- writing --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [bytes, bytearray, io.BytesIO, lambda content: iter([content[:3], content[3:]])])
@pytest.mark.parametrize("key", [SEALED, MANIFEST, BIG_FILE, "des-store.json"])
def test_a_write_reaches_every_place(places: Places, key: str, make: Callable[[bytes], Any]) -> None:
    for content, mode in ((b"content", "create"), (b"other", "overwrite")):
        places.store.put(key, make(content), mode=mode)  # type: ignore[arg-type]
        assert [store.get(key).data for store in places.inner] == [content] * 3


@pytest.mark.parametrize(
    ("writes", "dead", "is_enough"),
    [("all", [], True), ("all", [2], False), ("quorum", [2], True), ("quorum", [1, 2], False)],
)
@pytest.mark.parametrize("mode", ["create", "overwrite"])
def test_what_never_changes_is_in_enough_places_before_a_write_returns(
    writes: str, dead: list[int], is_enough: bool, mode: Any
) -> None:
    places = Places(writes=writes)
    places.cut(*dead)
    if is_enough:
        places.store.put(SEALED, b"content", mode=mode)
        return
    with pytest.raises(UnavailableError, match=f"in {3 - len(dead)} of 3 places"):
        places.store.put(SEALED, b"content", mode=mode)
    # Nor is it there for who looks whether the write took effect in spite of that.
    for look in (places.store.get, places.store.head):
        with pytest.raises(UnavailableError):
            look(SEALED)
    with pytest.raises(UnavailableError):
        asyncio.run(places.store.get_async(SEALED))
    places.mend()
    with pytest.raises(ObjectExistsError):
        places.store.put(SEALED, b"content", mode="create")
    assert places.having(SEALED) == [0, 1, 2]
    assert places.store.get(SEALED).data == b"content"


def test_looking_back_completes_a_write(places: Places) -> None:
    places.plans[1].add(fail_before(1, ("put",)))
    with pytest.raises(UnavailableError):
        places.store.put(BIG_FILE, b"content", mode="create")
    assert places.having(BIG_FILE) == [0, 2]
    assert places.store.head(BIG_FILE)["size"] == 7
    assert places.having(BIG_FILE) == [0, 1, 2]


def test_what_another_writer_left_incomplete_is_completed_before_it_is_relied_on(places: Places) -> None:
    places.inner[0].put(BIG_FILE, b"content")
    places.cut(1)
    with pytest.raises(UnavailableError):
        places.store.put(BIG_FILE, b"content", mode="create")
    places.mend()
    with pytest.raises(ObjectExistsError):
        places.store.put(BIG_FILE, b"content", mode="create")
    assert places.having(BIG_FILE) == [0, 1, 2]


@pytest.mark.parametrize("dead", [[1], [1, 2]])
def test_a_dead_replica_fails_no_commit(places: Places, dead: list[int]) -> None:
    first = places.store.put(MANIFEST, b"1", mode="create")
    places.cut(*dead)
    for number in range(2, 12):
        first = places.store.put(MANIFEST, b"%d" % number, mode={"e_tag": first["e_tag"]})
    assert places.inner[0].get(MANIFEST).data == b"11"
    assert places.inner[1].get(MANIFEST).data == b"1"
    counted = places.store.metrics.place_failures.labels("r1", "put")._value.get()
    assert counted == 5  # then it was not asked any more


@pytest.mark.parametrize("key", [SEALED, MANIFEST, BIG_FILE])
@pytest.mark.parametrize("mode", ["create", "overwrite", {"e_tag": '"1"'}])
@pytest.mark.parametrize("writes", ["all", "quorum"])
def test_nothing_is_written_anywhere_while_the_primary_is_dead(key: str, mode: Any, writes: str) -> None:
    places = Places(writes=writes)
    places.cut(0)
    for _ in range(7):
        with pytest.raises(UnavailableError):
            places.store.put(key, b"content", mode=mode)
    assert places.having(key) == []
    assert places.plans[0].calls["put"] == 5


def test_a_write_that_took_effect_without_a_reply_is_completed(places: Places) -> None:
    places.plans[0].add(fail_after(1, ("put",)))
    with pytest.raises(UnavailableError):
        places.store.put(SEALED, b"content", mode="create")
    assert places.having(SEALED) == [0]
    assert places.store.get(SEALED).data == b"content"
    assert places.having(SEALED) == [0, 1, 2]


def test_a_write_that_took_no_effect_is_not_there(places: Places) -> None:
    places.plans[0].add(fail_before(1, ("put",)))
    with pytest.raises(UnavailableError):
        places.store.put(SEALED, b"content", mode="create")
    with pytest.raises(ObjectNotFoundError):
        places.store.get(SEALED)
    places.store.put(SEALED, b"content", mode="create")


def test_who_looks_whether_a_commit_took_effect_is_not_shown_an_older_version(places: Places) -> None:
    first = places.store.put(MANIFEST, b"1", mode="create")
    places.plans[0].add(fail_after(1, ("put",)), fail_before(None, ("get", "head")))
    with pytest.raises(UnavailableError):
        places.store.put(MANIFEST, b"2", mode={"e_tag": first["e_tag"]})
    for look in (places.store.get, places.store.head):
        with pytest.raises(UnavailableError):
            look(MANIFEST)
    assert places.open().get(MANIFEST).data == b"1"  # readers elsewhere may be
    places.mend()
    assert places.store.get(MANIFEST).data == b"2"
    places.cut(0)
    assert places.store.get(MANIFEST).data == b"1"


def test_a_commit_on_a_version_that_a_replica_gave_is_refused(places: Places) -> None:
    places.store.put(MANIFEST, b"1", mode="create")
    places.cut(0)
    stale = places.store.get(MANIFEST).meta["e_tag"]
    places.mend()
    with pytest.raises(ObjectChangedError):
        places.store.put(MANIFEST, b"2", mode={"e_tag": stale})
    assert places.store.get(MANIFEST).data == b"1"


# -- reading --------------------------------------------------------------------------------


@pytest.fixture
def places() -> Places:
    return Places()


async def _get(store: ReplicatedObjectStore, key: str, options: Any) -> Any:
    return await store.get_async(key, options=options)


@pytest.fixture(params=["get", "get_async"])
def get(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Both ways to read."""
    if request.param == "get":
        return lambda store, key, **options: store.get(key, options=options)
    return lambda store, key, **options: asyncio.run(_get(store, key, options))


def test_replicas_are_read_in_order_and_say_that_it_is_them(places: Places, get: Any) -> None:
    places.store.put(MANIFEST, b"content")
    tags = []
    for number in range(3):
        result = get(places.store, MANIFEST)
        assert result.data == b"content"
        assert places.store.head(MANIFEST)["e_tag"] == result.meta["e_tag"]
        tags.append(str(result.meta["e_tag"]).partition(":")[0])
        places.cut(number)
    assert tags == ['"1"', "r1", "r2"]
    with pytest.raises(UnavailableError, match="could not be read anywhere"):
        get(places.store, MANIFEST)


def test_only_an_unavailable_primary_is_passed_by(places: Places, get: Any) -> None:
    places.inner[1].put(MANIFEST, b"content")
    with pytest.raises(ObjectNotFoundError):
        get(places.store, MANIFEST)
    with pytest.raises(ObjectNotFoundError):
        places.store.head(MANIFEST)


def test_what_a_replica_lacks_is_unavailable_not_missing(places: Places, get: Any) -> None:
    places.inner[2].put(SEALED, b"content")
    places.cut(0)
    assert get(places.store, SEALED).data == b"content"
    for key in (MANIFEST, "20251125/00_b.des"):
        with pytest.raises(UnavailableError):
            get(places.store, key)
        with pytest.raises(UnavailableError):
            places.store.head(key)


def test_a_dead_primary_is_not_asked_again_and_again(places: Places, get: Any) -> None:
    places.store.put(MANIFEST, b"content")
    places.cut(0)
    for _ in range(50):
        get(places.store, MANIFEST)
    assert places.plans[0].calls["get"] == 5
    places.clock.now += 30
    for _ in range(50):
        get(places.store, MANIFEST)
    assert places.plans[0].calls["get"] == 6
    assert places.store.metrics.replica_reads.labels("r1")._value.get() == 100
    places.mend()
    for _ in range(5):
        assert get(places.store, MANIFEST).meta["e_tag"] == '"1"'
    assert places.plans[0].calls["get"] == 11


@pytest.mark.parametrize("key", [SEALED, BIG_FILE])
def test_a_reader_that_pinned_a_version_reads_on_elsewhere(places: Places, get: Any, key: str) -> None:
    places.store.put(key, b"content")
    pinned = get(places.store, key, range=(0, 1)).meta["e_tag"]
    places.cut(0)
    for _ in range(2):
        result = get(places.store, key, range=(1, 4), if_match=pinned)
        assert (result.data, result.meta["e_tag"]) == (b"ont", pinned)
    places.cut(1)
    assert get(places.store, key, if_match=pinned).meta["e_tag"] == pinned
    places.mend()
    assert get(places.store, key, if_match=pinned).meta["e_tag"] == pinned


def test_a_reader_that_began_with_a_replica_reads_on_in_the_primary(places: Places, get: Any) -> None:
    places.store.put(SEALED, b"content")
    places.cut(0)
    pinned = get(places.store, SEALED).meta["e_tag"]
    assert pinned.startswith("r1:")
    assert get(places.store, SEALED, if_match=pinned).meta["e_tag"] == pinned
    places.mend()
    assert get(places.store, SEALED, if_match=pinned).meta["e_tag"] == pinned


def test_readers_of_one_object_in_several_places_see_one_version(places: Places, get: Any) -> None:
    places.store.put(SEALED, b"content")
    places.cut(0)
    first = get(places.store, SEALED).meta["e_tag"]
    places.mend()
    assert get(places.store, SEALED).meta["e_tag"] == first
    places.store.put(SEALED, b"changed")
    changed = get(places.store, SEALED).meta["e_tag"]
    assert changed != first
    with pytest.raises(ObjectChangedError):
        get(places.store, SEALED, if_match=first)
    places.cut(0)
    assert get(places.store, SEALED, if_match=changed).data == b"changed"


def test_another_object_under_the_key_is_noticed(places: Places, get: Any) -> None:
    places.store.put(SEALED, b"content")
    pinned = get(places.store, SEALED).meta["e_tag"]
    places.inner[1].put(SEALED, b"another")
    places.inner[2].put(SEALED, b"longer than before")
    places.cut(0)
    assert get(places.store, SEALED, if_match=pinned).data == b"another"  # checksums will tell
    places.inner[1].put(SEALED, b"changed")
    with pytest.raises(ObjectChangedError):
        get(places.store, SEALED, if_match=pinned)
    places.cut(1)
    with pytest.raises(ObjectChangedError, match="18 bytes in r2"):
        get(places.store, SEALED, if_match=pinned)


def test_a_service_that_ignores_conditions_is_noticed(places: Places, get: Any) -> None:
    places.store.put(SEALED, b"content")

    class Ignorant(MemoryObjectStore):
        def get(self, path: str, *, options: Any = None) -> Any:
            return places.inner[0].get(path)

    store = ReplicatedObjectStore("p", Ignorant(), places.replicas())
    with pytest.raises(ObjectChangedError):
        get(store, SEALED, if_match='"other"')


def test_what_may_change_is_never_taken_for_another_version(places: Places, get: Any) -> None:
    tag = places.store.put(MANIFEST, b"content")["e_tag"]
    with pytest.raises(NotModified):
        get(places.store, MANIFEST, if_none_match=tag)
    places.cut(0)
    with pytest.raises(UnavailableError):
        get(places.store, MANIFEST, if_match=tag)
    stale = get(places.store, MANIFEST, if_none_match=tag)
    assert stale.data == b"content"
    with pytest.raises(NotModified):
        get(places.store, MANIFEST, if_none_match=stale.meta["e_tag"])
    assert get(places.store, MANIFEST, if_match=stale.meta["e_tag"]).data == b"content"
    places.mend()
    assert get(places.store, MANIFEST, if_none_match=stale.meta["e_tag"]).meta["e_tag"] == tag


def test_a_listing_and_the_age_of_a_big_file_are_the_primarys(places: Places) -> None:
    places.store.put(BIG_FILE, b"content")
    places.cut(0)
    with pytest.raises(UnavailableError):
        list(places.store.list())
    with pytest.raises(UnavailableError):
        places.store.head(BIG_FILE)
    assert places.store.get(BIG_FILE).data == b"content"


# -- deleting -------------------------------------------------------------------------------


@pytest.mark.parametrize("dead", [0, 1, 2])
def test_a_delete_that_fails_somewhere_leaves_the_object_listed(places: Places, dead: int) -> None:
    places.store.put(SEALED, b"content")
    places.cut(dead)
    with pytest.raises(UnavailableError):
        places.store.delete([SEALED])
    assert places.having(SEALED) == sorted({0, dead})
    places.mend()
    places.store.delete([SEALED])
    assert places.having(SEALED) == []


def test_nothing_is_deleted_by_what_a_replica_said(places: Places) -> None:
    places.store.put(MANIFEST, b"content")
    places.store.put(SEALED, b"content")
    places.cut(0)
    places.store.get(MANIFEST)
    places.mend()
    with pytest.raises(UnavailableError, match="a replica was read"):
        places.store.delete([SEALED])
    places.store.delete("des-probe-1")
    assert places.having(SEALED) == [0, 1, 2]
    places.clock.now += 3600
    places.store.delete(SEALED)
    assert places.having(SEALED) == []


def test_an_older_manifest_of_one_zone_saves_the_big_files_of_another() -> None:
    first, second = Places(2), Places(2)
    stores: list[Any] = [places.stores()[0] for places in (first, second)]
    zoned = ZonedObjectStore(
        [Zone("a", 0, 127, stores[0], first.replicas()), Zone("b", 128, 255, stores[1], second.replicas())],
        8,
        clock=first.clock,
    )
    zoned.put(MANIFEST, b"content")
    zoned.put(BIG_FILE, b"content")  # its SHA-256 begins with ed
    assert (first.keys(0), second.keys(0)) == ([MANIFEST], [BIG_FILE])
    first.cut(0)
    zoned.get(MANIFEST)
    first.mend()
    with pytest.raises(UnavailableError, match="a replica was read"):
        zoned.delete([BIG_FILE])
    assert second.having(BIG_FILE) == [0, 1]
    first.clock.now += 3600
    zoned.delete([BIG_FILE])
    assert second.having(BIG_FILE) == []


# -- a store --------------------------------------------------------------------------------

QUICK = StoreOptions(commits=CommitPolicy(timeout_seconds=0.2))


def test_a_store_is_read_while_the_primary_is_dead(places: Places) -> None:
    big = b"big" * 100
    with DesStore.init(places.zoned(), n_bits=0) as store:
        store.put_many([NewEntry(f"{number}", DAY, b"%d" % number) for number in range(50)])
        for number in range(50, 90):
            store.put(f"{number}", DAY, b"%d" % number)
        with store.writer("20251125", "0", big_file_threshold=10) as writer:
            writer.add_file("big", big)
        store.delete("7", DAY, reason="test", by="test")
    for dead in ([0], [0, 1]):
        places.cut(*dead)

        async def read() -> bytes:
            async_store = await AsyncDesStore.open(places.zoned())
            return await async_store.get("8", DAY)

        assert asyncio.run(read()) == b"8"
        with DesStore.open(places.zoned()) as store:
            assert store.get("89", DAY) == b"89"
            assert store.get("big", DAY) == big
            assert not store.exists("7", DAY)
            found = store.get_many([(f"{number}", DAY) for number in range(8, 90)])
            assert sorted(found.values()) == sorted(b"%d" % number for number in range(8, 90))


def test_a_store_goes_on_reading_when_the_primary_dies_and_comes_back(places: Places) -> None:
    with DesStore.init(places.zoned(), n_bits=0) as store:
        store.put_many([NewEntry(f"{number}", DAY, b"%d" % number) for number in range(50)])
        (archive,) = [key for key in places.keys(0) if key.endswith(".des")]
        with DesStore.open(places.zoned(), manifest_ttl_seconds=0) as other:
            for number in range(50):
                if number % 10 == 3:
                    places.cut(0)
                if number % 10 == 7:
                    places.mend()
                assert other.get(f"{number}", DAY) == b"%d" % number
        zoned = places.zoned()
        reader = DesReader(S3RangeSource(zoned, archive))
        places.cut(0)
        assert reader.get_file("1") == b"1"
        places.mend()
        assert reader.get_file("2") == b"2"


@pytest.mark.parametrize("writes", ["all", "quorum"])
@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_or_doubled_when_the_primary_fails_at_random(writes: str, seed: int) -> None:
    chance = random.Random(seed)
    places = Places(writes=writes)
    with DesStore.init(places.zoned(), n_bits=0):
        pass
    stored: dict[str, bytes] = {}
    in_doubt: dict[str, bytes | None] = {}
    store = DesStore.open(places.zoned(), manifest_ttl_seconds=0, options=QUICK)

    def attempt(uid: str, value: bytes | None, act: Callable[[], object]) -> None:
        try:
            act()
        except DesError:
            in_doubt[uid] = value
            return
        in_doubt.pop(uid, None)
        stored.pop(uid, None)
        if value is not None:
            stored[uid] = value

    for number in range(60):
        for plan in places.plans[: 2 if writes == "all" else 1]:
            plan.clear()
            fault = chance.choice([fail_before, fail_after])
            plan.add(fault(chance.randint(1, 6)), fail_before(chance.randint(4, 9)))
        places.clock.now += chance.choice([0, 1, 40])
        uid, kind = f"{number}", chance.random()
        if kind < 0.7:
            data = uid.encode()
            attempt(uid, data, partial(store.put, uid, DAY, data))
        elif kind < 0.85 and stored:
            uid = chance.choice(sorted(stored))
            attempt(uid, None, partial(store.delete, uid, DAY, reason="test", by="test"))
        elif kind < 0.95:
            with suppress(DesError):
                store.compact()
        else:
            with suppress(DesError):
                store.gc(dry_run=False, min_age=timedelta(0))
    for hours in range(3):
        places.mend()
        places.clock.now += 3601 * hours
    store.compact()
    store.expire(timedelta(0))
    store.gc(dry_run=False, min_age=timedelta(0))
    with DesStore.open(places.zoned()) as fresh:
        for uid, data in stored.items():
            if uid not in in_doubt:
                assert fresh.get(uid, DAY) == data
        for number in range(60):
            if f"{number}" not in stored.keys() | in_doubt.keys():
                assert not fresh.exists(f"{number}", DAY)
        assert fresh.verify().ok
    ids = [commit.id for commit in store.history("20251125", "0")]
    assert len(set(ids)) == len(ids)
    store.close()


def test_what_was_acknowledged_survives_the_loss_of_the_primary() -> None:
    places = Places(2)
    with DesStore.init(places.zoned(), n_bits=0) as store:
        for number in range(40):
            store.put(f"{number}", DAY, b"%d" % number)
    assert locate_shard("1", DAY, 0).shard_hex == "0"
    with DesStore.open(places.inner[1]) as alone:
        assert alone.verify().ok
        assert len(alone.get_many([(f"{number}", DAY) for number in range(40)])) == 40


@pytest.mark.parametrize("names", [["p"], ["a", "a"], [""], ["a:b"]])
def test_names_that_cannot_be_told_apart_are_refused(names: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="different names"):
        ReplicatedObjectStore("p", MemoryObjectStore(), [Replica(name, MemoryObjectStore()) for name in names])


def test_other_promises_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="writes"):
        ReplicatedObjectStore("p", MemoryObjectStore(), [], writes="some")  # type: ignore[arg-type]
