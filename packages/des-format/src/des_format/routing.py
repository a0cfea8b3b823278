"""Which shard an object belongs to: pure, from its uid and creation time alone.

Writers and readers must agree on this, so it lives here. Both schemes compute what the
published systems computed, so their existing shards are found.

Source: docs/format.md, section "Routing".
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from .errors import InvalidInputError

__all__ = ["RoutingScheme", "ShardLocation", "locate_shard"]

MAX_BITS = 16


class RoutingScheme(StrEnum):
    """How a uid becomes a shard number.

    `MODULO_CRC32`: ASCII-digit uids modulo 2**n_bits, all others the low n_bits of CRC-32.
    `SHA256_PREFIX`: the top n_bits of SHA-256.
    """

    MODULO_CRC32 = "modulo-crc32"
    SHA256_PREFIX = "sha256-prefix"


@dataclass(frozen=True, slots=True)
class ShardLocation:
    """Where an object belongs.

    Attributes:
        uid: The object's identifier, as text.
        created_at: Its creation time in UTC.
        date_dir: The UTC day as `YYYYMMDD`.
        shard_index: Shard number, 0 to 2**n_bits - 1.
        shard_hex: The number in upper-case hex, `ceil(n_bits / 4)` digits, at least one.
    """

    uid: str
    created_at: datetime
    date_dir: str
    shard_index: int
    shard_hex: str

    @property
    def object_key(self) -> str:
        """Key of the shard's archive below the store's prefix, as published: `YYYYMMDD/HEX.des`."""
        return f"{self.date_dir}/{self.shard_hex}.des"


def locate_shard(
    uid: str | int,
    created_at: datetime,
    n_bits: int = 8,
    scheme: RoutingScheme | str = RoutingScheme.MODULO_CRC32,
) -> ShardLocation:
    """Return the shard of an object.

    Args:
        uid: Its identifier; a non-negative `int` is the same as its decimal text.
        created_at: Its creation time, with a time zone; the day is taken in UTC.
        n_bits: There are 2**n_bits shards a day; 0 to 16.
        scheme: How the uid becomes a shard number.

    Raises:
        TypeError: `uid` is neither `str` nor `int`.
        InvalidInputError: `created_at` is naive, `n_bits` out of range, `uid` empty or not
            UTF-8, or the scheme unknown.
    """
    if isinstance(uid, bool) or not isinstance(uid, str | int):
        raise TypeError(f"uid must be str or int, found {type(uid).__name__}")
    text = str(uid)
    if not text or (isinstance(uid, int) and uid < 0):
        raise InvalidInputError(f"uid {uid!r} must be a non-empty string or a non-negative number")
    if not 0 <= n_bits <= MAX_BITS:
        raise InvalidInputError(f"n_bits {n_bits} is out of range; 0 to {MAX_BITS} are allowed")
    if created_at.utcoffset() is None:
        raise InvalidInputError(f"created_at {created_at.isoformat()} has no time zone; the day would be ambiguous")
    try:
        chosen = RoutingScheme(scheme)
    except ValueError as error:
        known = ", ".join(RoutingScheme)
        raise InvalidInputError(f"unknown routing scheme {scheme!r}; known: {known}") from error
    try:
        utc = created_at.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInputError(f"created_at {created_at.isoformat()} is no time of the calendar in UTC") from error
    index = _shard_index(text, n_bits, chosen)
    return ShardLocation(
        text, utc, f"{utc.year:04}{utc.month:02}{utc.day:02}", index, f"{index:0{max(1, -(-n_bits // 4))}X}"
    )


def _shard_index(uid: str, n_bits: int, scheme: RoutingScheme) -> int:
    try:
        encoded = uid.encode()
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"uid {uid!r} is not valid Unicode") from error
    if scheme is RoutingScheme.SHA256_PREFIX:
        return int.from_bytes(hashlib.sha256(encoded).digest(), "big") >> (256 - n_bits)
    mask = (1 << n_bits) - 1
    # str.isdigit also accepts superscripts and other scripts, which int() refuses or reads differently.
    if uid.isascii() and uid.isdigit():
        return _decimal_low_bits(uid, n_bits) & mask
    return zlib.crc32(encoded) & mask


def _decimal_low_bits(digits: str, n_bits: int) -> int:
    """`int(digits) mod 2**n_bits` from the last digits alone: 10**16 is a multiple of 2**16."""
    return int(digits[-MAX_BITS:]) & ((1 << n_bits) - 1)
