"""Answers with a part of a file."""

from __future__ import annotations

import re

from des_format.errors import UnavailableError

from .messages import Answer
from .problems import UnexpectedAnswerError

__all__ = ["content_range", "part_of"]

_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})\Z", re.ASCII)


def content_range(header: str) -> tuple[int, int, int] | None:
    """Return where a part begins and ends (half-open), and the size of the whole; None for no such header."""
    match = _CONTENT_RANGE.match(header)
    if match is None:
        return None
    first, last, size = (int(number) for number in match.groups())
    return (first, last + 1, size) if first <= last < size else None


def part_of(what: str, answer: Answer, start: int, end: int) -> bytes:
    """Return bytes `[start, end)` of a file, cut at its end, from the answer to a request for them.

    Args:
        what: What was asked for.
        answer: The part, or the whole, which a proxy may send in its place.
        start: First byte.
        end: Byte behind the last one.

    Raises:
        UnavailableError: Bytes are missing.
        UnexpectedAnswerError: It is another part.
    """
    if answer.status == 200:
        return answer.body[start:end]
    found = content_range(answer.headers.get("content-range", ""))
    if answer.status != 206 or found is None or found[:2] != (start, min(end, found[2])):
        raise UnexpectedAnswerError(f"{what}: the answer is another part")
    if len(answer.body) != found[1] - found[0]:
        raise UnavailableError(f"{what}: {len(answer.body)} bytes came, expected {found[1] - found[0]}")
    return answer.body
