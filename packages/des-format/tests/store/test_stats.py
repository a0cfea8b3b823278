"""`stats` adds up what manifests say, and reads nothing else."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from des_format.errors import CorruptArchiveError
from des_format.objects import MemoryObjectStore
from des_format.store import DayStats, DesStore
from des_format.store.model.keys import ObjectKind
from des_format.testing import FaultyObjectStore, fail_before

from .damage import DAY, Shop, flip, keys_of, read


def test_a_store_is_added_up_by_day(objects: Any) -> None:
    shop = Shop(objects)
    shop.fill()
    stats = shop.store.stats()
    archives = keys_of(objects, ObjectKind.ARCHIVE)
    manifests = keys_of(objects, ObjectKind.MANIFEST) + keys_of(objects, ObjectKind.SEGMENT)
    assert (stats.days, stats.shards, stats.archives, stats.entries) == (2, 3, len(archives), 39)
    payloads = [*shop.model.values(), b"payload of 4", b"payload of 1"]
    assert stats.raw_bytes == sum(map(len, payloads))
    assert stats.stored_bytes == stats.raw_bytes - 5000
    assert (stats.external_count, stats.external_bytes) == (1, 5000)
    assert stats.archive_bytes == sum(len(read(objects, key)) for key in archives)
    assert stats.manifest_bytes == sum(len(read(objects, key)) for key in manifests)
    assert (stats.tombstones, stats.commits) == (2, 41)
    assert [day.day for day in stats.by_day] == ["20251125", "20251126"]
    for field in fields(DayStats)[1:]:
        assert getattr(stats, field.name) == sum(getattr(day, field.name) for day in stats.by_day)
    assert shop.store.stats("2025-11-26").by_day == stats.by_day[1:]


def test_commits_that_were_dropped_do_not_count() -> None:
    shop = Shop(MemoryObjectStore())
    shop.fill()
    shop.store.compact(full=True)
    shop.clock.advance(days=1)
    shop.store.expire(timedelta(0))
    stats = shop.store.stats()
    assert stats.commits == sum(len(shop.store.history(day, shard)) for day in shop.store.days() for shard in "01")
    assert (stats.entries, stats.raw_bytes) == (len(shop.model), sum(map(len, shop.model.values())))


def test_an_empty_store_holds_nothing() -> None:
    stats = DesStore.init(MemoryObjectStore()).stats()
    assert stats.by_day == ()
    assert all(getattr(stats, field.name) == 0 for field in fields(stats)[1:])


def test_no_archive_is_read() -> None:
    shop = Shop(MemoryObjectStore())
    shop.put("1")
    shop.put("3", at=shop.noon + DAY)
    objects = FaultyObjectStore(shop.objects)
    store = shop.open(objects=objects)
    objects.plan.add(fail_before(None, ("get", "head"), "*.des"))
    assert store.stats().entries == 2


def test_a_damaged_manifest_is_an_error_and_no_small_number() -> None:
    shop = Shop(MemoryObjectStore())
    shop.put("1")
    flip(shop.objects, keys_of(shop.objects, ObjectKind.MANIFEST)[0])
    with pytest.raises(CorruptArchiveError):
        shop.store.stats()
