"""Files that are not archived yet, in the store where they were put first."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from des_format.errors import ConfigurationError
from des_format.store import DesStore
from des_retriever_http import Settings
from fastapi import FastAPI

from .times import MORNING

AT = {"created_at": MORNING.isoformat()}
PAYLOAD = bytes(range(256)) * 8000
KEY = {"X-API-Key": "the-published-key"}


@pytest.fixture
def original(tmp_path: Path) -> Path:
    """A folder by days, with a file."""
    folder = tmp_path / "original"
    (folder / "2025" / "11" / "25").mkdir(parents=True)
    (folder / "2025" / "11" / "25" / "a.bin").write_bytes(PAYLOAD)
    (folder / "2025" / "11" / "25" / "empty.bin").write_bytes(b"")
    return folder


@pytest.fixture
async def start(make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any], original: Path) -> Any:
    async def start(**settings: Any) -> httpx.AsyncClient:
        usual = {"fallback_url": str(original), "fallback_key": "{year}/{month}/{day}/{uid}.bin"}
        client: httpx.AsyncClient = await connect(make_app(**usual | settings))
        return client

    return start


@pytest.mark.parametrize("fetch_bytes", [2**23, 1000])
async def test_what_is_not_archived_is_read_where_it_was_put(start: Any, fetch_bytes: int) -> None:
    client = await start(fetch_bytes=fetch_bytes)
    answer = await client.get("/files/a", params=AT)
    assert (answer.status_code, answer.content) == (200, PAYLOAD)
    etag = answer.headers["etag"]
    part = await client.get("/files/a", params=AT, headers={"Range": "bytes=100-1999", "If-Range": etag})
    assert (part.status_code, part.content) == (206, PAYLOAD[100:2000])
    parts = await client.get("/files/a", params=AT, headers={"Range": "bytes=0-0,-1"})
    assert parts.status_code == 206
    assert (await client.get("/files/a", params=AT, headers={"If-None-Match": etag})).status_code == 304
    head = await client.head("/files/a", params=AT)
    assert (head.headers["content-length"], head.headers["etag"]) == (str(len(PAYLOAD)), etag)
    assert (await client.get("/files/a/meta", params=AT)).json()["size"] == len(PAYLOAD)
    assert (await client.get("/files/empty", params=AT)).content == b""
    batch = await client.post("/batch", json={"files": [{"uid": "a", **AT}]})
    length = struct.unpack_from(">I", batch.content)[0]
    assert json.loads(batch.content[4 : 4 + length])["etag"] == etag
    assert batch.content[4 + length : -4] == PAYLOAD


async def test_what_is_archived_comes_from_the_archive_and_what_was_deleted_from_nowhere(
    start: Any, store: DesStore, original: Path
) -> None:
    client = await start(delete_api_key=KEY["X-API-Key"])
    why = {**AT, "reason": "GDPR", "deleted_by": "me"}
    # What is not archived cannot be deleted here, and nobody is told that it was.
    assert (await client.delete("/files/a", params=why, headers=KEY)).status_code == 404
    store.put("a", MORNING, b"archived")
    assert (await client.get("/files/a", params=AT)).content == b"archived"
    answer = await client.delete("/files/a", params=why, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "original_remains")
    assert store.get("a", MORNING) == b"archived"
    (original / "2025" / "11" / "25" / "a.bin").unlink()
    assert (await client.delete("/files/a", params=why, headers=KEY)).status_code == 200
    assert (await client.delete("/files/a", params=why, headers=KEY)).status_code == 410
    for path in ("/files/a", "/files/a/meta"):
        assert (await client.get(path, params=AT)).status_code == 410


async def test_no_other_time_brings_back_what_was_deleted(start: Any, store: DesStore, original: Path) -> None:
    """With a key without a day every time names the same original, also where it is too old to be looked for."""
    (original / "b").write_bytes(b"original")
    store.put("b", MORNING, b"archived")
    client = await start(delete_api_key=KEY["X-API-Key"], fallback_key="{uid}", fallback_days=1)
    why = {**AT, "reason": "GDPR", "deleted_by": "me"}
    assert (await client.delete("/files/b", params=why, headers=KEY)).status_code == 409
    (original / "b").unlink()
    assert (await client.delete("/files/b", params=why, headers=KEY)).status_code == 200
    for time in (MORNING, datetime.now(UTC)):
        assert (await client.get("/files/b", params={"created_at": time.isoformat()})).status_code in (404, 410)


@pytest.mark.parametrize("uid", ["none", "..%2Fa", ".hidden", "a%00", "%2Fetc%2Fpasswd", "x" * 300, "%7Buid%7D"])
async def test_what_is_nowhere_is_not_found(start: Any, uid: str, original: Path) -> None:
    (original.parent / "a.bin").write_bytes(b"outside")
    for key in ("{year}/{month}/{day}/{uid}.bin", "{uid}", "2025/{uid}.bin"):
        client = await start(fallback_key=key)
        assert (await client.get(f"/files/{uid}", params=AT)).status_code in (400, 404)


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"fallback_after": MORNING}, 404),
        ({"fallback_after": MORNING - timedelta(seconds=1)}, 200),
        ({"fallback_days": 1}, 404),
        ({"fallback_days": (datetime.now(UTC) - MORNING) / timedelta(days=1) + 1}, 200),
    ],
)
async def test_only_files_after_the_cutoff_are_looked_for(start: Any, settings: Any, status: int) -> None:
    assert (await (await start(**settings)).get("/files/a", params=AT)).status_code == status


@pytest.mark.parametrize(
    "settings",
    [
        {"fallback_url": None, "fallback_days": 1},
        {"fallback_days": 1, "fallback_after": MORNING},
        {"fallback_days": 0},
        *({"fallback_key": key} for key in ("", "fixed", "{}", "{uid", "{uid.__class__}", "{0}", "{uid}{hour}")),
    ],
)
def test_settings_that_say_nothing_clear_stop_the_start(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="DES_FALLBACK"):
        Settings.read({}, **{"fallback_url": "/original"} | settings)
