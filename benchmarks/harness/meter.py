"""Time and memory of this process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = [
    "ExtraMemory",
    "Stopwatch",
    "cat_cpu_seconds",
    "cpu_seconds",
    "machine_busy_seconds",
    "wait_until_quiet",
    "warm",
]


_SAMPLE_SECONDS = 0.5
_QUIET = 0.1  # processors in use


class Stopwatch:
    """Wall and CPU seconds (all threads) of a `with` block."""

    wall_seconds: float
    cpu_seconds: float

    def __enter__(self) -> Self:
        self._started = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.wall_seconds = time.perf_counter() - self._started[0]
        self.cpu_seconds = time.process_time() - self._started[1]


class ExtraMemory:
    """Peak of the resident memory during a `with` block, beyond what was resident before (Linux)."""

    bytes: int

    def __enter__(self) -> Self:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
        self._before = _resident("VmRSS")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bytes = _resident("VmHWM") - self._before


def _resident(what: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise LookupError(f"/proc/self/status has no {what}")


def cpu_seconds(run: Callable[[Any], object], arguments: Iterable[Any]) -> float:
    """CPU seconds of calling `run` with every argument.

    A result lives until the next one is there, as it does where it is used.
    """
    result = None
    started = time.process_time()
    for argument in arguments:
        result = run(argument)
    seconds = time.process_time() - started
    del result
    return seconds


def machine_busy_seconds() -> float:
    """CPU seconds that the machine has worked since it started, for all processes."""
    ticks = [int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def wait_until_quiet(limit_seconds: float) -> None:
    """Wait, for a limited time, until nobody else uses the machine."""
    give_up_at = time.monotonic() + limit_seconds
    while time.monotonic() < give_up_at:
        busy = machine_busy_seconds()
        time.sleep(_SAMPLE_SECONDS)
        if machine_busy_seconds() - busy < _QUIET * _SAMPLE_SECONDS:
            return


def warm(folder: Path) -> None:
    """Have the page cache hold every file of a folder."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 22):
                    pass


def cat_cpu_seconds(path: Path) -> float:
    """CPU seconds of `cat FILE > /dev/null`."""
    pid = os.posix_spawnp(
        "cat", ["cat", str(path)], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _pid, status, usage = os.wait4(pid, 0)
    if status:
        raise OSError(f"cat {path} failed with status {status}")
    return usage.ru_utime + usage.ru_stime
