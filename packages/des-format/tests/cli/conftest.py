"""Fixtures of the tests of the command line."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format import DesReader, DesWriter
from des_format.store import ArchiveOptions, DesStore, NewEntry, StoreOptions

Tree = dict[str, bytes]

ODD_TREE: Tree = {
    "-dash.txt": b"a leading dash",
    "with space.txt": b"a space",
    "ünïcode/日本語.txt": "日本語".encode(),
    "new\nline": b"a new line",
    "wild*[card]?.txt": b"glob characters",
    "empty": b"",
    "deep/er/est/file.bin": bytes(range(256)) * 40,
    "a" * 255: b"the longest part",
    "/".join(["d" * 200] * 5): b"a long path",
    "compressible.json": b'{"key": "value"}' * 500,
    ".hidden": b"hidden",
}


def write_tree(root: Path, tree: Tree) -> Path:
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def read_tree(root: Path) -> Tree:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def read_archive(path: Path) -> Tree:
    with DesReader(path) as reader:
        return {name: reader.get_file(name) for name in reader}


@pytest.fixture
def odd_tree(tmp_path: Path) -> Path:
    """A real folder whose files have every name that is hard on a command line."""
    return write_tree(tmp_path / "odd", ODD_TREE)


@pytest.fixture
def trees() -> Any:
    """Functions that write and read trees: `trees.write`, `trees.read`, `trees.of_archive`, `trees.odd`."""

    class Trees:
        write = staticmethod(write_tree)
        read = staticmethod(read_tree)
        of_archive = staticmethod(read_archive)
        odd = ODD_TREE

    return Trees


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A small archive: inline, compressed, empty and external entries, with and without metadata."""
    path = tmp_path / "small.des"
    with DesWriter(path, big_file_threshold=50_000) as writer:
        writer.add_file("a.txt", b"alpha", {"mtime_ns": 1_700_000_000_123_456_789, "mode": 0o750})
        writer.add_file("b/empty", b"")
        writer.add_file(
            "b/text.json", b'{"key": "value"}' * 500, {"author": "me", "mtime_ns": 1_600_000_000_000_000_000}
        )
        writer.add_file("big.bin", bytes(range(256)) * 300)
    return path


@pytest.fixture
def legacy_archive(tmp_path: Path) -> Path:
    """An archive of the oldest format, byte by byte."""
    payloads = {"a.txt": b"alpha", "b/c.bin": bytes(range(256)), "empty": b""}
    data, meta, index = b"", b"", b""
    for name, payload in payloads.items():
        described = json.dumps({"author": "me", "size": len(payload)}, separators=(",", ":")).encode()
        index += struct.pack("<H", len(name)) + name.encode()
        index += struct.pack("<4QI", 16 + len(data), len(payload), len(meta), len(described), 0)
        data, meta = data + payload, meta + described
    meta_start = 16 + len(data)
    # Where metadata lies counts from the start of the file, which is known only now.
    index, rest = b"", index
    for name in payloads:
        length = 2 + len(name)
        head, (offset, size, meta_at, meta_length, flags) = rest[:length], struct.unpack_from("<4QI", rest, length)
        index += head + struct.pack("<4QI", offset, size, meta_start + meta_at, meta_length, flags)
        rest = rest[length + 36 :]
    starts = (16, len(data), meta_start, len(meta), meta_start + len(meta), len(index), len(payloads))
    footer = struct.pack("<8sB7x7Q", b"DESFOOT1", 1, *starts)
    path = tmp_path / "legacy.des"
    path.write_bytes(struct.pack("<8sB7x", b"DESHEAD1", 1) + data + meta + index + footer)
    return path


@pytest.fixture
def des(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run a command in this process, in a folder of its own; arguments may be paths and numbers."""
    from des_format.cli.app import app
    from typer.testing import CliRunner

    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def run(*arguments: object, input: bytes | None = None) -> Any:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=input, catch_exceptions=False)

    return run


STORED = {"16": b"sixteen", "32": b"thirty-two", "1.big": bytes(range(256)) * 8}
STORED_AT = datetime(2025, 11, 25, 10, tzinfo=UTC)


@pytest.fixture(scope="session")
def _store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stores") / "store"
    options = StoreOptions(writing=ArchiveOptions(big_file_threshold=1000))
    with DesStore.init(path, n_bits=4, options=options) as store:
        store.put_many(NewEntry(uid, STORED_AT, payload) for uid, payload in STORED.items())
    return path


@pytest.fixture
def store(_store: Path, tmp_path: Path) -> Path:
    """A store in a real folder, with two entries of shard 0 and a big file in shard D."""
    return Path(shutil.copytree(_store, tmp_path / "store"))


@pytest.fixture
def des_process() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run the real command in a process of its own."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "des_format.cli", *map(str, arguments)]
        return subprocess.run(command, check=False, timeout=60, **{"capture_output": True, **options})

    return run


@pytest.fixture
def special_files(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file, and one of each thing that is no file."""
    folder = write_tree(tmp_path / "special", {"file": b"a file", "sub/inner": b"inner"})
    (folder / "hollow").mkdir()
    (folder / "link").symlink_to("file")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "folder-link").symlink_to("sub")
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        # A socket's path is short by law, whatever the temporary folder's is.
        here = Path.cwd()
        os.chdir(folder)
        try:
            listener.bind("sock")
        finally:
            os.chdir(here)
        yield folder
