"""Measure the store of archives: routed reads against the bare reader, batches on slow storage, commits.

hatch run bench:store [--rounds N] [--data DIR] [--stores DIR] [--update-docs]

Every ratio is of two figures of the same process, taken in turns. Reads over files in the page cache are timed in CPU
seconds, which others on the machine hardly touch; what waits is timed on the wall.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from des_format import DesReader, DesWriter, locate_shard
from des_format.objects.memory import MemoryObjectStore
from des_format.store import AsyncDesStore, DesStore, NewEntry
from harness.datasets import Dataset
from harness.report import machine, update_document

CACHE = Path(__file__).resolve().parent.parent / ".dev" / "bench"
DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
DAY, AT = "20251125", datetime(2025, 11, 25, tzinfo=UTC)
GETS = 100_000
BATCH = 1000
LATENCY_SECONDS = 0.005
COMMITS = 10_000
COMMIT_BYTES = 4096

Figures = dict[str, float]


def fill(dataset: Dataset, folder: Path) -> None:
    """Write a dataset as one archive, and as a store of 256 shards with one archive each."""
    with DesWriter(folder / "bare.des", compression="none") as bare:
        for name, data in dataset.items():
            bare.add_file(name, data)
    by_shard: dict[str, list[tuple[str, bytes]]] = {}
    for name, data in dataset.items():
        by_shard.setdefault(locate_shard(name, AT).shard_hex, []).append((name, data))
    with DesStore.init(folder / "store") as store:
        for shard, entries in by_shard.items():
            with store.writer(DAY, shard, compression="none") as writer:
                for name, data in entries:
                    writer.add_file(name, data)


def cpu_seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def routed_gets(dataset: Dataset, folder: Path, rounds: int) -> Figures:
    """Random gets through the store and through the reader of one archive with the same entries, in turns."""
    names = random.Random(1).choices(dataset.names(), k=GETS)
    with DesReader(folder / "bare.des") as reader, DesStore.open(folder / "store") as store:
        bare, routed = reader.get_file, store.get
        for name in names[:300]:
            if bare(name) != routed(name, AT):
                raise ValueError(f"the store returns another payload for {name!r}")
        passes: list[tuple[float, float]] = []
        for _ in range(1 + 3 * rounds):
            passes.append(
                (
                    cpu_seconds(lambda: [bare(name) for name in names] and None),
                    cpu_seconds(lambda: [routed(name, AT) for name in names] and None),
                )
            )
    passes = passes[1:]  # The first maps the files.
    return {
        "bare_gets_per_second": GETS / median(one for one, _ in passes),
        "routed_gets_per_second": GETS / median(two for _, two in passes),
        "routed_ratio": median(one / two for one, two in passes),
    }


class _AsyncResult:
    def __init__(self, result: Any) -> None:
        self._result = result
        self.meta, self.range = result.meta, result.range

    async def buffer_async(self) -> Any:
        return self._result.buffer()


class SlowStorage:
    """A store in memory, each of whose answers takes some time, as over a network; counts them."""

    def __init__(self, inner: MemoryObjectStore) -> None:
        self._inner = inner
        self.requests = 0

    def get(self, path: str, *, options: Any = None) -> Any:
        self.requests += 1
        time.sleep(LATENCY_SECONDS)
        return self._inner.get(path, options=options)

    async def get_async(self, path: str, *, options: Any = None) -> Any:
        self.requests += 1
        await asyncio.sleep(LATENCY_SECONDS)
        return _AsyncResult(self._inner.get(path, options=options))


def batches(dataset: Dataset, rounds: int) -> Figures:
    """`get_many` of 1,000 uids over 256 shards against gets one by one, cold, at some milliseconds a request."""
    objects = MemoryObjectStore()
    entries = [NewEntry(name, AT, data) for name, data in islice(dataset.items(), 50 * BATCH)]
    with DesStore.init(objects) as store:
        store.put_many(entries)
    found: dict[str, list[float]] = {"one_by_one": [], "sync": [], "async": [], "requests": [], "cpu": []}
    for number in range(rounds):
        wanted = [(entry.uid, AT) for entry in random.Random(number).sample(entries, BATCH)]
        with DesStore.open(SlowStorage(objects)) as store:
            started = time.perf_counter()
            for request in wanted:
                store.get(*request)
            found["one_by_one"].append(time.perf_counter() - started)
        storage = SlowStorage(objects)
        with DesStore.open(storage) as store:
            storage.requests = 0
            started, cpu = time.perf_counter(), time.process_time()
            if len(store.get_many(wanted)) != BATCH:
                raise ValueError("entries are missing")
            found["sync"].append(time.perf_counter() - started)
            found["cpu"].append(time.process_time() - cpu)
            found["requests"].append(storage.requests)
        found["async"].append(asyncio.run(_get_many(SlowStorage(objects), wanted)))
    medians = {key: median(values) for key, values in found.items()}
    return {f"batch_{key}": value for key, value in medians.items()}


async def _get_many(storage: SlowStorage, wanted: list[Any]) -> float:
    store = await AsyncDesStore.open(storage)
    started = time.perf_counter()
    await store.get_many(wanted)
    return time.perf_counter() - started


class CountingStorage(MemoryObjectStore):
    """A store in memory that counts the bytes written to each kind of object."""

    def __init__(self) -> None:
        super().__init__()
        self.written: Counter[str] = Counter()

    def put(self, path: str, file: Any, *, mode: Any = None) -> Any:
        self.written[Path(path).suffix] += len(file)
        return super().put(path, file, mode=mode)


def commits() -> Figures:
    """Single-entry commits on one shard, in memory: how much manifest is written for how much data."""
    objects = CountingStorage()
    payload = random.Random(3).randbytes(COMMIT_BYTES)
    with DesStore.init(objects, n_bits=0) as store:
        for number in range(COMMITS):
            store.put(f"entry-{number}", AT, payload)
    metadata = objects.written[".manifest"] + objects.written[".commits"]
    return {
        "metadata_bytes_per_archive_byte": metadata / objects.written[".des"],
        "metadata_bytes_per_commit": metadata / COMMITS,
    }


def table(figures: Figures, about: dict[str, Any]) -> str:
    """The figures as markdown."""
    waits = 3 * -(-256 // 32) * LATENCY_SECONDS
    rows = [
        ("routed get, warm, local, 1,000,000 entries in 256 shards, against the bare reader", "at least 0.50 x",
         f"{figures['routed_ratio']:.2f} x", figures["routed_ratio"] >= 0.5),
        ("`get_many` of 1,000 uids over 256 shards at 5 ms a request, against one by one", "at least 5 x",
         f"{figures['batch_one_by_one'] / figures['batch_sync']:.0f} x",
         figures["batch_one_by_one"] >= 5 * figures["batch_sync"]),
        ("the same against the time that its 3 rounds must wait, 32 requests at a time", "at most 1.20 x",
         f"{figures['batch_sync'] / waits:.2f} x", figures["batch_sync"] <= 1.2 * waits),
        ("bytes of manifests for each byte of archives, 10,000 commits of one 4-KiB entry to one shard", "at most 2.00",
         f"{figures['metadata_bytes_per_archive_byte']:.2f}", figures["metadata_bytes_per_archive_byte"] <= 2),
    ]  # fmt: skip
    return "\n".join(
        [
            f"{about['processor']}, {about['memory']} of memory, {about['system']}, Python {about['python']}.",
            "",
            "| target | goal | measured | reached |",
            "|---|---:|---:|---|",
            *(f"| {what} | {goal} | {value} | {'yes' if ok else '**no**'} |" for what, goal, value, ok in rows),
            "",
            f"Routed {figures['routed_gets_per_second']:,.0f} gets a second,"
            f" bare {figures['bare_gets_per_second']:,.0f}. The batch took {figures['batch_sync'] * 1e3:.0f} ms"
            f" (asynchronously {figures['batch_async'] * 1e3:.0f} ms) for {figures['batch_requests']:.0f} requests"
            f" and {figures['batch_cpu'] * 1e3:.0f} ms of CPU, one by one {figures['batch_one_by_one']:.1f} s."
            f" A commit wrote {figures['metadata_bytes_per_commit'] / 1024:.1f} KiB of manifest.",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=CACHE / "data", help="folder of the datasets, made when missing")
    parser.add_argument("--stores", type=Path, default=CACHE / "stores", help="folder for what is written; 1 GB")
    parser.add_argument("--update-docs", action="store_true", help="put the figures into docs/benchmarks.md")
    arguments = parser.parse_args()
    dataset = Dataset("D2", arguments.data)
    folder = arguments.stores / "store-bench"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    figures: Figures = {}
    try:
        print("writing 1,000,000 entries twice", file=sys.stderr, flush=True)
        fill(dataset, folder)
        for name, measure in (
            ("routed gets", lambda: routed_gets(dataset, folder, arguments.rounds)),
            ("batches", lambda: batches(dataset, arguments.rounds)),
            ("commits", commits),
        ):
            print(name, file=sys.stderr, flush=True)
            figures |= measure()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = table(figures, machine())
    print(json.dumps(figures, indent=1), text, sep="\n\n")
    if arguments.update_docs:
        update_document(DOCUMENT, text + "\n", name="store")
    return 0


if __name__ == "__main__":
    sys.exit(main())
