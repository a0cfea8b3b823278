"""Both clients with a key that signs, against a service that lets nobody else in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from des_format.errors import AccessDeniedError, EntryDeletedError
from des_format.store import DesStore
from des_retriever_http.client.signing import SignedRequests
from fastapi import FastAPI

from ..security.keys import public_key_item
from ..times import MORNING
from .cutting import cutting
from .either import Either

KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def guarded(make_app: Callable[..., FastAPI], live_server: Callable[[FastAPI], Any], tmp_path: Path) -> Iterator[str]:
    """Where a service is that knows `KEY`."""
    path = tmp_path / "authorized_keys.yaml"
    path.write_text(yaml.safe_dump({"authorized_keys": [public_key_item(KEY, ["read", "write"])]}))
    with live_server(make_app(authorized_keys_path=path)) as url:
        yield url


async def test_each_request_is_signed_anew(connected: Callable[..., Either], guarded: str, store: DesStore) -> None:
    store.put("a b+c/ü", MORNING, b"words " * 50_000)
    with cutting(guarded, 2000, 0, 3000) as proxy:
        client = connected(proxy.url, auth=SignedRequests(KEY), timeout=5.0)
        assert await client("get", "a b+c/ü", MORNING) == b"words " * 50_000
        assert b"".join((await client.stream("a b+c/ü", MORNING))[1]) == b"words " * 50_000
        (file,) = await client.all("batch", [("a b+c/ü", MORNING)])
        assert file.read() == b"words " * 50_000
        assert [one.uid for one in await client.all("list", "20251125", None, "a b+")] == ["a b+c/ü"]
        assert await client("delete", "a b+c/ü", MORNING, reason="GDPR", by="me & you") > 0
        assert not await client("exists", "a b+c/ü", MORNING)
        await client.close()


async def test_a_deletion_whose_answer_was_lost_is_told_from_one_by_others(
    connected: Callable[..., Either], guarded: str, store: DesStore
) -> None:
    store.put("a", MORNING, b"1")
    with cutting(guarded, 1) as proxy:
        client = connected(proxy.url, auth=SignedRequests(KEY), timeout=5.0)
        sequence = await client("delete", "a", MORNING, reason="GDPR", by="me", ticket="T-1")
        (deletion,) = await client("history", "a", MORNING)
        await client.close()
    assert (deletion.sequence, deletion.ticket) == (sequence, "T-1")
    assert deletion.by.startswith("me (")
    with cutting(guarded, 1) as proxy:
        client = connected(proxy.url, auth=SignedRequests(KEY), timeout=5.0)
        with pytest.raises(EntryDeletedError):
            await client("delete", "a", MORNING, reason="GDPR", by="you", ticket="T-1")
        await client.close()


async def test_without_a_key_nobody_is_let_in(connected: Callable[..., Either], guarded: str, store: DesStore) -> None:
    store.put("a", MORNING, b"1")
    for arguments in (
        {},
        {"auth": SignedRequests(Ed25519PrivateKey.generate())},
        {"token": "t"},
        {"api_key": "k" * 40},
    ):
        client = connected(guarded, **arguments)
        with pytest.raises(AccessDeniedError, match="401 unauthorized"):
            await client("get", "a", MORNING)
        with pytest.raises(AccessDeniedError):
            await client("exists", "a", MORNING)
