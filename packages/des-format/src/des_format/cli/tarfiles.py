"""Tar archives: their members as inputs of `des pack`, and entries as members."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from ..entry import Entry
from ..errors import CorruptArchiveError, InvalidInputError
from .decompressing import decompressed
from .inputs import Input, InputError, Opened, Report, clean_name
from .metadata import DEFAULT_MODE, MODE, MTIME, file_meta, mode_of, mtime_of
from .patterns import Selection

__all__ = ["tar_inputs", "tar_member"]

# A pax record of its own for metadata that tar has no field for; other tools ignore it.
_META_RECORD = "DES.meta"
_NANOSECONDS = 10**9


class _StrictMember(tarfile.TarInfo):
    """A member whose damaged or missing header is an error; tarfile takes it for the end of the archive."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> _StrictMember:
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # The regular end: a block of zeros.
                raise
            raise tarfile.ReadError(f"no valid header at offset {tarfile_.offset}: {error}") from error


@dataclass(frozen=True, slots=True)
class TarInput:
    """A member of a tar archive; in a stream it must be opened before the next one is asked for."""

    name: str
    size: int
    member: tarfile.TarInfo
    tar: tarfile.TarFile

    @contextmanager
    def open(self) -> Iterator[Opened]:
        with _tar_damage():
            try:
                stream = self.tar.extractfile(self.member)
            except KeyError as error:
                raise InputError(f"is a hard link to {self.member.linkname!r}, which the tar does not hold") from error
            assert stream is not None, "directories and devices are no inputs"
            yield Opened(stream, _meta_of(self.member))  # type: ignore[arg-type]


@contextmanager
def _tar_damage() -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise CorruptArchiveError(f"not a tar archive, or a damaged one: {error}") from error


def tar_inputs(
    file: io.BufferedReader, selection: Selection, report: Report, *, prefix: str = "", path: Path | None = None
) -> Iterator[Input]:
    """Yield the files of a tar archive, compressed or not, in its order; hard links come last.

    Args:
        file: The tar archive, read front to back.
        selection: Which names are wanted.
        report: Told what is left out.
        prefix: Put in front of every name.
        path: Where it lies, to look up what hard links point to; without it they fail.

    Raises:
        CorruptArchiveError: Not a tar archive, or a damaged one.
    """
    links = []
    for member, tar in _members(file):
        try:
            name = prefix + clean_name(member.name)
        except InvalidInputError as error:
            if not member.isdir():
                report.fail(member.name, error)
            continue
        if member.isdir() or not selection.wants(name):
            continue
        if member.isreg():
            yield TarInput(name, member.size, member, tar)
        elif member.islnk():
            links.append((name, member.name))
        else:
            report.skip("symbolic link" if member.issym() else "special file", name)
    if links:
        yield from _hard_links(links, path, report)


def _members(file: io.BufferedReader) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    with _tar_damage():
        data = decompressed(file)
        with tarfile.open(fileobj=data, mode="r|", tarinfo=_StrictMember) as tar:
            for member in tar:
                tar.members.clear()  # type: ignore[attr-defined]  # It would remember them all.
                yield member, tar
        # To the end, where compressed data has its checksum, and for the sake of whoever writes into a pipe.
        while data.read(1 << 20):
            pass


def _hard_links(links: list[tuple[str, str]], path: Path | None, report: Report) -> Iterator[Input]:
    reason = "cannot be looked up in a stream" if path is None else "cannot be looked up in this kind of compression"
    try:
        if path is not None:
            with tarfile.open(path) as tar:
                for name, member_name in links:
                    yield TarInput(name, 0, tar.getmember(member_name), tar)
                return
    except tarfile.ReadError:
        pass
    for name, _member_name in links:
        report.fail(name, InputError(f"is a hard link; what it points to {reason}"))


def _meta_of(member: tarfile.TarInfo) -> Mapping[str, Any]:
    try:
        extra = json.loads(member.pax_headers.get(_META_RECORD, "{}"))
        mtime: int | None = int(Decimal(member.pax_headers["mtime"]) * _NANOSECONDS)
    except KeyError:
        # 0 is what those write who have no time to give.
        mtime = int(member.mtime) * _NANOSECONDS or None
    except (ValueError, InvalidOperation) as error:
        raise InputError(f"its pax header cannot be understood: {error}") from error
    return {**file_meta(mtime, member.mode), **(extra if isinstance(extra, dict) else {})}


def tar_member(entry: Entry) -> tarfile.TarInfo:
    """Return the header for an entry: its time to the nanosecond, its permissions, and what else its metadata holds."""
    member = tarfile.TarInfo(entry.name)
    member.size = entry.size
    mode = mode_of(entry.meta)
    member.mode = DEFAULT_MODE if mode is None else mode
    extra, records = dict(entry.meta), {}
    if mode is not None:
        extra.pop(MODE)
    mtime = mtime_of(entry.meta)
    if mtime is not None:
        extra.pop(MTIME)
        seconds, rest = divmod(mtime, _NANOSECONDS)
        member.mtime = seconds
        if rest:
            records["mtime"] = f"{Decimal(mtime) / _NANOSECONDS:f}"
    if extra:
        records[_META_RECORD] = json.dumps(extra, ensure_ascii=False, separators=(",", ":"))
    member.pax_headers = records
    return member
