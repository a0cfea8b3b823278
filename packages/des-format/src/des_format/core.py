"""What a reader needs of an archive format, sans I/O; version 3 and the legacy formats provide it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from .catalog import ArchiveStats
from .entry import Codec, Entry
from .planner import TransferCost
from .ranges import Steps
from .scanning import Scanner

__all__ = ["ArchiveCore"]


class ArchiveCore(Protocol):
    """The read operations of one opened archive; each `Steps` is run by `drive` or `drive_async`."""

    format_name: str
    has_checksums: bool
    stats: ArchiveStats
    cost: TransferCost

    def get(self, name: str) -> Steps[tuple[Entry, bytes]]: ...

    def get_many(self, names: Iterable[str]) -> Steps[dict[str, tuple[Entry, bytes]]]: ...

    def get_within(
        self, name: str, limit_bytes: int, *, keep_zstd: bool = False
    ) -> Steps[tuple[Entry, bytes, Codec] | None]: ...

    def find(self, name: str) -> Steps[Entry | None]: ...

    def entry(self, name: str) -> Steps[Entry]: ...

    def read_entry_range(self, entry: Entry, start: int, end: int) -> Steps[bytes]: ...

    def pages(self, prefix: str = "") -> Steps[Sequence[Any]]: ...

    def list_page(self, page: Any, prefix: str = "") -> Steps[list[Entry]]: ...

    def scanner(self) -> Steps[Scanner]: ...
