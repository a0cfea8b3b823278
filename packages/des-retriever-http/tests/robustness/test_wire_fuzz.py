"""Bytes on the wire that are no HTTP, or hardly: the command goes on, and says nothing that is not HTTP."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import pytest
from des_format.store import DesStore

from ..serving.test_command import running
from ..times import MORNING

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the signals of POSIX")

GET = b"GET /files/a?created_at=2025-11-25T08:00:00Z HTTP/1.1\r\nHost: des\r\nRange: bytes=0-3\r\n\r\n"
POST = b"POST /files/a/locator?created_at=2025-11-25T08:00:00Z HTTP/1.1\r\nHost: des\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"POST /nowhere HTTP/1.1\r\nHost: des\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
LAST = b"\r\n\r\nGET /health HTTP/1.1\r\nHost: des\r\nConnection: close\r\n\r\n"
LINES = [
    *(b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 99999999999999999999999", b"X: " + b"9" * 5000),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: x, chunked", b"Expect: 100-continue", b"Upgrade: h2c"),
    *(b"Connection: close", b"Connection: upgrade", b"Host: b", b" folded", b"0\r\n", b"f" * 18, b"PRI * HTTP/2.0\r\n"),
]
PIECES = [
    *(line + b"\r\n" for line in LINES),
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"/", b"//", b"%", b"%00", b"\xff", b"\xe2\x98\x83", b"?", b"#"),
    *(b"GET ", b"CONNECT a:1 ", b"HTTP/", b"\x16\x03\x01\x02\x00\x01\x00", b"http://x/", b"*"),
]
PATIENCE_SECONDS = 0.2
ANSWERS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


def changed(dice: Random) -> bytes:
    """A request, or two behind each other, with some pieces put in, taken out, or doubled."""
    data = b"".join(dice.choices([GET, POST, CHUNKED], k=dice.choice([1, 1, 2])))
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(data) + 1)
        end = min(len(data), at + dice.choice([0, 0, 1, 5, 20]))
        data = data[:at] + dice.choice([dice.choice(PIECES), b"", data[at:end] * 2, dice.randbytes(2)]) + data[end:]
    return data


def exchange(url: str, data: bytes) -> bytes:
    """Send bytes, and end them when nothing comes any more; return everything that came."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=PATIENCE_SECONDS) as connection:
        answer = b""
        try:
            connection.sendall(data)
            while piece := _received(connection):
                answer += piece
        except ConnectionError:
            pass  # the service need not read what comes behind nonsense
        return answer


def _received(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except TimeoutError:
        # It waits for more: for the rest of a body, for instance. Without one it must end the connection.
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(20)
        return connection.recv(65536)


def test_any_bytes_on_the_wire(store: DesStore, folder: Path) -> None:
    store.put("a", MORNING, b"0123456789")
    with running(folder) as (process, client):
        url = str(client.base_url)
        assert b"\r\n\r\n0123HTTP/1.1 200 OK\r\n" in exchange(url, GET + LAST.lstrip())
        seen: set[bytes] = set()
        for seed in range(500):
            data = changed(Random(seed)) + LAST
            answer = exchange(url, data)
            assert answer == b"" or ANSWERS.match(answer), (seed, data, answer)
            statuses = ANSWERS.findall(answer)
            assert b"500" not in statuses, (seed, data, answer)
            seen.update(statuses)
        assert {b"200", b"206", b"400", b"404"} <= seen
        assert process.poll() is None
        assert client.get("/health/ready").status_code == 200
    assert "Traceback" not in (folder.parent / "output").read_text()
