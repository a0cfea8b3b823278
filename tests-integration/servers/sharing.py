"""Servers that the processes of one test run share."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from servers.processes import START_SECONDS, ServerError

HOME = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _connect(folder: Path) -> socket.socket | None:
    try:
        port = int((folder / "port").read_text())
        return socket.create_connection(("127.0.0.1", port), timeout=4 * START_SECONDS)
    except (OSError, ValueError):
        return None


def _start_keeper(kind: str, folder: Path) -> None:
    with (folder / "keeper.out").open("ab") as output:
        subprocess.run(
            [sys.executable, "-m", "servers.keeper", kind, folder],
            cwd=HOME,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=True,
        )


def _details(connection: socket.socket) -> dict[str, str] | None:
    """Return what the keeper says; None if it ended at this moment."""
    with connection.makefile("rb") as lines:
        try:
            line = lines.readline()
        except ConnectionError:
            return None
    known: dict[str, str] | None = json.loads(line) if line else None
    return known


class Servers:
    """The servers that this process uses, until `close`.

    Args:
        folder: Processes with the same folder share their servers. Logs stay there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connections: list[socket.socket] = []
        self._known: dict[str, dict[str, str]] = {}

    def get(self, kind: str, name: str | None = None) -> dict[str, str]:
        """Return what a client has to know about a server, which is started if nobody did so yet.

        Args:
            kind: One of `KINDS`.
            name: Tells servers of one kind apart; by default there is one.

        Raises:
            ServerError: It did not start; with the end of its logs.
        """
        name = name or kind
        if name not in self._known:
            self._known[name] = self._attach(kind, self._folder / name)
        known = self._known[name]
        if "error" in known:
            raise ServerError(known["error"])
        return known

    def logs(self, kind: str) -> list[Path]:
        """Return the folders with the logs of the servers of a kind that were asked for."""
        return [Path(known["logs"]) for known in self._known.values() if known["kind"] == kind]

    def _attach(self, kind: str, folder: Path) -> dict[str, str]:
        folder.mkdir(parents=True, exist_ok=True)
        for _ in range(5):
            with _locked(folder / "lock"):
                connection = _connect(folder)
                if connection is None:
                    _start_keeper(kind, folder)
                    connection = _connect(folder)
            if connection is not None:
                if known := _details(connection):
                    self._connections.append(connection)
                    return known
                connection.close()
        raise ServerError(f"the keeper of {kind} ends as soon as it starts, see {folder / 'keeper.out'}")

    def close(self) -> None:
        """Let go of all; whoever is the last stops a server."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._known.clear()
