"""Uploads that arrive damaged, at real servers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from des_format.errors import ObjectNotFoundError, UnavailableError
from des_s3 import RetryPolicy, S3ObjectStore
from servers import CountingProxy, S3Server, Seen
from servers.http1 import Head
from servers.proxies import Connection

MakeObjects = Callable[..., S3ObjectStore]
PART = 5 << 20
CONTENT = os.urandom(2 * PART + 1)
QUICK = RetryPolicy(attempts=3, deadline_seconds=20.0, first_wait_seconds=0.01, max_wait_seconds=0.02)


class _FlippedReader:
    """A stream whose next byte has another first bit."""

    def __init__(self, inner: asyncio.StreamReader) -> None:
        self._inner = inner
        self._is_flipped = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def read(self, length: int) -> bytes:
        data = await self._inner.read(length)
        if data and not self._is_flipped:
            self._is_flipped = True
            data = bytes([data[0] ^ 0x80]) + data[1:]
        return data


class Damaging(CountingProxy):
    """Flips the first bit of the next bodies of one kind of request."""

    kind, left = "", 0

    async def handle(self, connection: Connection, head: Head, seen: Seen) -> bool:
        if seen.kind == self.kind and self.left:
            self.left -= 1
            connection.client.reader = cast("asyncio.StreamReader", _FlippedReader(connection.client.reader))
        return await super().handle(connection, head, seen)


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[Damaging]:
    with Damaging(s3_server.endpoint_url) as proxy:
        yield proxy


@pytest.mark.parametrize(("kind", "size"), [("put", 1000), ("upload_part", len(CONTENT))])
def test_ceph_refuses_what_arrives_damaged_and_gets_it_again(
    s3_server: S3Server, make_objects: MakeObjects, proxy: Damaging, kind: str, size: int
) -> None:
    objects = make_objects(endpoint_url=proxy.url, retries=QUICK)
    proxy.kind, proxy.left = kind, 2
    if kind == "put":
        objects.put("a", CONTENT[:size])
    else:
        target = objects.target("a", part_size=PART)
        target.write(CONTENT[:size])
        target.commit()
    statuses = [seen.status for seen in proxy.requests if seen.kind == kind]
    is_whole = objects.get("a").data == CONTENT[:size]
    # moto believes everything: neither Content-MD5 nor the SHA-256 of the signature nor a CRC32C is looked at.
    assert (statuses.count(400), is_whole) == ((2, True) if s3_server.name == "ceph" else (0, False))


@pytest.mark.parametrize("s3_server", [pytest.param("ceph", marks=pytest.mark.ceph)], indirect=True)
def test_what_ceph_always_gets_damaged_is_not_there(make_objects: MakeObjects, proxy: Damaging) -> None:
    objects = make_objects(endpoint_url=proxy.url, retries=QUICK)
    proxy.kind, proxy.left = "create", 1
    with pytest.raises(UnavailableError):
        objects.put("a", b"content", mode="create")
    proxy.kind, proxy.left = "put", QUICK.attempts
    with pytest.raises(UnavailableError):
        objects.put("a", b"content")
    with pytest.raises(ObjectNotFoundError):
        objects.head("a")


def test_crc32c_is_taken_by_servers_that_do_not_look_at_it(make_objects: MakeObjects) -> None:
    objects = make_objects(upload_checksums="crc32c")
    objects.put("a", CONTENT[:1000])
    target = objects.target("b", part_size=PART)
    target.write(CONTENT)
    target.commit()
    assert objects.get("a").data == CONTENT[:1000]
    assert objects.get("b").data == CONTENT
    assert objects.get("b").meta["e_tag"] == target.e_tag
