"""Append to a local archive so that a crash at any moment leaves the old one.

Before the first byte is appended, a copy of the archive's footer is made durable beside it
(`<name>.append`, the append journal). While a journal matches the archive, the archive ends
where that footer ends: readers ignore what comes after, and the next append cuts it off.
Removing the journal, after everything was made durable, is the commit.

Source: docs/format.md, section "Append".
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from .archive import Archive
from .catalog import Catalog
from .codecs import ZstdDictionary
from .durable import TemporaryFile, sync_folder
from .errors import AppendInProgressError, ConflictError, CorruptArchiveError, DesError, UnsupportedFormatError
from .layout import FOOTER_SIZE, HEADER, HEADER_MAGIC, Footer, check_header, decode_footer, encode_footer
from .listing import decode_block
from .opening import ReadOptions, open_core
from .ranges import drive
from .sources import FileSource
from .targets import Target

try:
    import fcntl
except ImportError:  # Windows has no flock; there the caller must keep appenders apart.
    fcntl = None  # type: ignore[assignment]

__all__ = ["OpenedForAppend", "committed_size", "journal_path", "open_committed", "open_for_append"]


def journal_path(path: Path) -> Path:
    """Where the append journal of the archive at `path` lies."""
    # Not `with_name`, which refuses `.` and `/` by a bare ValueError.
    return path.parent / f"{path.name}.append"


def committed_size(path: Path) -> int | None:
    """Size of the archive at `path` before an append that has not been committed, or None.

    A journal that is no footer, or is not the footer found at its place in the archive, has
    nothing to say (the archive was replaced since) and is ignored.
    """
    try:
        journal = journal_path(path).read_bytes()
    except FileNotFoundError:
        return None
    size = int.from_bytes(journal[16:24], "little")
    try:
        decode_footer(journal, archive_size=size)
    except DesError:
        return None
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < size:
            return None
        file.seek(size - FOOTER_SIZE)
        return size if file.read(FOOTER_SIZE) == journal else None


def open_committed(path: Path) -> FileSource:
    """Map the archive at `path` up to where it is complete, whoever appends to it or replaces it meanwhile.

    Raises:
        FileNotFoundError: No such file.
        UnsupportedFormatError: It is empty.
    """
    while True:
        size = committed_size(path)
        source = FileSource(path, size)
        try:
            # Between looking for a journal and mapping, an append may have begun or ended.
            complete = path.stat().st_size if size is None else size
            if committed_size(path) == size and len(source.data) == complete:
                return source
        except BaseException:
            source.close()
            raise
        source.close()


class AppendTarget:
    """The end of an existing archive, locked against other appenders."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._journal = journal_path(path)
        self._handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            self._lock()
            self._check_in_place()
            self._roll_back_interrupted()
        except BaseException:
            os.close(self._handle)
            raise

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AppendInProgressError(f"another process is appending to {self._path}; try again later") from error

    def _is_in_place(self) -> bool:
        """Whether the path still leads to the file that was opened."""
        try:
            return os.path.samestat(os.fstat(self._handle), self._path.stat())
        except FileNotFoundError:
            return False

    def _check_in_place(self) -> None:
        if not self._is_in_place():
            raise ConflictError(f"{self._path} was replaced or removed; what is appended to the old one would be lost")

    def _roll_back_interrupted(self) -> None:
        size = committed_size(self._path)
        if size is not None:
            self._cut(size)

    def _cut(self, size: int) -> None:
        """Cut the archive off at `size`, durably, then forget the journal."""
        os.ftruncate(self._handle, size)
        os.fsync(self._handle)
        self._remove_journal()

    def _remove_journal(self) -> None:
        self._journal.unlink(missing_ok=True)
        sync_folder(self._path.parent)

    def begin(self, footer: Footer) -> None:
        """Write the journal; only then may bytes be appended."""
        self._old_size = footer.archive_size
        with TemporaryFile(self._path.parent, self._journal.name) as temporary:
            temporary.write(encode_footer(footer))
            temporary.publish(self._journal, replace=True)
        os.lseek(self._handle, self._old_size, os.SEEK_SET)

    def write(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]

    def commit(self) -> None:
        self._check_in_place()
        os.fsync(self._handle)
        self._remove_journal()
        os.close(self._handle)

    def rollback(self) -> None:
        try:
            # The journal of a file that took the place of this one is not ours to remove.
            if self._is_in_place():
                self._cut(self._old_size)
        finally:
            os.close(self._handle)

    def release(self) -> None:
        """Close without having begun."""
        os.close(self._handle)


class OpenedForAppend(NamedTuple):
    """What a writer needs to go on where an archive ends."""

    target: Target
    footer: Footer
    catalog: Catalog
    dictionary: ZstdDictionary | None


def open_for_append(path: Path) -> OpenedForAppend:
    """Lock an archive, roll back an interrupted append, and read what its entries are.

    Raises:
        AppendInProgressError: Another process appends to it.
        ConflictError: Another process replaced it just now.
        UnsupportedFormatError: Not a version-3 archive, or one of a later minor version.
        CorruptArchiveError: Damaged; nothing was changed.
    """
    target = AppendTarget(path)
    try:
        source = FileSource(path)
        try:
            header = source.data[:32]
            if not header.startswith(HEADER_MAGIC):
                raise UnsupportedFormatError(
                    f"{path}: only version-3 archives can be appended to, found {header[:8]!r}; see `des convert`"
                )
            check_header(header)
            archive = drive(open_core(ReadOptions()), source)
            assert isinstance(archive, Archive)
            if header != HEADER or source.data[-FOOTER_SIZE:] != encode_footer(archive.footer):
                raise UnsupportedFormatError(
                    f"{path}: a later minor version wrote it; appending with this one could lose what it does not know"
                )
            rows = []
            for block in drive(archive.directory(), source).rows:
                rows += decode_block(source.data[block.start : block.end], block)
            catalog = Catalog.load(rows)
            if not len(rows) == len(catalog.names) == archive.footer.entry_count:
                raise CorruptArchiveError(
                    f"{path}: META lists {len(rows)} entries under {len(catalog.names)} names,"
                    f" the footer counts {archive.footer.entry_count}"
                )
            dictionary = drive(archive.dictionary(), source)
        finally:
            source.close()
        target.begin(archive.footer)
    except BaseException:
        target.release()
        raise
    return OpenedForAppend(target, archive.footer, catalog, dictionary)
