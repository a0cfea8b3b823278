"""The demo's checks: each says what it did, and what it found wrong."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from des_format import DesReader
from des_format.salvage import salvage_archive

from .files import SourceFile

__all__ = ["Check", "compare", "salvage", "verify"]

PIECE_BYTES = 2**20


class Check(NamedTuple):
    """What was checked, and the problems found; none is a success."""

    text: str
    problems: list[str]


def verify(reader: DesReader, packed: int) -> Check:
    """Check every checksum of the archive, and that nothing is missing."""
    started = time.perf_counter()
    report = reader.verify()
    seconds = time.perf_counter() - started
    problems = [str(problem) for problem in report.problems]
    if not report.ok and not problems:
        problems.append("the archive is not sound")
    if report.entries_checked != packed:
        problems.append(f"{report.entries_checked} entries were checked, {packed} were packed")
    return Check(
        f"verified every checksum of {report.entries_checked:,} entries ({size_text(report.bytes_checked)})"
        f" in {seconds:.2f} s",
        problems,
    )


def compare(reader: DesReader, files: Iterable[SourceFile]) -> Check:
    """Compare entries byte for byte with the files they were made from."""
    same = changed = 0
    problems = []
    for file in files:
        outcome = file.matches(reader)
        if outcome is None:
            changed += 1
        elif outcome:
            same += 1
        else:
            problems.append(f"entry {file.name!r} differs from the file it was made from")
    text = f"compared {same + len(problems):,} entries, chosen at random, with their files byte for byte"
    if changed:
        text += f"; left out {changed:,} whose files changed or vanished meanwhile"
    return Check(text, problems)


def salvage(reader: DesReader, path: Path) -> Check:
    """Cut a copy of the archive off in its middle, rescue it, and check that every complete entry is back."""
    places = {entry.name: entry.offset + entry.length for entry in reader.entries()}
    cut = max(places.values(), default=path.stat().st_size) * 2 // 3
    damaged, rescued = path.with_name("damaged.des"), path.with_name("rescued.des")
    _copy_start(path, damaged, cut)
    started = time.perf_counter()
    report = salvage_archive(damaged, rescued)
    seconds = time.perf_counter() - started
    expected = {name for name, end in places.items() if end <= cut}
    with DesReader(rescued) as survivor:
        found = set(survivor)
        problems = [f"complete entry {name!r} was not recovered" for name in sorted(expected - found)]
        problems += [f"entry {name!r} was not complete, yet recovered" for name in sorted(found - expected)]
        problems += [
            f"entry {name!r} was recovered with another content"
            for name in sorted(found & expected)
            if not _same_payload(survivor, reader, name)
        ]
    if report.recovered != len(found):
        problems.append(f"{report.recovered} entries are reported as recovered, {len(found)} are there")
    return Check(
        f"salvaged {len(found):,} of {len(places):,} entries from a copy cut off after {size_text(cut)},"
        f" in {seconds:.2f} s, and compared them",
        problems,
    )


def _same_payload(first: DesReader, second: DesReader, name: str) -> bool:
    with first.open(name) as left, second.open(name) as right:
        while True:
            piece = left.read(PIECE_BYTES)
            if piece != right.read(PIECE_BYTES):
                return False
            if not piece:
                return True


def _copy_start(source: Path, target: Path, size: int) -> None:
    with source.open("rb") as reading, target.open("wb") as writing:
        while size > 0 and (piece := reading.read(min(size, PIECE_BYTES))):
            writing.write(piece)
            size -= len(piece)


def size_text(size: int) -> str:
    """A size for people."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size} bytes"
