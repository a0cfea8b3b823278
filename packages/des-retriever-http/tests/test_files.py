"""`GET` and `HEAD /files/{uid}`."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import zstandard
from des_format.store import DesStore, NewEntry
from fastapi import FastAPI

from .times import MORNING

AT = {"created_at": "2025-11-25T08:00:00Z"}


@pytest.fixture
def scan(store: DesStore) -> bytes:
    """The payload of the entry `scan-7`."""
    payload = Random(7).randbytes(4096)
    store.put("scan-7", MORNING, payload, {"content_type": "image/png"})
    return payload


async def test_a_file_is_served_as_it_was_added(client: httpx.AsyncClient, scan: bytes) -> None:
    answer = await client.get("/files/scan-7", params=AT)
    assert (answer.status_code, answer.content) == (200, scan)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-length"] == str(len(scan))
    assert answer.headers["x-des-size-bytes"] == str(len(scan))


async def test_head_tells_what_get_would(client: httpx.AsyncClient, scan: bytes) -> None:
    got, head = await client.get("/files/scan-7", params=AT), await client.head("/files/scan-7", params=AT)
    assert head.status_code == 200
    assert head.content == b""
    assert {**got.headers, "x-des-exists": "true"} == dict(head.headers)


@pytest.mark.parametrize("uid", ["a/b", "a/meta", "grüße ☃", "x%2Fy", "?", "#", "a b+c", "..a", "a//b/"])
async def test_a_uid_may_have_any_characters(client: httpx.AsyncClient, store: DesStore, uid: str) -> None:
    store.put(uid, MORNING, uid.encode())
    answer = await client.get(f"/files/{quote(uid, safe='')}", params=AT)
    assert (answer.status_code, answer.text) == (200, uid)


@pytest.mark.parametrize(
    ("text", "kind"), [("true", "attachment"), ("1", "attachment"), ("false", "inline"), ("0", "inline")]
)
async def test_a_file_is_offered_for_saving(client: httpx.AsyncClient, scan: bytes, text: str, kind: str) -> None:
    answer = await client.get("/files/scan-7", params={**AT, "download": text})
    assert answer.headers["content-disposition"] == f'{kind}; filename="scan-7"'


@pytest.mark.parametrize("text", ["", "2", "maybe", "0.5"])
async def test_what_is_neither_true_nor_false_is_refused(client: httpx.AsyncClient, scan: bytes, text: str) -> None:
    answer = await client.get("/files/scan-7", params={**AT, "download": text})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


async def test_ranges(client: httpx.AsyncClient, scan: bytes) -> None:
    answer = await client.get("/files/scan-7", params=AT, headers={"Range": "bytes=10-19"})
    assert (answer.status_code, answer.content) == (206, scan[10:20])
    assert answer.headers["content-range"] == f"bytes 10-19/{len(scan)}"
    answer = await client.get("/files/scan-7", params=AT, headers={"Range": "bytes=0-9,-5"})
    assert answer.status_code == 206
    assert len(answer.content) == int(answer.headers["content-length"])
    answer = await client.get("/files/scan-7", params=AT, headers={"Range": "bytes=9999999-"})
    assert answer.status_code == 416


async def test_missing_deleted_and_malformed(client: httpx.AsyncClient, store: DesStore, scan: bytes) -> None:
    assert (await client.get("/files/absent", params=AT)).status_code == 404
    store.delete("scan-7", MORNING, reason="GDPR", by="me")
    gone = await client.get("/files/scan-7", params=AT)
    assert (gone.status_code, gone.json()["detail"]) == (410, "File deleted")
    assert gone.headers["content-type"] == "application/problem+json"
    assert (await client.get("/files/scan-7")).status_code == 422
    assert (await client.get("/files/scan-7", params={"created_at": "2025-11-25T08:00:00"})).status_code == 400


async def test_what_is_stored_with_zstd_is_sent_as_it_is_to_who_accepts_that(
    client: httpx.AsyncClient, store: DesStore
) -> None:
    store.put("log.txt", MORNING, b"words " * 1000)
    plain = await client.get("/files/log.txt", params=AT, headers={"Accept-Encoding": "gzip, zstd;q=0, *"})
    assert "content-encoding" not in plain.headers
    assert plain.content == b"words " * 1000
    async with client.stream("GET", "/files/log.txt", params=AT, headers={"Accept-Encoding": "gzip, zstd"}) as packed:
        body = b"".join([piece async for piece in packed.aiter_raw()])
    assert (packed.status_code, packed.headers["content-encoding"]) == (200, "zstd")
    assert len(body) == int(packed.headers["content-length"]) < 100
    assert zstandard.decompress(body) == b"words " * 1000
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    head = await client.head("/files/log.txt", params=AT, headers={"Accept-Encoding": "gzip, zstd"})
    assert {**packed.headers, "x-des-exists": "true"} == dict(head.headers)
    part = await client.get("/files/log.txt", params=AT, headers={"Accept-Encoding": "zstd", "Range": "bytes=0-4"})
    assert (part.status_code, part.content) == (206, b"words")


async def test_meta(client: httpx.AsyncClient, store: DesStore) -> None:
    store.put_many([NewEntry("a/b", MORNING, b"x", {"k": 1})])
    answer = await client.get("/files/a%2Fb/meta", params=AT)
    assert answer.json()["uid"] == "a/b"
    assert answer.json()["meta"] == {"k": 1}


async def test_openapi(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert set(document["paths"]["/files/{uid}"]) == {"get", "head", "delete"}


async def test_a_deletion_elsewhere_is_seen_at_once_by_who_asks_for_no_cached_answer(
    make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any], store: DesStore, scan: bytes
) -> None:
    client = await connect(make_app(manifest_ttl_seconds=3600))
    assert (await client.get("/files/scan-7", params=AT)).status_code == 200
    store.delete("scan-7", MORNING, reason="GDPR", by="me")
    assert (await client.get("/files/scan-7", params=AT)).status_code == 200
    for method in ("HEAD", "GET"):
        fresh = await client.request(method, "/files/scan-7", params=AT, headers={"Cache-Control": "no-cache"})
        assert fresh.status_code == 410
    assert (await client.get("/files/scan-7", params=AT)).status_code == 410


@pytest.mark.parametrize("other", ["2025-11-25T00:00:00Z", "2025-11-25T23:59:59.999Z", "2025-11-26T03:00:00%2B05:00"])
async def test_no_other_time_of_the_day_reads_a_deleted_file(
    client: httpx.AsyncClient, store: DesStore, scan: bytes, other: str
) -> None:
    store.delete("scan-7", MORNING, reason="GDPR", by="me")
    assert (await client.get(f"/files/scan-7?created_at={other}")).status_code == 410
