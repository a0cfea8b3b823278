"""Zip archives: their members as inputs of `des pack`, and entries as members."""

from __future__ import annotations

import calendar
import contextlib
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..entry import Entry
from ..errors import CorruptArchiveError, InvalidInputError
from .inputs import Input, InputError, Opened, Report, clean_name
from .metadata import DEFAULT_MODE, file_meta, mode_of, mtime_of
from .patterns import Selection

__all__ = ["zip_inputs", "zip_member"]

_NANOSECONDS = 10**9
_UNIX = 3
# The "extended timestamp" field: seconds since 1970 in UTC, which the DOS date (local, every other second) is not.
_TIME_FIELD = 0x5455
_FIELD = struct.Struct("<HH")
_MTIME = struct.Struct("<HHBi")
_FIRST_DOS_YEAR, _LAST_DOS_YEAR = 1980, 2107
_NO_DOS_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ZipInput:
    """A regular member of a zip archive."""

    name: str
    size: int
    member: zipfile.ZipInfo
    archive: zipfile.ZipFile

    @contextmanager
    def open(self) -> Iterator[Opened]:
        try:
            stream = self.archive.open(self.member)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            # Damaged, encrypted, or compressed by a method that the standard library lacks.
            raise InputError(f"cannot be opened: {error}") from error
        try:
            with stream:
                yield Opened(stream, _meta_of(self.member))  # type: ignore[arg-type]
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise InputError(f"is damaged: {error}") from error


def zip_inputs(path: Path, selection: Selection, report: Report, *, prefix: str = "") -> Iterator[Input]:
    """Yield the files of a zip archive, in the order of its directory.

    Raises:
        CorruptArchiveError: Not a zip archive, or a damaged one.
    """
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise CorruptArchiveError(f"{path}: not a zip archive, or a damaged one: {error}") from error
    with archive:
        for member in archive.infolist():
            if member.is_dir():
                continue
            try:
                name = prefix + clean_name(member.filename)
            except InvalidInputError as error:
                report.fail(member.filename, error)
                continue
            if not selection.wants(name):
                continue
            if stat.S_ISLNK(_mode_of(member) or 0):
                report.skip("symbolic link", name)
            else:
                yield ZipInput(name, member.file_size, member, archive)


def _mode_of(member: zipfile.ZipInfo) -> int | None:
    return member.external_attr >> 16 or None if member.create_system == _UNIX else None


def _meta_of(member: zipfile.ZipInfo) -> Mapping[str, Any]:
    seconds = _extended_time(member.extra)
    if seconds is None and member.date_time > _NO_DOS_DATE:
        with contextlib.suppress(ValueError):  # Month 0 and the like.
            seconds = calendar.timegm((*member.date_time, 0, 0, 0))
    return file_meta(None if seconds is None else seconds * _NANOSECONDS, _mode_of(member))


def _extended_time(extra: bytes) -> int | None:
    at = 0
    while at + _FIELD.size <= len(extra):
        kind, length = _FIELD.unpack_from(extra, at)
        if kind == _TIME_FIELD and length >= _MTIME.size - _FIELD.size and at + _MTIME.size <= len(extra):
            *_head, flags, seconds = _MTIME.unpack_from(extra, at)
            return int(seconds) if flags & 1 else None
        at += _FIELD.size + length
    return None


def zip_member(entry: Entry, *, compressed: bool) -> zipfile.ZipInfo:
    """Return the header for an entry, with its time to the second (in UTC) and its permissions."""
    mtime = mtime_of(entry.meta)
    seconds = 0 if mtime is None else mtime // _NANOSECONDS
    date = time.gmtime(seconds)[:6] if -(2**31) <= seconds < 2**31 else _NO_DOS_DATE
    known = mtime is not None and _FIRST_DOS_YEAR <= date[0] <= _LAST_DOS_YEAR
    member = zipfile.ZipInfo(entry.name, date if known else _NO_DOS_DATE)
    if mtime is not None and -(2**31) <= seconds < 2**31:
        member.extra = _MTIME.pack(_TIME_FIELD, _MTIME.size - _FIELD.size, 1, seconds)
    mode = mode_of(entry.meta)
    member.create_system = _UNIX
    member.external_attr = (stat.S_IFREG | (DEFAULT_MODE if mode is None else mode)) << 16
    member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    member.file_size = entry.size
    return member
