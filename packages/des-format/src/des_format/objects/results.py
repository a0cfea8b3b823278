"""Answers to reads, and what the options of a read mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InvalidInputError, ObjectChangedError, UnsupportedOperationError
from ..ports.objects import GetOptions, NotModified, ObjectMeta, PutMode

__all__ = ["LoadedResult", "check_conditions", "expected_tag", "resolve_range"]

_SUPPORTED = {"if_match", "if_none_match", "range"}


@dataclass(frozen=True, slots=True)
class LoadedResult:
    """Bytes that were read already, for synchronous and asynchronous callers."""

    meta: ObjectMeta
    range: tuple[int, int]
    data: bytes

    def buffer(self) -> bytes:
        return self.data

    async def buffer_async(self) -> bytes:
        return self.data


def check_conditions(key: str, e_tag: str | None, options: GetOptions) -> None:
    """Compare the conditions of a read with the version that was found.

    Raises:
        ObjectChangedError: It is not the version `if_match`.
        NotModified: It is the version `if_none_match`.
        UnsupportedOperationError: Another condition was given.
    """
    unsupported = sorted(name for name, value in options.items() if value and name not in _SUPPORTED)
    if unsupported:
        raise UnsupportedOperationError(f"cannot read object {key!r} with options {', '.join(unsupported)}")
    wanted = options.get("if_match")
    if wanted is not None and wanted != e_tag:
        raise ObjectChangedError(f"object {key!r} is version {e_tag}, expected {wanted}")
    if e_tag is not None and options.get("if_none_match") == e_tag:
        raise NotModified(f"object {key!r} is still version {e_tag}")


def resolve_range(key: str, size: int, options: GetOptions) -> tuple[int, int]:
    """Return the half-open range to read of an object of `size` bytes; empty when it starts after the end.

    Raises:
        InvalidInputError: It is negative, or ends before it starts.
    """
    chosen = options.get("range")
    if chosen is None:
        return 0, size
    start, end = _span(chosen, size) if isinstance(chosen, dict) else tuple(chosen)
    if not 0 <= start <= end:
        raise InvalidInputError(f"range {chosen!r} of object {key!r} is negative or ends before it starts")
    return min(start, size), min(end, size)


def _span(chosen: Mapping[str, object], size: int) -> tuple[int, int]:
    match chosen:
        case {"suffix": int(length)}:
            return (max(0, size - length), size) if length >= 0 else (length, size)
        case {"offset": int(start)}:
            return start, max(start, size)
    raise InvalidInputError(f"{chosen!r} is no range: expected (start, end), an offset or a suffix")


def expected_tag(key: str, mode: PutMode) -> str | None:
    """Return the version that a write expects to replace; None when it does not mind.

    Raises:
        InvalidInputError: The mode is unknown, or expects a version without naming its `e_tag`.
    """
    if mode in ("create", "overwrite"):
        return None
    tag = mode.get("e_tag") if isinstance(mode, dict) else None
    if not tag:
        raise InvalidInputError(f"object {key!r} cannot be written with mode {mode!r}: expected an e_tag")
    return tag
