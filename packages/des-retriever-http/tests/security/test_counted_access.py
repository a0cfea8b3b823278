"""How requests end at the gate, as Prometheus sees it."""

from __future__ import annotations

import json
from pathlib import Path

from des_format.store import DesStore

from ..serving.operated import connected, operated, value
from .keys import api_key_item

AT = {"created_at": "2025-11-25T08:00:00Z"}


async def test_each_end_at_the_gate_is_counted(filled: DesStore, folder: Path, tmp_path: Path) -> None:
    items = [
        api_key_item("reader", "reader", ["read"], allowed_prefixes=["a/"], max_requests_per_hour=3),
        api_key_item("old", "old", ["read"], expires_at="2020-01-01T00:00:00Z"),
    ]
    document = tmp_path / "keys.json"
    document.write_text(json.dumps({"api_keys": items}))
    app, _ = operated(folder, authorized_keys_path=document)
    async with connected(app) as client:

        async def get(uid: str, **headers: str) -> int:
            named = {name.replace("_", "-"): text for name, text in headers.items()}
            return (await client.get(f"/files/{uid}", params=AT, headers=named)).status_code

        assert await get("a%2F1", x_api_key="reader") == 200
        assert await get("a%2F2", x_api_key="reader") == 200
        assert await get("b%2F1", x_api_key="reader") == 403
        assert await get("a%2F1", x_api_key="reader") == 429
        assert await get("a%2F1", x_api_key="old") == 401
        assert await get("a%2F1", x_api_key="wrong") == 401
        assert await get("a%2F1") == 401
        assert await get("a%2F1", x_des_nonce="12345678") == 401
        text = (await client.get("/metrics")).text
    expected = {
        "success": 2, "forbidden": 1, "rate_limited": 1, "expired": 1,
        "invalid_credentials": 1, "no_credentials": 1, "invalid_sig": 1, "error": 0,
    }  # fmt: skip
    for result, count in expected.items():
        assert value(text, f'des_auth_requests_total{{result="{result}"}}') == count, result
