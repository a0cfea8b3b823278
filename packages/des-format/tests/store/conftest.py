"""Fixtures of the store's tests: object stores of every kind, and both ways to use a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.store import AsyncDesStore, DesStore
from obstore.store import MemoryStore

from .bridge import Bridge


@pytest.fixture(params=["memory", "local", "obstore"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """An object store, empty; with the methods of both ports."""
    if request.param == "memory":
        return MemoryObjectStore()
    return LocalObjectStore(tmp_path / "objects", create=True) if request.param == "local" else MemoryStore()


@pytest.fixture
def loop() -> Iterator[asyncio.Runner]:
    """Where asynchronous stores run."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(params=["sync", "async"])
def open_any(request: pytest.FixtureRequest, loop: asyncio.Runner) -> Callable[..., Any]:
    """Open a store in an object store, either way; `make=True` makes it first."""

    def open_(objects: Any, *, make: bool = False, **options: Any) -> Any:
        if request.param == "sync":
            return (DesStore.init if make else DesStore.open)(objects, **options)
        opening = AsyncDesStore.init if make else AsyncDesStore.open
        return Bridge(loop.run(opening(objects, **options)), loop)

    return open_


@pytest.fixture
def store(objects: Any, open_any: Callable[..., Any]) -> Any:
    """A new store of 16 shards a day."""
    return open_any(objects, make=True, n_bits=4)


@pytest.fixture
def morning() -> datetime:
    return datetime(2025, 11, 25, 10, 0, tzinfo=UTC)
