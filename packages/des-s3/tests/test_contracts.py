"""The promises of the ports, by both engines; one store for all tests of a kind, because each test has its own keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from des_format.ports.objects import ObjectStore
from des_format.testing.contracts import AsyncObjectStoreContract, ObjectStoreContract, SyncObjectStore
from des_s3 import S3ObjectStore

Make = Callable[[Any], S3ObjectStore]


@pytest.fixture(scope="module")
def make(bucket: str, endpoint_url: str, session: boto3.Session) -> Make:
    return lambda engine: S3ObjectStore(bucket, "contracts", session=session, endpoint_url=endpoint_url, engine=engine)


@pytest.fixture(scope="module")
def by_obstore(make: Make) -> Iterator[ObjectStore]:
    with make("obstore") as store:
        yield store


@pytest.fixture(scope="module")
def by_boto(make: Make) -> Iterator[ObjectStore]:
    with make("boto") as store:
        yield store


@pytest.fixture(scope="module")
def async_by_obstore(make: Make) -> Iterator[ObjectStore]:
    yield from _behind_the_port(make("obstore"))


@pytest.fixture(scope="module")
def async_by_boto(make: Make) -> Iterator[ObjectStore]:
    yield from _behind_the_port(make("boto"))


def _behind_the_port(inner: S3ObjectStore) -> Iterator[ObjectStore]:
    with SyncObjectStore(inner) as store:
        yield store
        store._run(inner.aclose())


class TestObstoreEngine(ObjectStoreContract):
    has_unique_tags = False  # an ETag is the MD5 of the content

    @pytest.fixture
    def store(self, by_obstore: ObjectStore) -> ObjectStore:
        return by_obstore


class TestBotoEngine(ObjectStoreContract):
    has_unique_tags = False

    @pytest.fixture
    def store(self, by_boto: ObjectStore) -> ObjectStore:
        return by_boto


class TestAsyncObstoreEngine(AsyncObjectStoreContract):
    has_unique_tags = False

    @pytest.fixture
    def store(self, async_by_obstore: ObjectStore) -> ObjectStore:
        return async_by_obstore


class TestAsyncBotoEngine(AsyncObjectStoreContract):
    has_unique_tags = False

    @pytest.fixture
    def store(self, async_by_boto: ObjectStore) -> ObjectStore:
        return async_by_boto
