"""The service with its console, over a store of its own, and what reached it."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvicorn
from des_retriever_http import create_app
from des_retriever_http.app import Retriever
from des_retriever_http.serving.operating import Operations, RetrieverSettings

from console.samples import DAY

DELETE_KEY = "the-key-that-deletes"
READER, EDITOR, HURRIED = "the-key-of-a-reader", "the-key-of-an-editor", "the-key-that-asks-once"
GRANTED: dict[str, dict[str, Any]] = {
    READER: {"permissions": ["read", "share"]},
    EDITOR: {"permissions": ["read", "write"]},
    HURRIED: {"permissions": ["read"], "max_requests_per_hour": 1},
}


@dataclass
class Request:
    """A request that reached the service, and how much of an answer left it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    status: int = 0
    sent_bytes: int = 0


@dataclass
class Site:
    """The service over a store of its own.

    Attributes:
        url: Its address.
        folder: The store.
        requests: Those that reached it.
    """

    url: str
    folder: Path
    requests: list[Request] = field(default_factory=list)

    def page(self, address: str = "#/") -> str:
        """The URL of a view of the console."""
        return f"{self.url}/ui/{address}"

    def file(self, uid: str, created_at: str = f"{DAY}T00:00:00Z") -> str:
        """The URL of the view of a file."""
        return self.page(f"#/file/{quote(uid, safe='')}?created_at={quote(created_at, safe='')}")

    def asked_for(self, part: str) -> list[Request]:
        """The requests whose path has a part."""
        return [request for request in self.requests if part in request.path]


def write_keys(path: Path) -> Path:
    """Write a document of credentials with the API keys of `GRANTED`."""
    keys = [
        {"id": key, "hash": f"sha256:{sha256(key.encode()).hexdigest()}"} | granted for key, granted in GRANTED.items()
    ]
    path.write_text(json.dumps({"api_keys": keys}), encoding="utf-8")
    return path


def recorded(app: Any, requests: list[Request]) -> Any:
    """An application that writes down what reaches it."""

    async def record(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode()
        request = Request(scope["method"], scope["raw_path"].decode("latin-1"), query, headers)
        requests.append(request)

        async def note(message: Any) -> None:
            request.status = message.get("status", request.status)
            request.sent_bytes += len(message.get("body", b""))
            await send(message)

        await app(scope, receive, note)

    return record


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Site]:
    """Serve a store from a thread of its own."""
    usual = {"base_dir": folder, "manifest_ttl_seconds": 0.0, "delete_api_key": DELETE_KEY, "locator_keys": "k" * 16}
    chosen = RetrieverSettings.read({}, **usual | settings)
    app = create_app(chosen)
    assert isinstance(app, Retriever)
    Operations(app, chosen)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        site = Site(f"http://127.0.0.1:{listener.getsockname()[1]}", folder)
        config = uvicorn.Config(recorded(app, site.requests), log_config=None, timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise RuntimeError("the service has not started")
                time.sleep(0.01)
            yield site
        finally:
            server.should_exit = True
            thread.join()
