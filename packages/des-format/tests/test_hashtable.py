import struct

import pytest
from des_format import ChecksumMismatchError, CorruptArchiveError
from des_format.hashtable import (
    SLOTS_PER_BLOCK,
    Slot,
    block_count,
    block_of,
    build_index,
    check_block,
    combined_checksum,
    iter_slots,
    search_block,
)
from des_format.layout import BLOCK_SIZE
from hypothesis import given, settings
from hypothesis import strategies as st


def blocks_of(index: bytes) -> list[bytes]:
    return [index[i : i + BLOCK_SIZE] for i in range(0, len(index), BLOCK_SIZE)]


def lookup(index: bytes, hashed: int) -> list[Slot]:
    """The lookup rules, written once more and naively."""
    blocks = blocks_of(index)
    number, found = block_of(hashed, len(blocks)), []
    for _ in blocks:
        candidates, goes_on = search_block(blocks[number], hashed)
        found += candidates
        if not goes_on:
            break
        number = (number + 1) % len(blocks)
    return found


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=1000))
def test_every_placed_entry_is_found(hashes: list[int]) -> None:
    count = block_count(len(hashes))
    index = build_index(hashes, range(1, len(hashes) + 1), [7] * len(hashes), count)
    if index is None:
        return  # Adversarial hashes may need another seed.
    for position, hashed in enumerate(hashes, start=1):
        assert Slot(position, 7) in lookup(index, hashed)
    assert sum(len(list(iter_slots(block))) for block in blocks_of(index)) == len(hashes)


@pytest.mark.parametrize(("entries", "blocks"), [(0, 0), (1, 1), (191, 1), (192, 2), (1_000_000, 5229)])
def test_the_table_is_at_most_three_quarters_full(entries: int, blocks: int) -> None:
    assert block_count(entries) == blocks
    assert entries <= blocks * SLOTS_PER_BLOCK * 0.75


def test_a_full_block_overflows_into_the_next_and_says_so() -> None:
    same_block = list(range(300))  # The high half is 0, so all begin in block 0.
    index = build_index(same_block, range(300), [1] * 300, 3)
    assert index is not None
    first, second, third = blocks_of(index)
    assert len(list(iter_slots(first))) == SLOTS_PER_BLOCK
    assert len(list(iter_slots(second))) == 45
    assert search_block(first, 299)[1]
    assert not search_block(second, 299)[1]
    assert not list(iter_slots(third))
    for position, hashed in enumerate(same_block):
        assert Slot(position, 1) in lookup(index, hashed)


def test_overflow_wraps_around_to_the_first_block() -> None:
    last_block = [(2**32 - 1) << 32 | low for low in range(300)]
    index = build_index(last_block, range(300), [1] * 300, 2)
    assert index is not None
    assert len(list(iter_slots(blocks_of(index)[0]))) == 45
    assert Slot(299, 1) in lookup(index, last_block[299])


def test_a_chain_of_four_full_blocks_asks_for_another_seed() -> None:
    hashes = list(range(4 * SLOTS_PER_BLOCK + 1))
    assert build_index(hashes[:-1], range(1020), [1] * 1020, 8) is not None
    assert build_index(hashes, range(1021), [1] * 1021, 8) is None


def test_a_table_without_room_asks_for_another_seed() -> None:
    assert build_index(range(256), range(256), [1] * 256, 1) is None


def test_equal_tags_are_all_candidates() -> None:
    index = build_index([5 << 8, 5 << 8, 5 << 8 | 1 << 63], [10, 20, 30], [1, 2, 3], 1)
    assert index is not None
    assert lookup(index, 5 << 8) == [Slot(10, 1), Slot(20, 2), Slot(30, 3)]


def test_a_tag_of_zero_is_stored_as_one() -> None:
    index = build_index([0], [40], [9], 1)
    assert index is not None
    assert struct.unpack_from("<QII", index) == (40, 1, 9)
    assert lookup(index, 0) == [Slot(40, 9)]


def test_every_flipped_bit_of_a_block_is_detected() -> None:
    index = build_index(range(0, 2**40, 2**33), range(128), [1] * 128, 1)
    assert index is not None
    check_block(index, 0, 0)
    for position in range(0, BLOCK_SIZE * 8, 7):
        flipped = bytearray(index)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(ChecksumMismatchError, match="index block 3 at offset 12388"):
            check_block(bytes(flipped), 3, 100)


def test_a_short_block_is_refused() -> None:
    with pytest.raises(CorruptArchiveError, match="found 10 bytes, expected 4096"):
        check_block(bytes(10), 0, 0)


def test_the_combined_checksum_covers_every_block_in_order() -> None:
    one = build_index([1, 2**63], [1, 2], [1, 1], 2)
    other = build_index([1, 2**63], [1, 3], [1, 1], 2)
    assert one is not None
    assert other is not None
    swapped = one[BLOCK_SIZE:] + one[:BLOCK_SIZE]
    assert len({combined_checksum(blocks_of(index)) for index in (one, other, swapped)}) == 3


def test_a_search_wraps_around_within_its_block() -> None:
    hashes = [tag << 8 | 254 for tag in range(1, 9)]
    index = build_index(hashes, range(8), [1] * 8, 1)
    assert index is not None
    for position, hashed in enumerate(hashes):
        assert search_block(index, hashed) == ([Slot(position, 1)], False)
    assert search_block(index, 99 << 8 | 254) == ([], False)
    assert search_block(index, 8 << 8 | 2) == ([Slot(7, 1)], False)
