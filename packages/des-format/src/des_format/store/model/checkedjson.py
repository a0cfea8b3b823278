"""JSON objects of a store, whose last member is a checksum of all before it.

Source: docs/store-format.md, section "Checked JSON".
"""

from __future__ import annotations

import json
from typing import Any

from ...checksum import checksum64
from ...errors import ChecksumMismatchError, CorruptArchiveError

__all__ = ["decode_checked", "encode_checked"]

_CHECKSUM = b',"checksum":"'


def encode_checked(value: dict[str, Any]) -> bytes:
    """Return a non-empty object as one line of JSON with its checksum."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
    return b'%s%s%016x"}\n' % (text, _CHECKSUM, checksum64(text))


def decode_checked(data: bytes, what: str) -> Any:
    """Read what `encode_checked` wrote.

    Raises:
        ChecksumMismatchError: The checksum does not hold.
        CorruptArchiveError: There is none, or no JSON.
    """
    text, mark, checksum = data.rpartition(_CHECKSUM)
    if not mark:
        raise CorruptArchiveError(f"{what}: {len(data)} bytes without a checksum: truncated, or something else")
    expected = b'%016x"}\n' % checksum64(text)
    if checksum != expected:
        raise ChecksumMismatchError(f"{what}: ends in {checksum[:40]!r}, expected the checksum and end {expected!r}")
    try:
        return json.loads(text + b"}")
    except ValueError as error:
        raise CorruptArchiveError(f"{what} is no JSON: {error}") from error
