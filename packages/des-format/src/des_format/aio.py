"""Read an archive asynchronously, over any asynchronous range source."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from .append import open_committed
from .archive import DEFAULT_MAX_ENTRY_BYTES
from .audit import VerifyReport, audit
from .catalog import ArchiveStats
from .core import ArchiveCore
from .entry import Entry
from .opening import ReadOptions, open_core
from .planner import TransferCost
from .ranges import AsyncRangeSource, RangeSource, Steps, drive_async
from .sources import FileSource, LoopSource, ThreadedSource

__all__ = ["AsyncDesReader"]

T = TypeVar("T")


class AsyncDesReader:
    """Asynchronous twin of `DesReader`: the same operations, errors and checks.

    Made by `await AsyncDesReader.open(source)`. Any number of tasks of one event loop may
    share it.
    """

    def __init__(self, core: ArchiveCore, source: AsyncRangeSource, file: FileSource | None = None) -> None:
        self._core = core
        self._source = source
        self._file = file

    @classmethod
    async def open(
        cls,
        source: str | os.PathLike[str] | AsyncRangeSource,
        *,
        verify: bool = True,
        max_entry_bytes: int = DEFAULT_MAX_ENTRY_BYTES,
        cost: TransferCost | None = None,
    ) -> AsyncDesReader:
        """Open an archive; one read for version 3.

        Args:
            source: An `AsyncRangeSource`, or the path of a local archive, which is then read in
                worker threads.
            verify: As for `DesReader`, like the other options and the errors.
            max_entry_bytes: As for `DesReader`.
            cost: As for `DesReader`.
        """
        file = None
        if isinstance(source, str | os.PathLike):
            path = Path(source)
            file = open_committed(path)
            source = ThreadedSource(file)
        options = ReadOptions(verify=verify, max_entry_bytes=max_entry_bytes, cost=cost or TransferCost())
        try:
            return cls(await drive_async(open_core(options), source), source, file)
        except BaseException:
            if file is not None:
                file.close()
            raise

    async def _run(self, steps: Steps[T]) -> T:
        return await drive_async(steps, self._source)

    async def get_file(self, name: str) -> bytes:
        """Return an entry's payload."""
        return (await self._run(self._core.get(name)))[1]

    async def get_files_batch(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the payloads of many entries, in the order of `names`; missing ones are left out."""
        if isinstance(names, str | bytes):
            raise TypeError("names must be an iterable of names, found a single one; use get_file")
        found = await self._run(self._core.get_many(names))
        return {name: payload for name, (_entry, payload) in found.items()}

    async def read_range(self, name: str, start: int, end: int) -> bytes:
        """Return payload bytes `[start, end)`, as `DesReader.read_range` does."""
        entry = await self._run(self._core.entry(name))
        return await self._run(self._core.read_entry_range(entry, start, end))

    async def get_entry(self, name: str) -> Entry:
        """Return what the archive says about an entry, without reading its payload."""
        return await self._run(self._core.entry(name))

    async def get_meta(self, name: str) -> dict[str, Any]:
        """Return an entry's metadata; an empty dict for none."""
        return dict((await self.get_entry(name)).meta)

    async def has_file(self, name: str) -> bool:
        """Whether the archive holds an entry of this name."""
        return await self._run(self._core.find(name)) is not None

    async def entries(self, prefix: str = "") -> AsyncIterator[Entry]:
        """Yield the entries whose names have the prefix, in name order, a few META blocks at a time."""
        for page in await self._run(self._core.pages(prefix)):
            for entry in await self._run(self._core.list_page(page, prefix)):
                yield entry

    async def list_files(self, prefix: str = "") -> list[str]:
        """Return the names that have the prefix, in the order of their UTF-8 bytes."""
        return [entry.name async for entry in self.entries(prefix)]

    async def scan(self) -> AsyncIterator[tuple[Entry, bytes | None]]:
        """Yield every entry with its payload, None for external ones, in the order in which they were added."""
        scanner = await self._run(self._core.scanner())
        while (wanted := scanner.next_range()) is not None:
            (data,) = await self._source.read_ranges([wanted])
            for scanned in scanner.feed(data):
                yield scanned

    async def verify(self, *, sample: float = 1.0, progress: Callable[[int, int], None] | None = None) -> VerifyReport:
        """Check the archive as `DesReader.verify` does, in a worker thread, which also calls `progress`."""
        source: RangeSource = self._file or LoopSource(self._source, asyncio.get_running_loop())
        return await asyncio.to_thread(audit, self._core, source, sample=sample, progress=progress)

    def get_stats(self) -> ArchiveStats:
        """Return what the archive adds up to; nothing is read."""
        return self._core.stats

    def __len__(self) -> int:
        return self._core.stats.total_files

    def close(self) -> None:
        """Release a local file; a source that the caller passed in stays open."""
        if self._file is not None:
            self._file.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
