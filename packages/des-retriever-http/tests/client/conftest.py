"""Fixtures: both clients, of the service over the store, or of anything else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from .either import Either

KEY = "the-published-key"


@pytest.fixture(params=["sync", "async"])
async def connected(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Either]]:
    """Make a client of a URL; it is closed after the test."""
    made: list[Either] = []

    def connected(url: str, **arguments: Any) -> Either:
        made.append(Either(request.param, url, **arguments))
        return made[-1]

    yield connected
    for one in made:
        await one.close()


@pytest.fixture
def url(make_app: Callable[..., FastAPI], live_server: Callable[[FastAPI], Any]) -> Iterator[str]:
    """Where the service over the store is. It deletes for who has `KEY`, and makes links."""
    small = {"fetch_bytes": 2**16, "stream_memory_bytes": 2**20}
    app = make_app(delete_api_key=KEY, locator_keys="a-key-that-signs-links", **small)
    with live_server(app) as url:
        yield url


@pytest.fixture
def either(connected: Callable[..., Either], url: str) -> Either:
    """A client of the service over the store."""
    return connected(url)
