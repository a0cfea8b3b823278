"""`POST /files/{uid}/locator` and `GET /locators/{token}`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from des_format.errors import ConfigurationError
from des_format.store import ArchiveOptions, DesStore, StoreOptions
from des_retriever_http import Settings
from fastapi import FastAPI

from .times import MORNING

AT = {"created_at": "2025-11-25T08:00:00Z"}
OLD, NEW = "an-old-key-of-the-service", "a-new-key-of-the-service"
PAYLOAD = Random(7).randbytes(3000)


@pytest.fixture
async def linking(
    make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any], store: DesStore
) -> httpx.AsyncClient:
    """A service that makes links to the file `a/b`."""
    store.put("a/b", MORNING, PAYLOAD, {"content_type": "image/png"})
    client: httpx.AsyncClient = await connect(make_app(locator_keys=OLD))
    return client


async def link(client: httpx.AsyncClient, **params: str) -> str:
    answer = await client.post("/files/a%2Fb/locator", params={**AT, **params})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    url: str = answer.json()["url"]
    return f"/{url}"


async def test_a_link_reads_the_file_without_saying_its_name(linking: httpx.AsyncClient) -> None:
    url = await link(linking)
    answer = await linking.get(url)
    assert (answer.status_code, answer.content) == (200, PAYLOAD)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-store"
    part = await linking.get(url, headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, PAYLOAD[5:10])
    unchanged = await linking.get(url, headers={"If-None-Match": answer.headers["etag"]})
    assert unchanged.status_code == 304


async def test_a_link_to_a_large_file_streams_it(
    make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any], folder: Path, store: DesStore
) -> None:
    beside = DesStore.open(folder, options=StoreOptions(writing=ArchiveOptions(big_file_threshold=1000)))
    beside.put("a/b", MORNING, PAYLOAD)
    client = await connect(make_app(locator_keys=OLD, fetch_bytes=2000))
    assert (await client.get(await link(client))).content == PAYLOAD


async def test_a_link_ends(linking: httpx.AsyncClient, store: DesStore) -> None:
    past = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
    token = store.locator("a/b", MORNING, expires_at=past).encode(OLD.encode())
    answer = await linking.get(f"/locators/{token}")
    assert (answer.status_code, answer.json()["code"]) == (410, "locator_expired")
    too_long = await linking.post("/files/a%2Fb/locator", params={**AT, "ttl_seconds": str(8 * 24 * 3600)})
    assert too_long.status_code == 400


async def test_a_deletion_ends_all_links(linking: httpx.AsyncClient, store: DesStore) -> None:
    url = await link(linking)
    store.delete("a/b", MORNING, reason="GDPR", by="me")
    assert (await linking.get(url)).status_code == 410
    assert (await linking.post("/files/a%2Fb/locator", params=AT)).status_code == 410


async def test_a_link_to_what_maintenance_has_moved_says_so(linking: httpx.AsyncClient, store: DesStore) -> None:
    url = await link(linking)
    store.put("a/b", MORNING, b"another version")
    store.compact(full=True)
    answer = await linking.get(url)
    assert (answer.status_code, answer.json()["code"]) == (404, "locator_outdated")


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: t[:20], lambda _t: "x"]
)
async def test_a_forged_link_is_refused(linking: httpx.AsyncClient, change: Callable[[str], str]) -> None:
    token = (await link(linking)).removeprefix("/locators/")
    answer = await linking.get(f"/locators/{change(token)}")
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unsigned_link_is_refused(linking: httpx.AsyncClient, store: DesStore) -> None:
    assert (await linking.get(f"/locators/{store.locator('a/b', MORNING).encode()}")).status_code == 403


async def test_keys_can_be_changed_while_links_are_out(
    linking: httpx.AsyncClient, make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any]
) -> None:
    url = await link(linking)
    changing = await connect(make_app(locator_keys=f"{NEW},{OLD}"))
    assert (await changing.get(url)).status_code == 200
    new_url = await link(changing)
    changed = await connect(make_app(locator_keys=NEW))
    assert (await changed.get(url)).status_code == 403
    assert (await changed.get(new_url)).status_code == 200


async def test_without_keys_there_are_no_links(client: httpx.AsyncClient, store: DesStore) -> None:
    store.put("a/b", MORNING, PAYLOAD)
    answer = await client.post("/files/a%2Fb/locator", params=AT)
    assert (answer.status_code, answer.json()["detail"]) == (503, "Locators not configured")
    assert (await client.get("/locators/x")).status_code == 503


def test_a_key_that_could_be_guessed_stops_the_start_and_is_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="16 characters") as caught:
        Settings.read({"DES_LOCATOR_KEYS": f"{OLD},short"})
    assert OLD not in str(caught.value)
    assert OLD not in repr(Settings.read({"DES_LOCATOR_KEYS": OLD}))
