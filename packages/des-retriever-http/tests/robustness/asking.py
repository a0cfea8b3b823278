"""Requests as bytes, to the service as it is served, and what is true of every answer."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import zstandard
from des_format.store import ArchiveOptions, DesStore, NewEntry, StoreOptions

from ..serving.operated import operated
from ..times import MORNING

AT = b"created_at=2025-11-25T08:00:00Z"
DELETE_KEY = "the-key-that-deletes"
LOCATOR_KEY = "a-key-for-locators-of-the-service"
PLAIN, ZSTD, BIG, EMPTY = "plain", "zstd", "big", "empty"
UIDS = [
    *(
        PLAIN,
        ZSTD,
        BIG,
        EMPTY,
        "a",
        "b",
        "a/b",
        "a//b",
        "/a",
        "a/",
        "/",
        "//",
        "meta",
        "a/meta",
        "a/meta/meta",
        "history",
    ),
    *(
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "../../etc/passwd",
        "%",
        "%2F",
        "a%2Fb",
        "%2e%2e",
        "%00",
        "a b",
        "a+b",
        "+",
    ),
    *("a?b", "?", "#", "a#b", "a;b", "a&b=c", "\\", "a\\b", "\n", "\r\n", "\t", "\x7f", " ", "é", "e\u0301", "☃", "𝒳"),
    *(
        "\ufeffa",
        "\u202ea",
        "\ufffd",
        "A",
        "x" * 500,
        "ż" * 500,
        "locator",
        "a/locator",
        "retention-policy",
        "C:\\a",
        '"',
    ),
]
CONTENTS = {
    **{uid: b"%d:" % number + Random(number).randbytes(50) for number, uid in enumerate(UIDS)},
    PLAIN: Random(1).randbytes(5000),
    ZSTD: b"the same words again and again\n" * 3000,
    BIG: Random(2).randbytes(300_000),
    EMPTY: b"",
}
FETCH_BYTES = 100_000  # BIG is sent piece by piece
STATUSES = {200, 201, 206, 304, 308, 400, 401, 403, 404, 405, 410, 412, 413, 414, 416, 422, 431}

_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+\Z")
_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
_RANGE = re.compile(rb"bytes (\d+)-(\d+)/(\d+)\Z")


@dataclass(frozen=True)
class Answer:
    """An answer as ASGI has it."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def check(self, method: str) -> None:
        """Check what is true of every answer: one that the service means, and that is well-formed."""
        assert self.status in STATUSES, (self.status, self.body[:300])
        for name, value in self.headers.items():
            assert _NAME.match(name), name
            assert _VALUE.match(value), value
        if method == "HEAD" or self.status == 304:
            return
        length = self.headers.get(b"content-length")
        assert length is None or int(length) == len(self.body)
        if self.status >= 400:
            assert self.headers[b"content-type"] == b"application/problem+json"
            problem = self.json()
            assert problem["status"] == self.status
            assert {"type", "title", "detail", "code", "request_id"} <= problem.keys()

    def shows(self, payload: bytes) -> None:
        """Check that every byte of a successful answer to a GET is the payload's, at its place."""
        if self.headers.get(b"content-encoding") == b"zstd":
            assert self.status == 200
            assert zstandard.ZstdDecompressor().decompressobj().decompress(self.body) == payload
        elif self.status == 200:
            assert self.body == payload
        elif self.status == 206:
            for content_range, data in self._parts():
                matched = _RANGE.match(content_range)
                assert matched, content_range
                start, last, size = map(int, matched.groups())
                assert size == len(payload)
                assert 0 <= start <= last < size
                assert data == payload[start : last + 1]

    def _parts(self) -> Iterable[tuple[bytes, bytes]]:
        if b"content-range" in self.headers:
            yield self.headers[b"content-range"], self.body
            return
        boundary = self.headers[b"content-type"].partition(b"multipart/byteranges; boundary=")[2]
        preamble, *parts, end = self.body.split(b"\r\n--" + boundary)
        assert (preamble, end) == (b"", b"--\r\n")
        assert len(parts) > 1
        for part in parts:
            head, _, data = part.partition(b"\r\n\r\n")
            yield head.rpartition(b"Content-Range: ")[2], data


class Asked:
    """The service over a store with `CONTENTS`, in an event loop of its own; it runs while its context is entered.

    Args:
        folder: For the store.
    """

    def __init__(self, folder: Path) -> None:
        options = StoreOptions(writing=ArchiveOptions(big_file_threshold=200_000))
        with DesStore.init(folder, n_bits=2, options=options) as store:
            entries = [NewEntry(uid, MORNING, payload, {"content_type": "x/y"}) for uid, payload in CONTENTS.items()]
            store.put_many(entries)
            self.tokens = [store.locator(uid, MORNING).encode(LOCATOR_KEY.encode()) for uid in ("a", "b")]
            self.unsigned = store.locator("a", MORNING).encode()
        self.app, _ = operated(folder, delete_api_key=DELETE_KEY, locator_keys=LOCATOR_KEY, fetch_bytes=FETCH_BYTES)
        self._runner = asyncio.Runner()
        self._running: AbstractAsyncContextManager[Any] = self.app.router.lifespan_context(self.app)

    def __enter__(self) -> Self:
        self._runner.run(self._running.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._running.__aexit__(None, None, None))
        self._runner.close()

    def ask(
        self,
        raw_path: bytes,
        query: bytes = AT,
        headers: Iterable[tuple[bytes, bytes]] = (),
        method: str = "GET",
        body: bytes = b"",
    ) -> Answer:
        """Make a request and return its answer, which is checked; nothing may be raised."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(raw_path.decode("latin-1")),
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": [(b"host", b"des"), *headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
        }
        answer = self._runner.run(self._exchange(scope, body))
        answer.check(method)
        return answer

    async def _exchange(self, scope: dict[str, Any], body: bytes) -> Answer:
        incoming = [{"type": "http.request", "body": body, "more_body": False}]
        starts: list[Any] = []
        pieces: list[bytes] = []
        is_over = asyncio.Event()

        async def receive() -> Any:
            if not incoming:
                await is_over.wait()
                return {"type": "http.disconnect"}
            return incoming.pop()

        async def send(message: Any) -> None:
            assert not is_over.is_set(), "something was sent behind the end"
            if message["type"] == "http.response.start":
                assert not starts, "an answer began twice"
                starts.append(message)
                return
            assert starts, "a body came before its head"
            pieces.append(bytes(message.get("body", b"")))
            if not message.get("more_body", False):
                is_over.set()

        await self.app(scope, receive, send)
        assert is_over.is_set(), "the answer has no end"
        names = [name for name, _value in starts[0]["headers"]]
        assert len(names) == len(set(names)), names
        return Answer(starts[0]["status"], dict(starts[0]["headers"]), b"".join(pieces))
