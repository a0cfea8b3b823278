"""Builders of legacy archives, right or wrong in any field, and a source that watches over their reading."""

from __future__ import annotations

import re
import struct
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from des_format import ByteRange, DesReader, Tail
from des_format.sources import BufferSource

VECTORS = Path(__file__).parent.parent / "vectors" / "legacy"


@dataclass
class DatavisionRow:
    """One entry; a field that is None takes the value that the published writer gives it."""

    name: bytes
    payload: bytes = b""
    meta: bytes | None = None
    external_size: int | None = None
    start: int | None = None
    length: int | None = None
    meta_start: int | None = None
    meta_length: int | None = None
    flags: int | None = None

    def stored_meta(self) -> bytes:
        if self.meta is not None:
            return self.meta
        return b'{"size":%d}' % (len(self.payload) if self.external_size is None else self.external_size)


def datavision(rows: Sequence[DatavisionRow], *, header: bytes | None = None, **footer: int) -> bytes:
    """A Datavision archive of version 1; `footer` replaces numbers of the footer by their names."""
    data, meta, index = b"", b"", b""
    meta_region = 16 + sum(len(row.payload) for row in rows)
    for row in rows:
        external = row.external_size is not None
        stored = row.stored_meta()

        def field_of(value: int | None, default: int) -> int:
            return default if value is None else value

        index += struct.pack("<H", len(row.name)) + row.name
        index += struct.pack(
            "<QQQQI",
            field_of(row.start, 0 if external else 16 + len(data)),
            field_of(row.length, field_of(row.external_size, len(row.payload))),
            field_of(row.meta_start, meta_region + len(meta)),
            field_of(row.meta_length, len(stored)),
            field_of(row.flags, int(external)),
        )
        data += row.payload
        meta += stored
    numbers = {
        "data_start": 16,
        "data_length": len(data),
        "meta_start": meta_region,
        "meta_length": len(meta),
        "index_start": meta_region + len(meta),
        "index_length": len(index),
        "entry_count": len(rows),
    } | footer
    start = b"DESHEAD1\x01" + bytes(7) if header is None else header
    return start + data + meta + index + b"DESFOOT1\x01" + bytes(7) + struct.pack("<7Q", *numbers.values())


@dataclass
class DesCoreRow:
    """One entry; `stored` is the payload as it is stored, `size` what it expands to."""

    name: bytes
    stored: bytes = b""
    size: int | None = None
    codec: int = 0
    meta: bytes = b""
    digest: bytes | None = None
    flags: int | None = None
    start: int | None = None
    length: int | None = None
    compressed: int | None = None
    digest_length: int | None = None
    meta_length: int | None = None

    def packed(self, version: int, at: int) -> bytes:
        size = len(self.stored) if self.size is None else self.size
        meta_length = struct.pack("<I", len(self.meta) if self.meta_length is None else self.meta_length)
        out = struct.pack("<H", len(self.name)) + self.name
        if version == 2:
            out += bytes([int(self.digest is not None) if self.flags is None else self.flags])
        if self.digest is not None:
            length = len(self.digest) if self.digest_length is None else self.digest_length
            return out + struct.pack("<H", length) + self.digest + struct.pack("<Q", size) + meta_length + self.meta
        start = at if self.start is None else self.start
        length = len(self.stored) if self.length is None else self.length
        compressed = length if self.compressed is None else self.compressed
        out += struct.pack("<QQBQQ", start, length, self.codec, compressed, size)
        return out + meta_length + self.meta if version == 2 else out


def des_core(
    rows: Sequence[DesCoreRow],
    version: int = 2,
    *,
    header: bytes | None = None,
    entry_count: int | None = None,
    index_length: int | None = None,
    trailing: bytes = b"",
) -> bytes:
    """A des_core archive; `trailing` follows the last entry in the index."""
    data, index = b"", b""
    for row in rows:
        index += row.packed(version, 8 + len(data))
        data += row.stored
    index = struct.pack("<I", len(rows) if entry_count is None else entry_count) + index + trailing
    start = bytes([*b"DES2", version, 0, 0, 0]) if header is None else header
    return start + data + index + b"DESI" + struct.pack("<Q", len(index) if index_length is None else index_length)


@dataclass
class GuardedSource:
    """A source that fails the test when a reader asks for what it must never ask for."""

    data: bytes
    folder: Path | None = None
    tail_length: int | None = None
    rounds: list[list[ByteRange]] = field(default_factory=list)
    read_bytes: int = 0

    def read_tail(self, length: int, /) -> Tail:
        return BufferSource(self.data).read_tail(min(length, self.tail_length or length))

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> Sequence[bytes]:
        self.rounds.append(list(ranges))
        for part in ranges:
            assert 0 <= part.start < part.end, f"empty or reversed: {part}"
            if part.beside:
                assert re.fullmatch(r"([^/\\\0]+/)*_bigFiles/[^/\\\0]+", part.beside), f"unsafe: {part.beside!r}"
                assert not {".", ".."} & set(part.beside.split("/")), f"unsafe: {part.beside!r}"
            else:
                assert part.end <= len(self.data), f"{part} of {len(self.data)} bytes"
                self.read_bytes += part.size
        return BufferSource(self.data, self.folder).read_ranges(ranges)


class AsyncGuardedSource(GuardedSource):
    """The same, asynchronous."""

    async def read_tail(self, length: int, /) -> Tail:  # type: ignore[override]
        return super().read_tail(length)

    async def read_ranges(self, ranges: Sequence[ByteRange], /) -> Sequence[bytes]:  # type: ignore[override]
        return super().read_ranges(ranges)


@contextmanager
def at_most_bytes(limit: int) -> Iterator[None]:
    """Fail when more than `limit` bytes are allocated at a time; also when the block raises."""
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < limit, f"{peak} bytes"


def read_everything(reader: DesReader) -> dict[str, Any]:
    """What every way of reading says, each compared with the others."""
    names = reader.list_files()
    entries = {entry.name: entry for entry in reader.entries()}
    batch = reader.get_files_batch(names)
    assert list(batch) == names
    for name in names:
        assert reader.get_file(name) == batch[name]
        assert repr(reader.get_entry(name)) == repr(entries[name])
        assert reader.read_range(name, 1, 5) == batch[name][1:5]
    scanned = {entry.name: payload for entry, payload in reader.scan()}
    assert scanned == {name: None if entries[name].is_external else batch[name] for name in scanned}
    assert sorted(scanned) == names
    return {name: (batch[name], dict(entries[name].meta), entries[name].is_external) for name in names}


@pytest.fixture(scope="session")
def dv() -> type[DatavisionRow]:
    return DatavisionRow


@pytest.fixture(scope="session")
def dc() -> type[DesCoreRow]:
    return DesCoreRow


@pytest.fixture(scope="session")
def build_datavision() -> Callable[..., bytes]:
    return datavision


@pytest.fixture(scope="session")
def build_des_core() -> Callable[..., bytes]:
    return des_core


@pytest.fixture(scope="session")
def guarded() -> type[GuardedSource]:
    return GuardedSource


@pytest.fixture(scope="session")
def async_guarded() -> type[AsyncGuardedSource]:
    return AsyncGuardedSource


@pytest.fixture(scope="session")
def read_all() -> Callable[[DesReader], dict[str, Any]]:
    return read_everything


@pytest.fixture(scope="session")
def at_most() -> Callable[[int], Any]:
    return at_most_bytes


@pytest.fixture(scope="session")
def vectors() -> Path:
    return VECTORS


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Write an object below the folder of the archive."""

    def write(key: str, payload: bytes) -> Path:
        path = tmp_path / "day" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(payload)
        return path

    return write
