"""Write all entries of an archive as a tar or a zip, as a stream."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

from ..copying import verified_stream
from ..durable import TemporaryFile
from ..entry import Entry
from ..errors import ArchiveExistsError, UnsafePathError
from ..names import safe_path
from ..reader import DesReader
from .decompressing import compress_to
from .output import stdout_for_archive
from .tarfiles import tar_member
from .zipfiles import zip_member

__all__ = ["opened_output", "write_tar", "write_zip"]

_COPY_BYTES = 1 << 20
# From here on a zip entry of unknown length needs the larger header fields.
_ZIP64_FROM = 2**31 - 2**20

Failed = Callable[[str, Exception], None]


class _Sink(io.RawIOBase):
    """An append-only stream as the file object that tarfile, zipfile and the compressors write to."""

    def __init__(self, write: Callable[[Any], object]) -> None:
        self._write = write

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._write(data)
        return len(data)


@contextmanager
def opened_output(path: Path | None, *, overwrite: bool, compressible: bool) -> Iterator[IO[bytes]]:
    """Yield a stream for the result: a file that appears only complete, or stdout for None.

    Args:
        path: The file.
        overwrite: Replace a file that exists.
        compressible: Compress if the name ends in `.gz`, `.zst` and the like.

    Raises:
        ArchiveExistsError: The file exists.
        InvalidInputError: stdout is a terminal.
    """
    if path is None:
        yield stdout_for_archive()
        return
    if path.exists() and not overwrite:
        raise ArchiveExistsError(f"{path} exists; --overwrite replaces it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryFile(path.parent, path.name) as temporary:
        with io.BufferedWriter(_Sink(temporary.write), _COPY_BYTES) as file:
            compressed = compress_to(file, path) if compressible else None
            if compressed is None:
                yield file
            else:
                with compressed:
                    yield compressed
        temporary.publish(path, replace=overwrite)


def _exportable(reader: DesReader, failed: Failed) -> Iterator[tuple[Entry, AbstractContextManager[IO[bytes]]]]:
    """Yield entries with their payloads, in the order in which they were added.

    Names that no tool should extract are left out and reported.
    """
    for entry, payload in reader.scan():
        try:
            safe_path(Path(), entry.name)
        except UnsafePathError as error:
            failed(entry.name, error)
            continue
        yield entry, io.BytesIO(payload) if payload is not None else verified_stream(reader, entry)


def write_tar(reader: DesReader, file: IO[bytes], failed: Failed, on_bytes: Callable[[int], None]) -> int:
    """Write a tar archive, and return how many entries it has; equal archives give equal bytes.

    Args:
        reader: The archive.
        file: Append-only stream.
        failed: Told which entries are left out, and why.
        on_bytes: Called with the payload bytes written.

    Raises:
        CorruptArchiveError: The archive is damaged; the tar has no end then.
    """
    count = 0
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8") as tar:
        for entry, opened in _exportable(reader, failed):
            with opened as stream:
                tar.addfile(tar_member(entry), stream)
                # A payload says only at its end that it was damaged.
                stream.read(1)
            tar.members.clear()  # type: ignore[attr-defined]
            on_bytes(entry.size)
            count += 1
    return count


def write_zip(
    reader: DesReader, file: IO[bytes], failed: Failed, on_bytes: Callable[[int], None], *, compressed: bool
) -> int:
    """As `write_tar`, a zip archive."""
    count = 0
    with zipfile.ZipFile(file, "w") as archive:
        for entry, opened in _exportable(reader, failed):
            member = zip_member(entry, compressed=compressed)
            with opened as stream, archive.open(member, "w", force_zip64=entry.size >= _ZIP64_FROM) as target:
                while piece := stream.read(_COPY_BYTES):
                    target.write(piece)
                    on_bytes(len(piece))
            count += 1
    return count
