"""Values that are well-formed and odd: their answers are problems, not failures of the service."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from des_format.store import DesStore
from fastapi import FastAPI

from .security.keys import api_key_item
from .times import MORNING

AT = {"created_at": "2025-11-25T08:00:00Z"}
KEY = {"X-API-Key": "keeper"}


@pytest.fixture
async def keeping(
    make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any], store: DesStore, tmp_path: Path
) -> httpx.AsyncClient:
    """A service with a file, a place for copies, and an original store without days."""
    store.put("a", MORNING, b"a")
    for name in ("kept", "original"):
        (tmp_path / name).mkdir()
    (tmp_path / "original" / "old").write_bytes(b"old")
    document = tmp_path / "keys.json"
    items = [api_key_item("keeper", "keeper", ["read", "write", "extend_retention"])]
    document.write_text(json.dumps({"api_keys": items}))
    places = {"ext_retention_url": str(tmp_path / "kept"), "fallback_url": str(tmp_path / "original")}
    client: httpx.AsyncClient = await connect(make_app(authorized_keys_path=document, **places))
    return client


@pytest.mark.parametrize(
    "due_date",
    [
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T23:59:59.5Z",
        "0001-01-01T00:00:00+01:00",
    ],
)
async def test_a_time_that_is_not_in_the_calendar_is_refused(keeping: httpx.AsyncClient, due_date: str) -> None:
    answer = await keeping.put("/files/a/retention-policy", json={**AT, "due_date": due_date}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


@pytest.mark.parametrize("year", [1, 999, 1979, 2108, 9999])
async def test_the_original_of_a_file_has_any_year(keeping: httpx.AsyncClient, year: int) -> None:
    at = datetime(year, 1, 1, tzinfo=UTC).isoformat()
    answer = await keeping.get("/files/old", params={"created_at": at}, headers=KEY)
    assert (answer.status_code, answer.content) == (200, b"old")
    for format in ("frames", "tar", "zip"):
        body = {"files": [{"uid": "old", "created_at": at}]}
        answer = await keeping.post(f"/batch?format={format}", json=body, headers=KEY)
        assert answer.status_code == 200
        assert b"old" in answer.content
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.read("old") == b"old"
