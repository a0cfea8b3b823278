"""Providers of tokens that answer late, or with something else than keys."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from des_format.errors import UnavailableError
from des_retriever_http.security.jwks import KeySet

KEY = '{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "%s", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'


def whole(body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@pytest.fixture
def provide() -> Iterator[tuple[list[bytes], threading.Event, str]]:
    """What a server sends, one after the other, and not before the event is set; and its URL."""
    answers: list[bytes] = []
    may_answer = threading.Event()
    may_answer.set()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            may_answer.wait(10)
            self.wfile.write(answers.pop(0))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield answers, may_answer, f"http://127.0.0.1:{server.server_address[1]}/keys"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"no HTTP\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        whole("[" * 100_000),
        whole('{"keys": ["text"]}'),
        whole('{"keys": [null]}'),
        whole('{"keys": 7}'),
        whole("[]"),
        whole("null"),
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 0\r\n\r\n",
        whole('{"keys": [{"kty": "RSA", "kid": [], "n": "AQAB", "e": "AQAB"}]}'),
    ],
)
async def test_known_keys_stay_good_whatever_the_provider_answers(provide: Any, answer: bytes) -> None:
    answers, _may_answer, url = provide
    now = 0.0
    keys = KeySet("https://issuer", url, clock=lambda: now)
    answers[:] = [answer, whole(KEY % "a"), answer]
    with pytest.raises(UnavailableError):
        await keys.get("a")
    now = 20.0
    assert await keys.get("a") is not None
    now = 1000.0
    assert await keys.get("a") is not None
    assert answers == []


async def test_who_comes_while_the_keys_are_fetched_waits_for_them(provide: Any) -> None:
    answers, may_answer, url = provide
    now = 0.0
    keys = KeySet("https://issuer", url, clock=lambda: now)
    answers[:] = [whole(KEY % "a"), whole(KEY % "b")]
    for kid in ("a", "b"):
        may_answer.clear()
        waiting = [asyncio.create_task(keys.get(kid)) for _ in range(3)]
        await asyncio.sleep(0)
        may_answer.set()
        assert None not in await asyncio.gather(*waiting)
        now += 20.0
    assert answers == []
