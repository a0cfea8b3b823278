"""The command as a process: pipes, signals, terminals, and an installation without its extra."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from des_format.cli import __main__ as entry_point

Run = Callable[..., subprocess.CompletedProcess[bytes]]

COMMAND = [sys.executable, "-m", "des_format.cli"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_broken_pipe_is_quiet(tmp_path: Path, des_process: Run, unbuffered: str) -> None:
    (tmp_path / "big").write_bytes(os.urandom(5_000_000))
    assert des_process("pack", tmp_path / "big", "-o", tmp_path / "big.des").returncode == 0
    with subprocess.Popen(
        [*COMMAND, "cat", tmp_path / "big.des", "big"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_slow_readers_of_a_pipe_get_everything(tmp_path: Path, des_process: Run, unbuffered: str) -> None:
    content = os.urandom(3_000_000)
    (tmp_path / "big").write_bytes(content)
    des_process("pack", tmp_path / "big", "-o", tmp_path / "big.des")
    environ = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    assert des_process("cat", tmp_path / "big.des", "big", env=environ).stdout == content
    tar = des_process("to-tar", tmp_path / "big.des", "-o", "-", env=environ).stdout
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        member = opened.extractfile("big")
        assert member is not None
        assert member.read() == content


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("arguments", [["ls"], ["cat", "a.txt"], ["to-tar", "-o", "-"]])
def test_a_full_disk_is_an_error_and_no_traceback(archive: Path, des_process: Run, arguments: list[str]) -> None:
    command, *rest = arguments
    with Path("/dev/full").open("wb") as full:
        done = des_process(command, archive, *rest, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 6
    assert done.stderr.splitlines()[-1] == b"des: error: No space left on device"
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def interrupted_pack(folder: Path, number: signal.Signals) -> tuple[int, bytes]:
    """Send a signal to a `des pack` that is in the middle of an entry of a tar from stdin."""
    member = tarfile.TarInfo("large")
    member.size = 40 << 20
    read_end, write_end = os.pipe()
    with subprocess.Popen(
        [*COMMAND, "pack", "--from-tar", "-", "-o", folder / "out.des"],
        stdin=read_end,
        stderr=subprocess.PIPE,
        # Whoever runs the tests in the background may have told them, and so their children, to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # noqa: PLW1509  No other thread holds a lock here.
    ) as process:
        os.close(read_end)
        data = memoryview(member.tobuf() + os.urandom(30 << 20))
        while data:  # A pipe holds far less than this, so at the end the command is at work.
            data = data[os.write(write_end, data) :]
        process.send_signal(number)
        try:
            said = process.communicate(timeout=60)[1]
        finally:
            process.kill()
            os.close(write_end)
    return process.returncode, said


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    code, said = interrupted_pack(tmp_path, signal.SIGINT)
    assert (code, said) == (130, b"des: error: interrupted\n")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_request_to_end_leaves_nothing_half_written(tmp_path: Path) -> None:
    code, said = interrupted_pack(tmp_path, signal.SIGTERM)
    assert (code, said) == (143, b"")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_tar_in_a_pipe_is_not_cut_off_for_its_writer(tmp_path: Path, des_process: Run, trees: Any) -> None:
    trees.write(tmp_path / "t", {"a": b"1", "b/c": b"2" * 100_000})
    packed = subprocess.Popen(["tar", "-C", tmp_path / "t", "-czf", "-", "."], stdout=subprocess.PIPE)
    done = des_process("pack", "--from-tar", "-", "-o", tmp_path / "out.des", stdin=packed.stdout)
    assert packed.stdout is not None
    packed.stdout.close()
    assert (packed.wait(), done.returncode) == (0, 0)
    assert trees.of_archive(tmp_path / "out.des") == {"a": b"1", "b/c": b"2" * 100_000}


def test_output_is_the_same_in_any_locale(odd_tree: Path, tmp_path: Path, des_process: Run) -> None:
    archive = tmp_path / "out.des"
    des_process("pack", odd_tree, "-o", archive)
    plain = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    ascii_only = des_process("ls", archive, env=plain)
    assert ascii_only.returncode == 0
    assert ascii_only.stdout == des_process("ls", archive).stdout
    failed = des_process("cat", archive, "日本", env=plain)
    assert failed.returncode in (2, 3)
    assert b"Traceback" not in failed.stderr


def on_terminal(arguments: list[Any], streams: tuple[str, ...] = ("stdout", "stderr")) -> tuple[int, bytes]:
    """Run the command with a terminal; return its exit code and what the terminal showed."""
    master, terminal = pty.openpty()
    redirected: dict[str, int] = dict.fromkeys(streams, terminal)
    environ = os.environ | {"TERM": "xterm-256color", "COLUMNS": "120"}
    with subprocess.Popen([*COMMAND, *arguments], env=environ, **redirected) as process:  # type: ignore[call-overload]
        os.close(terminal)
        shown = bytearray()
        try:
            while piece := os.read(master, 65536):
                shown += piece
        except OSError:  # Linux ends a terminal without a process this way.
            pass
    os.close(master)
    return process.returncode, bytes(shown)


def test_a_terminal_shows_progress_and_then_the_summary_alone(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(30_000_000))
    code, shown = on_terminal(["pack", tmp_path / "big", "-o", tmp_path / "out.des"])
    assert code == 0
    assert b"packing" in shown
    assert b"/s" in shown
    assert b"1 entry added" in shown.splitlines()[-1]
    code, shown = on_terminal(["--quiet", "verify", tmp_path / "out.des"])
    assert (code, shown) == (0, b"")


def test_a_terminal_gets_escaped_names_and_no_archives(odd_tree: Path, tmp_path: Path, des_process: Run) -> None:
    archive = tmp_path / "out.des"
    des_process("pack", odd_tree, "-o", archive)
    code, shown = on_terminal(["ls", archive])
    assert code == 0
    assert b"new\\nline" in shown
    for command in (["to-tar", archive], ["to-zip", archive], ["pack", odd_tree]):
        code, shown = on_terminal([*command, "-o", "-"])
        assert code == 2
        assert b"stdout is a terminal" in shown


def test_problems_appear_above_the_progress_bar(tmp_path: Path, trees: Any) -> None:
    trees.write(tmp_path / "t", {os.fsdecode(b"\xff"): b"bad", "good": os.urandom(1000)})
    code, shown = on_terminal(["pack", tmp_path / "t", "-o", tmp_path / "out.des", "-k"])
    assert code == 1
    assert b"lone surrogate" in shown


def test_shell_completion_knows_commands_and_names_of_entries(archive: Path, des_process: Run) -> None:
    def complete(line: str) -> list[str]:
        environ = os.environ | {
            "_DES_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
        }
        script = "from des_format.cli.app import app; app(prog_name='des')"
        done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, timeout=60, check=False)
        return done.stdout.decode().split()

    assert "extract" in complete("des ex")
    assert complete(f"des cat {archive} b") == ["b/", "big.bin"]
    assert complete(f"des cat {archive} b/") == ["b/empty", "b/text.json"]
    assert complete("des cat absent.des b") == []


def test_help_starts_quickly_enough_to_have_imported_nothing_heavy(des_process: Run) -> None:
    script = "import sys; from des_format.cli import app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=True)
    loaded = set(done.stdout.decode().split())
    assert sorted(loaded & {"rich.progress", "rich.console", "tarfile", "zipfile", "pydantic"}) == []


class TestEntryPoint:
    @pytest.fixture(autouse=True)
    def _handlers(self) -> Iterator[None]:
        """Give the process its signal handlers back."""
        numbers = (signal.SIGTERM, signal.SIGHUP)
        before = [signal.getsignal(number) for number in numbers]
        yield
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

    def run(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, *arguments: str) -> Any:
        monkeypatch.setattr(sys, "argv", ["des", *arguments])
        with pytest.raises(SystemExit) as ended:
            module.main()
        return ended.value.code

    def test_it_ends_with_the_code_of_the_command(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.run(monkeypatch, entry_point, "version") == 0
        assert self.run(monkeypatch, entry_point, "ls", "absent.des") == 3

    def test_a_signal_that_the_caller_ignores_stays_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.run(monkeypatch, entry_point, "version")
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    def test_a_request_to_end_unwinds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run(monkeypatch, entry_point, "version")
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGTERM)
        assert ended.value.code == 143

    def test_ctrl_c_before_the_command_begins_ends_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def pressed(**_options: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(entry_point, "app", pressed)
        assert self.run(monkeypatch, entry_point) == 130

    @pytest.mark.parametrize("package", ["typer", "rich"])
    def test_without_the_extra_it_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], package: str
    ) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        spec = util.spec_from_file_location("des_format.cli.__main__", entry_point.__file__)
        assert spec is not None
        assert spec.loader is not None
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert self.run(monkeypatch, module) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert "pip install 'des-format[cli]'" in captured.err
        assert "Traceback" not in captured.err
