"""A store with each cache: how many requests a read takes, cold, warm and in a second process; and the same bytes
whatever happens to the cache.

Opening the store again, with a new cache object on the same folder or server, is what a second process does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_cache import DiskIndexCache, InMemoryIndexCache, TieredCache, open_async_cache, open_cache
from des_format.caches import MemoryIndexCache
from des_format.objects import MemoryObjectStore
from des_format.store import ArchiveOptions, AsyncDesStore, DesStore, NewEntry, StoreOptions
from des_format.testing import FaultyIndexCache, MeteredObjectStore, Plan, fail_before
from servers import valkey
from servers.processes import Processes

MORNING = datetime(2025, 11, 25, 8, tzinfo=UTC)
OPTIONS = StoreOptions(manifest_ttl_seconds=3600, writing=ArchiveOptions(compression="none"))
ENTRIES = {f"uid-{number}": f"payload {number} ".encode() * 50 for number in range(600)}
UIDS = list(ENTRIES)

MANIFEST, BLOCK, PAYLOAD = 1, 1, 1


@pytest.fixture
def objects() -> MeteredObjectStore:
    """A store with one archive, which has more than one index block."""
    objects = MeteredObjectStore(MemoryObjectStore())
    store = DesStore.init(objects, n_bits=1, options=OPTIONS)
    store.put_many([NewEntry(uid, MORNING, data) for uid, data in ENTRIES.items()])
    return objects


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    if lacking := valkey.missing():
        pytest.skip(lacking)
    processes = Processes(tmp_path / "valkey")
    yield processes
    processes.stop()


@pytest.fixture
def redis_url(processes: Processes) -> str:
    """A server of this test alone, which it may kill with `processes.stop()`."""
    return valkey.start(processes)["url"] + "/0?timeout=20"


def requests_of(objects: MeteredObjectStore, store: DesStore, uid: str) -> int:
    """Read an entry, check it, and return how many requests that took."""
    objects.reset()
    assert store.get(uid, MORNING) == ENTRIES[uid]
    return objects.request_count


def check(objects: MeteredObjectStore, open_: Callable[[], Any], *, is_shared: bool) -> None:
    first = DesStore.open(objects, cache=open_(), options=OPTIONS)
    assert requests_of(objects, first, UIDS[0]) == MANIFEST + BLOCK + PAYLOAD
    assert requests_of(objects, first, UIDS[0]) == PAYLOAD
    second = DesStore.open(objects, cache=open_(), options=OPTIONS)
    assert requests_of(objects, second, UIDS[0]) == PAYLOAD + (0 if is_shared else MANIFEST + BLOCK)
    assert {uid: second.get(uid, MORNING) for uid in UIDS} == ENTRIES
    objects.reset()
    third = DesStore.open(objects, cache=open_(), options=OPTIONS)
    assert third.get_many([(uid, MORNING) for uid in UIDS]) == {(uid, MORNING): data for uid, data in ENTRIES.items()}


LOCAL: dict[str, tuple[Callable[[Path], Any], bool]] = {
    "memory": (lambda _: InMemoryIndexCache(), False),
    "memory-too-small": (lambda _: InMemoryIndexCache(max_bytes=1000), False),
    "disk": (DiskIndexCache, True),
    "disk-too-small": (lambda folder: DiskIndexCache(folder, 4096), False),
    "memory-disk": (lambda folder: open_cache(f"memory://?max_bytes=1MiB,{folder.as_uri()}?max_bytes=64MiB"), True),
    "broken-disk": (
        lambda folder: TieredCache(
            FaultyIndexCache(MemoryIndexCache(), Plan(fail_before(None, error=OSError))), DiskIndexCache(folder)
        ),
        True,
    ),
}


@pytest.mark.parametrize("kind", LOCAL)
def test_local_caches(objects: MeteredObjectStore, tmp_path: Path, kind: str) -> None:
    make, is_shared = LOCAL[kind]
    check(objects, lambda: make(tmp_path), is_shared=is_shared)


def test_a_cache_of_this_process_serves_its_other_stores(objects: MeteredObjectStore) -> None:
    cache = InMemoryIndexCache()
    check(objects, lambda: cache, is_shared=True)


@pytest.mark.valkey
@pytest.mark.parametrize("tiers", ["{redis}", "memory://,{redis}", "memory://,{disk},{redis}"])
def test_caches_in_redis(objects: MeteredObjectStore, tmp_path: Path, redis_url: str, tiers: str) -> None:
    opened: list[Any] = []

    def open_() -> Any:
        opened.append(open_cache(tiers.format(redis=redis_url, disk=(tmp_path / "cache").as_uri())))
        return opened[-1]

    check(objects, open_, is_shared=True)
    for cache in opened:
        cache.close()


@pytest.mark.valkey
@pytest.mark.parametrize("tiers", ["{redis}", "memory://,{redis}"])
def test_redis_goes_down_in_the_middle(
    objects: MeteredObjectStore, processes: Processes, redis_url: str, tiers: str
) -> None:
    cache = open_cache(tiers.format(redis=redis_url))
    store = DesStore.open(objects, cache=cache, options=OPTIONS)
    for number, (uid, data) in enumerate(ENTRIES.items()):
        if number == 3:
            processes.stop()
        assert store.get(uid, MORNING) == data
    later = DesStore.open(objects, cache=cache, options=OPTIONS)
    assert requests_of(objects, later, UIDS[-1]) <= MANIFEST + BLOCK + PAYLOAD
    cache.close()


@pytest.mark.valkey
async def test_the_asynchronous_store(
    objects: MeteredObjectStore, tmp_path: Path, processes: Processes, redis_url: str
) -> None:
    urls = f"memory://,{(tmp_path / 'cache').as_uri()},{redis_url}"
    caches: list[Any] = [open_async_cache(url) for url in (urls, redis_url)]
    for cache, missing in zip(caches, (MANIFEST + BLOCK, 0), strict=True):
        store = await AsyncDesStore.open(objects, cache=cache, options=OPTIONS)
        objects.reset()
        assert await store.get(UIDS[0], MORNING) == ENTRIES[UIDS[0]]
        assert objects.request_count == missing + PAYLOAD
    for number, (uid, data) in enumerate(ENTRIES.items()):
        if number == 3:
            processes.stop()
        assert await store.get(uid, MORNING) == data
    for cache in caches:
        await cache.close_async()


@pytest.mark.valkey
def test_what_redis_damages_is_read_from_the_archive(objects: MeteredObjectStore, redis_url: str) -> None:
    import redis

    cache = open_cache(redis_url)
    store = DesStore.open(objects, cache=cache, options=OPTIONS)
    assert store.get(UIDS[0], MORNING) == ENTRIES[UIDS[0]]
    with redis.Redis.from_url(redis_url.partition("?")[0]) as client:
        for name in client.scan_iter():
            client.setrange(name, 100, b"\xff\x00\xff")
    again = DesStore.open(objects, cache=cache, options=OPTIONS)
    assert requests_of(objects, again, UIDS[0]) == MANIFEST + BLOCK + PAYLOAD
    assert cache.get_stats()["errors"] > 0
    once_more = DesStore.open(objects, cache=cache, options=OPTIONS)
    assert requests_of(objects, once_more, UIDS[0]) == PAYLOAD
    cache.close()
