"""Append: one at a time, invisible until it is complete, undone when it fails, refused where it could do harm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from des_format import (
    AppendInProgressError,
    AsyncDesReader,
    ConflictError,
    CorruptArchiveError,
    DesError,
    DesReader,
    DesWriter,
    DuplicateEntryError,
    UnsupportedFormatError,
)
from des_format.layout import FOOTER_SIZE

if TYPE_CHECKING:
    from .conftest import Contents, Forgery, Specimen

ContentsOf = Callable[[Path], "Contents"]
LEGACY = Path(__file__).parents[1] / "vectors" / "legacy"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.des"
    with DesWriter(path, compression="none") as writer:
        writer.add_file("old", b"payload", {"n": 1})
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- one at a time --------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="no flock: the caller keeps appenders apart")
def test_a_second_appender_is_refused_until_the_first_is_done(path: Path, contents_of: ContentsOf) -> None:
    first = DesWriter.append(path)
    first.add_file("first", b"1")
    before = path.read_bytes()
    with pytest.raises(AppendInProgressError) as caught:
        DesWriter.append(path)
    assert caught.value.retryable
    assert path.read_bytes() == before
    first.close()
    with DesWriter.append(path) as second:
        second.add_file("second", b"2")
    assert list(contents_of(path)) == ["first", "old", "second"]


APPEND_OFTEN = """
import sys
from des_format import AppendInProgressError, DesWriter
path, label, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
done = 0
while done < wanted:
    try:
        writer = DesWriter.append(path, compression="none")
    except AppendInProgressError:
        continue
    with writer:
        writer.add_file(f"{label}/{done}", label.encode() * 100_000)
    done += 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no flock: the caller keeps appenders apart")
def test_appenders_in_other_processes_lose_nothing_and_readers_never_see_half(
    path: Path, contents_of: ContentsOf
) -> None:
    appenders = [
        subprocess.Popen([sys.executable, "-c", APPEND_OFTEN, str(path), label, "20"], stderr=subprocess.PIPE)
        for label in "xy"
    ]
    seen = 1
    while any(appender.poll() is None for appender in appenders):
        with DesReader(path) as reader:
            names = reader.list_files()
            assert len(names) == len(reader) >= seen
            seen = len(names)
            assert all(payload == name[:1].encode() * 100_000 for name, payload in read_new(reader, names))
    for appender in appenders:
        assert appender.communicate()[1] == b""
    assert len(contents_of(path)) == 41
    with DesReader(path) as reader:
        assert reader.verify().ok
    assert files(path.parent) == ["a.des"]


def read_new(reader: DesReader, names: list[str]) -> list[tuple[str, bytes]]:
    return list(reader.get_files_batch([name for name in names if name != "old"][-3:]).items())


# -- invisible until complete ---------------------------------------------------------------------


async def test_readers_see_the_old_archive_while_an_append_runs(path: Path, contents_of: ContentsOf) -> None:
    with DesReader(path) as opened_before:
        writer = DesWriter.append(path, compression="none")
        for i in range(3):
            writer.add_file(f"new/{i}", os.urandom(2**20))
            assert path.stat().st_size > 2**20 * i
            assert contents_of(path) == {"old": (b"payload", {"n": 1})}
            reader = await AsyncDesReader.open(path)
            assert await reader.list_files() == ["old"]
        writer.close()
        assert opened_before.list_files() == ["old"]
        assert opened_before.get_file("old") == b"payload"
        assert opened_before.verify().ok
    assert list(contents_of(path)) == ["new/0", "new/1", "new/2", "old"]


def test_a_reader_survives_the_rollback_of_an_append(path: Path) -> None:
    writer = DesWriter.append(path, compression="none")
    writer.add_file("new", bytes(3 * 2**20))
    with DesReader(path) as reader:
        writer.abort()
        assert reader.get_file("old") == b"payload"
        assert reader.verify().ok


# -- undone when it fails -------------------------------------------------------------------------


def test_an_append_that_fails_leaves_the_archive_as_it_was(path: Path) -> None:
    before = path.read_bytes()

    def fail() -> None:
        with DesWriter.append(path, compression="none") as writer:
            writer.add_file("new", bytes(3 * 2**20))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == before
    assert files(path.parent) == ["a.des"]
    with DesWriter.append(path) as writer:
        writer.add_file("new", b"1")
    with DesReader(path) as reader:
        assert reader.list_files() == ["new", "old"]


def test_a_name_that_exists_is_refused_and_the_append_goes_on(path: Path, contents_of: ContentsOf) -> None:
    with DesWriter.append(path) as writer:
        with pytest.raises(DuplicateEntryError):
            writer.add_file("old", b"again")
        writer.add_file("new", b"1")
    assert contents_of(path) == {"new": (b"1", {}), "old": (b"payload", {"n": 1})}


def test_an_append_of_nothing_adds_nothing(path: Path, contents_of: ContentsOf) -> None:
    DesWriter.append(path).close()
    assert contents_of(path) == {"old": (b"payload", {"n": 1})}
    with DesReader(path) as reader:
        assert reader.verify().ok


# -- the journal ----------------------------------------------------------------------------------


def test_an_interrupted_append_is_cut_off_by_the_next(specimens: dict[str, Specimen], tmp_path: Path) -> None:
    specimen = specimens["appended"]
    before = specimen.footers[1].archive_size
    path, journal = tmp_path / "a.des", tmp_path / "a.des.append"
    for size in (before, before + 1, before + 50, len(specimen.data) - 1, len(specimen.data)):
        path.write_bytes(specimen.data[:size])
        journal.write_bytes(specimen.data[before - FOOTER_SIZE : before])
        with DesReader(path) as reader:
            assert reader.list_files() == ["mid", "old/1"]
            assert reader.verify().ok
        with DesWriter.append(path) as writer:
            writer.add_file("later", b"1")
        with DesReader(path) as reader:
            assert reader.list_files() == ["later", "mid", "old/1"]
            assert reader.verify().ok
        assert files(tmp_path) == ["a.des"]


def test_the_journal_of_an_archive_that_was_replaced_means_nothing(
    specimens: dict[str, Specimen], tmp_path: Path, contents_of: ContentsOf
) -> None:
    """Neither for readers nor for the next append, whatever the journal holds."""
    old, new = specimens["appended"], specimens["metadata"]
    path, journal = tmp_path / "a.des", tmp_path / "a.des.append"
    for content in (old.data[-FOOTER_SIZE:], b"", b"rubbish", os.urandom(FOOTER_SIZE), new.data[-FOOTER_SIZE:] + b"x"):
        shutil.copy(new.path, path)
        journal.write_bytes(content)
        assert contents_of(path) == new.contents
        with DesWriter.append(path) as writer:
            writer.add_file("later", b"1")
        assert contents_of(path) == new.contents | {"later": (b"1", {})}
        assert files(tmp_path) == ["a.des"]


def test_a_journal_without_an_archive_is_no_archive(specimens: dict[str, Specimen], tmp_path: Path) -> None:
    (tmp_path / "a.des.append").write_bytes(specimens["none"].data[-FOOTER_SIZE:])
    for use in (DesReader, DesWriter.append):
        with pytest.raises(FileNotFoundError):
            use(tmp_path / "a.des")


# -- refused --------------------------------------------------------------------------------------


def legacy_archive() -> bytes:
    return next(LEGACY.glob("des_core/*.des")).read_bytes()


@pytest.mark.parametrize(
    "data", [b"DESHEAD1" + bytes(200), b"rubbish" * 99, b"DESHEAD3", b"x", legacy_archive()], ids=len
)
def test_what_is_no_version_3_archive_is_not_appended_to(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.des"
    path.write_bytes(data)
    with pytest.raises(DesError):
        DesWriter.append(path)
    assert path.read_bytes() == data
    assert files(tmp_path) == ["a.des"]


def test_an_empty_file_is_not_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "a.des"
    path.touch()
    with pytest.raises(UnsupportedFormatError):
        DesWriter.append(path)


def test_a_damaged_archive_is_not_appended_to(specimens: dict[str, Specimen], tmp_path: Path) -> None:
    specimen = specimens["dictionary"]
    path = tmp_path / "a.des"
    footer = specimen.footer
    places = (
        3,
        20,
        footer.dictionary_start + 99,
        footer.meta_start + 3,
        footer.directory_start,
        len(specimen.data) - 9,
    )
    for position in places:
        damaged = bytearray(specimen.data)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises((CorruptArchiveError, UnsupportedFormatError)):
            DesWriter.append(path)
        assert path.read_bytes() == damaged
        assert files(tmp_path) == ["a.des"]
        # The lock was given back: the next one may try.
        path.write_bytes(specimen.data)
        DesWriter.append(path).abort()


def test_a_dictionary_that_is_none_leaves_no_lock_behind(forgery: Forgery, tmp_path: Path) -> None:
    broken = b"\x37\xa4\x30\xec" + (77).to_bytes(4, "little") + b"no tables" * 20
    forgery.add(b"dictionary", broken, kind=2, dictionary=77)
    forgery.add(b"a", b"payload")
    path = tmp_path / "a.des"
    path.write_bytes(forgery.seal())
    for _ in range(2):
        with pytest.raises(CorruptArchiveError):
            DesWriter.append(path)
    assert files(tmp_path) == ["a.des"]


def test_a_listing_that_lies_is_not_appended_to(forgery: Forgery, tmp_path: Path) -> None:
    a, b = forgery.add(b"a", b"payload"), forgery.add(b"b", b"payload")
    path = tmp_path / "a.des"
    for rows in ([a], [a, a], [a, b, b], []):
        path.write_bytes(forgery.seal(rows=rows))
        with pytest.raises(CorruptArchiveError):
            DesWriter.append(path)
        assert path.read_bytes() == forgery.seal(rows=rows)


@pytest.mark.parametrize("replace", [True, False])
def test_an_archive_that_was_replaced_or_removed_is_left_alone(
    path: Path, specimens: dict[str, Specimen], replace: bool
) -> None:
    writer = begin_append(path)
    path.unlink()
    if replace:
        shutil.copy(specimens["none"].path, path)
    with pytest.raises(ConflictError):
        writer.close()
    assert path.exists() == replace
    if replace:
        assert path.read_bytes() == specimens["none"].data
        with DesWriter.append(path) as again:
            again.add_file("new", b"1")
        assert files(path.parent) == ["a.des"]


def test_an_append_to_what_took_the_place_of_an_archive_is_left_alone(
    path: Path, specimens: dict[str, Specimen], contents_of: ContentsOf
) -> None:
    first = begin_append(path)
    shutil.copy(specimens["none"].path, path.with_name("b.des"))
    path.with_name("b.des").replace(path)
    second = begin_append(path)
    first.abort()
    assert contents_of(path) == specimens["none"].contents
    second.close()
    assert contents_of(path) == specimens["none"].contents | {"new": (bytes(3 * 2**20), {})}


@pytest.mark.skipif(sys.platform == "win32", reason="no flock: the caller keeps appenders apart")
def test_an_archive_that_is_replaced_while_it_is_locked_is_not_appended_to(
    path: Path, specimens: dict[str, Specimen], monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    flock = fcntl.flock

    def replace_first(*arguments: int) -> None:
        shutil.copy(specimens["none"].path, path.with_name("b.des"))
        path.with_name("b.des").replace(path)
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", replace_first)
    with pytest.raises(ConflictError):
        DesWriter.append(path)
    assert path.read_bytes() == specimens["none"].data


# -- between looking for a journal and mapping the file -------------------------------------------


@pytest.fixture
def at_next_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Do something at the moment when a reader opens the archive, after it has looked for a journal."""

    def arrange(act: Callable[[], object]) -> None:
        pending = [act]
        original = os.open

        def act_first(target: str | Path, flags: int, *rest: int) -> int:
            if pending and Path(target) == path:
                pending.pop()()
            return original(target, flags, *rest)

        monkeypatch.setattr(os, "open", act_first)

    return arrange


def begin_append(path: Path) -> DesWriter:
    writer = DesWriter.append(path, compression="none")
    writer.add_file("new", bytes(3 * 2**20))
    return writer


def test_an_append_that_begins_just_then_is_not_seen(path: Path, at_next_open: Any) -> None:
    writers: list[DesWriter] = []
    at_next_open(lambda: writers.append(begin_append(path)))
    with DesReader(path) as reader:
        assert reader.list_files() == ["old"]
    writers[0].close()
    with DesReader(path) as reader:
        assert reader.list_files() == ["new", "old"]


async def test_an_append_that_begins_just_then_is_not_seen_by_an_asynchronous_reader(
    path: Path, at_next_open: Any
) -> None:
    at_next_open(lambda: begin_append(path))
    reader = await AsyncDesReader.open(path)
    assert await reader.list_files() == ["old"]


@pytest.mark.parametrize("end", [DesWriter.close, DesWriter.abort])
def test_an_append_that_ends_just_then_is_seen_as_a_whole_or_not_at_all(
    path: Path, at_next_open: Any, end: Callable[[DesWriter], None]
) -> None:
    writer = begin_append(path)
    at_next_open(lambda: end(writer))
    with DesReader(path) as reader:
        assert reader.list_files() in ([["old"], ["new", "old"]] if end is DesWriter.close else [["old"]])
        assert reader.verify().ok


def test_an_archive_that_is_replaced_just_then_is_the_old_or_the_new_one(
    path: Path, at_next_open: Any, specimens: dict[str, Specimen]
) -> None:
    """Replaced by a smaller one, while a journal told how much of the old one to map."""
    begin_append(path)
    shutil.copy(specimens["empty"].path, path.with_name("b.des"))
    at_next_open(lambda: path.with_name("b.des").replace(path))
    with DesReader(path) as reader:
        assert reader.list_files() == []


def test_readers_opened_by_the_hundred_during_appends_find_whole_archives(path: Path) -> None:
    code = APPEND_OFTEN.replace("* 100_000", "")
    appender = subprocess.Popen([sys.executable, "-c", code, str(path), "z", "150"], stderr=subprocess.PIPE)
    opened = 0
    while appender.poll() is None:
        with DesReader(path) as reader:
            assert reader.get_file("old") == b"payload"
        opened += 1
    assert appender.communicate()[1] == b""
    assert opened > 50
