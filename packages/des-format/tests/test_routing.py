from datetime import UTC, datetime, timedelta, timezone

import pytest
from des_format import InvalidInputError, RoutingScheme, locate_shard
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("uid", "n_bits", "shard_index", "shard_hex"),
    [
        ("12345", 8, 12345 % 256, "39"),
        (12345, 8, 12345 % 256, "39"),
        ("0", 8, 0, "00"),
        ("abc", 16, 0x41C2, "41C2"),
        ("uid-123", 8, 0xCE, "CE"),
        ("00000000000000000000000000000257", 8, 1, "01"),
        ("123456789", 6, 123456789 % 64, "15"),
        ("abc", 0, 0, "0"),
        ("65535", 16, 65535, "FFFF"),
        ("²", 8, 0x93, "93"),
        ("٣", 8, 0xFB, "FB"),
    ],
)
def test_modulo_crc32_vectors(uid: str | int, n_bits: int, shard_index: int, shard_hex: str) -> None:
    location = locate_shard(uid, NOON, n_bits)
    assert (location.shard_index, location.shard_hex) == (shard_index, shard_hex)
    assert location.object_key == f"20251125/{shard_hex}.des"


@pytest.mark.parametrize(("uid", "n_bits", "shard_hex"), [("abc", 8, "BA"), ("abc", 16, "BA78"), ("abc", 1, "1")])
def test_sha256_prefix_takes_the_top_bits(uid: str, n_bits: int, shard_hex: str) -> None:
    assert locate_shard(uid, NOON, n_bits, "sha256-prefix").shard_hex == shard_hex


def test_the_day_is_taken_in_utc_whatever_the_offset() -> None:
    instant = datetime(2025, 1, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert locate_shard("x", instant).date_dir == "20250102"
    assert locate_shard("x", instant) == locate_shard("x", instant.astimezone(UTC))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("x", datetime(2025, 1, 1)), InvalidInputError, "no time zone"),  # noqa: DTZ001
        (("x", NOON, 17), InvalidInputError, "n_bits 17"),
        (("x", NOON, -1), InvalidInputError, "n_bits -1"),
        (("x", NOON, 8, "md5"), InvalidInputError, "unknown routing scheme 'md5'; known: modulo-crc32"),
        (("", NOON), InvalidInputError, "non-empty"),
        ((-1, NOON), InvalidInputError, "non-negative"),
        (("\ud800", NOON), InvalidInputError, "not valid Unicode"),
        ((1.5, NOON), TypeError, "found float"),
        ((True, NOON), TypeError, "found bool"),
    ],
)
def test_bad_routing_input_is_refused(arguments: tuple, error: type[Exception], message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(error, match=message):
        locate_shard(*arguments)


@given(st.integers(min_value=0, max_value=10**60), st.integers(min_value=0, max_value=16))
def test_a_number_and_its_text_route_alike(number: int, n_bits: int) -> None:
    assert locate_shard(number, NOON, n_bits).shard_index == number % 2**n_bits
    assert locate_shard(str(number), NOON, n_bits).shard_index == number % 2**n_bits


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.integers(min_value=0, max_value=16),
    st.sampled_from(RoutingScheme),
)
def test_every_uid_has_a_shard_in_range(uid: str, n_bits: int, scheme: RoutingScheme) -> None:
    location = locate_shard(uid, NOON, n_bits, scheme)
    assert 0 <= location.shard_index < 2**n_bits
    assert int(location.shard_hex, 16) == location.shard_index
    assert len(location.shard_hex) == max(1, -(-n_bits // 4))
