"""Compressed payloads of des_core archives: bombs, liars, and frames that are none."""

from __future__ import annotations

import struct
from typing import Any

import lz4.frame
import pytest
import xxhash
import zstandard
from des_format import (
    CorruptArchiveError,
    DesReader,
    EntryTooLargeError,
)

MEBIBYTE = 2**20

ZEROS = bytes(64 * MEBIBYTE)
ZSTD_BOMB = zstandard.ZstdCompressor(level=3).compress(ZEROS)
LZ4_BOMB = lz4.frame.compress(ZEROS)
ZSTD_UNSIZED = zstandard.ZstdCompressor(level=3, write_content_size=False).compress(b"x" * 100)
LZ4_UNSIZED = lz4.frame.compress(b"x" * 100, store_size=False)


@pytest.mark.parametrize(("codec", "bomb", "stated"), [(1, ZSTD_BOMB, 2_000), (2, LZ4_BOMB, 275_000)])
def test_a_bomb_is_refused_before_it_expands(
    codec: int, bomb: bytes, stated: int, dc: Any, build_des_core: Any, at_most: Any
) -> None:
    for size in (stated, len(ZEROS)):
        archive = build_des_core([dc(b"bomb", bomb, size, codec), dc(b"a", b"1")])
        with DesReader(archive, max_entry_bytes=MEBIBYTE) as reader, at_most(2 * MEBIBYTE):
            for read in (
                lambda: reader.get_file("bomb"),
                lambda: reader.read_range("bomb", 0, 1),
                lambda: [*reader.scan()],
            ):
                with pytest.raises(EntryTooLargeError if size > stated else CorruptArchiveError):
                    read()
            assert reader.get_file("a") == b"1"


def test_what_is_within_the_limit_expands(dc: Any, build_des_core: Any) -> None:
    rows = [dc(b"zstd", ZSTD_BOMB, len(ZEROS), 1), dc(b"lz4", LZ4_BOMB, len(ZEROS), 2)]
    with DesReader(build_des_core(rows)) as reader:
        assert reader.get_files_batch(["zstd", "lz4"]) == {"zstd": ZEROS, "lz4": ZEROS}


def test_a_frame_that_lies_about_its_size_allocates_nothing_of_it(dc: Any, build_des_core: Any, at_most: Any) -> None:
    small = zstandard.ZstdCompressor(level=3).compress(bytes(300))
    header = zstandard.get_frame_parameters(small)
    assert header.content_size == 300
    # Four bytes of content size in a frame of a single segment, and a window as large.
    lying = small[:4] + b"\xa0" + struct.pack("<I", 2**30) + small[7:]
    assert zstandard.frame_content_size(lying) == 2**30
    with (
        DesReader(build_des_core([dc(b"a", lying, 2**30, 1)])) as reader,
        at_most(32 * MEBIBYTE),
        pytest.raises(CorruptArchiveError),
    ):
        reader.get_file("a")
    frame = bytearray(lz4.frame.compress(b"x"))
    frame[6:14] = struct.pack("<Q", 2**30)
    frame[14] = xxhash.xxh32_intdigest(bytes(frame[4:14])) >> 8 & 0xFF
    assert lz4.frame.get_frame_info(bytes(frame))["content_size"] == 2**30
    with (
        DesReader(build_des_core([dc(b"a", bytes(frame), 2**30, 2)])) as reader,
        at_most(MEBIBYTE),
        pytest.raises(CorruptArchiveError),
    ):
        reader.get_file("a")


@pytest.mark.parametrize(
    ("codec", "stored", "size"),
    [
        (1, ZSTD_UNSIZED, 100),
        (2, LZ4_UNSIZED, 100),
        (1, zstandard.compress(b"x" * 100), 99),
        (2, lz4.frame.compress(b"x" * 100), 101),
        (1, zstandard.compress(b"x" * 100) + b"more", 100),
        (2, lz4.frame.compress(b"x" * 100) + b"more", 100),
        (1, zstandard.compress(b"x" * 100)[:-1], 100),
        (2, lz4.frame.compress(b"x" * 100)[:-1], 100),
        (1, b"", 0),
        (2, b"", 0),
        (1, b"x" * 100, 100),
        (2, b"x" * 100, 100),
    ],
)
def test_a_frame_must_be_one_and_agree_with_the_index(
    codec: int, stored: bytes, size: int, dc: Any, build_des_core: Any
) -> None:
    with DesReader(build_des_core([dc(b"a", stored, size, codec), dc(b"b", b"1")])) as reader:
        with pytest.raises(CorruptArchiveError, match="payload of entry 'a' at offset 8"):
            reader.get_file("a")
        assert reader.get_file("b") == b"1"


def test_more_is_never_stored_than_a_compressor_could_have_made(dc: Any, build_des_core: Any) -> None:
    for codec in (1, 2):
        with pytest.raises(CorruptArchiveError, match="stores 5000 and 5000 bytes"):
            DesReader(build_des_core([dc(b"a", bytes(5000), 1, codec)]))
