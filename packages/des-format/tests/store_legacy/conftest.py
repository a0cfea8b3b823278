"""Builders of stores as the published systems left them, and an object store that records what it is asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format import DesWriter
from des_format.objects import MemoryObjectStore
from des_format.objects.results import LoadedResult
from des_format.ports.objects import GetOptions, ObjectMeta
from des_format.store.legacy import AsyncLegacyStore, LegacyStore

VECTORS = Path(__file__).parent.parent / "vectors" / "legacy"
NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)

Tombstones = Iterable[tuple[str, str]]


class External(bytes):
    """A payload that lies beside its archive."""


def des_core(entries: Mapping[str, bytes], *, digest: str | None = None) -> bytes:
    """A des_core archive, version 2; `digest` replaces the hash of external payloads."""
    data, index = b"", struct.pack("<I", len(entries))
    for name, payload in entries.items():
        index += struct.pack("<H", len(name.encode())) + name.encode()
        if isinstance(payload, External):
            sha256 = (hashlib.sha256(payload).hexdigest() if digest is None else digest).encode()
            index += struct.pack("<BH", 1, len(sha256)) + sha256 + struct.pack("<QI", len(payload), 0)
        else:
            size = len(payload)
            index += struct.pack("<BQQBQQI", 0, 8 + len(data), size, 0, size, size, 0)
            data += payload
    return b"DES2\x02\0\0\0" + data + index + b"DESI" + struct.pack("<Q", len(index))


def datavision(entries: Mapping[str, bytes], *, prefix: str | None = None) -> bytes:
    """A Datavision archive; external entries name `<prefix>/_bigFiles/<name>` as their place."""
    metas = []
    for name, payload in entries.items():
        meta: dict[str, Any] = {"size": len(payload)}
        if isinstance(payload, External) and prefix is not None:
            meta |= {"is_external": True, "external_key": f"{prefix}/_bigFiles/{name}"}
        metas.append(json.dumps(meta, separators=(",", ":")).encode())
    data = b"".join(payload for payload in entries.values() if not isinstance(payload, External))
    data_at, meta_at, index = 16, 16 + len(data), b""
    for (name, payload), meta_bytes in zip(entries.items(), metas, strict=True):
        external = isinstance(payload, External)
        index += struct.pack("<H", len(name.encode())) + name.encode()
        at = 0 if external else data_at
        index += struct.pack("<QQQQI", at, len(payload), meta_at, len(meta_bytes), external)
        data_at += 0 if external else len(payload)
        meta_at += len(meta_bytes)
    start = b"\x01" + bytes(7)
    numbers = (16, len(data), 16 + len(data), meta_at - 16 - len(data), meta_at, len(index), len(entries))
    return b"DESHEAD1" + start + data + b"".join(metas) + index + b"DESFOOT1" + start + struct.pack("<7Q", *numbers)


def sidecar(tombstones: Tombstones = (), *, index: Tombstones | Iterable[str] = (), size: int = 0) -> bytes:
    """A `.meta` sidecar. `index` has uids, or pairs of uid and creation time; `size` is that of the archive."""
    entries = {}
    for item in index:
        uid, key = (item, item) if isinstance(item, str) else (item[0], ":".join(item))
        entries[key] = {"uid": uid, "offset": 8, "length": 1, "meta": {}}
    value = {
        "version": 1,
        "shard_file": "x.des",
        "shard_size": size,
        "index": entries,
        "tombstones": {
            f"{uid}:{at}": {"uid": uid, "created_at": at, "deleted_by": "someone", "reason": "GDPR", "ticket_id": None}
            for uid, at in tombstones
        },
        "stats": {"entries": len(entries)},
    }
    return json.dumps(value, indent=2).encode()


class RecordingStore(MemoryObjectStore):
    """Records requests, lists in small pages, and fails where it is told to."""

    def __init__(self, objects: Mapping[str, bytes] | None = None, *, in_order: bool = True) -> None:
        super().__init__()
        self.lists_in_order = in_order
        self.page_count = 0
        self.calls: list[tuple[str, str]] = []
        self.failures: dict[str, Exception] = {}
        self.fill(objects or {})

    def fill(self, objects: Mapping[str, bytes]) -> None:
        for key, data in objects.items():
            super().put(key, data)

    def forget(self) -> None:
        """Start recording anew."""
        self.page_count = 0
        self.calls.clear()

    def count(self, operation: str) -> int:
        return sum(name == operation for name, _key in self.calls)

    def asked(self, operation: str = "get") -> list[str]:
        return [key for name, key in self.calls if name == operation]

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        self._note("get", path)
        return super().get(path, options=options)

    def head(self, path: str) -> ObjectMeta:
        self._note("head", path)
        return super().head(path)

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]:
        self._note("list", f"{prefix or ''}>{offset or ''}")
        found = [meta for page in super().list(prefix, offset=offset) for meta in page]
        return self._pages(found if self.lists_in_order else found[::-1])

    def _pages(self, found: Sequence[ObjectMeta]) -> Iterator[Sequence[ObjectMeta]]:
        for at in range(0, len(found), 2):
            self.page_count += 1
            yield found[at : at + 2]

    def _note(self, operation: str, key: str) -> None:
        self.calls.append((operation, key))
        if key in self.failures:
            raise self.failures[key]


class Blocking:
    """An `AsyncLegacyStore` that is called like a `LegacyStore`."""

    def __init__(self, store: AsyncLegacyStore) -> None:
        self._store = store

    def list(self, *arguments: Any, **options: Any) -> Iterator[Any]:
        found: list[Any] = []
        errors: list[Exception] = []

        async def collect() -> None:
            try:
                async for entry in self._store.list(*arguments, **options):
                    found.append(entry)
            except Exception as error:  # Raised again where a synchronous listing raises it.
                errors.append(error)

        asyncio.run(collect())
        yield from found
        for error in errors:
            raise error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)
        return lambda *arguments, **options: asyncio.run(method(*arguments, **options))


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sync", "async"])
def open_store(request: pytest.FixtureRequest, clock: Clock) -> Callable[..., Any]:
    """Open a store synchronously or asynchronously; every test runs with both."""

    def open_any(objects: Any, layout: str = "des-core", **options: Any) -> Any:
        options = {"clock": clock} | options
        if request.param == "sync":
            return LegacyStore.open(objects, layout, **options)
        return Blocking(AsyncLegacyStore.open(objects, layout, **options))

    return open_any


@pytest.fixture(scope="session")
def build_des_core() -> Callable[..., bytes]:
    return des_core


@pytest.fixture(scope="session")
def build_datavision() -> Callable[..., bytes]:
    return datavision


@pytest.fixture(scope="session")
def build_sidecar() -> Callable[..., bytes]:
    return sidecar


@pytest.fixture(scope="session")
def external() -> type[External]:
    return External


@pytest.fixture(scope="session")
def recording() -> type[RecordingStore]:
    return RecordingStore


@pytest.fixture(scope="session")
def noon() -> datetime:
    return NOON


@pytest.fixture(scope="session")
def vectors() -> Path:
    return VECTORS


@pytest.fixture
def version_3(tmp_path: Path) -> Callable[..., bytes]:
    """The bytes of a version-3 archive."""

    def build(entries: Mapping[str, bytes]) -> bytes:
        path = tmp_path / "made.des"
        with DesWriter(path) as writer:
            for name, payload in entries.items():
                writer.add_file(name, payload)
        data = path.read_bytes()
        path.unlink()
        return data

    return build
