"""`DELETE /files/{uid}` and `GET /files/{uid}/history`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from des_format.store import DesStore, NewEntry
from fastapi import FastAPI

from .times import MORNING

AT = {"created_at": "2025-11-25T08:00:00Z"}
KEY = {"X-API-Key": "the-published-key"}
WHY = {**AT, "reason": "GDPR", "deleted_by": "dpo@example.org"}


@pytest.fixture
async def replicas(
    make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any], store: DesStore
) -> list[httpx.AsyncClient]:
    """Two services over one store of one shard, which believe what they know for an hour."""
    store.put_many([NewEntry(name, MORNING, name.encode()) for name in ("a", "b", "c")])
    settings = {"manifest_ttl_seconds": 3600.0, "delete_api_key": KEY["X-API-Key"]}
    return [await connect(make_app(**settings)) for _ in range(2)]


@pytest.fixture
async def deleter(replicas: list[httpx.AsyncClient]) -> httpx.AsyncClient:
    return replicas[0]


async def test_a_deleted_file_is_gone_and_its_history_says_who_and_why(deleter: httpx.AsyncClient) -> None:
    answer = await deleter.delete("/files/a", params={**WHY, "ticket_id": "T-1"}, headers=KEY)
    assert (answer.status_code, answer.json()["status"]) == (200, "tombstoned")
    assert (await deleter.get("/files/a", params=AT)).status_code == 410
    (commit,) = (await deleter.get("/files/a/history", params=AT)).json()["commits"]
    assert (commit["by"], commit["reason"], commit["ticket"]) == ("dpo@example.org (delete-api-key)", "GDPR", "T-1")
    assert commit["sequence"] == answer.json()["sequence"]
    assert (await deleter.get("/files/b/history", params=AT)).json() == {"uid": "b", "commits": []}


async def test_a_second_deletion_and_one_of_nothing_are_told_apart(deleter: httpx.AsyncClient) -> None:
    await deleter.delete("/files/a", params=WHY, headers=KEY)
    assert (await deleter.delete("/files/a", params=WHY, headers=KEY)).status_code == 410
    assert (await deleter.delete("/files/none", params=WHY, headers=KEY)).status_code == 404


@pytest.mark.parametrize("given", [{}, {"X-API-Key": "wrong"}, {"X-API-Key": ""}, {"X-API-Key": "THE-PUBLISHED-KEY"}])
async def test_without_the_key_nothing_is_deleted(deleter: httpx.AsyncClient, given: dict[str, str]) -> None:
    answer = await deleter.delete("/files/a", params=WHY, headers=given)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert (await deleter.get("/files/a", params=AT)).status_code == 200


async def test_a_service_without_a_key_deletes_for_nobody(client: httpx.AsyncClient, store: DesStore) -> None:
    store.put("a", MORNING, b"1")
    answer = await client.delete("/files/a", params=WHY, headers=KEY)
    assert (answer.status_code, answer.json()["detail"].partition(":")[0]) == (503, "Delete API not configured")
    assert store.get("a", MORNING) == b"1"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"deleted_by": " "}, 400),
        ({"deleted_by": None}, 400),
        ({"created_at": "2025-11-25T08:00:00"}, 400),
        ({"reason": "because"}, 422),
        ({"reason": None}, 422),
        ({"created_at": None}, 422),
    ],
)
async def test_a_malformed_deletion_deletes_nothing(
    deleter: httpx.AsyncClient, changes: dict[str, str | None], status: int
) -> None:
    params = {name: value for name, value in (WHY | changes).items() if value is not None}
    answer = await deleter.delete("/files/a", params=params, headers=KEY)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await deleter.get("/files/a", params=AT)).status_code == 200


async def test_replicas_that_delete_at_once_both_hold(replicas: list[httpx.AsyncClient]) -> None:
    """B-09: the second replica wrote back a list without the first one's deletion."""
    for replica in replicas:
        for name in ("a", "b"):
            assert (await replica.get(f"/files/{name}", params=AT)).status_code == 200
    first, second = replicas
    answers = await asyncio.gather(
        first.delete("/files/a", params=WHY, headers=KEY), second.delete("/files/b", params=WHY, headers=KEY)
    )
    assert [answer.status_code for answer in answers] == [200, 200]
    for replica in replicas:
        for name, status in {"a": 410, "b": 410, "c": 200}.items():
            answer = await replica.get(f"/files/{name}", params=AT, headers={"Cache-Control": "no-cache"})
            assert answer.status_code == status


async def test_both_delete_the_same_file_and_neither_brings_it_back(replicas: list[httpx.AsyncClient]) -> None:
    answers = await asyncio.gather(*(one.delete("/files/a", params=WHY, headers=KEY) for one in replicas))
    assert {answer.status_code for answer in answers} <= {200, 410}
    for replica in replicas:
        fresh = await replica.get("/files/a", params=AT, headers={"Cache-Control": "no-cache"})
        assert fresh.status_code == 410


async def test_a_replica_that_knew_the_file_deletes_what_another_has_deleted_only_once(
    replicas: list[httpx.AsyncClient],
) -> None:
    first, second = replicas
    assert (await second.get("/files/a", params=AT)).status_code == 200
    await first.delete("/files/a", params=WHY, headers=KEY)
    assert (await second.delete("/files/a", params=WHY, headers=KEY)).status_code == 410


async def test_no_other_time_of_the_day_finds_what_was_deleted(deleter: httpx.AsyncClient) -> None:
    """B-07: the published retriever compared the whole timestamp."""
    await deleter.delete("/files/a", params=WHY, headers=KEY)
    for hours in range(16):
        time = (MORNING + timedelta(hours=hours)).isoformat()
        assert (await deleter.get("/files/a", params={"created_at": time})).status_code == 410
