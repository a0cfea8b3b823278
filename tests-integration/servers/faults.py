"""A proxy that breaks what passes: what it does is written in advance, or follows from a seed."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from servers.http1 import Head
from servers.proxies import Connection, CountingProxy, Seen, Stream, ToClient
from servers.s3 import s3_kind


@dataclass(frozen=True)
class Latency:
    """The request waits before it is passed on."""

    seconds: float


@dataclass(frozen=True)
class Reset:
    """The connection is reset before the server sees the request."""


@dataclass(frozen=True)
class Cut:
    """The connection ends within the answer, after its head and that many bytes of its body.

    An answer whose body is not longer passes whole and counts as no fault. With `is_reset`, the end is a reset, and
    bytes before it may get lost too.
    """

    after_bytes: int = 0
    is_reset: bool = False


@dataclass(frozen=True)
class LostReply:
    """The server does what it was asked for; its answer gets lost, and the connection is reset."""


@dataclass(frozen=True)
class Answer:
    """The proxy answers an error, in the server's place."""

    status: int = 503


@dataclass(frozen=True)
class Trickle:
    """The answer's body comes in small pieces with pauses between them."""

    piece_bytes: int = 1024
    pause_seconds: float = 0.01


Fault = Latency | Reset | Cut | LostReply | Answer | Trickle
Schedule = Callable[[Seen], Fault | None]

CODES = {500: "InternalError", 503: "SlowDown"}


class SeededFaults:
    """A schedule in which the n-th request always meets the same fault, or none, whatever came before it.

    Args:
        seed: Another seed, another schedule.
        rate: Share of requests that meet a fault, 0 to 1.
        faults: Of which one is chosen, each as likely.
        kinds: Only requests of these kinds meet faults; None: all.
    """

    def __init__(self, seed: int, rate: float, faults: Sequence[Fault], kinds: Iterable[str] | None = None) -> None:
        self._seed = seed
        self._rate = rate
        self._faults = tuple(faults)
        self._kinds = None if kinds is None else frozenset(kinds)

    def __call__(self, seen: Seen) -> Fault | None:
        if self._kinds is not None and seen.kind not in self._kinds:
            return None
        dice = random.Random(f"{self._seed} {seen.number}")
        return dice.choice(self._faults) if dice.random() < self._rate else None


class HangUpError(ConnectionError):
    """The proxy ends the connection on purpose."""

    def __init__(self, is_reset: bool) -> None:
        self.is_reset = is_reset


class CutToClient(ToClient):
    def __init__(self, client: Stream, seen: Seen, cut: Cut) -> None:
        super().__init__(client, seen)
        self._cut = cut

    async def body(self, data: bytes) -> None:
        room = self._cut.after_bytes - self._seen.response_bytes
        if len(data) <= room:
            await super().body(data)
            return
        self._seen.fault = self._cut
        await super().body(data[:room])
        raise HangUpError(self._cut.is_reset)


class TrickleToClient(ToClient):
    def __init__(self, client: Stream, seen: Seen, trickle: Trickle) -> None:
        super().__init__(client, seen)
        self._trickle = trickle

    async def body(self, data: bytes) -> None:
        size = self._trickle.piece_bytes
        for start in range(0, len(data), size):
            await super().body(data[start : start + size])
            await asyncio.sleep(self._trickle.pause_seconds)


class Nowhere:
    async def head(self, head: Head) -> None: ...

    async def body(self, data: bytes) -> None: ...


class FaultProxy(CountingProxy):
    """Breaks requests to one server, and counts them like `CountingProxy`.

    Args:
        upstream: URL of the server, without a path.
        schedule: Says what happens to a request for which nothing was injected.
        kind_of: Names what a request is for.
    """

    def __init__(
        self, upstream: str, schedule: Schedule | None = None, kind_of: Callable[[Head], str] = s3_kind
    ) -> None:
        super().__init__(upstream, kind_of)
        self.schedule = schedule
        self._injected: list[tuple[Fault, str | None]] = []

    def inject(self, fault: Fault, times: int = 1, kind: str | None = None) -> None:
        """Let the next requests (of a kind) meet a fault, in the order of the calls."""
        with self._lock:
            self._injected += [(fault, kind)] * times

    @property
    def pending_count(self) -> int:
        """How many injected faults have not met their request yet."""
        with self._lock:
            return len(self._injected)

    def reset(self) -> None:
        """Start counting anew, and forget what is injected."""
        super().reset()
        with self._lock:
            self._injected.clear()

    async def handle(self, connection: Connection, head: Head, seen: Seen) -> bool:
        fault = self._fault_of(seen)
        seen.fault = None if isinstance(fault, Cut) else fault  # a cut counts when it happens
        try:
            return await self._break(fault, connection, head, seen)
        except HangUpError as hang_up:
            if hang_up.is_reset:
                _reset(connection.client)
            return False

    def _fault_of(self, seen: Seen) -> Fault | None:
        with self._lock:
            for index, (fault, kind) in enumerate(self._injected):
                if kind is None or kind == seen.kind:
                    del self._injected[index]
                    return fault
        return self.schedule(seen) if self.schedule else None

    async def _break(self, fault: Fault | None, connection: Connection, head: Head, seen: Seen) -> bool:
        client = connection.client
        match fault:
            case None:
                return await super().handle(connection, head, seen)
            case Latency(seconds):
                await asyncio.sleep(seconds)
                return await super().handle(connection, head, seen)
            case Reset():
                raise HangUpError(is_reset=True)
            case Cut():
                return await connection.exchange(head, seen, CutToClient(client, seen, fault))
            case Trickle():
                return await connection.exchange(head, seen, TrickleToClient(client, seen, fault))
            case LostReply():
                await connection.exchange(head, seen, Nowhere())
                raise HangUpError(is_reset=True)
            case Answer(status):
                await connection.receive_body(head, seen, None)
                seen.status = status
                await client.send(_error(status, head.method))
                return head.is_persistent


def _error(status: int, method: str) -> bytes:
    code = CODES.get(status, "Error")
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>injected</Message></Error>'
    fields = (("Content-Type", "application/xml"), ("Content-Length", str(len(body))))
    return Head(f"HTTP/1.1 {status} {code}", fields).encode() + (b"" if method == "HEAD" else body.encode())


def _reset(client: Stream) -> None:
    linger = struct.pack("ii", 1, 0)  # closing then throws away what is unsent, and says so to the other side
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    client.writer.transport.abort()
