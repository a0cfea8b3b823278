from collections import UserDict
from typing import Any

import pytest
from des_format import (
    ChecksumMismatchError,
    Codec,
    CorruptArchiveError,
    EntryTooLargeError,
    InvalidInputError,
    Kind,
    UnsupportedFormatError,
)
from des_format.checksum import checksum32
from des_format.entry import check_payload, decode_meta, decode_record, encode_meta, encode_record, to_entry
from hypothesis import given
from hypothesis import strategies as st

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def forged(kind: int = 0, codec: int = 0, payload: bytes = b"xyz", raw_length: int = 3, dictionary: int = 0) -> bytes:
    """A record with valid checksums at offset 32, whatever it claims."""
    return encode_record(32, kind, codec, b"n", b"", payload, raw_length, dictionary) + payload


@given(
    offset=st.integers(min_value=0, max_value=2**63),
    name=st.binary(min_size=1, max_size=40),
    meta=st.dictionaries(st.text(), json_values, max_size=4),
    payload=st.binary(max_size=200),
)
def test_a_record_survives_the_round_trip(offset: int, name: bytes, meta: dict[str, Any], payload: bytes) -> None:
    encoded_meta = encode_meta(meta)
    data = encode_record(offset, Kind.INLINE, Codec.NONE, name, encoded_meta, payload, len(payload), 0) + payload
    record = decode_record(data, offset)
    assert (record.name, record.meta, record.length) == (name, encoded_meta, len(data))
    assert record.payload_offset == offset + len(data) - len(payload)
    check_payload(record, payload)
    assert dict(decode_meta(record.meta, where="x")) == meta


def test_the_head_takes_36_bytes() -> None:
    assert len(forged()) == 36 + len(b"n") + 3


def test_a_record_is_valid_at_its_own_offset_only() -> None:
    with pytest.raises(ChecksumMismatchError, match="entry at offset 33: head checksum"):
        decode_record(forged(), 33)


def test_a_flip_of_any_bit_of_head_name_or_metadata_is_detected() -> None:
    data = encode_record(32, Kind.INLINE, Codec.NONE, b"name", b'{"a":1}', b"xyz", 3, 0)
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(CorruptArchiveError):
            decode_record(bytes(flipped), 32)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (b"DESE", CorruptArchiveError, "found 4 bytes, expected at least 36"),
        (b"XXXX" + forged()[4:], CorruptArchiveError, "found magic b'XXXX'"),
        (forged()[:36], CorruptArchiveError, "name and metadata end at 37 of 36 bytes"),
        (forged(kind=3), UnsupportedFormatError, "unknown kind 3"),
        (forged(codec=9), UnsupportedFormatError, "codec 9"),
        (forged(kind=1), CorruptArchiveError, "32-byte hash"),
        (forged(kind=1, codec=1, payload=bytes(32)), CorruptArchiveError, "32-byte hash"),
        (forged(raw_length=4), CorruptArchiveError, "stores 3 of 4 bytes"),
        (forged(dictionary=7), CorruptArchiveError, "dictionary 0x7"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused_though_its_checksums_hold(
    data: bytes, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        decode_record(data, 32)


def test_a_record_longer_than_an_entry_may_be_is_refused() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 2**32 - 1

    data = encode_record(32, Kind.INLINE, Codec.NONE, b"n", b"", Huge(), 2**32 - 1, 0)
    with pytest.raises(CorruptArchiveError, match="is over"):
        decode_record(data, 32)


def test_payloads_are_checked_for_length_and_content() -> None:
    record = decode_record(forged(), 32)
    with pytest.raises(CorruptArchiveError, match="found 2 bytes, expected 3"):
        check_payload(record, b"xy")
    with pytest.raises(ChecksumMismatchError, match="'n' at offset 69: checksum"):
        check_payload(record, b"xyZ")


@pytest.mark.parametrize("meta", [None, {}, UserDict()])
def test_no_metadata_takes_no_bytes(meta: Any) -> None:
    assert encode_meta(meta) == b""


def test_metadata_is_compact_utf8_json_in_the_callers_order() -> None:
    assert encode_meta({"ż": [1, None], "a": "x"}) == '{"ż":[1,null],"a":"x"}'.encode()


@pytest.mark.parametrize("meta", [[1], "text", {1: 2}, {"a": object()}, {"a": float("nan")}, {"a": "\ud800"}, 0, []])
def test_metadata_that_is_no_json_object_is_refused(meta: Any) -> None:
    with pytest.raises(InvalidInputError, match="metadata"):
        encode_meta(meta)


def test_metadata_over_the_limit_is_refused() -> None:
    with pytest.raises(EntryTooLargeError, match="at most 16777216"):
        encode_meta({"a": "x" * 2**24})


@pytest.mark.parametrize(
    "encoded",
    [
        b"[1]",
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'"x"',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
    ],
)
def test_stored_metadata_that_is_no_json_object_is_corruption(encoded: bytes) -> None:
    with pytest.raises(CorruptArchiveError, match="metadata of entry x"):
        decode_meta(encoded, where="entry x")


def test_an_external_entry_takes_no_payload_bytes_inside_and_names_its_object() -> None:
    data = encode_record(32, Kind.EXTERNAL, Codec.NONE, b"big", b"", bytes(32), 2**40, 0)
    entry = to_entry(decode_record(data, 32), bytes(32))
    assert (entry.size, entry.stored_size, entry.sha256, entry.is_external) == (2**40, 0, "00" * 32, True)
    assert checksum32(bytes(32)) == entry.payload_checksum
