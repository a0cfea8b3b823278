"""A proxy whose connections break after so many bytes of an answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

__all__ = ["Cutting", "cutting"]


class Cutting:
    """The proxy: its URL, and how many connections it had.

    Args:
        upstream: The service behind it.
        cuts: After how many bytes the first connections break; others hold.
    """

    def __init__(self, upstream: str, cuts: Sequence[int]) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname, parts.port)
        self._cuts = list(cuts)
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                break
            cut = self._cuts[self.connections] if self.connections < len(self._cuts) else None
            self.connections += 1
            service = socket.create_connection(self._upstream)
            for source, target, limit in ((client, service, None), (service, client, cut)):
                thread = threading.Thread(target=_pump, args=(source, target, limit))
                thread.start()
                self._threads.append(thread)
        for thread in self._threads:
            thread.join()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def cutting(upstream: str, *cuts: int) -> Iterator[Cutting]:
    """Start the proxy. Clients must be closed before it is stopped."""
    proxy = Cutting(upstream, cuts)
    thread = threading.Thread(target=proxy.serve)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()


def _pump(source: socket.socket, target: socket.socket, limit: int | None) -> None:
    with suppress(OSError):
        while data := source.recv(2**14 if limit is None else min(limit, 2**14)):
            target.sendall(data)
            if limit is not None and (limit := limit - len(data)) <= 0:
                break
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
    source.close()
