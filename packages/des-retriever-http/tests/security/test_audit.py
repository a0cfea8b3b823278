"""What the audit log has of refusals behind the gate."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import httpx
import pytest

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
