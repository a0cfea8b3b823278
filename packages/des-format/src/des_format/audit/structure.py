"""Check everything of a version-3 archive but its DATA: header, footers, INDEX, META, padding."""

from __future__ import annotations

from collections.abc import Iterator

from ..archive import Archive
from ..checksum import checksum64
from ..errors import ChecksumMismatchError, CorruptArchiveError, DesError
from ..hashtable import (
    MAX_CHAIN_BLOCKS,
    Slot,
    block_of,
    check_block,
    iter_slots,
    name_hash,
    search_block,
)
from ..layout import BLOCK_SIZE, FOOTER_SIZE, HEADER_SIZE, INDEX_ALIGNMENT, Footer, check_header, decode_footer
from ..listing import Directory, DirectoryRow, Row, decode_block
from ..ranges import RangeSource
from .pieces import read_exactly, read_pieces
from .report import Findings

__all__ = ["Index", "check_header_part", "check_old_regions", "read_chain", "read_directory", "read_rows"]

_BLOCKS_AT_ONCE = 2048


def check_header_part(source: RangeSource, findings: Findings) -> None:
    """Check the header."""
    try:
        check_header(read_exactly(source, 0, HEADER_SIZE))
    except DesError as error:
        findings.add("header", error)
    findings.count_bytes(HEADER_SIZE)


def read_chain(archive: Archive, source: RangeSource, findings: Findings) -> list[Footer]:
    """Return the footers that can be read, oldest first; the archive's own is the last."""
    chain = [archive.footer]
    findings.count_bytes(FOOTER_SIZE)
    while chain[-1].data_start > HEADER_SIZE:
        newer = chain[-1]
        start = newer.data_start - FOOTER_SIZE
        where = f"footer at offset {start}"
        if newer.previous_footer != start:
            findings.add(where, f"DATA starts at {newer.data_start}, but no footer before it is named")
            break
        try:
            footer = decode_footer(read_exactly(source, start, newer.data_start), archive_size=newer.data_start)
        except DesError as error:
            findings.add(where, error)
            break
        findings.count_bytes(FOOTER_SIZE)
        chain.append(footer)
    return chain[::-1]


class Index:
    """The blocks of an INDEX, each checked; a damaged one is None."""

    def __init__(self, footer: Footer, source: RangeSource, findings: Findings) -> None:
        self._seed = footer.hash_seed
        self._blocks: list[bytes | None] = []
        self.occupied = 0
        combined = []
        for number, block in _blocks(footer, source, findings):
            combined.append(block[-8:])
            try:
                check_block(block, number, footer.index_start)
            except CorruptArchiveError as error:
                findings.add(f"index block {number} at offset {footer.index_start + number * BLOCK_SIZE}", error)
                self._blocks.append(None)
            else:
                self._blocks.append(block)
                self.occupied += sum(1 for _ in iter_slots(block))
        self.complete = None not in self._blocks and len(self._blocks) == footer.index_block_count
        found = checksum64(b"".join(combined))
        if found != footer.index_checksum:
            findings.add(
                f"index at offset {footer.index_start}",
                f"combined checksum {found:#018x}, expected {footer.index_checksum:#018x}",
            )

    def slots(self) -> Iterator[Slot]:
        """All occupied slots of the blocks that are sound."""
        for block in self._blocks:
            if block is not None:
                yield from iter_slots(block)

    def finds(self, name: bytes, slot: Slot) -> bool:
        """Whether a reader that looks for `name` comes by `slot`; True when a damaged block hides the answer."""
        count = len(self._blocks)
        if not count:
            return False
        hashed = name_hash(name, self._seed)
        number = block_of(hashed, count)
        for _ in range(min(count, MAX_CHAIN_BLOCKS)):
            block = self._blocks[number]
            if block is None:
                return True
            candidates, goes_on = search_block(block, hashed)
            if slot in candidates:
                return True
            if not goes_on:
                return False
            number = (number + 1) % count
        return False


def _blocks(footer: Footer, source: RangeSource, findings: Findings) -> Iterator[tuple[int, bytes]]:
    for first in range(0, footer.index_block_count, _BLOCKS_AT_ONCE):
        last = min(first + _BLOCKS_AT_ONCE, footer.index_block_count)
        start = footer.index_start + first * BLOCK_SIZE
        try:
            data = read_exactly(source, start, footer.index_start + last * BLOCK_SIZE)
        except CorruptArchiveError as error:
            findings.add(f"index at offset {start}", error)
            return
        findings.count_bytes(len(data))
        for number in range(first, last):
            at = (number - first) * BLOCK_SIZE
            yield number, data[at : at + BLOCK_SIZE]


def read_directory(footer: Footer, source: RangeSource, findings: Findings) -> list[DirectoryRow] | None:
    """Check the META directory, and the zeros between it and the index; None when it is damaged."""
    start, end = footer.directory_start, footer.directory_start + footer.directory_length
    _check_padding(end, footer.index_start, source, findings)
    findings.count_bytes(end - start)
    try:
        return Directory.decode(
            read_exactly(source, start, end),
            meta_start=footer.meta_start,
            meta_length=footer.meta_length,
            expected_checksum=footer.directory_checksum,
        ).rows
    except DesError as error:
        findings.add(f"META directory at offset {start}", error)
        return None


def _check_padding(start: int, end: int, source: RangeSource, findings: Findings) -> None:
    where = f"padding at offset {start}"
    if end - start >= INDEX_ALIGNMENT:
        findings.add(where, f"{end - start} bytes lie between META and INDEX; fewer than {INDEX_ALIGNMENT} are needed")
    try:
        for piece in read_pieces(source, start, end):
            findings.count_bytes(len(piece))
            if piece.count(0) != len(piece):
                findings.add(where, "not all bytes are zero")
    except CorruptArchiveError as error:
        findings.add(where, error)


def _meta_blocks(
    rows: list[DirectoryRow], source: RangeSource, findings: Findings
) -> Iterator[tuple[DirectoryRow, bytes]]:
    """Yield each META block with its directory row, reading neighbours together."""
    at = 0
    while at < len(rows):
        after = at + 1
        while after < len(rows) and rows[after].end - rows[at].start <= _BLOCKS_AT_ONCE * BLOCK_SIZE:
            after += 1
        group, at = rows[at:after], after
        start = group[0].start
        try:
            data = read_exactly(source, start, group[-1].end)
        except CorruptArchiveError as error:
            findings.add(f"META blocks at offset {start}", error)
            data = b""
        findings.count_bytes(len(data))
        for row in group:
            yield row, data[row.start - start : row.end - start]


def read_rows(rows: list[DirectoryRow], source: RangeSource, findings: Findings) -> Iterator[Row | None]:
    """Yield every row of META, checking that names ascend; None stands for a block that cannot be read."""
    last_name = b""
    for block_row, stored in _meta_blocks(rows, source, findings):
        where = f"META block at offset {block_row.start}"
        try:
            block = decode_block(stored, block_row)
        except DesError as error:
            findings.add(where, error)
            yield None
            continue
        if block and block[0].name != block_row.first_name:
            findings.add(where, f"begins with {block[0].name[:80]!r}, the directory says {block_row.first_name[:80]!r}")
        for row in block:
            if row.name <= last_name:
                findings.add(
                    where,
                    f"name {row.name[:80]!r} after {last_name[:80]!r}: names must ascend",
                    row.name.decode(errors="replace"),
                )
            last_name = row.name
            yield row


def check_old_regions(footer: Footer, source: RangeSource, findings: Findings) -> None:
    """Check META and INDEX of a footer that an append came after, by their checksums."""
    Index(footer, source, findings)
    for row, stored in _meta_blocks(read_directory(footer, source, findings) or [], source, findings):
        found = checksum64(stored)
        if found != row.checksum:
            where = f"META block at offset {row.start}"
            findings.add(
                where, ChecksumMismatchError(f"{where}: checksum {found:#018x}, expected {row.checksum:#018x}")
            )
