"""Many clients at once, each of which takes its time."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

__all__ = ["read_slowly"]

_PIECE_BYTES = 64 * 2**10


async def _read(host: str, port: int, path: str, pause_seconds: float) -> int:
    reader, writer = await asyncio.open_connection(host, port, limit=_PIECE_BYTES)
    read_bytes = 0
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        if not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 "):
            raise RuntimeError("the large file is not served")
        while piece := await reader.read(_PIECE_BYTES):
            read_bytes += len(piece)
            await asyncio.sleep(pause_seconds)
    except asyncio.CancelledError:
        pass  # that is how it ends: nobody reads to the end
    finally:
        writer.close()
    return read_bytes


async def read_slowly(url: str, path: str, *, clients: int, seconds: float, pause_seconds: float = 0.05) -> int:
    """Read a file over many connections for some seconds, and hang up; return how many bytes came.

    Raises:
        RuntimeError: The service refused one of them, or ended early.
    """
    parts = urlsplit(url)
    reads = [
        asyncio.create_task(_read(parts.hostname or "", parts.port or 80, path, pause_seconds)) for _ in range(clients)
    ]
    done, running = await asyncio.wait(reads, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        task.cancel()
    counts = await asyncio.gather(*reads)
    if done:
        raise RuntimeError(f"{len(done)} clients came to an end within {seconds:.0f} s: the file is too small")
    return sum(counts)
