"""What the audit log has of refusals behind the gate, and of times that are not in the query."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import yaml

from .keys import api_key_item
from .test_api_keys import by, lines

AT = {"created_at": "2025-11-25T08:00:00Z"}
Start = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.mark.parametrize("audit", ["changes", "all"])
async def test_refusals_behind_the_gate_are_written_down_too(
    guarded: Start, audit: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = await guarded(audit=audit, rate_limit_per_hour=4)
    key = by("narrow-key")
    refused = await client.get("/files?day=20251125&prefix=secret/", headers=key)
    assert (refused.status_code, (await client.get("/days", headers=key)).status_code) == (403, 200)
    body = {"files": [{"uid": "a/1", **AT}] * 3}
    assert (await client.post("/batch", json=body, headers=key)).status_code == 429
    of_narrow = {"principal": "narrow", "permission": "read"}
    assert lines(caplog) == [
        {**of_narrow, "method": "GET", "status": 403, "reason": "forbidden"},
        {**of_narrow, "method": "POST", "status": 429, "reason": "rate_limited"},
    ]


async def test_the_time_of_a_retention_is_the_one_of_its_body(
    guarded: Start, key_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    item = api_key_item("keeper", "keeper", ["extend_retention"])
    key_file.write_text(yaml.safe_dump({"api_keys": [item]}))
    (tmp_path / "kept").mkdir()
    client = await guarded(ext_retention_url=str(tmp_path / "kept"))
    path = "/files/a%2F1/retention-policy?created_at=2020-01-01T00:00:00Z"
    body = {**AT, "due_date": "2999-01-01T00:00:00Z"}
    assert (await client.put(path, json=body, headers=by("keeper"))).status_code == 200
    assert (await client.put(path, json={}, headers=by("keeper"))).status_code == 422
    assert [(one["uid"], one.get("created_at")) for one in lines(caplog)] == [
        ("a/1", AT["created_at"]),
        ("a/1", None),
    ]


async def test_a_link_that_nobody_made_is_a_refusal(guarded: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = await guarded(locator_keys="k" * 16)
    link = (await client.post("/files/a%2F1/locator", params=AT, headers=by("deleter-key"))).json()
    caplog.clear()
    assert (await client.get(f"/{link['url'][:-1]}{'A' if link['url'][-1] != 'A' else 'B'}")).status_code == 403
    (line,) = lines(caplog)
    assert line == {
        "principal": "link", "permission": "read", "method": "GET", "status": 403, "reason": "invalid_locator",
    }  # fmt: skip
