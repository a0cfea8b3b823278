import struct
from dataclasses import dataclass

import pytest
from des_format import ChecksumMismatchError, CorruptArchiveError
from des_format.checksum import checksum64
from des_format.codecs import compress_zstd
from des_format.listing import Directory, DirectoryRow, Row, decode_block, encode_meta_region
from hypothesis import given, settings
from hypothesis import strategies as st

rows_strategy = st.dictionaries(
    st.binary(min_size=1, max_size=30),
    st.tuples(
        st.sampled_from([b"", b'{"a":1}', b'{"mime":"text/plain"}']),
        st.integers(0, 1),
        st.integers(0, 2),
        st.integers(100, 2**32 - 1),
        st.integers(0, 2**64 - 1),
        st.integers(0, 2**63),
    ),
    max_size=60,
).map(lambda entries: [Row(name, *entries[name]) for name in sorted(entries)])


@dataclass
class Region:
    blocks: list[bytes]
    directory: bytes

    def decode(self, start: int = 1000) -> Directory:
        length = sum(map(len, self.blocks))
        return Directory.decode(
            self.directory, meta_start=start, meta_length=length, expected_checksum=checksum64(self.directory)
        )


def encode(rows: list[Row]) -> Region:
    *blocks, directory = encode_meta_region(rows)
    return Region(blocks, directory)


def named(count: int, meta: bytes = b"") -> list[Row]:
    return [Row(f"folder/{i:07d}.txt".encode(), meta, 0, 0, 300, 200, 32 + 300 * i) for i in range(count)]


@settings(max_examples=60)
@given(rows_strategy)
def test_rows_survive_the_round_trip(rows: list[Row]) -> None:
    region = encode(rows)
    decoded = [
        row
        for stored, place in zip(region.blocks, region.decode().rows, strict=True)
        for row in decode_block(stored, place)
    ]
    assert decoded == rows


def test_blocks_hold_about_64_kib_and_lie_back_to_back() -> None:
    region = encode(named(10_000))
    places = region.decode().rows
    assert len(places) == 8
    assert all(65_536 * 0.5 < place.raw_length < 65_536 * 1.1 for place in places[:-1])
    assert [place.start for place in places[1:]] == [place.end for place in places[:-1]]
    assert places[0].start == 1000


def test_a_regular_row_takes_a_few_bytes() -> None:
    assert sum(map(len, encode(named(10_000)).blocks)) < 10_000 * 6


def test_prefixes_select_only_the_blocks_that_may_hold_them() -> None:
    directory = encode(named(10_000)).decode()
    assert directory.with_prefix(b"") == directory.rows
    assert directory.with_prefix(b"folder/") == directory.rows
    assert len(directory.with_prefix(b"folder/0004567")) == 1
    assert directory.with_prefix(b"a") == directory.rows[:0]
    assert len(directory.with_prefix(b"zzz")) == 1  # Only its last names could follow.


def test_a_single_large_entry_makes_a_block_of_its_own() -> None:
    rows = [Row(b"a", b'{"x":"' + b"y" * 1_000_000 + b'"}', 0, 0, 100, 1, 32), Row(b"b", b"", 0, 0, 100, 1, 132)]
    assert [place.entry_count for place in encode(rows).decode().rows] == [1, 1]


def test_an_empty_region_has_an_empty_directory() -> None:
    region = encode([])
    assert region.blocks == []
    assert region.decode().rows == []


def test_damage_to_a_block_or_the_directory_is_detected() -> None:
    region = encode(named(10))
    (place,) = region.decode().rows
    stored = bytearray(region.blocks[0])
    stored[5] ^= 1
    with pytest.raises(ChecksumMismatchError, match="META block at offset 1000"):
        decode_block(bytes(stored), place)
    with pytest.raises(CorruptArchiveError, match="found 3 bytes"):
        decode_block(b"abc", place)
    with pytest.raises(ChecksumMismatchError, match="META directory"):
        Directory.decode(region.directory, meta_start=0, meta_length=1, expected_checksum=1)


def forged_block(raw: bytes, entry_count: int = 1) -> tuple[bytes, DirectoryRow]:
    stored = compress_zstd(raw, 3)
    return stored, DirectoryRow(0, len(stored), len(raw), entry_count, checksum64(stored), b"a")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (struct.pack("<I", 2**31) + bytes(40), "holds 2147483648 rows"),
        (struct.pack("<I", 1), "holds 1 rows in 4 bytes"),
        (struct.pack("<I", 1) + bytes(30) + b"rest", "do not fill"),
        (struct.pack("<I", 1) + b"\x05" + bytes(29), "shares 5 bytes of a 0-byte name"),
        (struct.pack("<I", 1) + b"\0\0\0\xff" + bytes(26), "do not fill"),
    ],
)
def test_a_block_that_contradicts_itself_is_refused_though_its_checksum_holds(raw: bytes, message: str) -> None:
    with pytest.raises(CorruptArchiveError, match=message):
        decode_block(*forged_block(raw))


def test_a_block_whose_names_would_expand_without_end_is_refused() -> None:
    count = 2000
    columns = b"\xff" * count * 2 + bytes(count * 28)
    with pytest.raises(CorruptArchiveError, match="expand to over"):
        decode_block(*forged_block(struct.pack("<I", count) + columns, count))


def test_a_directory_that_promises_a_huge_block_is_refused() -> None:
    row = struct.pack("<IIIHQ", 10, 2**31, 1, 1, 0) + b"a"
    with pytest.raises(CorruptArchiveError, match="a block of 2147483648 bytes"):
        Region([bytes(10)], struct.pack("<I", 1) + row).decode()


@pytest.mark.parametrize(
    "directory",
    [
        b"",
        struct.pack("<I", 2**32 - 1),
        struct.pack("<I", 0),
        struct.pack("<I", 1) + struct.pack("<IIIHQ", 9, 1, 1, 1, 0) + b"a",
    ],
)
def test_a_directory_that_does_not_tile_meta_is_refused(directory: bytes) -> None:
    with pytest.raises(CorruptArchiveError, match="META directory"):
        Region([bytes(10)], directory).decode()


@pytest.mark.parametrize(
    "row",
    [
        Row(b"a", b"", 2, 0, 40, 1, 32),
        Row(b"a", b"", 0, 7, 40, 1, 32),
        Row(b"\xff", b"", 0, 0, 40, 1, 32),
        Row(b"a", b"[]", 0, 0, 40, 1, 32),
    ],
)
def test_a_row_that_no_entry_could_have_is_corruption(row: Row) -> None:
    with pytest.raises(CorruptArchiveError):
        _ = row.entry
