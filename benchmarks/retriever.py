"""Measure the retriever: its rate against bare frameworks, workers, latency at half load, memory, and S3.

hatch run bench:retriever [--rounds N] [--seconds N] [--only PART ...] [--json] [--update-docs]

Everything is on this machine: the services, each in a process of its own, and wrk, which loads them in turns. So every
ratio is of two figures of the same minute, but all share the cores: on two of them, wrk takes its part.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import quote

import obstore
import uvloop
from des_format import locate_shard
from des_format.store import ArchiveOptions, DesStore, NewEntry, StoreOptions
from des_format.store.model.keys import ShardKey, archive_key
from harness.report import machine, update_document
from obstore.store import S3Store
from retrieving import load
from retrieving.objects import BUCKET
from retrieving.services import Served, object_server, peer, read, retriever
from retrieving.slow import read_slowly

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
DAY, AT = "20251125", datetime(2025, 11, 25, tzinfo=UTC)
N_BITS = 4
ENTRIES = 1000
ENTRY_BYTES = 4096
BIG = "big"
MIB = 2**20
# One that measures and two workers; with fewer cores they only take turns.
CORES_FOR_TWO_WORKERS = 3
# Above this share of requests that had to wait for a connection, the load was more than half of what is possible.
MOST_BEHIND = 0.01
KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}

Figures = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """What all parts share.

    Attributes:
        folder: For the store, and whatever else is written.
        rounds: How often each figure is taken.
        seconds: How long the load for one figure lasts.
        big_mib: Size of the large file.
        clients: How many read it at once.
    """

    folder: Path
    rounds: int
    seconds: float
    big_mib: int
    clients: int

    @property
    def store(self) -> str:
        return str(self.folder / "store")

    @property
    def paths(self) -> Path:
        return self.folder / "paths.txt"

    @property
    def payload(self) -> Path:
        return self.folder / "payload"

    def rate(self, served: Served) -> float:
        return load.requests_per_second(served.url, self.paths, self.seconds)

    def warm(self, *served: Served) -> None:
        """Look at one answer of each, and load it for a while that does not count."""
        path, _, _ = self.paths.read_text(encoding="ascii").partition("\n")
        for one in served:
            if read(one.url + path) != self.payload.read_bytes():
                raise ValueError(f"{one.url} answers with other bytes")
            load.requests_per_second(one.url, self.paths, min(2.0, self.seconds))

    def in_turns(self, measures: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
        """Take every measure in each round."""
        found: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(self.rounds):
            for name, measure in measures.items():
                found[name].append(measure())
        return found


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median of the ratios within each round."""
    return median(a / b for a, b in zip(one, other, strict=True))


def path_of(uid: str) -> str:
    return f"/files/{quote(uid, safe='')}?created_at=2025-11-25T00:00:00Z"


def fill(bench: Bench) -> list[str]:
    """Write the store, the paths of its entries, and the payload of the peers; return the uids."""
    payload = random.Random(1).randbytes(ENTRY_BYTES)
    bench.payload.write_bytes(payload)
    uids = [f"entry-{number:06}" for number in range(ENTRIES)]
    options = StoreOptions(writing=ArchiveOptions(compression="none"))
    with DesStore.init(bench.store, n_bits=N_BITS, options=options) as store:
        store.put_many([NewEntry(uid, AT, payload) for uid in uids])
    bench.paths.write_text("\n".join(map(path_of, uids)), encoding="ascii")
    return uids


# -- 1: how many requests a second ---------------------------------------------------------------


def rates(bench: Bench, _uids: Sequence[str]) -> Figures:
    cpu: dict[str, list[float]] = {"bare": [], "framework": [], "service": []}

    def rate(name: str, served: Served) -> float:
        started = served.cpu_seconds()
        found = bench.rate(served)
        cpu[name].append((served.cpu_seconds() - started) / (found * bench.seconds))
        return found

    with (
        peer("bare", bench.payload) as bare,
        peer("framework", bench.payload) as framework,
        retriever(bench.store) as service,
    ):
        bench.warm(bare, framework, service)
        found = bench.in_turns(
            {
                "bare": partial(rate, "bare", bare),
                "framework": partial(rate, "framework", framework),
                "service": partial(rate, "service", service),
            }
        )
    return {
        **{f"{name}_per_second": median(values) for name, values in found.items()},
        **{f"{name}_cpu_us": median(values) * 1e6 for name, values in cpu.items()},
        "bare_ratio": ratio(found["service"], found["bare"]),
        "framework_ratio": ratio(found["service"], found["framework"]),
    }


def workers(bench: Bench, _uids: Sequence[str]) -> Figures:
    with retriever(bench.store) as one, retriever(bench.store, "--workers=2") as two:
        bench.warm(one, two)
        found = bench.in_turns({"one": partial(bench.rate, one), "two": partial(bench.rate, two)})
    return {
        "one_worker_per_second": median(found["one"]),
        "two_workers_per_second": median(found["two"]),
        "workers_ratio": ratio(found["two"], found["one"]),
    }


# -- 2: latency ------------------------------------------------------------------------------------


def latency(bench: Bench, _uids: Sequence[str]) -> Figures:
    """At half of what the service can; the bare route at the same rate tells what is machine and client."""
    with retriever(bench.store) as service, peer("bare", bench.payload) as bare:
        bench.warm(service, bare)
        rate = median(bench.rate(service) for _ in range(bench.rounds)) / 2
        # The client never rests, and a service that the system puts on its core waits for some 3 ms at a time.
        with _apart(service.pid, bare.pid):
            found = _latencies(bench, {"service": service, "bare": bare}, rate)
    behind = max(one.behind for one in found["service"])
    figures: Figures = {"latency_rate": rate, "latency_by": found["service"][0].by, "latency_behind": behind}
    for name, ones in found.items():
        figures[f"latency_{name}_p50_ms"] = median(one.p50 for one in ones) * 1e3
        figures[f"latency_{name}_p99_ms"] = median(one.p99 for one in ones) * 1e3
        figures[f"latency_{name}_ratio"] = median(one.p99 / one.p50 for one in ones)
    return figures


@contextmanager
def _apart(*servers: int) -> Iterator[None]:
    """Give this process a core of its own, and servers the others, if there are several."""
    cores = os.sched_getaffinity(0)
    own = {min(cores)}
    if len(cores) < 2:
        yield
        return
    for pid in servers:
        os.sched_setaffinity(pid, cores - own)
    os.sched_setaffinity(0, own)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _latencies(bench: Bench, services: Mapping[str, Served], rate: float) -> dict[str, list[load.Latency]]:
    found: dict[str, list[load.Latency]] = {name: [] for name in services}
    for _ in range(bench.rounds):
        for name, one in services.items():
            found[name].append(load.at_rate(one.url, bench.paths, rate, bench.seconds))
    return found


# -- 3: memory of slow clients ---------------------------------------------------------------------


class _Stream:
    """A stream of random bytes that repeat, as long as it should be."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._piece = random.Random(2).randbytes(MIB)

    def read(self, size: int = -1) -> bytes:
        piece = self._piece[: min(len(self._piece), self._left, size if size >= 0 else self._left)]
        self._left -= len(piece)
        return piece


def memory(bench: Bench, _uids: Sequence[str]) -> Figures:
    with DesStore.open(bench.store) as store:
        shard = locate_shard(BIG, AT, n_bits=N_BITS).shard_hex
        with store.writer(DAY, shard, compression="none") as writer:
            writer.add_stream(BIG, _Stream(bench.big_mib * MIB))  # type: ignore[arg-type]
    with retriever(bench.store) as service:
        bench.warm(service)
        before = service.memory_mib("VmRSS")
        service.forget_peak()
        began = time.perf_counter()
        seconds = 4 * bench.seconds
        read = asyncio.run(read_slowly(service.url, path_of(BIG), clients=bench.clients, seconds=seconds))
        return {
            "memory_peak_mib": service.memory_mib("VmHWM"),
            "memory_before_mib": before,
            "memory_clients": bench.clients,
            "memory_file_mib": bench.big_mib,
            "memory_read_mib_per_second": read / MIB / (time.perf_counter() - began),
        }


# -- 4: over S3 ------------------------------------------------------------------------------------


def places_of(bench: Bench, uids: Sequence[str]) -> list[tuple[str, int, int]]:
    """The object of each entry's record, and its bytes there."""
    with DesStore.open(bench.store) as store:
        found = [store.locator(uid, AT) for uid in uids]
    return [
        (archive_key(ShardKey(one.day, one.shard), one.archive_id), one.offset, one.offset + one.length)
        for one in found
    ]


async def _read_for(store: S3Store, places: Sequence[tuple[str, int, int]], seconds: float) -> float:
    """Read records, as many at the same time as wrk has connections; return how many a second."""
    count = 0
    began_at = time.perf_counter()

    async def work(number: int) -> None:
        nonlocal count
        for at in range(number, 10**9, load.CONNECTIONS):
            key, start, end = places[at % len(places)]
            if len(await obstore.get_range_async(store, key, start=start, end=end)) != end - start:
                raise ValueError("the object server sends other bytes")
            count += 1
            if time.perf_counter() - began_at > seconds:
                return

    await asyncio.gather(*(work(number) for number in range(load.CONNECTIONS)))
    return count / (time.perf_counter() - began_at)


def over_s3(bench: Bench, uids: Sequence[str]) -> Figures:
    places = places_of(bench, uids)
    cpu: dict[str, list[float]] = {"obstore": [], "service": []}
    with ExitStack() as stack:
        objects = stack.enter_context(object_server(Path(bench.store)))
        variables = {"DES_BACKEND": "s3", "DES_S3_BUCKET": BUCKET, "DES_S3_ENDPOINT_URL": objects.url}
        service = stack.enter_context(retriever("", **variables, DES_S3_REGION="us-east-1", **KEYS))
        alone = S3Store(
            BUCKET,
            endpoint=objects.url,
            access_key_id="any",
            secret_access_key="any",
            region="us-east-1",
            virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": timedelta(minutes=1)},
        )
        bench.warm(service)

        def obstore_alone() -> float:
            started = time.process_time()
            rate: float = uvloop.run(_read_for(alone, places, bench.seconds))
            cpu["obstore"].append((time.process_time() - started) / (rate * bench.seconds))
            return rate

        def through_service() -> float:
            started = service.cpu_seconds()
            rate = bench.rate(service)
            cpu["service"].append((service.cpu_seconds() - started) / (rate * bench.seconds))
            return rate

        found = bench.in_turns({"obstore": obstore_alone, "service": through_service})
    return {
        "s3_obstore_per_second": median(found["obstore"]),
        "s3_service_per_second": median(found["service"]),
        "s3_ratio": ratio(found["service"], found["obstore"]),
        "s3_obstore_cpu_us": median(cpu["obstore"]) * 1e6,
        "s3_service_cpu_us": median(cpu["service"]) * 1e6,
    }


# -- the table -------------------------------------------------------------------------------------

Row = tuple[str, str, str, bool | None]
PARTS: dict[str, Callable[[Bench, Sequence[str]], Figures]] = {
    "rates": rates,
    "workers": workers,
    "latency": latency,
    "memory": memory,
    "s3": over_s3,
}


def rows(figures: Figures) -> Iterator[Row]:
    """What was to be reached, what was measured, and whether it was; None where the machine cannot tell."""
    if "bare_ratio" in figures:
        found = figures["bare_ratio"]
        what = "warm 4-KiB entries, against a route of Starlette with the bytes in memory"
        yield what, "at least 0.60 x", f"{found:.2f} x", found >= 0.6
        found = figures["framework_ratio"]
        yield "the same against a `def` of FastAPI", "at least 3.0 x", f"{found:.1f} x", found >= 3
    if "workers_ratio" in figures:
        found = figures["workers_ratio"]
        can_tell = (os.cpu_count() or 1) >= CORES_FOR_TWO_WORKERS
        yield "2 workers against 1", "at least 1.8 x", f"{found:.2f} x", found >= 1.8 if can_tell else None
    if "latency_service_ratio" in figures:
        found = figures["latency_service_ratio"]
        kept_up = figures["latency_behind"] <= MOST_BEHIND
        yield "p99 / p50 at half of its highest rate", "at most 5.0", f"{found:.1f}", found <= 5 if kept_up else None
    if "memory_peak_mib" in figures:
        found = figures["memory_peak_mib"]
        what = f"peak of memory, {figures['memory_clients']} slow clients of a file of {figures['memory_file_mib']} MiB"
        yield what, "at most 300 MiB", f"{found:.0f} MiB", found <= 300
    if "s3_ratio" in figures:
        found = figures["s3_ratio"]
        yield "entries over S3, against obstore alone in one process", "at least 0.70 x", f"{found:.2f} x", found >= 0.7


def details(figures: Figures) -> Iterator[str]:
    """The figures behind the ratios, in sentences."""
    if "bare_ratio" in figures:
        yield (
            "Requests a second with one process: retriever {service_per_second:,.0f}, Starlette {bare_per_second:,.0f},"
            " FastAPI {framework_per_second:,.0f}; CPU of each request: {service_cpu_us:.0f}, {bare_cpu_us:.0f} and"
            " {framework_cpu_us:.0f} us."
        )
    if "workers_ratio" in figures:
        yield "Two workers {two_workers_per_second:,.0f}, one {one_worker_per_second:,.0f}."
        if (cores := os.cpu_count() or 1) < CORES_FOR_TWO_WORKERS:
            yield f"That says little: two workers and wrk need {CORES_FOR_TWO_WORKERS} cores, here are {cores}."
    if "latency_service_ratio" in figures:
        yield (
            "At {latency_rate:,.0f} requests a second, p50 {latency_service_p50_ms:.2f} ms and p99"
            " {latency_service_p99_ms:.2f} ms; Starlette at the same rate {latency_bare_p50_ms:.2f} and"
            " {latency_bare_p99_ms:.2f} ms, so p99 / p50 {latency_bare_ratio:.1f} (by {latency_by})."
            " {latency_behind:.1%} of the requests were due when no connection was free."
        )
    if "memory_peak_mib" in figures:
        yield (
            "Before the slow clients it had {memory_before_mib:.0f} MiB; they took {memory_read_mib_per_second:,.0f}"
            " MiB a second together."
        )
    if "s3_ratio" in figures:
        yield (
            "Over S3 (an object server in memory on this machine): retriever {s3_service_per_second:,.0f} requests a"
            " second and {s3_service_cpu_us:.0f} us of CPU each, obstore alone {s3_obstore_per_second:,.0f} and"
            " {s3_obstore_cpu_us:.0f} us."
        )


def table(figures: Figures, about: dict[str, Any]) -> str:
    """The figures as markdown."""
    said = {True: "yes", False: "**no**", None: "cannot be told here"}
    return "\n".join(
        [
            f"{about['processor']}, {about['memory']} of memory, {about['system']}, Python {about['python']}.",
            "",
            "| target | goal | measured | reached |",
            "|---|---:|---:|---|",
            *(f"| {what} | {goal} | {value} | {said[reached]} |" for what, goal, value, reached in rows(figures)),
            "",
            " ".join(details(figures)).format(**figures),
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="how long the load for one figure lasts")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="these parts")
    parser.add_argument("--big-mib", type=int, default=1024, help="size of the file that slow clients read")
    parser.add_argument("--clients", type=int, default=100, help="how many slow clients")
    parser.add_argument("--folder", type=Path, help="where the store is written, for as long as it takes")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, and no table")
    parser.add_argument("--update-docs", action="store_true", help="put the table into docs/benchmarks.md")
    arguments = parser.parse_args()
    if lacking := load.missing():
        sys.exit(lacking)
    figures: Figures = {}
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="retriever-bench-") as folder:
        bench = Bench(Path(folder), arguments.rounds, arguments.seconds, arguments.big_mib, arguments.clients)
        uids = fill(bench)
        for name in arguments.only:
            print(name, file=sys.stderr, flush=True)
            figures |= PARTS[name](bench, uids)
    text = table(figures, machine())
    print(json.dumps(figures, indent=1) if arguments.json else text)
    if arguments.update_docs:
        update_document(DOCUMENT, text + "\n", name="retriever")
    return 0


if __name__ == "__main__":
    sys.exit(main())
