"""Find where a name's record may lie, by the INDEX, sans I/O; blocks that were read are kept.

Source: docs/format.md, section "Index".
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterable

from .entry import ENTRY_HEAD_SIZE
from .errors import CorruptArchiveError
from .fetching import fetch
from .hashtable import MAX_CHAIN_BLOCKS, Slot, block_of, check_block, name_hash, search_block
from .layout import BLOCK_SIZE, HEADER_SIZE, Footer
from .names import encode_name
from .planner import TransferCost
from .ranges import ByteRange, Steps, Tail

__all__ = ["IndexLookup"]

_CACHED_BLOCKS = 4096


class _BlockCache:
    """Checked index blocks, the least recently used dropped first; shared by threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, number: int) -> bytes | None:
        with self._lock:
            block = self._blocks.get(number)
            if block is not None:
                self._blocks.move_to_end(number)
            return block

    def put(self, number: int, block: bytes) -> None:
        with self._lock:
            self._blocks[number] = block
            while len(self._blocks) > self._capacity:
                self._blocks.popitem(last=False)


class IndexLookup:
    """The INDEX of one archive.

    Args:
        footer: The archive's footer.
        cost: What a request costs, for merging ranges.
    """

    def __init__(self, footer: Footer, cost: TransferCost) -> None:
        self._footer = footer
        self._cost = cost
        self._blocks = _BlockCache(_CACHED_BLOCKS)

    def keep(self, tail: Tail) -> None:
        """Keep the blocks that a tail read brought along."""
        tail_start = tail.archive_size - len(tail.data)
        first = max(0, -(-(tail_start - self._footer.index_start) // BLOCK_SIZE))
        for number in range(first, self._footer.index_block_count):
            at = self._footer.index_start + number * BLOCK_SIZE - tail_start
            block = tail.data[at : at + BLOCK_SIZE]
            # A damaged block is an error for the reads that need it, and for no other.
            with contextlib.suppress(CorruptArchiveError):
                check_block(block, number, self._footer.index_start)
                self._blocks.put(number, block)

    def held(self, name: str) -> Slot | None:
        """Return the one place where a name's record may lie, if a block that is held decides that; else None."""
        footer = self._footer
        if not footer.index_block_count:
            return None
        hashed = name_hash(encode_name(name), footer.hash_seed)
        number = block_of(hashed, footer.index_block_count)
        block = self._blocks.get(number)
        if block is None:
            return None
        candidates, goes_on = search_block(block, hashed)
        return self._check_slot(candidates[0], number) if len(candidates) == 1 and not goes_on else None

    def places(self, name: str) -> Steps[list[Slot]]:
        """As `locate`, for one name."""
        if (slot := self.held(name)) is not None:
            return [slot]
        return (yield from self.locate((name,))).get(name, [])

    def locate(self, names: Iterable[str]) -> Steps[dict[str, list[Slot]]]:
        """Find where each name's record may lie: one round of index blocks, more only if one overflows.

        Returns:
            For each name that may exist, its candidates; nearly always one. Only the record
            itself proves that a candidate is the entry.
        """
        footer = self._footer
        found: dict[str, list[Slot]] = {}
        wanted: dict[int, list[tuple[str, int]]] = {}
        if footer.index_block_count:
            for name in dict.fromkeys(names):
                hashed = name_hash(encode_name(name), footer.hash_seed)
                wanted.setdefault(block_of(hashed, footer.index_block_count), []).append((name, hashed))
        visited = 0
        while wanted and visited < min(footer.index_block_count, MAX_CHAIN_BLOCKS):
            blocks = yield from self._read_blocks(wanted)
            overflowing: dict[int, list[tuple[str, int]]] = {}
            for number, searches in wanted.items():
                following = (number + 1) % footer.index_block_count
                for name, hashed in searches:
                    candidates, goes_on = search_block(blocks[number], hashed)
                    if candidates:
                        found.setdefault(name, []).extend(self._check_slot(slot, number) for slot in candidates)
                    if goes_on:
                        overflowing.setdefault(following, []).append((name, hashed))
            wanted = overflowing
            visited += 1
        _check_disjoint(found)
        return found

    def _check_slot(self, slot: Slot, number: int) -> Slot:
        if (
            slot.offset < HEADER_SIZE
            or slot.offset + slot.length > self._footer.meta_start
            or slot.length < ENTRY_HEAD_SIZE
        ):
            raise CorruptArchiveError(
                f"index block {number} places an entry at {slot.offset} to {slot.offset + slot.length},"
                f" outside of DATA ({HEADER_SIZE} to {self._footer.meta_start})"
            )
        return slot

    def _read_blocks(self, numbers: Iterable[int]) -> Steps[dict[int, bytes]]:
        blocks: dict[int, bytes] = {}
        missing = []
        for number in numbers:
            block = self._blocks.get(number)
            if block is None:
                missing.append(number)
            else:
                blocks[number] = block
        start = self._footer.index_start
        data = yield from fetch(
            [ByteRange(start + number * BLOCK_SIZE, start + (number + 1) * BLOCK_SIZE) for number in missing],
            self._cost,
        )
        for number, block in zip(missing, data, strict=True):
            check_block(block, number, start)
            self._blocks.put(number, block)
            blocks[number] = block
        return blocks


def _check_disjoint(found: dict[str, list[Slot]]) -> None:
    """Refuse places on top of each other: an index that lies could make a lookup read DATA again and again."""
    if len(found) == 1 and len(next(iter(found.values()))) == 1:
        return
    end = 0
    for slot in sorted({slot for candidates in found.values() for slot in candidates}):
        if slot.offset < end:
            raise CorruptArchiveError(f"the index places an entry at {slot.offset}, inside one that ends at {end}")
        end = slot.offset + slot.length
    for name, candidates in found.items():
        found[name] = list(dict.fromkeys(candidates))
