"""The folder that entries are extracted into: nothing is written outside of it, each file complete or not at all."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from ..entry import Entry
from ..errors import ArchiveExistsError, ConflictError, UnsafePathError
from ..names import safe_path
from .metadata import mode_of, mtime_of

__all__ = ["TargetFolder"]

_COPY_BYTES = 1 << 20
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class TargetFolder:
    """A folder, made when it is missing; threads may write into it side by side.

    Paths are text here: for small files making `Path` objects takes as long as writing.

    Args:
        root: The folder; it may be a link itself, but nothing below it is reached through one.
        overwrite: Replace files that exist.
    """

    def __init__(self, root: Path, *, overwrite: bool) -> None:
        root.mkdir(parents=True, exist_ok=True)
        # Absolute, so that every path begins with it.
        self._root = root.absolute()
        self._overwrite = overwrite
        self._checked = {str(self._root)}
        self._stem = f".des-{secrets.token_hex(8)}"
        self._numbers = itertools.count()
        self._umask = os.umask(0)
        os.umask(self._umask)

    def refuse_existing(self, entries: Iterable[Entry]) -> None:
        """Check that no entry's file exists yet.

        Raises:
            ArchiveExistsError: One does; nothing was changed.
        """
        for entry in entries:
            try:
                path = safe_path(self._root, entry.name)
            except UnsafePathError:
                continue  # Writing it will say so.
            if os.path.lexists(path):
                raise ArchiveExistsError(f"{path} exists; nothing was extracted (--overwrite replaces existing files)")

    def write(self, entry: Entry, content: bytes | BinaryIO, on_bytes: Callable[[int], None]) -> None:
        """Write one entry under its name, with the time and permissions in its metadata.

        Raises:
            UnsafePathError: The name leads out of the folder.
            ConflictError: Something is in the way.
            CorruptArchiveError: The stream is not what the entry promises; no file appears.
            OSError: The file cannot be written.
        """
        path = str(safe_path(self._root, entry.name))
        folder = os.path.dirname(path)  # noqa: PTH120
        if folder not in self._checked:
            self._make(Path(folder))
        temporary = os.path.join(folder, f"{self._stem}-{next(self._numbers)}.tmp")  # noqa: PTH118
        mode = mode_of(entry.meta)
        mtime = mtime_of(entry.meta)
        try:
            # Private until it is complete.
            with open(os.open(temporary, _CREATE, 0o600), "wb", buffering=0) as file:
                for piece in (content,) if isinstance(content, bytes) else iter(lambda: content.read(_COPY_BYTES), b""):
                    view = memoryview(piece)
                    while view:
                        view = view[file.write(view) :]
                    on_bytes(len(piece))
            os.chmod(temporary, (0o666 if mode is None else mode) & ~self._umask)  # noqa: PTH101
            if mtime is not None:
                os.utime(temporary, ns=(mtime, mtime))
            self._publish(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it, as far as they are missing.

        Raises:
            ConflictError: One of them is a link or a file.
        """
        missing = [folder]
        missing += itertools.takewhile(lambda above: str(above) not in self._checked, folder.parents)
        for folder in reversed(missing):
            try:
                folder.mkdir()
            except FileExistsError as error:
                if not stat.S_ISDIR(folder.lstat().st_mode):
                    raise ConflictError(f"{folder} is in the way: it is no folder, or a link to one") from error
            self._checked.add(str(folder))

    def _publish(self, temporary: str, path: str) -> None:
        if self._overwrite:
            os.replace(temporary, path)
            return
        try:
            # Unlike a rename, a hard link fails when the name is taken.
            os.link(temporary, path)
        except OSError as error:
            if os.path.lexists(path):
                raise ArchiveExistsError(f"{path} exists") from error
            os.rename(temporary, path)  # A file system without hard links.
        else:
            os.unlink(temporary)
