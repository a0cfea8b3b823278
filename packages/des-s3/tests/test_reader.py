"""Archives read from a bucket: every vector, the number of requests, caches, replacement."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from des_format import BigFileMissingError, ByteRange, DesError, DesReader, DesWriter, EntryNotFoundError
from des_format.caches import MemoryIndexCache
from des_format.errors import ObjectChangedError, ObjectNotFoundError
from des_format.sources import BufferSource
from des_s3 import AsyncS3DesReader, S3DesReader, S3Metrics, S3ObjectStore
from moto.s3.models import s3_backends
from prometheus_client import CollectorRegistry

from .conftest import QUICK
from .proxy import Proxy, Request

VECTORS = Path(__file__).parents[2] / "des-format" / "tests" / "vectors"
ARCHIVES = sorted(path.relative_to(VECTORS).as_posix() for path in VECTORS.rglob("*.des"))


@pytest.fixture(scope="module")
def vectors(bucket: str, client: Any) -> str:
    backend = s3_backends["123456789012"]["aws"]
    for path in VECTORS.rglob("*"):
        if path.is_file() and (path.suffix == ".des" or path.parent.name == "_bigFiles"):
            # Over HTTP these would take ten seconds.
            backend.put_object(bucket, f"vectors/{path.relative_to(VECTORS).as_posix()}", path.read_bytes())
    return "vectors"


@pytest.fixture
def connection(endpoint_url: str, session: boto3.Session) -> dict[str, Any]:
    return {"endpoint_url": endpoint_url, "session": session, "retries": QUICK}


def _outcome(read: Callable[[], Any]) -> Any:
    """What a read brings, or the code of its error."""
    try:
        return read()
    except DesError as error:
        return error.code


def _contents(reader: DesReader) -> dict[str, Any]:
    names = _outcome(reader.list_files)
    listed = names if isinstance(names, list) else []
    return {
        "names": names,
        "payloads": [_outcome(partial(_payload, reader, name)) for name in listed[:20]],
        "metas": [_outcome(partial(_meta, reader, name)) for name in listed],
        "batch": _outcome(lambda: {name: _digest(data) for name, data in reader.get_files_batch(listed).items()}),
        "scan": _outcome(lambda: [(entry.name, data and _digest(data)) for entry, data in reader.scan()]),
        "stats": reader.get_stats(),
    }


def _payload(reader: DesReader, name: str) -> str:
    return _digest(reader.get_file(name))


def _meta(reader: DesReader, name: str) -> str:
    return json.dumps(reader.get_meta(name))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class _Bytes:
    """The archive as bytes, and its folder: what a source that is no file sees of an interrupted append."""

    def __init__(self, path: Path) -> None:
        self._source = BufferSource(path.read_bytes(), path.parent)
        self.read_tail = self._source.read_tail
        self.round_count = 0

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> Sequence[bytes]:
        self.round_count += 1
        return self._source.read_ranges(ranges)


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_vector_is_read_as_from_a_file(bucket: str, vectors: str, connection: dict[str, Any], name: str) -> None:
    expected = _outcome(lambda: DesReader(_Bytes(VECTORS / name)))
    found = _outcome(lambda: S3DesReader(bucket, f"{vectors}/{name}", **connection))
    if not isinstance(expected, DesReader):
        assert found == expected
        return
    with found:
        assert _contents(found) == _contents(expected)


# -- requests -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose index is not within its tail, with an external entry and an empty one."""
    folder = tmp_path_factory.mktemp("archive")
    with DesWriter(folder / "archive.des", compression="none", big_file_threshold=100_000) as writer:
        writer.add_file("empty", b"")
        for number in range(12_000):
            writer.add_file(f"name-{number:05d}", b"%d" % number, meta={"number": number})
        writer.add_file("large", bytes(200_000))
    return folder


@pytest.fixture(scope="module")
def cold_name(folder: Path) -> str:
    """An entry whose index block is not within the tail."""
    for number in range(100):
        source = _Bytes(folder / "archive.des")
        DesReader(source).get_file(f"name-{number:05d}")
        if source.round_count == 2:
            return f"name-{number:05d}"
    raise AssertionError("the whole index is within the tail")


@pytest.fixture
def archive(folder: Path, bucket: str, prefix: str, client: Any) -> str:
    for file in (folder / "archive.des", *(folder / "_bigFiles").iterdir()):
        key = f"{prefix}/{file.relative_to(folder).as_posix()}"
        client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
    return f"{prefix}/archive.des"


@pytest.fixture(params=["obstore", "boto"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["sync", "async"])
def open_reader(
    request: pytest.FixtureRequest, bucket: str, connection: dict[str, Any], proxy: Proxy
) -> Iterator[Callable[..., Any]]:
    """Open a reader behind the proxy; of an asynchronous one, the methods can be called as if it were none."""
    connection = connection | {"endpoint_url": proxy.url}
    with asyncio.Runner() as runner:
        opened: list[Any] = []

        def open_(key: str, **options: Any) -> Any:
            if request.param == "sync":
                reader: Any = S3DesReader(bucket, key, **connection | options)
            else:
                reader = _Called(runner.run(AsyncS3DesReader.open(bucket, key, **connection | options)), runner)
            opened.append(reader)
            return reader

        yield open_
        for reader in opened:
            reader.close() if request.param == "sync" else reader.aclose()


class _Called:
    def __init__(self, reader: AsyncS3DesReader, runner: asyncio.Runner) -> None:
        self._reader = reader
        self._runner = runner

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments: self._runner.run(getattr(self._reader, name)(*arguments))


def test_three_requests_cold_and_one_warm(
    open_reader: Any, proxy: Proxy, archive: str, cold_name: str, engine: str
) -> None:
    payload = b"%d" % int(cold_name[5:])
    with proxy.counting() as counts:
        reader = open_reader(archive, engine=engine)
        assert reader.get_file(cold_name) == payload
    assert counts == {"GET": 3}
    with proxy.counting() as counts:
        assert reader.get_file(cold_name) == payload
    assert counts == {"GET": 1}
    with proxy.counting() as counts:
        assert reader.get_file("empty") == b""
        assert reader.read_range(cold_name, 1, 1) == b""
    assert counts["GET"] <= 3  # an index block, and what stands before each payload
    assert {request.operation for request in proxy.requests} == {"GET"}


def test_a_batch_is_two_rounds(open_reader: Any, proxy: Proxy, archive: str) -> None:
    names = [f"name-{number:05d}" for number in range(0, 6000, 600)]
    reader = open_reader(archive)
    with proxy.counting() as counts:
        assert reader.get_files_batch(["none", *names]) == {name: b"%d" % int(name[5:]) for name in names}
    assert set(counts) == {"GET"}
    assert counts["GET"] <= 2 * len(names) + 1


def test_every_request_after_the_first_expects_the_version_of_the_first(
    open_reader: Any, proxy: Proxy, archive: str, engine: str
) -> None:
    reader = open_reader(archive, engine=engine)
    reader.get_file("name-00017")
    reader.get_file("large")
    own = [request for request in proxy.requests if request.path.endswith(".des")]
    assert [("if-match" in request.headers) for request in own] == [False] + [True] * (len(own) - 1)


def test_an_archive_that_is_replaced_is_an_error_never_a_mixture(
    open_reader: Any, proxy: Proxy, archive: str, bucket: str, client: Any, engine: str
) -> None:
    reader = open_reader(archive, engine=engine)
    client.put_object(Bucket=bucket, Key=archive, Body=b"x" * 1_000_000)
    with pytest.raises(ObjectChangedError):
        reader.get_file("name-00017")


def test_a_server_that_ignores_the_version_is_seen_through(
    open_reader: Any, proxy: Proxy, archive: str, bucket: str, client: Any
) -> None:
    def rewrite(request: Request) -> None:
        request.headers.pop("if-match", None)

    proxy.rewrite = rewrite
    reader = open_reader(archive)
    client.put_object(Bucket=bucket, Key=archive, Body=b"x" * 1_000_000)
    with pytest.raises(ObjectChangedError, match="was replaced"):
        reader.get_file("name-00017")


def test_a_missing_archive_entry_and_big_file_are_told_apart(
    open_reader: Any, archive: str, bucket: str, client: Any, engine: str
) -> None:
    with pytest.raises(ObjectNotFoundError):
        open_reader(f"{archive}x", engine=engine)
    reader = open_reader(archive, engine=engine)
    with pytest.raises(EntryNotFoundError):
        reader.get_file("none")
    assert reader.get_file("large") == bytes(200_000)
    folder = f"{archive.rpartition('/')[0]}/_bigFiles/"
    for row in client.list_objects_v2(Bucket=bucket, Prefix=folder)["Contents"]:
        client.delete_object(Bucket=bucket, Key=row["Key"])
    with pytest.raises(BigFileMissingError):
        reader.get_file("large")
    with pytest.raises(BigFileMissingError):
        reader.get_files_batch(["name-00001", "large"])


def test_a_forked_thread_pool_is_not_reused(bucket: str, archive: str, connection: dict[str, Any]) -> None:
    with S3DesReader(bucket, archive, engine="boto", **connection) as reader:
        names = [f"name-{number:05d}" for number in range(0, 6000, 600)]
        assert len(reader.get_files_batch(names)) == 10
        pool = reader._ranges._pool()
        assert reader._ranges._pool() is pool
        reader._ranges._threads = (0, pool)  # as a child sees it
        assert reader._ranges._pool() is not pool
        pool.shutdown()


# -- caches ---------------------------------------------------------------------------------


def test_a_second_reader_with_a_cache_only_asks_for_the_payload(
    open_reader: Any, proxy: Proxy, archive: str, cold_name: str
) -> None:
    cache = MemoryIndexCache()
    payload = open_reader(archive, cache=cache).get_file(cold_name)
    with proxy.counting() as counts:
        assert open_reader(archive, cache=cache).get_file(cold_name) == payload
    assert counts == {"GET": 1}


@pytest.mark.parametrize("name", ["legacy/datavision/example.des", "legacy/des_core/v2_none.des"])
def test_the_index_of_an_older_format_is_cached_as_well(
    open_reader: Any, proxy: Proxy, vectors: str, name: str
) -> None:
    cache = MemoryIndexCache()
    first = open_reader(f"{vectors}/{name}", cache=cache)
    names = first.list_files()
    with proxy.counting() as counts:
        assert open_reader(f"{vectors}/{name}", cache=cache).list_files() == names
    assert not counts


def test_a_replaced_archive_is_noticed_once_and_read_anew(
    open_reader: Any, tmp_path: Path, archive: str, bucket: str, client: Any
) -> None:
    cache = MemoryIndexCache()
    open_reader(archive, cache=cache).get_file("name-00017")
    with DesWriter(tmp_path / "other.des") as writer:
        writer.add_file("name-00017", b"other")
    client.put_object(Bucket=bucket, Key=archive, Body=(tmp_path / "other.des").read_bytes())
    with pytest.raises(ObjectChangedError):
        open_reader(archive, cache=cache).get_file("name-00017")
    assert open_reader(archive, cache=cache).get_file("name-00017") == b"other"


def test_a_cache_that_returns_rubbish_changes_nothing(open_reader: Any, proxy: Proxy, archive: str) -> None:
    cache = MemoryIndexCache()
    open_reader(archive, cache=cache).get_file("name-00017")
    held = {key: cache.get_many([key])[key] for key in list(cache._items)}
    values = list(held.values())
    for damaged in (
        {key: value[:-1] for key, value in held.items()},
        dict.fromkeys(held, b""),
        dict(zip(held, values[1:] + values[:1], strict=True)),
    ):
        cache.set_many(damaged)
        assert open_reader(archive, cache=cache).get_file("name-00017") == b"17"


# -- the rest -------------------------------------------------------------------------------


def test_range_reads_are_counted_by_what_they_are_for(
    bucket: str, archive: str, cold_name: str, connection: dict[str, Any]
) -> None:
    registry = CollectorRegistry()
    with S3DesReader(bucket, archive, metrics=S3Metrics(registry), **connection) as reader:
        reader.get_file(cold_name)
        reader.get_file("large")

    def value(kind: str) -> float | None:
        return registry.get_sample_value("des_s3_range_calls_total", {"backend": "s3", "type": kind})

    assert (value("footer"), value("bigfile")) == (1, 1)
    assert (value("index") or 0) >= 1
    assert (value("payload") or 0) >= 1


def test_a_client_of_ones_own_reads(bucket: str, archive: str, client: Any) -> None:
    with S3DesReader(bucket, archive, client) as reader:
        assert reader.get_file("name-00017") == b"17"
        with reader.open("large") as file:
            file.seek(199_998)
            assert file.read() == b"\0\0"
        assert repr(reader).startswith("<DesReader /tests/")
    assert client.head_object(Bucket=bucket, Key=archive)  # still open


def test_a_store_is_read_by_a_source(make_store: Callable[..., S3ObjectStore], archive: str) -> None:
    from des_s3 import S3RangeSource

    reader = DesReader(S3RangeSource(make_store(), "archive.des"))
    assert reader.get_meta("name-00017") == {"number": 17}
