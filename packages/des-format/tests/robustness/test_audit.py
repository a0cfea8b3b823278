"""`verify` finds every kind of damage, names entries, and never stops at the first problem."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from des_format import DesError, DesReader, DesWriter
from des_format.audit.report import MAX_PROBLEMS
from des_format.compression import Profile
from des_format.layout import FOOTER_SIZE, HEADER_SIZE

if TYPE_CHECKING:
    from .conftest import Flip, NamesIn, RemoteSource, SaidBy, Specimen, Verify

MIB = 2**20


# -- sound archives -------------------------------------------------------------------------------


def test_a_sound_archive_is_read_to_the_last_byte(specimen: Specimen, verify: Verify, said: SaidBy) -> None:
    report = verify(specimen.data, specimen.path.parent)
    assert report.ok, said(report)
    assert report.complete
    assert report.has_checksums
    assert report.entries_checked == len(specimen.contents)
    assert report.bytes_checked == len(specimen.data) + specimen.footer.external_bytes
    assert str(report).startswith("no problem found")


def test_one_object_of_many_entries_is_read_once(tmp_path: Path) -> None:
    with DesWriter(tmp_path / "a.des") as writer:
        for i in range(5):
            writer.add_file(str(i), b"the same payload", force_external=True)
    with DesReader(tmp_path / "a.des") as reader:
        report = reader.verify()
    assert report.ok
    assert report.bytes_checked == (tmp_path / "a.des").stat().st_size + len(b"the same payload")


@pytest.mark.parametrize("compression", ["none", "balanced", "speed"])
def test_a_large_payload_is_checked_piece_by_piece(
    tmp_path: Path, verify: Verify, compression: Profile, said: SaidBy, names: NamesIn, flipped: Flip
) -> None:
    path = tmp_path / "a.des"
    payload = b"".join(i.to_bytes(4, "little") * 3 for i in range(2 * MIB))
    with DesWriter(path, compression=compression, big_file_threshold=2**40) as writer:
        writer.add_file("before", b"1")
        writer.add_file("large", payload)
        writer.add_file("after", b"2")
    data = path.read_bytes()
    report = verify(data)
    assert report.ok, said(report)
    assert report.bytes_checked == len(data)
    with DesReader(path) as reader:
        entry = reader.get_entry("large")
        assert (entry.stored_size < entry.size) == (compression != "none")
    damaged = verify(flipped(data, entry.offset + entry.length - 5))
    assert set(names(damaged)) == {"large", None}  # None: the content digest of DATA


# -- damage ---------------------------------------------------------------------------------------


def test_every_damaged_entry_is_named_and_all_others_are_checked(
    specimens: dict[str, Specimen], verify: Verify, flipped: Flip
) -> None:
    specimen = specimens["overflowing"]
    entries = specimen.entries()
    heads, payloads = [entries[i] for i in (0, 7, 8, 150, 299)], [entries[i] for i in (1, 9, 200)]
    positions = [entry.offset + i * 5 for i, entry in enumerate(heads)] + [entry.payload_offset for entry in payloads]
    report = verify(flipped(specimen.data, *positions))
    entry_problems = [problem for problem in report.problems if problem.where.startswith("entry")]
    assert {problem.name for problem in entry_problems} == {entry.name for entry in heads + payloads}
    assert len(entry_problems) == 8
    assert [problem.where for problem in report.problems if problem not in entry_problems] == ["DATA at offset 32"]
    assert report.entries_checked == 300 - len(heads)


def test_a_damaged_index_block_accuses_no_entry(specimens: dict[str, Specimen], verify: Verify, flipped: Flip) -> None:
    specimen = specimens["overflowing"]
    report = verify(flipped(specimen.data, specimen.footer.index_start + 100))
    assert [problem.where for problem in report.problems] == [f"index block 0 at offset {specimen.footer.index_start}"]
    assert report.entries_checked == 300


def test_a_damaged_meta_block_or_directory_accuses_no_entry(
    specimens: dict[str, Specimen], verify: Verify, flipped: Flip
) -> None:
    specimen = specimens["metadata"]
    for position, where in (
        (specimen.footer.meta_start + 9, f"META block at offset {specimen.footer.meta_start}"),
        (specimen.footer.directory_start + 9, f"META directory at offset {specimen.footer.directory_start}"),
    ):
        assert [problem.where for problem in verify(flipped(specimen.data, position)).problems] == [where]


def test_damage_in_what_an_append_left_behind_is_found(
    specimens: dict[str, Specimen], verify: Verify, flipped: Flip
) -> None:
    specimen = specimens["appended"]
    for old in specimen.footers[:-1]:
        for position in (old.meta_start, old.directory_start, old.index_start + 99, old.index_start - 1):
            report = verify(flipped(specimen.data, position))
            assert len(report.problems) == 1
            assert report.entries_checked == 4


def test_without_an_old_footer_its_entries_are_still_checked(
    specimens: dict[str, Specimen], verify: Verify, names: NamesIn, flipped: Flip
) -> None:
    specimen = specimens["appended"]
    old = specimen.footers[1].archive_size - FOOTER_SIZE
    first, second = specimen.entries()[:2]
    report = verify(flipped(specimen.data, old + 60))
    assert [problem.where for problem in report.problems] == [f"footer at offset {old}"]
    assert report.entries_checked == 4
    report = verify(flipped(specimen.data, old + 60, first.payload_offset, second.offset + 3))
    assert names(report) == [None, first.name, second.name]


def test_a_damaged_header_is_found_where_opening_does_not_read_it(
    specimens: dict[str, Specimen], remote_source: type[RemoteSource], flipped: Flip
) -> None:
    for position in range(HEADER_SIZE):
        data = flipped(specimens["none"].data, position)
        with pytest.raises(DesError):
            DesReader(data)
        report = DesReader(remote_source(data)).verify()
        assert [problem.where for problem in report.problems] == ["header"]


def test_a_damaged_dictionary_is_one_problem_of_its_own_and_one_of_each_entry(
    specimens: dict[str, Specimen], verify: Verify, flipped: Flip
) -> None:
    specimen = specimens["dictionary"]
    start = specimen.footer.dictionary_start
    report = verify(flipped(specimen.data, start + 200))
    assert {problem.where for problem in report.problems if problem.name is None} == {
        f"dictionary at offset {start}",
        "DATA at offset 32",
    }
    assert {problem.name for problem in report.problems if problem.name is not None} == {"one", "two"}


def test_objects_beside_the_archive_are_checked(
    specimens: dict[str, Specimen], tmp_path: Path, verify: Verify, names: NamesIn
) -> None:
    specimen = specimens["externals"]
    folder = tmp_path / "_bigFiles"
    shutil.copytree(specimen.path.parent / "_bigFiles", folder)
    (path,) = folder.iterdir()
    payload = path.read_bytes()
    for content in (payload[:-1], payload + b"!", payload[:-1] + b"!", b""):
        path.write_bytes(content)
        assert names(verify(specimen.data, tmp_path)) == ["big"]
    path.unlink()
    assert names(verify(specimen.data, tmp_path)) == ["big"]
    path.mkdir()
    assert names(verify(specimen.data, tmp_path)) == ["big"]


def test_an_object_of_no_bytes_must_exist(tmp_path: Path, names: NamesIn) -> None:
    with DesWriter(tmp_path / "a.des") as writer:
        writer.add_file("nothing", b"", force_external=True)
    with DesReader(tmp_path / "a.des") as reader:
        assert reader.verify().ok
        next((tmp_path / "_bigFiles").iterdir()).unlink()
        assert names(reader.verify()) == ["nothing"]


def test_more_problems_than_anyone_reads_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.des"
    count = MAX_PROBLEMS + 300
    with DesWriter(path, compression="none") as writer:
        for i in range(count):
            writer.add_file(f"{i:06}", b"payload")
    data = bytearray(path.read_bytes())
    for i in range(count):
        data[HEADER_SIZE + 49 * i + 48] ^= 1
    report = DesReader(bytes(data)).verify()
    assert report.entries_checked == count
    assert len(report.problems) == MAX_PROBLEMS + 1
    assert "301 further problems" in report.problems[-1].message  # one is the content digest
