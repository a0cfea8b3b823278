"""Archives written by the published systems, read in every way there is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from des_format import AsyncDesReader, BigFileMissingError, Codec, DesReader, EntryNotFoundError

VECTORS = Path(__file__).parent.parent / "vectors" / "legacy"
MANIFEST = json.loads((VECTORS / "manifest.json").read_text())
ARCHIVES = [row["archive"] for row in MANIFEST["archives"]]
FORMATS = {row["archive"]: row["format"] for row in MANIFEST["archives"]}
every_archive = pytest.mark.parametrize("archive", ARCHIVES)


def rows_of(archive: str) -> dict[str, dict[str, Any]]:
    """The last of equal names, in the order in which they were added."""
    rows: dict[str, dict[str, Any]] = {}
    for row in json.loads((VECTORS / archive).with_suffix(".json").read_text()):
        rows.pop(row["name"], None)
        rows[row["name"]] = row
    return rows


def sha256(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


def text(meta: Any) -> str:
    """NaN is not equal to itself, its text is."""
    return json.dumps(dict(meta))


def test_the_manifest_names_every_file_with_its_hash() -> None:
    found = {
        path.relative_to(VECTORS).as_posix(): sha256(path.read_bytes())
        for path in VECTORS.rglob("*")
        if path.is_file() and path.name not in ("manifest.json", ".gitattributes")
    }
    assert found == MANIFEST["sha256"]
    assert sorted(ARCHIVES) == sorted(name for name in found if name.endswith(".des"))
    assert len(ARCHIVES) == 41


def check(reader: DesReader, archive: str, *, externals: bool = True) -> None:
    rows = rows_of(archive)
    names = sorted(rows)
    assert reader.format_name == FORMATS[archive]
    assert not reader.core.has_checksums
    assert len(reader) == len(rows)
    assert reader.list_files() == list(reader) == names
    for entry in reader.entries():
        check_entry(entry, rows[entry.name])
    for name, row in rows.items():
        assert name in reader
        check_entry(reader.get_entry(name), row)
        assert text(reader.get_meta(name)) == text(row["meta"])
        if externals or not row["external"] or not row["size"]:
            payload = reader.get_file(name)
            assert sha256(payload) == row["sha256"]
            assert reader.read_range(name, 0, row["size"] + 9) == payload
            assert reader.read_range(name, 3, 7) == payload[3:7]
            with reader.open(name) as file:
                assert file.read() == payload
        else:
            with pytest.raises(BigFileMissingError):
                reader.get_file(name)
    readable = [name for name, row in rows.items() if externals or not row["external"] or not row["size"]]
    wanted = [*reversed(readable), "no such name", *readable[:1]]
    batch = reader.get_files_batch(wanted)
    assert list(batch) == readable[::-1]
    assert {name: sha256(payload) for name, payload in batch.items()} == {
        name: rows[name]["sha256"] for name in readable
    }
    check_scan([*reader.scan()], rows)
    check_stats(reader.get_stats(), rows)
    assert reader.get_stats().archive_size_bytes == (VECTORS / archive).stat().st_size
    assert "no such name" not in reader
    for read in (reader.get_file, reader.get_entry, reader.get_meta, reader.open):
        with pytest.raises(EntryNotFoundError):
            read("no such name")


def check_entry(entry: Any, row: dict[str, Any]) -> None:
    assert (entry.name, entry.size, entry.is_external) == (row["name"], row["size"], row["external"])
    assert entry.codec is Codec[row["codec"].upper()]
    assert text(entry.meta) == text(row["meta"])
    assert entry.payload_checksum is None


def check_scan(scanned: list[Any], rows: dict[str, dict[str, Any]]) -> None:
    assert [entry.name for entry, _ in scanned] == list(rows)
    for entry, payload in scanned:
        row = rows[entry.name]
        check_entry(entry, row)
        assert (payload is None) == row["external"]
        assert payload is None or sha256(payload) == row["sha256"]


def check_stats(stats: Any, rows: dict[str, dict[str, Any]]) -> None:
    sizes = {flag: [row["size"] for row in rows.values() if row["external"] == flag] for flag in (False, True)}
    assert (stats.total_files, stats.internal_files, stats.external_files) == (
        len(rows),
        len(sizes[False]),
        len(sizes[True]),
    )
    assert (stats.internal_size_bytes, stats.external_size_bytes) == (sum(sizes[False]), sum(sizes[True]))


@every_archive
def test_a_local_file_reads_as_written(archive: str) -> None:
    with DesReader(VECTORS / archive) as reader:
        check(reader, archive)


@every_archive
def test_bytes_read_as_written_but_for_what_lies_beside(archive: str) -> None:
    with DesReader((VECTORS / archive).read_bytes()) as reader:
        check(reader, archive, externals=False)


@every_archive
@pytest.mark.parametrize("tail_length", [None, 72])
def test_a_range_source_is_asked_for_nothing_empty_and_nothing_outside(
    archive: str, tail_length: int | None, guarded: Any
) -> None:
    path = VECTORS / archive
    check(DesReader(guarded(path.read_bytes(), path.parent, tail_length)), archive)


@every_archive
async def test_asynchronous_reads_say_the_same(archive: str) -> None:
    rows = rows_of(archive)
    reader = await AsyncDesReader.open(VECTORS / archive)
    assert await reader.list_files() == sorted(rows)
    async for entry in reader.entries():
        check_entry(entry, rows[entry.name])
    for name, row in rows.items():
        assert await reader.has_file(name)
        assert sha256(await reader.get_file(name)) == row["sha256"]
        assert text(await reader.get_meta(name)) == text(row["meta"])
        assert len(await reader.read_range(name, 0, 5)) == min(5, row["size"])
    batch = await reader.get_files_batch([*rows, "no such name"])
    assert {name: sha256(payload) for name, payload in batch.items()} == {
        name: row["sha256"] for name, row in rows.items()
    }
    check_scan([scanned async for scanned in reader.scan()], rows)
    check_stats(reader.get_stats(), rows)
    assert not await reader.has_file("no such name")


def test_every_archive_reads_the_same_in_every_way(read_all: Callable[[DesReader], Any]) -> None:
    for archive in ARCHIVES:
        with DesReader(VECTORS / archive) as reader:
            assert len(read_all(reader)) == len(rows_of(archive))
