"""Frames as the service sends them."""

from __future__ import annotations

import json
import struct
from typing import Any

__all__ = ["END", "batch_answer", "frame", "framed"]

END = struct.pack(">I", 0)


def frame(payload: bytes, **header: Any) -> bytes:
    """Return a frame; `size` is that of the payload."""
    text = json.dumps({**header, "size": len(payload)}).encode()
    return struct.pack(">I", len(text)) + text + payload


def framed(uid: str, payload: bytes | None, code: str = "entry_not_found", status: int = 404) -> bytes:
    """Return the frame of a file, or of one that is not there."""
    if payload is None:
        return frame(b"", uid=uid, created_at="2025-11-25T08:00:00Z", status=status, code=code, detail="why")
    return frame(payload, uid=uid, created_at="2025-11-25T08:00:00Z", status=200, content_type="text/plain", etag='"t"')


def batch_answer(*frames: bytes, end: bytes = END, length: int | None = None) -> bytes:
    """Return an answer with frames; without a length it ends where the connection does."""
    sized = "" if length is None else f"Content-Length: {length}\r\n"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.des.frames\r\n{sized}Connection: close\r\n\r\n"
    return head.encode() + b"".join(frames) + end
