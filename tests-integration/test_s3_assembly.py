"""Objects that begin with bytes of another one, and compactions in which the server copies the largest archive."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from des_format.store import AsyncDesStore, DesStore, NewEntry, StoreOptions
from des_format.testing.contracts import AssemblesContract
from des_s3 import S3ObjectStore
from servers import CountingProxy, S3Server

MakeObjects = Callable[..., S3ObjectStore]
DAY = "20251125"
NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
OPTIONS = StoreOptions(manifest_ttl_seconds=0)
LARGE, SMALL = 20, 5
MIB = 1 << 20


class TestS3Assembles(AssemblesContract):
    @pytest.fixture
    def store(self, make_objects: MakeObjects) -> S3ObjectStore:
        return make_objects()


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[CountingProxy]:
    with CountingProxy(s3_server.endpoint_url) as proxy:
        yield proxy


def payloads(first: int, mib: int) -> dict[str, bytes]:
    """Payloads of 64 KiB that cannot be compressed."""
    numbers = random.Random(first)
    return {f"n-{first + number}": numbers.randbytes(1 << 16) for number in range(mib * 16)}


@pytest.fixture
def entries(make_objects: MakeObjects) -> dict[str, bytes]:
    """A store of one shard with a large archive, and a newer, smaller one; return its entries."""
    with make_objects() as objects:
        store = DesStore.init(objects, n_bits=0, options=OPTIONS)
        large, small = payloads(0, LARGE), payloads(10_000, SMALL)
        for batch in (large, small):
            store.put_many([NewEntry(uid, NOON, data, {"uid": uid}) for uid, data in batch.items()])
        return large | small


def check(objects: S3ObjectStore, entries: dict[str, bytes]) -> None:
    store = DesStore.open(objects, options=OPTIONS)
    assert {one.entry.name: one.entry.meta for one in store.list(DAY)} == {uid: {"uid": uid} for uid in entries}
    found = store.get_many([(uid, NOON) for uid in entries])
    assert {uid: data for (uid, _at), data in found.items()} == entries
    report = store.verify()
    assert report.ok, report.problems


def moved(proxy: CountingProxy) -> tuple[int, int]:
    """Bytes that were downloaded and uploaded."""
    seen = proxy.requests
    return sum(one.response_bytes for one in seen), sum(one.request_bytes for one in seen)


def test_a_compaction_moves_less_than_half_of_the_bytes_when_the_server_copies_the_largest_archive(
    make_objects: MakeObjects, proxy: CountingProxy, entries: dict[str, bytes]
) -> None:
    objects = make_objects(endpoint_url=proxy.url)
    store = DesStore.open(objects, options=OPTIONS)
    (done,) = store.compact(full=True)
    down, up = moved(proxy)
    print(f"\n{down / MIB:.1f} MiB down, {up / MIB:.1f} MiB up; {dict(proxy.kinds)}")
    assert (done.refusal, done.entries_kept) == ("", len(entries))
    assert done.copied_bytes > LARGE * MIB
    assert proxy.kinds["upload_part_copy"] == done.copied_bytes // (8 * MIB)
    # The smaller archive, the new one, what is over of the larger one, and what says where things are.
    assert down < (SMALL + LARGE + SMALL + 8 + 1) * MIB
    assert up < (SMALL + 8 + 1) * MIB
    check(make_objects(), entries)


def test_without_the_copy_everything_is_downloaded_twice_and_uploaded_once(
    make_objects: MakeObjects, proxy: CountingProxy, entries: dict[str, bytes]
) -> None:
    store = DesStore.open(make_objects(endpoint_url=proxy.url), options=OPTIONS)
    (done,) = store.compact(full=True, rewrite=True)
    down, up = moved(proxy)
    print(f"\n{down / MIB:.1f} MiB down, {up / MIB:.1f} MiB up; {dict(proxy.kinds)}")
    assert done.copied_bytes == proxy.kinds["upload_part_copy"] == 0
    assert down > 2 * (LARGE + SMALL) * MIB
    assert up > (LARGE + SMALL) * MIB
    check(make_objects(), entries)


async def test_an_asynchronous_store_has_the_server_copy_too(
    make_objects: MakeObjects, entries: dict[str, bytes]
) -> None:
    async with make_objects() as objects:
        store = await AsyncDesStore.open(objects, options=OPTIONS)
        (done,) = await store.compact(full=True)
    assert (done.refusal, done.entries_kept) == ("", len(entries))
    assert done.copied_bytes > LARGE * MIB
    check(make_objects(), entries)
