"""Shards spread over several buckets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from des_format import DesReader, locate_shard
from des_format.errors import ConfigurationError, ObjectNotFoundError, UnavailableError, UnsupportedOperationError
from des_format.ports.objects import ObjectStore
from des_format.store import ArchiveOptions, DesStore, NewEntry, StoreOptions
from des_format.testing.contracts import ObjectStoreContract
from des_s3 import S3DesReader, S3ObjectStore, S3RangeSource, Zone, ZonedObjectStore, load_zones, open_zones

from .conftest import QUICK
from .proxy import Proxy

DAY = datetime(2025, 11, 25, tzinfo=UTC)


@pytest.fixture(scope="module")
def buckets(client: Any) -> list[str]:
    for name in ("zone-a", "zone-b"):
        client.create_bucket(Bucket=name)
    return ["zone-a", "zone-b"]


@pytest.fixture
def make_zones(
    buckets: list[str], endpoint_url: str, session: boto3.Session, prefix: str
) -> Iterator[Callable[..., ZonedObjectStore]]:
    made: list[ZonedObjectStore] = []

    def make(*urls: str) -> ZonedObjectStore:
        zones = [
            Zone(
                bucket,
                number * 128,
                number * 128 + 127,
                S3ObjectStore(bucket, prefix, session=session, retries=QUICK, endpoint_url=url),
            )
            for number, (bucket, url) in enumerate(zip(buckets, urls or [endpoint_url] * 2, strict=True))
        ]
        made.append(ZonedObjectStore(zones[::-1], 8))
        return made[-1]

    yield make
    for zoned in made:
        zoned.close()


class TestZonedObjectStore(ObjectStoreContract):
    has_unique_tags = False

    @pytest.fixture
    def store(self, make_zones: Callable[..., ZonedObjectStore]) -> ObjectStore:
        return make_zones()


def _keys(store: S3ObjectStore) -> list[str]:
    return [meta["path"] for page in store.list() for meta in page]


@pytest.mark.parametrize(
    ("key", "zone"),
    [
        ("20251125/7F.manifest", "zone-a"),
        ("20251125/80.manifest", "zone-b"),
        ("20251125/00_abc.des", "zone-a"),
        ("20251125/FF_abc.tombstones", "zone-b"),
        ("20251125_80_0001.des", "zone-b"),
        ("old/20251125_7f_0001.des", "zone-a"),
        ("2025-11-25/ff.des", "zone-b"),
    ],
)
def test_a_key_with_a_shard_is_in_its_zone(make_zones: Callable[..., ZonedObjectStore], key: str, zone: str) -> None:
    zoned = make_zones()
    zoned.put(key, b"content", mode="create")
    assert [found.name for found in zoned.zones if _keys(found.store)] == [zone]
    assert zoned.get(key).data == asyncio.run(_get(zoned, key)) == b"content"
    assert zoned.head(key)["size"] == 7
    assert [meta["path"] for page in zoned.list() for meta in page] == [key]
    zoned.delete([key])
    assert list(zoned.list()) == []


async def _get(zoned: ZonedObjectStore, key: str) -> bytes:
    try:
        return (await zoned.get_async(key)).data
    finally:
        await zoned.aclose()


def test_a_big_file_is_stored_once_and_found_wherever_it_is(make_zones: Callable[..., ZonedObjectStore]) -> None:
    zoned = make_zones()
    homes = set()
    for number in range(12):
        content = b"%d" % number
        key = f"20251125/_bigFiles/{hashlib.sha256(content).hexdigest()}"
        zoned.put(key, content, mode="create")
        homes |= {tuple(zone.name for zone in zoned.zones if key in _keys(zone.store))}
        assert zoned.get(key).data == content
    assert homes == {("zone-a",), ("zone-b",)}
    for zone in zoned.zones:
        key = f"20251126/_bigFiles/{hashlib.sha256(zone.name.encode()).hexdigest()}"
        zone.store.put(key, b"stored otherwise")
        assert zoned.get(key).data == asyncio.run(_get(zoned, key)) == b"stored otherwise"
        assert zoned.head(key)["size"] == 16
    with pytest.raises(ObjectNotFoundError):
        zoned.get(f"20251125/_bigFiles/{'0' * 64}")


def test_the_descriptor_is_in_every_zone_and_read_from_one_that_is_up(
    make_zones: Callable[..., ZonedObjectStore], endpoint_url: str
) -> None:
    zoned = make_zones()
    zoned.put("des-store.json", b"descriptor", mode="create")
    assert [_keys(zone.store) for zone in zoned.zones] == [["des-store.json"]] * 2
    assert [meta["path"] for page in zoned.list() for meta in page] == ["des-store.json"]
    half = make_zones("http://127.0.0.1:1", endpoint_url)
    assert half.get("des-store.json").data == asyncio.run(_get(half, "des-store.json")) == b"descriptor"
    assert half.head("des-store.json")["size"] == 10
    for key in ("20251125/00.manifest", "no-such-key"):
        with pytest.raises(UnavailableError):
            half.get(key)


def test_a_store_of_archives_works_over_zones(make_zones: Callable[..., ZonedObjectStore]) -> None:
    zoned = make_zones()
    options = StoreOptions(writing=ArchiveOptions(big_file_threshold=1000))
    entries = [NewEntry(f"n-{number}", DAY, os.urandom(2000 if number < 4 else 10)) for number in range(24)]
    with DesStore.init(zoned, n_bits=8, options=options) as store:
        store.put_many(entries)
    with DesStore.open(zoned) as store:
        for entry in entries:
            assert store.get(entry.uid, DAY) == entry.data
        where = locate_shard("n-5", DAY, 8)
        with store.writer("20251125", where.shard_hex) as writer:
            writer.add_file("n-5", b"newer")
        assert store.get("n-5", DAY) == b"newer"
        (key,) = [key for zone in zoned.zones for key in _keys(zone.store) if writer.archive_id in key]
        reader = DesReader(S3RangeSource(zoned, key))
        assert reader.get_file("n-5") == b"newer"
    assert all(len(_keys(zone.store)) > 4 for zone in zoned.zones)
    with pytest.raises(ConfigurationError):
        zoned.target("des-store.json")


def test_every_zone_is_probed(make_zones: Callable[..., ZonedObjectStore], endpoint_url: str, proxy: Proxy) -> None:
    make_zones().check_conditional_writes()

    def ignore(request: Any) -> None:
        request.headers.pop("if-none-match", None)

    proxy.rewrite = ignore
    with pytest.raises(UnsupportedOperationError):
        make_zones(endpoint_url, proxy.url).check_conditional_writes()


# -- the file -------------------------------------------------------------------------------

DOCUMENT: dict[str, Any] = {
    "n_bits": 8,
    "zones": [
        {"name": "a", "range": {"start": 0, "end": 127}, "s3": {"bucket": "zone-a", "prefix": "des-a/"}},
        {
            "name": "b",
            "range": {"start": 128, "end": 255},
            "s3": {"bucket": "zone-b", "region_name": "us-east-1", "endpoint_url": None, "prefix": "des-b/"},
        },
    ],
}


def _write(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["zones.json", "zones.yaml"])  # JSON is YAML
def test_zones_are_loaded(tmp_path: Path, buckets: list[str], endpoint_url: str, name: str) -> None:
    zoned = load_zones(_write(tmp_path / name, DOCUMENT), endpoint_url=endpoint_url)
    zoned.put("20251125/80.manifest", b"content")
    assert zoned.get("20251125/80.manifest").data == b"content"
    assert (zoned.n_bits, zoned.gaps, repr(zoned)) == (8, [], "ZonedObjectStore(a, b)")
    assert zoned.zones[1].store.prefix == "des-b/"
    zoned.close()
    assert open_zones(f"zones://{tmp_path / name}").zones[0].name == "a"


def _changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    change(document)
    return document


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["zones"][1]["range"].update(start=127), "overlaps"),
        (lambda d: d["zones"][1]["range"].update(end=256), "there are 0 to 255"),
        (lambda d: d["zones"][1]["range"].update(start=255, end=254), "zone b has shards 255 to 254"),
        (lambda d: d["zones"][1]["range"].update(start="0"), "whole number"),
        (lambda d: d["zones"][1].update(name="a"), "equal names"),
        (lambda d: d["zones"][1].pop("s3"), "lacks s3"),
        (lambda d: d["zones"][0]["s3"].update(bukket="x"), "bukket"),
        (lambda d: d["zones"].clear(), "at least one"),
        (lambda d: d.update(zones={}), "expected a list"),
        (lambda d: d.update(n_bits=17), "0 to 16 bits"),
        (lambda d: d.update(n_bit=8), "n_bit"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_zones(_write(tmp_path / "zones.json", _changed(change)))


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_zones(tmp_path / "none.json")
    for name, text in (("a.json", "{"), ("a.yaml", "a: [")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError):
            load_zones(tmp_path / name)
    for url in ("zones://host/file", "zones:///file?x=y"):
        with pytest.raises(ConfigurationError):
            open_zones(url)


def test_gaps_are_reported_and_have_no_shards(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    document = _changed(
        lambda d: [d["zones"][0]["range"].update(start=2, end=99), d["zones"][1]["range"].update(end=200)]
    )
    with caplog.at_level(logging.WARNING):
        zoned = load_zones(_write(tmp_path / "zones.json", document))
    assert zoned.gaps == [(0, 1), (100, 127), (201, 255)]
    assert "zones_have_gaps" in caplog.messages
    with pytest.raises(ConfigurationError, match="shard 64 is in no zone; zones are a 2-99, b 128-200"):
        zoned.get("20251125/64.manifest")


def test_an_archive_of_a_zone_can_be_read_by_itself(
    make_zones: Callable[..., ZonedObjectStore], endpoint_url: str, session: boto3.Session
) -> None:
    zoned = make_zones()
    with DesStore.init(zoned, n_bits=8) as store:
        store.put("uid", DAY, b"content")
    (key,) = [(zone, key) for zone in zoned.zones for key in _keys(zone.store) if key.endswith(".des")]
    zone, path = key
    with S3DesReader(zone.name, f"{zone.store.prefix}{path}", endpoint_url=endpoint_url, session=session) as reader:
        assert reader.get_file("uid") == b"content"
