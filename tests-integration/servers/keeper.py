"""The process that owns one server: python -m servers.keeper KIND FOLDER.

Everyone who uses the server holds a connection to its keeper. The kernel closes the connections of a process that ends,
however it ends, so the connections are the reference count: when the last one is gone, the keeper stops the server.
Should the keeper itself be killed, the kernel kills the server (`processes`).
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
from pathlib import Path

from servers.kinds import KINDS
from servers.processes import Processes, ServerError

FIRST_USER_SECONDS = 60.0
ATTEMPTS = 3
"""A free port can be taken before the server listens on it."""


def details(kind: str, processes: Processes) -> dict[str, str]:
    """Start the server; return what its users have to know: `error` if it did not start."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return {"logs": str(processes.logs), "version": KINDS[kind].version(), **KINDS[kind].start(processes)}
        except ServerError as error:
            processes.stop()
            shutil.rmtree(processes.data)
            processes.data.mkdir()
            if attempt == ATTEMPTS:
                return {"logs": str(processes.logs), "error": str(error)}
    raise AssertionError


def serve(listener: socket.socket, message: bytes) -> None:
    """Tell everyone who connects; return when everyone has gone."""
    users: set[socket.socket] = set()
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while events := selector.select(None if users else FIRST_USER_SECONDS):
            for key, _ in events:
                if key.fileobj is listener:
                    user, _ = listener.accept()
                    with contextlib.suppress(OSError):
                        user.sendall(message)
                    selector.register(user, selectors.EVENT_READ)
                    users.add(user)
                elif isinstance(key.fileobj, socket.socket):  # a user never sends: it is gone
                    selector.unregister(key.fileobj)
                    users.discard(key.fileobj)
                    key.fileobj.close()
            if not users:
                return


def main(kind: str, folder: Path) -> int:
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    port_file = folder / "port"
    temporary = folder / f"port.{os.getpid()}"
    temporary.write_text(str(listener.getsockname()[1]))
    if os.fork():  # who started it waits for this process only, and connects next
        temporary.replace(port_file)
        os._exit(0)
    os.setsid()  # an interrupt from the keyboard is for the tests
    processes = Processes(folder / str(os.getpid()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        known = {"kind": kind, "folder": str(folder), **details(kind, processes)}
        serve(listener, json.dumps(known).encode() + b"\n")
    finally:
        port_file.unlink(missing_ok=True)
        listener.close()
        processes.stop()
        shutil.rmtree(processes.data, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
