"""API keys, and what they allow."""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from des_format.errors import ConfigurationError
from des_format.store import DesStore
from fastapi import FastAPI

from ..times import MORNING
from .keys import api_key_item, until

AT = {"created_at": "2025-11-25T08:00:00Z"}
WHY = {**AT, "reason": "GDPR", "deleted_by": "dpo@example.org"}
Start = Callable[..., Awaitable[httpx.AsyncClient]]


def by(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/files/a%2F1"),
        ("HEAD", "/files/a%2F1"),
        ("GET", "/files/a/1"),
        ("GET", "/files/a%2F1/meta"),
        ("GET", "/files/a%2F1/history"),
        ("DELETE", "/files/a%2F1"),
        ("POST", "/files/a%2F1/locator"),
        ("PUT", "/files/a%2F1/retention-policy"),
        ("PATCH", "/files/a%2F1"),
        ("GET", "/files/none"),
        ("GET", "/files?day=20251125"),
        ("GET", "/days"),
        ("GET", "/days/20251125/shards"),
        ("GET", "/days/20251125/shards/0/archives"),
        ("POST", "/batch"),
        ("GET", "/nowhere"),
        ("GET", "//files/a%2F1"),
        ("GET", "/FILES/a%2F1"),
    ],
)
async def test_without_credentials_nothing_is_told(guarded: Start, method: str, path: str) -> None:
    client = await guarded(locator_keys="k" * 16)
    answer = await client.request(method, path, params=WHY if "?" not in path else None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert b"a/1" not in answer.content.replace(b"/files/a/1", b"")


async def test_before_the_start_nobody_is_let_in(make_app: Callable[..., FastAPI], key_file: Path) -> None:
    transport = httpx.ASGITransport(make_app(authorized_keys_path=key_file))
    async with httpx.AsyncClient(transport=transport, base_url="http://des") as client:
        for path in ("/files/a%2F1", "/files/a%2F1/meta", "/days"):
            answer = await client.get(path, params=AT, headers=by("reader-key"))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("path", ["/health", "/metrics", "/stats/live", "/ui/", "/openapi.json", "/locators/x"])
async def test_what_needs_no_credentials_asks_for_none(guarded: Start, path: str) -> None:
    answer = await (await guarded(locator_keys="k" * 16)).get(path)
    assert answer.status_code != 401


@pytest.mark.parametrize(
    "headers", [by("reader-key"), {"Authorization": "Bearer reader-key"}, {"authorization": "bearer reader-key"}]
)
async def test_a_key_is_shown_in_either_header(guarded: Start, headers: dict[str, str]) -> None:
    client = await guarded()
    assert (await client.get("/files/a%2F1", params=AT, headers=headers)).content == b"a/1"


@pytest.mark.parametrize(
    "headers",
    [
        by(""),
        by("reader-key "),
        by("Reader-Key"),
        by("reader"),
        {"Authorization": "Basic cmVhZGVyLWtleQ=="},
        {"Authorization": "Bearer"},
        {"Authorization": "reader-key"},
        {"Authorization": "Bearer a.b.c"},
    ],
)
async def test_wrong_credentials_are_refused_also_where_none_are_needed(
    guarded: Start, headers: dict[str, str]
) -> None:
    for required in (None, False):
        client = await guarded(require_authentication=required)
        assert (await client.get("/files/a%2F1", params=AT, headers=headers)).status_code == 401


async def test_a_permission_is_for_what_it_names(guarded: Start, filled: DesStore) -> None:
    client = await guarded(locator_keys="k" * 16)
    for method, path in (("DELETE", ""), ("POST", "/locator"), ("PUT", "/retention-policy")):
        answer = await client.request(method, f"/files/a%2F1{path}", params=WHY, headers=by("reader-key"))
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert filled.get("a/1", MORNING) == b"a/1"
    answer = await client.delete("/files/a%2F1", params=WHY, headers=by("deleter-key"))
    assert answer.status_code == 200
    (commit,) = (await client.get("/files/a%2F1/history", params=AT, headers=by("reader-key"))).json()["commits"]
    assert commit["by"] == "dpo@example.org (deleter)"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/files/a%2F1", 200),
        ("/files/a/1", 200),
        ("/files/a%2F2", 403),
        ("/files/b%2F1", 403),
        ("/files/secret%2F1", 403),
        ("/files/a%2F..%2Fsecret%2F1", 404),
        ("/files/b%2F1/meta", 403),
        ("/files/b%2F1/history", 403),
        ("/files/%61%2F1", 200),
        ("/files/%62%2F1", 403),
        ("/files/none", 403),
    ],
)
async def test_a_key_reaches_the_uids_that_begin_as_it_says(guarded: Start, path: str, status: int) -> None:
    answer = await (await guarded()).get(path, params=AT, headers=by("narrow-key"))
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 403),
        ("prefix=", 403),
        ("prefix=a/", 403),
        ("prefix=a/1", 200),
        ("prefix=a/2", 403),
        ("prefix=b/", 403),
        ("prefix=a/1&prefix=b/", 403),
    ],
)
async def test_a_key_lists_only_what_it_reads(guarded: Start, query: str, status: int) -> None:
    answer = await (await guarded()).get(f"/files?day=20251125&{query}", headers=by("narrow-key"))
    assert answer.status_code == status
    if status == 200:
        assert [one["uid"] for one in answer.json()["entries"]] == ["a/1"]


async def test_in_a_batch_each_file_is_allowed_or_not(guarded: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = await guarded(rate_limit_per_hour=5)
    body = {"files": [{"uid": uid, **AT} for uid in ("a/1", "a/2", "b/1", "secret/1")]}
    answer = await client.post("/batch?format=zip", json=body, headers=by("narrow-key"))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.namelist() == ["a/1", "des-batch.json"]
        listed = json.loads(packed.read("des-batch.json"))["files"]
    assert [one["status"] for one in listed] == [200, 403, 403, 403]
    assert [(one["uid"], one["status"]) for one in lines(caplog)] == [("a/2", 403), ("b/1", 403), ("secret/1", 403)]
    # It counts as one request for each file.
    assert (await client.post("/batch", json=body, headers=by("narrow-key"))).status_code == 429
    larger = {"files": [{"uid": "a/1", **AT}] * 7}
    answer = await client.post("/batch", json=larger, headers=by("reader-key"))
    assert (answer.status_code, "retry-after" in answer.headers) == (429, False)


async def test_a_link_is_made_by_who_may_and_read_by_everybody(guarded: Start) -> None:
    client = await guarded(locator_keys="k" * 16)
    assert (await client.post("/files/b%2F1/locator", params=AT, headers=by("narrow-key"))).status_code == 403
    link = (await client.post("/files/a%2F1/locator", params=AT, headers=by("narrow-key"))).json()
    assert (await client.get(f"/{link['url']}")).content == b"a/1"


async def test_everybody_may_read_where_the_operator_says_so(guarded: Start, filled: DesStore) -> None:
    client = await guarded(require_authentication=False)
    assert (await client.get("/files/secret%2F1", params=AT)).content == b"secret/1"
    assert (await client.delete("/files/a%2F1", params=WHY)).status_code == 401
    assert (await client.delete("/files/a%2F1", params=WHY, headers=by("deleter-key"))).status_code == 200


async def test_who_shows_no_credentials_uses_up_nobodys_quota(guarded: Start) -> None:
    client = await guarded(require_authentication=False, rate_limit_per_hour=1)
    assert [(await client.get("/files/a%2F1", params=AT)).status_code for _ in range(3)] == [200] * 3


async def test_the_published_key_deletes_and_does_not_read(guarded: Start) -> None:
    client = await guarded(delete_api_key="published-key")
    assert (await client.get("/files/a%2F1", params=AT, headers=by("published-key"))).status_code == 403
    assert (await client.delete("/files/a%2F1", params=WHY, headers=by("published-key"))).status_code == 200


async def test_a_key_that_has_ended_is_refused(guarded: Start, key_file: Path) -> None:
    items = [
        api_key_item("old", "old-key", ["read"], expires_at="2020-01-01T00:00:00Z"),
        api_key_item("new", "new-key", ["read"], expires_at="2999-01-01T00:00:00+01:00"),
    ]
    key_file.write_text(yaml.safe_dump({"api_keys": items}))
    client = await guarded()
    assert (await client.get("/files/a%2F1", params=AT, headers=by("old-key"))).status_code == 401
    assert (await client.get("/files/a%2F1", params=AT, headers=by("new-key"))).status_code == 200


async def test_a_key_is_taken_back_while_the_service_runs(guarded: Start, key_file: Path) -> None:
    client = await guarded(credentials_reload_seconds=0.02)
    assert (await client.get("/files/a%2F1", params=AT, headers=by("reader-key"))).status_code == 200
    key_file.write_text(yaml.safe_dump({"api_keys": [api_key_item("other", "other-key", ["read"])]}))

    async def is_refused() -> bool:
        return (await client.get("/files/a%2F1", params=AT, headers=by("reader-key"))).status_code == 401

    await until(is_refused)
    assert (await client.get("/files/a%2F1", params=AT, headers=by("other-key"))).status_code == 200


async def test_a_document_that_breaks_changes_nothing(
    guarded: Start, key_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = await guarded(credentials_reload_seconds=0.02)

    async def is_told() -> bool:
        return "credentials_not_reloaded" in caplog.text

    for broken in ("api_keys: [", "{}", "authorized_keys: [{}]"):
        key_file.write_text(broken)
        caplog.clear()
        await until(is_told)
        assert (await client.get("/files/a%2F1", params=AT, headers=by("reader-key"))).status_code == 200
    caplog.clear()
    key_file.unlink()
    await until(is_told)
    assert (await client.get("/files/a%2F1", params=AT, headers=by("reader-key"))).status_code == 200


_READER = api_key_item("reader", "k", ["read"])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "there is no key in it"),
        ({"api_keys": []}, "there is no key in it"),
        ({"api_key": [_READER]}, "api_key"),
        ({"api_keys": [{**_READER, "permissions": []}]}, "permissions"),
        ({"api_keys": [{**_READER, "permissions": ["admin"]}]}, "permissions"),
        ({"api_keys": [{**_READER, "hash": "plain-text-of-a-key"}]}, "hash"),
        ({"api_keys": [{**_READER, "expires_at": "2025-01-01T00:00:00"}]}, "expires_at"),
        ({"api_keys": [{**_READER, "allowed_prefixes": [""]}]}, "allowed_prefixes"),
        ({"api_keys": [{**_READER, "max_requests_per_hour": 0}]}, "max_requests_per_hour"),
        ({"api_keys": [_READER, _READER]}, "twice"),
        ({"api_keys": [_READER, {**_READER, "hash": "sha256:" + "0" * 64}]}, "twice"),
        ({"authorized_keys": [{"public_key": "ssh-ed25519 AAAA", "permissions": ["read"]}]}, "ssh-keygen"),
        ({"authorized_keys": [{"public_key": "nonsense", "permissions": ["read"]}]}, "ssh-keygen"),
        ("[", "neither YAML nor JSON at line 1"),
        ("just text", "Input should be"),
    ],
)
async def test_a_malformed_document_stops_the_start_and_shows_nothing_secret(
    guarded: Start, key_file: Path, document: Any, message: str
) -> None:
    key_file.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    with pytest.raises(ConfigurationError, match=message) as raised:
        await guarded()
    assert "keys.yaml" in str(raised.value)
    assert "plain-text-of-a-key" not in str(raised.value)


async def test_a_missing_document_stops_the_start(guarded: Start, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="DES_AUTHORIZED_KEYS_PATH"):
        await guarded(authorized_keys_path=tmp_path / "none")


async def test_requests_of_a_key_are_counted(guarded: Start, key_file: Path) -> None:
    items = [api_key_item("few", "few-key", ["read"], max_requests_per_hour=3), api_key_item("more", "more", ["read"])]
    key_file.write_text(yaml.safe_dump({"api_keys": items}))
    client = await guarded(rate_limit_per_hour=5)

    async def statuses(key: str, count: int) -> list[int]:
        return [(await client.get("/files/a%2F1", params=AT, headers=by(key))).status_code for _ in range(count)]

    assert await statuses("wrong", 4) == [401] * 4
    assert await statuses("few-key", 5) == [200, 200, 200, 429, 429]
    assert await statuses("more", 6) == [200] * 5 + [429]
    answer = await client.get("/files/a%2F1", params=AT, headers=by("few-key"))
    assert 1 <= int(answer.headers["retry-after"]) <= 3600
    assert answer.json()["detail"].startswith("Rate limit exceeded")


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    found = [vars(one) for one in caplog.records if one.name == "des_retriever_http.audit"]
    names = ("principal", "permission", "method", "uid", "created_at", "status", "reason")
    return [{name: one[name] for name in names if name in one} for one in found]


async def test_the_audit_log_says_who_did_what(guarded: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = await guarded(audit="all", locator_keys="k" * 16)
    at = AT["created_at"]
    await client.get("/files/a%2F1", params=AT, headers=by("reader-key"))
    await client.delete("/files/a%2F1", params=WHY, headers=by("deleter-key"))
    await client.delete("/files/a%2F1", params=WHY, headers=by("reader-key"))
    await client.get("/files/b%2F1", params=AT, headers=by("narrow-key"))
    await client.get("/files/b%2F1", params=AT, headers=by("of-nobody"))
    read = {"permission": "read", "method": "GET", "created_at": at}
    write = {"permission": "write", "method": "DELETE", "created_at": at, "uid": "a/1"}
    assert lines(caplog) == [
        {**read, "principal": "reader", "uid": "a/1", "status": 200},
        {**write, "principal": "deleter", "status": 200},
        {**write, "principal": "reader", "status": 403, "reason": "forbidden"},
        {**read, "principal": "narrow", "uid": "b/1", "status": 403, "reason": "forbidden"},
        {**read, "principal": "unknown", "uid": "b/1", "status": 401, "reason": "unknown_key"},
    ]
    caplog.clear()
    link = (await client.post("/files/b%2F1/locator", params=AT, headers=by("deleter-key"))).json()
    await client.get(f"/{link['url']}")
    made, read_by_link = lines(caplog)
    assert (made["principal"], made["permission"], made["status"]) == ("deleter", "share", 201)
    assert (read_by_link["principal"], read_by_link["uid"], read_by_link["status"]) == ("link", "b/1", 200)
    assert "deleter-key" not in caplog.text


async def test_reads_are_not_in_the_audit_log_unless_asked_for(
    guarded: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = await guarded()
    await client.get("/files/a%2F1", params=AT, headers=by("reader-key"))
    assert lines(caplog) == []
    await client.get("/files/a%2F1", params=AT)
    await client.delete("/files/a%2F1", params=WHY, headers=by("deleter-key"))
    assert [one["status"] for one in lines(caplog)] == [401, 200]
