"""Read everything of an archive whose format has no checksums: lengths, structure and codecs are all there is."""

from __future__ import annotations

import random

from ..core import ArchiveCore
from ..entry import Entry
from ..errors import DesError, EntryTooLargeError
from ..ranges import RangeSource, drive
from .pieces import READ_BYTES
from .report import Findings

__all__ = ["read_everything"]


def read_everything(core: ArchiveCore, source: RangeSource, share: float, findings: Findings) -> None:
    """Read that share of the entries, at least one, and compare their number with what the archive states."""
    entries = [entry for page in drive(core.pages(), source) for entry in drive(core.list_page(page), source)]
    if len(entries) != core.stats.total_files:
        findings.add("index", f"lists {len(entries)} entries, the archive states {core.stats.total_files}")
    if share < 1 and entries:
        entries = random.sample(entries, max(1, round(share * len(entries))))
    entries.sort(key=lambda entry: entry.offset)
    at = 0
    while at < len(entries):
        after, size = at + 1, entries[at].size
        while after < len(entries) and size + entries[after].size <= READ_BYTES:
            size += entries[after].size
            after += 1
        _read_batch(core, source, entries[at:after], findings)
        at = after


def _read_batch(core: ArchiveCore, source: RangeSource, batch: list[Entry], findings: Findings) -> None:
    try:
        found = drive(core.get_many([entry.name for entry in batch]), source)
    except DesError:
        for entry in batch:
            _read_one(core, source, entry, findings)
        return
    for entry in batch:
        if entry.name not in found:
            findings.add(f"entry at offset {entry.offset}", "listed, but not found by its name", entry.name)
        findings.entries_checked += 1
        findings.count_bytes(entry.stored_size or entry.size)


def _read_one(core: ArchiveCore, source: RangeSource, entry: Entry, findings: Findings) -> None:
    findings.entries_checked += 1
    try:
        try:
            drive(core.get(entry.name), source)
        except EntryTooLargeError:
            for start in range(0, entry.size, READ_BYTES):
                drive(core.read_entry_range(entry, start, start + READ_BYTES), source)
    except DesError as error:
        findings.add(f"entry at offset {entry.offset}", error, entry.name)
    findings.count_bytes(entry.stored_size or entry.size)
