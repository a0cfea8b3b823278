"""Payloads too big for an archive: content-addressed objects in `_bigFiles/` beside it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO, Protocol

from .durable import TemporaryFile, make_folder, sync_folder
from .errors import CorruptArchiveError

__all__ = ["BIG_FILES_FOLDER", "BigFileSink", "FolderBigFiles", "big_file_key"]

BIG_FILES_FOLDER = "_bigFiles"
_COPY_BYTES = 1 << 20


def big_file_key(sha256: bytes) -> str:
    """Key of a big file, relative to the archive's own folder."""
    return f"{BIG_FILES_FOLDER}/{sha256.hex()}"


class BigFileSink(Protocol):
    """Where a writer puts payloads over its threshold."""

    def put(self, head: bytes, rest: BinaryIO | None, /) -> tuple[bytes, int]:
        """Store `head` followed by what `rest` still yields; return its SHA-256 and size in bytes.

        The object must be complete and durable when this returns. Storing the same content
        again is not an error and stores nothing.
        """
        ...


class FolderBigFiles:
    """Big files in the folder `_bigFiles` below `folder`, which is made when first needed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / BIG_FILES_FOLDER

    def put(self, head: bytes, rest: BinaryIO | None, /) -> tuple[bytes, int]:
        make_folder(self._folder)
        digest = hashlib.sha256()
        with TemporaryFile(self._folder, "payload") as temporary:
            piece: bytes = head
            while piece:
                digest.update(piece)
                temporary.write(piece)
                piece = rest.read(_COPY_BYTES) if rest is not None else b""
            size = temporary.size
            target = self._folder / digest.hexdigest()
            try:
                found = os.stat(target).st_size
            except FileNotFoundError:
                temporary.publish(target, replace=True)
                return digest.digest(), size
        if found != size:
            raise CorruptArchiveError(
                f"big file {target}: found {found} bytes, expected {size}; it does not hold what its name says,"
                " so nothing was written over it"
            )
        sync_folder(self._folder)  # Who stored it may have died just before.
        return digest.digest(), size
