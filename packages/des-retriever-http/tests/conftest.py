"""Fixtures: a store in a folder, the service over it, and clients of it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from des_format.store import DesStore
from des_retriever_http import Settings, create_app
from fastapi import FastAPI


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the `store` is."""
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> DesStore:
    """An empty store."""
    return DesStore.init(folder)


@pytest.fixture
def make_app(store: DesStore, folder: Path) -> Callable[..., FastAPI]:
    """Make the service over the store; arguments are settings. The environment is not read."""

    def make(**settings: Any) -> FastAPI:
        usual = {"base_dir": folder, "manifest_ttl_seconds": 0.0}
        return create_app(Settings.read({}, **(usual | settings)))

    return make


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[FastAPI], Any]]:
    """Start applications in this event loop, and return clients of them; they stop after the test."""
    async with AsyncExitStack() as stack:

        async def connect(app: FastAPI) -> httpx.AsyncClient:
            await stack.enter_async_context(app.router.lifespan_context(app))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            return await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://des"))

        yield connect


@pytest.fixture
async def client(make_app: Callable[..., FastAPI], connect: Callable[[FastAPI], Any]) -> httpx.AsyncClient:
    """A client of the service over the store."""
    connected: httpx.AsyncClient = await connect(make_app())
    return connected


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application by HTTP from a thread of its own; gives its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise RuntimeError("the server has not started")
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def live_server() -> Callable[[FastAPI], Any]:
    """`serving`: a context manager that serves an application by HTTP."""
    return serving
