from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from des_format import DesReader, DesWriter
from des_format.cli.plugins import plugin_names

Des = Callable[..., Any]


class TestLs:
    def test_names_come_in_order_one_a_line(self, des: Des, archive: Path) -> None:
        result = des("ls", archive)
        assert (result.exit_code, result.stdout) == (0, "a.txt\nb/empty\nb/text.json\nbig.bin\n")

    def test_a_prefix_chooses(self, des: Des, archive: Path) -> None:
        assert des("ls", archive, "b/").stdout == "b/empty\nb/text.json\n"

    def test_a_prefix_of_nothing_is_an_error_but_an_empty_archive_is_not(self, des: Des, archive: Path) -> None:
        assert des("ls", archive, "zzz").exit_code == 3
        DesWriter("empty.des").close()
        assert (des("ls", "empty.des").exit_code, des("ls", "empty.des").stdout) == (0, "")

    def test_long_lines_have_sizes_codec_and_date(self, des: Des, archive: Path) -> None:
        lines = des("ls", "-l", archive).stdout.splitlines()
        assert lines[0].split() == ["5", "B", "5", "B", "none", "2023-11-14T22:13:20Z", "a.txt"]
        assert lines[1].split()[-2:] == ["-", "b/empty"]
        assert lines[2].split()[4] == "zstd"
        assert lines[3].split() == ["75.0", "KiB", "0", "B", "beside", "-", "big.bin"]

    def test_names_cannot_break_long_lines_or_drive_a_terminal(self, des: Des) -> None:
        with DesWriter("odd.des") as writer:
            writer.add_file("new\nline\x1b[2J", b"")
        assert "new\\nline\\x1b[2J" in des("ls", "-l", "odd.des").stdout

    def test_times_reach_as_far_as_64_bits_do(self, des: Des) -> None:
        times = [2**63 - 1, -(2**63), 2**63]
        with DesWriter("odd.des") as writer:
            for number, mtime_ns in enumerate(times):
                writer.add_file(str(number), b"", {"mtime_ns": mtime_ns})
        shown = [line.split()[-2] for line in des("ls", "-l", "odd.des").stdout.splitlines()]
        assert shown == ["2262-04-11T23:47:16Z", "1677-09-21T00:12:43Z", "-"]

    def test_json_lines_are_exact(self, des: Des, archive: Path) -> None:
        rows = [json.loads(line) for line in des("ls", "--json", archive).stdout.splitlines()]
        assert [row["name"] for row in rows] == ["a.txt", "b/empty", "b/text.json", "big.bin"]
        assert rows[2]["size"] == 8000
        assert rows[2]["codec"] == "zstd"
        assert rows[2]["meta"] == {"author": "me", "mtime_ns": 1_600_000_000_000_000_000}
        assert [row["kind"] for row in rows] == ["inline"] * 3 + ["external"]

    def test_nul_ends_names_that_hold_new_lines(self, des: Des, odd_tree: Path, trees: Any) -> None:
        des("pack", odd_tree, "-o", "out.des")
        names = des("ls", "-0", "out.des").stdout_bytes.split(b"\0")
        assert [name.decode() for name in names] == [*sorted(trees.odd), ""]

    def test_formats_exclude_each_other(self, des: Des, archive: Path) -> None:
        assert des("ls", "-l", "--json", archive).exit_code == 2


class TestCat:
    def test_payloads_come_byte_by_byte_one_after_the_other(self, des: Des, archive: Path, trees: Any) -> None:
        names = ["big.bin", "a.txt", "b/empty", "b/text.json"]
        result = des("cat", archive, *names)
        assert result.exit_code == 0
        assert result.stdout_bytes == b"".join(trees.of_archive(archive)[name] for name in names)

    def test_a_name_with_a_leading_dash_follows_two_dashes(self, des: Des, odd_tree: Path) -> None:
        des("pack", odd_tree, "-o", "out.des")
        assert des("cat", "out.des", "--", "-dash.txt").stdout == "a leading dash"

    @pytest.mark.parametrize("name", ["a.txt", "b/text.json", "big.bin", "b/empty"])
    @pytest.mark.parametrize(
        ("text", "part"),
        [
            ("1:4", slice(1, 4)),
            (":3", slice(0, 3)),
            ("4:", slice(4, None)),
            (":", slice(0, None)),
            ("2:2", slice(2, 2)),
            ("3:999999", slice(3, 999_999)),
            ("999999:", slice(999_999, None)),
        ],
    )
    def test_a_range_is_half_open(self, des: Des, archive: Path, trees: Any, name: str, text: str, part: slice) -> None:
        result = des("cat", archive, name, "--range", text)
        assert (result.exit_code, result.stdout_bytes) == (0, trees.of_archive(archive)[name][part])

    @pytest.mark.parametrize("text", ["1", "a:b", "-1:2", "4:1", "٣:"])
    def test_a_range_that_is_none_is_refused(self, des: Des, archive: Path, text: str) -> None:
        assert des("cat", archive, "a.txt", f"--range={text}").exit_code == 2

    def test_a_missing_name_does_not_keep_the_others(self, des: Des, archive: Path) -> None:
        result = des("cat", archive, "absent", "a.txt")
        assert (result.exit_code, result.stdout) == (3, "alpha")
        assert "des: absent: no entry 'absent'" in result.stderr

    def test_damaged_payloads_are_not_written(self, des: Des, archive: Path) -> None:
        with DesReader(archive) as reader:
            entry = reader.get_entry("a.txt")
        data = bytearray(archive.read_bytes())
        data[entry.offset + entry.length - 1] ^= 1
        archive.write_bytes(data)
        result = des("cat", archive, "a.txt", "absent", "b/text.json")
        assert result.exit_code == 1
        assert result.stdout_bytes == b'{"key": "value"}' * 500

    def test_a_big_file_that_changed_is_an_error_at_its_end(self, des: Des, archive: Path) -> None:
        (big,) = (archive.parent / "_bigFiles").iterdir()
        big.write_bytes(b"?" + big.read_bytes()[1:])
        result = des("cat", archive, "big.bin")
        assert result.exit_code == 1
        assert "its SHA-256 is another one" in result.stderr
        big.unlink()
        assert des("cat", archive, "big.bin").exit_code == 3


class TestErrors:
    @pytest.mark.parametrize("command", ["ls", "info", "verify", "bench"])
    def test_what_is_no_archive_is_said(self, des: Des, command: str) -> None:
        Path("text").write_bytes(b"just text" * 100)
        Path("empty").write_bytes(b"")
        for path, code, says in (
            ("absent", 3, "absent: No such file or directory"),
            ("text", 5, "no known archive format"),
            ("empty", 5, "is empty: not an archive"),
            (".", 5, ". is a folder, not an archive"),
        ):
            result = des(command, path)
            assert result.exit_code == code
            assert f"des: error: {says}" in result.stderr or says in result.stderr
            assert "Traceback" not in result.stderr

    def test_a_cut_archive_is_too_damaged(self, des: Des, archive: Path) -> None:
        archive.write_bytes(archive.read_bytes()[:-10])
        result = des("ls", archive)
        assert result.exit_code == 5
        assert "des salvage" in result.stderr

    def test_debug_shows_where(self, des: Des) -> None:
        assert "Traceback" in des("--debug", "ls", "absent").stderr


class TestHelp:
    def test_every_command_shows_examples_that_it_accepts(self, des: Des) -> None:
        listing = des("--help").stdout
        listed = [line.split()[0] for line in listing.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
        commands = [command for command in listed if command not in plugin_names()]
        assert len(commands) == 14
        for command in commands:
            text = des(command, "--help").stdout
            assert "For example:" in text
            assert f"      des {command}" in text

    def test_every_command_of_the_store_shows_examples(self, des: Des) -> None:
        listing = des("store", "--help").stdout
        commands = [line.split()[0] for line in listing.split("Commands:\n")[1].splitlines()]
        assert len(commands) == 16
        for command in commands:
            text = des("store", command, "--help").stdout
            assert f"      des store {command}" in text

    def test_exit_codes_are_in_the_help(self, des: Des) -> None:
        text = des("-h").stdout
        for code in (0, 1, 2, 3, 4, 5, 6, 7, 130, 141):
            assert f"\n{code:>7}  " in text

    def test_versions(self, des: Des) -> None:
        assert des("version").stdout == des("--version").stdout
        assert des("version").stdout.startswith("des-format ")

    def test_no_command_shows_the_help_and_is_a_usage_error(self, des: Des) -> None:
        result = des()
        assert result.exit_code == 2
        assert "Commands:" in result.output
        assert des("nothing").exit_code == 2
