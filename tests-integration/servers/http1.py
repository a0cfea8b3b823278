"""As much of HTTP/1.1 as a proxy needs: heads, and where bodies end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

CHUNK_BYTES: Final = 65536
HEAD_BYTES: Final = 65536
"""Longer heads are refused."""


class Framing(Enum):
    CHUNKED = "chunked"
    UNTIL_CLOSE = "until close"


@dataclass(frozen=True)
class Head:
    """The head of a message: its first line, and fields in their order and spelling."""

    start: str
    fields: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, data: bytes) -> Head:
        start, *lines = data.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        return cls(start, tuple((name.strip(), value.strip()) for name, _, value in pairs))

    def get(self, name: str) -> str | None:
        return next((value for field, value in self.fields if field.lower() == name.lower()), None)

    def without(self, name: str) -> Head:
        return Head(self.start, tuple(pair for pair in self.fields if pair[0].lower() != name.lower()))

    def encode(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.fields)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    @property
    def method(self) -> str:
        return self.start.split(" ")[0]

    @property
    def target(self) -> str:
        return self.start.split(" ")[1]

    @property
    def status(self) -> int:
        return int(self.start.split(" ")[1])

    @property
    def is_persistent(self) -> bool:
        """Whether the connection may carry another message after this one."""
        options = (self.get("connection") or "").lower()
        return "keep-alive" in options if "HTTP/1.0" in self.start else "close" not in options

    def request_body(self) -> int | Framing:
        """Return the length of the body of this request, or how it ends."""
        if "chunked" in (self.get("transfer-encoding") or "").lower():
            return Framing.CHUNKED
        return int(self.get("content-length") or 0)

    def response_body(self, method: str) -> int | Framing:
        """Return the length of the body of this response to a request of that method, or how it ends."""
        if method == "HEAD" or self.status in {204, 304} or self.status < 200:
            return 0
        if "chunked" in (self.get("transfer-encoding") or "").lower():
            return Framing.CHUNKED
        length = self.get("content-length")
        return Framing.UNTIL_CLOSE if length is None else int(length)


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read a head; None if the connection was closed before one began.

    Raises:
        ConnectionError: It was closed within the head.
    """
    try:
        return Head.parse(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ConnectionResetError("closed within a head") from error
        return None


async def _exactly(reader: asyncio.StreamReader, length: int) -> AsyncIterator[bytes]:
    while length:
        data = await reader.read(min(length, CHUNK_BYTES))
        if not data:
            raise ConnectionResetError(f"closed {length} bytes before the end of a body")
        length -= len(data)
        yield data


async def _line(reader: asyncio.StreamReader) -> bytes:
    line = await reader.readline()
    if not line.endswith(b"\n"):
        raise ConnectionResetError("closed within a chunked body")
    return line


async def read_body(reader: asyncio.StreamReader, body: int | Framing) -> AsyncIterator[bytes]:
    """Yield a body as it came, chunk sizes and trailers included.

    Raises:
        ConnectionError: The connection was closed before the end.
    """
    if isinstance(body, int):
        async for data in _exactly(reader, body):
            yield data
    elif body is Framing.UNTIL_CLOSE:
        while data := await reader.read(CHUNK_BYTES):
            yield data
    else:
        size = -1
        while size:
            line = await _line(reader)
            size = int(line.split(b";")[0], 16)
            yield line
            if size:
                async for data in _exactly(reader, size + 2):
                    yield data
        while (line := await _line(reader)) != b"\r\n":
            yield line
        yield line
