"""Tar and zip archives as inputs."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
import zstandard
from des_format import DesReader

Des = Callable[..., Any]
Compress = Callable[[bytes], bytes]

COMPRESSIONS: dict[str, Compress] = {
    "": lambda data: data,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".lz4": lambda data: lz4.frame.compress(data, content_checksum=True),
}


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar_bytes(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def link(name: str, target: str, kind: bytes = tarfile.LNKTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=kind, linkname=target)


SIMPLE = tar_bytes(
    member("./dir", type=tarfile.DIRTYPE),
    member("./dir/a", b"alpha", mtime=1_700_000_000, mode=0o640),
    member("/abs//b", b"beta"),
)
SIMPLE_TREE = {"dir/a": b"alpha", "abs/b": b"beta"}


class TestFromTar:
    @pytest.mark.parametrize("suffix", COMPRESSIONS)
    def test_compression_is_recognised_in_files_and_on_stdin(self, des: Des, trees: Any, suffix: str) -> None:
        data = COMPRESSIONS[suffix](SIMPLE)
        Path("t").write_bytes(data)
        assert des("pack", "--from-tar", "t", "-o", "file.des").exit_code == 0
        assert des("pack", "--from-tar", "-", "-o", "stdin.des", input=data).exit_code == 0
        assert trees.of_archive(Path("file.des")) == SIMPLE_TREE
        assert Path("file.des").read_bytes() == Path("stdin.des").read_bytes()
        with DesReader("file.des") as reader:
            assert reader.get_meta("dir/a") == {"mtime_ns": 1_700_000_000 * 10**9, "mode": 0o640}
            assert reader.get_meta("abs/b") == {}

    @pytest.mark.parametrize("suffix", [suffix for suffix in COMPRESSIONS if suffix])
    def test_compressed_data_that_is_cut_off_or_damaged_is_an_error(self, des: Des, suffix: str) -> None:
        data = COMPRESSIONS[suffix](tar_bytes(member("a", bytes(range(256)) * 100)))
        half = len(data) // 2
        for case in (data[:half], data[:-4], data[:half] + b"????????" + data[half + 8 :]):
            result = des("pack", "--from-tar", "-", "-o", "out.des", input=case)
            assert result.exit_code == 5, result.output
            assert not Path("out.des").exists()

    @pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst", ".lz4"])
    def test_compressed_data_in_several_parts_is_read_to_its_end(self, des: Des, trees: Any, suffix: str) -> None:
        data = COMPRESSIONS[suffix](SIMPLE[:700]) + COMPRESSIONS[suffix](SIMPLE[700:])
        assert des("pack", "--from-tar", "-", "-o", "out.des", input=data).exit_code == 0
        assert trees.of_archive(Path("out.des")) == SIMPLE_TREE

    def test_links_and_devices_are_skipped_and_hard_links_resolved(self, des: Des, trees: Any) -> None:
        Path("t.tar").write_bytes(
            tar_bytes(
                link("early", "later"),
                member("a", b"alpha"),
                link("hard", "a"),
                link("harder", "hard"),
                link("soft", "a", tarfile.SYMTYPE),
                member("dev", type=tarfile.CHRTYPE),
                member("later", b"later"),
            )
        )
        result = des("pack", "--from-tar", "t.tar", "-o", "out.des", "--keep-going", "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["failed"] == ["early"]
        assert json.loads(result.stdout)["skipped"] == {"special file": 1, "symbolic link": 1}
        assert trees.of_archive(Path("out.des")) == {
            "a": b"alpha", "hard": b"alpha", "harder": b"alpha", "later": b"later",
        }  # fmt: skip

    def test_hard_links_in_a_stream_or_behind_zstd_cannot_be_resolved(self, des: Des, trees: Any) -> None:
        data = tar_bytes(member("a", b"alpha"), link("hard", "a"))
        Path("t.tar.zst").write_bytes(zstandard.ZstdCompressor().compress(data))
        streamed = des("pack", "--from-tar", "-", "-o", "s.des", "-k", input=data)
        compressed = des("pack", "--from-tar", "t.tar.zst", "-o", "z.des", "-k")
        assert (streamed.exit_code, compressed.exit_code) == (1, 1)
        assert "cannot be looked up in a stream" in streamed.stderr
        assert "in this kind of compression" in compressed.stderr
        assert trees.of_archive(Path("z.des")) == {"a": b"alpha"}

    def test_names_that_lead_upwards_are_refused_and_patterns_apply(self, des: Des, trees: Any) -> None:
        data = tar_bytes(
            member("../x", b"evil"), member("../d", type=tarfile.DIRTYPE), member("a", b"1"), member("b", b"2")
        )
        assert des("pack", "--from-tar", "-", "-o", "out.des", input=data).exit_code == 1
        result = des(
            "pack", "--from-tar", "-", "-o", "out.des", "-k", "--exclude", "b", "--prefix", "p/", input=data
        )  # fmt: skip
        assert result.exit_code == 1
        assert "../x" in result.stderr
        assert "../d" not in result.stderr
        assert trees.of_archive(Path("out.des")) == {"p/a": b"1"}

    def test_a_name_that_comes_twice_is_a_conflict(self, des: Des) -> None:
        data = tar_bytes(member("a", b"1"), member("a", b"2"))
        assert des("pack", "--from-tar", "-", "-o", "out.des", input=data).exit_code == 4
        assert des("pack", "--from-tar", "-", "-o", "out.des", "-k", input=data).exit_code == 1

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"no tar at all" * 100,
            SIMPLE[:700],
            SIMPLE[:1100],
            SIMPLE[: 3 * 512],
            SIMPLE[: 3 * 512] + b"?" * 512 + SIMPLE[4 * 512 :],
        ],
        ids=["empty", "text", "cut in a header", "cut in a payload", "cut between members", "a damaged header"],
    )
    def test_a_damaged_tar_is_never_taken_for_a_shorter_one(self, des: Des, data: bytes) -> None:
        result = des("pack", "--from-tar", "-", "-o", "out.des", input=data)
        assert result.exit_code == 5
        assert "not a tar archive, or a damaged one" in result.stderr
        assert not Path("out.des").exists()

    def test_a_pax_record_that_is_no_json_fails_its_member_alone(self, des: Des, trees: Any) -> None:
        data = tar_bytes(
            member("bad", b"1", pax_headers={"DES.meta": "{"}),
            member("list", b"2", pax_headers={"DES.meta": "[1]"}),
            member("time", b"3", pax_headers={"mtime": "soon"}),
        )
        result = des("pack", "--from-tar", "-", "-o", "out.des", "-k", input=data)
        assert result.exit_code == 1
        assert set(trees.of_archive(Path("out.des"))) == {"list"}

    def test_a_missing_tar_is_not_found(self, des: Des) -> None:
        assert des("pack", "--from-tar", "absent", "-o", "out.des").exit_code == 3


class TestFromZip:
    def test_members_come_with_time_and_permissions(self, des: Des, trees: Any) -> None:
        with zipfile.ZipFile("t.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.mkdir("dir")
            archive.writestr("dir/a", b"alpha" * 100)
            info = zipfile.ZipInfo("dir/old", (2001, 2, 3, 4, 5, 6))
            info.external_attr = (stat.S_IFREG | 0o755) << 16
            archive.writestr(info, b"old")
            archive.writestr(zipfile.ZipInfo("dir/never"), b"never")
            strange = zipfile.ZipInfo("dir/strange", (2001, 0, 0, 0, 0, 0))
            strange.create_system = 0
            archive.writestr(strange, b"strange")
        assert des("pack", "--from-zip", "t.zip", "--exclude", "a", "-o", "out.des").exit_code == 0
        with DesReader("out.des") as reader:
            assert reader.get_meta("dir/old") == {"mtime_ns": 981_173_106 * 10**9, "mode": 0o755}
            assert "mtime_ns" not in reader.get_meta("dir/never")
            assert reader.get_meta("dir/strange") == {}
            assert list(reader) == ["dir/never", "dir/old", "dir/strange"]

    def test_links_encrypted_and_damaged_members_are_told_apart(self, des: Des, trees: Any) -> None:
        with zipfile.ZipFile("t.zip", "w") as archive:
            soft = zipfile.ZipInfo("soft")
            soft.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(soft, b"good")
            for name in ("good", "damaged", "secret", "../up"):
                archive.writestr(name, name.encode() * 20)
        data = bytearray(Path("t.zip").read_bytes())
        data[data.index(b"damageddamaged") + 10] ^= 1
        secret = data.rindex(b"secret", 0, data.rindex(b"../up"))  # in the directory at the end
        data[secret - 46 + 8] |= 1
        Path("t.zip").write_bytes(data)
        result = des("pack", "--from-zip", "t.zip", "-o", "out.des", "-k", "--json")
        assert result.exit_code == 1
        assert json.loads(result.stdout)["failed"] == ["damaged", "secret", "../up"]
        assert "damaged: is damaged: Bad CRC-32" in result.stderr
        assert "secret: cannot be opened: " in result.stderr
        assert json.loads(result.stdout)["skipped"] == {"symbolic link": 1}
        assert trees.of_archive(Path("out.des")) == {"good": b"good" * 20}

    def test_what_is_no_zip_is_said(self, des: Des) -> None:
        Path("t.zip").write_bytes(b"PK no zip")
        assert des("pack", "--from-zip", "t.zip", "-o", "out.des").exit_code == 5
        assert des("pack", "--from-zip", "absent", "-o", "out.des").exit_code == 3

    def test_extra_fields_of_others_are_passed_over(self, des: Des) -> None:
        for extra in (
            b"\x99\x99\x02\x00ab" + b"UT\x05\x00\x01\x00\x00\x00\x10",
            b"UT\x05\x00\x00\x00\x00\x00\x10",
            b"UT",
        ):
            with zipfile.ZipFile("t.zip", "w") as archive:
                info = zipfile.ZipInfo("a", (2001, 2, 3, 4, 5, 6))
                info.extra = extra
                archive.writestr(info, b"a")
            assert des("pack", "--from-zip", "t.zip", "-o", "out.des", "--overwrite").exit_code == 0
            with DesReader("out.des") as reader:
                expected = 0x1000_0000 if extra.startswith(b"\x99") else 981_173_106
                assert reader.get_meta("a")["mtime_ns"] == expected * 10**9
