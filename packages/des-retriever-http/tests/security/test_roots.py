"""Below the prefix of a proxy: servers differ in whether the path of a request still has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from des_format.store import DesStore
from fastapi import FastAPI

from ..times import MORNING
from .test_api_keys import WHY, by

Connect = Callable[[FastAPI], Awaitable[Any]]


@pytest.fixture
async def app(make_app: Callable[..., FastAPI], connect: Connect, filled: DesStore, key_file: Path) -> FastAPI:
    filled.put("plain", MORNING, b"plain")
    made = make_app(authorized_keys_path=key_file, locator_keys="k" * 16)
    await connect(made)
    return made


@pytest.mark.parametrize("sent", ["", "/des"])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/files/a%2F1", 200),
        ("GET", "/files/a%2F1/meta", 200),
        ("GET", "/files/b%2F1", 403),
        ("GET", "/files/b%2F1/meta", 403),
        ("GET", "/files/secret%2F1/history", 403),
        ("POST", "/files/b%2F1/locator", 403),
        ("DELETE", "/files/a%2F1", 403),
        ("DELETE", "/files/b%2F1", 403),
        ("DELETE", "/files/plain", 403),
        ("GET", "/health", 404),  # It is no route of the bare application, and open.
    ],
)
async def test_a_permission_is_for_the_same_below_a_prefix(
    app: FastAPI, filled: DesStore, sent: str, method: str, path: str, status: int
) -> None:
    transport = httpx.ASGITransport(app, root_path="/des", raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://des") as client:
        answer = await client.request(method, sent + path, params=WHY, headers=by("narrow-key"))
    assert answer.status_code == status
    assert filled.get("b/1", MORNING) == b"b/1"
    assert filled.get("plain", MORNING) == b"plain"


@pytest.mark.parametrize("path", ["/desfiles/b%2F1", "/deslocators/x", "/des", "/desui/", "/des//files/b%2F1"])
async def test_what_only_begins_like_the_prefix_is_not_below_it(app: FastAPI, path: str) -> None:
    transport = httpx.ASGITransport(app, root_path="/des", raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://des") as client:
        assert (await client.get(path)).status_code == 401
        assert (await client.get(path, headers=by("narrow-key"))).status_code == 404
