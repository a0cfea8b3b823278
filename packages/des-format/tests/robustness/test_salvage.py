"""Rebuild archives from damaged ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from des_format import ArchiveExistsError, DesReader, DesWriter, InvalidInputError, UnsupportedFormatError
from des_format.checksum import checksum32
from des_format.layout import FOOTER_SIZE, HEADER_SIZE
from des_format.salvage import SalvageReport, salvage_archive

if TYPE_CHECKING:
    from .conftest import Contents, Forgery, Specimen

ContentsOf = Callable[[Path], "Contents"]


@pytest.fixture
def salvage(tmp_path: Path, contents_of: ContentsOf) -> Callable[..., tuple[SalvageReport, Contents]]:
    """Salvage bytes; return the report and what the new archive, which is always sound, holds."""

    def run(data: bytes, folder: Path = tmp_path) -> tuple[SalvageReport, Contents]:
        source = folder / "damaged.des"
        source.write_bytes(data)
        report = salvage_archive(source, folder / "saved.des", overwrite=True)
        with DesReader(folder / "saved.des") as reader:
            assert reader.verify().ok
            assert len(reader) == report.recovered
        return report, contents_of(folder / "saved.des")

    return run


def test_an_undamaged_archive_of_one_segment_comes_out_byte_for_byte(specimen: Specimen, tmp_path: Path) -> None:
    report = salvage_archive(specimen.path, specimen.path.with_name("again.des"), overwrite=True)
    assert report.recovered == len(specimen.contents)
    assert report.recovered_bytes == sum(len(payload) for payload, _meta in specimen.contents.values())
    assert (report.damaged_bytes, report.problems) == (0, ())
    if len(specimen.footers) == 1:
        assert specimen.path.with_name("again.des").read_bytes() == specimen.data


def test_an_appended_archive_becomes_one_segment(specimens: dict[str, Specimen], salvage: Any) -> None:
    specimen = specimens["appended"]
    report, contents = salvage(specimen.data)
    assert contents == specimen.contents
    assert report.problems == ()


@pytest.mark.parametrize("kind", ["none", "zstd", "lz4", "metadata", "dictionary", "appended"])
def test_a_damaged_entry_is_left_out_and_named(specimens: dict[str, Specimen], kind: str, salvage: Any) -> None:
    specimen = specimens[kind]
    for entry in specimen.entries():
        if not entry.stored_size:
            continue
        data = bytearray(specimen.data)
        data[entry.offset + entry.length - 1] ^= 0x10
        report, contents = salvage(bytes(data))
        assert contents == {name: value for name, value in specimen.contents.items() if name != entry.name}
        assert [problem.name for problem in report.problems] == [entry.name]
        assert report.damaged_bytes == entry.length


def test_an_entry_with_a_damaged_head_is_counted(specimens: dict[str, Specimen], salvage: Any) -> None:
    specimen = specimens["appended"]
    for entry in specimen.entries():
        for position in range(entry.offset, entry.payload_offset or 0):
            data = bytearray(specimen.data)
            data[position] ^= 1
            report, contents = salvage(bytes(data))
            assert contents == {name: value for name, value in specimen.contents.items() if name != entry.name}
            assert report.damaged_bytes == entry.length


def test_every_other_entry_survives_a_damaged_stretch(specimens: dict[str, Specimen], salvage: Any) -> None:
    specimen = specimens["overflowing"]
    entries = specimen.entries()
    first, last = entries[100], entries[150]
    data = bytearray(specimen.data)
    data[first.offset + 5 : last.offset + 5] = os.urandom(last.offset - first.offset)
    report, contents = salvage(bytes(data))
    lost = {entry.name for entry in entries[100:151]}
    assert contents == {name: value for name, value in specimen.contents.items() if name not in lost}
    assert report.damaged_bytes == sum(entry.length for entry in entries[100:151])


# -- parts that are gone ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "dictionary", "metadata", "appended"])
def test_nothing_is_lost_with_header_or_tail(specimens: dict[str, Specimen], kind: str, salvage: Any) -> None:
    specimen = specimens[kind]
    overwritten = os.urandom(HEADER_SIZE) + specimen.data[HEADER_SIZE:]
    without_tail = specimen.data[: specimen.footer.meta_start + 3]
    without_both = bytes(HEADER_SIZE) + without_tail[HEADER_SIZE:]
    for data in (overwritten, without_tail, without_both):
        report, contents = salvage(data)
        assert contents == specimen.contents
        assert bool(report.problems) == (data is not without_tail)


@pytest.mark.parametrize("kind", ["none", "dictionary", "metadata", "appended"])
def test_bytes_that_are_missing_move_nothing_out_of_reach(
    specimens: dict[str, Specimen], kind: str, salvage: Any
) -> None:
    """Where bytes were taken out, the footer at the end still tells where all entries after them once were."""
    specimen = specimens[kind]
    entries = specimen.entries()
    for entry in entries:
        start = entry.offset + 5
        for data in (specimen.data[:start] + specimen.data[start + 9 :], specimen.data[start:]):
            report, contents = salvage(data)
            intact = [other for other in entries if other.offset > entry.offset or data[:4] == b"DESH"]
            expected: Contents = {other.name: specimen.contents[other.name] for other in intact if other is not entry}
            if kind == "dictionary" and data[:4] != b"DESH":
                expected = {}  # The dictionary went with the beginning.
            assert contents == expected
            assert report.recovered == len(expected)


def test_bytes_that_are_missing_from_a_payload_cost_that_entry_alone(forgery: Forgery, salvage: Any) -> None:
    for name in (b"a", b"b", b"c"):
        forgery.add(name, b"payload of " + name * 200)
    data = forgery.seal()
    for row in forgery.rows:
        start = row.offset + 60
        report, contents = salvage(data[:start] + data[start + 30 :])
        lost = row.name.decode()
        assert contents == {name: (b"payload of " + name.encode() * 200, {}) for name in "abc" if name != lost}
        assert [problem.name for problem in report.problems] == [lost]


def test_a_header_that_was_cut_off_is_no_loss(specimens: dict[str, Specimen], salvage: Any) -> None:
    specimen = specimens["appended"]
    _report, contents = salvage(specimen.data[HEADER_SIZE:])
    assert contents == specimen.contents


def test_an_interrupted_append_gives_what_it_had_completed(
    specimens: dict[str, Specimen], salvage: Any, tmp_path: Path
) -> None:
    specimen = specimens["appended"]
    before = specimen.footers[1].archive_size
    third = specimen.entries()[2]
    data = specimen.data[: third.offset + third.length + 20]
    expected = {name: value for name, value in specimen.contents.items() if name != "aa"}
    report, contents = salvage(data)
    assert contents == expected
    assert report.damaged_bytes == 20
    (tmp_path / "damaged.des.append").write_bytes(specimen.data[before - FOOTER_SIZE : before])
    assert salvage(data)[1] == expected


# -- what must not pass for an entry --------------------------------------------------------------


def test_entries_of_an_archive_inside_the_archive_are_not_mistaken(
    specimens: dict[str, Specimen], forgery: Forgery, salvage: Any
) -> None:
    """Neither when the entry that holds it is damaged, nor when bytes before it are missing."""
    outer = forgery.add(b"nested.des", specimens["appended"].data)
    forgery.add(b"own", b"payload")
    data = bytearray(forgery.seal())
    data[outer.offset + 4] ^= 1
    expected: Contents = {"own": (b"payload", {})}
    assert salvage(bytes(data))[1] == expected
    for cut in (1, 40, 400):
        assert salvage(bytes(data[cut:]))[1] == expected


def test_an_archive_after_the_archive_is_not_mistaken(specimens: dict[str, Specimen], salvage: Any) -> None:
    first, second = specimens["none"], specimens["appended"]
    report, contents = salvage(first.data + second.data)
    assert contents == first.contents
    assert report.damaged_bytes == len(second.data)


def test_of_two_entries_of_one_name_the_first_is_kept(forgery: Forgery, salvage: Any) -> None:
    forgery.add(b"a", b"first")
    forgery.add(b"a", b"second")
    report, contents = salvage(bytes(forgery.data))
    assert contents == {"a": (b"first", {})}
    assert [(problem.name, "second entry" in problem.message) for problem in report.problems] == [("a", True)]


def test_of_two_dictionaries_the_first_is_kept(specimens: dict[str, Specimen], salvage: Any) -> None:
    """A copy of the dictionary, forged for its place, follows the entries."""
    specimen = specimens["dictionary"]
    footer = specimen.footer
    record = specimen.data[footer.dictionary_start : footer.dictionary_start + footer.dictionary_length]
    copied = bytearray(specimen.data[: footer.meta_start] + record)
    rest = bytes(copied[footer.meta_start + 8 : footer.meta_start + 36 + len(b"dictionary")])
    copied[footer.meta_start + 4 : footer.meta_start + 8] = checksum32(rest, footer.meta_start).to_bytes(4, "little")
    report, contents = salvage(bytes(copied))
    assert contents == specimen.contents
    assert [problem.message for problem in report.problems] == ["a second dictionary; only the first is kept"]


def test_without_the_dictionary_its_entries_are_lost_and_named(specimens: dict[str, Specimen], salvage: Any) -> None:
    specimen = specimens["dictionary"]
    data = bytearray(specimen.data)
    data[specimen.footer.dictionary_start + 200] ^= 1
    report, contents = salvage(bytes(data))
    assert contents == {}
    assert [problem.name for problem in report.problems] == [None, "one", "two"]
    assert report.problems[1].message.endswith("which cannot be read")


# -- objects beside the archive -------------------------------------------------------------------


def test_objects_come_along_into_another_folder(
    specimens: dict[str, Specimen], contents_of: ContentsOf, tmp_path: Path
) -> None:
    specimen = specimens["externals"]
    saved = tmp_path / "elsewhere" / "saved.des"
    report = salvage_archive(specimen.path, saved)
    assert report.recovered == 2
    assert contents_of(saved) == specimen.contents
    # What lies there already is not copied again, and what replaced the archive finds it too.
    assert salvage_archive(specimen.path, saved, overwrite=True).recovered == 2
    assert contents_of(saved) == specimen.contents


def test_objects_are_copied_where_links_are_not_possible(
    specimens: dict[str, Specimen], contents_of: ContentsOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    specimen = specimens["externals"]
    link = os.link

    def refuse_objects(source: Path, target: Path) -> None:
        if "_bigFiles" in str(source):
            raise OSError(18, "Invalid cross-device link")
        link(source, target)

    monkeypatch.setattr(os, "link", refuse_objects)
    salvage_archive(specimen.path, tmp_path / "saved.des")
    assert contents_of(tmp_path / "saved.des") == specimen.contents


def test_entries_without_their_object_are_left_out_and_named(
    specimens: dict[str, Specimen], contents_of: ContentsOf, tmp_path: Path
) -> None:
    specimen = specimens["externals"]
    shutil.copy(specimen.path, tmp_path / "a.des")
    saved = tmp_path / "saved.des"
    assert [problem.name for problem in salvage_archive(tmp_path / "a.des", saved).problems] == ["big"]
    (tmp_path / "_bigFiles").mkdir()
    (original,) = (specimen.path.parent / "_bigFiles").iterdir()
    (tmp_path / "_bigFiles" / original.name).write_bytes(b"another payload   ")
    report = salvage_archive(tmp_path / "a.des", saved, overwrite=True)
    assert [problem.name for problem in report.problems] == ["big"]
    assert contents_of(saved) == {"small": specimen.contents["small"]}


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"DESHEAD1" + bytes(90), b"DES2\x02" + bytes(90), b"\x89PNG" * 99, b"x", b"", bytes(9999)]
)
def test_what_is_no_version_3_archive_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(UnsupportedFormatError):
        salvage_archive(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_damaged_archive_itself_is_never_the_target(specimens: dict[str, Specimen], tmp_path: Path) -> None:
    path = tmp_path / "a.des"
    path.write_bytes(specimens["none"].data[:-1])
    (tmp_path / "link.des").symlink_to(path)
    for target in (path, tmp_path / "link.des"):
        with pytest.raises(InvalidInputError):
            salvage_archive(path, target, overwrite=True)
    assert path.read_bytes() == specimens["none"].data[:-1]


def test_an_existing_target_is_replaced_only_when_asked(specimens: dict[str, Specimen], tmp_path: Path) -> None:
    with DesWriter(tmp_path / "b.des") as writer:
        writer.add_file("mine", b"")
    with pytest.raises(ArchiveExistsError):
        salvage_archive(specimens["none"].path, tmp_path / "b.des")
    with DesReader(tmp_path / "b.des") as reader:
        assert reader.list_files() == ["mine"]


def test_progress_goes_up_to_the_size_of_the_source(tmp_path: Path) -> None:
    path = tmp_path / "a.des"
    with DesWriter(path, compression="none") as writer:
        for i in range(20):
            writer.add_file(str(i), bytes(2**20))
    calls: list[tuple[int, int]] = []
    salvage_archive(path, tmp_path / "b.des", progress=lambda done, total: calls.append((done, total)))
    size = path.stat().st_size
    assert {total for _done, total in calls} == {size}
    assert [done for done, _total in calls] == sorted({done for done, _total in calls})
    assert len(calls) > 2
    assert calls[-1] == (size, size)
