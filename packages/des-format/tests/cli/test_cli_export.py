"""Tar and zip archives from DES archives."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from des_format import DesReader, DesWriter

Des = Callable[..., Any]


@pytest.fixture
def packed(des: Des, odd_tree: Path) -> Path:
    des("pack", odd_tree, "-o", "packed.des", "--threshold", "5K", "--dictionary", "auto")
    return Path("packed.des")


class TestToTar:
    @pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"])
    def test_there_and_back_gives_the_same_archive(self, des: Des, packed: Path, suffix: str) -> None:
        assert des("to-tar", packed, "-o", f"t{suffix}").exit_code == 0
        again = des("pack", "--from-tar", f"t{suffix}", "-o", "again.des", "--threshold", "5K", "--dictionary", "auto")
        assert again.exit_code == 0
        assert Path("again.des").read_bytes() == packed.read_bytes()

    def test_the_tool_tar_sees_the_same_files(self, des: Des, packed: Path, trees: Any) -> None:
        des("to-tar", packed, "-o", "t.tar")
        with tarfile.open("t.tar") as tar:
            tar.extractall("out", filter="data")
            assert {info.uid for info in tar} == {0}
        assert trees.read(Path("out")) == trees.odd

    @pytest.mark.parametrize("name", ["t.tar.gz", "t.tar"])
    def test_equal_archives_give_equal_bytes_in_files_and_on_stdout(self, des: Des, packed: Path, name: str) -> None:
        des("to-tar", packed, "-o", name)
        first = Path(name).read_bytes()
        des("to-tar", packed, "-o", name, "--overwrite")
        assert Path(name).read_bytes() == first
        if name == "t.tar":
            assert des("to-tar", packed, "-o", "-").stdout_bytes == first

    def test_metadata_survives(self, des: Des, archive: Path) -> None:
        data = des("to-tar", archive, "-o", "-").stdout_bytes
        des("pack", "--from-tar", "-", "-o", "again.des", input=data)
        with DesReader(archive) as old, DesReader("again.des") as new:
            assert {name: old.get_meta(name) for name in old} == {name: new.get_meta(name) for name in new}

    def test_unsafe_names_are_left_out_and_named(self, des: Des) -> None:
        with DesWriter("evil.des") as writer:
            writer.add_file("../x", b"evil")
            writer.add_file("good", b"good")
        for command in ("to-tar", "to-zip"):
            result = des(command, "evil.des", "-o", command)
            assert result.exit_code == 1
            assert "../x" in result.stderr
        with tarfile.open("to-tar") as tar:
            assert tar.getnames() == ["good"]
        assert zipfile.ZipFile("to-zip").namelist() == ["good"]

    @pytest.mark.parametrize("command", ["to-tar", "to-zip"])
    def test_nothing_is_replaced_unless_asked_and_nothing_appears_of_damaged_archives(
        self, des: Des, archive: Path, command: str
    ) -> None:
        Path("mine").write_bytes(b"mine")
        assert des(command, archive, "-o", "mine").exit_code == 4
        assert Path("mine").read_bytes() == b"mine"
        (big,) = (archive.parent / "_bigFiles").iterdir()
        big.write_bytes(b"?" + big.read_bytes()[1:])
        assert des(command, archive, "-o", "new").exit_code == 5
        assert [path.name for path in Path().iterdir()] == ["mine"]


class TestToZip:
    @pytest.mark.parametrize("options", [[], ["--store"]])
    def test_the_tool_zip_sees_the_same_files_times_and_permissions(
        self, des: Des, odd_tree: Path, trees: Any, options: list[str]
    ) -> None:
        des("pack", odd_tree, "-o", "packed.des", "--threshold", "5K")
        assert des("to-zip", "packed.des", "-o", "t.zip", *options).exit_code == 0
        with zipfile.ZipFile("t.zip") as archive:
            assert archive.testzip() is None
            assert {name: archive.read(name) for name in archive.namelist()} == trees.odd
        assert Path("t.zip").read_bytes() != des("to-zip", "packed.des", "-o", "-", *options).stdout_bytes[:-1]
        des("pack", "--from-zip", "t.zip", "-o", "again.des")
        des("to-zip", "again.des", "-o", "again.zip", *options)
        assert Path("again.zip").read_bytes() == Path("t.zip").read_bytes()

    def test_a_zip_on_stdout_is_read_by_a_tool_that_cannot_seek_back(self, des: Des, packed: Path, trees: Any) -> None:
        data = des("to-zip", packed, "-o", "-").stdout_bytes
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert {name: archive.read(name) for name in archive.namelist()} == trees.odd

    @pytest.mark.parametrize("mtime_ns", [-(10**9), 0, 10**9, 2**31 * 10**9, 2**30 * 10**9, 4 * 10**18])
    def test_times_beyond_what_zip_knows_are_left_out(self, des: Des, mtime_ns: int) -> None:
        with DesWriter("t.des") as writer:
            writer.add_file("a", b"a", {"mtime_ns": mtime_ns})
        assert des("to-zip", "t.des", "-o", "t.zip").exit_code == 0
        des("pack", "--from-zip", "t.zip", "-o", "again.des")
        with DesReader("again.des") as reader:
            fits = mtime_ns < 2**31 * 10**9
            assert reader.get_meta("a") == ({"mtime_ns": mtime_ns} if fits else {})
