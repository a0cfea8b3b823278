"""Measure reading on a given archive, beside the least that reading costs at all."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..entry import Entry
from ..errors import NotFoundError
from ..reader import DesReader
from .reading import open_reader

__all__ = ["Measured", "measure", "sample_entries"]

_ROUNDS = 3
_OPENINGS = 20
BATCH_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement.

    Attributes:
        what: What was measured, a stable identifier.
        seconds: Time of the best round.
        count: Operations in it.
        payload_bytes: Bytes that it returned.
        baseline_seconds: Time of the baseline for the same entries, None where there is none.
    """

    what: str
    seconds: float
    count: int
    payload_bytes: int
    baseline_seconds: float | None = None


def sample_entries(reader: DesReader, count: int, seed: int) -> list[Entry]:
    """Return up to `count` entries whose payload is inside, each with the same chance, in random order.

    Raises:
        NotFoundError: There is none.
    """
    chance = random.Random(seed)
    sample: list[Entry] = []
    seen = 0
    for entry in reader.entries():
        if entry.is_external:
            continue
        seen += 1
        if len(sample) < count:
            sample.append(entry)
        elif (place := chance.randrange(seen)) < count:
            sample[place] = entry
    if not sample:
        raise NotFoundError("no entry's payload lies inside the archive, so there is nothing to measure")
    chance.shuffle(sample)
    return sample


def measure(path: Path, count: int, seed: int, scan_seconds: float) -> Iterator[Measured]:
    """Yield the measurements of an archive.

    The baseline knows nothing of archives: a dict from name to place, and one `pread` for each
    entry's stored bytes, which it neither checks nor expands. Every round but the best is
    dropped, so all of them find the file in the system's cache as far as it fits.

    Args:
        path: The archive.
        count: How many entries to read at random.
        seed: Which ones.
        scan_seconds: End the scan after this time.
    """
    with open_reader(path) as reader:
        yield Measured("open", _best(lambda: _open_often(path)), _OPENINGS, 0)
        began = time.perf_counter()
        listed = sum(1 for _entry in reader.entries())
        yield Measured("list", time.perf_counter() - began, listed, 0)
        sample = sample_entries(reader, count, seed)
        names = [entry.name for entry in sample]
        size = sum(entry.size for entry in sample)
        baseline = _baseline(path, sample)
        yield Measured("get", _best(lambda: _get(reader, names)), len(names), size, baseline)
        yield Measured("batch", _best(lambda: _get_batches(reader, names)), len(names), size, baseline)
        yield _scan(reader, scan_seconds)


def _best(action: Callable[[], object]) -> float:
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return min(times)


def _open_often(path: Path) -> None:
    for _ in range(_OPENINGS):
        DesReader(path).close()


def _get(reader: DesReader, names: Sequence[str]) -> None:
    for name in names:
        reader.get_file(name)


def _get_batches(reader: DesReader, names: Sequence[str]) -> None:
    for start in range(0, len(names), BATCH_ENTRIES):
        reader.get_files_batch(names[start : start + BATCH_ENTRIES])


def _baseline(path: Path, sample: Sequence[Entry]) -> float:
    places = {entry.name: (entry.stored_size, entry.offset + entry.length - entry.stored_size) for entry in sample}
    names = list(places)
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def read_all() -> None:
        for name in names:
            size, start = places[name]
            _pread(handle, size, start)

    try:
        return _best(read_all)
    finally:
        os.close(handle)


def _seek_and_read(handle: int, size: int, start: int) -> bytes:
    os.lseek(handle, start, os.SEEK_SET)
    return os.read(handle, size)


# Windows has no pread.
_pread = getattr(os, "pread", _seek_and_read)


def _scan(reader: DesReader, limit_seconds: float) -> Measured:
    count = size = 0
    began = time.perf_counter()
    for entry, payload in reader.scan():
        count += 1
        size += 0 if payload is None else entry.size
        if not count % 256 and time.perf_counter() - began > limit_seconds:
            break
    return Measured("scan", time.perf_counter() - began, count, size)
