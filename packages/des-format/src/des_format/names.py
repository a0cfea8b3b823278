"""Rules for entry names, and their safe translation into file-system paths."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from .errors import CorruptArchiveError, InvalidNameError, UnsafePathError

__all__ = ["MAX_NAME_BYTES", "decode_name", "encode_name", "safe_path"]

MAX_NAME_BYTES = 65_535

_DRIVE = re.compile(r"^[A-Za-z]:")


def encode_name(name: str) -> bytes:
    """Return the UTF-8 bytes of an entry name.

    Args:
        name: 1 to 65,535 UTF-8 bytes; `/` is allowed, NUL and lone surrogates are not.

    Raises:
        TypeError: `name` is not a `str`.
        InvalidNameError: The name breaks one of the rules above.

    Source: docs/format.md, section "Names".
    """
    if not isinstance(name, str):
        raise TypeError(f"an entry name must be str, found {type(name).__name__}")
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise InvalidNameError(f"entry name {name!r} holds a lone surrogate; names must be valid Unicode") from error
    if not 1 <= len(encoded) <= MAX_NAME_BYTES:
        raise InvalidNameError(f"entry name of {len(encoded)} bytes; 1 to {MAX_NAME_BYTES} UTF-8 bytes are allowed")
    if b"\0" in encoded:
        raise InvalidNameError(f"entry name {name!r} holds a NUL character")
    return encoded


def decode_name(encoded: bytes) -> str:
    """Return the name for bytes found in an archive.

    Raises:
        CorruptArchiveError: The bytes are empty, not UTF-8, or contain NUL.
    """
    if not encoded or b"\0" in encoded:
        raise CorruptArchiveError(f"entry name {encoded[:40]!r} is empty or holds NUL")
    try:
        return encoded.decode()
    except UnicodeDecodeError as error:
        raise CorruptArchiveError(f"entry name {encoded[:40]!r} is not UTF-8") from error


def safe_path(root: Path, name: str) -> Path:
    """Return the path of an entry below `root`, without touching the file system's links.

    Args:
        root: Folder that must contain the result.
        name: Entry name; its `/` become folders.

    Raises:
        UnsafePathError: The name is absolute, has an empty, `.` or `..` part, a drive
            letter, a backslash, or ends in `/`.
    """
    parts = name.split("/")
    problem = ""
    if name.startswith("/") or PurePosixPath(name).is_absolute():
        problem = "is absolute"
    elif _DRIVE.match(name):
        problem = "starts with a drive letter"
    elif "\\" in name:
        problem = "contains a backslash"
    elif any(part in ("", ".", "..") for part in parts):
        problem = "has an empty, '.' or '..' part"
    if problem:
        raise UnsafePathError(f"entry name {name!r} {problem}, so it cannot become a path below {root}")
    return root.joinpath(*parts)
