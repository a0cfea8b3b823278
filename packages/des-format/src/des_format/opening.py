"""Recognise an archive's format by its last bytes, and open it."""

from __future__ import annotations

from dataclasses import dataclass

from .archive import DEFAULT_MAX_ENTRY_BYTES, Archive
from .core import ArchiveCore
from .errors import CorruptArchiveError, UnsupportedFormatError
from .layout import FOOTER_MAGIC, FOOTER_SIZE, HEADER_MAGIC, decode_footer
from .legacy.datavision import DatavisionArchive
from .legacy.des_core import DesCoreArchive
from .planner import TransferCost
from .ranges import ByteRange, Steps, Tail, TailRead

__all__ = ["TAIL_BYTES", "ReadOptions", "open_core"]

TAIL_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read an archive.

    Attributes:
        verify: Check the checksums of entries; those of the index and META always are.
        max_entry_bytes: Refuse to expand, or to read from beside the archive, a larger payload as a whole.
        cost: What a request costs, for merging ranges.
    """

    verify: bool = True
    max_entry_bytes: int = DEFAULT_MAX_ENTRY_BYTES
    cost: TransferCost = TransferCost()


def open_core(options: ReadOptions) -> Steps[ArchiveCore]:
    """Open an archive of any known format: one tail read for version 3, index reads for legacy formats.

    Raises:
        UnsupportedFormatError: No known format, or one that needs a newer reader.
        CorruptArchiveError: A known format, damaged.
    """
    tail = yield TailRead(TAIL_BYTES)
    assert isinstance(tail, Tail)
    data = tail.data
    if data[-FOOTER_SIZE:].startswith(FOOTER_MAGIC):
        archive = Archive(
            decode_footer(data, archive_size=tail.archive_size),
            verify=options.verify,
            max_entry_bytes=options.max_entry_bytes,
            cost=options.cost,
        )
        archive.keep_blocks(tail)
        return archive
    if DatavisionArchive.recognises(tail):
        return (yield from DatavisionArchive.open(tail, max_entry_bytes=options.max_entry_bytes, cost=options.cost))
    if DesCoreArchive.recognises(tail):
        return (yield from DesCoreArchive.open(tail, max_entry_bytes=options.max_entry_bytes, cost=options.cost))
    if len(data) == tail.archive_size:
        head = data[: len(HEADER_MAGIC)]
    else:
        reply = yield [ByteRange(0, len(HEADER_MAGIC))]
        assert not isinstance(reply, Tail)
        head = reply[0]
    if head == HEADER_MAGIC:
        decode_footer(data, archive_size=tail.archive_size)  # Says what is wrong with it.
    if head.startswith(DatavisionArchive.first_bytes + DesCoreArchive.first_bytes):
        raise CorruptArchiveError(
            f"begins like an archive ({bytes(head)!r}), but its last bytes are no footer: {bytes(data[-12:])!r};"
            " it was cut off, or never finished"
        )
    raise UnsupportedFormatError(
        f"no known archive format: {tail.archive_size} bytes that begin with {bytes(head)!r}"
        f" and end with {bytes(data[-12:])!r}"
    )
