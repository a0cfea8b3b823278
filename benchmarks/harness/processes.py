"""The processes in which everything is measured, and what they answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["Answer", "Reader", "ask"]

Answer = dict[str, Any]
TIMEOUT_SECONDS = 1800
# By default the C library gives freed memory back, or not, as it happens to lie: with payloads of 32 KiB the time in
# which the kernel clears it anew halves the rate of one process and spares the next.
ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25)}


def _start(request: Answer) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness.worker", json.dumps(request)],
        cwd=Path(__file__).parent.parent,
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _failure(status: int, errors: str) -> Answer:
    return {"failed": (errors.strip() or f"status {status}").splitlines()[-1]}


def ask(request: Answer) -> Answer:
    """Run one task in a process of its own and return what it printed."""
    process = _start(request)
    output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    if process.returncode:
        return _failure(process.returncode, errors)
    answer: Answer = json.loads(output.splitlines()[-1])
    return answer


class Reader:
    """A process that reads a pass whenever it is asked to.

    Attributes:
        ready: Empty, or why it cannot read.
    """

    def __init__(self, request: Answer) -> None:
        self._process = _start(request)
        self.ready = self._answer()

    def _answer(self) -> Answer:
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            return _failure(self._process.wait(), self._process.stderr.read())
        answer: Answer = json.loads(line)
        return answer

    def run(self, what: str) -> Answer:
        """Run one pass and return its figure."""
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()
