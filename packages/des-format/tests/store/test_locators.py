import base64
import hashlib
import hmac
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from des_format.errors import (
    ConfigurationError,
    InvalidInputError,
    InvalidLocatorError,
    InvalidNameError,
    LocatorExpiredError,
)
from des_format.store.model.locators import MAX_LOCATOR_CHARS, MIN_KEY_BYTES, Locator, decode, tag_of_uid
from hypothesis import assume, example, given
from hypothesis import strategies as st

KEY = bytes(range(32))
OTHER_KEY = b"another key of at least 16 bytes"
NOON = datetime(2025, 12, 1, 12, tzinfo=UTC)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

PLAIN = Locator(
    store_id="0198c2a4f00070008000000000000001",
    day="20251125",
    shard="4D",
    archive_id="019ab8f4c4007d3e9c51a0b1c2d3e4f5",
    offset=4096,
    length=1234,
    uid_tag=0xE1A1FFE14EF3ECE2,
)
EXPIRING = replace(PLAIN, expires_at=NOON)
GREATEST = Locator(
    "f" * 32, "99991231", "FFFF", "f" * 32, 2**64 - 2**32, 2**32 - 1, 2**64 - 1,
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
)  # fmt: skip
SMALLEST = Locator("0" * 32, "00010101", "0", "0", 0, 1, 0, datetime(1970, 1, 1, tzinfo=UTC))
LONGEST = replace(EXPIRING, shard="04D", archive_id="z" * 64)

# Never changed: locators that were handed out must stay readable.
VECTORS = [
    (PLAIN, None, "AQABmMKk8ABwAIAAAAAAAAAB9QE1AQJNAAAQAAAAAAAA0gQAAOLs807h_6HhAAGauPTEAH0-nFGgscLT5PU"),
    (
        PLAIN,
        KEY,
        "AQEBmMKk8ABwAIAAAAAAAAAB9QE1AQJNAAAQAAAAAAAA0gQAAOLs807h_6HhAAGauPTEAH0-nFGgscLT5PU7R5n7mnySNjA-mDzRV0N2",
    ),
    (
        EXPIRING,
        None,
        "AQIBmMKk8ABwAIAAAAAAAAAB9QE1AQJNAAAQAAAAAAAA0gQAAOLs807h_6HhAAGauPTEAH0-nFGgscLT5PVAgy1pAAAAAA",
    ),
    (
        EXPIRING,
        KEY,
        "AQMBmMKk8ABwAIAAAAAAAAAB9QE1AQJNAAAQAAAAAAAA0gQAAOLs807h_6HhAAGauPTEAH0-nFGgscLT5PVAgy1pAAAAABNvabWEY_vM"
        "lvDGpjbdYCE",
    ),
    (
        GREATEST,
        KEY,
        "AQP_____________________v771BQT__wAAAAD_____________________AP____________________9_QfT_OgAAABYCs_9B7NGd"
        "X1CVbwsbcLY",
    ),
    (SMALLEST, None, "AQIAAAAAAAAAAAAAAAAAAAAAdScAAAEAAAAAAAAAAAAAAQAAAAAAAAAAAAAAATAAAAAAAAAAAA"),
    (
        LONGEST,
        KEY,
        "AQMBmMKk8ABwAIAAAAAAAAAB9QE1AQNNAAAQAAAAAAAA0gQAAOLs807h_6HhQHp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6"
        "enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6enpAgy1pAAAAAAngwzO7_FuBzCPZxai-g-c",
    ),
]

HEX_32 = st.binary(min_size=16, max_size=16).map(bytes.hex)
ARCHIVE_IDS = HEX_32 | st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=64)
DAYS = st.dates().map(lambda day: day.isoformat().replace("-", ""))
EXPIRIES = st.integers(0, int(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())).map(
    lambda seconds: datetime(1970, 1, 1, tzinfo=UTC) + seconds * SECOND
)
LOCATORS = st.builds(
    Locator,
    HEX_32,
    DAYS,
    st.text("0123456789ABCDEF", min_size=1, max_size=4),
    ARCHIVE_IDS,
    st.integers(0, 2**64 - 2**32),
    st.integers(1, 2**32 - 1),
    st.integers(0, 2**64 - 1),
    st.none() | EXPIRIES,
)
KEYS = st.none() | st.binary(min_size=MIN_KEY_BYTES, max_size=100)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def to_text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def to_bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed(body: bytes, key: bytes = KEY) -> str:
    """A text whose signature holds, whatever it says: what a faulty signer could make."""
    return to_text(body + hmac.digest(key, b"des-format locator signature\0" + body, hashlib.sha256)[:16])


def refused_or_canonical(text: str, key: bytes | None) -> bool:
    """Whether `text` is refused; otherwise it must be the text that its locator encodes to."""
    try:
        locator = decode(text, key, now=LONG_AGO)
    except InvalidLocatorError:
        return True
    assert locator.encode(key) == text
    return False


@pytest.mark.parametrize(("locator", "key", "text"), VECTORS)
def test_the_encoding_of_version_1_never_changes(locator: Locator, key: bytes | None, text: str) -> None:
    assert locator.encode(key) == text
    assert decode(text, key, now=LONG_AGO) == locator


def test_the_layout_is_the_documented_one() -> None:
    body = bytes.fromhex(
        "01"  # version
        "03"  # flags: signed, expires
        "0198c2a4f00070008000000000000001"  # store id
        "f5013501"  # day 20,251,125
        "02"  # digits of the shard
        "4d00"  # shard
        "0010000000000000"  # offset
        "d2040000"  # length
        "e2ecf34ee1ffa1e1"  # uid tag
        "00"  # the archive id is 16 bytes
        "019ab8f4c4007d3e9c51a0b1c2d3e4f5"  # archive id
        "40832d6900000000"  # expiry
    )
    assert EXPIRING.encode(KEY) == signed(body)


def test_the_tag_of_a_uid_is_xxh3_of_its_utf_8() -> None:
    assert tag_of_uid("uid-123") == PLAIN.uid_tag
    assert tag_of_uid("é") == 0xF7940A006CF10CB3
    with pytest.raises(InvalidNameError):
        tag_of_uid("\ud800")


@given(LOCATORS, KEYS)
@example(GREATEST, KEY)
@example(SMALLEST, KEY)
@example(LONGEST, KEY)
def test_a_locator_survives_the_round_trip_as_url_safe_text(locator: Locator, key: bytes | None) -> None:
    text = locator.encode(key)
    assert set(text) <= set(ALPHABET)
    assert len(text) <= MAX_LOCATOR_CHARS
    found = decode(text, key, now=LONG_AGO)
    assert found == locator
    assert found.encode(key) == text


@given(LOCATORS, HEX_32, KEYS)
@example(GREATEST, "f" * 32, KEY)
def test_the_usual_locator_is_below_120_characters(locator: Locator, archive_id: str, key: bytes | None) -> None:
    text = replace(locator, archive_id=archive_id).encode(key)
    assert len(text) == 83 + 11 * (locator.expires_at is not None) + 21 * (key is not None)
    assert len(text) < 120


@pytest.mark.parametrize(("length", "chars"), [(1, 95), (19, 119), (20, 120), (64, MAX_LOCATOR_CHARS)])
def test_other_archive_ids_make_the_text_longer(length: int, chars: int) -> None:
    assert len(replace(GREATEST, archive_id="z" * length).encode(KEY)) == chars


@given(st.text() | st.text(ALPHABET, max_size=200))
@example("")
@example("\ud800")
@example("AQ")
@example("AQ==")
@example("A")
@example("A" * 180)
def test_any_text_is_refused_as_an_invalid_locator(text: str) -> None:
    for key in (None, KEY):
        refused_or_canonical(text, key)


@given(st.binary(max_size=140), st.sampled_from([b"", b"\x01", b"\x01\x00", b"\x01\x02"]))
def test_any_bytes_are_refused_or_canonical(tail: bytes, start: bytes) -> None:
    refused_or_canonical(to_text(start + tail), None)


@given(st.binary(max_size=100), st.sampled_from([b"\x01\x01", b"\x01\x03"]))
def test_signed_nonsense_is_refused_or_canonical(tail: bytes, start: bytes) -> None:
    refused_or_canonical(signed(start + tail), KEY)


@given(LOCATORS, st.data())
def test_a_changed_field_of_an_unsigned_locator_is_refused_or_canonical(locator: Locator, data: st.DataObject) -> None:
    body = bytearray(to_bytes(locator.encode()))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    refused_or_canonical(to_text(bytes(body)), None)


@given(LOCATORS, st.data())
def test_no_character_of_a_signed_locator_can_be_changed_added_or_removed(
    locator: Locator, data: st.DataObject
) -> None:
    text = locator.encode(KEY)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 2)))
    changed = text[:start] + data.draw(st.text(ALPHABET + "=+/ \n", max_size=2)) + text[end:]
    assume(changed != text)
    assert refused_or_canonical(changed, KEY)


def test_every_flipped_bit_of_a_signed_locator_is_noticed() -> None:
    data = to_bytes(EXPIRING.encode(KEY))
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        assert refused_or_canonical(to_text(bytes(flipped)), KEY), bit


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (PLAIN.encode() + "\n", "characters other than"),
        (PLAIN.encode() + "=", "characters other than"),
        (PLAIN.encode().replace("_", "/"), "characters other than"),
        (PLAIN.encode()[:-1] + "V", "bits after its end"),
        (PLAIN.encode()[:-2], "no base64 text has 81 characters"),
        (PLAIN.encode()[:-3], "of 60 bytes before its signature; 62 are expected"),
        (PLAIN.encode()[:20], "cut short"),
        ("AQ", "cut short"),
        ("AQE", "cut short"),
        ("AgA", "found 2, expected 1"),
        ("AQQ", "unknown flags 0x04"),
        ("A" * 180, "180 characters"),
        (b"AQ", "a locator is text, found bytes"),
    ],
)
def test_a_refusal_says_what_was_found(text: Any, message: str) -> None:
    with pytest.raises(InvalidLocatorError, match=message):
        decode(text, now=NOON, verify=False)


def patched(position: int, new: bytes) -> bytes:
    body = to_bytes(PLAIN.encode())
    return body[:position] + new + body[position + len(new) :]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (patched(18, (20250229).to_bytes(4, "little")), "day '20250229'"),
        (patched(18, (2**32 - 1).to_bytes(4, "little")), "day '4294967295'"),
        (patched(18, bytes(4)), "day '00000000'"),
        (patched(22, b"\x00"), "shortest form"),
        (patched(22, b"\x01"), "shortest form"),
        (patched(22, b"\x05"), "shard '0004D'"),
        (patched(22, b"\xff"), "shard"),
        (patched(33, bytes(4)), "length 0"),
        (patched(25, b"\xff" * 8), "ends after"),
        (patched(45, b"\x10"), "archive id"),
        (patched(45, b"\x20" + b"a" * 16) + b"a" * 16, "shortest form"),
        (patched(45, b"\x41" + b"a" * 16) + b"a" * 49, "archive id"),
        (patched(1, b"\x02") + (253402300800).to_bytes(8, "little"), "the year 9999"),
        (patched(1, b"\x02") + b"\xff" * 8, "the year 9999"),
        (patched(1, b"\x02"), "70 are expected"),
        (patched(1, b"\x00") + bytes(8), "62 are expected"),
    ],
)
def test_a_field_out_of_range_or_in_another_form_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidLocatorError, match=message):
        decode(to_text(body), now=NOON)


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        (PLAIN.encode(), KEY, "is not signed"),
        (PLAIN.encode(), [KEY, OTHER_KEY], "is not signed"),
        (PLAIN.encode(KEY), None, "no key to check it with"),
        (PLAIN.encode(KEY), OTHER_KEY, "does not hold"),
        (PLAIN.encode(KEY), [OTHER_KEY, OTHER_KEY], "does not hold"),
        (signed(to_bytes(PLAIN.encode())), KEY, "is not signed"),
        (to_text(to_bytes(PLAIN.encode())[:1] + b"\x01" + to_bytes(PLAIN.encode())[2:]), KEY, "does not hold"),
    ],
)
def test_what_cannot_be_trusted_is_refused(text: str, key: Any, message: str) -> None:
    with pytest.raises(InvalidLocatorError, match=message):
        decode(text, key, now=NOON)


def test_a_signature_made_for_another_purpose_does_not_count() -> None:
    body = to_bytes(PLAIN.encode(KEY))[:-16]
    with pytest.raises(InvalidLocatorError, match="does not hold"):
        decode(to_text(body + hmac.digest(KEY, body, hashlib.sha256)[:16]), KEY, now=NOON)


@pytest.mark.parametrize("keys", [KEY, [KEY], [OTHER_KEY, KEY], (KEY, OTHER_KEY)])
def test_any_of_several_keys_will_do_while_keys_change(keys: Any) -> None:
    assert decode(PLAIN.encode(KEY), keys, now=NOON) == PLAIN


def test_a_locator_can_be_looked_at_without_its_key() -> None:
    assert decode(PLAIN.encode(KEY), now=NOON, verify=False) == PLAIN
    assert decode(PLAIN.encode(KEY), OTHER_KEY, now=NOON, verify=False) == PLAIN
    assert decode(PLAIN.encode(), OTHER_KEY, now=NOON, verify=False) == PLAIN


@pytest.mark.parametrize("key", [None, KEY])
def test_a_locator_is_refused_from_its_expiry_on(key: bytes | None) -> None:
    text = EXPIRING.encode(key)
    assert decode(text, key, now=NOON - timedelta(microseconds=1)) == EXPIRING
    for now in (NOON, NOON + SECOND, NOON.astimezone(timezone(timedelta(hours=-5)))):
        with pytest.raises(LocatorExpiredError, match="expired at 2025-12-01T12:00:00"):
            decode(text, key, now=now)
    with pytest.raises(LocatorExpiredError):
        decode(text, now=NOON, verify=False)


def test_the_signature_is_checked_before_the_expiry() -> None:
    with pytest.raises(InvalidLocatorError, match="does not hold"):
        decode(EXPIRING.encode(KEY), OTHER_KEY, now=NOON)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (b"", ConfigurationError, "too short"),
        (b"x" * 15, ConfigurationError, "too short"),
        ([KEY, b""], ConfigurationError, "too short"),
        ([], ConfigurationError, "there is none"),
        ("a secret as text, long enough", TypeError, "found str"),
        (["a secret as text, long enough"], TypeError, "found str"),
        (bytearray(KEY), TypeError, "found int"),
    ],
)
def test_a_bad_key_is_a_fault_of_the_settings_and_never_of_the_locator(
    key: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        decode(PLAIN.encode(), key, now=NOON)


@pytest.mark.parametrize(("key", "error"), [(b"", ConfigurationError), ("x" * 16, TypeError), ([KEY], TypeError)])
def test_a_bad_key_signs_nothing(key: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        PLAIN.encode(key)


def test_the_time_must_have_a_zone_even_where_nothing_expires() -> None:
    with pytest.raises(InvalidInputError, match="no time zone") as caught:
        decode(PLAIN.encode(), now=datetime(2025, 1, 1))  # noqa: DTZ001
    assert not isinstance(caught.value, InvalidLocatorError)


def test_errors_tell_neither_keys_nor_signatures_nor_the_locator() -> None:
    text = EXPIRING.encode(KEY)
    forged = signed(to_bytes(text)[:-16], OTHER_KEY)
    secrets = [text, text[-21:], to_bytes(text)[-16:].hex(), forged, KEY.hex(), repr(KEY), repr(OTHER_KEY), "short"]
    attempts: list[tuple[str, Any]] = [
        (forged, KEY),
        (text, None),
        (text + "=", KEY),
        (text, b"short"),
        (text, "short"),
    ]
    for attempt, key in attempts:
        with pytest.raises((InvalidLocatorError, ConfigurationError, TypeError)) as caught:
            decode(attempt, key, now=LONG_AGO)
        shown = "".join(traceback.format_exception_only(caught.value)).replace("too short", "")
        assert not any(secret in shown for secret in secrets)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"store_id": "0" * 31}, "store id"),
        ({"store_id": "F" * 32}, "store id"),
        ({"store_id": None}, "store id None"),
        ({"day": "2025-11-25"}, "day '2025-11-25': YYYYMMDD"),
        ({"day": "20250229"}, "day '20250229'"),
        ({"day": 20251125}, "day 20251125"),
        ({"shard": ""}, "shard ''"),
        ({"shard": "4d"}, "shard '4d'"),
        ({"shard": "0004D"}, "shard '0004D'"),
        ({"archive_id": ""}, "archive id"),
        ({"archive_id": "a" * 65}, "archive id"),
        ({"archive_id": "A"}, "archive id"),
        ({"archive_id": "a\n"}, "archive id"),
        ({"offset": -1}, "offset -1"),
        ({"offset": 2**64}, "offset"),
        ({"offset": 2**64 - 1}, "ends after"),
        ({"length": 0}, "length 0"),
        ({"length": 2**32}, "length"),
        ({"length": True}, "length True"),
        ({"uid_tag": -1}, "uid_tag -1"),
        ({"uid_tag": 1.0}, "uid_tag 1.0"),
        ({"expires_at": datetime(2025, 1, 1)}, "no time zone"),  # noqa: DTZ001
        ({"expires_at": NOON + timedelta(microseconds=1)}, "whole seconds"),
        ({"expires_at": datetime(1969, 12, 31, tzinfo=UTC)}, "since 1970"),
        ({"expires_at": datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))}, "no equal in UTC"),
    ],
)
def test_a_locator_that_cannot_be_written_cannot_be_made(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        replace(PLAIN, **change)


def test_the_expiry_is_kept_in_utc() -> None:
    locator = replace(PLAIN, expires_at=NOON.astimezone(timezone(timedelta(hours=5, minutes=30))))
    assert locator == EXPIRING
    assert locator.expires_at is not None
    assert locator.expires_at.tzinfo is UTC
