"""Folders below a root that nothing may leave, and what lies in them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..durable import sync_folder
from ..errors import UnavailableError, UnsafePathError, UnsupportedOperationError
from .keys import is_segment, split_key

__all__ = ["Folders", "walk"]


class Folders:
    """Paths of keys below `root`; a link below it is never followed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._durable: set[Path] = set()

    def locate(self, key: str) -> Path:
        """Return the path of a key, whether there is something or not.

        Raises:
            UnsafePathError: The key is no safe path, or a folder on the way is a link.
        """
        return self._descend(split_key(key))

    def descend(self, segments: Sequence[str]) -> Path:
        """Return the path of a folder, with the checks of `locate`."""
        path = self._descend(segments)
        if segments:
            _is_folder(path)
        return path

    def make_way(self, key: str) -> Path:
        """Return the path of a key and make the folder it lies in, durable.

        Raises:
            UnsafePathError: As `locate`.
            UnsupportedOperationError: An object is where a folder is needed.
            UnavailableError: The root is gone.
        """
        segments = split_key(key)
        if not self.root.is_dir():
            # It is not made anew: that would fill the disk that was to be mounted here.
            raise UnavailableError(f"object {key!r} cannot be written: folder {self.root} is gone")
        folder = self.root
        for segment in segments[:-1]:
            inner = folder / segment
            if not _is_folder(inner):
                self._durable.discard(inner)
                with contextlib.suppress(FileExistsError):
                    inner.mkdir()
            if not _is_folder(inner):
                raise UnsupportedOperationError(f"object {key!r} cannot be written: {inner} is an object itself")
            if inner not in self._durable:
                # Also when another process made it: it may not have come to this yet.
                sync_folder(folder)
                self._durable.add(inner)
            folder = inner
        return folder / segments[-1]

    def _descend(self, segments: Sequence[str]) -> Path:
        path = self.root
        for segment in segments[:-1]:
            path /= segment
            _is_folder(path)
        return path / segments[-1] if segments else path


def _is_folder(path: Path) -> bool:
    """Whether there is a folder; a link, wherever it leads, raises."""
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISLNK(mode):
        raise UnsafePathError(f"{path} is a link, which could lead out of the store")
    return stat.S_ISDIR(mode)


def walk(folder: Path, prefix: str, offset: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files below `folder`, whose key is `prefix`, in the order of their keys, after the key `offset`."""
    for key, entry in _children(folder, prefix):
        if key.endswith("/"):
            if key > offset or offset.startswith(key):
                yield from walk(Path(entry.path), key, offset)
        elif key > offset:
            with contextlib.suppress(FileNotFoundError):
                yield key, entry.stat(follow_symlinks=False)


def _children(folder: Path, prefix: str) -> Sequence[tuple[str, os.DirEntry[str]]]:
    found = []
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if not is_segment(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                # With the slash, a folder sorts where the keys below it do.
                found.append((f"{prefix}{entry.name}/", entry))
            elif entry.is_file(follow_symlinks=False):
                found.append((prefix + entry.name, entry))
    return sorted(found, key=lambda item: item[0])
