"""A DesStore in a bucket: the number of requests, and faults that its read-back sees through."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from des_format.store import AsyncDesStore, DesStore, NewEntry
from des_s3 import S3ObjectStore

from .proxy import Proxy

DAY = datetime(2025, 11, 25, 12, tzinfo=UTC)
Make = Callable[..., S3ObjectStore]


@pytest.fixture(params=["obstore", "boto"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_routed_read_is_three_requests_cold_and_one_warm(make_store: Make, proxy: Proxy, engine: str) -> None:
    with DesStore.init(make_store(), n_bits=0) as store:
        entries = [NewEntry(f"n-{number}", DAY, os.urandom(100)) for number in range(2000)]
        store.put_many(entries)
    for entry in entries[:2]:
        with DesStore.open(make_store(endpoint_url=proxy.url, engine=engine), manifest_ttl_seconds=1000) as store:
            with proxy.counting() as counts:
                assert store.get(entry.uid, DAY) == entry.data
            assert counts == {"GET": 3}
            with proxy.counting() as counts:
                assert store.get(entry.uid, DAY) == entry.data
            assert counts == {"GET": 1}


def test_both_ways_to_use_a_store_agree(make_store: Make, engine: str) -> None:
    async def use() -> None:
        objects = make_store(engine=engine)
        store = await AsyncDesStore.open(objects)
        await store.put("b", DAY, b"second")
        assert await store.get("a", DAY) == b"first"
        await store.delete("a", DAY, reason="test", by="test")
        await objects.aclose()

    with DesStore.init(make_store(engine=engine), n_bits=4) as store:
        store.put("a", DAY, b"first")
        asyncio.run(use())
    with DesStore.open(make_store(engine=engine)) as store:
        assert store.get("b", DAY) == b"second"
        assert not store.exists("a", DAY)
        assert store.days() == ["20251125"]


@pytest.mark.parametrize("kind", ["reset", "lose_reply", "status"])
def test_a_write_that_loses_any_one_request_happens_once(make_store: Make, proxy: Proxy, kind: Any) -> None:
    with DesStore.init(make_store(), n_bits=0):
        pass
    with DesStore.open(make_store(endpoint_url=proxy.url)) as store:
        for number in range(8):
            fault = proxy.fail(kind, "PUT", skip=number % 2)
            receipt = store.put(f"{number}", DAY, b"%d" % number)
            assert fault.hits == 1
            assert receipt.sequence == number + 1
        assert sorted(store.get_many([(f"{number}", DAY) for number in range(8)]).values()) == [
            b"%d" % number for number in range(8)
        ]
        assert len(store.history("20251125", "0")) == 8


def test_a_shard_is_written_without_a_file(make_store: Make, proxy: Proxy, monkeypatch: Any) -> None:
    monkeypatch.setattr("tempfile.NamedTemporaryFile", None)
    payload = os.urandom(3_000_000)
    with DesStore.init(make_store(endpoint_url=proxy.url), n_bits=0) as store:
        with store.writer("20251125", "0") as writer:
            for number in range(4):
                writer.add_file(f"{number}", payload)
        assert [request.operation for request in proxy.requests].count("COMPLETE") == 1
        assert store.get("3", DAY) == payload


@pytest.mark.parametrize("kind", ["reset", "lose_reply"])
def test_a_shard_whose_completion_loses_its_reply_is_committed_once(make_store: Make, proxy: Proxy, kind: Any) -> None:
    payload = os.urandom(3_000_000)
    with DesStore.init(make_store(endpoint_url=proxy.url), n_bits=0) as store:
        proxy.fail(kind, "COMPLETE")
        with store.writer("20251125", "0") as writer:
            for number in range(4):
                writer.add_file(f"{number}", payload)
        assert store.get("3", DAY) == payload
        assert len(store.history("20251125", "0")) == 1
