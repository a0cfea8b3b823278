from pathlib import Path

import pytest
from des_format import InvalidNameError, UnsafePathError
from des_format.errors import CorruptArchiveError
from des_format.names import decode_name, encode_name, safe_path


@pytest.mark.parametrize(
    "name", ["a", "dir/file.txt", "/leading", "..", "zażółć", "\U0001f600", "x" * 65535, " ", "a\nb"]
)
def test_a_valid_name_survives_the_round_trip(name: str) -> None:
    assert decode_name(encode_name(name)) == name


@pytest.mark.parametrize(
    ("name", "reason"), [("", "0 bytes"), ("x" * 65536, "65536 bytes"), ("a\0b", "NUL"), ("\ud800", "surrogate")]
)
def test_an_invalid_name_is_refused_with_its_reason(name: str, reason: str) -> None:
    with pytest.raises(InvalidNameError, match=reason):
        encode_name(name)


def test_a_name_that_is_no_string_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="found bytes"):
        encode_name(b"a")  # type: ignore[arg-type]


@pytest.mark.parametrize("encoded", [b"", b"a\0", b"\xff\xfe", b"\xed\xa0\x80"])
def test_bad_name_bytes_in_an_archive_are_corruption(encoded: bytes) -> None:
    with pytest.raises(CorruptArchiveError):
        decode_name(encoded)


def test_a_safe_name_becomes_a_path_below_the_root(tmp_path: Path) -> None:
    assert safe_path(tmp_path, "a/b c/d.txt") == tmp_path / "a" / "b c" / "d.txt"


@pytest.mark.parametrize("name", ["/abs", "a/../b", "..", ".", "a//b", "a/", "C:/x", "c:x", "a\\b", "./a"])
def test_an_unsafe_name_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafePathError, match="cannot become a path"):
        safe_path(tmp_path, name)
