"""The audit itself: which checks, in which order."""

from __future__ import annotations

from ..archive import Archive
from ..core import ArchiveCore
from ..errors import DesError, InvalidInputError
from ..hashtable import Slot
from ..layout import Footer
from ..listing import Row
from ..ranges import RangeSource, drive
from .payload import PayloadCheck
from .records import Evidence, RecordCheck, fingerprint
from .report import Findings, Progress, VerifyReport
from .structure import Index, check_header_part, check_old_regions, read_chain, read_directory, read_rows
from .unchecked import read_everything

__all__ = ["audit"]


def audit(
    core: ArchiveCore, source: RangeSource, *, sample: float = 1.0, progress: Progress | None = None
) -> VerifyReport:
    """Check an archive, without stopping at the first problem.

    A full audit reads every byte, also those of earlier appends that no reader needs any
    more, and the objects of external entries. A sample leaves out the content digest and
    all entries but that share; everything that is not DATA is still checked whole. Memory:
    some 45 bytes for each entry, and about 50 MiB.

    Args:
        core: The opened archive.
        source: Where its bytes are.
        sample: Share of the entries to read, above 0 to 1; at least one entry is.
        progress: Called with the bytes read so far, and how many there are about.

    Raises:
        InvalidInputError: `sample` is out of its range.
        DesError: The source failed in a way that may pass; what the archive holds is not known.
    """
    if not 0 < sample <= 1:
        raise InvalidInputError(f"sample {sample}; above 0 to 1 is allowed")
    stats = core.stats
    findings = Findings(stats.archive_size_bytes + stats.external_size_bytes, progress)
    if isinstance(core, Archive):
        _audit_archive(core, source, sample, findings)
    else:
        read_everything(core, source, sample, findings)
    return findings.report(complete=sample == 1, has_checksums=core.has_checksums)


def _audit_archive(archive: Archive, source: RangeSource, sample: float, findings: Findings) -> None:
    check_header_part(source, findings)
    chain = read_chain(archive, source, findings)
    for footer in chain[:-1]:
        check_old_regions(footer, source, findings)
    index = Index(archive.footer, source, findings)
    if index.complete and index.occupied != archive.footer.entry_count:
        findings.add("index", f"{index.occupied} occupied slots for {archive.footer.entry_count} entries")
    if archive.footer.dictionary_start and not archive.footer.dictionary_length:
        findings.add("footer", f"places a dictionary of no bytes at {archive.footer.dictionary_start}")
    try:
        dictionary = drive(archive.dictionary(), source)
    except DesError as error:
        findings.add(f"dictionary at offset {archive.footer.dictionary_start}", error)
        dictionary = None
    records = RecordCheck(archive, source, index, PayloadCheck(source, dictionary, findings.count_bytes), findings)
    if sample == 1:
        records.check_segments(chain)
    else:
        records.check_sample(sample)
    _check_meta(archive.footer, source, index, records.evidence, findings)


def _check_meta(footer: Footer, source: RangeSource, index: Index, evidence: Evidence, findings: Findings) -> None:
    """Compare META with the index and with the records that were read."""
    directory = read_directory(footer, source, findings)
    if directory is None:
        return
    listed = bytearray(len(evidence.offsets))
    count, complete = 0, True
    for row in read_rows(directory, source, findings):
        if row is None:
            complete = False
            continue
        count += 1
        _check_row(row, index, evidence, listed, findings)
    if complete and count != footer.entry_count:
        findings.add("META", f"{count} rows for {footer.entry_count} entries")
    if complete and 0 in listed:
        for offset, seen in zip(evidence.offsets, listed, strict=True):
            if not seen:
                findings.add(f"entry at offset {offset}", "META does not list it")


def _check_row(row: Row, index: Index, evidence: Evidence, listed: bytearray, findings: Findings) -> None:
    where = f"META row of the entry at offset {row.offset}"
    name = row.name.decode(errors="replace")
    try:
        row.entry  # noqa: B018  It decodes.
    except DesError as error:
        findings.add(where, error, name)
    if row.offset in evidence.damaged:
        findings.set_name(evidence.damaged[row.offset], name)
        return
    position = evidence.position(row.offset)
    if position is None:
        if evidence.complete:
            findings.add(where, "no such record was found in DATA", name)
        elif not index.finds(row.name, Slot(row.offset, row.length)):
            findings.add(where, "a lookup of its name in the index does not lead to it", name)
        return
    listed[position] = 1
    if evidence.fingerprints[position] != fingerprint(
        row.offset, row.length, row.kind, row.codec, row.raw_length, row.name, row.meta
    ):
        findings.add(where, "META and the record contradict each other", name)
