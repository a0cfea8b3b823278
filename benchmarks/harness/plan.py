"""Which measurements there are, in which order: in turns, so that a drift of the machine hits all alike."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from .datasets import Dataset
from .meter import wait_until_quiet
from .processes import Answer, Reader, ask
from .systems import SYSTEMS

__all__ = ["Plan", "Step", "steps"]

COMPRESSING = {"DesBalanced", "DesDictionary", "ArrayRecordZstd"}
SCANNED = {"Des"}
SIZED = {"Des", "DesDictionary"}
PASSES_FOR_EACH_ROUND = 3


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
    """Every step for a dataset but for reading, which comes last and in turns.

    What is compressed is written and read on D1 and D2 only. Writing is repeated on D1, where a
    target asks for it, and for DES; elsewhere the files of the first round are opened again.
    """
    for number in range(rounds):
        for system in systems:
            writes = SYSTEMS[system].shares is None
            if writes and (number == 0 or dataset == "D1" or SYSTEMS[system].kind == "des"):
                yield Step("write", system, dataset, number)
            yield Step("open", system, dataset, number)
            if system in SCANNED:
                yield Step("scan", system, dataset, number)
            if system in SIZED and number == 0 and dataset == "D2":
                yield Step("sizes", system, dataset, number)


class Plan:
    """Runs everything; a system that is missing or fails is left out from then on.

    Args:
        data: Folder of the datasets; those that are missing are generated.
        stores: Folder for what the systems write; emptied after each dataset.
        patience_seconds: How long to wait, before each write, for others to leave the machine alone.
        say: Gets a line for each step.
    """

    def __init__(self, *, data: Path, stores: Path, patience_seconds: float, say: Callable[[str], None]) -> None:
        self._data = data
        self._stores = stores
        self._patience_seconds = patience_seconds
        self._say = say
        self._gone: set[str] = set()

    def measure(self, dataset: str, systems: Iterable[str], rounds: int) -> Iterator[Answer]:
        """Measure a dataset."""
        self._say(f"{dataset}: {len(Dataset(dataset, self._data)):,} payloads")
        chosen = [system for system in systems if dataset != "D3" or system not in COMPRESSING]
        for step in steps(dataset, chosen, rounds):
            if step.system not in self._gone and step.store not in self._gone:
                yield self._record(step, self._run(step))
        yield from self._read_in_turns(dataset, chosen, rounds * PASSES_FOR_EACH_ROUND)
        shutil.rmtree(self._stores, ignore_errors=True)

    def _record(self, step: Step, answer: Answer) -> Answer:
        if "missing" in answer or "failed" in answer:
            self._gone.add(step.system)
        figures = " ".join(f"{key} {value:,.4g}" for key, value in answer.items() if isinstance(value, float))
        self._say(f"{step.dataset} round {step.round + 1} {step.system} {step.task}: {figures or answer}")
        return {**step._asdict(), **answer}

    def _request(self, step: Step) -> Answer:
        return {
            "task": step.task, "system": step.system, "dataset": step.dataset, "seed": step.round,
            "data": str(self._data), "folder": str(self._stores / step.store),
        }  # fmt: skip

    def _run(self, step: Step) -> Answer:
        if step.task == "write":
            folder = self._stores / step.store
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            os.sync()  # What others wrote before must not be written out now.
            wait_until_quiet(self._patience_seconds)
        return ask(self._request(step))

    def _read_in_turns(self, dataset: str, systems: Iterable[str], passes: int) -> Iterator[Answer]:
        """Have one process for each system read, a pass of each after the other."""
        readers: list[tuple[Step, Reader]] = []
        try:
            for system in systems:
                step = Step("read", system, dataset, 0)
                if system in self._gone or step.store in self._gone:
                    continue
                reader = Reader(self._request(step))
                if "missing" in reader.ready or "failed" in reader.ready:
                    yield self._record(step, reader.ready)
                else:
                    readers.append((step, reader))
            for what in ("gets", "batches"):
                for number in range(passes):
                    for step, reader in readers:
                        yield self._record(step._replace(round=number), reader.run(what))
        finally:
            for _step, reader in readers:
                reader.stop()
