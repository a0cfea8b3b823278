"""What those do who are not, or no longer, let in by their signature, and what a reload makes of signatures."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from des_format.errors import ConfigurationError
from des_retriever_http.client.signing import SignedRequests
from des_retriever_http.security import signatures
from des_retriever_http.security.credentials import parse_credentials
from fastapi import FastAPI

from .keys import public_key_item, until

AT = {"created_at": "2025-11-25T08:00:00Z"}
KEY = Ed25519PrivateKey.generate()
Start = Callable[..., Awaitable[httpx.AsyncClient]]


def document(**more: Any) -> str:
    return json.dumps({"authorized_keys": [public_key_item(KEY, ["read"], **more)]})


def signed(client: httpx.AsyncClient, method: str = "GET", path: str = "/files/a%2F1", **options: Any) -> httpx.Request:
    return next(SignedRequests(KEY).auth_flow(client.build_request(method, path, **{"params": AT} | options)))


async def test_a_captured_request_is_no_good_after_the_comment_of_its_key_was_changed(
    guarded: Start, key_file: Path
) -> None:
    key_file.write_text(document(comment="before"))
    client = await guarded(credentials_reload_seconds=0.02, require_authentication=True)
    captured = signed(client)
    assert (await client.send(captured)).status_code == 200
    key_file.write_text(document(comment="after", allowed_prefixes=["a/"]))

    async def is_reloaded() -> bool:
        return (await client.send(signed(client, path="/files/b%2F1"))).status_code == 403

    await until(is_reloaded)
    assert (await client.send(captured)).status_code == 401


def test_a_public_key_is_there_once_whatever_its_comment() -> None:
    items = [public_key_item(KEY, ["read"], comment=one, allowed_prefixes=[one]) for one in ("a", "b")]
    with pytest.raises(ConfigurationError, match="twice"):
        parse_credentials({"authorized_keys": items}, where="here")


async def test_who_has_ended_uses_no_nonces_up(guarded: Start, key_file: Path) -> None:
    key_file.write_text(document(expires_at="2020-01-01T00:00:00Z"))
    client = await guarded(credentials_reload_seconds=0.02)
    request = signed(client)
    for _ in range(2):
        answer = await client.send(request)
        assert (answer.status_code, "have expired" in answer.json()["detail"]) == (401, True)


async def test_a_body_that_comes_when_the_time_is_over_is_refused(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its nonce would be forgotten by then."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://des") as client:

        async def slow() -> AsyncIterator[bytes]:
            later = datetime.now(UTC) + timedelta(minutes=20)
            monkeypatch.setattr(signatures, "datetime", type("Later", (datetime,), {"now": lambda _zone: later}))
            yield b'{"files": []}'

        request = signed(client, "POST", "/batch", params={}, content=b'{"files": []}')
        answer = await client.post("/batch", content=slow(), headers=request.headers)
    assert (answer.status_code, "more than 300 s" in answer.json()["detail"]) == (401, True)


@pytest.fixture
async def app(make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any], key_file: Path) -> FastAPI:
    key_file.write_text(document())
    made = make_app(authorized_keys_path=key_file)
    await connect(made)
    return made


@pytest.mark.parametrize("name", ["X-DES-Nonce", "X-DES-Timestamp", "X-DES-Public-Key", "X-DES-Signature", ""])
async def test_of_a_request_that_nobody_known_has_signed_no_body_is_read(app: FastAPI, name: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://des") as client:
        request = client.build_request("POST", "/batch", json={"files": []})
        headers = dict(next(SignedRequests(Ed25519PrivateKey.generate()).auth_flow(request)).headers)
    chosen = {name: "1"} if name else headers
    scope = {
        "type": "http", "method": "POST", "path": "/batch", "raw_path": b"/batch", "query_string": b"",
        "headers": [(key.lower().encode(), value.encode()) for key, value in chosen.items()],
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError("the body is asked for")

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert sent[0]["status"] == 401
