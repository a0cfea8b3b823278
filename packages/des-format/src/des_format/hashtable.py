"""The INDEX: a hash table of 4,096-byte blocks that is used in place.

A block holds 255 slots of 16 bytes (u64 offset, u32 tag, u32 entry length; tag and length 0
mark an empty slot) and a trailer of 16 bytes (u32 flags, u32 reserved, u64 checksum of the
4,088 bytes before it). A full block overflows into the next one and says so in its flags.

Source: docs/format.md, section "Index".
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from .checksum import checksum64
from .errors import ChecksumMismatchError, CorruptArchiveError
from .layout import BLOCK_SIZE

__all__ = [
    "MAX_CHAIN_BLOCKS",
    "SLOTS_PER_BLOCK",
    "Slot",
    "block_count",
    "block_of",
    "build_index",
    "check_block",
    "combined_checksum",
    "iter_slots",
    "name_hash",
    "search_block",
]

SLOTS_PER_BLOCK = 255
MAX_CHAIN_BLOCKS = 4
_OVERFLOWS = 1
_WORDS = BLOCK_SIZE // 8
_TRAILER = struct.Struct("<I4xQ")
_CHECKED = BLOCK_SIZE - 8
_SLOT = struct.Struct("<QII")
_SLOTS_END = SLOTS_PER_BLOCK * _SLOT.size

name_hash = xxh3_64_intdigest


class Slot(NamedTuple):
    """Where a candidate's record lies; the name in the record decides whether it is the one."""

    offset: int
    length: int


def block_count(entry_count: int) -> int:
    """Number of blocks for `entry_count` entries: a load of at most three quarters."""
    return -(-entry_count * 4 // (3 * SLOTS_PER_BLOCK))


def block_of(hashed: int, blocks: int) -> int:
    """Number of the block where the search for a name begins."""
    return ((hashed >> 32) * blocks) >> 32


def _tag_of(hashed: int) -> int:
    return (hashed >> 8) & 0xFFFFFFFF or 1


def build_index(hashes: Iterable[int], offsets: Iterable[int], lengths: Iterable[int], blocks: int) -> bytes | None:
    """Place every entry and return the INDEX, or None when a chain of full blocks grows too long.

    Args:
        hashes: Name hashes, all with the same seed.
        offsets: Offsets of the records, in the same order.
        lengths: Lengths of the records, 1 to 2**32 - 1.
        blocks: Number of blocks, as `block_count` gives.
    """
    words = array("Q", bytes(BLOCK_SIZE)) * blocks
    used = [0] * blocks
    for hashed, offset, length in zip(hashes, offsets, lengths, strict=True):
        block = first = ((hashed >> 32) * blocks) >> 32
        while used[block] == SLOTS_PER_BLOCK:
            words[block * _WORDS + _WORDS - 2] = _OVERFLOWS
            block = (block + 1) % blocks
            if (block - first) % blocks in (0, MAX_CHAIN_BLOCKS):
                return None
        used[block] += 1
        start = block * _WORDS
        at = start + 2 * ((hashed & 255) % SLOTS_PER_BLOCK)
        while words[at + 1]:
            at += 2
            if at == start + 2 * SLOTS_PER_BLOCK:
                at = start
        words[at] = offset
        words[at + 1] = length << 32 | ((hashed >> 8) & 0xFFFFFFFF or 1)
    if sys.byteorder == "big":
        words.byteswap()
    with memoryview(words).cast("B") as table:  # in place: every copy is 21 bytes an entry
        for start in range(0, len(table), BLOCK_SIZE):
            checked = start + _CHECKED
            table[checked : checked + 8] = checksum64(table[start:checked]).to_bytes(8, "little")
        return table.tobytes()


def combined_checksum(blocks: Iterable[bytes]) -> int:
    """XXH3-64 over the checksums of all blocks, in order."""
    return checksum64(b"".join(block[_CHECKED:] for block in blocks))


def check_block(block: bytes, number: int, index_start: int) -> None:
    """Check one block's size and checksum.

    Raises:
        CorruptArchiveError: Not `BLOCK_SIZE` bytes.
        ChecksumMismatchError: The checksum does not hold.
    """
    where = f"index block {number} at offset {index_start + number * BLOCK_SIZE}"
    if len(block) != BLOCK_SIZE:
        raise CorruptArchiveError(f"{where}: found {len(block)} bytes, expected {BLOCK_SIZE}")
    _flags, stored = _TRAILER.unpack_from(block, BLOCK_SIZE - _TRAILER.size)
    found = checksum64(block[:_CHECKED])
    if found != stored:
        raise ChecksumMismatchError(f"{where}: checksum {found:#018x}, expected {stored:#018x}")


def search_block(block: bytes, hashed: int) -> tuple[list[Slot], bool]:
    """Search a checked block.

    Returns:
        The candidates with the name's tag, in probing order, and whether the search must go
        on in the next block.
    """
    tag = _tag_of(hashed)
    candidates: list[Slot] = []
    first = (hashed & 255) % SLOTS_PER_BLOCK * _SLOT.size
    for slots in (block[first:_SLOTS_END], block[:first]):
        for offset, slot_tag, length in _SLOT.iter_unpack(slots):
            if not slot_tag:
                return candidates, False
            if slot_tag == tag:
                candidates.append(Slot(offset, length))
    flags, _checksum = _TRAILER.unpack_from(block, BLOCK_SIZE - _TRAILER.size)
    return candidates, bool(flags & _OVERFLOWS)


def iter_slots(block: bytes) -> Iterable[Slot]:
    """All occupied slots of a block, in slot order."""
    for offset, tag, length in _SLOT.iter_unpack(block[:_SLOTS_END]):
        if tag:
            yield Slot(offset, length)
