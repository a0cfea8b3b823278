"""Answers with several ranges: multipart/byteranges (RFC 9110, section 14.6)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

__all__ = ["Multipart"]


class Multipart:
    """What stands between the ranges of an answer.

    Args:
        ranges: Half-open, in the order in which they are sent.
        size: Of the whole payload, in bytes.
        content_type: Of the payload.
    """

    def __init__(self, ranges: Sequence[tuple[int, int]], size: int, content_type: bytes) -> None:
        self._boundary = secrets.token_hex(16).encode()
        self._heads = [
            b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
            % (self._boundary, content_type, start, end - 1, size)
            for start, end in ranges
        ]
        self.content_type = b"multipart/byteranges; boundary=" + self._boundary
        self.length = sum(end - start for start, end in ranges) + sum(map(len, self._heads)) + len(self.after())

    def before(self, number: int) -> bytes:
        """What stands before a range."""
        return self._heads[number]

    def after(self) -> bytes:
        """What stands after the last one."""
        return b"\r\n--%b--\r\n" % self._boundary
