"""Fixtures that several test files of des-format share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from des_format import ByteRange, DesWriter, Tail
from des_format.sources import BufferSource


class CountingSource:
    """A range source over bytes that records every round of reads."""

    def __init__(self, data: bytes, folder: Path | None = None) -> None:
        self._source = BufferSource(data, folder)
        self.rounds: list[list[ByteRange]] = []
        self.tail_reads: list[int] = []

    def read_tail(self, length: int, /) -> Tail:
        self.tail_reads.append(length)
        return self._source.read_tail(length)

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> Sequence[bytes]:
        self.rounds.append(list(ranges))
        return self._source.read_ranges(ranges)

    def forget(self) -> None:
        """Start counting anew."""
        self.rounds.clear()
        self.tail_reads.clear()


class AsyncCountingSource(CountingSource):
    """The same, asynchronous."""

    async def read_tail(self, length: int, /) -> Tail:  # type: ignore[override]
        return super().read_tail(length)

    async def read_ranges(self, ranges: Sequence[ByteRange], /) -> Sequence[bytes]:  # type: ignore[override]
        return super().read_ranges(ranges)


@pytest.fixture
def counting_source() -> type[CountingSource]:
    return CountingSource


@pytest.fixture
def async_counting_source() -> type[AsyncCountingSource]:
    return AsyncCountingSource


MakeArchive = Callable[..., Path]


@pytest.fixture
def make_archive(tmp_path: Path) -> MakeArchive:
    """Write an archive of `{name: payload}` or `{name: (payload, meta)}` and return its path."""

    def make(entries: Mapping[str, bytes | tuple[bytes, dict[str, Any]]], name: str = "a.des", **options: Any) -> Path:
        path = tmp_path / name
        with DesWriter(path, **options) as writer:
            for entry, value in entries.items():
                payload, meta = value if isinstance(value, tuple) else (value, None)
                writer.add_file(entry, payload, meta)
        return path

    return make
