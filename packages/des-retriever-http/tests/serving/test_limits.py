"""What one process takes on, and that probes answer whatever the storage does."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from des_format.store import DesStore
from des_retriever_http.app import Retriever
from des_retriever_http.storage.backend import Backend

from ..times import MORNING
from .operated import connected, operated, value

AT = {"created_at": "2025-11-25T08:00:00Z"}


class Stuck:
    """A store that does not answer for uids that begin with `stuck`, nor to be checked if `all` is set."""

    def __init__(self, inner: Any, *, all: bool = False) -> None:
        self._inner = inner
        self._all = all

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read_entry(self, uid: str, *arguments: Any, **options: Any) -> Any:
        if uid.startswith("stuck"):
            await asyncio.Event().wait()
        return await self._inner.read_entry(uid, *arguments, **options)

    async def shards(self, day: str) -> Any:
        if self._all:
            await asyncio.Event().wait()
        return await self._inner.shards(day)


def stick(app: Retriever, *, all: bool = False) -> None:
    """Let the storage behind a started service not answer."""
    backend: Backend = app.state.service.backend
    stuck: Any = Stuck(backend.store, all=all)
    app.state.service.backend = replace(backend, store=stuck)


async def get(client: httpx.AsyncClient, path: str) -> httpx.Response:
    return await client.get(path, params=AT if path.startswith("/files/") else None)


async def test_a_slow_storage_blocks_neither_probes_nor_other_files(store: DesStore, folder: Path) -> None:
    """B-16: two reads of two seconds kept /health waiting for four."""
    store.put("a", MORNING, b"1")
    app, _ = operated(folder, request_timeout_seconds=1.0)
    async with connected(app) as client:
        stick(app)
        waiting = [asyncio.create_task(get(client, f"/files/stuck-{number}")) for number in range(20)]
        await asyncio.sleep(0.05)
        began = time.monotonic()
        assert (await get(client, "/health")).status_code == 200
        assert (await get(client, "/files/a")).content == b"1"
        assert time.monotonic() - began < 0.9
        for answer in await asyncio.gather(*waiting):
            assert (answer.status_code, answer.json()["code"]) == (503, "deadline_exceeded")
            assert answer.headers["retry-after"] == "1"


async def test_a_dead_storage_is_told_by_readiness_and_never_by_liveness(store: DesStore, folder: Path) -> None:
    app, _ = operated(folder, ready_timeout_seconds=0.2)
    async with connected(app) as client:
        assert (await get(client, "/health/ready")).status_code == 200
        stick(app, all=True)
        await asyncio.sleep(1.2)
        assert (await get(client, "/health/live")).status_code == 200
        statuses = {(await get(client, "/health/ready")).json()["status"] for _ in range(3)}
        assert statuses <= {"degraded", "unavailable"}


async def test_more_requests_than_the_limit_are_refused_at_once(store: DesStore, folder: Path) -> None:
    store.put("a", MORNING, b"1")
    app, _ = operated(folder, max_requests=2, request_timeout_seconds=1.0)
    async with connected(app) as client:
        stick(app)
        waiting = [asyncio.create_task(get(client, "/files/stuck")) for _ in range(2)]
        await asyncio.sleep(0.05)
        refused = await get(client, "/files/a")
        assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "overloaded", "1")
        assert (await get(client, "/health")).status_code == 200
        text = (await get(client, "/metrics")).text
        await asyncio.gather(*waiting)
        assert (await get(client, "/files/a")).content == b"1"
    assert value(text, 'des_retriever_shed_total{reason="requests"}') == 1


async def test_what_is_too_long_is_refused_before_it_is_looked_at(store: DesStore, folder: Path) -> None:
    app, _ = operated(folder, max_body_bytes=1024)
    async with connected(app) as client:
        assert (await client.get(f"/files/{'x' * 3000}", params=AT)).status_code == 414
        assert (await client.get("/files/a", params={**AT, "x": "y" * 5000})).status_code == 414
        assert (await client.get("/files/a", params=AT, headers={"X": "y" * 40_000})).status_code == 431
        many = {f"x-{number}": "y" for number in range(120)}
        assert (await client.get("/files/a", params=AT, headers=many)).status_code == 431
        assert (await client.post("/files/a/locator", params=AT, content=bytes(2000))).status_code == 413
        assert (await client.get("/files/a", params=AT)).status_code == 404
