"""The parts of the command line that need no command around them."""

from __future__ import annotations

import errno
import gzip
import io
import os
import pty
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from des_format import (
    DesReader,
    DesWriter,
    InvalidInputError,
)
from des_format.cli import output
from des_format.cli.completion import complete_name
from des_format.cli.decompressing import decompressed
from des_format.cli.inputs import FileInput, InputError, Report
from des_format.cli.measuring import _seek_and_read
from des_format.cli.messages import Messages
from des_format.cli.packing import add_inputs
from des_format.cli.progress import OnBytes, progress

Des = Callable[..., Any]


class TestInputs:
    def read_while(self, path: Path, change: Callable[[], object]) -> None:
        with FileInput("x", str(path), 0).open() as (stream, _meta):
            stream.read(10)
            change()
            while stream.read(1 << 16):
                pass

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "file"
        path.write_bytes(b"x" * 500_000)
        return path

    def test_a_file_that_grows_shrinks_or_is_rewritten_while_it_is_read_is_an_error(self, file: Path) -> None:
        with pytest.raises(InputError, match="it had 500000 bytes, then 500001"):
            self.read_while(file, lambda: os.truncate(file, 500_001))
        with pytest.raises(InputError, match="changed while it was read"):
            self.read_while(file, lambda: os.truncate(file, 100_000))
        with pytest.raises(InputError, match="was written to"):
            self.read_while(file, lambda: os.utime(file, ns=(1, 1)))

    def test_what_took_the_place_of_a_file_is_an_error(self, file: Path) -> None:
        item = FileInput("x", str(file), 0)
        file.unlink()
        with pytest.raises(InputError, match="cannot be opened: No such file"), item.open():
            pass
        os.mkfifo(file)
        with pytest.raises(InputError, match="no regular file"), item.open():
            pass

    @pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose bytes cannot be read")
    def test_a_file_that_fails_while_it_is_read_is_an_error(self) -> None:
        with (
            pytest.raises(InputError, match="cannot be read: Input/output error"),
            FileInput("x", "/proc/self/mem", 0).open() as (stream, _meta),
        ):
            stream.read()

    def test_an_input_that_fails_leaves_the_archive_as_if_it_had_not_been_there(self, file: Path) -> None:
        other = file.with_name("other")
        other.write_bytes(b"other")
        inputs = [FileInput("gone", str(file / "gone"), 0), FileInput("other", str(other), 5)]
        report = Report(Messages(), keep_going=True)
        with DesWriter(file.with_name("a.des")) as writer:
            assert add_inputs(writer, inputs, report, OnBytes(lambda done, total: None)) == 1
        assert report.failed == ["gone"]
        with DesReader(file.with_name("a.des")) as reader:
            assert list(reader) == ["other"]


@contextmanager
def stderr_on_terminal() -> Iterator[bytearray]:
    """Make stderr a terminal; what it showed is in the result after the block."""
    master, slave = pty.openpty()
    shown = bytearray()

    def collect() -> None:
        with suppress(OSError):  # Linux ends a terminal that nobody writes to this way.
            while piece := os.read(master, 1 << 16):
                shown.extend(piece)

    collector = threading.Thread(target=collect)
    collector.start()
    before = sys.stderr
    with os.fdopen(slave, "w") as stream:
        sys.stderr = stream
        try:
            yield shown
        finally:
            sys.stderr = before
    collector.join()
    os.close(master)


class TestProgress:
    @pytest.fixture(autouse=True)
    def _terminal_that_moves(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "120")

    def test_a_bar_shows_share_and_rate(self) -> None:
        with stderr_on_terminal() as shown, progress(Messages(), "working") as advance:
            on_bytes = OnBytes(advance, 4096)
            for _ in range(4):
                on_bytes(1024)
        assert b"working" in shown
        assert b"4.0/4.0" in shown
        assert b"iB/s" in shown

    def test_a_total_that_is_not_known_is_no_error(self) -> None:
        with stderr_on_terminal() as shown, progress(Messages(), "working") as advance:
            advance(1000, 0)
        assert b"working" in shown

    def test_quiet_shows_nothing(self) -> None:
        with stderr_on_terminal() as shown, progress(Messages(quiet=True), "working") as advance:
            advance(1, 1)
        assert shown == b""


class TestCompletion:
    def complete(self, line: str) -> list[str]:
        from des_format.cli.app import app
        from typer.testing import CliRunner

        environ = {
            "_DES_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        result = CliRunner().invoke(app, [], env=environ, prog_name="des")
        return str(result.stdout).split()

    def test_names_are_completed_up_to_their_next_slash(self, archive: Path) -> None:
        assert self.complete(f"des cat {archive} b") == ["b/", "big.bin"]
        assert self.complete(f"des extract {archive} b/") == ["b/empty", "b/text.json"]
        assert self.complete(f"des ls {archive} zzz") == []

    def test_what_cannot_be_read_completes_to_nothing(self) -> None:
        assert self.complete("des cat absent.des b") == []

    def test_without_an_archive_there_are_no_names(self) -> None:
        from des_format.cli.app import app
        from typer.main import get_command

        command: Any = get_command(app)
        context = command.commands["cat"].make_context("cat", [], resilient_parsing=True)
        assert complete_name(context, "b") == []


class TestOutput:
    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
    @pytest.mark.parametrize("buffering", [0, -1])
    def test_what_cannot_be_written_is_an_error_once_and_then_forgotten(
        self, monkeypatch: pytest.MonkeyPatch, buffering: int
    ) -> None:
        def write() -> None:
            output.write_line("text")
            output.finish()

        with open("/dev/full", "wb", buffering=buffering) as full, io.TextIOWrapper(full, write_through=True) as text:
            monkeypatch.setattr(sys, "stdout", text)
            with pytest.raises(OSError, match="No space left"):
                write()
            output.discard()
            assert output.stdout().writable()
            output.finish()
            monkeypatch.undo()

    def test_a_raw_stream_that_takes_little_gets_everything(self, monkeypatch: pytest.MonkeyPatch) -> None:
        taken = bytearray()

        class Little(io.RawIOBase):
            def writable(self) -> bool:
                return True

            def write(self, data: Any, /) -> int:
                taken.extend(bytes(data[:3]))
                return min(3, len(data))

        with io.TextIOWrapper(Little(), write_through=True) as stream:  # type: ignore[type-var]
            monkeypatch.setattr(sys, "stdout", stream)
            assert output.stdout().write(b"0123456789") == 10
            monkeypatch.undo()
        assert taken == b"0123456789"

    def test_a_terminal_gets_no_archive(self, monkeypatch: pytest.MonkeyPatch) -> None:
        master, slave = pty.openpty()
        with os.fdopen(slave, "w") as stream:
            monkeypatch.setattr(sys, "stdout", stream)
            with pytest.raises(InvalidInputError, match="terminal"):
                output.stdout_for_archive()
            monkeypatch.undo()
        os.close(master)


class TestDecompression:
    def test_an_error_of_the_system_is_not_taken_for_damage(self) -> None:
        class Failing(io.RawIOBase):
            def __init__(self) -> None:
                self.start = io.BytesIO(gzip.compress(os.urandom(100_000))[:70_000])

            def readable(self) -> bool:
                return True

            def readinto(self, buffer: Any, /) -> int:
                count = self.start.readinto(buffer)
                if not count:
                    raise OSError(errno.EIO, "Input/output error")
                return count

        with pytest.raises(OSError, match="Input/output error"):
            decompressed(io.BufferedReader(Failing())).read()


def test_reading_without_pread_reads_the_same(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"0123456789")
    handle = os.open(tmp_path / "x", os.O_RDONLY)
    try:
        assert _seek_and_read(handle, 3, 4) == b"456"
    finally:
        os.close(handle)
