"""Run one scenario again and again in processes of its own, each of which dies or fails at another system call.

Run as `python crash.py SCENARIO MODE TEMPLATE ROOT`. For the n-th call that changes a file, the scenario
runs in `ROOT/n`, a copy of the folder TEMPLATE. Printed is one JSON list: for each run the call and what
became of the process. Modes: `kill-before`, `kill-after` and `kill-torn` (half of the write is done) end
the process by SIGKILL; `fail-before`, `fail-after`, `fail-torn` and `fail-forever` (all later writes fail
too) raise an `OSError`. `power` runs the scenario once and writes to `ROOT/n-*` what a disk could hold if
power failed at the n-th call.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from des_format import DesWriter
from des_format.salvage import salvage_archive

CALLS = "write fsync link replace rename unlink ftruncate mkdir".split()
ORIGINAL: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in CALLS}
LARGE = b"0123456789abcdef" * 80_000


def add_entries(writer: DesWriter) -> None:
    writer.add_file("new/1", b"first")
    writer.add_file("new/large", LARGE, {"k": 1})
    writer.add_file("new/3", b"last")


def new(folder: Path) -> None:
    with DesWriter(folder / "a.des", compression="none") as writer:
        add_entries(writer)


def nested(folder: Path) -> None:
    with DesWriter(folder / "x" / "y" / "a.des", compression="none", big_file_threshold=1000) as writer:
        add_entries(writer)


def replace(folder: Path) -> None:
    with DesWriter(folder / "a.des", compression="none", overwrite=True) as writer:
        add_entries(writer)


def append(folder: Path) -> None:
    with DesWriter.append(folder / "a.des", compression="none") as writer:
        add_entries(writer)


def big(folder: Path) -> None:
    with DesWriter(folder / "a.des", compression="none", big_file_threshold=1000) as writer:
        add_entries(writer)


def salvage(folder: Path) -> None:
    salvage_archive(folder / "damaged.des", folder / "a.des")


SCENARIOS = {scenario.__name__: scenario for scenario in (new, nested, replace, append, big, salvage)}


def hook(around: Callable[[str, tuple[Any, ...], Callable[[], Any]], Any]) -> None:
    """Let `around` decide about every call that changes a file."""
    busy: list[str] = []
    for name in CALLS:

        def hooked(*arguments: Any, _name: str = name, **options: Any) -> Any:
            if busy:  # It changes files itself.
                return ORIGINAL[_name](*arguments, **options)
            busy.append(_name)
            try:
                return around(_name, arguments, lambda: ORIGINAL[_name](*arguments, **options))
            finally:
                busy.pop()

        setattr(os, name, hooked)


def describe(name: str, arguments: tuple[Any, ...]) -> str:
    subject = arguments[0]
    path = Path(f"/proc/self/fd/{subject}").readlink() if isinstance(subject, int) else Path(subject)
    return f"{name} {path.name}"


# -- one run that ends early ----------------------------------------------------------------------


class Saboteur:
    """Lets the n-th call die or fail."""

    def __init__(self, step: int, mode: str, log: Path) -> None:
        self._step = step
        self._kind, self._when = mode.split("-")
        self._log = log
        self._count = 0

    def __call__(self, name: str, arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        self._count += 1
        again = self._when == "forever" and self._count > self._step and name not in ("unlink", "ftruncate")
        if self._count != self._step and not again:
            return call()
        if not again:
            self._log.write_text(describe(name, arguments))
        if self._when == "after":
            try:
                call()
            except OSError:
                self._log.write_text("failed by itself: " + describe(name, arguments))
                raise
        elif self._when == "torn" and name == "write":
            ORIGINAL["write"](arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        if self._kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.EIO if self._when == "after" else errno.ENOSPC, "injected")


def run_sabotaged(scenario: Callable[[Path], None], folder: Path, step: int, mode: str) -> dict[str, str]:
    log = folder.with_suffix(".call")
    outcome = folder.with_suffix(".outcome")
    process = os.fork()
    if not process:
        hook(Saboteur(step, mode, log))
        try:
            scenario(folder)
            said = "done"
        except Exception as error:
            said = type(error).__name__
        outcome.write_text(said)
        os._exit(0)
    _process, status = os.waitpid(process, 0)
    call = log.read_text() if log.exists() else ""
    if os.WIFSIGNALED(status):
        return {"call": call, "outcome": signal.Signals(os.WTERMSIG(status)).name}
    return {"call": call, "outcome": outcome.read_text()}


def sweep(scenario: Callable[[Path], None], mode: str, template: Path, root: Path) -> list[dict[str, str]]:
    runs: list[dict[str, str]] = []
    while not runs or runs[-1]["call"]:
        folder = root / str(len(runs))
        shutil.copytree(template, folder)
        runs.append(run_sabotaged(scenario, folder, len(runs) + 1, mode))
    return runs


# -- one run on a disk that may lose what was not made durable --------------------------------------


class Disk:
    """What of a folder is durable: contents by the last fsync of a file, names by that of its folder."""

    def __init__(self, folder: Path, root: Path) -> None:
        self._folder = folder
        self._root = root
        self._names = {folder.stat().st_ino: self._listing(folder)}
        self._contents = {path.stat().st_ino: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.calls: list[dict[str, str]] = []

    @staticmethod
    def _listing(folder: Path) -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in folder.iterdir()}

    def __call__(self, name: str, arguments: tuple[Any, ...], call: Callable[[], Any]) -> Any:
        self.cut(describe(name, arguments))
        result = call()
        if name == "fsync":
            path = Path(f"/proc/self/fd/{arguments[0]}").readlink()
            inode = os.fstat(arguments[0]).st_ino
            if path.is_dir():
                self._names[inode] = self._listing(path)
            else:
                self._contents[inode] = path.read_bytes()
        return result

    def cut(self, call: str) -> None:
        """Write every state in which a power failure now could leave the folder."""
        for names in ("kept", "lost"):
            for contents in ("kept", "lost", "zeros"):
                target = self._root / f"{len(self.calls)}-names-{names}-contents-{contents}"
                self._materialise(self._folder, target, names, contents)
        self.calls.append({"call": call, "outcome": "power"})

    def _materialise(self, folder: Path, target: Path, names: str, contents: str) -> None:
        target.mkdir(parents=True)
        current = self._listing(folder)
        durable = self._names.get(folder.stat().st_ino, {})
        for name, inode in (durable if names == "lost" else current).items():
            path = folder / name
            if path.is_dir():
                self._materialise(path, target / name, names, contents)
                continue
            safe = self._contents.get(inode, b"")
            now = path.read_bytes() if current.get(name) == inode else safe
            state = {"kept": now, "lost": safe, "zeros": safe + bytes(max(0, len(now) - len(safe)))}
            (target / name).write_bytes(state[contents])


def power(scenario: Callable[[Path], None], template: Path, root: Path) -> list[dict[str, str]]:
    folder = root / "folder"
    shutil.copytree(template, folder)
    disk = Disk(folder, root)
    hook(disk)
    scenario(folder)
    for name, call in ORIGINAL.items():
        setattr(os, name, call)
    disk.cut("the end")
    return disk.calls


if __name__ == "__main__":
    chosen, how = SCENARIOS[sys.argv[1]], sys.argv[2]
    places = Path(sys.argv[3]), Path(sys.argv[4])
    json.dump(power(chosen, *places) if how == "power" else sweep(chosen, how, *places), sys.stdout)
