"""Sizes, shares and ranges: from the command line, and for people."""

from __future__ import annotations

import re

from ..errors import InvalidInputError

__all__ = ["human_size", "parse_range", "parse_share", "parse_size", "plural"]

_UNITS = "KMGT"
_SIZE = re.compile(rf"(\d+(?:\.\d+)?) ?([{_UNITS}]?)(?:i?B)?", re.IGNORECASE | re.ASCII)
_RANGE = re.compile(r"(\d*):(\d*)", re.ASCII)


def parse_size(text: str) -> int:
    """Return the bytes of a size such as `4096`, `512K` or `1.5 GiB`; all units are powers of 1,024.

    Raises:
        InvalidInputError: No such size.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise InvalidInputError(f"size {text!r}; a number of bytes is expected, or one with K, M, G or T")
    number, unit = match.groups()
    scale = 1024 ** (_UNITS.index(unit.upper()) + 1) if unit else 1
    return int(number) * scale if number.isdigit() else round(float(number) * scale)


def parse_share(text: str) -> float:
    """Return a share such as `5%` or `0.05` as a number over 0 and up to 1.

    Raises:
        InvalidInputError: No such share.
    """
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise InvalidInputError(f"share {text!r}; more than 0 and up to 1 is expected, or up to 100%")
    return share


def parse_range(text: str) -> tuple[int, int | None]:
    """Return the half-open range for `START:END`, of which both may be left out.

    Raises:
        InvalidInputError: No such range.
    """
    match = _RANGE.fullmatch(text)
    if not match:
        raise InvalidInputError(f"range {text!r}; START:END, START: or :END is expected")
    start, end = int(match[1] or 0), int(match[2]) if match[2] else None
    if end is not None and end < start:
        raise InvalidInputError(f"range {text!r} ends before it begins")
    return start, end


def human_size(size: float) -> str:
    """Return a size for people, such as `512 B` or `1.5 GiB`."""
    if size < 1024:
        return f"{size:.0f} B"
    unit = 0
    size /= 1024
    # What would be rounded to 1024.0 belongs to the next unit.
    while size >= 1023.95 and unit < len(_UNITS) - 1:
        unit += 1
        size /= 1024
    return f"{size:.1f} {_UNITS[unit]}iB"


def plural(count: int, noun: str, several: str = "") -> str:
    """Return a count with its noun, such as `1 entry` or `1,200 entries`."""
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"
