"""Build archives in memory, one for each shard, and read what a finished archive file refers to."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ...archive import Archive
from ...bigfiles import BIG_FILES_FOLDER, BigFileSink
from ...compression import Compression, Profile
from ...errors import InvalidInputError, UnsupportedFormatError
from ...layout import Footer
from ...reader import DesReader
from ...writer import DEFAULT_BIG_FILE_THRESHOLD, DesWriter
from .bigfiles import StoreBigFiles

__all__ = ["ArchiveOptions", "NewEntry", "build_archive", "inspect_archive"]


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry that is to be added.

    Attributes:
        uid: Its name; a non-negative `int` is the same as its decimal text.
        created_at: When it was created, with a time zone; its UTC day and its uid decide where it is stored.
        data: The payload.
        meta: A JSON object, or None.
    """

    uid: str | int
    created_at: datetime
    data: bytes | bytearray | memoryview
    meta: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """How archives are written.

    Attributes:
        compression: As for `DesWriter`.
        big_file_threshold: Payloads of more bytes than this are stored beside the archive.
    """

    compression: Compression | Profile = "balanced"
    big_file_threshold: int = DEFAULT_BIG_FILE_THRESHOLD


def build_archive(
    entries: Iterable[tuple[str, NewEntry]], big_files: BigFileSink, options: ArchiveOptions
) -> tuple[bytes, Footer]:
    """Return an archive of named entries, and its footer.

    Raises:
        InvalidInputError: An entry is refused, such as a second one of the same name; no archive was made.
    """
    buffer = io.BytesIO()
    with DesWriter(
        buffer, compression=options.compression, big_file_threshold=options.big_file_threshold, big_files=big_files
    ) as writer:
        for name, entry in entries:
            writer.add_file(name, entry.data, entry.meta)
    footer = writer.footer
    assert footer is not None
    return buffer.getvalue(), footer


def inspect_archive(path: Path, big_files: StoreBigFiles) -> Footer:
    """Return the footer of a finished archive file, after storing the big files that lie beside it.

    Raises:
        UnsupportedFormatError: Not a version-3 archive; `des convert` makes one.
        CorruptArchiveError: It is damaged.
        BigFileMissingError: A big file is not beside it.
    """
    with DesReader(path) as reader:
        core = reader.core
        if not isinstance(core, Archive):
            raise UnsupportedFormatError(f"{path} is {reader.format_name}; a store takes version 3: see `des convert`")
        if core.footer.external_count:
            for listed in reader.entries():
                if listed.is_external:
                    _store_big_file(path, reader.get_entry(listed.name).sha256 or "", big_files)
        return core.footer


def _store_big_file(path: Path, sha256: str, big_files: StoreBigFiles) -> None:
    source = path.parent / BIG_FILES_FOLDER / sha256
    with source.open("rb") as stream:
        stored, _size = big_files.put(stream.read(1 << 20), stream)
    if stored.hex() != sha256:
        raise InvalidInputError(f"big file {source} does not hold what its name says; the archive was not added")
