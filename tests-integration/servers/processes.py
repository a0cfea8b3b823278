"""Processes that end with the one that started them."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
START_SECONDS = 90.0
"""Far above what a start takes: a busy machine is not a failure."""


class ServerError(Exception):
    """A server that did not start, with the end of its logs."""


def free_port() -> int:
    """Return a port of the loopback interface that nothing uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers_http(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever HTTP_PROXY says
    try:
        with direct.open(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


def _end_with_parent() -> Callable[[], None] | None:
    """Return what a child calls first, so that the kernel kills it when its parent ends, however that happens."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def prepare() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the request was made
            os._exit(1)

    return prepare


class Processes:
    """The processes of one server: `data` goes when they stop, `logs` stays."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.logs = folder / "logs"
        self._running: list[subprocess.Popen[bytes]] = []
        for path in (self.data, self.logs):
            path.mkdir(parents=True)

    def start(self, name: str, command: Sequence[str | Path]) -> None:
        """Start a process that stays; its output goes to `logs`."""
        with (self.logs / f"{name}.out").open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=_end_with_parent(),  # noqa: PLW1509  # a keeper has one thread
            )
        self._running.append(process)

    def run(self, name: str, command: Sequence[str | Path]) -> None:
        """Run a process to its end; its output stays only if it fails.

        Raises:
            ServerError: It failed.
        """
        self.start(name, command)
        process = self._running.pop()
        try:
            code = process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if code != 0:
            raise ServerError(f"{command[0]} ended with {code}\n{self.last_lines()}")
        (self.logs / f"{name}.out").unlink()

    def wait_until(self, is_ready: Callable[[], bool], what: str) -> None:
        """Wait for a server to answer.

        Raises:
            ServerError: One of the processes ended, or it took more than `START_SECONDS`.
        """
        give_up_at = time.monotonic() + START_SECONDS
        while not is_ready():
            ended = [process for process in self._running if process.poll() is not None]
            if ended or time.monotonic() > give_up_at:
                reason = f"{ended[0].args!r} ended with {ended[0].returncode}" if ended else "too slow"
                raise ServerError(f"{what} did not start: {reason}\n{self.last_lines()}")
            time.sleep(0.02)

    def last_lines(self, count: int = 10) -> str:
        return last_lines(self.logs, count)

    def stop(self) -> None:
        """Kill: what a clean end would save is thrown away."""
        for process in self._running:
            process.kill()
        for process in self._running:
            process.wait()
        self._running.clear()


def last_lines(logs: Path, count: int = 10) -> str:
    """Return the end of every log in a folder that has something to say."""
    ends = []
    for path in sorted(logs.glob("*")):
        lines = path.read_text(errors="replace").splitlines()
        if lines:
            ends.append("\n".join([f"{path}:", *(f"  {line[:300]}" for line in lines[-count:])]))
    return "\n".join(ends)
