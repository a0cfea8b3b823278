"""The promises of the object storage ports, and a whole store, in S3: both engines on every server, sync and async."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from des_format.errors import EntryDeletedError, EntryNotFoundError, StoreExistsError
from des_format.ports.objects import ObjectStore
from des_format.store import ArchiveOptions, AsyncDesStore, DesStore, NewEntry, StoreOptions
from des_format.testing.contracts import AsyncObjectStoreContract, ObjectStoreContract, SyncObjectStore
from des_s3 import S3ObjectStore
from servers import S3Server

MakeObjects = Callable[..., S3ObjectStore]
DAY = "20251125"
NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)


# -- the ports ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def make(s3_server: S3Server, s3_session: Any, shared_bucket: str) -> MakeObjects:
    """Make stores for all tests of a class: each test has its own keys."""
    return lambda engine: S3ObjectStore(
        shared_bucket, "contracts", session=s3_session, endpoint_url=s3_server.endpoint_url, engine=engine
    )


@pytest.fixture(scope="module")
def by_obstore(make: MakeObjects) -> Iterator[ObjectStore]:
    with make("obstore") as store:
        yield store


@pytest.fixture(scope="module")
def by_boto(make: MakeObjects) -> Iterator[ObjectStore]:
    with make("boto") as store:
        yield store


@pytest.fixture(scope="module")
def async_by_obstore(make: MakeObjects) -> Iterator[ObjectStore]:
    yield from _behind_the_port(make("obstore"))


@pytest.fixture(scope="module")
def async_by_boto(make: MakeObjects) -> Iterator[ObjectStore]:
    yield from _behind_the_port(make("boto"))


def _behind_the_port(inner: S3ObjectStore) -> Iterator[ObjectStore]:
    with SyncObjectStore(inner) as store:
        yield store
        store._run(inner.aclose())


class TestObstoreEngine(ObjectStoreContract):
    has_unique_tags = False  # an ETag is the MD5 of the content

    @pytest.fixture
    def store(self, by_obstore: ObjectStore) -> ObjectStore:
        return by_obstore


class TestBotoEngine(ObjectStoreContract):
    has_unique_tags = False

    @pytest.fixture
    def store(self, by_boto: ObjectStore) -> ObjectStore:
        return by_boto


class TestAsyncObstoreEngine(AsyncObjectStoreContract):
    has_unique_tags = False

    @pytest.fixture
    def store(self, async_by_obstore: ObjectStore) -> ObjectStore:
        return async_by_obstore


class TestAsyncBotoEngine(AsyncObjectStoreContract):
    has_unique_tags = False

    @pytest.fixture
    def store(self, async_by_boto: ObjectStore) -> ObjectStore:
        return async_by_boto


# -- a store --------------------------------------------------------------------------------

OPTIONS = StoreOptions(manifest_ttl_seconds=0, writing=ArchiveOptions(compression="none", big_file_threshold=1 << 20))


class Either:
    """A `DesStore` or an `AsyncDesStore`, whose methods are awaited in either case."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            return await _settled(method(*arguments, **options))

        return call

    def as_of(self, sequence: int) -> Either:
        return Either(self._store.as_of(sequence=sequence))


async def _settled(result: Any) -> Any:
    if inspect.isawaitable(result):
        return await result
    if isinstance(result, AsyncIterator):
        return [one async for one in result]
    return list(result) if isinstance(result, Iterator) else result


async def live(cls: type[Any], make_objects: Callable[[], S3ObjectStore]) -> None:
    """Use all that a store has, in one life of it."""
    objects = make_objects()
    store = Either(await _settled(cls.init(objects, n_bits=0, options=OPTIONS)))
    with pytest.raises(StoreExistsError):
        await _settled(cls.init(objects, n_bits=0))
    payloads = {f"n-{number}": os.urandom(200) for number in range(500)} | {"large": os.urandom(2 << 20)}

    await add(store, payloads)
    await look(store, payloads)
    other = Either(await _settled(cls.open(make_objects(), options=OPTIONS)))
    await look(other, payloads)
    await other.put("n-1", NOON, b"replaced")
    await store.delete("n-2", NOON, reason="test", by="test")
    before = await store.as_of(2).get("n-1", NOON)
    assert before == payloads["n-1"]
    payloads["n-1"] = b"replaced"
    del payloads["n-2"]
    with pytest.raises(EntryDeletedError):
        await other.get("n-2", NOON)
    await look(store, payloads)

    archive_count = (await store.stats()).archives
    assert [done.where.day for done in await store.compact(full=True)] == [DAY]
    assert (await store.stats()).archives < archive_count
    await look(other, payloads)
    assert await store.expire(timedelta(0))
    garbage = await store.gc(min_age=timedelta(0), dry_run=False)
    assert garbage.deleted_count == len(garbage.objects) >= archive_count
    assert (await store.verify()).ok
    await look(other, payloads)

    objects.delete(f"{DAY}/0.manifest")
    assert [rebuilt.is_blocked for rebuilt in await store.rebuild(dry_run=False)] == [False]
    again = Either(await _settled(cls.open(make_objects(), options=OPTIONS)))
    assert (await again.verify()).ok
    await look(again, payloads)
    with pytest.raises((EntryDeletedError, EntryNotFoundError)):
        await again.get("n-2", NOON)


async def add(store: Either, payloads: dict[str, bytes]) -> None:
    names = list(payloads)
    receipts = [await store.put(name, NOON, payloads[name]) for name in names[:3]]
    receipts += await store.put_many([NewEntry(name, NOON, payloads[name]) for name in names[3:]])
    assert [receipt.sequence for receipt in receipts[:4]] == [1, 2, 3, 4]


async def look(store: Either, payloads: dict[str, bytes]) -> None:
    wanted = [(name, NOON) for name in payloads]
    assert await store.get_many([*wanted, ("absent", NOON)]) == {(name, NOON): payloads[name] for name in payloads}
    for name in ("n-0", "n-1", "n-499", "large"):
        assert await store.get(name, NOON) == payloads[name]
    assert await store.read_range("large", NOON, 1000, 1050) == payloads["large"][1000:1050]
    assert not await store.exists("absent", NOON)
    assert await store.days() == [DAY]
    assert {found.entry.name: found.entry.size for found in await store.list(DAY)} == {
        name: len(payload) for name, payload in payloads.items()
    }
    locator = await store.locator("n-7", NOON)
    assert await store.read_locator(locator.encode()) == payloads["n-7"]


@pytest.mark.parametrize("cls", [DesStore, AsyncDesStore])
@pytest.mark.parametrize("engine", ["obstore", "boto"])
def test_a_store_lives_its_life_in_s3(
    make_objects: MakeObjects, engine: str, cls: type[DesStore] | type[AsyncDesStore]
) -> None:
    opened: list[S3ObjectStore] = []

    def make() -> S3ObjectStore:
        opened.append(make_objects(engine=engine))
        return opened[-1]

    async def life() -> None:
        await live(cls, make)
        for objects in opened:
            await objects.aclose()

    asyncio.run(life())


@pytest.mark.parametrize("engine", ["obstore", "boto"])
def test_a_large_archive_goes_to_s3_in_parts_while_it_is_written(make_objects: MakeObjects, engine: str) -> None:
    payload = os.urandom(3 << 20)
    with DesStore.init(make_objects(), n_bits=0) as store, store.writer(DAY, "0") as writer:
        for number in range(8):
            writer.add_file(f"{number}", payload)
    with DesStore.open(make_objects(engine=engine)) as store:
        assert store.get("7", NOON) == payload
        assert store.verify().ok
