import dataclasses
import struct

import pytest
from des_format import ChecksumMismatchError, CorruptArchiveError, UnsupportedFormatError
from des_format.checksum import checksum64
from des_format.layout import (
    FOOTER_SIZE,
    HEADER,
    HEADER_SIZE,
    Footer,
    check_header,
    decode_footer,
    encode_footer,
)

GOOD = Footer(
    archive_size=32 + 100 + 20 + 8 + 32 + 4096 + FOOTER_SIZE,
    data_start=32,
    data_length=100,
    meta_start=132,
    meta_length=20,
    directory_length=8,
    index_start=192,
    index_block_count=1,
    hash_seed=0,
    entry_count=2,
    raw_bytes=10,
    stored_bytes=10,
    external_count=0,
    external_bytes=0,
    dictionary_start=0,
    dictionary_length=0,
    previous_footer=0,
    directory_checksum=1,
    index_checksum=2,
    content_digest=bytes(16),
)


def resealed(data: bytes, offset: int, fmt: str, value: object) -> bytes:
    """Change a field and make the checksum right again, as an attacker would."""
    changed = bytearray(data)
    struct.pack_into(fmt, changed, offset, value)
    changed[-8:] = struct.pack("<Q", checksum64(bytes(changed[:-8])))
    return bytes(changed)


def test_header_and_footer_have_their_documented_sizes() -> None:
    assert (HEADER_SIZE, FOOTER_SIZE, len(HEADER)) == (32, 200, 32)


def test_the_footer_survives_the_round_trip() -> None:
    assert decode_footer(b"before" + encode_footer(GOOD), archive_size=GOOD.archive_size) == GOOD


def test_the_header_is_accepted_with_a_newer_minor_version_and_optional_flags() -> None:
    check_header(HEADER)
    check_header(resealed(HEADER, 8, "<H", 9))
    check_header(resealed(HEADER, 12, "<I", 0x80))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (HEADER[:31], CorruptArchiveError, "found 31 bytes, expected 32"),
        (b"PK\3\4" + HEADER[4:], UnsupportedFormatError, "found magic"),
        (HEADER[:20] + b"\1" + HEADER[21:], ChecksumMismatchError, "header at offset 0: checksum"),
        (resealed(HEADER, 10, "<H", 4), UnsupportedFormatError, "unknown features 0x0004"),
    ],
)
def test_a_bad_header_is_refused(data: bytes, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_header(data)


def test_every_flipped_bit_of_the_footer_is_detected() -> None:
    data = encode_footer(GOOD)
    for position in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises((CorruptArchiveError, UnsupportedFormatError)):
            decode_footer(bytes(flipped), archive_size=GOOD.archive_size)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"archive_size": 1}, "archive size 1"),
        ({"data_start": 8}, "DATA start 8"),
        ({"data_length": 2**63}, "META start"),
        ({"meta_length": 2**40}, "INDEX start"),
        ({"index_start": 193}, "INDEX alignment"),
        ({"index_block_count": 2**50}, "INDEX end"),
        ({"index_start": 256}, "INDEX end"),
        ({"entry_count": 2**63}, "entry count"),
        ({"dictionary_start": 100, "dictionary_length": 33}, "dictionary end"),
        ({"previous_footer": 5}, "previous footer 5"),
    ],
)
def test_a_footer_that_contradicts_the_file_is_refused_though_its_checksum_holds(
    change: dict[str, int], message: str
) -> None:
    bad = dataclasses.replace(GOOD, **change)  # type: ignore[arg-type]
    with pytest.raises(CorruptArchiveError, match=message):
        decode_footer(encode_footer(bad), archive_size=GOOD.archive_size)


def test_an_unknown_required_feature_is_refused_and_named() -> None:
    data = resealed(encode_footer(GOOD), 10, "<H", 2)
    with pytest.raises(UnsupportedFormatError, match="unknown features 0x0002"):
        decode_footer(data, archive_size=GOOD.archive_size)


@pytest.mark.parametrize("size", [0, 10, 231])
def test_a_tail_too_short_for_a_footer_is_refused(size: int) -> None:
    with pytest.raises(CorruptArchiveError, match="truncated"):
        decode_footer(bytes(size), archive_size=size)
