import asyncio
import io
import multiprocessing
import os
import random
import threading
from pathlib import Path
from typing import Any, Protocol

import pytest
from des_format import (
    AsyncDesReader,
    BigFileMissingError,
    ChecksumMismatchError,
    Compression,
    CorruptArchiveError,
    DesError,
    DesReader,
    DesWriter,
    EntryNotFoundError,
    EntryTooLargeError,
    InvalidInputError,
    InvalidNameError,
    UnsupportedFormatError,
    open_archive,
)


class MakeArchive(Protocol):
    def __call__(self, entries: Any, name: str = ..., **options: Any) -> Path: ...


def sample_entries() -> dict[str, tuple[bytes, dict[str, Any]]]:
    """Entries of every kind, for an archive with a big-file threshold of 20,000 bytes."""
    rng = random.Random(1)
    entries: dict[str, tuple[bytes, dict[str, Any]]] = {
        "big/one": (rng.randbytes(30_000), {"kind": "big"}),
        "big/two": (b"z" * 50_000, {}),
        "empty": (b"", {}),
        "jednak/zażółć.txt": ("gęślą jaźń ".encode() * 100, {"język": "pl"}),
    }
    for i in range(1000):
        payload = rng.randbytes(rng.randrange(300)) if i % 3 else b"text " * rng.randrange(200)
        entries[f"folder{i % 5}/{i:05d}.txt"] = (payload, {"i": i} if i % 4 == 0 else {})
    return entries


ENTRIES = sample_entries()
PAYLOADS = {name: payload for name, (payload, _meta) in ENTRIES.items()}
PROFILES: list[Any] = ["none", "speed", "balanced", Compression(dictionary="auto")]


@pytest.fixture(params=PROFILES, ids=["none", "speed", "balanced", "dictionary"])
def archive(make_archive: MakeArchive, request: pytest.FixtureRequest) -> Path:
    return make_archive(ENTRIES, compression=request.param, big_file_threshold=20_000)


@pytest.fixture(params=["mapped", "source"])
def reader(archive: Path, request: pytest.FixtureRequest, counting_source: Any) -> DesReader:
    """The fast path over a mapped file, and the general path over a range source."""
    if request.param == "mapped":
        return DesReader(archive)
    return DesReader(counting_source(archive.read_bytes(), archive.parent))


def test_every_entry_is_read_back_by_every_way(reader: DesReader) -> None:
    assert len(reader) == len(ENTRIES)
    assert reader.list_files() == sorted(ENTRIES, key=str.encode) == list(reader)
    assert reader.get_files_batch(ENTRIES) == PAYLOADS
    for name, (payload, meta) in ENTRIES.items():
        assert reader.get_file(name) == payload
        assert reader.get_meta(name) == meta
    scanned = {entry.name: payload for entry, payload in reader.scan()}
    assert list(scanned) == list(ENTRIES)
    assert {name for name, payload in scanned.items() if payload is None} == {"big/one", "big/two"}
    assert all(PAYLOADS[name] == payload for name, payload in scanned.items() if payload is not None)


def test_descriptions_agree_between_lookup_and_listing(reader: DesReader) -> None:
    for listed in reader.entries():
        found = reader.get_entry(listed.name)
        assert found[:8] == listed[:8]
        assert found.size == len(PAYLOADS[found.name])
        assert found.payload_offset == found.offset + found.length - (32 if found.is_external else found.stored_size)
        assert (found.sha256 is not None) == found.is_external


def test_a_batch_keeps_the_order_of_its_names_and_leaves_out_what_is_missing(reader: DesReader) -> None:
    names = ["empty", "nope", "folder1/00001.txt", "big/two", "empty", "folder0/00000.txt"]
    assert list(reader.get_files_batch(names)) == ["empty", "folder1/00001.txt", "big/two", "folder0/00000.txt"]
    assert list(reader.get_files_batch(iter(names))) == list(reader.get_files_batch(names))
    assert reader.get_files_batch([]) == {}
    assert reader.get_files_batch(["nope"]) == {}


def test_a_missing_entry_is_a_key_error_that_names_it(reader: DesReader) -> None:
    for call in (reader.get_file, reader.get_meta, reader.get_entry, reader.open):
        with pytest.raises(EntryNotFoundError, match=r"^no entry 'nope' in the archive$") as caught:
            call("nope")
        assert isinstance(caught.value, KeyError)
    assert "nope" not in reader
    assert "empty" in reader
    assert 7 not in reader


def test_names_that_cannot_exist_are_refused(reader: DesReader) -> None:
    with pytest.raises(InvalidNameError):
        reader.get_file("\ud800")
    with pytest.raises(InvalidNameError):
        reader.get_files_batch(["ok", "\ud800"])
    with pytest.raises(TypeError, match="must be str, found int"):
        reader.get_file(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be str, found bytes"):
        reader.get_files_batch([b"a"])  # type: ignore[list-item]
    for single in ("name", b"name"):
        with pytest.raises(TypeError, match="use get_file"):
            reader.get_files_batch(single)  # type: ignore[arg-type]


def test_ranges_inside_entries_are_what_slices_are(reader: DesReader) -> None:
    rng = random.Random(2)
    for name in ["big/one", "empty", "folder0/00000.txt", "folder1/00001.txt", "jednak/zażółć.txt"]:
        payload = PAYLOADS[name]
        for _ in range(10):
            start, end = sorted(rng.randrange(len(payload) + 20) for _ in range(2))
            assert reader.read_range(name, start, end) == payload[start:end]
    for start, end in ((-1, 5), (5, 4)):
        with pytest.raises(InvalidInputError, match="0 <= start <= end"):
            reader.read_range("empty", start, end)


def test_an_entry_opens_as_a_seekable_file(reader: DesReader) -> None:
    for name in ["big/one", "folder1/00001.txt", "jednak/zażółć.txt", "empty"]:
        payload = PAYLOADS[name]
        with reader.open(name) as file:
            assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)
            assert file.read() == payload
            assert file.seek(-min(10, len(payload)), io.SEEK_END) == max(0, len(payload) - 10)
            assert file.read(4) == payload[-10:][:4]
            file.seek(2)
            file.seek(1, io.SEEK_CUR)
            assert file.read(3) == payload[3:6]
            file.seek(len(payload) + 100)
            assert file.read(5) == b""
            with pytest.raises(ValueError, match=r"before the first byte|negative"):
                file.seek(-1)


def test_prefixes_list_exactly_their_entries(reader: DesReader) -> None:
    for prefix in ["", "folder", "folder3/", "folder3/009", "jednak/zaż", "nope", "empty", "emptyX", "\U0010ffff"]:
        expected = sorted((name for name in ENTRIES if name.startswith(prefix)), key=str.encode)
        assert reader.list_files(prefix) == expected


def test_statistics_add_up(reader: DesReader) -> None:
    stats = reader.get_stats()
    assert stats.total_files == len(ENTRIES)
    assert stats.external_size_bytes == 80_000
    assert stats.total_size_bytes == sum(map(len, PAYLOADS.values()))


def test_metadata_returned_is_the_callers_own(reader: DesReader) -> None:
    reader.get_meta("big/one")["kind"] = "changed"
    assert reader.get_meta("big/one") == {"kind": "big"}


async def test_the_asynchronous_reader_gives_the_same_answers(archive: Path, async_counting_source: Any) -> None:
    for source in (archive, str(archive), async_counting_source(archive.read_bytes(), archive.parent)):
        reader = await AsyncDesReader.open(source)
        names = list(ENTRIES)[:60]
        assert await reader.get_files_batch(names) == {name: PAYLOADS[name] for name in names}
        assert await reader.get_file("big/one") == PAYLOADS["big/one"]
        assert await reader.get_meta("big/one") == {"kind": "big"}
        assert (await reader.get_entry("empty")).size == 0
        assert await reader.read_range("big/two", 10, 20) == b"z" * 10
        assert (await reader.has_file("empty"), await reader.has_file("nope")) == (True, False)
        assert await reader.list_files("folder3/") == sorted(name for name in ENTRIES if name.startswith("folder3/"))
        assert [entry.name async for entry, _payload in reader.scan()] == list(ENTRIES)
        assert (reader.get_stats().total_files, len(reader)) == (len(ENTRIES), len(ENTRIES))
        with pytest.raises(EntryNotFoundError):
            await reader.get_file("nope")
        with pytest.raises(TypeError, match="use get_file"):
            await reader.get_files_batch("nope")
        gathered = await asyncio.gather(*(reader.get_file(name) for name in names))
        assert gathered == [PAYLOADS[name] for name in names]
        reader.close()


async def test_the_asynchronous_reader_verifies_without_blocking_the_loop(
    archive: Path, async_counting_source: Any
) -> None:
    for source in (archive, async_counting_source(archive.read_bytes(), archive.parent)):
        async with await AsyncDesReader.open(source) as reader:
            report, _ = await asyncio.gather(reader.verify(), asyncio.sleep(0))
            assert (report.ok, report.complete, report.entries_checked) == (True, True, len(ENTRIES))
            assert not (await reader.verify(sample=0.01)).complete


async def test_the_asynchronous_reader_reports_damage(archive: Path, async_counting_source: Any) -> None:
    data = bytearray(archive.read_bytes())
    data[40] ^= 1
    reader = await AsyncDesReader.open(async_counting_source(bytes(data), archive.parent))
    assert not (await reader.verify()).ok


async def test_a_file_that_is_no_archive_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no archive")
    with pytest.raises(UnsupportedFormatError):
        await AsyncDesReader.open(tmp_path / "x")


def test_threads_share_a_reader(archive: Path) -> None:
    reader = DesReader(archive)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            rng = random.Random(seed)
            for name in rng.sample(list(ENTRIES), 400):
                assert reader.get_file(name) == PAYLOADS[name]
            batch = rng.sample(list(ENTRIES), 100)
            assert reader.get_files_batch(batch) == {name: PAYLOADS[name] for name in batch}
            assert len(reader.list_files("folder2/")) == 200
        except BaseException as error:  # The thread must report, whatever it was.
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def read_in_child(reader: DesReader, names: list[str], queue: Any) -> None:
    queue.put([reader.get_file(name) for name in names])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that can fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_goes_on_using_the_reader(archive: Path) -> None:
    reader = DesReader(archive)
    names = list(ENTRIES)[:50]
    reader.get_files_batch(names)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=read_in_child, args=(reader, names, queue))
    child.start()
    assert queue.get(timeout=30) == [PAYLOADS[name] for name in names]
    child.join()


def test_a_reader_keeps_its_archive_when_the_file_is_replaced(make_archive: MakeArchive) -> None:
    path = make_archive({"a": b"old"})
    reader = DesReader(path)
    make_archive({"a": b"new", "b": b"more"}, overwrite=True)
    assert (reader.get_file("a"), len(reader)) == (b"old", 1)
    assert DesReader(path).get_file("a") == b"new"


def test_a_closed_reader_reads_nothing(make_archive: MakeArchive) -> None:
    with DesReader(make_archive({"a": b"1"})) as reader:
        assert reader.get_file("a") == b"1"
    with pytest.raises(ValueError, match="closed"):
        reader.get_file("a")
    reader.close()


def test_open_archive_takes_paths_bytes_and_sources(make_archive: MakeArchive, counting_source: Any) -> None:
    path = make_archive({"a": b"1"})
    data = path.read_bytes()
    for source in (path, str(path), data, counting_source(data)):
        with open_archive(source) as reader:
            assert reader.get_file("a") == b"1"
            assert reader.format_name == "DES version 3"
            assert "1 entries" in repr(reader)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", UnsupportedFormatError, "is empty: not an archive"),
        (b"PK\x03\x04 this is another kind of file", UnsupportedFormatError, "no known archive format: 33 bytes"),
        (b"x", UnsupportedFormatError, "no known archive format"),
        (b"DESHEAD3" + bytes(300), CorruptArchiveError, "truncated or damaged; try `des salvage`"),
        (b"DESHEAD3", CorruptArchiveError, "too short"),
    ],
)
def test_what_is_no_archive_is_refused_with_its_name(
    tmp_path: Path, content: bytes, error: type[DesError], message: str
) -> None:
    path = tmp_path / "strange.bin"
    path.write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        DesReader(path)
    assert "strange.bin" in str(caught.value)


def test_a_missing_file_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DesReader(tmp_path / "none.des")


def test_a_missing_or_changed_big_file_is_an_error_for_its_entry_alone(make_archive: MakeArchive) -> None:
    path = make_archive({"a": b"a" * 30, "b": b"b" * 30, "c": b"small"}, big_file_threshold=20, compression="none")
    reader = DesReader(path)
    objects = {name: path.parent / "_bigFiles" / (reader.get_entry(name).sha256 or "") for name in "ab"}
    objects["a"].unlink()
    with pytest.raises(BigFileMissingError, match="is missing"):
        reader.get_file("a")
    objects["b"].write_bytes(b"X" * 30)
    with pytest.raises(ChecksumMismatchError, match="of entry 'b'"):
        reader.get_file("b")
    objects["b"].write_bytes(b"b" * 29)
    with pytest.raises(CorruptArchiveError, match="found 29 bytes, expected 30"):
        reader.get_file("b")
    assert reader.get_file("c") == b"small"
    with pytest.raises(BigFileMissingError, match="only in memory"):
        DesReader(path.read_bytes()).get_file("a")


@pytest.mark.parametrize("options", [{"compression": "balanced"}, {"compression": "speed"}, {"big_file_threshold": 10}])
def test_payloads_over_the_readers_ceiling_are_refused(make_archive: MakeArchive, options: dict[str, Any]) -> None:
    path = make_archive({"a": b"a" * 2000, "b": b"b"}, **options)
    reader = DesReader(path, max_entry_bytes=1999)
    with pytest.raises(EntryTooLargeError, match="'a' has 2000 bytes; this reader expands at most 1999"):
        reader.get_file("a")
    assert reader.get_file("b") == b"b"


def damaged(path: Path, needle: bytes, replacement: bytes) -> bytes:
    data = path.read_bytes()
    assert data.count(needle) == 1
    return data.replace(needle, replacement)


@pytest.mark.parametrize("way", ["bytes", "source"])
def test_a_damaged_payload_is_never_returned_unless_verification_is_off(
    make_archive: MakeArchive, counting_source: Any, way: str
) -> None:
    data = damaged(
        make_archive({"a": b"payload-one", "b": b"other"}, compression="none"), b"payload-one", b"payload-0ne"
    )
    source = data if way == "bytes" else counting_source(data)
    reader = DesReader(source)
    for call in (lambda: reader.get_file("a"), lambda: reader.get_files_batch(["b", "a"]), lambda: list(reader.scan())):
        with pytest.raises(ChecksumMismatchError, match="payload of entry 'a'"):
            call()
    assert reader.get_file("b") == b"other"
    trusting = DesReader(source, verify=False)
    assert trusting.get_file("a") == b"payload-0ne"
    assert trusting.get_files_batch(["a", "b"]) == {"a": b"payload-0ne", "b": b"other"}
    assert [payload for _entry, payload in trusting.scan()] == [b"payload-0ne", b"other"]


def outcome(reader: DesReader) -> Any:
    try:
        return reader.read_entry("name")
    except DesError as error:
        return type(error)


def test_a_mapped_entry_and_one_over_a_source_are_told_alike_whichever_byte_is_damaged(
    make_archive: MakeArchive, counting_source: Any
) -> None:
    sound = make_archive({"name": (b"0123456789", {"a": 1})}, compression="none").read_bytes()
    entry = DesReader(sound).get_entry("name")
    for at in range(entry.offset, entry.offset + entry.length):
        data = sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :]
        with DesReader(data) as local, DesReader(counting_source(data)) as general:
            assert outcome(local) == outcome(general), at


def test_an_archive_inside_an_archive_stays_one_entry(make_archive: MakeArchive) -> None:
    inner = make_archive({"x": b"inner"}, "inner.des", compression="none").read_bytes()
    with DesReader(make_archive({"a": b"1", "inner.des": inner, "z": b"2"}, compression="none")) as reader:
        assert [entry.name for entry, _payload in reader.scan()] == ["a", "inner.des", "z"]
        assert DesReader(reader.get_file("inner.des")).get_file("x") == b"inner"


def test_many_entries_stay_found_after_overflow_of_index_blocks(tmp_path: Path) -> None:
    names = [f"{i:06d}" for i in range(20_000)]
    with DesWriter(tmp_path / "a.des", compression="none") as writer:
        for name in names:
            writer.add_file(name, name.encode())
    reader = DesReader(tmp_path / "a.des")
    assert all(reader.get_file(name) == name.encode() for name in names)
    assert all(f"x{name}" not in reader for name in names[:50])
    assert list(reader.get_files_batch(names)) == names
