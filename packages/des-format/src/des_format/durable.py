"""Files that appear under their final name only complete, and stay there after a power cut."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from types import TracebackType

from .errors import ArchiveExistsError

__all__ = ["TemporaryFile", "make_folder", "sync_folder"]


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable (a no-op where folders cannot be opened)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, each of them durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


class TemporaryFile:
    """A file under a hidden temporary name in `folder`, until `publish` gives it its own.

    Leaving the `with` block without having published removes it. A killed process leaves the
    temporary file behind, never a half-written final one.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        self.path = folder / f".{stem[:40]}.{secrets.token_hex(8)}.tmp"
        self.size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        self._handle: int | None = os.open(self.path, flags, 0o666)

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Append all of `data`."""
        assert self._handle is not None, "the file was published or discarded"
        view = memoryview(data)
        size = len(view)
        while view:
            view = view[os.write(self._handle, view) :]
        self.size += size
        return size

    def publish(self, target: Path, *, replace: bool) -> None:
        """Make the content durable and give it its final name in one step.

        Raises:
            ArchiveExistsError: `target` exists and `replace` is false; nothing was changed.
        """
        assert self._handle is not None, "the file was published or discarded"
        os.fsync(self._handle)
        os.close(self._handle)
        self._handle = None
        if replace:
            os.replace(self.path, target)
        else:
            self._publish_new(target)
        sync_folder(target.parent)

    def _publish_new(self, target: Path) -> None:
        try:
            # Unlike a rename, a hard link fails when the name is taken: no check, no race.
            os.link(self.path, target)
        except FileExistsError as error:
            raise ArchiveExistsError(f"{target} exists; choose another name, or ask to replace it") from error
        except OSError:
            if target.exists():
                raise ArchiveExistsError(f"{target} exists; choose another name, or ask to replace it") from None
            os.rename(self.path, target)
        else:
            os.unlink(self.path)

    def discard(self) -> None:
        """Remove the file, if it was not published."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def __enter__(self) -> TemporaryFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()
