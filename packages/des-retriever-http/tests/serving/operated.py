"""The service as the command serves it, for tests in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from des_retriever_http import create_app
from des_retriever_http.app import Retriever
from des_retriever_http.serving.draining import Drain
from des_retriever_http.serving.operating import Operations, RetrieverSettings


def operated(folder: Path, drain: Drain | None = None, **settings: Any) -> tuple[Retriever, Operations]:
    """Make the service over a store in a folder; the environment is not read."""
    chosen = RetrieverSettings.read({}, base_dir=folder, manifest_ttl_seconds=0.0, **settings)
    app = create_app(chosen)
    assert isinstance(app, Retriever)
    return app, Operations(app, chosen, drain)


@asynccontextmanager
async def connected(app: Retriever) -> AsyncIterator[httpx.AsyncClient]:
    """Start it in this event loop; gives a client."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://des") as client,
    ):
        yield client


def value(text: str, series: str) -> float:
    """Return the value of a series in an answer of `/metrics`; 0 if it is not there."""
    found = [line.rpartition(" ")[2] for line in text.splitlines() if line.rpartition(" ")[0] == series]
    return float(found[0]) if found else 0.0
