"""One measurement in a process of its own: `python -m harness.worker JSON` prints its results as JSON."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard
from des_format import DesReader

from .datasets import Dataset
from .meter import ExtraMemory, Stopwatch, cat_cpu_seconds, cpu_seconds, machine_busy_seconds, warm
from .systems import SYSTEMS, Missing, System

__all__ = ["TASKS"]

GETS = 50_000
BATCHES = 20
BATCH_NAMES = 1_000
PASSES = 3
COMPARED = 300

Results = dict[str, float]


def load(name: str, folder: Path) -> System:
    system = SYSTEMS[name]
    system.load()
    return system(folder)


def write(system: str, folder: Path, dataset: Dataset, seed: int) -> Results:
    """Write everything, durably; files that the system did not sync are synced inside the measured time."""
    writer = load(system, folder)
    with ExtraMemory() as memory, Stopwatch() as watch:
        writer.write(dataset.items())
        for path in folder.rglob("*"):
            if path.is_file():
                with path.open("rb+") as file:
                    os.fsync(file.fileno())
    return {
        "write_seconds": watch.wall_seconds,
        "write_cpu_seconds": watch.cpu_seconds,
        "write_extra_bytes": memory.bytes,
        "file_bytes": sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
    }


def open_first(system: str, folder: Path, dataset: Dataset, seed: int) -> Results:
    """Open in a fresh process and read one payload."""
    reader = load(system, folder)
    warm(folder)
    name = random.Random(seed).choice(dataset.names())
    with ExtraMemory() as memory, Stopwatch() as watch:
        reader.open()
        reader.getter()(name)
    return {"open_seconds": watch.wall_seconds, "open_extra_bytes": memory.bytes}


class Reading:
    """Reads the same random payloads again and again; each pass is one figure."""

    def __init__(self, system: str, folder: Path, dataset: Dataset, seed: int) -> None:
        self._reader = load(system, folder)
        warm(folder)
        chance = random.Random(seed)
        names = dataset.names()
        positions = chance.choices(range(len(names)), k=GETS)
        self._singles = [names[position] for position in positions]
        self._batches = [chance.sample(names, BATCH_NAMES) for _ in range(BATCHES)]
        self._reader.open()
        self._get = self._reader.getter()
        for position, name in zip(positions[:COMPARED], self._singles, strict=False):
            if bytes(self._get(name)) != dataset.payload(position):
                raise ValueError(f"{system} returns another payload for {name!r}")
        self.gets()  # The first pass maps the file.

    def gets(self) -> Results:
        """Read one by one."""
        return {"gets_per_second": GETS / cpu_seconds(self._get, self._singles)}

    def batches(self) -> Results:
        """Read in batches."""
        return {"batch_per_second": BATCHES * BATCH_NAMES / cpu_seconds(self._reader.batch, self._batches)}


def read(system: str, folder: Path, dataset: Dataset, seed: int) -> Results:
    """Say that everything is ready, then do a pass for each line of standard input that asks for one."""
    reading = Reading(system, folder, dataset, seed)
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"gets": reading.gets, "batches": reading.batches}[line.strip()]()), flush=True)
    return {}


def scan(system: str, folder: Path, dataset: Dataset, seed: int) -> Results:
    """Read a DES archive front to back, every payload checked, and the same file with `cat`."""
    path = folder / "archive.des"
    warm(folder)
    size = path.stat().st_size
    times: dict[str, list[float]] = {"cat": [], "scan": []}
    with DesReader(path) as reader:
        for _ in range(PASSES + 1):
            times["cat"].append(cat_cpu_seconds(path))
            started = time.process_time()
            for _entry, payload in reader.scan():
                if payload is None:
                    raise ValueError("no payload here is external")
            times["scan"].append(time.process_time() - started)
    # The first pass maps the file.
    cat, seconds = (sorted(times[what][1:])[PASSES // 2] for what in ("cat", "scan"))
    return {"scan_bytes_per_second": size / seconds, "cat_bytes_per_second": size / cat}


def sizes(system: str, folder: Path, dataset: Dataset, seed: int) -> Results:
    """What a DES archive stores, and what zstd makes of each payload by itself."""
    with DesReader(folder / "archive.des") as reader:
        stats = reader.get_stats()
    compress = zstandard.ZstdCompressor(level=3).compress
    return {
        "stored_bytes": stats.stored_size_bytes,
        "overhead_bytes": (stats.archive_size_bytes - stats.stored_size_bytes) / stats.total_files,
        "zstd_bytes": sum(len(compress(data)) for _name, data in dataset.items()),
    }


TASKS: dict[str, Callable[[str, Path, Dataset, int], Results]] = {
    "write": write,
    "open": open_first,
    "read": read,
    "scan": scan,
    "sizes": sizes,
}


def main() -> None:
    request: dict[str, Any] = json.loads(sys.argv[1])
    busy = machine_busy_seconds()
    answer: dict[str, Any]
    try:
        with Stopwatch() as watch:
            dataset = Dataset(request["dataset"], Path(request["data"]))
            answer = dict(TASKS[request["task"]](request["system"], Path(request["folder"]), dataset, request["seed"]))
        if request["task"] == "write":  # What others do hardly touches CPU times, but it does touch this.
            others = machine_busy_seconds() - busy - watch.cpu_seconds
            answer["noise"] = max(0.0, others / watch.wall_seconds / (os.cpu_count() or 1))
    except Missing as error:
        answer = {"missing": str(error)}
    print(json.dumps(answer), flush=True)
    os._exit(0)  # Taking large heaps down would only cost time.


if __name__ == "__main__":
    main()
