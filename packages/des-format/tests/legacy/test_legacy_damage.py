"""Damaged and hostile legacy archives: an error that says so, never bytes from elsewhere, never a heap of memory."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from des_format import (
    CorruptArchiveError,
    DesError,
    DesReader,
    UnsupportedFormatError,
)
from hypothesis import given
from hypothesis import strategies as st

VECTORS = Path(__file__).parent.parent / "vectors" / "legacy"
SMALL = [
    "datavision/empty.des",
    "datavision/example.des",
    "datavision/all_zero_length.des",
    "datavision/nan_meta.des",
    "datavision/zero_length.des",
    "datavision/external_duplicates/external_duplicates.des",
    "datavision/prefix_mismatch/2025-01-15/prefix_mismatch.des",
    "des_core/v1_empty.des",
    "des_core/v2_empty.des",
    "des_core/v2_example/v2_example.des",
    "des_core/v2_nan_meta.des",
    "des_core/v2_expand_zstd.des",
    "des_core/v2_zero_length_none.des",
    "des_core/v2_zero_length_zstd.des",
    "des_core/v2_zero_length_lz4.des",
]
every_small_archive = pytest.mark.parametrize("archive", SMALL)
MEBIBYTE = 2**20


@every_small_archive
def test_no_part_of_an_archive_passes_for_a_whole_one(archive: str, guarded: Any) -> None:
    data = (VECTORS / archive).read_bytes()
    for length in range(len(data)):
        with pytest.raises((CorruptArchiveError, UnsupportedFormatError)):
            DesReader(guarded(data[:length]))
        if length:
            with pytest.raises((CorruptArchiveError, UnsupportedFormatError)):
                DesReader(guarded(data[length:]))


@pytest.mark.parametrize("archive", ["datavision/single.des", "des_core/v1_mixed.des", "des_core/v2_zstd.des"])
def test_an_archive_that_was_cut_off_is_called_so(archive: str) -> None:
    data = (VECTORS / archive).read_bytes()
    for length in (8, 100, len(data) - 1):
        with pytest.raises(CorruptArchiveError, match="cut off, or never finished"):
            DesReader(data[:length])


@every_small_archive
def test_a_flipped_bit_is_an_error_or_another_reading_but_nothing_worse(
    archive: str, guarded: Any, read_all: Any
) -> None:
    path = VECTORS / archive
    data = path.read_bytes()
    for position in range(len(data)):
        for bit in range(8):
            flipped = data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :]
            source = guarded(flipped, path.parent)
            with suppress(DesError):
                read_all(DesReader(source, max_entry_bytes=MEBIBYTE))
            assert source.read_bytes <= 10 * len(data)


@pytest.mark.parametrize(
    "archive",
    [
        "datavision/forced_without_storage.des",
        "datavision/prefix_mismatch/2025-01-15/prefix_mismatch.des",
        "datavision/zero_length.des",
        "des_core/v2_example/v2_example.des",
        "des_core/v2_nan_meta.des",
        "des_core/v2_zero_length_none.des",
        "des_core/v2_zero_length_zstd.des",
        "des_core/v2_zero_length_lz4.des",
        "des_core/v1_mixed.des",
    ],
)
def test_a_flipped_bit_in_any_number_of_an_archive_is_noticed(archive: str, guarded: Any, read_all: Any) -> None:
    """No checksum exists, but all that is not payload, name or metadata is recorded twice or leaves no choice."""
    path = VECTORS / archive
    data = path.read_bytes()
    text = text_positions(data)
    for position in set(range(len(data))) - text:
        for bit in range(8):
            flipped = data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :]
            with pytest.raises(DesError):
                read_all(DesReader(guarded(flipped, path.parent), max_entry_bytes=MEBIBYTE))


def text_positions(data: bytes) -> set[int]:
    """Where payloads, names and metadata lie."""
    if data.startswith(b"DESHEAD1"):
        _, data_length, meta_start, meta_length, at, _, count = struct.unpack("<7Q", data[-56:])
        text = {*range(16, 16 + data_length), *range(meta_start, meta_start + meta_length)}
        for _ in range(count):
            (length,) = struct.unpack_from("<H", data, at)
            text |= {*range(at + 2, at + 2 + length)}
            at += 2 + length + 36
        return text
    (index_length,) = struct.unpack("<Q", data[-8:])
    at = len(data) - 12 - index_length + 4
    text = {*range(8, at - 4)}
    while at < len(data) - 12:
        (length,) = struct.unpack_from("<H", data, at)
        text |= {*range(at + 2, at + 2 + length)}
        at += 2 + length
        if data[4] == 1:
            at += 33
            continue
        at += 1 + (2 + 64 + 8 if data[at] == 1 else 33)
        (length,) = struct.unpack_from("<I", data, at)
        text |= {*range(at + 4, at + 4 + length)}
        at += 4 + length
    return text


@given(
    archive=st.sampled_from(SMALL),
    edits=st.lists(
        st.tuples(st.integers(0, 500), st.integers(0, 12), st.one_of(st.binary(max_size=12), st.just(b"\xff" * 8))),
        min_size=1,
        max_size=5,
    ),
)
def test_any_edit_is_an_error_or_another_reading(archive: str, edits: Any, guarded: Any, read_all: Any) -> None:
    path = VECTORS / archive
    data = path.read_bytes()
    for position, removed, added in edits:
        position %= len(data) + 1
        data = data[:position] + added + data[position + removed :]
    with suppress(DesError):
        read_all(DesReader(guarded(data, path.parent), max_entry_bytes=MEBIBYTE))
