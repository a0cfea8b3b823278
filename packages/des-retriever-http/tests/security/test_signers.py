"""What a reload makes of signatures, and who may not sign."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from des_format.errors import ConfigurationError
from des_retriever_http.client.signing import SignedRequests
from des_retriever_http.security.credentials import parse_credentials

from .keys import public_key_item, until

AT = {"created_at": "2025-11-25T08:00:00Z"}
KEY = Ed25519PrivateKey.generate()
Start = Callable[..., Awaitable[httpx.AsyncClient]]


def document(**more: Any) -> str:
    return yaml.safe_dump({"authorized_keys": [public_key_item(KEY, ["read"], **more)]})


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
