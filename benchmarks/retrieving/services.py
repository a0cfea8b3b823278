"""Processes that serve, and what they cost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Served", "object_server", "peer", "read", "retriever", "serving"]

HOME = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
_MIB = 2**20
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Served:
    """A process that serves.

    Attributes:
        url: Its address.
        pid: Of the process that was started; workers are its children.
    """

    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """CPU time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def forget_peak(self) -> None:
        """Let the peak of its resident memory start anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", encoding="ascii")

    def memory_mib(self, what: str) -> float:
        """Resident memory: `VmRSS` for now, `VmHWM` for its peak."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) * 1024 / _MIB
        raise ValueError(f"the kernel does not tell {what}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def read(url: str) -> bytes:
    """Return what a URL answers, without a proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=5) as answer:
        data: bytes = answer.read()
        return data


def _answers(url: str) -> bool:
    try:
        read(url)
        return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


@contextmanager
def serving(command: Sequence[str], environment: Mapping[str, str], *, port: int) -> Iterator[Served]:
    """Run a process that serves at a port, until the end of the block.

    Raises:
        RuntimeError: It did not start.
    """
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("DES_", "AWS_"))}
    served_at = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [sys.executable, *command], cwd=HOME, env={**clean, "NO_PROXY": "127.0.0.1", **environment}
    ) as process:
        try:
            gives_up_at = time.monotonic() + START_SECONDS
            while not _answers(f"{served_at}/health/ready"):
                if process.poll() is not None or time.monotonic() > gives_up_at:
                    raise RuntimeError(f"{command[1]} did not start")
                time.sleep(0.05)
            yield Served(served_at, process.pid)
        finally:
            process.terminate()
            process.wait()


@contextmanager
def peer(name: str, payload: Path) -> Iterator[Served]:
    """Serve one of `peers` by uvicorn, set up like the retriever: no access log, uvloop, httptools."""
    port = _free_port()
    command = ["-m", "uvicorn", "--factory", f"retrieving.peers:{name}", "--port", str(port), "--log-level=warning"]
    command += ["--no-access-log", "--no-server-header", "--loop=uvloop", "--http=httptools", "--lifespan=off"]
    with serving(command, {"BENCH_PAYLOAD": str(payload)}, port=port) as served:
        yield served


@contextmanager
def retriever(store: str, *options: str, **variables: str) -> Iterator[Served]:
    """Serve a store by the command."""
    port = _free_port()
    command = ["-m", "des_retriever_http", *([store] if store else []), "--host=127.0.0.1", f"--port={port}"]
    with serving([*command, "--drain-seconds=0", "--log-level=warning", *options], variables, port=port) as served:
        yield served


@contextmanager
def object_server(folder: Path) -> Iterator[Served]:
    """Serve the files of a folder as `objects` does."""
    port = _free_port()
    with serving(["-m", "retrieving.objects", str(folder), str(port)], {}, port=port) as served:
        yield served
