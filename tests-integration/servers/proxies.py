"""A proxy between an HTTP client and one server, which keeps a list of what passed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

from servers.http1 import HEAD_BYTES, Framing, Head, read_body, read_head
from servers.s3 import s3_kind


@dataclass
class Seen:
    """A request that reached the proxy.

    Attributes:
        number: From 0, in the order of arrival.
        kind: What it is for, for instance `get_range`; see `s3_kind`.
        status: What the client was answered, or would have been (`LostReply`); None if the server was not asked.
        fault: What the proxy did to it; None if nothing.
        request_bytes: Length of its body so far, as it came over the wire.
        response_bytes: Length of the answer's body that was passed on so far.
    """

    number: int
    method: str
    target: str
    kind: str
    status: int | None = None
    fault: object = None
    request_bytes: int = 0
    response_bytes: int = 0


class Sink(Protocol):
    """Where an answer goes."""

    async def head(self, head: Head) -> None: ...

    async def body(self, data: bytes) -> None: ...


class Stream:
    """Both directions of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


class ToClient:
    """Passes an answer on as it is."""

    def __init__(self, client: Stream, seen: Seen) -> None:
        self._client = client
        self._seen = seen

    async def head(self, head: Head) -> None:
        await self._client.send(head.encode())

    async def body(self, data: bytes) -> None:
        self._seen.response_bytes += len(data)
        await self._client.send(data)


class Connection:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(self, client: Stream, host: str, port: int) -> None:
        self.client = client
        self._address = (host, port)
        self._server: Stream | None = None

    async def _connected(self) -> Stream:
        # A server may end a connection that was idle; then the next request gets a new one.
        if self._server is None or self._server.reader.at_eof() or self._server.writer.is_closing():
            self._disconnect()
            self._server = Stream(*await asyncio.open_connection(*self._address, limit=HEAD_BYTES))
        return self._server

    def _disconnect(self) -> None:
        if self._server is not None:
            self._server.writer.close()
            self._server = None

    def close(self) -> None:
        self._disconnect()
        self.client.writer.close()

    async def receive_body(self, head: Head, seen: Seen, server: Stream | None) -> None:
        """Read a request's body and pass it on to the server, if there is one."""
        body = head.request_body()
        if body != 0 and (head.get("expect") or "").lower() == "100-continue":
            # Answered here: the server need not know, and a client that waits for it does not wait in vain.
            await self.client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        async for data in read_body(self.client.reader, body):
            seen.request_bytes += len(data)
            if server is not None:
                await server.send(data)

    async def exchange(self, head: Head, seen: Seen, sink: Sink) -> bool:
        """Pass a request on and its answer back; return whether the client's connection can go on.

        Raises:
            ConnectionError: One side went away.
        """
        server = await self._connected()
        await server.send(head.without("expect").encode())
        sending = asyncio.create_task(self.receive_body(head, seen, server))
        try:
            answer = await self._answer(server)
            body = answer.response_body(head.method)
            seen.status = answer.status
            await sink.head(answer)
            async for data in read_body(server.reader, body):
                await sink.body(data)
            # A server can answer before it has read the request; what is left of that has no use.
            is_whole = sending.done() and sending.exception() is None
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await sending
        goes_on = is_whole and answer.is_persistent and body is not Framing.UNTIL_CLOSE
        if not goes_on:
            self._disconnect()
        return goes_on and head.is_persistent

    async def _answer(self, server: Stream) -> Head:
        while True:
            head = await read_head(server.reader)
            if head is None:
                raise ConnectionResetError("the server ended the connection without an answer")
            if head.status >= 200:
                return head


class CountingProxy:
    """Counts the requests to one server.

    It listens on a free port of the loopback interface, keeps connections alive, and holds no more of a body than a
    chunk. It runs in a thread of its own while its context is entered. Requests pass unchanged, with the `Host` that
    the client sent (signatures stay right); only `Expect: 100-continue` is answered by the proxy.

    Args:
        upstream: URL of the server, without a path.
        kind_of: Names what a request is for.
    """

    def __init__(self, upstream: str, kind_of: Callable[[Head], str] = s3_kind) -> None:
        url = urlsplit(upstream)
        self._address = (url.hostname or "", url.port or 80)
        self._kind_of = kind_of
        self._lock = threading.Lock()
        self._requests: list[Seen] = []
        self._connection_count = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        started: threading.Event = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(started)), name="proxy", daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def requests(self) -> list[Seen]:
        """What arrived since the last `reset`, in this order. A request is here before its answer is at the client."""
        with self._lock:
            return list(self._requests)

    @property
    def kinds(self) -> Counter[str]:
        return Counter(seen.kind for seen in self.requests)

    @property
    def methods(self) -> Counter[str]:
        return Counter(seen.method for seen in self.requests)

    @property
    def connection_count(self) -> int:
        with self._lock:
            return self._connection_count

    def reset(self) -> None:
        """Start counting anew; numbers begin at 0 again."""
        with self._lock:
            self._requests.clear()
            self._connection_count = 0

    async def handle(self, connection: Connection, head: Head, seen: Seen) -> bool:
        """Do with a request what is to be done; return whether its connection can go on."""
        return await connection.exchange(head, seen, ToClient(connection.client, seen))

    async def _main(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=HEAD_BYTES, backlog=256)
        self._port: int = server.sockets[0].getsockname()[1]
        started.set()
        await self._stop.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # closed transports say so in the next round of the loop

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with self._lock:
            self._connection_count += 1
        connection = Connection(Stream(reader, writer), *self._address)
        try:
            await self._serve(connection)
        except (OSError, asyncio.CancelledError):
            pass  # one side went away, or the proxy stops: what is left is to close
        finally:
            connection.close()
            self._tasks.discard(task)

    async def _serve(self, connection: Connection) -> None:
        goes_on = True
        while goes_on and (head := await read_head(connection.client.reader)) is not None:
            with self._lock:
                seen = Seen(len(self._requests), head.method, head.target, self._kind_of(head))
                self._requests.append(seen)
            goes_on = await self.handle(connection, head, seen)
