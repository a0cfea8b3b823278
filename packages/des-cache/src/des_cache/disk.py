"""An index cache in a folder, shared by the processes of a machine."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from des_format.errors import ConfigurationError, UnavailableError

from .bounds import check_size
from .deadlines import Clocks, clocks, stamp, unstamp
from .diskgroups import FOLDER_COUNT, DiskGroup, allocated, temporary_name, values_of
from .metrics import CacheMetrics, Tally
from .sealing import SEAL_BYTES, seal, unseal
from .twins import ThreadTwins

__all__ = ["DiskIndexCache"]

_EXPIRING = b"expiring"
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


class DiskIndexCache(ThreadTwins):
    """One file for each value, in a folder that any number of threads and processes use at the same time.

    Files appear whole under their names, and carry a checksum over key and value: one that is damaged, by a power
    cut for example, is removed and was not there. Reads take no lock. A full or failing disk is counted, and fails
    neither a read nor a write.

    Whoever may write to the folder decides what is read from it: checksums are no protection against intent.

    Args:
        folder: Where; made if it is missing. Files in it that are not the cache's own are never touched.
        max_bytes: The bound, in pages of 4,096 bytes for each file. Each process keeps within 1/16 of it; roughly
            what was not used for longest goes. All processes should say the same.
        touch_seconds: A read notes that a value was used if the last such note is older than this.
        clocks: The time of day and the time since the machine began, in seconds: what values with a time go by.
        metrics: Where to count besides `get_stats`.
        tier: The cache's label in `metrics`.

    Raises:
        ConfigurationError: The bound is negative, or the folder is not there and cannot be made.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        max_bytes: int = 1 << 30,
        *,
        touch_seconds: float = 60.0,
        clocks: Clocks = clocks,
        metrics: CacheMetrics | None = None,
        tier: str = "disk",
    ) -> None:
        check_size("max_bytes", max_bytes)
        self.folder = Path(folder).absolute()
        self.max_bytes = max_bytes
        self._touch_seconds = touch_seconds
        self._clocks = clocks
        self._tally = Tally(tier, metrics)
        self._groups = DiskGroup.share(self.folder, max_bytes)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno not in _FULL:
                raise ConfigurationError(f"folder {self.folder} of the cache cannot be made: {error}") from error

    @property
    def tier(self) -> str:
        """The cache's label in metrics."""
        return self._tally.tier

    # -- the port ---------------------------------------------------------------------------

    def get_many(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return self._get({key: self._path(key) for key in keys}, lambda value: value)

    def set_many(self, items: Mapping[str, bytes], /) -> None:
        self._set({key: (self._path(key), value) for key, value in items.items()})

    def get_expiring(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return self._get({key: self._path(key, _EXPIRING) for key in keys}, lambda data: unstamp(data, self._clocks))

    def set_expiring(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        stamped = {key: stamp(value, ttl_seconds, self._clocks) for key, value in items.items()}
        self._set({key: (self._path(key, _EXPIRING), value) for key, value in stamped.items()})

    def delete_many(self, keys: Iterable[str], /) -> None:
        """Forget keys.

        Raises:
            UnavailableError: A file could not be removed; the others were.
        """
        _remove_all((self._path(key, kind) for key in keys for kind in (b"", _EXPIRING)), self._tally)

    # -- all of it --------------------------------------------------------------------------

    def clear(self) -> None:
        """Remove every file of the cache, and no other.

        Raises:
            UnavailableError: A file could not be removed; the others were.
        """
        _remove_all((Path(path) for path, _ in values_of(self._folders())), self._tally)

    def get_stats(self) -> dict[str, Any]:
        """Entries and bytes of all processes, hits, misses, errors and evictions of this one; looks at every file."""
        sizes = [size for _, size in values_of(self._folders())]
        return {"entries": len(sizes), "bytes": sum(sizes), "max_bytes": self.max_bytes, **self._tally.stats()}

    # -- one file ---------------------------------------------------------------------------

    def _path(self, key: str, kind: bytes = b"") -> Path:
        name = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=20, person=kind).hexdigest()
        return self.folder / name[:2] / name[2:]

    def _get(self, paths: Mapping[str, Path], content: Callable[[bytes], bytes | None]) -> dict[str, bytes]:
        found = {}
        for key, path in paths.items():
            data = self._read(key, path)
            if data is not None and (value := content(data)) is not None:
                found[key] = value
        self._tally.read(len(found), len(paths) - len(found))
        return found

    def _set(self, items: Mapping[str, tuple[Path, bytes]]) -> None:
        for key, (path, value) in items.items():
            try:
                self._write(key, path, value)
            except OSError:
                self._tally.failed("set")
                # Not the old value for the new one.
                with contextlib.suppress(OSError):
                    path.unlink()
        self._show_usage()

    def _read(self, key: str, path: Path) -> bytes | None:
        try:
            with open(path, "rb", buffering=0) as file:
                data = file.readall()
                used_at = os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        except OSError:
            self._tally.failed("get")
            return None
        value = unseal(key, data)
        # Neither note matters enough to fail a read: a disk that went read-only still answers.
        with contextlib.suppress(OSError):
            if value is None:
                self._tally.failed("verify")
                path.unlink()
            elif used_at < time.time() - self._touch_seconds:
                os.utime(path)
        return value

    def _write(self, key: str, path: Path, value: bytes) -> None:
        group = self._groups[int(path.parent.name, 16)]
        if allocated(len(value) + SEAL_BYTES) > group.limit_bytes:
            path.unlink(missing_ok=True)
            return
        if evicted_count := group.make_room(len(value) + SEAL_BYTES):
            self._tally.evicted(evicted_count)
        temporary = path.with_name(temporary_name())
        try:
            _create(temporary, seal(key, value))
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def _folders(self) -> list[Path]:
        return [self.folder / f"{number:02x}" for number in range(FOLDER_COUNT)]

    def _show_usage(self) -> None:
        """Estimate the whole from the groups that this process has looked at."""
        groups = list(dict.fromkeys(self._groups))
        seen = [group.usage for group in groups if group.usage is not None]
        if seen:
            scale = len(groups) / len(seen)
            size_bytes, entry_count = (sum(usage[at] for usage in seen) for at in (0, 1))
            self._tally.holds(int(size_bytes * scale), int(entry_count * scale))


def _create(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, flags, 0o666)
    with open(handle, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]


def _remove_all(paths: Iterable[Path], tally: Tally) -> None:
    failures = []
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            continue
        except OSError as error:
            failures.append(error)
    if failures:
        tally.failed("delete", len(failures))
        raise UnavailableError(f"{len(failures)} files of the cache could not be removed") from failures[0]
