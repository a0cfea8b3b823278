"""What ranges stores over S3 read, as `des_s3_range_calls_total` counts it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from des_format.ports.objects import CountsRanges
from des_format.store import ArchiveOptions, AsyncDesStore, DesStore, NewEntry, StoreOptions
from des_s3 import Replica, ReplicatedObjectStore, S3Metrics, S3ObjectStore, Zone, ZonedObjectStore
from prometheus_client import CollectorRegistry

from .proxy import Proxy

DAY = datetime(2025, 11, 25, 12, tzinfo=UTC)
OPTIONS = StoreOptions(manifest_ttl_seconds=1000, writing=ArchiveOptions(big_file_threshold=10_000))
Make = Callable[..., S3ObjectStore]


@pytest.fixture
def entries(make_store: Make) -> list[NewEntry]:
    """A store of one archive with many entries, the last of which is a big file."""
    entries = [NewEntry(f"n-{number}", DAY, os.urandom(100)) for number in range(2000)]
    entries.append(NewEntry("big", DAY, os.urandom(20_000)))
    with DesStore.init(make_store(), n_bits=0, options=OPTIONS) as store:
        store.put_many(entries)
    return entries


class Counted:
    """The counter, and how much it grew since it was last asked."""

    def __init__(self, backend: str = "s3") -> None:
        self.registry = CollectorRegistry()
        self.metrics = S3Metrics(self.registry)
        self._backend = backend
        self._seen: dict[str, int] = {}

    def more(self) -> dict[str, int]:
        found = {
            sample.labels["type"]: int(sample.value)
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == "des_s3_range_calls_total" and sample.labels["backend"] == self._backend
        }
        more = {kind: count - self._seen.get(kind, 0) for kind, count in found.items()}
        self._seen = found
        return {kind: count for kind, count in more.items() if count}


@pytest.mark.parametrize("engine", ["obstore", "boto"])
def test_a_read_counts_the_index_once_and_each_payload(
    make_store: Make, entries: list[NewEntry], proxy: Proxy, engine: str
) -> None:
    counted = Counted()
    objects = make_store(metrics=counted.metrics, engine=engine, endpoint_url=proxy.url)
    with DesStore.open(objects, options=OPTIONS) as store:
        assert counted.more() == {}, "the descriptor is no archive"
        first, *_, big = entries
        assert store.get(first.uid, DAY) == first.data
        assert counted.more() == {"index": 1, "payload": 1}
        with proxy.counting() as counts:
            assert store.get(first.uid, DAY) == first.data
        assert (counted.more(), counts) == ({"payload": 1}, {"GET": 1})
        assert store.get(big.uid, DAY) == big.data
        assert counted.more().pop("bigfile") == 1
        locator = store.locator(first.uid, DAY)
        counted.more()
        assert store.read_locator(locator) == first.data
        assert counted.more() == {"payload": 1}


async def _read(objects: S3ObjectStore, counted: Counted, entry: NewEntry) -> None:
    async with objects:
        store = await AsyncDesStore.open(objects, options=OPTIONS)
        assert await store.get(entry.uid, DAY) == entry.data
        assert counted.more() == {"index": 1, "payload": 1}
        together = await asyncio.gather(*(store.get(entry.uid, DAY) for _ in range(5)))
        assert together == [entry.data] * 5
        assert counted.more() == {"payload": 1}, "who asks the same at the same time shares an answer"


def test_asynchronous_reads_count_alike(make_store: Make, entries: list[NewEntry]) -> None:
    counted = Counted()
    asyncio.run(_read(make_store(metrics=counted.metrics), counted, entries[0]))


def test_zones_and_replicas_count_as_several_places(make_store: Make, entries: list[NewEntry]) -> None:
    for is_zoned in (True, False):
        counted = Counted("multi_s3")
        primary = make_store(metrics=counted.metrics)
        objects: ZonedObjectStore | ReplicatedObjectStore
        if is_zoned:
            objects = ZonedObjectStore([Zone("a", 0, 0, primary)], 0)
        else:
            objects = ReplicatedObjectStore("a", primary, [Replica("b", make_store())], metrics=counted.metrics)
        assert isinstance(objects, CountsRanges)
        with DesStore.open(objects, options=OPTIONS) as store:
            assert store.get(entries[0].uid, DAY) == entries[0].data
        assert counted.more() == {"index": 1, "payload": 1}
