"""Every operation over a network that fails ends right, or with an error that says it may pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from des_format.errors import ObjectExistsError, UnavailableError
from des_s3 import S3ObjectStore

from .proxy import Proxy

CONTENT = bytes(range(256)) * 400


@pytest.fixture(params=["obstore", "boto"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest, make_store: Callable[..., S3ObjectStore], proxy: Proxy) -> Iterator[Any]:
    """Call a method of a store behind the proxy, either way; `(name, *arguments, engine=...)`."""
    with asyncio.Runner() as runner:
        stores: dict[str, S3ObjectStore] = {}

        def call(name: str, *arguments: Any, engine: str = "obstore", **options: Any) -> Any:
            store = stores.get(engine) or stores.setdefault(engine, make_store(engine=engine, endpoint_url=proxy.url))
            if request.param == "sync":
                result = getattr(store, name)(*arguments, **options)
                return [*result] if name == "list" else result
            if name == "list":
                return runner.run(_collect(store, *arguments, **options))
            return runner.run(getattr(store, f"{name}_async")(*arguments, **options))

        yield call
        for store in stores.values():
            runner.run(store.aclose())


async def _collect(store: S3ObjectStore, *arguments: Any, **options: Any) -> list[Any]:
    return [page async for page in store.list_async(*arguments, **options)]


FAULTS: list[tuple[Any, dict[str, Any]]] = [
    ("reset", {}),
    ("lose_reply", {}),
    ("cut_body", {"after_bytes": 0}),
    ("cut_body", {"after_bytes": 5000}),
    ("status", {"status": 500, "code": "InternalError"}),
    ("status", {"status": 503}),
]


@pytest.mark.parametrize(("kind", "options"), FAULTS)
def test_a_read_that_fails_twice_is_read(
    run: Any, make_store: Callable[..., S3ObjectStore], proxy: Proxy, engine: str, kind: Any, options: dict[str, Any]
) -> None:
    tag = make_store().put("a", CONTENT)["e_tag"]
    for read in ({}, {"range": (100, 60_000), "if_match": tag}, {"range": {"suffix": 50_000}}):
        fault = proxy.fail(kind, "GET", times=2, **options)
        result = run("get", "a", options=read, engine=engine)
        assert fault.hits == 2
        assert result.data == CONTENT[slice(*result.range)]
        assert (result.meta["size"], result.meta["e_tag"]) == (len(CONTENT), tag)


@pytest.mark.parametrize(("kind", "options"), FAULTS)
def test_a_read_that_goes_on_failing_is_unavailable(
    run: Any, make_store: Callable[..., S3ObjectStore], proxy: Proxy, engine: str, kind: Any, options: dict[str, Any]
) -> None:
    make_store().put("a", CONTENT)
    fault = proxy.fail(kind, "GET", times=100, **options)
    with pytest.raises(UnavailableError) as caught:
        run("get", "a", engine=engine)
    assert caught.value.retryable
    assert caught.value.__cause__ is not None
    assert 2 <= fault.hits <= 8


@pytest.mark.parametrize(("kind", "options"), [FAULTS[0], FAULTS[1], FAULTS[5]])
def test_heads_lists_deletes_and_overwrites_are_repeated(
    run: Any, make_store: Callable[..., S3ObjectStore], proxy: Proxy, kind: Any, options: dict[str, Any]
) -> None:
    direct = make_store()
    for name in ("a", "b", "c"):
        direct.put(name, CONTENT)
    for operation in ("PUT", "HEAD", "LIST", "DELETE", "POST"):
        proxy.fail(kind, operation, times=2, **options)
    assert run("put", "a", b"new")["e_tag"] == direct.head("a")["e_tag"]
    assert run("head", "a")["size"] == 3
    assert [meta["path"] for page in run("list") for meta in page] == ["a", "b", "c"]
    run("delete", "a")
    run("delete", ["b", "c"])
    assert [*direct.list()] == []
    assert all(fault.hits == 2 for fault in proxy.faults)


@pytest.mark.parametrize(("kind", "options"), [FAULTS[0], FAULTS[1], FAULTS[4]])
def test_a_conditional_write_is_sent_once(
    run: Any, make_store: Callable[..., S3ObjectStore], proxy: Proxy, kind: Any, options: dict[str, Any]
) -> None:
    proxy.fail(kind, "PUT", **options)
    with proxy.counting() as counts, pytest.raises(UnavailableError):
        run("put", "a", b"mine", mode="create")
    assert counts == {"PUT": 1}
    found = [meta["path"] for page in make_store().list() for meta in page]
    assert found == (["a"] if kind == "lose_reply" else [])
    if found:
        # Only who reads back can tell that this is not a defeat.
        with pytest.raises(ObjectExistsError):
            run("put", "a", b"mine", mode="create")


def test_a_slow_server_is_given_up(make_store: Callable[..., S3ObjectStore], proxy: Proxy, engine: str) -> None:
    store = make_store(endpoint_url=proxy.url, engine=engine, read_timeout_seconds=0.2)
    make_store().put("a", CONTENT)
    proxy.fail("delay", "GET", times=1, seconds=0.6)
    assert store.get("a").data == CONTENT
    proxy.fail("delay", "GET", times=100, seconds=0.6)
    with pytest.raises(UnavailableError):
        store.get("a")


def test_nobody_there_is_unavailable(make_store: Callable[..., S3ObjectStore], engine: str) -> None:
    store = make_store(endpoint_url="http://127.0.0.1:1", engine=engine)
    calls: list[Callable[[], object]] = [
        lambda: store.get("a"),
        lambda: store.head("a"),
        lambda: store.put("a", b"", mode="create"),
        lambda: list(store.list()),
        lambda: store.delete("a"),
    ]
    for call in calls:
        with pytest.raises(UnavailableError):
            call()


def test_what_fails_at_the_source_is_not_the_services_fault(
    make_store: Callable[..., S3ObjectStore], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        make_store().put("a", tmp_path / "missing")
    assert type(caught.value) is FileNotFoundError
