"""Source files read by their URI."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from des_format.errors import InvalidInputError, ObjectChangedError, ObjectNotFoundError, UnavailableError
from des_s3 import S3FileReader, S3Metrics
from prometheus_client import CollectorRegistry

from .conftest import QUICK
from .proxy import Proxy

CONTENT = os.urandom(250_000)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def reader(proxy: Proxy, session: boto3.Session, registry: CollectorRegistry) -> Iterator[S3FileReader]:
    metrics = S3Metrics(registry)
    with S3FileReader(
        session=session, metrics=metrics, window_bytes=100_000, endpoint_url=proxy.url, retries=QUICK
    ) as reader:
        yield reader


@pytest.fixture
def put(bucket: str, prefix: str, client: Any) -> Callable[..., str]:
    """Store an object, and return its URI."""

    def put(name: str, content: bytes) -> str:
        client.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=content)
        return f"s3://{bucket}/{prefix}/{name}"

    return put


@pytest.mark.parametrize("name", ["a", "größe 100%.txt", "a//b", ".hidden", "a?b#c", "%2e", "a+b"])
def test_an_object_of_any_name_is_read(reader: S3FileReader, put: Callable[..., str], name: str) -> None:
    uri = put(name, CONTENT)
    assert reader.read(uri) == CONTENT
    assert reader.describe(uri)["size"] == len(CONTENT)
    with reader.open(uri) as file:
        assert file.read() == CONTENT


@pytest.mark.parametrize("size", [0, 1, 99_999, 100_000, 100_001, 250_000])
def test_a_file_is_read_window_by_window(
    reader: S3FileReader, put: Callable[..., str], proxy: Proxy, size: int
) -> None:
    uri = put("a", CONTENT[:size])
    with proxy.counting() as counts, reader.open(uri) as file:
        assert file.read() == CONTENT[:size]
    assert counts["GET"] == max(1, -(-size // 100_000))
    assert reader.read(uri) == CONTENT[:size]


def test_a_file_can_be_sought_in(reader: S3FileReader, put: Callable[..., str]) -> None:
    with reader.open(put("a", CONTENT)) as file:
        assert file.seek(-10, io.SEEK_END) == 249_990
        assert file.read(100) == CONTENT[-10:]
        assert file.seek(5) == 5
        assert file.read(10) == CONTENT[5:15]
        file.seek(150_000, io.SEEK_CUR)
        assert file.read(1) == CONTENT[150_015:150_016]
        file.seek(10**9)
        assert file.read(1) == b""
        with pytest.raises((OSError, ValueError)):
            file.seek(-1)


def test_a_network_that_fails_is_read_through(reader: S3FileReader, put: Callable[..., str], proxy: Proxy) -> None:
    uri = put("a", CONTENT)
    for kind, options in (("reset", {}), ("cut_body", {"after_bytes": 1000}), ("status", {"status": 503})):
        fault = proxy.fail(kind, "GET", times=2, **options)  # type: ignore[arg-type]
        assert reader.read(uri) == CONTENT
        assert fault.hits == 2
    fault = proxy.fail("cut_body", "GET", skip=1, times=2, after_bytes=5)
    with reader.open(uri) as file:
        assert file.read() == CONTENT


def test_a_source_that_changes_while_it_is_read_is_an_error(reader: S3FileReader, put: Callable[..., str]) -> None:
    with reader.open(put("a", CONTENT)) as file:
        assert file.read(10) == CONTENT[:10]
        put("a", CONTENT[::-1])
        with pytest.raises(ObjectChangedError):
            file.read()


def test_reads_are_counted_and_timed(
    reader: S3FileReader, put: Callable[..., str], registry: CollectorRegistry, proxy: Proxy
) -> None:
    uri = put("a", CONTENT)
    reader.read(uri)
    with reader.open(uri) as file:
        file.read()
    with pytest.raises(ObjectNotFoundError):
        reader.read(f"{uri}x")
    proxy.fail("status", "GET", times=100)
    with pytest.raises(UnavailableError):
        reader.open(uri)
    value = registry.get_sample_value
    assert value("des_s3_source_reads_total", {"status": "ok"}) == 2
    assert value("des_s3_source_reads_total", {"status": "error"}) == 2
    assert value("des_s3_source_bytes_downloaded_total") == 2 * len(CONTENT)
    assert value("des_s3_source_read_seconds_count", {"status": "error"}) == 2


@pytest.mark.parametrize("uri", ["", "a", "s3://", "s3://bucket", "s3://bucket/", "s3:///key", "http://bucket/key"])
def test_what_is_no_uri_is_refused(uri: str, client: Any) -> None:
    with pytest.raises(InvalidInputError):
        S3FileReader(client).read(uri)


def test_a_client_of_ones_own_reads(put: Callable[..., str], client: Any) -> None:
    uri = put("a", CONTENT)
    with S3FileReader(client) as reader:
        assert reader.read(uri) == CONTENT
    with pytest.raises(InvalidInputError):
        S3FileReader(client, window_bytes=0)
