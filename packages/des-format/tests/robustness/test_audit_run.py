"""`verify` of a share of the entries, its progress, its memory, its sources, and formats without checksums."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from des_format import ByteRange, DesError, DesReader, DesWriter, InvalidInputError
from des_format.sources import BufferSource

if TYPE_CHECKING:
    from .conftest import Flip, NamesIn, SaidBy, Specimen, Verify


# -- samples --------------------------------------------------------------------------------------


def test_a_sample_reads_that_share_and_says_so(specimens: dict[str, Specimen], verify: Verify) -> None:
    specimen = specimens["overflowing"]
    report = verify(specimen.data, sample=0.1)
    assert (report.ok, report.complete, report.entries_checked) == (True, False, 30)
    assert "a sample" in str(report)
    assert verify(specimens["one entry"].data, sample=1e-9).entries_checked == 1
    assert verify(specimens["empty"].data, sample=0.5).entries_checked == 0


def test_samples_differ_and_find_what_they_come_by(
    specimens: dict[str, Specimen], verify: Verify, names: NamesIn, flipped: Flip
) -> None:
    specimen = specimens["none"]
    positions = [entry.payload_offset for entry in specimen.entries() if entry.size]
    data = flipped(specimen.data, *positions)
    found = {name for _ in range(60) for name in names(verify(data, sample=0.4))}
    assert found == {"a/1", "b"}


def test_a_sample_checks_all_of_the_structure(specimens: dict[str, Specimen], verify: Verify, flipped: Flip) -> None:
    specimen = specimens["appended"]
    footer = specimen.footer
    for position in (
        footer.meta_start + 9,
        footer.directory_start,
        footer.index_start - 1,
        footer.index_start + 99,
        specimen.footers[0].archive_size - 1,
        specimen.footers[0].index_start,
        specimen.footers[1].meta_start,
    ):
        assert not verify(flipped(specimen.data, position), sample=0.01).ok


@pytest.mark.parametrize("sample", [0, -1, 1.01, float("nan")])
def test_a_share_outside_of_its_range_is_refused(specimens: dict[str, Specimen], sample: float) -> None:
    with DesReader(specimens["none"].path) as reader, pytest.raises(InvalidInputError):
        reader.verify(sample=sample)


# -- how it runs ----------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", [1.0, 0.5])
def test_progress_never_goes_back_and_ends_at_the_total(
    specimens: dict[str, Specimen], verify: Verify, sample: float
) -> None:
    specimen = specimens["externals"]
    calls: list[tuple[int, int]] = []
    verify(specimen.data, specimen.path.parent, sample=sample, progress=lambda *call: calls.append(call))
    total = len(specimen.data) + specimen.footer.external_bytes
    assert {call[1] for call in calls} == {total}
    assert [done for done, _total in calls] == sorted(done for done, _total in calls)
    assert calls[-1] == (total, total)


class FailingSource(BufferSource):
    """A store that is not reachable for one read, after some others."""

    def __init__(self, data: bytes, reads: int) -> None:
        super().__init__(data)
        self._reads = reads

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> list[bytes]:
        self._reads -= 1
        if self._reads == -1:
            raise StoreUnreachableError("no route to host")
        return super().read_ranges(ranges)


class StoreUnreachableError(DesError):
    code = "unavailable"
    retryable = True


def test_a_store_that_fails_is_no_damage(specimens: dict[str, Specimen]) -> None:
    for reads in range(12):
        reader = DesReader(FailingSource(specimens["appended"].data, reads))
        with pytest.raises(StoreUnreachableError):
            reader.verify()


class ShortSource(BufferSource):
    """A store that has lost the end of some range."""

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> list[bytes]:
        return [data[:-1] for data in super().read_ranges(ranges)]


def test_a_store_that_answers_too_short_is_a_problem_of_every_part(specimens: dict[str, Specimen]) -> None:
    report = DesReader(ShortSource(specimens["appended"].data)).verify()
    assert {problem.where.split(" at ")[0] for problem in report.problems} >= {"header", "index", "META directory"}


MEASURE = """
import json, os, resource, sys
from des_format import DesReader, Tail
class File:
    def __init__(self, path):
        self.file = open(path, "rb")
        self.size = os.fstat(self.file.fileno()).st_size
    def read_tail(self, length):
        return Tail(os.pread(self.file.fileno(), length, max(0, self.size - length)), self.size)
    def read_ranges(self, ranges):
        return [os.pread(self.file.fileno(), part.size, part.start) for part in ranges]
reader = DesReader(File(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = reader.verify()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
json.dump([report.ok, report.entries_checked, after - before], sys.stdout)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="units of ru_maxrss differ")
def test_memory_grows_by_less_than_100_bytes_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "many.des"
    grown = {}
    for count in (20_000, 140_000):
        with DesWriter(path, compression="none", overwrite=True) as writer:
            for i in range(count):
                writer.add_file(f"{i:08x}", b"p" * 40)
        command = [sys.executable, "-c", MEASURE, str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        ok, checked, grown[count] = json.loads(done.stdout)
        assert (ok, checked) == (True, count)
    assert (grown[140_000] - grown[20_000]) * 1024 < 100 * 120_000


# -- formats without checksums --------------------------------------------------------------------

LEGACY = Path(__file__).parents[1] / "vectors" / "legacy"


@pytest.mark.parametrize("path", sorted(LEGACY.glob("*/*.des")), ids=lambda path: path.stem)
def test_a_legacy_archive_is_read_whole_and_the_report_says_what_that_proves(path: Path, said: SaidBy) -> None:
    with DesReader(path) as reader:
        report = reader.verify()
        assert report.ok, said(report)
        assert (report.complete, report.has_checksums, report.entries_checked) == (True, False, len(reader))
        assert "has no checksums" in str(report)
        assert not reader.verify(sample=0.3).complete


def des2(*entries: tuple[str, bytes, int]) -> bytes:
    """A legacy archive of (name, stored payload, codec)."""
    data, index = b"DES2\2\0\0\0", len(entries).to_bytes(4, "little")
    for name, stored, codec in entries:
        size = len(stored).to_bytes(8, "little")
        index += len(name).to_bytes(2, "little") + name.encode() + b"\0"
        index += len(data).to_bytes(8, "little") + size + bytes([codec]) + size + size + bytes(4)
        data += stored
    return data + index + b"DESI" + len(index).to_bytes(8, "little")


def test_a_legacy_entry_that_cannot_be_read_is_named_and_all_others_are_read(names: NamesIn) -> None:
    report = DesReader(des2(("a", b"hello", 0), ("broken", b"no zstd", 1), ("c", b"hey", 0))).verify()
    assert names(report) == ["broken"]
    assert report.entries_checked == 3


def test_a_legacy_entry_over_the_ceiling_is_read_in_pieces() -> None:
    reader = DesReader(des2(("a", b"hello", 0), ("b", b"hi", 0)), max_entry_bytes=4)
    assert reader.verify().ok
