"""A loopback HTTP proxy in front of a server: it counts requests, and fails as planned."""

# ruff: noqa: N815 the base names the methods that serve requests

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from des_s3.checksums import crc32c

Kind = Literal["reset", "lose_reply", "cut_body", "status", "delay"]


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    size: int

    @property
    def operation(self) -> str:
        """The name by which tests count it."""
        if self.method == "GET" and "list-type" in self.query:
            return "LIST"
        if "uploadId" in self.query or "uploads" in self.query:
            if self.method == "POST":
                return "CREATE" if "uploads" in self.query else "COMPLETE"
            return {"PUT": "PART", "DELETE": "ABORT"}.get(self.method, self.method)
        return self.method


@dataclass
class Fault:
    """Fails the next `times` requests that match, after letting `skip` of them pass."""

    kind: Kind
    operation: str
    times: int = 1
    skip: int = 0
    status: int = 503
    code: str = "SlowDown"
    after_bytes: int = 0
    seconds: float = 0.0
    hits: int = field(default=0, init=False)


class Checksums:
    """Verifies CRC32C of objects, of parts, and that an upload is completed with those of its parts."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str], str] = {}
        self.verified: Counter[str] = Counter()

    def hold(self, request: Request, body: bytes) -> bool:
        """Whether what a request says of its body is true."""
        if request.operation == "COMPLETE":
            return self._are_those_of_parts(request.query["uploadId"][0], body)
        said = request.headers.get("x-amz-checksum-crc32c")
        if said is None:
            return True
        if request.operation == "PART":
            self._parts[request.query["uploadId"][0], request.query["partNumber"][0]] = said
        self.verified[request.operation] += 1
        return said == crc32c(body)

    def _are_those_of_parts(self, upload_id: str, body: bytes) -> bool:
        said = {}
        for part in re.findall(rb"<Part>.*?</Part>", body, re.DOTALL):
            number, checksum = (
                re.search(rb"<%s>(.*?)</%s>" % (name, name), part) for name in (b"PartNumber", b"ChecksumCRC32C")
            )
            if number is not None and checksum is not None:
                said[upload_id, number[1].decode()] = checksum[1].decode()
        return said == {place: known for place, known in self._parts.items() if place[0] == upload_id}


class Proxy:
    """The proxy.

    `rewrite` may change a request's headers, or answer it with a status, `damage` its body, `rewrite_body` the answer.
    With `checksums`, it verifies CRC32C as AWS does, and moto does not.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.rewrite: Callable[[Request], int | None] = lambda request: None
        self.rewrite_body: Callable[[Request, bytes], bytes] = lambda request, body: body
        self.damage: Callable[[Request, bytes], bytes] = lambda request, body: body
        self.checksums: Checksums | None = None
        self._lock = threading.Lock()
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Count the operations of a block."""
        first = len(self.requests)
        counts: Counter[str] = Counter()
        yield counts
        counts.update(request.operation for request in self.requests[first:])

    def fail(self, kind: Kind, operation: str, **options: Any) -> Fault:
        fault = Fault(kind, operation, **options)
        self.faults.append(fault)
        return fault

    def meet(self, request: Request) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.operation != request.operation:
                    continue
                if fault.skip:
                    fault.skip -= 1
                elif fault.hits < fault.times:
                    fault.hits += 1
                    return fault
        return None


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that end early are what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Proxy

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(parts.query, keep_blank_values=True)
        request = Request(self.command, unquote(parts.path), query, headers, len(body))
        fault = self.owner.meet(request)
        status = self.owner.rewrite(request)
        if fault is not None:
            time.sleep(fault.seconds)
            if fault.kind == "reset":
                return self._reset()
            if fault.kind == "status":
                return self._refuse(fault.status, fault.code)
        if status is not None:
            return self._refuse(status, "PreconditionFailed" if status == 412 else "AccessDenied")
        body = self.owner.damage(request, body)
        if self.owner.checksums is not None and not self.owner.checksums.hold(request, body):
            return self._refuse(400, "BadDigest")
        return self._forward(request, body, fault)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def _forward(self, request: Request, body: bytes, fault: Fault | None) -> None:
        connection = http.client.HTTPConnection(*self.owner.upstream, timeout=60)
        try:
            dropped = ("connection", "expect")
            headers = {name: value for name, value in request.headers.items() if name not in dropped}
            connection.request(self.command, self.path, body=body or None, headers=headers)
            answer = connection.getresponse()
            data = self.owner.rewrite_body(request, answer.read())
        finally:
            connection.close()
        if fault is not None and fault.kind == "lose_reply":
            return self._reset()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        if answer.status not in (204, 304):
            size = answer.headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", size)
        self.end_headers()
        if fault is not None and fault.kind == "cut_body":
            self.wfile.write(data[: fault.after_bytes])
            self.wfile.flush()
            time.sleep(0.05)
            return self._reset()
        if self.command != "HEAD":
            self.wfile.write(data)
        return None

    def _refuse(self, status: int, code: str) -> None:
        text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>planned</Message></Error>".encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Closing it here, before the handler's own orderly shutdown, is what sends the reset.
        self.connection.close()
        self.wfile = _Nowhere()  # type: ignore[assignment]

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Nowhere:
    closed = True

    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass
