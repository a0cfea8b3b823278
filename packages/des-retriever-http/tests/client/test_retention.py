"""Keeping files for longer, through both clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from des_format.errors import ConflictError, EntryNotFoundError, InvalidInputError
from des_format.store import DesStore
from des_retriever_http.client import Retained

from ..security.keys import api_key_item
from ..times import MORNING
from .either import Either

UNTIL = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture
def url(store: DesStore, make_app: Callable[..., Any], live_server: Any, tmp_path: Path) -> Iterator[str]:
    store.put("a/b", MORNING, b"1")
    (tmp_path / "kept").mkdir()
    document = tmp_path / "keys.json"
    document.write_text(json.dumps({"api_keys": [api_key_item("x", "key", ["read", "write", "extend_retention"])]}))
    with live_server(make_app(authorized_keys_path=document, ext_retention_url=str(tmp_path / "kept"))) as url:
        yield url


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_file_is_kept_for_longer(kind: str, url: str) -> None:
    client = Either(kind, url, api_key="key")
    made: Retained = await client("extend_retention", "a/b", MORNING, UNTIL)
    assert (made.until, made.is_new, made.is_locked) == (UNTIL, True, False)
    moved: Retained = await client("extend_retention", "a/b", MORNING, UNTIL + timedelta(days=1))
    assert (moved.key, moved.until, moved.is_new) == (made.key, UNTIL + timedelta(days=1), False)
    with pytest.raises(ConflictError, match="not shortened"):
        await client("extend_retention", "a/b", MORNING, UNTIL)
    with pytest.raises(ConflictError, match="kept until"):
        await client("delete", "a/b", MORNING, reason="GDPR", by="me")
    with pytest.raises(EntryNotFoundError):
        await client("extend_retention", "none", MORNING, UNTIL)
    for until in (datetime(2020, 1, 1, tzinfo=UTC), UNTIL.replace(tzinfo=None)):
        with pytest.raises(InvalidInputError):
            await client("extend_retention", "a/b", MORNING, until)
    await client.close()
