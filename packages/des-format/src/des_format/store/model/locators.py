"""Locators: where one entry's record lies, as short URL-safe text that may be signed and may expire.

A signature proves that the text was made by a holder of the key and not changed since; it hides
nothing. Whoever has a locator can pass it on, so treat one as a password where it grants access.

Source: docs/store-format.md, section "Locators".
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ...checksum import checksum64
from ...entry import MAX_ENTRY_BYTES
from ...errors import ConfigurationError, InvalidInputError, InvalidLocatorError, LocatorExpiredError
from ...names import encode_name
from .ids import check_archive_id
from .keys import check_day

__all__ = ["MAX_LOCATOR_CHARS", "MIN_KEY_BYTES", "Locator", "decode", "tag_of_uid"]

MIN_KEY_BYTES = 16
MAX_LOCATOR_CHARS = 179

_VERSION = 1
_SIGNED = 1
_EXPIRES = 2
_KNOWN_FLAGS = _SIGNED | _EXPIRES

# version, flags, store id, day, shard's digits and number, offset, length, uid tag, length of an archive id as text
_HEAD = struct.Struct("<BB16sIBHQIQB")
_EXPIRY = struct.Struct("<Q")
_BINARY_ID_BYTES = 16
_SIGNATURE_BYTES = 16
_SIGNATURE_DOMAIN = b"des-format locator signature\0"

_HEX_32 = re.compile(r"[0-9a-f]{32}\Z")
_DAY = re.compile(r"[0-9]{8}\Z")
_SHARD = re.compile(r"[0-9A-F]{1,4}\Z")
_TEXT = re.compile(r"[0-9A-Za-z_-]+\Z")
_U64 = 2**64 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())


def tag_of_uid(uid: str) -> int:
    """Return a uid's tag: XXH3-64 of its UTF-8 bytes.

    It tells entries apart, but proves nothing against someone who chooses uids: two with the
    same tag can be made. Compare the name in the record where that matters.

    Raises:
        TypeError: `uid` is not a `str`.
        InvalidNameError: It cannot be the name of an entry.
    """
    return checksum64(encode_name(uid))


@dataclass(frozen=True, slots=True)
class Locator:
    """Where one entry's record lies.

    Attributes:
        store_id: The store's identifier, 32 lower-case hex digits.
        day: The UTC day as `YYYYMMDD`.
        shard: The shard in upper-case hex, 1 to 4 digits.
        archive_id: The archive's identifier, 1 to 64 of `0-9` and `a-z`.
        offset: First byte of the entry's record in the archive.
        length: Length of that record in bytes, at least 1.
        uid_tag: `tag_of_uid` of the entry's uid, for the reader to check the record and the tombstones with.
        expires_at: From this time on the locator is refused; None for never. Any time zone is
            accepted, and turned into UTC.

    Raises:
        InvalidInputError: A field is out of its range, or `expires_at` has no time zone, a
            fraction of a second, or is before 1970.
    """

    store_id: str
    day: str
    shard: str
    archive_id: str
    offset: int
    length: int
    uid_tag: int
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        _check_place(self)
        _check_range("offset", self.offset, 0, _U64)
        _check_range("length", self.length, 1, MAX_ENTRY_BYTES)
        _check_range("uid_tag", self.uid_tag, 0, _U64)
        if self.offset + self.length > _U64:
            raise InvalidInputError(f"record of {self.length} bytes at {self.offset} ends after 2**64 - 1")
        if self.expires_at is not None:
            object.__setattr__(self, "expires_at", _whole_utc_seconds(self.expires_at))

    def encode(self, key: bytes | None = None) -> str:
        """Return the locator as text of letters, digits, `-` and `_`.

        The text has 83 characters for the usual archive id of 32 hex digits, 11 more with an
        expiry and 21 more with a signature: 115 at most. Another archive id is stored as text;
        with one of up to 19 characters the text stays below 120 characters whatever the
        options, with one of 64 it has `MAX_LOCATOR_CHARS`, 179.

        Args:
            key: Sign with this secret: HMAC-SHA-256 cut to 128 bits, half of it, which RFC 2104
                (section 5) allows and which keeps the text short; forging still takes 2**128
                guesses, each of them a request. None leaves it unsigned.

        Raises:
            TypeError: `key` is not `bytes`.
            ConfigurationError: `key` is shorter than `MIN_KEY_BYTES`.
        """
        if key is None:
            return _to_text(_pack(self, 0))
        body = _pack(self, _SIGNED)
        return _to_text(body + _signature(body, _check_key(key)))


def decode(text: str, key: bytes | Sequence[bytes] | None = None, *, now: datetime, verify: bool = True) -> Locator:
    """Return the locator that `text` stands for.

    Exactly one text is accepted for each locator and key: encoding the result gives `text` again.

    Args:
        text: What `Locator.encode` returned.
        key: The secret that it must be signed with, or several while keys are being changed. With
            one an unsigned locator is refused, without one a signed locator: nothing could
            be said about it.
        now: The current time, with a time zone.
        verify: False accepts signed and unsigned locators alike and checks no signature, to show
            what a locator says; the expiry still counts. Do not read with the result.

    Raises:
        InvalidLocatorError: No locator, one of another version, or the signature is missing,
            does not hold, or cannot be checked.
        LocatorExpiredError: A locator that held until `now` or earlier.
        TypeError: A key is not `bytes`.
        ConfigurationError: No key in the sequence, or one shorter than `MIN_KEY_BYTES`.
        InvalidInputError: `now` has no time zone.
    """
    keys = _check_keys(key)
    if now.utcoffset() is None:
        raise InvalidInputError(f"now {now.isoformat()} has no time zone")
    data = _from_text(text)
    flags = _check_head(data)
    body, signature = (data[:-_SIGNATURE_BYTES], data[-_SIGNATURE_BYTES:]) if flags & _SIGNED else (data, None)
    if verify:
        _verify(body, signature, keys)
    locator = _unpack(body, flags)
    if locator.expires_at is not None and now >= locator.expires_at:
        raise LocatorExpiredError(f"the locator expired at {locator.expires_at.isoformat()}")
    return locator


def _check_place(locator: Locator) -> None:
    _check_text("store id", locator.store_id, _HEX_32, "32 lower-case hex digits are expected")
    _check_text("day", locator.day, _DAY, "YYYYMMDD is expected")
    check_day(locator.day)
    _check_text("shard", locator.shard, _SHARD, "1 to 4 upper-case hex digits are expected")
    check_archive_id(locator.archive_id)


def _check_text(name: str, value: object, pattern: re.Pattern[str], expected: str) -> None:
    if not isinstance(value, str) or not pattern.match(value):
        raise InvalidInputError(f"{name} {value!r:.80}: {expected}")


def _check_range(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidInputError(f"{name} {value!r:.80}: an integer from {low} to {high} is expected")


def _whole_utc_seconds(time: datetime) -> datetime:
    if time.utcoffset() is None:
        raise InvalidInputError(f"expires_at {time.isoformat()} has no time zone")
    try:
        utc = time.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInputError(f"expires_at {time.isoformat()} has no equal in UTC") from error
    if utc.microsecond or utc < _EPOCH:
        raise InvalidInputError(f"expires_at {time.isoformat()}: whole seconds since 1970 are expected")
    return utc


def _check_key(key: object) -> bytes:
    if not isinstance(key, bytes):
        raise TypeError(f"a locator key must be bytes, found {type(key).__name__}")
    if len(key) < MIN_KEY_BYTES:
        raise ConfigurationError(f"a locator key is too short; at least {MIN_KEY_BYTES} bytes are expected")
    return key


def _check_keys(key: bytes | Sequence[bytes] | None) -> tuple[bytes, ...]:
    if key is None:
        return ()
    if isinstance(key, bytes | str):
        return (_check_key(key),)
    keys = tuple(_check_key(each) for each in key)
    if not keys:
        raise ConfigurationError("locator keys are asked for, but there is none; pass None to read unsigned locators")
    return keys


def _signature(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _SIGNATURE_DOMAIN + body, "sha256")[:_SIGNATURE_BYTES]


def _verify(body: bytes, signature: bytes | None, keys: tuple[bytes, ...]) -> None:
    if signature is None:
        if keys:
            raise InvalidLocatorError("the locator is not signed; a signed one is expected")
        return
    if not keys:
        raise InvalidLocatorError("the locator is signed, but there is no key to check it with")
    # A list: every key is tried, so that the time taken does not tell which one fits.
    fits = [hmac.compare_digest(_signature(body, key), signature) for key in keys]
    if not any(fits):
        raise InvalidLocatorError("the locator's signature does not hold")


def _to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_text(text: str) -> bytes:
    # No message quotes the text: it may grant access, and messages end in logs.
    if not isinstance(text, str):
        raise InvalidLocatorError(f"a locator is text, found {type(text).__name__}")
    if len(text) > MAX_LOCATOR_CHARS:
        raise InvalidLocatorError(f"no locator: {len(text)} characters; at most {MAX_LOCATOR_CHARS} are expected")
    if not _TEXT.match(text):
        raise InvalidLocatorError("no locator: it is empty, or has characters other than letters, digits, '-' and '_'")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise InvalidLocatorError(f"no locator: no base64 text has {len(text)} characters") from error
    if _to_text(data) != text:
        raise InvalidLocatorError("no locator: bits after its end are not zero")
    return data


def _check_head(data: bytes) -> int:
    """Check version and flags; return the flags."""
    if data[0] != _VERSION:
        raise InvalidLocatorError(f"no locator, or one of another version: found {data[0]}, expected {_VERSION}")
    flags = data[1] if len(data) > 1 else 0
    if flags & ~_KNOWN_FLAGS:
        raise InvalidLocatorError(f"locator with unknown flags {flags:#04x}")
    return flags


def _pack(locator: Locator, flags: int) -> bytes:
    archive_id, text_length = _pack_archive_id(locator.archive_id)
    expiry = b""
    if locator.expires_at is not None:
        flags |= _EXPIRES
        expiry = _EXPIRY.pack((locator.expires_at - _EPOCH) // timedelta(seconds=1))
    head = _HEAD.pack(
        _VERSION, flags, bytes.fromhex(locator.store_id), int(locator.day), len(locator.shard), int(locator.shard, 16),
        locator.offset, locator.length, locator.uid_tag, text_length,
    )  # fmt: skip
    return head + archive_id + expiry


def _pack_archive_id(archive_id: str) -> tuple[bytes, int]:
    """Return the stored form of an archive id and its length as text, 0 for 16 bytes in binary."""
    # `bytes.fromhex` alone would also take blanks and upper case.
    if _HEX_32.match(archive_id):
        return bytes.fromhex(archive_id), 0
    return archive_id.encode(), len(archive_id)


def _unpack(body: bytes, flags: int) -> Locator:
    if len(body) < _HEAD.size:
        raise InvalidLocatorError(f"locator cut short: {len(body)} bytes; at least {_HEAD.size} are expected")
    _, _, store_id, day, digits, shard, offset, length, uid_tag, text_length = _HEAD.unpack_from(body)
    id_end = _HEAD.size + (text_length or _BINARY_ID_BYTES)
    end = id_end + (_EXPIRY.size if flags & _EXPIRES else 0)
    if len(body) != end:
        raise InvalidLocatorError(f"locator of {len(body)} bytes before its signature; {end} are expected")
    archive_id = body[_HEAD.size : id_end]
    try:
        locator = Locator(
            store_id.hex(), f"{day:08}", f"{shard:0{digits}X}",
            archive_id.decode("latin-1") if text_length else archive_id.hex(),
            offset, length, uid_tag, _unpack_expiry(body[id_end:]),
        )  # fmt: skip
    except InvalidInputError as error:
        raise InvalidLocatorError(f"locator with a bad field: {error}") from error
    if _pack(locator, flags & _SIGNED) != body:
        raise InvalidLocatorError("locator with a field that is not in its shortest form")
    return locator


def _unpack_expiry(data: bytes) -> datetime | None:
    if not data:
        return None
    (seconds,) = _EXPIRY.unpack(data)
    if seconds > _LAST_SECOND:
        raise InvalidInputError(f"expiry {seconds} seconds after 1970; the year 9999 is the last")
    return _EPOCH + timedelta(seconds=seconds)
