"""Bring replicas up to date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from des_format.errors import ConfigurationError
from des_format.store import DesStore, NewEntry
from des_format.testing import delay
from des_s3 import S3ObjectStore, SyncReport, load_zones, sync_zones
from des_s3.zones import Zone, ZonedObjectStore

from .conftest import QUICK
from .test_replicas import Clock, Places

DAY = datetime(2025, 11, 25, 12, tzinfo=UTC)
MANIFEST = "20251125/0.manifest"


@pytest.fixture
def places() -> Places:
    places = Places(3, "quorum")
    with DesStore.init(places.zoned(), n_bits=0) as store:
        store.put_many([NewEntry(f"{number}", DAY, b"%d" % number) for number in range(20)])
        store.put("big", DAY, b"big")
    return places


def _snapshot(places: Places, number: int) -> dict[str, bytes]:
    return {key: places.inner[number].get(key).data for key in places.keys(number)}


def _kinds(report: SyncReport) -> list[tuple[str, str, str, bool]]:
    return [(found.replica, found.key.rpartition(".")[2], found.kind, found.done) for found in report.findings]


def _archive(places: Places) -> str:
    return next(key for key in places.keys(0) if key.endswith(".des"))


def test_places_that_are_the_same_are_left_alone(places: Places) -> None:
    report = sync_zones(places.zoned(), dry_run=False)
    assert (report.ok, report.findings, report.copied_count) == (True, [], 0)
    assert report.compared_count == 2 * len(places.keys(0))


def test_a_replica_that_was_dead_is_brought_up_to_date(places: Places) -> None:
    places.cut(2)
    with DesStore.open(places.zoned()) as store:
        store.put("more", DAY, b"more")
        store.delete("3", DAY, reason="test", by="test")
    places.mend()
    before = _snapshot(places, 2)
    looked = sync_zones(places.zoned())
    assert not looked.ok
    assert _snapshot(places, 2) == before
    expected = {("r2", "des", "missing"), ("r2", "manifest", "differs"), ("r2", "tombstones", "missing")}
    assert {finding[:3] for finding in _kinds(looked)} == expected
    seen: list[int] = []
    report = sync_zones(places.zoned(), dry_run=False, progress=lambda so_far: seen.append(so_far.compared_count))
    assert report.ok
    assert report.copied_count == 3
    assert report.copied_bytes == sum(finding.size for finding in report.findings)
    assert seen == list(range(1, report.compared_count + 1))
    assert _snapshot(places, 2) == _snapshot(places, 0)
    assert sync_zones(places.zoned()).findings == []


def test_a_replica_begins_empty(places: Places) -> None:
    places.inner[1].delete(places.keys(1))
    big = b"x" * (20 << 20)
    key = f"20251125/_bigFiles/{hashlib.sha256(big).hexdigest()}"
    places.inner[0].put(key, big)
    assert sync_zones(places.zoned(), dry_run=False).ok
    assert _snapshot(places, 1) == _snapshot(places, 2) == _snapshot(places, 0)
    with DesStore.open(places.inner[1]) as store:
        assert store.verify().ok


def test_what_only_a_replica_has_is_reported_and_restored_when_asked(places: Places) -> None:
    archive = _archive(places)
    content = places.inner[0].get(archive).data
    places.inner[0].delete([archive, MANIFEST])
    for restore, dry_run in ((False, False), (True, True)):
        report = sync_zones(places.zoned(), dry_run=dry_run, restore=restore)
        assert _kinds(report) == [
            (replica, kind, "extra", False) for replica in ("r1", "r2") for kind in ("des", "manifest")
        ]
        assert places.having(archive) == [1, 2]
    report = sync_zones(places.zoned(), dry_run=False, restore=True)
    assert _kinds(report) == [("r1", "des", "extra", True), ("r1", "manifest", "extra", True)]
    assert places.inner[0].get(archive).data == content
    with DesStore.open(places.zoned()) as store:
        assert store.verify().ok


@pytest.mark.parametrize("what", ["put", "delete"])
def test_an_older_manifest_is_not_restored(places: Places, what: str) -> None:
    places.cut(2)
    with DesStore.open(places.zoned()) as store:
        if what == "put":
            store.put("more", DAY, b"more")
        else:
            store.delete("3", DAY, reason="test", by="test")
    places.mend()
    places.inner[0].delete(MANIFEST)
    places.inner[1].delete(MANIFEST)
    report = sync_zones(places.zoned(), dry_run=False, restore=True)
    assert ("r2", "manifest", "failed", False) in _kinds(report)
    assert "des store rebuild" in report.findings[-1].why
    assert places.having(MANIFEST) == [2]


def test_a_copy_that_was_cut_or_changed_is_replaced(places: Places) -> None:
    archive = _archive(places)
    content = places.inner[0].get(archive).data
    for damaged in (content[:-1], content[:-1] + b"x"):
        places.inner[1].put(archive, damaged)
        report = sync_zones(places.zoned(), dry_run=False)
        assert _kinds(report) == [("r1", "des", "differs", True)]
        assert places.inner[1].get(archive).data == content


def test_what_is_damaged_in_the_primary_replaces_no_sound_copy(places: Places) -> None:
    archive = _archive(places)
    content = places.inner[0].get(archive).data
    big_file = f"20251125/_bigFiles/{'0' * 64}"
    places.inner[0].put(archive, content[:-1])
    places.inner[0].put(big_file, b"not that")
    report = sync_zones(places.zoned(), dry_run=False)
    assert {found.kind for found in report.findings} == {"failed"}
    assert len(report.findings) == 4
    assert places.inner[1].get(archive).data == content
    assert places.having(big_file) == [0]


def test_a_damaged_copy_is_not_restored(places: Places) -> None:
    archive = _archive(places)
    places.inner[0].delete(archive)
    places.inner[1].put(archive, b"damaged")
    report = sync_zones(places.zoned(), dry_run=False, restore=True)
    assert _kinds(report) == [("r1", "des", "failed", False), ("r2", "des", "extra", True)]
    assert sync_zones(places.zoned(), dry_run=False).ok
    assert places.inner[1].get(archive).data == places.inner[2].get(archive).data


def test_a_dead_place_is_a_finding_and_the_others_are_seen_to(places: Places) -> None:
    places.inner[2].delete(places.keys(2))
    places.cut(1)
    report = sync_zones(places.zoned(), dry_run=False)
    assert [found.replica for found in report.findings if found.kind == "failed"] == ["r1"]
    assert not report.ok
    assert _snapshot(places, 2) == _snapshot(places, 0)


def test_a_manifest_that_changes_while_it_is_copied_is_copied_again(places: Places) -> None:
    places.inner[2].put(MANIFEST, b"older")
    places.plans[2].add(delay(lambda *_: places.inner[0].put(MANIFEST, b"newest"), 1, ("put",)))
    assert sync_zones(places.zoned(), dry_run=False).findings[-1].done
    assert places.inner[2].get(MANIFEST).data == b"newest"
    places.inner[2].put(MANIFEST, b"older")
    places.plans[2].add(delay(lambda *_: places.inner[0].put(MANIFEST, b"again"), None, ("put",)))
    report = sync_zones(places.zoned(), dry_run=False)
    assert report.findings[-1].kind == "failed"


def test_what_is_deleted_while_it_is_copied_is_left_nowhere(places: Places) -> None:
    archive = _archive(places)
    places.inner[2].delete(archive)
    places.inner[1].delete(archive)
    places.plans[1].add(delay(lambda *_: places.inner[0].delete(archive), 1, ("put",)))
    assert sync_zones(places.zoned(), dry_run=False).findings == []
    assert places.having(archive) == []


def test_what_appears_while_it_is_looked_for_is_not_extra(places: Places) -> None:
    places.inner[1].put("20251125/0_new.commits", b"content")
    places.plans[0].add(delay(lambda _operation, key: places.inner[0].put(key, b"content"), 1, ("head",), keys="*new*"))
    assert _kinds(sync_zones(places.zoned(), dry_run=False, restore=True)) == [("r2", "commits", "missing", True)]


# -- in buckets -----------------------------------------------------------------------------


@pytest.fixture
def write_zones(client: Any, endpoint_url: str, prefix: str, tmp_path: Path) -> Callable[..., Path]:
    for name in ("place-a", "place-b"):
        client.create_bucket(Bucket=name)

    def write(change: Callable[[dict[str, Any]], Any] = lambda _: None) -> Path:
        document = {
            "n_bits": 4,
            "writes": "all",
            "zones": [
                {
                    "name": name,
                    "range": {"start": start, "end": start + 7},
                    "s3": {"bucket": f"place-{name}", "prefix": f"{prefix}/{name}", "endpoint_url": endpoint_url},
                    "replicas": [
                        {
                            "name": f"{name}-copy",
                            "s3": {
                                "bucket": f"place-{other}",
                                "prefix": f"{prefix}/{name}-copy",
                                "endpoint_url": endpoint_url,
                            },
                        }
                    ],
                }
                for name, other, start in (("a", "b", 0), ("b", "a", 8))
            ],
        }
        change(document)
        path = tmp_path / "zones.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


def _stored(store: Any) -> dict[str, bytes]:
    return {meta["path"]: store.get(meta["path"]).data for page in store.list() for meta in page}


def test_zones_of_a_file_have_replicas(write_zones: Callable[..., Path], session: boto3.Session) -> None:
    zoned = load_zones(write_zones(), session=session, retries=QUICK)
    entries = [NewEntry(f"{number}", DAY, b"%d" % number) for number in range(40)]
    with DesStore.init(zoned, n_bits=4) as store:
        store.put_many(entries)
        where = store.put("one", DAY, b"1").where
        with store.writer(where.day, where.shard, big_file_threshold=1 << 20) as writer:
            writer.add_file("one", b"big" * (1 << 20))
    zoned.check_conditional_writes()
    for zone in zoned.zones:
        (replica,) = zone.replicas
        assert _stored(replica.store) == _stored(zone.store)
    assert sync_zones(zoned).findings == []

    def cut(document: dict[str, Any]) -> None:
        for zone in document["zones"]:
            zone["s3"]["endpoint_url"] = "http://127.0.0.1:1"

    with DesStore.open(load_zones(write_zones(cut), session=session, retries=QUICK)) as store:
        assert store.get("one", DAY) == b"big" * (1 << 20)
        assert len(store.get_many([(entry.uid, DAY) for entry in entries])) == 40

    victim = zoned.zones[1].replicas[0].store
    lost = next(key for key in _stored(victim) if key.endswith(".des"))
    victim.delete(lost)
    assert [found.key for found in sync_zones(zoned, dry_run=False).findings] == [lost]
    assert sync_zones(zoned).findings == []
    zoned.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(writes="some"), "writes is 'some'"),
        (lambda d: d["zones"][0].update(replicas={}), "expected a list"),
        (lambda d: d["zones"][0]["replicas"][0].pop("name"), "zone 1: replica 1 lacks name"),
        (lambda d: d["zones"][0]["replicas"][0]["s3"].pop("bucket"), "zone 1: replica 1: s3 lacks bucket"),
        (lambda d: d["zones"][0]["replicas"][0].update(name="a"), "different names"),
        (lambda d: d["zones"][0]["replicas"][0].update(s3=d["zones"][1]["s3"]), "and so is another one"),
    ],
)
def test_replicas_that_cannot_be_are_refused(
    write_zones: Callable[..., Path], session: boto3.Session, change: Any, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_zones(write_zones(change), session=session)


def test_zones_with_replicas_close_what_they_opened(
    make_store: Callable[..., S3ObjectStore], bucket: str, endpoint_url: str, prefix: str, session: boto3.Session
) -> None:
    import asyncio

    places = Places(2)
    zoned = ZonedObjectStore([Zone("a", 0, 255, make_store(), places.replicas())], 8, clock=Clock())
    zoned.put("20251125/00.manifest", b"content")
    assert places.keys(1) == ["20251125/00.manifest"]
    assert zoned.metrics is zoned.zones[0].store.metrics
    assert zoned.place == zoned.zones[0].store.place
    zoned.close()
    asyncio.run(zoned.aclose())
