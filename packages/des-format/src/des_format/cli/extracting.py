"""Extract many entries, in threads, and go on after those that fail."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from ..copying import verified_stream
from ..entry import Entry
from ..errors import DesError
from ..reader import DesReader
from .targetfolder import TargetFolder

__all__ = ["Extractor", "batches"]

_BATCH_ENTRIES = 256
_BATCH_BYTES = 8 * 2**20
# Every further file would meet the same.
_FATAL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}


class _StoppedError(Exception):
    """Ends a thread in the middle of its batch."""


def batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Group entries so that a group is worth a thread's while and fits into memory."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += 0 if entry.is_external else entry.size
        if len(batch) == _BATCH_ENTRIES or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(slots=True)
class Extractor:
    """Extracts batches of entries, in threads.

    Attributes:
        reader: The archive.
        folder: Where the files go.
        on_bytes: Called, from any thread, with bytes that were written.
        extracted_count: Entries that are files now.
        stopping: Set when an error ends the extraction; threads then stop in the middle of their batch.
    """

    reader: DesReader
    folder: TargetFolder
    on_bytes: Callable[[int], None]
    extracted_count: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self, entries: Iterable[Entry], jobs: int) -> Iterator[tuple[str, Exception]]:
        """Extract everything; yield the name and the error of each entry that failed.

        Raises:
            OSError: No file can be written, such as when the disk is full.
        """
        pool = ThreadPoolExecutor(jobs, thread_name_prefix="des-extract")
        running: deque[Future[list[tuple[str, Exception]]]] = deque()
        try:
            for batch in batches(entries):
                running.append(pool.submit(self._batch, batch))
                self.extracted_count += len(batch)
                if len(running) > 2 * jobs:
                    yield from self._failures(running.popleft())
            while running:
                yield from self._failures(running.popleft())
        except BaseException:
            self.stopping.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _failures(self, batch: Future[list[tuple[str, Exception]]]) -> list[tuple[str, Exception]]:
        failed = batch.result()
        self.extracted_count -= len(failed)
        return failed

    def _count(self, size: int) -> None:
        self.on_bytes(size)
        if self.stopping.is_set():
            raise _StoppedError("another entry, or Ctrl-C, ended the extraction")

    def _batch(self, batch: list[Entry]) -> list[tuple[str, Exception]]:
        failed: list[tuple[str, Exception]] = []
        payloads: dict[str, bytes] = {}
        # One damaged entry fails a whole batch; then each is read by itself.
        with contextlib.suppress(DesError):
            payloads = self.reader.get_files_batch([entry.name for entry in batch if not entry.is_external])
        for entry in batch:
            try:
                self._one(entry, payloads.pop(entry.name, None))
            except DesError as error:
                failed.append((entry.name, error))
            except OSError as error:
                if error.errno in _FATAL:
                    raise
                failed.append((entry.name, error))
        return failed

    def _one(self, entry: Entry, payload: bytes | None) -> None:
        if entry.is_external:
            # META does not know the hash that an external payload is checked with.
            with verified_stream(self.reader, self.reader.get_entry(entry.name)) as stream:
                self.folder.write(entry, stream, self._count)
        else:
            content = self.reader.get_file(entry.name) if payload is None else payload
            self.folder.write(entry, content, self._count)
