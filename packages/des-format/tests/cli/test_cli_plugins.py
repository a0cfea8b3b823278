"""Commands that other distributions add."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Process = Callable[..., subprocess.CompletedProcess[bytes]]

GREETING = """
import typer
from des_format.cli.output import write_line
from des_format.errors import StoreNotFoundError

app = typer.Typer()

@app.callback()
def main(): "Says hello."

@app.command()
def hello(ctx: typer.Context, name: str):
    "Say hello to NAME."
    if name == "nobody":
        raise StoreNotFoundError("nobody is there")
    ctx.obj.note("a note")
    write_line(f"hello {name}")
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed distributions."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return folder


def install(site: Path, name: str, commands: str, module: str) -> None:
    """Install a distribution with a module of its own name."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: What {name} does\n")
    (info / "entry_points.txt").write_text(f"[des.commands]\n{commands}\n")
    (site / f"{name}.py").write_text(module)
    sys.modules.pop(name, None)


def test_a_command_of_another_distribution_runs_like_one_of_ours(site: Path, des: Run) -> None:
    install(site, "desgreeting", "greet = desgreeting:app", GREETING)
    result = des("greet", "hello", "you")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "hello you\n", "a note\n")
    assert des("--quiet", "greet", "hello", "you").stderr == ""
    failed = des("greet", "hello", "nobody")
    assert (failed.exit_code, failed.stderr) == (3, "des: error: nobody is there\n")
    assert "Say hello to NAME." in des("greet", "hello", "-h").stdout
    assert des("greet", "bye").exit_code == 2


def test_help_names_it_without_importing_it(site: Path, des: Run) -> None:
    install(site, "desgreeting", "greet = desgreeting:app", GREETING)
    text = des("--help").stdout
    assert "greet" in text
    assert "What desgreeting does" in text
    assert "desgreeting" not in sys.modules


def test_other_commands_do_not_look_for_it(site: Path, des: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", None)
    assert des("version").exit_code == 0


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("", "AttributeError: module 'desbroken' has no attribute 'app'"),
        ("app = 7", "is a int, expected a Typer application"),
    ],
)
def test_one_that_cannot_be_loaded_is_one_line(
    site: Path, des_process: Process, archive: Path, module: str, message: str
) -> None:
    install(site, "desbroken", "broken = desbroken:app", module)
    result = des_process("broken", "command")
    assert result.returncode == 2
    assert result.stdout == b""
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith("des: error: the command 'broken' of desbroken ")
    assert line.endswith(message)
    assert des_process("ls", archive).returncode == 0
    assert b"What desbroken does" in des_process("--help").stdout


def test_completion_survives_one_that_cannot_be_loaded(site: Path, des_process: Process) -> None:
    install(site, "desbroken", "broken = desbroken:app", "1 / 0")
    environ = os.environ | {"_DES_COMPLETE": "complete_bash", "COMP_WORDS": "des broken ", "COMP_CWORD": "2"}
    assert b"Traceback" not in des_process(env=environ).stderr


def test_ours_comes_first(site: Path, des: Run) -> None:
    install(site, "desgreeting", "version = desgreeting:app", GREETING)
    assert des("version").stdout.startswith("des-format ")
    lines = [line.split()[0] for line in des("--help").stdout.splitlines() if line.strip()]
    assert lines.count("version") == 1
