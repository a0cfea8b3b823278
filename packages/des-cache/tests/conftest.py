"""Fixtures of all tests: a clock, a server, and clients of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis
import redis.asyncio

from .clock import Clock
from .server import Server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("valkey"), "--maxmemory-policy", "noeviction")
    yield server
    server.kill()


@pytest.fixture
def server(running_server: Server) -> Server:
    """A server that runs and is empty; a test may kill it."""
    running_server.start()
    with redis.Redis(port=running_server.port) as client:
        client.flushall()
        client.config_set("maxmemory", 0)
    return running_server


@pytest.fixture(params=[False, True], ids=["bytes", "decoded"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    """A client, with and without decoding of responses."""
    with redis.Redis(port=server.port, decode_responses=request.param) as client:
        yield client


@pytest.fixture(params=[False, True], ids=["bytes", "decoded"])
async def async_client(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Any]:
    async with redis.asyncio.Redis(port=server.port, decode_responses=request.param) as client:
        yield client
