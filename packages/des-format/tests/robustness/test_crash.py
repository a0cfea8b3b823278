"""Writers that die, fail or lose power at any call that changes a file: readers find the old archive or the new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from des_format import DesReader, DesWriter

if TYPE_CHECKING:
    from .conftest import Contents, Specimen

pytestmark = pytest.mark.skipif(not hasattr(os, "fork") or sys.platform != "linux", reason="needs fork and /proc")

LARGE = b"0123456789abcdef" * 80_000
ADDED: Contents = {"new/1": (b"first", {}), "new/large": (LARGE, {"k": 1}), "new/3": (b"last", {})}
OLD: Contents = {"old/1": (b"one", {}), "old/2": (b"two", {"n": 2})}
MODES = ["kill-before", "kill-after", "kill-torn", "fail-before", "fail-after", "fail-torn", "fail-forever"]

ContentsOf = Callable[[Path], "Contents"]
Runs = list[tuple[Path, dict[str, str]]]


def write(path: Path, contents: Contents) -> None:
    with DesWriter(path, compression="none") as writer:
        for name, (payload, meta) in contents.items():
            writer.add_file(name, payload, meta)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    folder = tmp_path / "template"
    folder.mkdir()
    return folder


@pytest.fixture
def sabotage(template: Path, tmp_path: Path) -> Callable[[str, str], Runs]:
    """Run a scenario in every way to end it early; return each run's folder, and its call and outcome."""

    def run(scenario: str, mode: str) -> Runs:
        script = Path(__file__).with_name("crash.py")
        root = tmp_path / "runs"
        root.mkdir()
        command = [sys.executable, str(script), scenario, mode, str(template), str(root)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        runs: list[dict[str, str]] = json.loads(done.stdout)
        assert len(runs) > 5
        if mode == "power":
            return [(path, runs[number]) for number in range(len(runs)) for path in sorted(root.glob(f"{number}-*"))]
        assert runs[-1] == {"call": "", "outcome": "done"}
        expected = {"SIGKILL"} if mode.startswith("kill") else {"OSError", "ArchiveExistsError"}
        for found in runs[:-1]:
            # A folder that exists need not be made, and where links fail a rename does.
            harmless = {"done"} if found["call"].startswith(("mkdir", "link", "failed by itself")) else set()
            assert found["outcome"] in expected | harmless, found
        return [(root / str(number), found) for number, found in enumerate(runs)]

    return run


def state_of(folder: Path, contents_of: ContentsOf, mode: str) -> Contents | None:
    """What the archive holds after a crash, None for no archive; it is sound in any case."""
    path = folder / "a.des"
    others = {other.name for other in folder.iterdir()} - {"a.des", "a.des.append", "damaged.des", "_bigFiles"}
    assert all(name.startswith(".") and name.endswith(".tmp") for name in others), others
    if mode.startswith("fail"):
        assert not others
    if not path.exists():
        return None
    with DesReader(path) as reader:
        report = reader.verify()
        assert report.ok, report.problems
    return contents_of(path)


def check_states(runs: Runs, contents_of: ContentsOf, mode: str, old: Contents | None, added: Contents) -> None:
    """Every run left the old state or the new one, and the last run, which was not disturbed, the new one."""
    states = []
    for folder, found in runs:
        try:
            unlinking = found["call"].startswith("unlink")
            states.append(state_of(folder, contents_of, "kill" if unlinking else mode))
            assert states[-1] in (old, added)
        except BaseException as error:
            error.add_note(f"{folder.name}: {found}")
            raise
    assert states[-1] == added
    assert old in states


@pytest.mark.parametrize("mode", [*MODES, "power"])
def test_a_new_archive_is_there_as_a_whole_or_not_at_all(sabotage: Any, contents_of: ContentsOf, mode: str) -> None:
    check_states(sabotage("new", mode), contents_of, mode, None, ADDED)


def test_the_folders_above_a_new_archive_are_as_durable_as_it_is(sabotage: Any, contents_of: ContentsOf) -> None:
    runs = sabotage("nested", "power")
    folder, found = runs[-1]
    assert found["call"] == "the end"
    assert "names-lost-contents" in folder.name
    assert contents_of(folder / "x" / "y" / "a.des") == ADDED


@pytest.mark.parametrize("mode", [*MODES, "power"])
def test_a_replaced_archive_is_the_old_or_the_new_one(
    sabotage: Any, template: Path, contents_of: ContentsOf, mode: str
) -> None:
    write(template / "a.des", OLD)
    check_states(sabotage("replace", mode), contents_of, mode, OLD, ADDED)


@pytest.mark.parametrize("mode", [*MODES, "power"])
def test_an_appended_archive_is_the_old_or_the_new_one_and_the_next_append_works(
    sabotage: Any, template: Path, contents_of: ContentsOf, mode: str
) -> None:
    write(template / "a.des", OLD)
    runs = sabotage("append", mode)
    check_states(runs, contents_of, mode, OLD, OLD | ADDED)
    check_next_append(runs, contents_of)


@pytest.mark.parametrize("mode", MODES)
def test_after_an_interrupted_append_the_next_one_may_be_interrupted_too(
    sabotage: Any, template: Path, specimens: dict[str, Specimen], contents_of: ContentsOf, mode: str
) -> None:
    specimen = specimens["appended"]
    before = specimen.footers[0].archive_size
    (template / "a.des").write_bytes(specimen.data[: before + 300])
    (template / "a.des.append").write_bytes(specimen.data[before - 200 : before])
    old = {"old/1": specimen.contents["old/1"]}
    runs = sabotage("append", mode)
    check_states(runs, contents_of, mode, old, old | ADDED)
    check_next_append(runs, contents_of)


def check_next_append(runs: Runs, contents_of: ContentsOf) -> None:
    for folder, _found in runs:
        before = contents_of(folder / "a.des")
        with DesWriter.append(folder / "a.des", compression="none") as writer:
            writer.add_file("later", b"payload")
        assert contents_of(folder / "a.des") == before | {"later": (b"payload", {})}
        assert not (folder / "a.des.append").exists()


@pytest.mark.parametrize("mode", [*MODES, "power"])
def test_an_archive_is_never_there_before_the_objects_beside_it(
    sabotage: Any, contents_of: ContentsOf, mode: str
) -> None:
    runs = sabotage("big", mode)
    check_states(runs, contents_of, mode, None, ADDED)
    for folder, _found in runs:
        for path in (folder / "_bigFiles").glob("[!.]*"):
            assert path.read_bytes() == LARGE


@pytest.mark.parametrize("mode", [*MODES, "power"])
def test_a_salvaged_archive_is_there_as_a_whole_or_not_at_all(
    sabotage: Any, template: Path, contents_of: ContentsOf, mode: str
) -> None:
    write(template / "damaged.des", OLD | ADDED)
    os.truncate(template / "damaged.des", (template / "damaged.des").stat().st_size - 1)
    check_states(sabotage("salvage", mode), contents_of, mode, None, OLD | ADDED)
