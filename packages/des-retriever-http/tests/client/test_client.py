"""What clients ask of the real service, and the errors that they raise."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any

import httpx
import pytest
from des_format.errors import (
    AccessDeniedError,
    EntryDeletedError,
    EntryNotFoundError,
    InvalidInputError,
    InvalidLocatorError,
    UnavailableError,
    UnsupportedOperationError,
)
from des_format.store import DesStore, NewEntry
from des_retriever_http.client import AsyncRetrieverClient, HttpProblem, UnexpectedAnswerError
from fastapi import FastAPI

from ..times import MORNING
from .conftest import KEY
from .either import QUICK, Either

PAYLOAD = Random(7).randbytes(300_000)


def test_the_client_loads_nothing_of_the_service() -> None:
    code = "import sys, json, des_retriever_http.client; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert "des_retriever_http.client.sync" in loaded
    assert not {"fastapi", "uvicorn", "starlette", "prometheus_client", "pydantic", "des_retriever_http.app"} & {
        *loaded
    }


@pytest.mark.parametrize(
    "uid", ["scan-7", "a/b", "a/meta", "grüße ☃", "x%2Fy", "?", "#", "a b+c", "..a", "a//b/", "a/../b"]
)
async def test_a_uid_may_have_any_characters(either: Either, store: DesStore, uid: str) -> None:
    store.put(uid, MORNING, uid.encode())
    assert await either("get", uid, MORNING) == uid.encode()
    assert await either("exists", uid, MORNING)
    assert (await either("meta", uid, MORNING)).uid == uid
    assert b"".join((await either.stream(uid, MORNING))[1]) == uid.encode()


@pytest.mark.parametrize(
    "created_at",
    [
        "2025-11-25T08:00:00Z",
        "2025-11-25T23:59:59.999999+00:00",
        "2025-11-26T01:00:00+09:00",
        datetime(2025, 11, 25, 1, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
async def test_times_may_have_any_offset_but_none(either: Either, store: DesStore, created_at: Any) -> None:
    store.put(7, MORNING, b"seven")
    assert await either("get", 7, created_at) == b"seven"


@pytest.mark.parametrize("created_at", [MORNING.replace(tzinfo=None), "2025-11-25T08:00:00", "2025-11-25", "now"])
async def test_a_time_whose_day_would_be_a_guess_is_refused_before_anything_is_sent(
    connected: Callable[..., Either], created_at: Any
) -> None:
    nowhere = connected("http://127.0.0.1:1")
    for name in ("get", "exists", "meta", "history"):
        with pytest.raises(InvalidInputError):
            await nowhere(name, "a", created_at)
    with pytest.raises(InvalidInputError):
        await nowhere.stream("a", created_at)
    with pytest.raises(InvalidInputError):
        await nowhere.all("batch", [("a", created_at)])


@pytest.mark.parametrize("uid", ["", "a\0b", "\ud800", -1])
async def test_what_is_no_uid_is_refused_before_anything_is_sent(connected: Callable[..., Either], uid: Any) -> None:
    with pytest.raises(InvalidInputError):
        await connected("http://127.0.0.1:1")("get", uid, MORNING)


@pytest.mark.parametrize("uid", [".", ".."])
async def test_uids_that_paths_lose_are_not_asked_for_by_a_path(connected: Callable[..., Either], uid: str) -> None:
    nowhere = connected("http://127.0.0.1:1")
    for name in ("exists", "meta", "history", "locator"):
        with pytest.raises(InvalidInputError, match="cannot be part of a path"):
            await nowhere(name, uid, MORNING)


async def test_missing_and_deleted_files_are_the_errors_of_the_library(
    connected: Callable[..., Either], url: str, store: DesStore
) -> None:
    either, deleter = connected(url), connected(url, api_key=KEY)
    store.put("a", MORNING, b"1")
    sequence = await deleter("delete", "a", MORNING, reason="GDPR", by="dpo@example.org", ticket="T-1")
    (deletion,) = await either("history", "a", MORNING)
    assert (deletion.sequence, deletion.reason, deletion.ticket) == (sequence, "GDPR", "T-1")
    assert datetime.now(UTC) - deletion.at < timedelta(minutes=5)
    for call in ("get", "meta"):
        with pytest.raises(EntryDeletedError, match="File deleted"):
            await either(call, "a", MORNING)
        with pytest.raises(EntryNotFoundError, match="'b' of 2025-11-25T08:00:00Z: File not found"):
            await either(call, "b", MORNING)
    with pytest.raises(EntryNotFoundError):
        await either("get_range", "b", MORNING, 3, 3)
    with pytest.raises(EntryNotFoundError):
        await either.stream("b", MORNING)
    with pytest.raises(EntryDeletedError):
        await deleter("delete", "a", MORNING, reason="GDPR", by="dpo@example.org", ticket="T-1")
    assert not await either("exists", "a", MORNING)
    assert not await either("exists", "b", MORNING)
    assert await either("history", "b", MORNING) == ()


async def test_refusals_of_the_service(connected: Callable[..., Either], url: str, store: DesStore) -> None:
    store.put("a", MORNING, b"1")
    for arguments in ({}, {"api_key": "not-the-published-key"}):
        with pytest.raises(AccessDeniedError) as caught:
            await connected(url, **arguments)("delete", "a", MORNING, reason="GDPR", by="me")
        assert isinstance(caught.value.__cause__, HttpProblem)
        assert caught.value.__cause__.status in (401, 403)
        assert "not-the-published-key" not in str(caught.value)
    with pytest.raises(InvalidInputError):
        await connected(url, api_key=KEY)("delete", "a", MORNING, reason="boredom", by="me")
    with pytest.raises(InvalidInputError):
        await connected(url)("get", "a" * 70_000, MORNING)


async def test_what_is_not_set_up_is_not_asked_for_again(
    connected: Callable[..., Either], make_app: Callable[..., FastAPI], live_server: Any, store: DesStore
) -> None:
    store.put("a", MORNING, b"1")
    with live_server(make_app()) as url, pytest.raises(UnsupportedOperationError, match="not configured"):
        await connected(url)("locator", "a", MORNING)


async def test_ranges_are_half_open_and_end_where_the_file_does(either: Either, store: DesStore) -> None:
    store.put("a", MORNING, PAYLOAD)
    store.put("empty", MORNING, b"")
    for start, end in ((0, 1), (10, 20), (0, 10**12), (299_999, 300_001), (300_000, 300_001), (5, 5), (10**9, 10**10)):
        assert await either("get_range", "a", MORNING, start, end) == PAYLOAD[start:end]
    assert await either("get_range", "empty", MORNING, 0, 10) == b""
    for start, end in ((-1, 5), (6, 5)):
        with pytest.raises(InvalidInputError):
            await either("get_range", "a", MORNING, start, end)


async def test_files_of_all_kinds_come_as_they_were_added(either: Either, store: DesStore) -> None:
    store.put("empty", MORNING, b"", {"content_type": "text/plain"})
    store.put("words", MORNING, b"words " * 100_000)
    store.put("few words", MORNING, b"words " * 1000)
    store.put("noise", MORNING, PAYLOAD)
    files = {"empty": b"", "words": b"words " * 100_000, "few words": b"words " * 1000, "noise": PAYLOAD}
    for uid, payload in files.items():
        assert await either("get", uid, MORNING) == payload
        head, pieces = await either.stream(uid, MORNING)
        assert (head.size, b"".join(pieces)) == (len(payload), payload)
    head, _ = await either.stream("empty", MORNING)
    assert (head.content_type, head.etag[:1]) == ("text/plain", '"')


async def test_metadata(either: Either, store: DesStore) -> None:
    store.put("a", MORNING, b"words " * 1000, {"content_type": "text/plain", "pages": 3})
    meta = await either("meta", "a", MORNING)
    assert (meta.day, meta.size, meta.codec, meta.content_type) == ("20251125", 6000, "zstd", "text/plain")
    assert (meta.meta["pages"], meta.external, meta.sha256) == (3, False, None)
    assert meta.last_modified.tzinfo is not None


async def test_links(either: Either, store: DesStore, url: str) -> None:
    store.put("a/b", MORNING, PAYLOAD)
    link = await either("locator", "a/b", MORNING, ttl_seconds=60)
    assert link.token not in repr(link)
    assert timedelta(0) < link.expires_at - datetime.now(UTC) <= timedelta(seconds=60)
    assert await either("get_located", link.token) == PAYLOAD
    async with httpx.AsyncClient() as anybody:
        assert (await anybody.get(link.url)).content == PAYLOAD
    with pytest.raises(InvalidLocatorError) as caught:
        await either("get_located", link.token[:-4])
    assert link.token[:-4] not in str(caught.value)
    for token in ("", ".", "..", "ü"):
        with pytest.raises(InvalidInputError):
            await either("get_located", token)


async def test_listings_come_page_by_page(either: Either, store: DesStore) -> None:
    names = [f"n/{number:04}" for number in range(2500)]
    store.put_many([NewEntry(name, MORNING, b"x") for name in names])
    store.put("other", MORNING, b"yy")
    files = await either.all("list", "20251125")
    assert sorted(file.uid for file in files) == [*names, "other"]
    assert {file.size for file in files if file.uid == "other"} == {2}
    assert len(await either.all("list", date(2025, 11, 25), None, "n/")) == 2500
    shard = files[0].shard
    expected = [file for file in files if file.shard == shard]
    assert await either.all("list", "20251125", shard) == expected
    assert await either.all("list", "20251125", int(shard, 16)) == expected
    assert await either.all("list", "20240101") == []
    assert await either("days") == ("20251125",)
    with pytest.raises(InvalidInputError):
        await either.all("list", "yesterday")


async def test_a_wrong_address_is_not_a_missing_file(connected: Callable[..., Either], url: str) -> None:
    wrong = connected(f"{url}/prefix")
    for call in ("get", "exists", "meta"):
        with pytest.raises(UnexpectedAnswerError, match="is this the URL of a retriever"):
            await wrong(call, "a", MORNING)


async def test_nobody_there_is_unavailable_and_may_be_tried_again(connected: Callable[..., Either]) -> None:
    with pytest.raises(UnavailableError) as caught:
        await connected("http://127.0.0.1:1/")("get", "a", MORNING)
    assert caught.value.retryable


async def test_a_client_of_httpx_may_be_ones_own(make_app: Callable[..., FastAPI], store: DesStore) -> None:
    store.put("a", MORNING, PAYLOAD)
    app = make_app()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http,
        AsyncRetrieverClient("http://des", http_client=http, retries=QUICK) as client,
    ):
        assert await client.get("a", MORNING) == PAYLOAD
        assert [file.uid async for file in client.list("20251125")] == ["a"]
        await client.aclose()
        assert await client.exists("a", MORNING)
