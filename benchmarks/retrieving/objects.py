"""An object server that is faster than its clients: python -m retrieving.objects FOLDER PORT.

It answers `GET` and `HEAD` of `/bucket/KEY` with the files of a folder, which are in its memory, and their ranges, as
S3 does. That is all: it lists nothing, takes nothing, and believes everybody.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path
from typing import cast
from urllib.parse import unquote

import uvloop

__all__ = ["BUCKET"]

BUCKET = "bench"
_MISSING = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>There is none</Message></Error>"
_DATE = b"Tue, 25 Nov 2025 08:00:00 GMT"


class ObjectProtocol(asyncio.Protocol):
    """A connection.

    Args:
        objects: Bytes and entity tag of each object.
    """

    def __init__(self, objects: dict[str, tuple[bytes, bytes]]) -> None:
        self._objects = objects
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # that of uvloop is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            self._buffer = rest
            self._transport.write(self._answer(head))

    def _answer(self, head: bytes) -> bytes:
        first, *lines = head.split(b"\r\n")
        method, target, _version = first.split(b" ")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        key = unquote(target.partition(b"?")[0].decode()).removeprefix(f"/{BUCKET}/")
        found = self._objects.get(key)
        if found is None:
            return _with_body(b"404 Not Found", [b"Content-Type: application/xml"], _MISSING, method)
        data, etag = found
        described = [b"ETag: " + etag, b"Last-Modified: " + _DATE, b"Accept-Ranges: bytes"]
        if fields.get(b"if-none-match") == etag:
            return _with_body(b"304 Not Modified", described, b"", method)
        unit, _, span = fields.get(b"range", b"").partition(b"=")
        if unit != b"bytes":
            return _with_body(b"200 OK", described, data, method)
        first_byte, _, last_byte = span.partition(b"-")
        start = int(first_byte) if first_byte else max(0, len(data) - int(last_byte))
        end = min(int(last_byte) + 1, len(data)) if first_byte and last_byte else len(data)
        described.append(b"Content-Range: bytes %d-%d/%d" % (start, end - 1, len(data)))
        return _with_body(b"206 Partial Content", described, data[start:end], method)


def _with_body(status: bytes, described: list[bytes], body: bytes, method: bytes) -> bytes:
    head = b"\r\n".join([b"HTTP/1.1 " + status, *described, b"Content-Length: %d" % len(body)])
    return head + b"\r\n\r\n" + (b"" if method == b"HEAD" else body)


async def _serve(folder: Path, port: int) -> None:
    objects = {}
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            objects[path.relative_to(folder).as_posix()] = (data, b'"%b"' % hashlib.md5(data).hexdigest().encode())
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: ObjectProtocol(objects), "127.0.0.1", port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
