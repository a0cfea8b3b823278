"""Frames of a batch: a length, a header in JSON, a payload; and an end mark. Fed with bytes, in any pieces."""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

from des_format.errors import UnavailableError

from .problems import UnexpectedAnswerError

__all__ = ["Frame", "FrameDecoder"]

_LENGTH = struct.Struct(">I")
# A uid has up to 65,535 bytes, each of which JSON may write with six; the rest of a header is short.
_MAX_HEADER_BYTES = 2**20


class Frame(NamedTuple):
    """A frame.

    Attributes:
        header: What it says about the payload.
        payload: The payload, whole.
    """

    header: dict[str, Any]
    payload: bytes


class FrameDecoder:
    """Decoder of frames, which keeps what is not whole yet."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._wanted = _LENGTH.size
        self._header: dict[str, Any] | None = None
        self._in_header = False
        self.ended = False
        """Whether the end mark has come."""

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes; return the frames that are whole with them.

        Raises:
            UnexpectedAnswerError: They are no frames, or follow the end mark.
        """
        self._buffer += data
        frames = []
        while not self.ended and len(self._buffer) >= self._wanted:
            with memoryview(self._buffer)[: self._wanted] as view:
                part = bytes(view)
            del self._buffer[: self._wanted]
            if (frame := self._take(part)) is not None:
                frames.append(frame)
        if self.ended and self._buffer:
            raise UnexpectedAnswerError("bytes follow the end mark of a batch")
        return frames

    @property
    def pending(self) -> dict[str, Any] | None:
        """The header of the payload of which not all bytes have come; None between payloads."""
        return self._header

    def close(self) -> None:
        """Take that no more bytes come.

        Raises:
            UnavailableError: The end mark is missing, so the answer was cut off.
        """
        if not self.ended:
            raise UnavailableError("the answer to a batch was cut off")

    def _take(self, part: bytes) -> Frame | None:
        if self._header is not None:
            frame, self._header = Frame(self._header, part), None
            self._wanted = _LENGTH.size
            return frame
        if self._in_header:
            self._header = _header_of(part)
            self._in_header = False
            self._wanted = self._header["size"]
            return None
        (length,) = _LENGTH.unpack(part)
        if length > _MAX_HEADER_BYTES:
            raise UnexpectedAnswerError(
                f"a header of {length} bytes in a batch; at most {_MAX_HEADER_BYTES} are expected"
            )
        self.ended = length == 0
        self._in_header = not self.ended
        self._wanted = length
        return None


def _header_of(part: bytes) -> dict[str, Any]:
    try:
        header = json.loads(part)
        size = header["size"]
        if isinstance(header, dict) and type(size) is int and size >= 0:
            return header
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise UnexpectedAnswerError(f"{part[:100]!r} is no header of a frame")
