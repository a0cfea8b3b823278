"""Keys that sign locators."""

from __future__ import annotations

from pathlib import Path

__all__ = ["read_key"]


def read_key(path: Path) -> bytes:
    """Return the key in a file: its bytes, without a line break at their end, which editors and `echo` add."""
    return path.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
