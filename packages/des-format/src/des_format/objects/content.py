"""What is written, in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..ports.objects import Content

__all__ = ["pieces"]

_PIECE_BYTES = 1 << 20


def pieces(content: Content) -> Iterator[memoryview]:
    """Yield the content front to back.

    Raises:
        TypeError: It is none of the kinds of `Content`, or yields something that is not bytes.
    """
    if isinstance(content, Path):
        with content.open("rb") as file:
            yield from pieces(file)
    elif (read := getattr(content, "read", None)) is not None:
        while piece := read(_PIECE_BYTES):
            yield memoryview(piece)
    elif isinstance(content, str):
        raise TypeError("content must be bytes, a Path, a binary file or pieces of bytes, not str")
    elif hasattr(content, "__next__") or not _is_buffer(content):
        for piece in content:  # type: ignore[union-attr]
            yield memoryview(piece).cast("B")
    else:
        yield memoryview(content).cast("B")  # type: ignore[arg-type]


def _is_buffer(content: object) -> bool:
    try:
        memoryview(content).release()  # type: ignore[arg-type]
    except TypeError:
        return False
    return True
