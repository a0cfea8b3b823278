"""Where a writer's bytes go: a new file, an append-only stream, or the end of an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from .durable import TemporaryFile, make_folder
from .errors import ArchiveExistsError

__all__ = ["ByteSink", "NewFile", "StreamTarget", "Target"]


class ByteSink(Protocol):
    """Anything with an append-only `write`, such as a binary file or a multipart upload."""

    def write(self, data: bytes, /) -> int | None: ...


@runtime_checkable
class Target(Protocol):
    """An append-only destination that becomes visible, complete, only by `commit`."""

    def write(self, data: bytes, /) -> object:
        """Append all of `data`."""
        ...

    def commit(self) -> None:
        """Make everything written durable and visible in one step."""
        ...

    def rollback(self) -> None:
        """Undo everything written; called at most once, never after a successful `commit`."""
        ...


class NewFile:
    """A new archive at `path`, which appears there only by `commit`."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        if not overwrite and path.exists():
            raise ArchiveExistsError(f"{path} exists; choose another name, or ask to replace it")
        make_folder(path.parent)
        self._path = path
        self._overwrite = overwrite
        self._file = TemporaryFile(path.parent, path.name)
        self.write = self._file.write

    def commit(self) -> None:
        self._file.publish(self._path, replace=self._overwrite)

    def rollback(self) -> None:
        self._file.discard()


class StreamTarget:
    """An append-only stream, which the caller owns; it has no way to take bytes back."""

    def __init__(self, stream: ByteSink) -> None:
        self._stream = stream

    def write(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            # Buffered streams answer with the full length, raw ones may take less, some say nothing.
            taken = self._stream.write(bytes(view))
            if taken is None or taken >= len(view):
                return
            view = view[taken:]

    def commit(self) -> None:
        """Nothing to do: the stream ends with the archive's footer."""

    def rollback(self) -> None:
        """Nothing to undo: without a footer, what was written is no archive."""
