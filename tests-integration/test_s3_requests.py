"""How many requests reads and commits take, counted at the wire between the client and real servers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format import DesWriter
from des_format.routing import locate_shard
from des_format.store import ArchiveOptions, AsyncDesStore, DesStore, NewEntry, StoreOptions
from des_s3 import AsyncS3DesReader, S3DesReader, S3ObjectStore
from servers import CountingProxy, S3Server, Seen
from servers.http1 import Head
from servers.proxies import Connection

MakeObjects = Callable[..., S3ObjectStore]
DAY = "20251125"
NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
OPTIONS = StoreOptions(manifest_ttl_seconds=3600, writing=ArchiveOptions(compression="none"))
ENTRIES = {f"n-{number}": f"payload {number} ".encode() * 30 for number in range(2000)}
SHARD_COUNT = 8
MANIFEST = {"get": 1}
RANGE = {"get_range": 1}


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[CountingProxy]:
    with CountingProxy(s3_server.endpoint_url) as proxy:
        yield proxy


@pytest.fixture(params=["obstore", "boto"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sync", "async"])
def open_store(request: pytest.FixtureRequest, make_objects: MakeObjects, engine: str) -> Iterator[Callable[..., Any]]:
    """Open the store behind a proxy, sync or async; what it returns is called like a `DesStore` in either case."""
    with asyncio.Runner() as runner:
        opened = []

        def open_(proxy: CountingProxy, **options: Any) -> Any:
            # What Ceph wants is known, or its first commit would take some more requests.
            objects = make_objects(endpoint_url=proxy.url, engine=engine, if_match_quotes=False)
            opened.append(objects)
            options = {"options": OPTIONS, **options}
            if request.param == "sync":
                return DesStore.open(objects, **options)
            return _Blocking(runner.run(AsyncDesStore.open(objects, **options)), runner)

        yield open_
        for objects in opened:
            runner.run(objects.aclose())


class _Blocking:
    """An `AsyncDesStore` with methods that wait."""

    def __init__(self, store: AsyncDesStore, runner: asyncio.Runner) -> None:
        self._store = store
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            return self._runner.run(_wait_for(getattr(self._store, name)(*arguments, **options)))

        return call


async def _wait_for(work: Awaitable[Any]) -> Any:
    return await work


@contextmanager
def taking(proxy: CountingProxy, *expected: dict[str, int]) -> Iterator[None]:
    """Expect exactly these requests of a block."""
    proxy.reset()
    yield
    total: Counter[str] = sum((Counter(one) for one in expected), Counter())
    assert proxy.kinds == total, [f"{seen.kind} {seen.target} {seen.status}" for seen in proxy.requests]


@pytest.fixture
def archive(make_objects: MakeObjects) -> str:
    """A store of one shard with one archive, whose index has many blocks; return the archive's key."""
    objects = make_objects()
    with DesStore.init(objects, n_bits=0, options=OPTIONS) as store:
        (receipt, *_) = store.put_many([NewEntry(uid, NOON, data) for uid, data in ENTRIES.items()])
    return f"{DAY}/0_{receipt.archive_id}.des"


# -- reads ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("archive")
def test_a_routed_read_takes_three_requests_cold_and_one_warm(
    open_store: Callable[..., Any], proxy: CountingProxy
) -> None:
    store = open_store(proxy)
    with taking(proxy, MANIFEST, RANGE, RANGE):
        assert store.get("n-7", NOON) == ENTRIES["n-7"]
    with taking(proxy, RANGE):
        assert store.get("n-7", NOON) == ENTRIES["n-7"]


@pytest.mark.usefixtures("archive")
def test_a_located_read_takes_one_request_and_one_before_it_in_a_new_process(
    open_store: Callable[..., Any], proxy: CountingProxy
) -> None:
    locator = open_store(proxy).locator("n-7", NOON).encode()
    store = open_store(proxy)
    with taking(proxy, MANIFEST, RANGE):
        assert store.read_locator(locator) == ENTRIES["n-7"]
    with taking(proxy, RANGE):
        assert store.read_locator(locator) == ENTRIES["n-7"]


READ = """
import sys
from datetime import datetime
from des_cache import DiskIndexCache
from des_format.store import DesStore
url, folder, at, seconds = sys.argv[1:]
with DesStore.open(url, cache=DiskIndexCache(folder), manifest_ttl_seconds=float(seconds)) as store:
    sys.stdout.buffer.write(store.get("n-7", datetime.fromisoformat(at)))
"""


@pytest.mark.usefixtures("archive")
def test_a_second_process_with_an_index_cache_takes_the_payload_and_at_most_a_manifest_without_a_body(
    s3_server: S3Server, proxy: CountingProxy, shared_bucket: str, prefix: str, tmp_path: Path, engine: str
) -> None:
    url = f"s3://{shared_bucket}/{prefix}?endpoint_url={proxy.url}&region={s3_server.region}&engine={engine}"
    descriptor = {"get": 1}
    for seconds, expected in (
        (3600, [descriptor, MANIFEST, RANGE, RANGE]),
        (3600, [descriptor, RANGE]),
        (0, [descriptor, MANIFEST, RANGE]),
    ):
        with taking(proxy, *expected):
            command = [sys.executable, "-c", READ, url, tmp_path, NOON.isoformat(), str(seconds)]
            assert (
                subprocess.run(command, env=s3_server.environment(), capture_output=True, check=True).stdout
                == ENTRIES["n-7"]
            )
    assert [seen.status for seen in proxy.requests if seen.kind == "get"] == [200, 304]


@pytest.mark.usefixtures("archive")
def test_what_is_not_there_is_known_without_a_payload(open_store: Callable[..., Any], proxy: CountingProxy) -> None:
    store = open_store(proxy)
    with taking(proxy, MANIFEST, RANGE):
        assert not store.exists("absent", NOON)
    tomorrow = NOON.replace(day=26)
    with taking(proxy, MANIFEST):
        assert not store.exists("n-7", tomorrow)


@pytest.mark.usefixtures("archive")
def test_a_range_takes_one_request_more_than_the_whole(open_store: Callable[..., Any], proxy: CountingProxy) -> None:
    store = open_store(proxy)
    assert store.get("n-7", NOON) == ENTRIES["n-7"]
    # What the entry is, which stands before its bytes, and these.
    with taking(proxy, RANGE, RANGE):
        assert store.read_range("n-7", NOON, 10, 20) == ENTRIES["n-7"][10:20]


class Rounds(CountingProxy):
    """Answers only when as many requests as given are here: they have to come at the same time, or never end."""

    def __init__(self, upstream: str) -> None:
        super().__init__(upstream)
        self.size = 1
        self.round_count = 0
        self._waiting: list[asyncio.Event] = []

    async def handle(self, connection: Connection, head: Head, seen: Seen) -> bool:
        event = asyncio.Event()
        self._waiting.append(event)
        if len(self._waiting) >= self.size:
            self.round_count += 1
            for waiting in self._waiting:
                waiting.set()
            self._waiting = []
        async with asyncio.timeout(60):
            await event.wait()
        return await super().handle(connection, head, seen)


def test_many_reads_of_many_shards_take_three_rounds_and_one_when_warm(
    make_objects: MakeObjects, open_store: Callable[..., Any], s3_server: S3Server
) -> None:
    with DesStore.init(make_objects(), n_bits=3, options=OPTIONS) as store:
        store.put_many([NewEntry(uid, NOON, data) for uid, data in ENTRIES.items()])
    one_of_each = {locate_shard(uid, NOON, 3).shard_hex: (uid, NOON) for uid in ENTRIES}
    assert len(one_of_each) == SHARD_COUNT
    wanted = {request: ENTRIES[request[0]] for request in one_of_each.values()}
    with Rounds(s3_server.endpoint_url) as proxy:
        store = open_store(proxy)
        for expected in ([MANIFEST, RANGE, RANGE], [RANGE]):
            proxy.round_count, proxy.size = 0, SHARD_COUNT
            with taking(proxy, *(expected * SHARD_COUNT)):
                assert store.get_many(wanted) == wanted
            assert proxy.round_count == len(expected)


@pytest.mark.usefixtures("archive")
def test_neighbours_in_an_archive_are_read_together(open_store: Callable[..., Any], proxy: CountingProxy) -> None:
    store = open_store(proxy)
    wanted = {(uid, NOON): data for uid, data in ENTRIES.items()}
    assert store.get_many(wanted) == wanted
    proxy.reset()
    assert store.get_many(wanted) == wanted
    assert proxy.kinds.keys() == {"get_range"}
    assert proxy.kinds.total() <= 2


# -- commits --------------------------------------------------------------------------------


def test_a_commit_takes_three_requests_in_a_new_process_and_then_two(
    make_objects: MakeObjects, open_store: Callable[..., Any], proxy: CountingProxy
) -> None:
    DesStore.init(make_objects(), n_bits=0).close()
    with taking(proxy, {"get": 1}):
        first = open_store(proxy)
    with taking(proxy, {"create": 1}, MANIFEST, {"create": 1}):
        first.put("a", NOON, b"1")
    with taking(proxy, {"create": 1, "update": 1}):
        first.put("b", NOON, b"2")
    second = open_store(proxy)
    with taking(proxy, {"create": 1}, MANIFEST, {"update": 1}):
        second.put("c", NOON, b"3")
    # The first one's manifest is stale now, which costs it a lost swap and a look at who won.
    with taking(proxy, {"create": 1, "update": 2}, MANIFEST):
        first.put("d", NOON, b"4")


def test_a_deletion_takes_a_commit_after_a_look(
    make_objects: MakeObjects, open_store: Callable[..., Any], proxy: CountingProxy
) -> None:
    DesStore.init(make_objects(), n_bits=0).close()
    store = open_store(proxy)
    store.put("a", NOON, b"1")
    with taking(proxy, RANGE, RANGE, {"put": 1, "update": 1}):
        store.delete("a", NOON, reason="test", by="test")


def test_many_commits_in_a_row_take_little_more_than_two_requests_each(
    make_objects: MakeObjects, proxy: CountingProxy
) -> None:
    with DesStore.init(make_objects(), n_bits=0):
        pass
    with DesStore.open(make_objects(endpoint_url=proxy.url, if_match_quotes=False)) as store:
        proxy.reset()
        for number in range(66):
            store.put(f"{number}", NOON, b"payload")
    # An archive and a manifest each; one look at the first, and a segment for every 32 commits.
    assert proxy.kinds == {"create": 66 + 1 + 2, "get": 1, "update": 65}


def test_what_ceph_wants_is_found_out_once(
    make_objects: MakeObjects, s3_server: S3Server, proxy: CountingProxy
) -> None:
    with DesStore.init(make_objects(endpoint_url=proxy.url), n_bits=0) as store:
        store.put("a", NOON, b"1")
        with taking(proxy, {"create": 1, "update": 1}):
            store.put("b", NOON, b"2")
    with DesStore.open(make_objects(endpoint_url=proxy.url)) as store:
        # The quoted tag is refused, so an object of its own shows whether the quotes are the reason.
        asked = [{"put": 1, "update": 2, "delete": 1}, {"update": 1}] if s3_server.name == "ceph" else []
        with taking(proxy, {"create": 1}, MANIFEST, {"update": 1}, *asked):
            store.put("c", NOON, b"3")
        with taking(proxy, {"create": 1, "update": 1}):
            store.put("d", NOON, b"4")


# -- archives -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many_entries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose index is longer than what is read at the archive's end to open it."""
    path = tmp_path_factory.mktemp("archive") / "many.des"
    with DesWriter(path) as writer:
        for number in range(20_000):
            writer.add_file(f"n-{number}", b"payload %d" % number)
    return path


@pytest.fixture
def connection(s3_session: Any, proxy: CountingProxy, engine: str) -> dict[str, Any]:
    return {"session": s3_session, "endpoint_url": proxy.url, "engine": engine}


def test_a_reader_of_an_archive_takes_three_requests_cold_and_one_warm(
    many_entries: Path,
    make_objects: MakeObjects,
    shared_bucket: str,
    prefix: str,
    proxy: CountingProxy,
    connection: dict[str, Any],
) -> None:
    make_objects().put("many.des", many_entries)
    with taking(proxy, {"get_range": 3}):
        reader = S3DesReader(shared_bucket, f"{prefix}/many.des", **connection)
        assert reader.get_file("n-7") == b"payload 7"
    with taking(proxy, RANGE), reader:
        assert reader.get_file("n-7") == b"payload 7"


async def test_an_asynchronous_reader_of_an_archive_takes_as_many(
    many_entries: Path,
    make_objects: MakeObjects,
    shared_bucket: str,
    prefix: str,
    proxy: CountingProxy,
    connection: dict[str, Any],
) -> None:
    make_objects().put("many.des", many_entries)
    with taking(proxy, {"get_range": 3}):
        reader = await AsyncS3DesReader.open(shared_bucket, f"{prefix}/many.des", **connection)
        assert await reader.get_file("n-7") == b"payload 7"
    with taking(proxy, RANGE):
        assert await reader.get_file("n-7") == b"payload 7"
    await reader.aclose()


def test_the_index_of_a_small_archive_comes_with_its_end(
    archive: str, shared_bucket: str, prefix: str, proxy: CountingProxy, connection: dict[str, Any]
) -> None:
    with (
        taking(proxy, {"get_range": 2}),
        S3DesReader(shared_bucket, f"{prefix}/{archive}", **connection) as reader,
    ):
        assert reader.get_file("n-7") == ENTRIES["n-7"]
