"""Write the test vectors of format version 3: python -m make_v3 (in the folder `vectors`).

A vector that exists is never touched: it stands for all archives that were written since. New ones are added, and
`manifest.json` gets a row for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

from . import hostile, hostile_records, valid
from .vector import Vector

TARGET = Path(__file__).resolve().parent.parent / "v3"


def vectors() -> Iterator[Vector]:
    for make in (
        valid.by_writer, valid.by_hand, hostile_records.names, hostile.segments, hostile.openings, hostile.slots,
        hostile.listings, hostile_records.records, hostile_records.metadata,
    ):  # fmt: skip
        yield from make()


def main() -> None:
    TARGET.mkdir(exist_ok=True)
    manifest_path = TARGET / "manifest.json"
    manifest: dict[str, Any] = {"zstd": ".".join(map(str, zstandard.ZSTD_VERSION)), "vectors": []}
    if manifest_path.exists():
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    known = {row["file"] for row in manifest["vectors"]}
    for vector in vectors():
        if vector.file not in known:
            write(vector)
            manifest["vectors"].append(vector.to_json())
            print(f"{vector.file}: {len(vector.data)} bytes")
    rows = ",\n".join(json.dumps(row, ensure_ascii=True) for row in manifest["vectors"])
    text = f'{{"zstd": {json.dumps(manifest["zstd"])}, "vectors": [\n{rows}\n]}}\n'
    manifest_path.write_text(text, encoding="utf-8")


def write(vector: Vector) -> None:
    """Create the files of a vector; none of them may exist, but big files may be shared."""
    with (TARGET / vector.file).open("xb") as file:
        file.write(vector.data)
    if vector.journal is not None:
        with (TARGET / f"{vector.file}.append").open("xb") as file:
            file.write(vector.journal)
    for key, data in vector.beside.items():
        path = TARGET / key
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_bytes(data)
        elif path.read_bytes() != data:
            raise SystemExit(f"{path} exists and holds something else")


if __name__ == "__main__":
    main()
