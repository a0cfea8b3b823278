from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from des_format import Codec, DesReader, DesWriter
from des_format.copying import copy_entries

Des = Callable[..., Any]


def damage(archive: Path, name: str) -> None:
    """Flip the last bit of an entry's stored payload."""
    with DesReader(archive) as reader:
        entry = reader.get_entry(name)
    data = bytearray(archive.read_bytes())
    data[entry.offset + entry.length - 1] ^= 1
    archive.write_bytes(data)


class TestInfo:
    def test_json_adds_up(self, des: Des, archive: Path) -> None:
        info = json.loads(des("info", archive, "--json").stdout)
        size = archive.stat().st_size
        assert info["format"] == "DES version 3"
        assert info["archive_bytes"] == size
        assert (info["entries"], info["inside"]["entries"], info["beside"]["entries"]) == (4, 3, 1)
        assert info["payload_bytes"] == 5 + 8000 + 76_800
        assert info["overhead_bytes"] == size - info["inside"]["stored_bytes"]
        assert info["overhead_bytes_per_entry"] == round(info["overhead_bytes"] / 4, 1)
        assert info["index"]["blocks"] == 1
        assert info["dictionary"] is None
        assert info["appends"] == 0

    def test_appends_and_what_they_superseded_are_shown(self, des: Des, archive: Path) -> None:
        Path("x").write_bytes(b"x")
        des("append", archive, "x")
        des("append", archive, "x", "--prefix", "again-")
        info = json.loads(des("info", archive, "--json").stdout)
        assert info["appends"] == 2
        assert info["superseded_bytes"] > 8000
        text = des("info", archive).stdout
        assert "2 times; " in text
        assert "of earlier indexes" in text
        assert "payload beside   75.0 KiB in 1 entry" in text

    def test_an_uncommitted_append_is_shown(self, des: Des, archive: Path) -> None:
        writer = DesWriter.append(archive, compression="none")
        writer.add_file("x", os.urandom(3 * 2**20))
        result = des("info", archive)
        writer.abort()
        assert result.exit_code == 0
        assert "3.0 MiB at the end belong to an append" in result.stderr

    def test_a_dictionary_is_shown(self, des: Des, trees: Any) -> None:
        trees.write(Path("t"), {f"{i}": b'{"id": %d, "kind": "document", "owner": "me"}' % i for i in range(800)})
        des("pack", "t", "-o", "d.des", "--dictionary", "auto")
        assert ", id 0x" in des("info", "d.des").stdout

    def test_an_empty_archive_has_no_overhead_for_an_entry(self, des: Des) -> None:
        DesWriter("empty.des").close()
        info = json.loads(des("info", "empty.des", "--json").stdout)
        assert info["overhead_bytes_per_entry"] is None
        assert info["index"]["load"] == 0
        assert "an entry" not in des("info", "empty.des").stdout.split("fixed parts")[0]


class TestVerify:
    def test_a_sound_archive_is_ok(self, des: Des, archive: Path) -> None:
        result = des("verify", archive)
        assert (result.exit_code, result.stdout) == (0, "")
        assert "ok; 4 entries, " in result.stderr

    def test_damaged_entries_are_listed_on_stdout(self, des: Des, archive: Path) -> None:
        damage(archive, "a.txt")
        result = des("verify", archive)
        assert result.exit_code == 1
        assert "a.txt" in result.stdout
        report = json.loads(des("verify", archive, "--json").stdout)
        assert report["ok"] is False
        assert "a.txt" in [problem["name"] for problem in report["problems"]]

    def test_a_sample_says_that_it_is_one(self, des: Des, archive: Path) -> None:
        result = des("verify", archive, "--sample", "50%")
        assert result.exit_code == 0
        assert "only a sample was read" in result.stderr
        assert json.loads(des("verify", archive, "--sample", "0.5", "--json").stdout)["complete"] is False

    @pytest.mark.parametrize("share", ["0", "101%", "-1", "some", "nan"])
    def test_a_share_that_is_none_is_refused(self, des: Des, archive: Path, share: str) -> None:
        assert des("verify", archive, f"--sample={share}").exit_code == 2


class TestSalvage:
    def test_what_is_intact_is_saved_from_an_archive_without_its_tail(
        self, des: Des, archive: Path, trees: Any
    ) -> None:
        expected = trees.of_archive(archive)
        damage(archive, "a.txt")
        archive.write_bytes(archive.read_bytes()[:-200])
        result = des("salvage", archive, "-o", "saved.des")
        assert result.exit_code == 1
        assert "a.txt" in result.stdout
        assert "3 entries, " in result.stderr
        del expected["a.txt"]
        assert trees.of_archive(Path("saved.des")) == expected

    def test_a_sound_archive_is_saved_whole(self, des: Des, archive: Path, trees: Any) -> None:
        result = des("salvage", archive, "-o", "saved.des", "--json")
        assert result.exit_code == 0
        report = json.loads(result.stdout)
        assert (report["recovered"], report["problems"]) == (4, [])
        assert trees.of_archive(Path("saved.des")) == trees.of_archive(archive)

    def test_nothing_is_replaced_unless_asked(self, des: Des, archive: Path) -> None:
        Path("saved.des").write_bytes(b"mine")
        assert des("salvage", archive, "-o", "saved.des").exit_code == 4
        assert Path("saved.des").read_bytes() == b"mine"
        assert des("salvage", archive, "-o", "saved.des", "--overwrite").exit_code == 0

    def test_a_missing_archive_is_an_error(self, des: Des) -> None:
        assert des("salvage", "absent", "-o", "saved.des").exit_code == 3
        assert not Path("saved.des").exists()


class TestConvert:
    def test_entries_metadata_and_order_stay(self, des: Des, archive: Path) -> None:
        result = des("convert", archive, "new.des", "--compression", "none", "--threshold", "50K", "--json")
        assert result.exit_code == 0
        assert json.loads(result.stdout)["entries"] == 4
        with DesReader(archive) as old, DesReader("new.des") as new:
            assert [(e.name, dict(e.meta)) for e, _ in old.scan()] == [(e.name, dict(e.meta)) for e, _ in new.scan()]
            assert all(old.get_file(name) == new.get_file(name) for name in old)
            assert new.get_entry("b/text.json").codec is Codec.NONE
            assert new.get_entry("big.bin").is_external

    def test_traces_of_appends_are_left_out(self, des: Des, archive: Path) -> None:
        Path("x").write_bytes(b"x")
        des("append", archive, "x")
        size = archive.stat().st_size
        result = des("convert", archive, archive, "--overwrite")
        assert "converted from DES version 3" in result.stderr
        assert archive.stat().st_size < size
        assert len(DesReader(archive)) == 5

    def test_a_payload_that_was_beside_moves_inside_under_a_larger_threshold(self, des: Des, archive: Path) -> None:
        assert des("convert", archive, "new.des").exit_code == 0
        with DesReader("new.des") as reader:
            assert not reader.get_entry("big.bin").is_external
        assert not Path("_bigFiles").exists()

    @pytest.mark.parametrize("threshold", ["10M", "50K"])
    def test_a_damaged_archive_is_not_converted(self, des: Des, archive: Path, threshold: str) -> None:
        (big,) = (archive.parent / "_bigFiles").iterdir()
        content = big.read_bytes()
        big.write_bytes(b"?" + content[1:])
        assert des("convert", archive, "new.des", "--threshold", threshold).exit_code == 5
        big.write_bytes(content[1:])
        assert des("convert", archive, "new.des", "--threshold", threshold).exit_code == 5
        big.unlink()
        assert des("convert", archive, "new.des", "--threshold", threshold).exit_code == 3
        assert not Path("new.des").exists()
        assert not Path("_bigFiles").exists() or list(Path("_bigFiles").iterdir()) == []

    def test_nothing_is_replaced_unless_asked(self, des: Des, archive: Path) -> None:
        Path("new.des").write_bytes(b"mine")
        assert des("convert", archive, "new.des").exit_code == 4
        assert Path("new.des").read_bytes() == b"mine"


class TestLegacyFormats:
    def test_everything_reads_them(self, des: Des, legacy_archive: Path, trees: Any) -> None:
        assert des("ls", legacy_archive).stdout == "a.txt\nb/c.bin\nempty\n"
        assert des("cat", legacy_archive, "b/c.bin").stdout_bytes == bytes(range(256))
        assert des("extract", legacy_archive, "-o", "out").exit_code == 0
        assert trees.read(Path("out")) == trees.of_archive(legacy_archive)
        assert des("bench", legacy_archive, "--count", 3).exit_code == 0

    def test_that_they_have_no_checksums_is_said(self, des: Des, legacy_archive: Path) -> None:
        assert "without checksums" in des("info", legacy_archive).stdout
        result = des("verify", legacy_archive)
        assert result.exit_code == 0
        assert "this format has no checksums" in result.stderr
        assert json.loads(des("info", "--json", legacy_archive).stdout)["has_checksums"] is False

    def test_convert_makes_version_3_of_them(self, des: Des, legacy_archive: Path) -> None:
        assert des("convert", legacy_archive, "new.des").exit_code == 0
        with DesReader(legacy_archive) as old, DesReader("new.des") as new:
            assert new.format_name == "DES version 3"
            assert [(e.name, dict(e.meta), p) for e, p in old.scan()] == [
                (e.name, dict(e.meta), p) for e, p in new.scan()
            ]

    def test_appending_to_them_is_refused_and_says_what_helps(self, des: Des, legacy_archive: Path) -> None:
        before = legacy_archive.read_bytes()
        Path("x").write_bytes(b"x")
        result = des("append", legacy_archive, "x")
        assert result.exit_code == 5
        assert "des convert" in result.stderr
        assert legacy_archive.read_bytes() == before


class TestCopyEntries:
    def test_it_needs_no_callback(self, archive: Path, tmp_path: Path) -> None:
        with DesReader(archive) as reader, DesWriter(tmp_path / "copy.des") as writer:
            assert copy_entries(reader, writer) == 4


class TestBench:
    def test_a_table_has_a_row_for_each_operation(self, des: Des, archive: Path) -> None:
        result = des("bench", archive, "--count", 10)
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0].split("  ")[0] == "operation"
        assert [line.split("  ")[0] for line in lines[1:]] == [
            "open the archive", "list names", "get, one by one", "get, 100 at a time", "scan front to back",
        ]  # fmt: skip
        assert lines[3].rstrip().endswith("%")

    def test_json_lines_are_exact(self, des: Des, trees: Any) -> None:
        trees.write(Path("t"), {f"{i:04}": b"x" * i for i in range(700)})
        des("pack", "t", "-o", "t.des")
        result = des("bench", "t.des", "--count", 50, "--json", "--scan-seconds", 0)
        rows = {row["operation"]: row for row in map(json.loads, result.stdout.splitlines())}
        assert list(rows) == ["open", "list", "get", "batch", "scan"]
        assert rows["list"]["count"] == 700
        assert rows["get"]["count"] == 50
        assert rows["get"]["baseline_seconds"] > 0
        assert rows["scan"]["count"] == 256

    def test_an_archive_without_payloads_inside_has_nothing_to_measure(self, des: Des) -> None:
        DesWriter("empty.des").close()
        assert des("bench", "empty.des").exit_code == 3
