"""Payloads beside a des_core archive: only a hash names them, and their content must have it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from des_format import (
    BigFileMissingError,
    ChecksumMismatchError,
    CorruptArchiveError,
    DesReader,
)

PAYLOAD = b"the payload that lies beside"
SIZE = len(PAYLOAD)

Make = Callable[..., DesReader]


@pytest.fixture
def des_core(tmp_path: Path, dc: Any, build_des_core: Any) -> Make:
    """A reader of an archive with one external entry `x` of this hash and size."""

    def make(digest: str = hashlib.sha256(PAYLOAD).hexdigest(), size: int = SIZE) -> DesReader:
        path = tmp_path / "day" / "shard.des"
        path.parent.mkdir(exist_ok=True)
        rows = [dc(b"a", b"1"), dc(b"x", size=size, digest=digest.encode()), dc(b"z", b"2")]
        path.write_bytes(build_des_core(rows))
        return DesReader(path)

    return make


KEY = f"_bigFiles/{hashlib.sha256(PAYLOAD).hexdigest()}"


def test_content_is_checked_against_its_hash(des_core: Make, put: Callable[..., Path]) -> None:
    with des_core() as reader:
        with pytest.raises(BigFileMissingError):
            reader.get_file("x")
        put(KEY, PAYLOAD)
        assert reader.get_file("x") == reader.open("x").read() == PAYLOAD
        assert reader.get_files_batch(["z", "x", "a"]) == {"z": b"2", "x": PAYLOAD, "a": b"1"}
        put(KEY, PAYLOAD[::-1])
        for read in (
            lambda: reader.get_file("x"),
            lambda: reader.get_files_batch(["a", "x"]),
            lambda: reader.read_range("x", 0, SIZE),
        ):
            with pytest.raises(ChecksumMismatchError, match="its SHA-256 is another one"):
                read()
        # A part cannot be checked.
        assert reader.read_range("x", 0, 4) == PAYLOAD[::-1][:4]


@pytest.mark.parametrize("found", [b"", PAYLOAD[:-1]])
def test_an_object_that_is_too_short_is_refused(found: bytes, des_core: Make, put: Callable[..., Path]) -> None:
    put(KEY, found)
    with des_core() as reader, pytest.raises(CorruptArchiveError, match=f"found {len(found)} bytes, expected {SIZE}"):
        reader.get_file("x")


def test_a_size_that_contradicts_the_hash_is_refused(des_core: Make, put: Callable[..., Path]) -> None:
    put(KEY, PAYLOAD)
    with des_core(size=SIZE - 1) as reader, pytest.raises(ChecksumMismatchError):
        reader.get_file("x")
    with des_core(size=0) as reader, pytest.raises(ChecksumMismatchError):
        reader.get_file("x")
    with des_core(hashlib.sha256().hexdigest(), size=0) as reader:
        assert reader.get_file("x") == b""


@pytest.mark.parametrize(
    "digest",
    [
        "../../secret.txt",
        "../" * 21 + "x",
        "/" + "e" * 63,
        "A" * 64,
        "g" * 64,
        "a" * 63,
        "a" * 65,
        "",
        "a" * 63 + "\n",
        "a" * 32 + "\0" * 32,
        "a/" * 32,
        "é" * 32,
    ],
)
def test_a_hash_that_is_none_never_becomes_a_path(digest: str, des_core: Make, put: Callable[..., Path]) -> None:
    put("secret.txt", PAYLOAD)
    with pytest.raises(CorruptArchiveError):
        des_core(digest)
