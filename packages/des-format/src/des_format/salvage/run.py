"""The salvage itself: from a damaged archive to a new one."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..audit.payload import PayloadCheck
from ..audit.pieces import READ_BYTES
from ..audit.report import Findings, Problem
from ..bigfiles import BIG_FILES_FOLDER, FolderBigFiles
from ..codecs import ZstdDictionary
from ..durable import make_folder, sync_folder
from ..entry import Kind, Record, decode_meta
from ..errors import DesError, InvalidInputError, UnsupportedFormatError
from ..layout import FOOTER_SIZE, HEADER_MAGIC, HEADER_SIZE, check_header
from ..legacy.datavision import DatavisionArchive
from ..legacy.des_core import DesCoreArchive
from ..names import decode_name
from ..sources import FileSource
from .copier import Copier
from .search import EntrySearch, FoundRecord, trusted_footers

__all__ = ["SalvageReport", "salvage_archive"]

_LEGACY_STARTS = (*DatavisionArchive.first_bytes, *DesCoreArchive.first_bytes)
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SalvageReport:
    """What was saved.

    Attributes:
        recovered: Entries in the new archive.
        recovered_bytes: Sum of their payload sizes, external ones included.
        damaged_bytes: Bytes of the source that belong neither to a recovered entry nor to an
            intact footer, or to what that footer states: lost entries, and remains of other parts.
        problems: Entries that are lost, by name where their head is good, and other findings.
    """

    recovered: int
    recovered_bytes: int
    damaged_bytes: int
    problems: tuple[Problem, ...]


def salvage_archive(
    source: Path, target: Path, *, overwrite: bool = False, progress: Callable[[int, int], None] | None = None
) -> SalvageReport:
    """Write a new archive with every intact entry of a truncated or damaged version-3 archive.

    Entries are copied as they are stored: name, metadata, payload and compression. An entry
    is accepted only if the checksum of its head holds for its own offset, or for the offset it
    had before bytes were lost if the footer at the end of the file tells how many; so entries
    of an archive that is stored inside the damaged one do not pass for its own. Only bytes
    that were forged for their exact place, inside a payload that is itself damaged, can.

    Args:
        source: The damaged archive; it is only read. After an interrupted append also what
            the append had completed is taken.
        target: The new archive. Objects of external entries are linked or copied beside it.
        overwrite: Replace an existing `target`, in one step at the end.
        progress: Called with the bytes searched so far, and the size of the source.

    Raises:
        UnsupportedFormatError: No version-3 archive: nothing of one was found.
        InvalidInputError: `target` is `source`.
        ArchiveExistsError: `target` exists and `overwrite` is false.
    """
    source, target = Path(source), Path(target)
    if target.exists() and source.samefile(target):
        raise InvalidInputError(f"{target} is the damaged archive itself: salvage into another file")
    opened = FileSource(source)
    try:
        if opened.data[:8].startswith(_LEGACY_STARTS):
            raise UnsupportedFormatError(
                f"{source}: a legacy archive has no checksums to tell entries from damage; see `des convert`"
            )
        with Copier(target, compression="none", overwrite=overwrite) as writer:
            objects = None if source.parent.samefile(target.parent) else (source.parent, target.parent)
            return _Salvage(opened, writer, objects, progress).run()
    finally:
        opened.close()


class _Salvage:
    """One pass over a damaged archive."""

    def __init__(
        self,
        source: FileSource,
        writer: Copier,
        objects: tuple[Path, Path] | None,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._source = source
        self._data = source.data
        self._size = len(source.data)
        self._writer = writer
        self._objects = objects
        self._progress = progress
        self._reported = 0
        self._findings = Findings(0, None)
        self._payloads = PayloadCheck(source, None, lambda count: None)
        footers = trusted_footers(source.data)
        self._search = EntrySearch(source.data, {0, *(part.lost for part in footers)})
        # Where META, INDEX and footer begin, which are no damage, and where they end.
        self._parts = {max(0, part.footer.meta_start - part.lost): part.position + FOOTER_SIZE for part in footers}
        self._part_starts = sorted(self._parts)
        self._recognised = bool(footers) or self._data[:8] == HEADER_MAGIC
        self._kept_bytes = 0
        self._recovered_bytes = 0

    def run(self) -> SalvageReport:
        position = self._start()
        while position < self._size:
            found = self._search.at(position) or self._search.first(position)
            gap_end = found.position if found else self._size
            self._kept_bytes += self._intact_bytes(position, gap_end)
            if found is None:
                break
            self._recognised = True
            position = self._take(found)
            self._tell(position)
        if not self._recognised:
            raise UnsupportedFormatError(f"{self._source.path}: nothing of a version-3 archive was found")
        if self._search.unexamined:
            self._findings.add(
                "archive", f"{self._search.unexamined} places that may be entries with large heads were skipped"
            )
        if self._progress is not None:
            self._progress(self._size, self._size)
        problems = self._findings.report(complete=True, has_checksums=True).problems
        return SalvageReport(len(self._writer), self._recovered_bytes, self._size - self._kept_bytes, problems)

    def _intact_bytes(self, start: int, end: int) -> int:
        """How many of these bytes, in which no entry was found, are META, INDEX or footer."""
        count = 0
        at = bisect_left(self._part_starts, start)
        while at < len(self._part_starts) and self._part_starts[at] < end:
            start = max(start, self._part_starts[at])
            part_end = min(self._parts[self._part_starts[at]], end)
            count += max(0, part_end - start)
            start = max(start, part_end)
            at += 1
        return count

    def _start(self) -> int:
        """Where the search begins; says what is wrong with the header."""
        try:
            check_header(self._data[:HEADER_SIZE])
        except DesError as error:
            self._findings.add("header", error)
            return 0
        self._kept_bytes += HEADER_SIZE
        return HEADER_SIZE

    def _tell(self, position: int) -> None:
        if self._progress is not None and position - self._reported >= READ_BYTES:
            self._reported = position
            self._progress(position, self._size)

    # -- taking them ------------------------------------------------------------------------

    def _take(self, found: FoundRecord) -> int:
        """Copy an entry if it is whole; return where to go on."""
        record = found.record
        kind = "dictionary" if record.kind is Kind.DICTIONARY else "entry"
        where, name = f"{kind} at offset {found.position}", _name_of(record)
        if found.end > self._size:
            self._findings.add(where, f"cut off: {self._size - found.position} of {record.length} bytes are left", name)
            return found.payload
        stored = self._data[found.payload : found.end]
        try:
            decode_name(record.name)
            decode_meta(record.meta, where=where)
            self._payloads.check(record, lambda: stored, lambda: iter((stored,)))
            self._keep(found, stored, where, name)
        except DesError as error:
            self._findings.add(where, error, name)
            # The head is good, so the entry should end where it says, unless bytes of its payload were lost.
            whole = found.end == self._size or found.end in self._parts or self._search.at(found.end) is not None
            return found.payload if not whole and self._search.spend(record.length) else found.end
        return found.end

    def _keep(self, found: FoundRecord, stored: bytes, where: str, name: str | None) -> None:
        record = found.record
        if record.kind is Kind.DICTIONARY:
            if self._payloads.dictionary is not None:
                self._findings.add(where, "a second dictionary; only the first is kept")
                return
            self._payloads.dictionary = ZstdDictionary(stored)
        elif name in self._writer:
            self._findings.add(where, "a second entry of this name; only the first is kept", name)
            return
        else:
            if record.kind is Kind.EXTERNAL:
                self._bring_object(stored.hex())
            self._recovered_bytes += record.raw_length
        self._writer.copy(record, stored)
        self._kept_bytes += record.length

    def _bring_object(self, key: str) -> None:
        """Link or copy the object of an external entry, which was checked, beside the new archive."""
        if self._objects is None:
            return
        origin, goal = (folder / BIG_FILES_FOLDER for folder in self._objects)
        try:
            make_folder(goal)
            os.link(origin / key, goal / key)
        except FileExistsError:
            return
        except OSError:
            with (origin / key).open("rb") as stream:
                FolderBigFiles(self._objects[1]).put(stream.read(_COPY_BYTES), stream)
        else:
            sync_folder(goal)


def _name_of(record: Record) -> str | None:
    """The entry's name, for reports; a dictionary is no entry and has none."""
    return None if record.kind is Kind.DICTIONARY else record.name.decode(errors="replace")
