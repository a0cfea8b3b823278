from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from des_format import Codec, Compression, DesReader, DesWriter

PAYLOADS = {
    f"{number:04}{'.png' if number % 7 == 0 else ''}": random.Random(number).randbytes(20_000).hex().encode()
    for number in range(300)
}


def write(path: Path, compression: Compression) -> bytes:
    with DesWriter(path, compression=compression) as writer:
        for name, payload in PAYLOADS.items():
            writer.add_file(name, payload)
    return path.read_bytes()


@pytest.mark.parametrize(
    "compression",
    [Compression(), Compression(dictionary="auto"), Compression(codec=Codec.LZ4)],
    ids=["zstd", "dictionary", "lz4"],
)
def test_the_number_of_threads_does_not_change_a_byte(tmp_path: Path, compression: Compression) -> None:
    one, many = (write(tmp_path / f"{threads}.des", replace(compression, threads=threads)) for threads in (1, 5))
    assert one == many


def test_batches_that_are_compressed_side_by_side_keep_the_order_of_their_entries(tmp_path: Path) -> None:
    write(tmp_path / "a.des", Compression(threads=5))
    with DesReader(tmp_path / "a.des") as reader:
        assert [(entry.name, payload) for entry, payload in reader.scan()] == list(PAYLOADS.items())
        assert reader.get_stats().compression_ratio < 0.6


def test_a_writer_that_gives_up_with_batches_on_their_way_leaves_nothing(tmp_path: Path) -> None:
    writer = DesWriter(tmp_path / "a.des", compression=Compression(threads=5))
    for name, payload in PAYLOADS.items():
        writer.add_file(name, payload)
    writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "worth_trying"),
    [
        ("a", True),
        ("a.txt", True),
        ("a.PNG", False),
        (".png", True),
        ("a.png/b", True),
        ("b.gz/.gz", True),
        ("b/c.gz", False),
    ],
)
def test_only_the_extension_of_a_name_decides_what_is_not_compressed(name: str, worth_trying: bool) -> None:
    assert Compression().applies_to(name) is worth_trying
