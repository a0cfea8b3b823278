"""Object lock on real servers: what is kept cannot be deleted, by nobody, before its time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from des_format.errors import AccessDeniedError, DesError, ObjectNotFoundError, UnsupportedOperationError
from des_format.ports.objects import Retains
from des_s3 import S3ObjectStore
from servers import S3Server

SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
LATER = SOON + timedelta(hours=1)


@pytest.fixture(autouse=True)
def without_moto(s3_server: S3Server) -> None:
    if s3_server.name == "moto":
        pytest.skip("moto answers 500 to who asks for a lock that is not there")


@pytest.fixture
def session(s3_server: S3Server) -> boto3.Session:
    return boto3.Session(s3_server.access_key, s3_server.secret_key, region_name=s3_server.region)


@pytest.fixture
def locking(s3_server: S3Server, session: boto3.Session) -> Iterator[S3ObjectStore]:
    """A store in a bucket with object lock. What is locked stays there when the test is over."""
    bucket = f"lock-{uuid4().hex[:12]}"
    session.client("s3", endpoint_url=s3_server.endpoint_url).create_bucket(
        Bucket=bucket, ObjectLockEnabledForBucket=True
    )
    with S3ObjectStore(bucket, "kept", session=session, endpoint_url=s3_server.endpoint_url) as store:
        yield store


def versions(session: boto3.Session, server: S3Server, store: S3ObjectStore) -> list[dict[str, Any]]:
    client = session.client("s3", endpoint_url=server.endpoint_url)
    found: list[dict[str, Any]] = client.list_object_versions(Bucket=store.bucket).get("Versions", [])
    return found


def test_what_is_kept_cannot_be_deleted_before_its_time(
    locking: S3ObjectStore, session: boto3.Session, s3_server: S3Server
) -> None:
    assert isinstance(locking, Retains)
    locking.put("a", b"content")
    assert locking.retained_until("a") is None
    locking.retain("a", SOON)
    assert locking.retained_until("a") == SOON
    (version,) = versions(session, s3_server, locking)
    with pytest.raises(ClientError, match=r"AccessDenied|lock"):
        session.client("s3", endpoint_url=s3_server.endpoint_url).delete_object(
            Bucket=locking.bucket, Key=version["Key"], VersionId=version["VersionId"]
        )
    locking.delete("a")  # Hides it, and takes nothing away.
    assert [one["VersionId"] for one in versions(session, s3_server, locking)] == [version["VersionId"]]


def test_its_time_is_moved_on_and_not_back(locking: S3ObjectStore) -> None:
    async def use() -> None:
        await locking.put_async("a", b"content")
        await locking.retain_async("a", SOON)
        await locking.retain_async("a", LATER)
        assert await locking.retained_until_async("a") == LATER
        with pytest.raises(AccessDeniedError):
            await locking.retain_async("a", SOON)
        assert await locking.retained_until_async("a") == LATER
        await locking.aclose()

    asyncio.run(use())


def test_what_is_not_there_cannot_be_kept(locking: S3ObjectStore) -> None:
    for call in (lambda: locking.retain("none", SOON), lambda: locking.retained_until("none")):
        with pytest.raises(ObjectNotFoundError):
            call()


def test_a_bucket_without_object_lock_keeps_nothing_and_says_so(
    s3_server: S3Server, bucket: str, session: boto3.Session
) -> None:
    with S3ObjectStore(bucket, session=session, endpoint_url=s3_server.endpoint_url) as store:
        store.put("a", b"content")
        with pytest.raises(UnsupportedOperationError) as raised:
            store.retain("a", SOON)
        assert isinstance(raised.value, DesError)
        assert store.retained_until("a") is None
