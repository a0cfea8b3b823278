"""The three datasets, generated once and kept: payloads end to end, names, offsets.

D1: real files of this machine, up to 100,000 of at most 256 KiB (1 GB in all).
D2: 1,000,000 JSON records of 200 bytes under names of 30 bytes.
D3: 20,000 incompressible payloads of 32 KiB.
"""

from __future__ import annotations

import os
import random
import stat
import sys
from array import array
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path

__all__ = ["DATASETS", "Dataset"]

Items = Iterator[tuple[str, bytes]]
FILE_LIMIT_BYTES = 256 * 1024
FILE_LIMIT_COUNT = 100_000
TOTAL_LIMIT_BYTES = 10**9
RECORD_COUNT = 1_000_000
RECORD_BYTES = 200
BLOB_COUNT = 20_000
BLOB_BYTES = 32 * 1024


def real_files() -> Items:
    """Files of the operating system and of Python, small ones, in the order of their paths."""
    total = count = 0
    seen: set[str] = set()
    for top in ("/usr/lib/python3", sys.base_prefix, sys.prefix, "/usr/include", "/usr/share", "/usr/lib"):
        for folder, below, files in os.walk(top):
            below.sort()
            for file in sorted(files):
                path = Path(folder, file)
                name = str(path).lstrip("/\\")
                if name in seen or not name.isprintable():
                    continue
                try:
                    found = path.lstat()
                    if not stat.S_ISREG(found.st_mode) or found.st_size > FILE_LIMIT_BYTES:
                        continue
                    data = path.read_bytes()
                except OSError:
                    continue
                seen.add(name)
                yield name, data
                count += 1
                total += len(data)
                if count >= FILE_LIMIT_COUNT or total >= TOTAL_LIMIT_BYTES:
                    return


def json_records() -> Items:
    """Events of a year, one like the other, as services write them."""
    chance = random.Random(2025)
    words = [
        "".join(chance.choices(("ka", "lo", "mi", "ne", "pu", "ri", "so", "ta"), k=chance.randint(1, 4)))
        for _ in range(2000)
    ]
    for number in range(RECORD_COUNT):
        day = date(2025, 1, 1) + timedelta(days=number * 365 // RECORD_COUNT)
        text = (
            f'{{"id":{number},"user":"u{chance.randrange(200_000):06}","latitude":{chance.uniform(-90, 90):.5f},'
            f'"longitude":{chance.uniform(-180, 180):.5f},"tag":"{words[chance.randrange(60)]}","text":"'
            + " ".join(chance.choices(words, k=30))
        )
        yield f"{day}/{chance.getrandbits(76):019x}", text[: RECORD_BYTES - 2].encode() + b'"}'


def random_blobs() -> Items:
    """What images and encrypted data look like to a compressor."""
    chance = random.Random(BLOB_BYTES)
    for number in range(BLOB_COUNT):
        yield f"images/{number // 1000:03}/{number:08}.jpg", chance.randbytes(BLOB_BYTES)


DATASETS = {"D1": real_files, "D2": json_records, "D3": random_blobs}


class Dataset:
    """A dataset on disk."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._payloads, self._names, self._offsets = (folder / f"{name}.{kind}" for kind in ("bin", "keys", "off"))
        if not self._offsets.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._generate(DATASETS[name]())
        self.offsets = array("Q")
        self.offsets.frombytes(self._offsets.read_bytes())

    def _generate(self, items: Iterable[tuple[str, bytes]]) -> None:
        offsets = array("Q", [0])
        with self._payloads.open("wb") as payloads, self._names.open("w", encoding="utf-8", newline="\n") as names:
            for name, data in items:
                payloads.write(data)
                names.write(name + "\n")
                offsets.append(offsets[-1] + len(data))
        self._offsets.write_bytes(offsets.tobytes())  # last: its presence says that the others are complete

    @property
    def size(self) -> int:
        """Bytes of all payloads."""
        return self.offsets[-1]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def names(self) -> list[str]:
        return self._names.read_text(encoding="utf-8").split("\n")[:-1]

    def items(self) -> Items:
        """Names and payloads, read through a small buffer so that they do not count as memory of who consumes them."""
        offsets = self.offsets
        with (
            self._payloads.open("rb", buffering=1 << 20) as payloads,
            self._names.open(encoding="utf-8", newline="\n") as names,
        ):
            read = payloads.read
            for number, line in enumerate(names):
                yield line[:-1], read(offsets[number + 1] - offsets[number])

    def payload(self, number: int) -> bytes:
        """One payload, by its position."""
        with self._payloads.open("rb") as payloads:
            payloads.seek(self.offsets[number])
            return payloads.read(self.offsets[number + 1] - self.offsets[number])
