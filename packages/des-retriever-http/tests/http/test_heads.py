"""`HEAD` answers as `GET` does, without a body: load balancers ask so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from des_format.store import DesStore
from fastapi import FastAPI

from ..serving.operated import connected, operated
from ..times import MORNING

LISTINGS = ["/days", "/days/20251125/shards", "/days/20251125/shards/{shard}/archives", "/files?day=20251125"]
CHANGING = {"/metrics", "/stats/live", "/health/live"}
PATHS = ["/health", "/health/live", "/health/ready", "/metrics", "/stats/live", "/openapi.json", *LISTINGS]


@pytest.mark.parametrize("path", PATHS)
async def test_head_has_the_headers_of_get_and_no_body(store: DesStore, folder: Path, path: str) -> None:
    store.put("a", MORNING, b"1")
    path = path.format(shard=store.shards("20251125")[0])
    app, _ = operated(folder)
    async with connected(app) as client:
        got, head = await client.get(path), await client.head(path)
        assert (head.status_code, got.status_code, head.content) == (200, 200, b"")
        assert got.content
        unlike = {"x-request-id", "content-length"} if path in CHANGING else {"x-request-id"}
        assert {name: text for name, text in head.headers.items() if name not in unlike} == {
            name: text for name, text in got.headers.items() if name not in unlike
        }
        assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize(("path", "status"), [("/files?day=x", 422), ("/days/20251340/shards", 400), ("/files", 422)])
async def test_head_of_what_is_refused_has_no_body_either(client: httpx.AsyncClient, path: str, status: int) -> None:
    answer = await client.head(path)
    assert (answer.status_code, answer.content) == (status, b"")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_head_takes_credentials_where_get_does(
    make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any]
) -> None:
    client = await connect(make_app(jwt_issuer="https://id.example", jwt_audience="des"))
    for path in ("/days", "/files?day=20251125"):
        assert (await client.head(path)).status_code == 401


def test_the_document_has_it(folder: Path, store: DesStore) -> None:
    app, _ = operated(folder)
    paths = app.openapi()["paths"]
    documented = {path for path in paths if "head" in paths[path]}
    assert documented == {
        *("/files/{uid}", "/files", "/days", "/days/{day}/shards", "/days/{day}/shards/{shard}/archives"),
        *("/health", "/health/live", "/health/ready", "/metrics", "/stats/live"),
    }
    for path in documented:
        assert all("content" not in one for one in paths[path]["head"]["responses"].values())
        assert paths[path]["head"].get("parameters", []) == [
            one for one in paths[path]["get"].get("parameters", []) if one["in"] != "header"
        ]
    ids = [one["operationId"] for path in paths.values() for one in path.values()]
    assert len(set(ids)) == len(ids)
