"""Data Easy Store archives: huge numbers of small objects in one range-readable file."""

from .aio import AsyncDesReader
from .catalog import ArchiveStats
from .compression import Compression
from .entry import Codec, Entry, Kind
from .errors import (
    AppendInProgressError,
    ArchiveExistsError,
    BigFileMissingError,
    ChecksumMismatchError,
    ConflictError,
    CorruptArchiveError,
    DesError,
    DuplicateEntryError,
    EntryNotFoundError,
    EntryTooLargeError,
    InvalidInputError,
    InvalidNameError,
    NotFoundError,
    UnsafePathError,
    UnsupportedFormatError,
    WriterClosedError,
)
from .planner import TransferCost
from .ranges import AsyncRangeSource, ByteRange, RangeSource, Tail
from .reader import DesReader, open_archive
from .routing import RoutingScheme, ShardLocation, locate_shard
from .writer import DesWriter

__all__ = [
    "AppendInProgressError",
    "ArchiveExistsError",
    "ArchiveStats",
    "AsyncDesReader",
    "AsyncRangeSource",
    "BigFileMissingError",
    "ByteRange",
    "ChecksumMismatchError",
    "Codec",
    "Compression",
    "ConflictError",
    "CorruptArchiveError",
    "DesError",
    "DesReader",
    "DesWriter",
    "DuplicateEntryError",
    "Entry",
    "EntryNotFoundError",
    "EntryTooLargeError",
    "InvalidInputError",
    "InvalidNameError",
    "Kind",
    "NotFoundError",
    "RangeSource",
    "RoutingScheme",
    "ShardLocation",
    "Tail",
    "TransferCost",
    "UnsafePathError",
    "UnsupportedFormatError",
    "WriterClosedError",
    "locate_shard",
    "open_archive",
]
