"""Versions of a file: an etag that never comes back for one path."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path

from ..durable import TemporaryFile
from ..errors import ConfigurationError, ObjectExistsError
from ..ports.objects import ObjectMeta

__all__ = ["VersionFile", "describe", "tag_of"]

_MICROSECOND = 1000  # nanoseconds: file systems in use keep at least these


def tag_of(status: os.stat_result) -> str:
    """Return the etag of a file: an inode may come back, its time of change may not."""
    return f'"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"'


def describe(key: str, status: os.stat_result) -> ObjectMeta:
    """Return the metadata of the object `key`, whose file has this status."""
    modified = datetime.fromtimestamp(status.st_mtime_ns / 1e9, UTC)
    return ObjectMeta(path=key, last_modified=modified, size=status.st_size, e_tag=tag_of(status), version=None)


class VersionFile(TemporaryFile):
    """A temporary file that becomes a new version of an object."""

    def __enter__(self) -> VersionFile:
        return self

    def sync(self) -> None:
        """Make what was written so far durable."""
        assert self._handle is not None, "the file was published or discarded"
        os.fsync(self._handle)

    def stamp(self, replaced: os.stat_result | None) -> str:
        """Give the file a time of change later than that of what it replaces, and return its etag.

        The kernel's own times repeat for some milliseconds, in which an inode can come back.

        Raises:
            ConfigurationError: The file system does not keep times to the microsecond.
        """
        wanted = time.time_ns() // _MICROSECOND
        if replaced is not None:
            wanted = max(wanted, replaced.st_mtime_ns // _MICROSECOND + 1)
        os.utime(self.path, ns=(wanted * _MICROSECOND, wanted * _MICROSECOND))
        status = os.stat(self.path)
        if status.st_mtime_ns != wanted * _MICROSECOND:
            raise ConfigurationError(
                f"{self.path.parent} cannot hold objects: its file system made {status.st_mtime_ns} ns "
                f"of the time {wanted * _MICROSECOND} ns, so two versions could look the same"
            )
        return tag_of(status)

    def _publish_new(self, target: Path) -> None:
        try:
            os.link(self.path, target)
        except FileExistsError as error:
            raise ObjectExistsError(f"{target} exists") from error
        except OSError as error:
            if target.exists():
                raise ObjectExistsError(f"{target} exists") from error
            raise ConfigurationError(
                f"{target.parent} cannot hold objects: its file system has no hard links ({error}), "
                "without which two writers could both create one object"
            ) from error
        os.unlink(self.path)
