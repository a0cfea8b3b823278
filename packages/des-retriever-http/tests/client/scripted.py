"""A server that answers as it is told, byte for byte, and closes its connection after each answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

__all__ = ["REFUSE", "Received", "Scripted", "answer", "problem", "scripted"]

# In place of an answer: the connection is closed without one.
REFUSE = b""


class Received(NamedTuple):
    """A request that came."""

    line: str
    headers: dict[str, str]
    body: bytes


class Scripted:
    """The server: its URL, and the requests that it got.

    Args:
        answers: For one request after the other; the last one also for all that follow.
    """

    def __init__(self, answers: Sequence[bytes]) -> None:
        self._answers = answers
        self.requests: list[Received] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                line = stream.readline().decode("latin-1").strip()
                if not line:
                    continue
                headers: dict[str, str] = {}
                while header := stream.readline().decode("latin-1").strip():
                    name, _, value = header.partition(":")
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", 0)))
                self.requests.append(Received(line, headers, body))
                with suppress(OSError):  # The client may have gone.
                    connection.sendall(self._answers[min(len(self.requests), len(self._answers)) - 1])

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def scripted(*answers: bytes) -> Iterator[Scripted]:
    """Start the server."""
    server = Scripted(answers)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def answer(status: int, body: bytes = b"", sent: int | None = None, /, **headers: str) -> bytes:
    """Return an answer.

    Args:
        status: Its status.
        body: Its body, which `Content-Length` counts.
        sent: How many bytes of it are sent; None for all.
        headers: Others; `_` in their names stands for `-`.
    """
    shown = {"Content-Length": str(len(body)), **{name.replace("_", "-"): text for name, text in headers.items()}}
    head = f"HTTP/1.1 {status} X\r\n" + "".join(f"{name}: {text}\r\n" for name, text in shown.items() if text)
    return f"{head}Connection: close\r\n\r\n".encode() + body[:sent]


def problem(status: int, code: str, detail: str = "why", headers: dict[str, str] | None = None, **extra: Any) -> bytes:
    """Return an answer that is an error."""
    body = json.dumps({"status": status, "code": code, "detail": detail, **extra}).encode()
    return answer(status, body, Content_Type="application/problem+json", **(headers or {}))
