import contextlib
import io
import os
import threading
from pathlib import Path
from typing import Any, Protocol

import pytest
from des_format import (
    ArchiveExistsError,
    Codec,
    Compression,
    DesReader,
    DesWriter,
    DuplicateEntryError,
    EntryTooLargeError,
    InvalidInputError,
    InvalidNameError,
    WriterClosedError,
)
from des_format.append import open_for_append
from des_format.targets import StreamTarget


class MakeArchive(Protocol):
    def __call__(self, entries: Any, name: str = ..., **options: Any) -> Path: ...


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_published_quick_start_works_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pdf_bytes = b"%PDF-1.7 ..."
    with DesWriter("2025-11-25.des") as writer:
        writer.add_file("report.pdf", pdf_bytes, meta={"mime": "application/pdf"})
        writer.add_file("log.txt", b"hello world", meta={"mime": "text/plain"})
    reader = DesReader("2025-11-25.des")
    assert reader.list_files() == ["log.txt", "report.pdf"]
    assert reader.get_meta("report.pdf")["mime"] == "application/pdf"
    assert reader.get_file("report.pdf") == pdf_bytes
    assert reader.get_files_batch(["report.pdf", "missing", "log.txt"]) == {
        "report.pdf": pdf_bytes,
        "log.txt": b"hello world",
    }


def test_the_archive_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "a.des"
    with DesWriter(target) as writer:
        writer.add_file("a", b"1")
        assert not target.exists()
    assert files_in(tmp_path) == ["new/folder/a.des"]


def test_leaving_by_an_exception_leaves_nothing(tmp_path: Path) -> None:
    writer = DesWriter(tmp_path / "a.des")
    with contextlib.suppress(ZeroDivisionError), writer:
        writer.add_file("a", b"x" * 2_000_000)
        raise ZeroDivisionError
    assert files_in(tmp_path) == []
    with pytest.raises(WriterClosedError, match="aborted"):
        writer.add_file("b", b"")
    with pytest.raises(WriterClosedError, match="aborted"):
        writer.close()


def test_a_writer_aborted_inside_its_block_leaves_nothing_and_no_error(tmp_path: Path) -> None:
    with DesWriter(tmp_path / "a.des") as writer:
        writer.add_file("a", b"1")
        writer.abort()
    assert files_in(tmp_path) == []


def test_an_existing_target_is_an_error_unless_replacing_is_asked_for(tmp_path: Path) -> None:
    target = tmp_path / "a.des"
    with DesWriter(target) as writer:
        writer.add_file("old", b"1")
    with pytest.raises(ArchiveExistsError) as caught:
        DesWriter(target)
    assert isinstance(caught.value, FileExistsError)
    with DesWriter(target, overwrite=True) as writer:
        writer.add_file("new", b"2")
        assert DesReader(target).list_files() == ["old"]
    assert DesReader(target).list_files() == ["new"]


def test_a_target_made_by_someone_else_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.des"
    writer = DesWriter(target)
    writer.add_file("a", b"1")
    target.write_bytes(b"theirs")
    with pytest.raises(ArchiveExistsError):
        writer.close()
    assert target.read_bytes() == b"theirs"
    assert files_in(tmp_path) == ["a.des"]


def test_closing_twice_is_harmless_and_adding_afterwards_an_error(tmp_path: Path) -> None:
    writer = DesWriter(tmp_path / "a.des")
    writer.close()
    writer.close()
    writer.abort()
    with pytest.raises(WriterClosedError, match="writer is closed") as caught:
        writer.add_file("a", b"")
    assert isinstance(caught.value, RuntimeError)
    assert len(DesReader(tmp_path / "a.des")) == 0


def test_a_refused_entry_leaves_no_trace_and_the_writer_usable(tmp_path: Path) -> None:
    with DesWriter(tmp_path / "a.des", compression="none") as writer:
        writer.add_file("a", b"first")
        with pytest.raises(DuplicateEntryError, match="already holds an entry 'a'"):
            writer.add_file("a", b"second")
        with pytest.raises(InvalidNameError):
            writer.add_file("", b"x")
        with pytest.raises(InvalidInputError, match="metadata"):
            writer.add_file("b", b"x", meta={"a": object()})
        with pytest.raises(TypeError, match="bytes-like, found str"):
            writer.add_file("c", "text")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="must yield bytes, found str"):
            writer.add_stream("d", io.StringIO("text"))  # type: ignore[arg-type]
        assert ("a" in writer, "b" in writer, 7 in writer, len(writer)) == (True, False, False, 1)
    with DesWriter(tmp_path / "b.des", compression="none") as writer:
        writer.add_file("a", b"first")
    assert (tmp_path / "a.des").read_bytes() == (tmp_path / "b.des").read_bytes()


def test_the_callers_metadata_and_buffers_are_left_alone(tmp_path: Path) -> None:
    meta = {"size": 1, "nested": {"a": [1]}}
    buffer = bytearray(b"before")
    with DesWriter(tmp_path / "a.des") as writer:
        writer.add_file("a", buffer, meta=meta)
        buffer[:] = b"after!"
        writer.add_file("b", memoryview(b"view"))
    assert meta == {"size": 1, "nested": {"a": [1]}}
    reader = DesReader(tmp_path / "a.des")
    assert (reader.get_file("a"), reader.get_file("b")) == (b"before", b"view")


@pytest.mark.parametrize("compression", ["none", "speed", "balanced", "aggressive", Compression(dictionary="auto")])
def test_equal_entries_order_and_options_give_equal_files(tmp_path: Path, compression: Any) -> None:
    def build(path: Path) -> bytes:
        with DesWriter(path, compression=compression) as writer:
            for i in range(3000):
                writer.add_file(f"{i % 7}/{i}.json", f'{{"number":{i},"text":"some text"}}'.encode(), {"i": i})
        return path.read_bytes()

    assert build(tmp_path / "a.des") == build(tmp_path / "b.des")


def test_equal_content_has_an_equal_digest_and_other_content_another(tmp_path: Path) -> None:
    def digest(name: str, payload: bytes) -> bytes:
        with DesWriter(tmp_path / name, compression="none") as writer:
            writer.add_file("a", payload)
        assert writer.footer is not None
        return writer.footer.content_digest

    assert digest("1", b"same") == digest("2", b"same") != digest("3", b"diff")


def test_any_append_only_stream_can_be_the_target() -> None:
    class Stubborn(io.RawIOBase):
        """Takes at most 1,000 bytes a call, and cannot seek or tell."""

        def __init__(self) -> None:
            self.taken = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.taken += bytes(data)[:1000]
            return min(len(data), 1000)

    buffered, raw = io.BytesIO(), Stubborn()
    for stream in (buffered, raw):
        with DesWriter(stream) as writer:
            writer.add_file("a", b"x" * 5000)
            with pytest.raises(InvalidInputError, match="no place for big files"):
                writer.add_file("b", b"y", force_external=True)
    assert buffered.getvalue() == bytes(raw.taken)
    assert DesReader(buffered.getvalue()).get_file("a") == b"x" * 5000


def test_without_a_place_for_big_files_everything_is_stored_inside() -> None:
    stream = io.BytesIO()
    with DesWriter(stream, big_file_threshold=10, compression="none") as writer:
        writer.add_file("a", b"x" * 5000)
        writer.add_stream("b", io.BytesIO(b"y" * 3_000_000))
    reader = DesReader(stream.getvalue())
    assert (reader.get_stats().external_files, len(reader.get_file("b"))) == (0, 3_000_000)


def test_a_failed_write_ends_the_writer_and_nothing_is_sealed() -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            if self.tell() > 1_000_000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    stream = Full()
    writer = DesWriter(stream, compression="none")
    writer.add_file("a", b"x" * 1_100_000)
    with pytest.raises(OSError, match="No space left"):
        writer.add_file("b", b"y" * 1_100_000)
    with pytest.raises(WriterClosedError, match="adding entry 'b' failed"):
        writer.add_file("c", b"")
    with pytest.raises(WriterClosedError, match="cannot be sealed"):
        writer.close()
    assert b"DESFOOT3" not in stream.getvalue()


def test_payloads_over_the_threshold_lie_beside_the_archive_under_their_hash(tmp_path: Path) -> None:
    target = tmp_path / "a.des"
    with DesWriter(target, big_file_threshold=100, compression="none") as writer:
        writer.add_file("at", b"a" * 100)
        writer.add_file("over", b"b" * 101, {"k": 1})
        writer.add_file("again", b"b" * 101)
        writer.add_file("forced", b"tiny", force_external=True)
        writer.add_stream("stream", io.BytesIO(b"c" * 5_000_000))
        writer.add_stream("short", io.BytesIO(b"d" * 100))
    reader = DesReader(target)
    external = {entry.name for entry in reader.entries() if entry.is_external}
    assert external == {"over", "again", "forced", "stream"}
    assert len(files_in(tmp_path)) == 1 + 3
    assert reader.get_file("stream") == b"c" * 5_000_000
    assert reader.get_files_batch(["over", "at"]) == {"over": b"b" * 101, "at": b"a" * 100}
    assert reader.get_entry("over").sha256 in {path.name for path in (tmp_path / "_bigFiles").iterdir()}
    stats = reader.get_stats()
    assert (stats.total_files, stats.internal_files, stats.external_files) == (6, 2, 4)
    assert (stats.internal_size_bytes, stats.external_size_bytes) == (200, 202 + 4 + 5_000_000)
    assert stats.total_size_bytes == 200 + 202 + 4 + 5_000_000
    assert stats.compression_ratio == 1.0


def test_a_big_file_of_the_wrong_size_is_never_overwritten(tmp_path: Path) -> None:
    with DesWriter(tmp_path / "a.des", big_file_threshold=10) as writer:
        writer.add_file("x", b"b" * 11)
    (victim,) = (tmp_path / "_bigFiles").iterdir()
    victim.write_bytes(b"short")
    with DesWriter(tmp_path / "b.des", big_file_threshold=10) as writer:
        with pytest.raises(ValueError, match="nothing was written over it"):
            writer.add_file("x", b"b" * 11)
        writer.add_file("y", b"1")
    assert victim.read_bytes() == b"short"
    assert DesReader(tmp_path / "b.des").list_files() == ["y"]


def test_entries_over_the_limit_are_refused_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("des_format.writer.MAX_ENTRY_BYTES", 1000)  # 4 GiB would not fit into the test machine.
    stream = io.BytesIO()
    with DesWriter(stream, compression="none") as writer:
        writer.add_file("a", b"x" * (1000 - 36 - 1))
        with pytest.raises(EntryTooLargeError, match="takes 1001 bytes; at most 1000"):
            writer.add_file("b", b"x" * (1000 - 36))
        with pytest.raises(EntryTooLargeError, match="at most 1000"):
            writer.add_stream("b", io.BytesIO(b"x" * 5000))
    assert DesReader(stream.getvalue()).list_files() == ["a"]


@pytest.mark.parametrize("compression", ["balanced", "speed"])
def test_only_payloads_that_shrink_are_stored_compressed(tmp_path: Path, compression: Any) -> None:
    with DesWriter(tmp_path / "a.des", compression=compression) as writer:
        writer.add_file("text.txt", b"words " * 1000)
        writer.add_file("noise.bin", os.urandom(6000))
        writer.add_file("words.jpg", b"words " * 1000)
        writer.add_file("empty", b"")
        writer.add_file("tiny", b"ab")
    reader = DesReader(tmp_path / "a.des")
    codecs = {entry.name: entry.codec for entry in reader.entries()}
    assert codecs.pop("text.txt") is (Codec.ZSTD if compression == "balanced" else Codec.LZ4)
    assert set(codecs.values()) == {Codec.NONE}
    assert reader.get_file("text.txt") == b"words " * 1000
    assert reader.get_stats().compression_ratio < 0.7


def test_a_given_dictionary_is_stored_once_and_used(tmp_path: Path, make_archive: MakeArchive) -> None:
    records = {
        f"{i}.json": f'{{"number":{i},"user":"u{i * 7919 % 1000}","city":"Warszawa"}}'.encode() for i in range(6000)
    }
    trained = make_archive(records, "trained.des", compression=Compression(dictionary="auto"))
    plain = make_archive(records, "plain.des")
    assert DesReader(trained).get_stats().stored_size_bytes < DesReader(plain).get_stats().stored_size_bytes * 0.8
    core = DesReader(trained).core
    dictionary = trained.read_bytes()[core.footer.dictionary_start :][: core.footer.dictionary_length][
        36 + len("dictionary") :
    ]
    given = make_archive(records, "given.des", compression=Compression(dictionary=dictionary))
    assert given.read_bytes() == trained.read_bytes()
    with DesReader(given) as reader:
        assert reader.get_files_batch(records) == records
        assert all(reader.get_file(name) == payload for name, payload in records.items())


def test_stats_are_available_while_writing_and_after(tmp_path: Path) -> None:
    writer = DesWriter(tmp_path / "a.des", compression="none")
    writer.add_file("a", b"12345")
    assert writer.footer is None
    assert (writer.get_stats().total_files, writer.get_stats().archive_size_bytes) == (1, 0)
    writer.close()
    assert writer.footer is not None
    assert writer.get_stats() == DesReader(tmp_path / "a.des").get_stats()
    assert writer.get_stats().archive_size_bytes == (tmp_path / "a.des").stat().st_size


def test_limits_of_names_and_metadata_hold_on_every_path(make_archive: MakeArchive) -> None:
    long_name = "n" * 65535
    meta = {"text": "m" * (10 * 2**20)}
    path = make_archive({long_name: b"", "meta": (b"x", meta), "empty": b"", "ż/ółć": b"y"}, compression="none")
    with DesReader(path) as reader:
        assert reader.get_file(long_name) == b""
        assert reader.get_meta("meta") == meta
        assert reader.list_files() == ["empty", "meta", long_name, "ż/ółć"]
        assert reader.get_files_batch([long_name, "ż/ółć"]) == {long_name: b"", "ż/ółć": b"y"}
        assert {entry.name: payload for entry, payload in reader.scan()}[long_name] == b""


def test_an_unusable_option_is_refused_before_a_file_is_made(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="unknown compression profile"):
        DesWriter(tmp_path / "a.des", compression="fastest")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="big_file_threshold -1"):
        DesWriter(tmp_path / "a.des", big_file_threshold=-1)
    assert files_in(tmp_path) == []


def test_writers_in_many_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    def write(number: int) -> None:
        with DesWriter(tmp_path / f"{number}.des", compression="balanced", big_file_threshold=50_000) as writer:
            for i in range(300):
                writer.add_file(f"{i}", f"{number} {i} ".encode() * 300)
            writer.add_file("big", b"shared" * 10_000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(6):
        reader = DesReader(tmp_path / f"{number}.des")
        assert reader.get_file("299") == f"{number} 299 ".encode() * 300
        assert reader.get_file("big") == b"shared" * 10_000
    assert len(list((tmp_path / "_bigFiles").iterdir())) == 1


@pytest.mark.parametrize("profile", ["none", "balanced"])
def test_what_comes_after_an_archive_is_what_an_append_would_write(
    make_archive: MakeArchive, tmp_path: Path, profile: Any
) -> None:
    old = {"b": b"text " * 100, "a": b"1", "c/d": b""}
    new = {"0": b"more text " * 50, "b2": os.urandom(300)}
    path = make_archive(old, compression=profile)
    front = path.read_bytes()
    rest = io.BytesIO()
    opened = open_for_append(path)
    opened.target.rollback()
    with DesWriter.after(opened._replace(target=StreamTarget(rest)), compression=profile) as writer:
        for name, payload in new.items():
            writer.add_file(name, payload)
    with DesWriter.append(path, compression=profile) as appender:
        for name, payload in new.items():
            appender.add_file(name, payload)
    assert front + rest.getvalue() == path.read_bytes()
    with DesReader(front + rest.getvalue()) as reader:
        assert {entry.name: payload for entry, payload in reader.scan()} == old | new
        assert reader.verify().ok
