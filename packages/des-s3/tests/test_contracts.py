"""The promises of the ports, by both engines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from des_format.ports.objects import AsyncObjectStore, ObjectStore
from des_format.testing.contracts import AsyncObjectStoreContract, ObjectStoreContract, SyncObjectStore
from des_s3 import S3ObjectStore

Make = Callable[..., S3ObjectStore]


class _OfS3:
    has_unique_tags = False  # an ETag is the MD5 of the content


class TestObstoreEngine(_OfS3, ObjectStoreContract):
    @pytest.fixture
    def store(self, make_store: Make) -> ObjectStore:
        return make_store(engine="obstore")


class TestBotoEngine(_OfS3, ObjectStoreContract):
    @pytest.fixture
    def store(self, make_store: Make) -> ObjectStore:
        return make_store(engine="boto")


class TestOwnClient(_OfS3, ObjectStoreContract):
    @pytest.fixture
    def store(self, make_store: Make, client: Any) -> ObjectStore:
        return make_store(client=client)


class _Async(_OfS3, AsyncObjectStoreContract):
    @pytest.fixture
    def store(self, async_store: AsyncObjectStore) -> Iterator[ObjectStore]:
        assert isinstance(async_store, S3ObjectStore)
        with SyncObjectStore(async_store) as store:
            yield store
            store._run(async_store.aclose())


class TestAsyncObstoreEngine(_Async):
    @pytest.fixture
    def async_store(self, make_store: Make) -> AsyncObjectStore:
        return make_store(engine="obstore")


class TestAsyncBotoEngine(_Async):
    @pytest.fixture
    def async_store(self, make_store: Make) -> AsyncObjectStore:
        return make_store(engine="boto")
