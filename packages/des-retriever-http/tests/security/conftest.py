"""Fixtures: services that know who asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from des_format.store import DesStore, NewEntry
from fastapi import FastAPI

from ..times import MORNING
from .keys import api_key_item

UIDS = ("a/1", "a/2", "b/1", "secret/1")


@pytest.fixture
def filled(store: DesStore) -> DesStore:
    """A store with files below `a/`, `b/` and `secret/`."""
    store.put_many([NewEntry(uid, MORNING, uid.encode()) for uid in UIDS])
    return store


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A document of credentials: `reader-key`, `deleter-key` and `narrow-key`."""
    document = {
        "api_keys": [
            api_key_item("reader", "reader-key", ["read"]),
            api_key_item("deleter", "deleter-key", ["read", "write", "share"]),
            api_key_item("narrow", "narrow-key", ["read", "share"], allowed_prefixes=["a/"], excluded_prefixes=["a/2"]),
        ]
    }
    path = tmp_path / "keys.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture
async def guarded(
    make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any], filled: DesStore, key_file: Path
) -> Callable[..., Awaitable[httpx.AsyncClient]]:
    """Start the service over the filled store with the key file, and return a client of it."""

    async def start(**settings: Any) -> httpx.AsyncClient:
        client: httpx.AsyncClient = await connect(make_app(**{"authorized_keys_path": key_file} | settings))
        return client

    return start
