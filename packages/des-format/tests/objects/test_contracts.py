"""Every object store at hand, ours and obstore's, keeps the promises of the port."""

from __future__ import annotations

from pathlib import Path

import pytest
from des_format.objects import LocalObjectStore, MemoryObjectStore
from des_format.ports.objects import AsyncObjectStore, ObjectStore
from des_format.testing import FaultyObjectStore, MeteredObjectStore
from des_format.testing.contracts import AsyncObjectStoreContract, ObjectStoreContract
from obstore.store import LocalStore, MemoryStore


class TestLocalObjectStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return LocalObjectStore(tmp_path / "store", create=True)


class TestLocalObjectStoreAsync(AsyncObjectStoreContract):
    @pytest.fixture
    def async_store(self, tmp_path: Path) -> AsyncObjectStore:
        return LocalObjectStore(tmp_path / "store", create=True)


class TestMemoryObjectStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryObjectStore()


class TestMemoryObjectStoreAsync(AsyncObjectStoreContract):
    @pytest.fixture
    def async_store(self) -> AsyncObjectStore:
        return MemoryObjectStore()


class TestFaultyObjectStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return FaultyObjectStore(MemoryObjectStore())


class TestFaultyObjectStoreAsync(AsyncObjectStoreContract):
    @pytest.fixture
    def async_store(self) -> AsyncObjectStore:
        return FaultyObjectStore(MemoryObjectStore())


class TestMeteredObjectStore(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MeteredObjectStore(MemoryObjectStore())


class TestMeteredObjectStoreAsync(AsyncObjectStoreContract):
    @pytest.fixture
    def async_store(self) -> AsyncObjectStore:
        return MeteredObjectStore(MemoryObjectStore())


class _Obstore:
    """What stores of obstore do in their own way."""

    reads_past_end = False
    refuses_unsafe_keys = False
    has_errors_of_ours = False


class TestObstoreMemory(_Obstore, ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryStore()


class TestObstoreMemoryAsync(_Obstore, AsyncObjectStoreContract):
    @pytest.fixture
    def async_store(self) -> AsyncObjectStore:
        return MemoryStore()


class _ObstoreLocal(_Obstore):
    can_update = False
    ignores_missing = False
    lists_in_order = False


class TestObstoreLocal(_ObstoreLocal, ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return LocalStore(tmp_path / "store", mkdir=True)


class TestObstoreLocalAsync(_ObstoreLocal, AsyncObjectStoreContract):
    @pytest.fixture
    def async_store(self, tmp_path: Path) -> AsyncObjectStore:
        return LocalStore(tmp_path / "store", mkdir=True)
