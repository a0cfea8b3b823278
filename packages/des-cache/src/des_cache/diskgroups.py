"""Folders of a cache on disk that share a bound, and how they are kept within it."""

from __future__ import annotations

import contextlib
import os
import random
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = ["FOLDER_COUNT", "DiskGroup", "allocated", "temporary_name", "values_of"]

FOLDER_COUNT = 256
_GROUP_BYTES = 16 << 20
_PAGE_BYTES = 4096
_SLACK = 16
"""A process writes up to 1/16 of a group's bound between two looks at what is there."""

_ABANDONED_SECONDS = 3600.0
"""No write takes that long: a temporary file of this age is what a killed process left."""

_NAME = re.compile(r"(?P<value>[0-9a-f]{38})|\.[0-9a-f]{16}\.tmp")


def temporary_name() -> str:
    """A new name for a file that is being written."""
    return f".{secrets.token_hex(8)}.tmp"  # not `random`: a forked child would make the same ones


def allocated(size_bytes: int) -> int:
    """What a file of this size takes on a disk that gives it whole pages."""
    return max(1, -(-size_bytes // _PAGE_BYTES)) * _PAGE_BYTES


class _File(NamedTuple):
    used_at: float
    allocated_bytes: int
    path: str
    is_value: bool


class Usage(NamedTuple):
    """What there is, and what was removed to get there."""

    size_bytes: int
    entry_count: int
    evicted_count: int


class DiskGroup:
    """Some of the folders, which hold their share of the bound. Safe to share between threads.

    Processes know nothing of each other: each looks at the folders after it has written a part of the bound, and
    starts somewhere within that part. So many short processes look as often, together, as one long one.

    Args:
        folders: The folders; any may be missing.
        limit_bytes: The bound.
    """

    def __init__(self, folders: Sequence[Path], limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.usage: Usage | None = None
        self._folders = folders
        self._slack_bytes = limit_bytes // _SLACK
        self._unseen_bytes = int(random.uniform(0, self._slack_bytes))
        self._lock = threading.Lock()

    @classmethod
    def share(cls, root: Path, max_bytes: int) -> list[DiskGroup]:
        """Return the group of each folder; the larger the bound, the more groups."""
        count = 1
        while count < FOLDER_COUNT and max_bytes // (count * 2) >= _GROUP_BYTES:
            count *= 2
        span = FOLDER_COUNT // count
        folders = [root / f"{number:02x}" for number in range(FOLDER_COUNT)]
        groups = [cls(folders[at * span : (at + 1) * span], max_bytes // count) for at in range(count)]
        return [groups[number // span] for number in range(FOLDER_COUNT)]

    def make_room(self, size_bytes: int) -> int:
        """Before a file of this size is written: remove files if it is time to; return how many.

        Raises:
            OSError: The folders cannot be read.
        """
        with self._lock:
            cost = allocated(size_bytes)
            removed_count = 0
            if self._unseen_bytes + cost > self._slack_bytes:
                self.usage = _sweep(self._folders, self.limit_bytes - max(self._slack_bytes, cost))
                self._unseen_bytes = 0
                removed_count = self.usage.evicted_count
            self._unseen_bytes += cost
            return removed_count


def _sweep(folders: Iterable[Path], target_bytes: int) -> Usage:
    """Remove abandoned temporary files, and then what was not used for longest, until the rest is small enough."""
    files = list(_files(folders))
    abandoned_before = time.time() - _ABANDONED_SECONDS
    for file in files:
        if not file.is_value and file.used_at < abandoned_before:
            _remove(file.path)
    files = [file for file in files if file.is_value or file.used_at >= abandoned_before]
    size_bytes = sum(file.allocated_bytes for file in files)
    values = [file for file in files if file.is_value]
    evicted_count = 0
    if size_bytes > target_bytes:
        for file in sorted(values):
            if _remove(file.path):
                evicted_count += 1
            size_bytes -= file.allocated_bytes
            if size_bytes <= target_bytes:
                break
    return Usage(size_bytes, len(values) - evicted_count, evicted_count)


def _files(folders: Iterable[Path]) -> Iterator[_File]:
    for folder in folders:
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                # What has another name is not ours, and is never touched.
                if name := _NAME.fullmatch(entry.name):
                    with contextlib.suppress(FileNotFoundError):
                        stat = entry.stat(follow_symlinks=False)
                        is_value = name["value"] is not None
                        yield _File(stat.st_mtime, allocated(stat.st_size), entry.path, is_value)


def values_of(folders: Iterable[Path]) -> Iterator[tuple[str, int]]:
    """Path of each file of the cache, and the bytes that it takes."""
    return ((file.path, file.allocated_bytes) for file in _files(folders))


def _remove(path: str) -> bool:
    """Whether the file is gone because of this call; another process may have been first, or may hold it open."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
