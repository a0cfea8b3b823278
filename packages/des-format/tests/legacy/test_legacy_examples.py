"""The worked examples of docs/legacy-formats.md, byte for byte."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from des_format import DesReader, Kind

DATAVISION = """
44 45 53 48 45 41 44 31  01  00 00 00 00 00 00 00
66 69 72 73 74 20 76 65 72 73 69 6f 6e  6f 74 68 65 72  73 65 63 6f 6e 64
7b 22 76 22 3a 31 2c 22 73 69 7a 65 22 3a 31 33 7d
7b 22 73 69 7a 65 22 3a 35 7d
7b 22 76 22 3a 32 2c 22 73 69 7a 65 22 3a 36 7d
05 00  61 2e 74 78 74  10 00 00 00 00 00 00 00  0d 00 00 00 00 00 00 00
                       28 00 00 00 00 00 00 00  11 00 00 00 00 00 00 00  00 00 00 00
05 00  62 2e 74 78 74  1d 00 00 00 00 00 00 00  05 00 00 00 00 00 00 00
                       39 00 00 00 00 00 00 00  0a 00 00 00 00 00 00 00  00 00 00 00
05 00  61 2e 74 78 74  22 00 00 00 00 00 00 00  06 00 00 00 00 00 00 00
                       43 00 00 00 00 00 00 00  10 00 00 00 00 00 00 00  00 00 00 00
44 45 53 46 4f 4f 54 31  01  00 00 00 00 00 00 00
10 00 00 00 00 00 00 00  18 00 00 00 00 00 00 00
28 00 00 00 00 00 00 00  2b 00 00 00 00 00 00 00
53 00 00 00 00 00 00 00  81 00 00 00 00 00 00 00
03 00 00 00 00 00 00 00
"""

DES_CORE_2 = """
44 45 53 32  02  00 00 00
68 69
02 00 00 00
01 00  61  00  08 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00  00
               02 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00  07 00 00 00  7b 22 6b 22 3a 31 7d
01 00  42  01  40 00  32 63 66 32 34 64 62 61 35 66 62 30 61 33 30 65 32 36 65 38 33 62 32 61 63 35 62 39 65 32 39 65
                      31 62 31 36 31 65 35 63 31 66 61 37 34 32 35 65 37 33 30 34 33 33 36 32 39 33 38 62 39 38 32 34
               05 00 00 00 00 00 00 00  00 00 00 00
44 45 53 49  86 00 00 00 00 00 00 00
"""

DES_CORE_1 = """
44 45 53 32  01  00 00 00
68 69
01 00 00 00
01 00  61  08 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00  00  02 00 00 00 00 00 00 00  02 00 00 00 00 00 00 00
44 45 53 49  28 00 00 00 00 00 00 00
"""


def test_the_datavision_example_reads_as_its_last_entries(vectors: Path) -> None:
    data = bytes.fromhex(DATAVISION)
    assert len(data) == 284
    assert data == (vectors / "datavision" / "example.des").read_bytes()
    with DesReader(data) as reader:
        assert reader.format_name == "Datavision version 1"
        assert reader.get_files_batch(["a.txt", "b.txt"]) == {"a.txt": b"second", "b.txt": b"other"}
        assert reader.get_meta("a.txt") == {"v": 2, "size": 6}
        assert reader.get_meta("b.txt") == {"size": 5}
        assert [entry.name for entry, _ in reader.scan()] == ["b.txt", "a.txt"]
        assert len(reader) == 2
        assert reader.get_stats().stored_size_bytes == 11


def test_the_des_core_example_reads_inline_and_beside(vectors: Path, tmp_path: Path) -> None:
    data = bytes.fromhex(DES_CORE_2)
    assert len(data) == 0x9C
    assert data == (vectors / "des_core" / "v2_example" / "v2_example.des").read_bytes()
    (tmp_path / "a.des").write_bytes(data)
    (tmp_path / "_bigFiles").mkdir()
    digest = hashlib.sha256(b"hello").hexdigest()
    (tmp_path / "_bigFiles" / digest).write_bytes(b"hello")
    with DesReader(tmp_path / "a.des") as reader:
        assert reader.format_name == "des_core version 2"
        assert reader.get_files_batch(["B", "a"]) == {"B": b"hello", "a": b"hi"}
        assert reader.get_meta("a") == {"k": 1}
        assert reader.get_meta("B") == {}
        entry = reader.get_entry("B")
        assert (entry.kind, entry.sha256, entry.size, entry.stored_size) == (Kind.EXTERNAL, digest, 5, 0)


def test_a_des_core_archive_of_version_1_has_no_metadata() -> None:
    with DesReader(bytes.fromhex(DES_CORE_1)) as reader:
        assert reader.format_name == "des_core version 1"
        assert reader.get_file("a") == b"hi"
        assert reader.get_meta("a") == {}
        assert reader.get_entry("a").offset == 8


def test_the_builders_of_these_tests_write_the_examples(
    dv: Any, dc: Any, build_datavision: Any, build_des_core: Any
) -> None:
    rows = [
        dv(b"a.txt", b"first version", b'{"v":1,"size":13}'),
        dv(b"b.txt", b"other"),
        dv(b"a.txt", b"second", b'{"v":2,"size":6}'),
    ]
    assert build_datavision(rows) == bytes.fromhex(DATAVISION)
    digest = hashlib.sha256(b"hello").hexdigest().encode()
    core = [dc(b"a", b"hi", meta=b'{"k":1}'), dc(b"B", size=5, digest=digest)]
    assert build_des_core(core) == bytes.fromhex(DES_CORE_2)
    assert build_des_core([dc(b"a", b"hi")], version=1) == bytes.fromhex(DES_CORE_1)
