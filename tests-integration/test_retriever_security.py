"""What replicas of the retriever know together, in a Redis: used nonces, and counted requests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from des_format.store import DesStore
from des_retriever_http import Settings, create_app
from des_retriever_http.client.signing import SignedRequests

pytestmark = pytest.mark.valkey

MORNING = datetime(2025, 11, 25, 8, tzinfo=UTC)
AT = {"created_at": "2025-11-25T08:00:00Z"}
KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    line = KEY.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    few = {"id": "few", "hash": f"sha256:{hashlib.sha256(b'few-key').hexdigest()}", "max_requests_per_hour": 3}
    path = tmp_path / "keys.json"
    path.write_text(
        json.dumps(
            {
                "authorized_keys": [{"public_key": line, "permissions": ["read"]}],
                "api_keys": [{**few, "permissions": ["read"]}],
            }
        )
    )
    return path


@pytest.fixture
async def start(tmp_path: Path, documents: Path) -> AsyncIterator[Callable[[str], Any]]:
    """Start a replica that knows a Redis; gives a client of it."""
    folder = tmp_path / "store"
    DesStore.init(folder).put("a", MORNING, b"1")
    async with AsyncExitStack() as stack:

        async def start(redis_url: str) -> httpx.AsyncClient:
            settings = {"base_dir": folder, "authorized_keys_path": documents, "auth_redis_url": redis_url}
            app = create_app(Settings.read({}, **settings))
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            return await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://des"))

        yield start


async def test_what_was_signed_is_accepted_by_one_replica_only(start: Any, valkey_server: str) -> None:
    """B-17: the nonces of each process were its own."""
    first, second = await start(valkey_server), await start(valkey_server)
    auth = SignedRequests(KEY)
    for client, other in ((first, second), (second, first)):
        request = next(auth.auth_flow(client.build_request("GET", "/files/a", params=AT)))
        assert (await client.send(request)).status_code == 200
        assert (await other.send(request)).status_code == 401


async def test_replicas_count_requests_together(start: Any, valkey_server: str) -> None:
    replicas = [await start(valkey_server), await start(valkey_server)]
    headers = {"X-API-Key": "few-key"}
    statuses = [(await replicas[n % 2].get("/files/a", params=AT, headers=headers)).status_code for n in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


async def test_without_their_redis_signatures_are_refused_and_counting_is_left(start: Any) -> None:
    client = await start("redis://127.0.0.1:1/0")
    headers = {"X-API-Key": "few-key"}
    for _ in range(5):
        assert (await client.get("/files/a", params=AT, headers=headers)).status_code == 200
    answer = await client.get("/files/a", params=AT, auth=SignedRequests(KEY))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
