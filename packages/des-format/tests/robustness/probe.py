"""Read everything of one archive in a process with little memory and time; print what each read said.

Run as `python probe.py ARCHIVE NAMES`, with NAMES a JSON list. The answer is one JSON object: the
name of each read, and "ok", the name of the `DesError`, or "!" and any other exception.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from des_format import ByteRange, DesError, DesReader, DesWriter, Tail
from des_format.salvage import salvage_archive
from des_format.sources import BufferSource

MEMORY_BYTES = 384 * 2**20
CPU_SECONDS = 15


class Remote:
    def __init__(self, data: bytes, folder: Path) -> None:
        self._source = BufferSource(data, folder)

    def read_tail(self, length: int, /) -> Tail:
        return self._source.read_tail(length)

    def read_ranges(self, ranges: Sequence[ByteRange], /) -> list[bytes]:
        return self._source.read_ranges(ranges)


def limit() -> None:
    """Allow `MEMORY_BYTES` more than this process has now."""
    (pages,) = Path("/proc/self/statm").read_text().split()[:1]
    allowed = int(pages) * resource.getpagesize() + MEMORY_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def outcome(read: Callable[[], Any]) -> str:
    try:
        return "ok" if (said := read()) is None else str(said)
    except DesError as error:
        return type(error).__name__
    except BaseException as error:
        return f"!{type(error).__name__}: {error!s:.200}"


def drain(items: Any) -> None:
    for _ in items:
        pass


def forget(_value: Any) -> None:
    """Drop a payload at once."""


def read_everything(label: str, reader: DesReader, names: list[str]) -> dict[str, str]:
    said = {
        "entries": outcome(lambda: drain(reader.entries())),
        "prefix": outcome(lambda: forget(reader.list_files("a"))),
        "scan": outcome(lambda: drain(reader.scan())),
        "len": outcome(lambda: forget(len(reader))),
        "stats": outcome(lambda: forget(repr(reader.get_stats()))),
        "batch": outcome(lambda: forget(reader.get_files_batch(names))),
    }
    for name in names:
        said |= {f"{read} {name}": result for read, result in read_entry(reader, name).items()}
    said["verify"] = outcome(lambda: "ok" if reader.verify().ok else "problems")
    said["sample"] = outcome(lambda: "ok" if reader.verify(sample=0.5).ok else "problems")
    return {f"{label} {read}": result for read, result in said.items()}


def read_entry(reader: DesReader, name: str) -> dict[str, str]:
    return {
        "get": outcome(lambda: forget(reader.get_file(name))),
        "entry": outcome(lambda: forget(reader.get_entry(name))),
        "in": outcome(lambda: forget(name in reader)),
        "range": outcome(lambda: forget(reader.read_range(name, 0, 2**62))),
        "far range": outcome(lambda: forget(reader.read_range(name, 2**63, 2**63 + 9))),
        "file": outcome(lambda: forget(reader.open(name).read(100))),
    }


def append_and_read(path: Path) -> str:
    before = path.read_bytes()
    try:
        with DesWriter.append(path) as writer:
            writer.add_file("appended", b"payload")
    except DesError:
        if path.read_bytes() != before:
            return "!a refused append changed the archive"
        raise
    with DesReader(path) as reader:
        return "ok" if reader.get_file("appended") == b"payload" else "!another payload"


def main(path: Path, names: list[str]) -> dict[str, str]:
    said: dict[str, str] = {}
    for label, source in (("local", path), ("remote", Remote(path.read_bytes(), path.parent))):
        try:
            reader = DesReader(source)
        except DesError as error:
            said[f"{label} open"] = type(error).__name__
        else:
            said |= read_everything(label, reader, names)
    try:
        reader = DesReader(path, verify=False)
    except DesError as error:
        said["trusting open"] = type(error).__name__
    else:
        said |= read_everything("trusting", reader, names)
    saved = path.with_name("saved.des")
    said["salvage"] = outcome(lambda: forget(salvage_archive(path, saved)))
    if saved.exists():
        said["saved"] = outcome(lambda: "ok" if DesReader(saved).verify().ok else "!the salvaged archive has problems")
    said["append"] = outcome(lambda: append_and_read(path))
    return said


if __name__ == "__main__":
    limit()
    json.dump(main(Path(sys.argv[1]), json.loads(sys.argv[2])), sys.stdout)
