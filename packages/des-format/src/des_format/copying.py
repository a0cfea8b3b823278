"""Copy entries from one archive to another, whatever their formats and compression."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO

from .entry import Entry
from .errors import ChecksumMismatchError
from .reader import DesReader
from .writer import DesWriter

__all__ = ["copy_entries", "verified_stream"]

_BUFFER_BYTES = 1 << 20


class _VerifiedFile(io.RawIOBase):
    """Hashes what is read from a payload, and compares at its end."""

    def __init__(self, entry: Entry, stream: BinaryIO) -> None:
        self._entry = entry
        self._stream = stream
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._digest.update(data)
        if not data:
            self._check()
        return len(data)

    def _check(self) -> None:
        entry = self._entry
        if entry.sha256 is not None and self._digest.hexdigest() != entry.sha256:
            raise ChecksumMismatchError(f"big file {entry.sha256} of entry {entry.name!r}: its SHA-256 is another one")

    def close(self) -> None:
        self._stream.close()
        super().close()


def verified_stream(reader: DesReader, entry: Entry) -> io.BufferedReader:
    """Return a file, to be read front to back, over an external payload that is checked at its end.

    The read that would say "end" raises instead when the SHA-256 of what was read is not the
    entry's, so whoever copies it must discard the copy then. Another size is noticed by any read.

    Args:
        reader: The entry's archive.
        entry: From `get_entry` or `scan`; `sha256` is None in formats that know none.

    Raises:
        CorruptArchiveError: Another size or, at the end, another SHA-256.
        BigFileMissingError: The payload is not there.
    """
    return io.BufferedReader(_VerifiedFile(entry, reader.open(entry.name)), _BUFFER_BYTES)


def copy_entries(reader: DesReader, writer: DesWriter, on_entry: Callable[[Entry], None] | None = None) -> int:
    """Add every entry of an archive to a writer, in the order in which they were added.

    Payloads are checked on the way and compressed anew by the writer's own policy; those beside
    the archive are copied piece by piece, and one that is not intact is not copied.

    Args:
        reader: The archive to read, of any format.
        writer: Where the entries go; the caller closes it.
        on_entry: Called after each entry.

    Returns:
        How many entries were added.

    Raises:
        CorruptArchiveError: The archive is damaged.
        BigFileMissingError: A payload beside it is missing.
        InvalidInputError: The writer refuses an entry, such as metadata that is no JSON.
    """
    count = 0
    for entry, payload in reader.scan():
        if payload is None:
            with verified_stream(reader, entry) as stream:
                writer.add_stream(entry.name, stream, entry.meta)
        else:
            writer.add_file(entry.name, payload, entry.meta)
        count += 1
        if on_entry is not None:
            on_entry(entry)
    return count
