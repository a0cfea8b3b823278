"""Content that is written as often as there are places."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from des_format.objects.content import pieces
from des_format.ports.objects import Content, ObjectStore

__all__ = ["FileTarget", "repeatable"]


class FileTarget:
    """A `des_format.targets.Target` that waits in a file, because it is written as often as there are places."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._file = tempfile.NamedTemporaryFile(prefix="des-s3-")  # noqa: SIM115  # `commit` or `rollback` close it
        self.write = self._file.write

    def commit(self) -> None:
        """Make the object appear; raises what `put` raises."""
        self._file.flush()
        self._store.put(self._key, Path(self._file.name), mode="create")
        self._file.close()

    def rollback(self) -> None:
        """Forget it."""
        self._file.close()


@contextmanager
def repeatable(content: Content) -> Iterator[Callable[[], Content]]:
    """What gives the content as often as it is asked."""
    if isinstance(content, bytes | bytearray | memoryview | Path):
        yield lambda: content
        return
    with tempfile.TemporaryFile(prefix="des-s3-") as file:
        for piece in pieces(content):
            file.write(piece)

        def again() -> Any:
            file.seek(0)
            return file

        yield again
