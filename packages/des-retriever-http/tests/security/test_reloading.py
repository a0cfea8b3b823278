"""Documents of credentials that break in other ways than by their grammar: the one that mends them must be read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from des_format.errors import ConfigurationError
from des_retriever_http.security.credentials import parse_credentials
from des_retriever_http.security.sources import Keeper

from .keys import api_key_item, until

AT = {"created_at": "2025-11-25T08:00:00Z"}
Start = Callable[..., Awaitable[httpx.AsyncClient]]
_READER = api_key_item("reader", "reader-key", ["read"])
_ITEM = yaml.safe_dump({"api_keys": [_READER]})
BROKEN = [
    _ITEM + "  expires_at: 2099-02-30T00:00:00Z\n",
    _ITEM + "  expires_at: 2099-01-01T00:00:00+99:99\n",
    _ITEM + "  max_requests_per_hour: 0x_\n",
    _ITEM + "  max_requests_per_hour: !!bool many\n",
    _ITEM + "  expires_at: !!timestamp soon\n",
    "[" * 5000,
    yaml.safe_dump({"api_keys": [{**_READER, "hash": _READER["hash"] + "0"}]}),
    yaml.safe_dump({"api_keys": [{**_READER, "hash": _READER["hash"] + "00"}]}),
    yaml.safe_dump({"api_keys": [{**_READER, "hash": "SHA256:" + _READER["hash"]}]}),
]


@pytest.mark.parametrize("document", BROKEN)
def test_a_document_that_means_nothing_is_told(document: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^keys\.yaml"):
        parse_credentials(document, where="keys.yaml")


@pytest.mark.parametrize("document", BROKEN)
async def test_a_key_is_taken_back_after_a_document_that_broke(
    guarded: Start, key_file: Path, document: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = await guarded(credentials_reload_seconds=0.02)

    async def is_told() -> bool:
        return "credentials_not_reloaded" in caplog.text

    async def is_refused() -> bool:
        answer = await client.get("/files/a%2F1", params=AT, headers={"X-API-Key": "reader-key"})
        return answer.status_code == 401

    key_file.write_text(document)
    await until(is_told)
    key_file.write_text(yaml.safe_dump({"api_keys": [api_key_item("other", "other-key", ["read"])]}))
    await until(is_refused)


async def test_whatever_fails_credentials_are_read_again(caplog: pytest.LogCaptureFixture) -> None:
    documents = [_ITEM]

    def load() -> Any:
        if len(documents) == 1:
            raise RuntimeError("of-a-library secret")
        return documents.pop()

    keeper = Keeper(load, "here", 0.01)
    watching = asyncio.create_task(keeper.watch())

    async def is_told() -> bool:
        return "credentials_not_reloaded" in caplog.text

    async def is_read() -> bool:
        return keeper().of_api_key("reader-key") is not None

    await until(is_told)
    documents.append(_ITEM)
    await until(is_read)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert "of-a-library" not in caplog.text
