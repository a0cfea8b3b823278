"""Cut small archives of every kind at every length: opening is refused, and a salvage gets every complete entry."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from des_format import DesError, DesReader, UnsupportedFormatError
from des_format.salvage import salvage_archive

if TYPE_CHECKING:
    from .conftest import Contents, RemoteSource, Specimen

ContentsOf = Callable[[Path], "Contents"]


def test_every_truncated_archive_is_refused(specimen: Specimen, remote_source: type[RemoteSource]) -> None:
    # Cut where an append began, the file is the archive of before, byte for byte.
    complete = {footer.archive_size for footer in specimen.footers}
    for size in range(len(specimen.data)):
        data = specimen.data[:size]
        for source in (data, remote_source(data)):
            if size in complete:
                assert DesReader(source).verify().ok
                continue
            with pytest.raises(DesError):
                DesReader(source)


def test_opening_a_truncated_file_is_refused(specimens: dict[str, Specimen], tmp_path: Path) -> None:
    path = tmp_path / "cut.des"
    path.write_bytes(specimens["none"].data)
    while size := path.stat().st_size:
        size = max(0, size - 61)
        os.truncate(path, size)
        with pytest.raises(DesError):
            DesReader(path)


def interesting_lengths(specimen: Specimen) -> Iterator[int]:
    """Every length but those inside of an index block, of which there are some."""
    regions = specimen.index_regions()
    stride = 311 if specimen.kind == "overflowing" else 1
    for size in range(8, len(specimen.data) + 1):
        inside = any(size in region for region in regions)
        if size % (521 if inside else stride) == 0:
            yield size


@pytest.mark.parametrize("kind", ["appended", "dictionary", "externals", "metadata", "empty", "overflowing"])
def test_salvage_recovers_exactly_the_complete_entries(
    specimens: dict[str, Specimen], kind: str, contents_of: ContentsOf, tmp_path: Path
) -> None:
    specimen = specimens[kind]
    entries = specimen.entries()
    # In the folder of the archive, so that nothing has to be done for objects beside it.
    cut, saved = specimen.path.with_name("cut.des"), specimen.path.with_name("saved.des")
    for size in interesting_lengths(specimen):
        cut.write_bytes(specimen.data[:size])
        report = salvage_archive(cut, saved, overwrite=True)
        expected = {
            entry.name: specimen.contents[entry.name] for entry in entries if entry.offset + entry.length <= size
        }
        assert contents_of(saved) == expected
        assert report.recovered == len(expected)
        assert report.recovered_bytes == sum(len(payload) for payload, _meta in expected.values())
        check_cut_entry(report.problems, entries, size)


def check_cut_entry(problems: Any, entries: list[Any], size: int) -> None:
    """An entry that is cut off is named once its name and metadata are there."""
    cut = [entry.name for entry in entries if entry.payload_offset <= size < entry.offset + entry.length]
    assert [problem.name for problem in problems if problem.where.startswith("entry")] == cut


def test_salvage_of_less_than_a_magic_is_refused(specimens: dict[str, Specimen], tmp_path: Path) -> None:
    cut = tmp_path / "cut.des"
    for size in range(8):
        cut.write_bytes(specimens["none"].data[:size])
        with pytest.raises(UnsupportedFormatError):
            salvage_archive(cut, tmp_path / "saved.des")
        assert [path.name for path in tmp_path.iterdir()] == ["cut.des"]
