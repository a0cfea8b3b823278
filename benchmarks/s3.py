"""Measure DES on S3: the CPU a read costs, cold random reads, batches on a slow link, packing, a cache in Redis.

hatch run bench:s3 [--server ceph|moto] [--rounds N] [--entries N] [--reads N] [--pack-mib N] [--update-docs]

Everything runs against one server of `tests-integration/servers` on this machine, and every ratio is of two figures
taken in turns. What a read costs is CPU seconds of this process with all of its threads: the server and other users of
the machine are not in it. What waits is timed on the wall.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import boto3
import obstore
import redis
from boto3.s3.transfer import TransferConfig
from des_cache import RedisIndexCache
from des_format import DesWriter
from des_format.hashtable import block_of, name_hash
from des_format.layout import BLOCK_SIZE, FOOTER_SIZE, decode_footer
from des_format.names import encode_name
from des_format.planner import TransferCost
from des_format.store import AsyncDesStore, DesStore, NewEntry, StoreOptions
from des_format.store.model.keys import ShardKey, archive_key
from des_s3 import AsyncS3DesReader, S3DesReader, S3Metrics, S3ObjectStore
from harness.meter import ExtraMemory, Stopwatch
from harness.report import machine, update_document
from obstore.store import S3Store
from prometheus_client import CollectorRegistry

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests-integration"))

from servers import KINDS, FaultProxy, Latency, S3Server, Servers  # noqa: E402

DOCUMENT = ROOT / "docs" / "benchmarks.md"
AT = datetime(2025, 11, 25, tzinfo=UTC)
BUCKET = "bench"
ARCHIVE = "cold.des"
STORE_ENTRIES = 2000
STORE_PAYLOAD_BYTES = 4096
COLD_PAYLOAD_BYTES = 1000
IN_FLIGHT = 32
BATCH = 1000
LATENCY_SECONDS = 0.02
LINK_BYTES_PER_SECOND = 1.25e9
WIDE = 64
PACK_PAYLOAD_BYTES = 256 << 10
REDIS_GETS = 2000
OPTIONS = StoreOptions(manifest_ttl_seconds=3600)

Figures = dict[str, float]


class Place(NamedTuple):
    """A record: its object and its bytes there."""

    key: str
    start: int
    end: int


@dataclass(frozen=True)
class Bench:
    """One server, and how clients reach it."""

    server: S3Server

    def session(self) -> boto3.Session:
        return boto3.Session(self.server.access_key, self.server.secret_key, region_name=self.server.region)

    def connection(self, **others: Any) -> dict[str, Any]:
        """Arguments of `S3ObjectStore` and of the readers."""
        return {"session": self.session(), "endpoint_url": self.server.endpoint_url, **others}

    def objects(self, prefix: str = "") -> S3ObjectStore:
        return S3ObjectStore(BUCKET, prefix, **self.connection())

    def bare(self) -> S3Store:
        return S3Store(
            BUCKET,
            endpoint=self.server.endpoint_url,
            access_key_id=self.server.access_key,
            secret_access_key=self.server.secret_key,
            region=self.server.region,
            virtual_hosted_style_request=False,
            client_options={"allow_http": True, "timeout": timedelta(minutes=10)},
        )


def cpu_seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


async def in_flight(calls: Sequence[Callable[[], Awaitable[Any]]], count: int = IN_FLIGHT) -> None:
    """Make calls, `count` at the same time."""
    following = iter(calls)

    async def work() -> None:
        for call in following:
            await call()

    await asyncio.gather(*(work() for _ in range(count)))


def in_turns(rounds: int, measures: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Take every measure in each round, after one round that does not count."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds + 1):
        for name, measure in measures.items():
            value = measure()
            if number:
                found[name].append(value)
    return found


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """The median of the ratios within each round."""
    return median(a / b for a, b in zip(one, other, strict=True))


# -- 1: what a warm get costs ---------------------------------------------------------------


def fill_store(bench: Bench) -> tuple[list[str], dict[str, Place]]:
    """Write a store of 16 shards with one archive each; return all uids, and where their records are."""
    payload = random.Random(1).randbytes(STORE_PAYLOAD_BYTES)
    entries = [NewEntry(f"entry-{number:06}", AT, payload) for number in range(STORE_ENTRIES)]
    with DesStore.init(bench.objects("store"), n_bits=4, options=OPTIONS) as store:
        store.put_many(entries)
    places = {}
    with DesStore.open(bench.objects("store"), options=OPTIONS) as store:
        for entry in entries:
            found = store.locator(entry.uid, AT)
            key = f"store/{archive_key(ShardKey(found.day, found.shard), found.archive_id)}"
            places[entry.uid] = Place(key, found.offset, found.offset + found.length)
    return list(places), places


def warm_gets(bench: Bench, rounds: int, count: int) -> Figures:
    uids, places = fill_store(bench)
    # One archive, because a reader of an archive has no other: a shard is chosen, and its entries repeat.
    key = places[uids[0]].key
    chosen = random.Random(2).choices([uid for uid in uids if places[uid].key == key], k=count)
    with asyncio.Runner() as runner, DesStore.open(bench.objects("store"), options=OPTIONS) as store:
        bare, client = bench.bare(), bench.server.client()
        asynchronous = runner.run(AsyncDesStore.open(bench.objects("store"), options=OPTIONS))
        reader = runner.run(AsyncS3DesReader.open(BUCKET, key, max_parallel=IN_FLIGHT, **bench.connection()))

        def boto(place: Place) -> bytes:
            answer = client.get_object(Bucket=BUCKET, Key=place.key, Range=f"bytes={place.start}-{place.end - 1}")
            body: bytes = answer["Body"].read()
            return body

        def loop(call: Callable[[str], Awaitable[Any]]) -> float:
            return cpu_seconds(lambda: runner.run(in_flight([partial(call, uid) for uid in chosen])))

        def each(call: Callable[[str], Any]) -> float:
            return cpu_seconds(lambda: [call(uid) for uid in chosen] and None)

        async def bare_async(uid: str) -> Any:
            place = places[uid]
            return await obstore.get_range_async(bare, place.key, start=place.start, end=place.end)

        def bare_sync(uid: str) -> Any:
            place = places[uid]
            return obstore.get_range(bare, place.key, start=place.start, end=place.end)

        payload = store.get(chosen[0], AT)
        if not bytes(bare_sync(chosen[0])).endswith(payload) or not boto(places[chosen[0]]).endswith(payload):
            raise ValueError("the peers read other bytes than the store")
        found = in_turns(
            rounds,
            {
                "obstore": lambda: each(bare_sync),
                "store": lambda: each(lambda uid: store.get(uid, AT)),
                "boto": lambda: each(lambda uid: boto(places[uid])),
                "obstore_async": lambda: loop(bare_async),
                "store_async": lambda: loop(lambda uid: asynchronous.get(uid, AT)),
                "reader_async": lambda: loop(reader.get_file),
            },
        )
        runner.run(reader.aclose())
    figures = {f"warm_{name}_cpu_us": median(values) / count * 1e6 for name, values in found.items()}
    for name in ("store", "store_async", "reader_async"):
        peer = found["obstore_async" if name.endswith("async") else "obstore"]
        figures[f"warm_{name}_ratio"] = ratio(found[name], peer)
        figures[f"warm_{name}_boto_ratio"] = ratio(found["boto"], found[name])
    return figures


# -- 2: random reads of a cold archive ------------------------------------------------------


def entry_name(number: int) -> str:
    return f"entry-{number:08}"


def write_archive(bench: Bench, entry_count: int) -> None:
    chance = random.Random(4)
    with bench.objects() as objects, DesWriter(objects.target(ARCHIVE), compression="none") as writer:
        for number in range(entry_count):
            writer.add_file(entry_name(number), chance.randbytes(COLD_PAYLOAD_BYTES))


def known_places(bench: Bench, names: set[str]) -> dict[str, Place]:
    with S3DesReader(BUCKET, ARCHIVE, **bench.connection()) as reader:
        return {
            entry.name: Place(ARCHIVE, entry.offset, entry.offset + entry.length)
            for entry in reader.entries()
            if entry.name in names
        }


def touched_index_bytes(bench: Bench, names: Sequence[str]) -> int:
    """Bytes of the index blocks that the names hash to."""
    data = bytes(bench.objects().get(ARCHIVE, options={"range": {"suffix": FOOTER_SIZE}}).data)
    footer = decode_footer(data, archive_size=bench.objects().head(ARCHIVE)["size"])
    blocks = {block_of(name_hash(encode_name(name), footer.hash_seed), footer.index_block_count) for name in names}
    return len(blocks) * BLOCK_SIZE


def cold_reads(bench: Bench, rounds: int, entry_count: int, read_count: int) -> Figures:
    numbers = random.Random(5).sample(range(entry_count), read_count)
    names = [entry_name(number) for number in numbers]
    places = known_places(bench, set(names))
    client = bench.server.client()
    counted: dict[str, float] = {}

    def boto_get(name: str) -> int:
        place = places[name]
        answer = client.get_object(Bucket=BUCKET, Key=place.key, Range=f"bytes={place.start}-{place.end - 1}")
        return len(answer["Body"].read())

    def boto(pool: ThreadPoolExecutor) -> float:
        return cpu_seconds(lambda: sum(pool.map(boto_get, names)))

    async def read_all() -> None:
        registry = CollectorRegistry()
        connection = bench.connection(metrics=S3Metrics(registry))
        async with await AsyncS3DesReader.open(BUCKET, ARCHIVE, max_parallel=IN_FLIGHT, **connection) as reader:
            await in_flight([partial(reader.get_file, name) for name in names])
        labels = {"operation": "get_object"}
        counted["bytes"] = registry.get_sample_value("des_s3_request_bytes_total", labels) or 0.0
        counted["requests"] = registry.get_sample_value("des_s3_requests_total", labels | {"outcome": "ok"}) or 0.0

    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        found = in_turns(
            rounds, {"des": lambda: cpu_seconds(lambda: asyncio.run(read_all())), "boto": lambda: boto(pool)}
        )
    least = read_count * COLD_PAYLOAD_BYTES + touched_index_bytes(bench, names)
    entries_ratio = ratio(found["boto"], found["des"])
    return {
        "cold_requests": counted["requests"],
        "cold_des_requests_per_cpu_second": counted["requests"] / median(found["des"]),
        "cold_des_entries_per_cpu_second": read_count / median(found["des"]),
        "cold_boto_requests_per_cpu_second": read_count / median(found["boto"]),
        "cold_requests_ratio": entries_ratio * counted["requests"] / read_count,
        "cold_entries_ratio": entries_ratio,
        "cold_bytes_ratio": counted["bytes"] / least,
        "cold_record_bytes_ratio": counted["bytes"]
        / (sum(place.end - place.start for place in places.values()) + touched_index_bytes(bench, names)),
    }


# -- 3: batches over a slow link ------------------------------------------------------------


def serve_slowly(upstream: str, seconds: float, pipe: Any) -> None:
    """Run a proxy that delays every request, until the pipe says something."""
    with FaultProxy(upstream, lambda _seen: Latency(seconds)) as proxy:
        pipe.send(proxy.url)
        pipe.recv()


@contextmanager
def slow_endpoint(bench: Bench, seconds: float = LATENCY_SECONDS) -> Iterator[str]:
    """A proxy in a process of its own, so that its work is not the client's."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve_slowly, args=(bench.server.endpoint_url, seconds, theirs), daemon=True
    )
    process.start()
    yield ours.recv()
    ours.send(None)
    process.join()


def slow_batches(bench: Bench, rounds: int, entry_count: int) -> Figures:
    tuned = {
        "max_parallel": WIDE,
        "cost": TransferCost.from_network(
            latency_seconds=LATENCY_SECONDS, bytes_per_second=LINK_BYTES_PER_SECOND, concurrency=WIDE
        ),
    }
    chance = random.Random(6)
    counted: dict[str, float] = {}
    with slow_endpoint(bench) as slow, slow_endpoint(bench, 0) as quick:

        def batch(name: str, url: str, options: dict[str, Any]) -> float:
            names = [entry_name(number) for number in chance.sample(range(entry_count), BATCH)]
            registry = CollectorRegistry()
            connection = bench.connection(endpoint_url=url, metrics=S3Metrics(registry))
            with S3DesReader(BUCKET, ARCHIVE, **connection, **options) as reader, Stopwatch() as watch:
                if len(reader.get_files_batch(names)) != BATCH:
                    raise ValueError("entries are missing")
            labels = {"operation": "get_object", "outcome": "ok"}
            counted[f"{name}_requests"] = (registry.get_sample_value("des_s3_requests_total", labels) or 0) - 1
            return watch.wall_seconds

        found = in_turns(
            rounds,
            {
                "batch_default": lambda: batch("batch_default", slow, {}),
                "batch_tuned": lambda: batch("batch_tuned", slow, tuned),
                "batch_undelayed": lambda: batch("batch_undelayed", quick, tuned),
            },
        )
    return counted | {f"{name}_round_trips": median(values) / LATENCY_SECONDS for name, values in found.items()}


# -- 4: packing -----------------------------------------------------------------------------


def pack(bench: Bench, source: Path, key: str) -> None:
    with bench.objects() as objects:
        objects.put("warm", b"")  # The client is made, as it is on the other side.
        with source.open("rb") as file, DesWriter(objects.target(key), compression="none") as writer:
            number = 0
            while data := file.read(PACK_PAYLOAD_BYTES):
                writer.add_file(entry_name(number), data)
                number += 1


def upload(bench: Bench, source: Path, key: str) -> None:
    client = bench.server.client()
    client.put_object(Bucket=BUCKET, Key="warm", Body=b"")
    with source.open("rb") as file:
        client.upload_fileobj(file, BUCKET, key, Config=TransferConfig())


def measured(task: Callable[[Bench, Path, str], None], bench: Bench, source: Path, key: str) -> tuple[float, ...]:
    """Wall and CPU seconds, and the peak of extra memory, of this process."""
    task(bench, ROOT / "LICENSE", f"{key}-small")  # Imports and clients are there.
    with ExtraMemory() as memory, Stopwatch() as watch:
        task(bench, source, key)
    bench.server.client().delete_object(Bucket=BUCKET, Key=key)
    return watch.wall_seconds, watch.cpu_seconds, memory.bytes


def packing(bench: Bench, rounds: int, size: int, folder: Path) -> Figures:
    source = folder / "source"
    with source.open("wb") as file:
        for number in range(size >> 20):
            file.write(random.Random(number).randbytes(1 << 20))
    found: dict[str, list[tuple[float, ...]]] = {"pack": [], "upload": []}
    for number in range(rounds):
        for name, task in (("pack", pack), ("upload", upload)):
            # Each in a fresh process: memory that an earlier one got and freed would not count.
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found[name].append(pool.apply(measured, (task, bench, source, f"{name}-{number}")))
    figures: Figures = {
        "pack_ratio": ratio([one[0] for one in found["upload"]], [one[0] for one in found["pack"]]),
        "pack_cpu_ratio": ratio([one[1] for one in found["pack"]], [one[1] for one in found["upload"]]),
    }
    for name, values in found.items():
        figures[f"{name}_bytes_per_second"] = size / median(one[0] for one in values)
        figures[f"{name}_cpu_seconds"] = median(one[1] for one in values)
        figures[f"{name}_extra_bytes"] = max(one[2] for one in values)
    return figures


# -- 5: a cache in Redis --------------------------------------------------------------------


def redis_hits(url: str, rounds: int) -> Figures:
    with redis.Redis.from_url(url) as client:
        cache = RedisIndexCache(client, "bench:")
        cache.set("block", random.Random(7).randbytes(BLOCK_SIZE))

        def hit() -> None:
            if cache.get("block") is None:
                raise ValueError("the cache missed")

        cpu: dict[str, list[float]] = {"hit": [], "bare": []}
        wall: dict[str, list[float]] = {"hit": [], "bare": []}
        for _ in range(rounds + 1):
            for name, call in (("hit", hit), ("bare", lambda: client.get("bench:block"))):
                with Stopwatch() as watch:
                    for _ in range(REDIS_GETS):
                        call()
                cpu[name].append(watch.cpu_seconds)
                wall[name].append(watch.wall_seconds)
        cache.close()
    return {
        "redis_hit_cpu_us": median(cpu["hit"][1:]) / REDIS_GETS * 1e6,
        "redis_bare_cpu_us": median(cpu["bare"][1:]) / REDIS_GETS * 1e6,
        "redis_cpu_ratio": ratio(cpu["hit"][1:], cpu["bare"][1:]),
        "redis_wall_ratio": ratio(wall["hit"][1:], wall["bare"][1:]),
    }


# -- the report -----------------------------------------------------------------------------


class Row(NamedTuple):
    """A target: what, goal, figure, and whether there it is reached (None: there is no goal)."""

    what: str
    key: str
    goal: float | None = None
    at_most: bool = True
    form: str = "{:.2f} x"
    unit: float = 1.0

    def markdown(self, figures: Figures) -> str:
        value = figures[self.key] / self.unit
        if self.goal is None:
            return f"| {self.what} | - | {self.form.format(value)} | - |"
        reached = value <= self.goal if self.at_most else value >= self.goal
        goal = f"{'at most' if self.at_most else 'at least'} {self.form.format(self.goal)}"
        return f"| {self.what} | {goal} | {self.form.format(value)} | {'yes' if reached else '**no**'} |"


def rows(arguments: argparse.Namespace) -> list[Row]:
    of = f"{arguments.reads:,} random entries of a cold archive of {arguments.entries:,}, 32 in flight"
    batch = "`get_files_batch` of 1,000 random entries at 20 ms a request"
    pack_ = f"packing {arguments.pack_mib:,} MiB to S3"
    trips = "{:.1f} round trips"
    calls = (("`DesStore`", "store"), ("`AsyncDesStore`", "store_async"), ("`AsyncS3DesReader`", "reader_async"))
    warm, less = "CPU of a warm get against obstore's `get_range`", "times less CPU than boto3's `get_object`"
    times = "{:.1f} x"
    link = f"{WIDE} in parallel and the cost of a link of 10 Gbit/s"
    return [
        *(Row(f"{name}: {warm}", f"warm_{key}_ratio", 1.3) for name, key in calls),
        *(Row(f"{name}: {less}", f"warm_{key}_boto_ratio", 5, at_most=False, form=times) for name, key in calls),
        Row(f"{of}: requests a CPU second against boto3 that knows the places", "cold_requests_ratio", form=times),
        Row("the same, entries a CPU second", "cold_entries_ratio", form=times),
        Row("the same, bytes fetched against payloads and touched index blocks", "cold_bytes_ratio"),
        Row(f"{batch}, as a reader is by default", "batch_default_round_trips", 6, form=trips),
        Row(f"{batch}, {link}", "batch_tuned_round_trips", 6, form=trips),
        Row(f"{pack_}, rate against boto3's `upload_fileobj` of a file", "pack_ratio", 0.8, at_most=False),
        Row(f"{pack_}, peak of extra memory", "pack_extra_bytes", 200, form="{:,.0f} MiB", unit=2**20),
        Row("hit of an index block in `RedisIndexCache` against a bare `GET`, wall", "redis_wall_ratio", 1.5),
        Row("the same, CPU", "redis_cpu_ratio", 1.5),
    ]


def table(figures: Figures, about: dict[str, Any], arguments: argparse.Namespace, server: S3Server) -> str:
    """The figures as markdown."""
    warm = {key[5:-7]: figure for key, figure in figures.items() if key.startswith("warm_") and key.endswith("_cpu_us")}
    return "\n".join(
        [
            f"{about['processor']}, {about['memory']} of memory, {about['system']}, Python {about['python']};"
            f" {server.name} {server.version} on the same machine. Medians of {arguments.rounds} rounds"
            f" ({arguments.pack_rounds} of packing).",
            "",
            "| target | goal | measured | reached |",
            "|---|---:|---:|---|",
            *(row.markdown(figures) for row in rows(arguments)),
            "",
            f"CPU of a warm get of {STORE_PAYLOAD_BYTES:,} bytes, one at a time: obstore {warm['obstore']:,.0f} µs,"
            f" `DesStore` {warm['store']:,.0f} µs, boto3 {warm['boto']:,.0f} µs; asynchronous, 32 in flight: obstore"
            f" {warm['obstore_async']:,.0f} µs, `AsyncDesStore` {warm['store_async']:,.0f} µs, `AsyncS3DesReader`"
            f" {warm['reader_async']:,.0f} µs.",
            f"Cold: {figures['cold_requests']:,.0f} requests, {figures['cold_des_requests_per_cpu_second']:,.0f} a CPU"
            f" second, for {figures['cold_des_entries_per_cpu_second']:,.0f} entries a CPU second; boto3"
            f" {figures['cold_boto_requests_per_cpu_second']:,.0f}. Against whole records, with their heads and names,"
            f" and touched blocks it fetched {figures['cold_record_bytes_ratio']:.2f} x.",
            f"Batches took {figures['batch_default_requests']:,.0f} and {figures['batch_tuned_requests']:,.0f}"
            " requests. Where the proxy delays nothing, the second kind takes as long as"
            f" {figures['batch_undelayed_round_trips']:.1f} round trips would.",
            f"Packing: {figures['pack_bytes_per_second'] / 1e6:,.0f} MB/s and {figures['pack_cpu_seconds']:.1f} s of"
            f" CPU, boto3 {figures['upload_bytes_per_second'] / 1e6:,.0f} MB/s, {figures['upload_cpu_seconds']:.1f} s"
            f" and {figures['upload_extra_bytes'] / 2**20:,.0f} MiB. A hit in Redis costs"
            f" {figures['redis_hit_cpu_us']:.0f} µs of CPU, a bare `GET` {figures['redis_bare_cpu_us']:.0f} µs.",
        ]
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=["ceph", "moto"], help="default: ceph where it is installed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gets", type=int, default=400, help="warm gets in a round")
    parser.add_argument("--entries", type=int, default=200_000, help="of the cold archive")
    parser.add_argument("--reads", type=int, default=2000, help="random reads of it in a round")
    parser.add_argument("--pack-mib", type=int, default=512)
    parser.add_argument("--pack-rounds", type=int, default=3, help="the server holds every copy in memory")
    parser.add_argument("--only", nargs="*", help="some of warm, cold, batch, pack, redis; prints figures, no table")
    parser.add_argument("--update-docs", action="store_true", help="put the figures into docs/benchmarks.md")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["NO_PROXY"] = "127.0.0.1"
    with tempfile.TemporaryDirectory(prefix="des-bench-") as temporary:
        folder = Path(temporary)
        servers = Servers(folder / "servers")
        try:
            return measure(arguments, servers, folder)
        finally:
            servers.close()


def measure(arguments: argparse.Namespace, servers: Servers, folder: Path) -> int:
    kind = arguments.server or ("moto" if KINDS["ceph"].missing() else "ceph")
    known = servers.get(kind)
    server = S3Server(kind, *(known[name] for name in ("version", "endpoint_url", "access_key", "secret_key")))
    bench = Bench(server)
    server.client().create_bucket(Bucket=BUCKET)
    rounds, entries = arguments.rounds, arguments.entries
    steps: dict[str, Callable[[], Figures]] = {
        "warm": lambda: warm_gets(bench, rounds, arguments.gets),
        "cold": lambda: cold_reads(bench, rounds, entries, arguments.reads),
        "batch": lambda: slow_batches(bench, rounds, entries),
        "pack": lambda: packing(bench, arguments.pack_rounds, arguments.pack_mib << 20, folder),
        "redis": lambda: redis_hits(servers.get("valkey")["url"], rounds),
    }
    chosen = arguments.only or list(steps)
    if {"cold", "batch"} & set(chosen):
        print(f"writing {entries:,} entries", file=sys.stderr, flush=True)
        write_archive(bench, entries)
    figures: Figures = {}
    for name in chosen:
        print(name, file=sys.stderr, flush=True)
        figures |= steps[name]()
    print(json.dumps(figures, indent=1))
    if not arguments.only:
        text = table(figures, machine(), arguments, server)
        print("", text, sep="\n")
        if arguments.update_docs:
            update_document(DOCUMENT, text + "\n", name="s3")
    return 0


if __name__ == "__main__":
    sys.exit(main())
