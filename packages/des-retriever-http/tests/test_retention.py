"""`PUT /files/{uid}/retention-policy`: files that are kept, whatever becomes of their archives."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from des_format.errors import ConfigurationError, EntryDeletedError
from des_format.objects import LocalObjectStore
from des_format.store import ArchiveOptions, DesStore, NewEntry, StoreOptions
from des_retriever_http import Settings, create_app
from des_retriever_http.storage.opening import open_backend
from des_retriever_http.storage.retention import Retention
from fastapi import FastAPI

from .security.keys import api_key_item
from .times import MORNING

AT = {"created_at": "2025-11-25T08:00:00Z"}
KEEPER, DELETER = {"X-API-Key": "keeper"}, {"X-API-Key": "deleter"}
WHY = {**AT, "reason": "GDPR", "deleted_by": "dpo@example.org"}
PAYLOADS = {"a": b"1" * 3000, "b/c": b"", "big": bytes(range(256)) * 8000}
SOON = datetime(2999, 1, 1, tzinfo=UTC)
Start = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
def filled(folder: Path) -> DesStore:
    store = DesStore.init(folder, n_bits=0, options=StoreOptions(writing=ArchiveOptions(big_file_threshold=100_000)))
    meta = {"content_type": "text/x-test"}
    store.put_many([NewEntry(uid, MORNING, data, meta) for uid, data in PAYLOADS.items()])
    return store


@pytest.fixture
async def start(filled: DesStore, folder: Path, tmp_path: Path, connect: Callable[[FastAPI], Any]) -> Start:
    (tmp_path / "kept").mkdir()
    document = tmp_path / "keys.json"
    items = [
        api_key_item("keeper", "keeper", ["read", "extend_retention"]),
        api_key_item("deleter", "deleter", ["read", "write"]),
    ]
    document.write_text(json.dumps({"api_keys": items}))

    async def start(**settings: Any) -> httpx.AsyncClient:
        usual = {"base_dir": folder, "manifest_ttl_seconds": 0.0, "authorized_keys_path": document}
        place = {"ext_retention_url": str(tmp_path / "kept")}
        client: httpx.AsyncClient = await connect(create_app(Settings.read({}, **usual | place | settings)))
        return client

    return start


async def keep(client: httpx.AsyncClient, uid: str, until: Any = SOON, **more: Any) -> httpx.Response:
    due_date = until.isoformat() if isinstance(until, datetime) else until
    body = {**AT, "due_date": due_date} | more
    return await client.put(f"/files/{uid.replace('/', '%2F')}/retention-policy", json=body, headers=KEEPER)


async def test_a_file_is_kept_and_its_time_is_moved_on_and_not_back(start: Start, tmp_path: Path) -> None:
    client = await start()
    answer = await keep(client, "a")
    assert answer.status_code == 200
    made = answer.json()
    assert made == {
        "uid": "a", "key": made["key"], "location": "extended_retention", "retention_until": SOON.isoformat(),
        "action": "moved", "locked": False,
    }  # fmt: skip
    assert (tmp_path / "kept" / made["key"]).read_bytes() == PAYLOADS["a"]
    later = (await keep(client, "a", SOON + timedelta(days=1), created_at="2025-11-25T23:00:00+01:00")).json()
    assert later == {**made, "action": "updated", "retention_until": (SOON + timedelta(days=1)).isoformat()}
    answer = await keep(client, "a")
    assert (answer.status_code, answer.json()["code"]) == (409, "retained")
    assert len(list((tmp_path / "kept").rglob("*.dat"))) == 1
    part = (await keep(client, "big", "2999-01-01T00:00:00.000001Z")).json()
    assert part["retention_until"] == "2999-01-01T00:00:01+00:00"
    again = await keep(client, "a", SOON + timedelta(days=1))
    assert (again.status_code, again.json()["action"]) == (200, "updated")


async def test_what_is_kept_is_not_deleted_and_nothing_else_is_held(start: Start, filled: DesStore) -> None:
    client = await start()
    await keep(client, "a")
    answer = await client.delete("/files/a", params=WHY, headers=DELETER)
    assert (answer.status_code, answer.json()["code"]) == (409, "retained")
    assert SOON.isoformat() in answer.json()["detail"]
    assert filled.get("a", MORNING) == PAYLOADS["a"]
    assert (await client.delete("/files/b%2Fc", params=WHY, headers=DELETER)).status_code == 200


@pytest.mark.parametrize("fetch_bytes", [2**23, 1000])
@pytest.mark.parametrize("uid", PAYLOADS)
async def test_what_is_kept_is_read_when_its_archive_is_gone(
    start: Start, folder: Path, uid: str, fetch_bytes: int
) -> None:
    await keep(await start(), uid)
    shutil.rmtree(folder / "20251125")
    client = await start(fetch_bytes=fetch_bytes)
    path = f"/files/{uid.replace('/', '%2F')}"
    answer = await client.get(path, params=AT, headers=KEEPER)
    assert (answer.status_code, answer.content) == (200, PAYLOADS[uid])
    assert answer.headers["content-type"] == "text/x-test"
    assert (await client.get(f"{path}/meta", params=AT, headers=KEEPER)).json()["size"] == len(PAYLOADS[uid])
    if PAYLOADS[uid]:
        part = await client.get(path, params=AT, headers={**KEEPER, "Range": "bytes=1-9"})
        assert (part.status_code, part.content) == (206, PAYLOADS[uid][1:10])
    other = await client.get(path, params={"created_at": "2025-11-26T08:00:00Z"}, headers=KEEPER)
    assert other.status_code == 404


async def test_when_its_time_is_over_a_deletion_takes_the_copy_too(start: Start, tmp_path: Path, folder: Path) -> None:
    client = await start()
    await keep(client, "a")
    await keep(client, "a", SOON + timedelta(days=1))
    for record in (tmp_path / "kept").rglob("*.json"):
        members = json.loads(record.read_text())
        record.write_text(json.dumps({**members, "retain_until": "2026-01-01T00:00:00+00:00"}))
    assert (await client.delete("/files/a", params=WHY, headers=DELETER)).status_code == 200
    assert [path for path in (tmp_path / "kept").rglob("*") if path.is_file()] == []
    assert (await client.get("/files/a", params=AT, headers=KEEPER)).status_code == 410


async def test_what_was_deleted_elsewhere_is_not_shown_from_its_copy(start: Start, filled: DesStore) -> None:
    client = await start()
    await keep(client, "a")
    filled.delete("a", MORNING, reason="asked to", by="the library")
    assert (await client.get("/files/a", params=AT, headers=KEEPER)).status_code == 410
    assert (await keep(client, "big")).status_code == 200
    assert (await keep(client, "b/c")).status_code == 200


async def test_what_was_deleted_elsewhere_is_not_kept_for_longer(
    start: Start, filled: DesStore, tmp_path: Path
) -> None:
    client = await start()
    await keep(client, "a")
    filled.delete("a", MORNING, reason="asked to", by="the library")
    answer = await keep(client, "a", SOON + timedelta(days=1))
    assert (answer.status_code, answer.json()["code"]) == (410, "entry_deleted")
    (record,) = (tmp_path / "kept").rglob("*.json")
    assert SOON.isoformat() in record.read_text()


async def test_what_is_deleted_while_it_is_copied_is_not_kept(filled: DesStore, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()

    class Meanwhile(LocalObjectStore):
        async def put_async(self, path: str, *arguments: Any, **named: Any) -> Any:
            if path.endswith(".dat"):
                await asyncio.to_thread(filled.delete, "a", MORNING, reason="asked to", by="somebody else")
            return await super().put_async(path, *arguments, **named)

    retention = Retention(Meanwhile(tmp_path / "kept"), "copies")
    async with open_backend(Settings.read({}, base_dir=folder)) as backend:
        with pytest.raises(EntryDeletedError):
            await retention.extend(backend, "a", MORNING, SOON, by="keeper")
    assert not any(path.is_file() for path in (tmp_path / "kept").rglob("*"))


async def test_an_extension_that_broke_off_is_done_by_asking_again(start: Start, tmp_path: Path) -> None:
    client = await start()
    await keep(client, "a")
    (record,) = (tmp_path / "kept").rglob("*.json")
    record.unlink()
    answer = await keep(client, "a")
    assert (answer.status_code, answer.json()["action"]) == (200, "moved")
    assert len(list((tmp_path / "kept").rglob("*.dat"))) == 1


async def test_a_damaged_copy_or_record_is_told(start: Start, tmp_path: Path, folder: Path) -> None:
    client = await start()
    key = (await keep(client, "a")).json()["key"]
    await keep(client, "big")
    shutil.rmtree(folder / "20251125")
    client = await start()
    (tmp_path / "kept" / key).write_bytes(b"2" * 3000)
    assert (await client.get("/files/a", params=AT, headers=KEEPER)).status_code == 502
    for record in (tmp_path / "kept").rglob("*.json"):
        record.write_text("{}")
    assert (await client.get("/files/big", params=AT, headers=KEEPER)).status_code == 502
    assert (await keep(client, "big")).status_code == 502


@pytest.mark.parametrize(
    ("uid", "changes", "status"),
    [
        ("none", {}, 404),
        ("a", {"due_date": "2020-01-01T00:00:00Z"}, 400),
        ("a", {"due_date": "2999-01-01T00:00:00"}, 422),
        ("a", {"due_date": "soon"}, 422),
        ("a", {"due_date": 32503680000}, 422),
        ("a", {"due_date": "32503680000"}, 422),
        ("a", {"created_at": "2025-11-25T08:00:00"}, 400),
        ("a", {"created_at": "2025-11-26T08:00:00Z"}, 404),
        ("a", {"by": "somebody else"}, 422),
    ],
)
async def test_what_cannot_be_kept_is_refused_and_copies_nothing(
    start: Start, tmp_path: Path, uid: str, changes: dict[str, str], status: int
) -> None:
    answer = await keep(await start(), uid, **changes)
    assert answer.status_code == status
    assert not any(path.is_file() for path in (tmp_path / "kept").rglob("*"))


async def test_it_takes_a_place_and_a_permission(start: Start) -> None:
    answer = await keep(await start(ext_retention_url=None), "a")
    assert (answer.status_code, answer.json()["detail"]) == (503, "Extended retention not configured")
    body = {**AT, "due_date": SOON.isoformat()}
    client = await start()
    for headers, status in ((DELETER, 403), ({}, 401)):
        answer = await client.put("/files/a/retention-policy", json=body, headers=headers)
        assert answer.status_code == status
    client = await start(authorized_keys_path=None)
    assert (await client.put("/files/a/retention-policy", json=body)).status_code == 503


def test_two_places_are_a_contradiction() -> None:
    with pytest.raises(ConfigurationError, match="DES_EXT_RETENTION"):
        Settings.read({}, ext_retention_url="x", ext_retention_bucket="y")
