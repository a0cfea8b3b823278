"""Load from wrk, as much as a server takes, and load at a rate of our own, which tells latencies."""

from __future__ import annotations

import asyncio
import gc
import re
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import uvloop

__all__ = ["CONNECTIONS", "INSTALL", "Latency", "at_rate", "missing", "requests_per_second"]

INSTALL = "there is no wrk: `apt-get install wrk` (Debian, Ubuntu), `dnf install wrk`, `brew install wrk`"
CONNECTIONS = 32

# Each request is for the next of all paths, which are written once, so that wrk costs little.
_SCRIPT = """\
local requests = {}
local at = 0
function init(args)
  for path in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
end
function request()
  at = at % #requests + 1
  return requests[at]
end
"""
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


class Latency(NamedTuple):
    """Latencies in seconds.

    Attributes:
        by: Who measured them.
        behind: Share of the requests for which no connection was free when they were due: the service, or the
            machine, did not keep up.
    """

    p50: float
    p99: float
    by: str
    behind: float = 0.0


def missing() -> str | None:
    """Say how to install what load needs; None if it is there."""
    return None if shutil.which("wrk") else INSTALL


def _run(program: str, url: str, paths: Path, seconds: float, *options: str) -> str:
    """Run wrk, or wrk2.

    Raises:
        RuntimeError: Not every answer was what it should be.
    """
    script = paths.with_suffix(".lua")
    script.write_text(_SCRIPT, encoding="utf-8")
    command = [program, "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency", *options]
    done = subprocess.run(
        [*command, "-s", str(script), url, "--", str(paths)], capture_output=True, text=True, check=True
    )
    for complaint in ("Non-2xx", "Socket errors"):
        if complaint in done.stdout:
            raise RuntimeError(f"{url} did not answer all requests of {program}:\n{done.stdout}")
    return done.stdout


def requests_per_second(url: str, paths: Path, seconds: float) -> float:
    """Ask as fast as a server answers.

    Args:
        url: Of the server.
        paths: File with the path of a request in each line.
        seconds: How long.
    """
    found = re.search(r"Requests/sec:\s+([\d.]+)", _run("wrk", url, paths, seconds))
    if found is None:
        raise RuntimeError("wrk does not tell how many requests it made")
    return float(found[1])


def at_rate(url: str, paths: Path, rate: float, seconds: float) -> Latency:
    """Ask at a rate, however long answers take: by wrk2 if it is installed, else by a client of our own.

    A request that had to wait for a connection counts from when it should have been sent.
    """
    if shutil.which("wrk2"):
        told = _run("wrk2", url, paths, seconds, f"-R{round(rate)}")
        percentiles = dict(re.findall(r"^\s*(50|99)(?:\.000)?%\s+(\S+)$", told, re.MULTILINE))
        return Latency(_seconds(percentiles["50"]), _seconds(percentiles["99"]), "wrk2")
    loop = _OpenLoop(url, paths.read_text(encoding="ascii").splitlines())
    found = uvloop.run(loop.run(rate, seconds))
    cuts = quantiles(found, n=100)
    return Latency(cuts[49], cuts[98], "an open loop in Python", loop.behind_count / len(found))


def _seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]


class _Connection(asyncio.Protocol):
    """Sends one request at a time; `done` is called when its answer is complete."""

    def __init__(self, owner: _OpenLoop) -> None:
        self._owner = owner
        self._due_at = 0.0
        self._missing = -1
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # that of uvloop is no subclass

    def ask(self, request: bytes, due_at: float) -> None:
        self._due_at, self._missing, self._head = due_at, -1, b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self._missing < 0:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200 "):
                raise RuntimeError(f"an answer begins with {head[:60]!r}")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            assert length is not None
            self._missing = int(length[1])
        self._missing -= len(data)
        if self._missing == 0:
            self._owner.done(self, self._due_at)


async def _until(due_at: float) -> None:
    """Wait for a time. Timers are late by up to a millisecond; rounds of the loop, in which answers come, are not."""
    while (ahead := due_at - time.perf_counter()) > 0:  # noqa: ASYNC110  # no event tells the time
        await asyncio.sleep(ahead - 0.001 if ahead > 0.002 else 0)


class _OpenLoop:
    """Requests at fixed times, over as many connections as wrk has."""

    def __init__(self, url: str, paths: Sequence[str]) -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._requests = [f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode() for path in paths]
        self._free: deque[_Connection] = deque()
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._latencies: list[float] = []
        self._count = 0
        self.behind_count = 0
        self._is_over = asyncio.Event()

    def done(self, connection: _Connection, due_at: float) -> None:
        self._latencies.append(time.perf_counter() - due_at)
        if len(self._latencies) == self._count:
            self._is_over.set()
        if self._waiting:
            connection.ask(*self._waiting.popleft())
        else:
            self._free.append(connection)

    async def run(self, rate: float, seconds: float) -> list[float]:
        """Return the latency of each request."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(lambda: _Connection(self), *self._address)
            self._free.append(connection)
        self._count = max(100, round(rate * seconds))
        gc.disable()  # a pause of the client is none of the server
        began_at = time.perf_counter()
        try:
            for number in range(self._count):
                due_at = began_at + number / rate
                await _until(due_at)
                request = self._requests[number % len(self._requests)]
                if self._free:
                    self._free.popleft().ask(request, due_at)
                else:
                    self.behind_count += 1
                    self._waiting.append((request, due_at))
            await self._is_over.wait()
        finally:
            gc.enable()
            for connection in self._free:
                connection.transport.close()
        return self._latencies
