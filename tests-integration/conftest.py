"""Fixtures that give tests real servers; `servers` has the servers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from servers import KINDS, S3Server, Servers
from servers.processes import last_lines

if TYPE_CHECKING:
    from des_s3 import S3ObjectStore


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers of this test run; those of one name are the same for all processes of pytest-xdist."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    servers = Servers(folder / "servers")
    yield servers
    servers.close()


def details(servers: Servers, kind: str, name: str | None = None) -> dict[str, str]:
    """Return what a client has to know about a server; skip the test if this machine cannot have it."""
    if lacking := KINDS[kind].missing():
        pytest.skip(lacking)
    return servers.get(kind, name)


def s3_details(servers: Servers, kind: str) -> S3Server:
    known = details(servers, kind)
    names = ("version", "endpoint_url", "access_key", "secret_key")
    return S3Server(name=kind, **{name: known[name] for name in names})


@pytest.fixture(
    scope="session", params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("moto", "ceph")]
)
def s3_server(request: pytest.FixtureRequest, servers: Servers) -> S3Server:
    """Every S3 server in turn. Other tests use it too: work in a `bucket`."""
    return s3_details(servers, request.param)


@pytest.fixture(scope="session")
def ceph_server(servers: Servers) -> S3Server:
    """Ceph only, for what moto does not do (it believes every signature); mark the test `ceph`."""
    return s3_details(servers, "ceph")


def _empty(client: Any, bucket: str) -> None:
    for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for upload in page.get("Uploads", []):
            client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        if objects := [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]:
            client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})


@pytest.fixture
def make_bucket(s3_server: S3Server) -> Iterator[Callable[[], str]]:
    """Make buckets, which are gone after the test, and return their names."""
    client = s3_server.client()
    buckets: list[str] = []

    def make() -> str:
        bucket = f"test-{uuid.uuid4().hex}"
        client.create_bucket(Bucket=bucket)
        buckets.append(bucket)
        return bucket

    yield make
    for bucket in buckets:
        _empty(client, bucket)
        client.delete_bucket(Bucket=bucket)
    client.close()


@pytest.fixture
def bucket(make_bucket: Callable[[], str]) -> str:
    """The name of an empty bucket."""
    return make_bucket()


@pytest.fixture(scope="session")
def shared_bucket(s3_server: S3Server) -> Iterator[str]:
    """A bucket for tests that keep to a prefix of their own, because a bucket of one's own takes a while."""
    client = s3_server.client()
    bucket = f"shared-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=bucket)
    yield bucket
    _empty(client, bucket)
    client.delete_bucket(Bucket=bucket)
    client.close()


@pytest.fixture(scope="session")
def s3_session(s3_server: S3Server) -> Iterator[Any]:
    """A boto3 session with the server's keys; it reads the description of S3 once, which takes a tenth of a second."""
    import boto3

    with pytest.MonkeyPatch.context() as patch:
        # Keys and region of the environment are overruled; what else is there is for other servers.
        mine = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"}
        for name in [name for name in os.environ if name.startswith("AWS_") and name not in mine]:
            patch.delenv(name)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield boto3.Session(s3_server.access_key, s3_server.secret_key, region_name=s3_server.region)


@pytest.fixture
def prefix() -> str:
    """A prefix in the `shared_bucket` that only this test uses."""
    return uuid.uuid4().hex


@pytest.fixture
def make_objects(
    s3_server: S3Server, s3_session: Any, shared_bucket: str, prefix: str
) -> Iterator[Callable[..., S3ObjectStore]]:
    """Make object stores of the test's prefix, one like the other; arguments replace the usual ones."""
    from des_s3 import S3ObjectStore

    made: list[S3ObjectStore] = []

    def make(**arguments: Any) -> S3ObjectStore:
        usual = {"prefix": prefix, "session": s3_session, "endpoint_url": s3_server.endpoint_url}
        made.append(S3ObjectStore(shared_bucket, **usual | arguments))
        return made[-1]

    yield make
    for objects in made:
        objects.close()


@pytest.fixture
def valkey_server(servers: Servers, worker_id: str) -> str:
    """The URL of an empty Valkey that no other process of the test run uses; mark the test `valkey`."""
    import redis

    url = details(servers, "valkey", f"valkey-{worker_id}")["url"]
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    used = getattr(item, "funcargs", {})
    if report.failed and "servers" in used:
        kinds = {value.name for value in used.values() if isinstance(value, S3Server)}
        for kind in kinds | ({"valkey"} if "valkey_server" in used else set()):
            for logs in used["servers"].logs(kind):
                report.sections.append((f"end of logs in {logs}", last_lines(logs, 5)))
    return report
