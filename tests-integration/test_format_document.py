"""What docs/format.md shows is what the package does: its example, its values and its tables."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import xxhash
import zstandard
from des_format import RoutingScheme, errors, locate_shard
from des_format.entry import ENTRY_HEAD_SIZE, MAX_ENTRY_BYTES, MAX_META_BYTES
from des_format.hashtable import MAX_CHAIN_BLOCKS, SLOTS_PER_BLOCK, block_count, name_hash
from des_format.layout import BLOCK_SIZE, FOOTER_SIZE, HEADER_SIZE, INDEX_ALIGNMENT, decode_footer
from des_format.listing import BLOCK_TARGET_BYTES, MAX_RAW_BLOCK_BYTES
from des_format.names import MAX_NAME_BYTES
from des_format.opening import TAIL_BYTES

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
ONE = (ROOT / "packages" / "des-format" / "tests" / "vectors" / "v3" / "one.des").read_bytes()
DUMP_LINE = re.compile(r" *(?P<at>\d+)  (?:00 × (?P<zeros>\d+)|(?P<bytes>[0-9a-f]{2}(?: [0-9a-f]{2})*))(?: {2,}\S.*)?")


def flowing(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


def section(title: str) -> str:
    return re.split(r"^## ", TEXT.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def dumps() -> list[bytes]:
    """The bytes of each dump in the worked example; every line must say the right place."""
    found = []
    for block in re.findall(r"^```text\n(.*?)^```", section("Worked example"), flags=re.MULTILINE | re.DOTALL):
        data = bytearray()
        for line in block.splitlines():
            if line.startswith("-- "):
                continue
            match = DUMP_LINE.fullmatch(line)
            assert match, line
            assert int(match["at"]) == len(data), line
            data += bytes(int(match["zeros"])) if match["zeros"] else bytes.fromhex(match["bytes"])
        found.append(bytes(data))
    return found


def test_the_worked_example_is_the_vector_byte_for_byte() -> None:
    assert dumps()[0] == ONE


def test_the_expanded_block_of_the_example_is_what_the_archive_holds() -> None:
    footer = decode_footer(ONE, archive_size=len(ONE))
    block = ONE[footer.meta_start : footer.directory_start]
    assert dumps()[1] == zstandard.ZstdDecompressor().decompress(block)


def test_the_lookup_of_the_example_is_right() -> None:
    hashed = name_hash(b"a.txt")
    slot = (hashed & 255) % SLOTS_PER_BLOCK
    text = flowing(section("Worked example"))
    assert f"is `{hashed:016x}`" in text
    assert f"the first slot is {slot}, the tag is `{hashed >> 8 & 0xFFFFFFFF:08x}`" in text
    assert f"256 + 16 × {slot} = {256 + 16 * slot}" in text


def rows(text: str, pattern: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = re.findall(pattern, text, flags=re.MULTILINE)
    return found


def test_the_values_of_xxh3_are_right() -> None:
    values = rows(section("Conventions"), r"^\| (\d+) \| (\d+) \| `([0-9a-f]{16})` \|$")
    assert len(values) == 15
    data = bytes(i % 256 for i in range(5000))
    for size, seed, expected in values:
        assert f"{xxhash.xxh3_64_intdigest(data[: int(size)], int(seed)):016x}" == expected
    assert f"`{xxhash.xxh3_128(b'').hexdigest()}`" in section("Footer")


def test_the_routing_vectors_are_right() -> None:
    pattern = r"^\| `(.+?)` \| (\d+) \| (\d+) \| `(.+?)` \| (\d+) \| `(.+?)` \|$"
    vectors = rows(section("Routing"), pattern)
    assert len(vectors) == 12
    created_at = datetime(2025, 11, 25, 12, tzinfo=UTC)
    for uid, n_bits, *expected in vectors:
        for scheme, shard, key in zip(RoutingScheme, expected[::2], expected[1::2], strict=True):
            location = locate_shard(uid, created_at, int(n_bits), scheme)
            assert (location.shard_index, location.object_key) == (int(shard), key)


@pytest.mark.parametrize(
    ("title", "start", "size"),
    [
        ("Header", "| at |", HEADER_SIZE),
        ("Entries", "| at |", ENTRY_HEAD_SIZE),
        ("Meta", "| at |", 22),
        ("Index", "| at | size | part of a block", BLOCK_SIZE),
        ("Index", "| at | size | field of a slot", 16),
        ("Footer", "| at |", FOOTER_SIZE),
    ],
)
def test_the_fields_of_every_table_follow_each_other(title: str, start: str, size: int) -> None:
    table = section(title)[section(title).index(start) :].split("\n\n")[0]
    fields = [(int(at), int(length)) for at, length in rows(table, r"^\| (\d+) \| (\d+) \|")]
    if start == "| at | size | part of a block":
        fields = [(0, 16 * SLOTS_PER_BLOCK), *fields]
    for (at, length), (following, _) in itertools.pairwise(fields):
        assert at + length == following
    assert fields[-1][0] + fields[-1][1] == size


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    limits = section("Writing")
    for number in (MAX_NAME_BYTES, MAX_META_BYTES, MAX_ENTRY_BYTES, MAX_RAW_BLOCK_BYTES):
        assert f"| {number:,} bytes" in limits
    assert f"| blocks that a lookup visits | {MAX_CHAIN_BLOCKS} |" in limits
    assert f"Read the last {TAIL_BYTES:,} bytes" in flowing(TEXT)
    assert f"reaches {BLOCK_TARGET_BYTES:,}." in flowing(section("Meta"))
    assert f"begins at a multiple of {INDEX_ALIGNMENT}," in flowing(section("Index"))
    blocks_in_tail = (TAIL_BYTES - FOOTER_SIZE) // BLOCK_SIZE
    most = max(count for count in range(5000) if block_count(count) <= blocks_in_tail)
    assert f"INDEX within the tail (up to {most:,} entries)" in TEXT


def test_every_error_of_the_text_is_one_of_the_code() -> None:
    named = rows(section("What a reader refuses"), r"^\| `(\w+)`")
    codes = {getattr(errors, name).code for name in errors.__all__}
    assert len(named) == 6
    assert set(named) <= codes
