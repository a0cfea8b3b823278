"""The Range header, as RFC 9110 (section 14) has it."""

from __future__ import annotations

import re
from itertools import pairwise

from .problems import Problem

__all__ = ["MAX_RANGES", "parse_ranges"]

# What a player or a download manager asks for is far below; more would make one request cost as much as many.
MAX_RANGES = 16

_SPEC = re.compile(r"[ \t]*(?:([0-9]{1,19})-([0-9]{0,19})|-([0-9]{1,19}))[ \t]*\Z", re.ASCII)


def parse_ranges(header: str | None, size: int) -> list[tuple[int, int]] | None:
    """Return the half-open ranges that a header asks for, in its order, or None for the whole.

    A header of another unit, a malformed one, one with more than `MAX_RANGES`, and ranges that overlap or together
    hold more than the whole are ignored, as the standard allows.

    Raises:
        Problem: 416; no range of a well-formed header has a byte of the payload.
    """
    unit, separator, specs = (header or "").partition("=")
    if not separator or unit.strip().lower() != "bytes":
        return None
    matches = [_SPEC.match(spec) for spec in specs.split(",") if spec.strip()]
    if not matches or len(matches) > MAX_RANGES:
        return None
    found: list[tuple[int, int]] = []
    for match in matches:
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            start, end = max(0, size - int(suffix)), size
        else:
            start, end = int(first), min(int(last) + 1, size) if last else size
            if last and int(last) < start:
                return None
        if start < end:
            found.append((start, end))
    if not found:
        raise Problem(
            416,
            "range_not_satisfiable",
            f"No byte of the range is in the file, which has {size} bytes",
            headers={"Content-Range": f"bytes */{size}"},
        )
    in_order = sorted(found)
    if any(before[1] > after[0] for before, after in pairwise(in_order)):
        return None
    return found
