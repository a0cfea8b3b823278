"""Wrappers that fail as planned, and that count."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from des_format.caches import MemoryIndexCache
from des_format.errors import AccessDeniedError, ObjectChangedError, ObjectExistsError, UnavailableError
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.ports.objects import Creates, GetResult, Mappable, ObjectStore
from des_format.testing import (
    Fault,
    FaultyIndexCache,
    FaultyMetadata,
    FaultyObjectStore,
    MemoryMetadata,
    MeteredIndexCache,
    MeteredMetadata,
    MeteredObjectStore,
    Plan,
    delay,
    fail_after,
    fail_before,
    lose_reply,
    truncate,
)
from des_format.testing.contracts import SyncObjectStore

Wrap = Callable[[FaultyObjectStore | MeteredObjectStore], ObjectStore]


@pytest.fixture(params=["sync", "async"])
def wrap(request: pytest.FixtureRequest) -> Wrap:
    """Use a store as it is, or through its asynchronous methods."""
    if request.param == "sync":
        return lambda store: store

    def bridged(store: FaultyObjectStore | MeteredObjectStore) -> ObjectStore:
        bridge = SyncObjectStore(store)
        request.addfinalizer(lambda: bridge.__exit__(None, None, None))
        return bridge

    return bridged


@pytest.fixture
def inner() -> MemoryObjectStore:
    return MemoryObjectStore()


def call_each(store: ObjectStore) -> list[tuple[str, Callable[[], object]]]:
    return [
        ("put", lambda: store.put("a", b"new")),
        ("get", lambda: store.get("a")),
        ("head", lambda: store.head("a")),
        ("list", lambda: list(store.list("x"))),
        ("delete", lambda: store.delete(["a", "b"])),
    ]


@pytest.mark.parametrize("kind", [fail_before, fail_after])
def test_each_operation_can_fail(wrap: Wrap, inner: MemoryObjectStore, kind: Callable[..., Fault]) -> None:
    for operation in ("put", "get", "head", "list", "delete"):
        inner.put("a", b"old")
        plan = Plan(kind(operations=[operation]))
        for name, call in call_each(wrap(FaultyObjectStore(inner, plan))):
            if name == operation:
                with pytest.raises(UnavailableError, match="as planned"):
                    call()
            elif (name, operation) not in (("get", "x"), ("head", "x")):
                call()
        assert plan.calls == {"put": 1, "get": 1, "head": 1, "list": 1, "delete": 1}
        assert plan.call_count == 5


def test_a_failure_is_before_or_after_the_effect(wrap: Wrap, inner: MemoryObjectStore) -> None:
    store = wrap(FaultyObjectStore(inner, Plan(fail_before(1, ["put"]), fail_after(3, ["put"]))))
    outcomes = []
    for number in range(4):
        try:
            store.put(f"{number}", b"")
        except UnavailableError:
            outcomes.append(number)
    assert outcomes == [0, 2]
    assert [meta["path"] for chunk in inner.list() for meta in chunk] == ["1", "2", "3"]


def test_faults_are_chosen_by_key_and_may_repeat(wrap: Wrap, inner: MemoryObjectStore) -> None:
    plan = Plan(fail_before(None, keys="*.des", error=AccessDeniedError))
    store = wrap(FaultyObjectStore(inner, plan))
    for _ in range(2):
        store.put("a.manifest", b"")
        with pytest.raises(AccessDeniedError):
            store.put("a.des", b"")
        with pytest.raises(AccessDeniedError):
            store.delete(["a.manifest", "a.des"])
    plan.clear()
    store.put("a.des", b"")


def test_a_lost_reply_looks_like_a_lost_race(wrap: Wrap, inner: MemoryObjectStore) -> None:
    plan = Plan(lose_reply(nth=None))
    store = wrap(FaultyObjectStore(inner, plan))
    store.put("a", b"first")
    with pytest.raises(ObjectChangedError):
        store.put("a", iter([b"second"]), mode={"e_tag": inner.head("a")["e_tag"]})
    assert inner.get("a").data == b"second"
    with pytest.raises(ObjectExistsError):
        store.put("b", io.BytesIO(b"created"), mode="create")
    assert inner.get("b").data == b"created"


def test_a_delay_lets_others_act_first(wrap: Wrap, inner: MemoryObjectStore) -> None:
    seen: list[tuple[str, str]] = []

    def interfere(operation: str, key: str) -> None:
        seen.append((operation, key))
        inner.put("a", b"theirs")

    version = inner.put("a", b"old")["e_tag"]
    store = wrap(FaultyObjectStore(inner, Plan(delay(interfere, 1, ["put"]))))
    with pytest.raises(ObjectChangedError):
        store.put("a", b"ours", mode={"e_tag": version})
    assert seen == [("put", "a")]


async def test_a_delay_may_be_a_coroutine(inner: MemoryObjectStore) -> None:
    gate = asyncio.Event()

    async def wait(operation: str, key: str) -> None:
        await gate.wait()

    store = FaultyObjectStore(inner, Plan(delay(wait)))
    putting = asyncio.create_task(store.put_async("a", b""))
    await asyncio.sleep(0)
    assert not putting.done()
    gate.set()
    await putting


def test_a_body_can_end_early(wrap: Wrap, inner: MemoryObjectStore) -> None:
    inner.put("a", b"content")
    store = wrap(FaultyObjectStore(inner, Plan(truncate(3, nth=2))))
    results: list[GetResult] = [store.get("a") for _ in range(3)]
    assert [bytes(result.buffer()) for result in results] == [b"content", b"con", b"content"]
    assert results[1].range == (0, 7)
    assert results[1].meta["size"] == 7


def test_requests_and_bytes_are_counted(wrap: Wrap, inner: MemoryObjectStore, tmp_path: Path) -> None:
    (tmp_path / "content").write_bytes(b"12345")
    metered = MeteredObjectStore(inner)
    store = wrap(metered)
    store.put("a", b"123")
    store.put("b", tmp_path / "content")
    store.put("c", iter([b"12", b"34"]))
    with pytest.raises(ObjectExistsError):
        store.put("c", b"123456", mode="create")
    store.get("a")
    store.get("b", options={"range": (1, 3)})
    store.head("a")
    list(store.list("x"))
    store.delete(["a", "b"])
    assert metered.requests == {"put": 4, "get": 2, "head": 1, "list": 1, "delete": 2}
    assert (metered.bytes_written, metered.bytes_read, metered.request_count) == (12, 5, 10)
    assert metered.calls[-4:] == [("head", "a"), ("list", "x"), ("delete", "a"), ("delete", "b")]
    metered.reset()
    assert (metered.request_count, metered.bytes_read, metered.requests) == (0, 0, {})


def test_capabilities_are_passed_through_only_if_asked(tmp_path: Path) -> None:
    inner = LocalObjectStore(tmp_path)
    for plain in (MeteredObjectStore(inner), FaultyObjectStore(inner)):
        assert not isinstance(plain, Mappable | Creates)
    full = MeteredObjectStore(inner, capabilities=True)
    assert isinstance(full, Mappable)
    assert isinstance(full, Creates)
    assert not isinstance(MeteredObjectStore(MemoryObjectStore(), capabilities=True), Mappable | Creates)


async def test_a_cache_can_fail_and_be_counted() -> None:
    inner = MemoryIndexCache()
    metered = MeteredIndexCache(inner)
    cache = FaultyIndexCache(metered, Plan(fail_after(1, ["set_many"]), fail_before(1, ["get_many"], keys="b")))
    with pytest.raises(UnavailableError):
        cache.set_many({"a": b"123"})
    assert cache.get_many(["a"]) == {"a": b"123"}
    with pytest.raises(UnavailableError):
        await cache.get_many_async(["a", "b"])
    assert await cache.get_many_async(["a", "b"]) == {"a": b"123"}
    assert metered.requests == {"set_many": 1, "get_many": 3}
    assert (metered.bytes_written, metered.bytes_read) == (3, 6)


async def test_a_database_can_fail_and_be_counted() -> None:
    metered = MeteredMetadata(MemoryMetadata())
    plan = Plan(fail_after(1, ["leases.acquire"]), fail_before(1, ["claims.done"], keys="item"))
    metadata = FaultyMetadata(metered, plan)
    with pytest.raises(UnavailableError):
        await metadata.leases.acquire("shard", "me", seconds=9)
    assert await metadata.leases.acquire("shard", "me", seconds=9) is None
    await metadata.claims.add("q", ["item"])
    held = await metadata.claims.claim("q", "me", limit=1, seconds=9)
    with pytest.raises(UnavailableError):
        await metadata.claims.done(held)
    await metadata.claims.done(held)
    await metadata.close()
    assert metered.calls == [
        *[("leases.acquire", "shard")] * 2,
        *[("claims.add", "q"), ("claims.claim", "q"), ("claims.done", "item")],
    ]
