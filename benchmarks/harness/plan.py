"""Which measurements there are, in which order: round by round, so that a drift of the machine hits all alike."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .datasets import Dataset
from .systems import SYSTEMS

__all__ = ["Step", "measure", "steps"]

Record = dict[str, Any]
TIMEOUT_SECONDS = 1800
COMPRESSING = {"DesBalanced", "DesDictionary", "ArrayRecordZstd"}
SCANNED = {"Des"}
SIZED = {"Des", "DesDictionary"}


class Step(NamedTuple):
    """One process: a task for a system with a dataset, in one of the rounds."""

    task: str
    system: str
    dataset: str
    round: int

    @property
    def store(self) -> str:
        """Name of the system that wrote what this step reads."""
        shared = SYSTEMS[self.system].shares
        return shared.__name__ if shared else self.system


def steps(dataset: str, systems: Iterable[str], rounds: int) -> Iterator[Step]:
    """Every step for a dataset.

    What is compressed is written and read on D1 and D2 only. Writing is repeated on D1, where a
    target asks for it, and for DES; elsewhere the files of the first round are read again.
    """
    chosen = [system for system in systems if dataset != "D3" or system not in COMPRESSING]
    for number in range(rounds):
        for system in chosen:
            writes = SYSTEMS[system].shares is None
            if writes and (number == 0 or dataset == "D1" or SYSTEMS[system].kind == "des"):
                yield Step("write", system, dataset, number)
            yield Step("open", system, dataset, number)
            yield Step("read", system, dataset, number)
            if system in SCANNED:
                yield Step("scan", system, dataset, number)
            if system in SIZED and number == 0 and dataset == "D2":
                yield Step("sizes", system, dataset, number)


def run(step: Step, data: Path, stores: Path) -> Record:
    """Run one step in a process of its own and return what it printed."""
    folder = stores / step.store
    if step.task == "write":
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.sync()  # What others wrote before must not be written out now.
    request = {
        "task": step.task, "system": step.system, "dataset": step.dataset, "seed": step.round,
        "data": str(data), "folder": str(folder),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "harness.worker", json.dumps(request)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        return {"failed": reason}
    answer: Record = json.loads(done.stdout.splitlines()[-1])
    return answer


def measure(
    datasets: Iterable[str], systems: list[str], rounds: int, *, data: Path, stores: Path, say: Callable[[str], None]
) -> Iterator[Record]:
    """Run everything; a system that is missing or fails is left out from then on.

    Args:
        datasets: Names of datasets.
        systems: Names of systems.
        rounds: How often everything is measured.
        data: Folder of the datasets; those that are missing are generated.
        stores: Folder for what the systems write; emptied after each dataset.
        say: Gets a line for each step.
    """
    gone: set[str] = set()
    for dataset in datasets:
        say(f"{dataset}: {len(Dataset(dataset, data)):,} payloads")
        for step in steps(dataset, systems, rounds):
            if step.system in gone or step.store in gone:
                continue
            answer = run(step, data, stores)
            if "missing" in answer or "failed" in answer:
                gone.add(step.system)
            figures = " ".join(f"{key} {value:,.4g}" for key, value in answer.items() if isinstance(value, float))
            say(f"{step.dataset} round {step.round + 1} {step.system} {step.task}: {figures or answer}")
            yield {**step._asdict(), **answer}
        shutil.rmtree(stores, ignore_errors=True)
