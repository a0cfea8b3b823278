"""`des store get`, `ls` and `locate`, also of stores of the published systems."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from des_format import DesWriter

Des = Callable[..., Any]

AT = ("--created-at", "2025-11-25T10:00:00Z")


def only(folder: Path, pattern: str) -> Path:
    (path,) = folder.rglob(pattern)
    return path


class TestGet:
    def test_a_payload_goes_to_stdout_or_to_a_file(self, des: Des, store: Path) -> None:
        assert des("store", "get", store, "16", *AT).stdout_bytes == b"sixteen"
        result = des("store", "get", store, "1.big", *AT, "-o", "out")
        assert (result.exit_code, result.stdout) == (0, "")
        assert Path("out").read_bytes() == bytes(range(256)) * 8
        assert des("store", "get", store, "16", *AT, "-o", "-").stdout_bytes == b"sixteen"

    def test_any_time_of_the_day_will_do(self, des: Des, store: Path) -> None:
        assert des("store", "get", store, "16", "--created-at", "2025-11-26T00:30:00+01:00").exit_code == 0
        assert des("store", "get", store, "16", "--created-at", "2025-11-26T00:30:00Z").exit_code == 3

    def test_a_file_that_exists_is_replaced_only_on_demand(self, des: Des, store: Path) -> None:
        Path("out").write_bytes(b"mine")
        assert des("store", "get", store, "16", *AT, "-o", "out").exit_code == 4
        assert Path("out").read_bytes() == b"mine"
        assert des("store", "get", store, "16", *AT, "-o", "out", "--overwrite").exit_code == 0
        assert Path("out").read_bytes() == b"sixteen"
        assert des("store", "get", store, "16", *AT, "-o", ".", "--overwrite").exit_code == 2

    @pytest.mark.parametrize(
        ("text", "part"),
        [("1:4", slice(1, 4)), (":3", slice(0, 3)), ("4:", slice(4, None)), ("2:2", slice(2, 2)), ("99:", slice(0, 0))],
    )
    def test_a_range_is_half_open(self, des: Des, store: Path, text: str, part: slice) -> None:
        assert des("store", "get", store, "16", *AT, "--range", text).stdout_bytes == b"sixteen"[part]
        locator = des("store", "locate", store, "16", *AT).stdout.strip()
        result = des("store", "get", store, "--locator", locator, "--range", text)
        assert result.stdout_bytes == b"sixteen"[part]

    def test_a_naive_time_is_refused_with_a_hint(self, des: Des, store: Path) -> None:
        result = des("store", "get", store, "16", "--created-at", "2025-11-25T10:00:00")
        assert result.exit_code == 2
        assert "in UTC: 2025-11-25T10:00:00Z" in result.stderr

    def test_what_is_not_there_is_said(self, des: Des, store: Path) -> None:
        result = des("store", "get", store, "48", *AT, "-o", "out")
        assert result.exit_code == 3
        assert not Path("out").exists()
        assert des("store", "get", store).exit_code == 2
        assert des("store", "get", store, "16").exit_code == 2

    def test_damage_is_never_returned(self, des: Des, store: Path) -> None:
        archive = only(store, "0_*.des")
        archive.write_bytes(archive.read_bytes().replace(b"sixteen", b"sixtEEn"))
        result = des("store", "get", store, "16", *AT)
        assert (result.exit_code, result.stdout) == (5, "")

    def test_a_damaged_big_file_makes_no_file(self, des: Des, store: Path) -> None:
        (big,) = (store / "20251125" / "_bigFiles").iterdir()
        big.write_bytes(b"?" + big.read_bytes()[1:])
        result = des("store", "get", store, "1.big", *AT, "-o", "out")
        assert result.exit_code == 5
        assert "SHA-256 is another one" in result.stderr
        assert list(Path().iterdir()) == []
        big.unlink()
        assert des("store", "get", store, "1.big", *AT).exit_code == 3


class TestLocate:
    def test_a_locator_reads_the_entry(self, des: Des, store: Path) -> None:
        text = des("store", "locate", store, "16", *AT).stdout
        assert des("store", "get", store, "--locator", text.strip()).stdout == "sixteen"
        assert des("store", "get", store, "--locator", "-", input=text.encode()).stdout == "sixteen"

    def test_a_signed_one_needs_its_key(self, des: Des, store: Path) -> None:
        Path("key").write_bytes(b"0123456789abcdef\n")
        Path("new").write_bytes(b"fedcba9876543210")
        Path("short").write_bytes(b"short")
        text = des("store", "locate", store, "16", *AT, "--key-file", "key", "--expires-in", "1h").stdout.strip()
        read = ("store", "get", store, "--locator", text)
        assert des(*read, "--key-file", "key").stdout == "sixteen"
        assert des(*read, "--key-file", "new", "--key-file", "key").stdout == "sixteen"
        for options in ([], ["--key-file", "new"], ["--key-file", "short"]):
            assert des(*read, *options).exit_code == 2
        assert des(*read, "--key-file", "absent").exit_code == 3
        assert text not in des(*read).stderr

    @pytest.mark.parametrize("text", ["0s", "0.5s", "x", "101w1"])
    def test_an_expiry_is_at_least_a_second(self, des: Des, store: Path, text: str) -> None:
        assert des("store", "locate", store, "16", *AT, "--expires-in", text).exit_code == 2

    def test_what_a_locator_says_is_not_said_again(self, des: Des, store: Path) -> None:
        for more in (["16"], AT, ["--layout", "des-core"]):
            assert des("store", "get", store, "--locator", "A", *more).exit_code == 2
        assert des("store", "get", store, "16", *AT, "--key-file", "key").exit_code == 2
        assert des("store", "get", store, "--locator", "A").exit_code == 2
        assert des("store", "locate", store, "48", *AT).exit_code == 3


class TestLs:
    def test_without_a_day_days_are_listed(self, des: Des, store: Path) -> None:
        assert des("store", "ls", store).stdout == "20251125\n"
        assert des("store", "ls", "-l", store).stdout == "20251125      2\n"
        assert des("store", "ls", "-0", store).stdout == "20251125\0"
        shards = sorted({path.name[0] for path in store.rglob("*.des")})
        assert json.loads(des("store", "ls", "--json", store).stdout) == {"day": "20251125", "shards": shards}

    def test_entries_come_shard_by_shard(self, des: Des, store: Path) -> None:
        assert des("store", "ls", store, "2025-11-25", "0").stdout == "16\n32\n"
        assert sorted(des("store", "ls", store, "20251125").stdout.split()) == ["1.big", "16", "32"]
        assert sorted(des("store", "ls", "-0", store, "20251125", "all", "1").stdout.split("\0")) == ["", "1.big", "16"]
        assert des("store", "ls", store, "20251126").stdout == ""

    def test_long_lines_have_sizes_and_shard(self, des: Des, store: Path) -> None:
        (line,) = des("store", "ls", "-l", store, "20251125", "0", "16").stdout.splitlines()
        assert line.split() == ["7", "B", "7", "B", "none", "-", "0", "16"]

    def test_json_lines_say_where_entries_are(self, des: Des, store: Path) -> None:
        row = json.loads(des("store", "ls", "--json", store, "20251125", "0", "16").stdout)
        assert (row["uid"], row["day"], row["shard"], row["size"], row["kind"]) == ("16", "20251125", "0", 7, "inline")
        assert only(store, f"0_{row['archive_id']}.des").exists()

    def test_uids_cannot_drive_a_terminal(self, des: Des, store: Path) -> None:
        Path("a").write_bytes(b"")
        assert des("store", "put", store, "a", "--uid", "new\nline\x1b[2J", *AT).exit_code == 0
        assert "new\\nline\\x1b[2J" in des("store", "ls", "-l", store, "20251125").stdout

    @pytest.mark.parametrize(
        "arguments",
        [
            ["20251132"],
            ["20251125", "G"],
            ["20251125", "10"],
            ["-l", "--json"],
            ["--as-of", "1"],
            ["20251125", "--as-of", "1"],
            ["20251125", "0", "--as-of", "9"],
            ["20251125", "0", "--as-of", "2025-11-25"],
            ["20251125", "0", "--as-of", "1", "--layout", "des-core"],
        ],
    )
    def test_what_makes_no_sense_is_refused(self, des: Des, store: Path, arguments: list[str]) -> None:
        assert des("store", "ls", store, *arguments).exit_code == 2

    def test_a_prefix_of_nothing_is_an_error(self, des: Des, store: Path) -> None:
        assert des("store", "ls", store, "20251125", "all", "zzz").exit_code == 3


class TestPublishedStores:
    @pytest.fixture
    def published(self, tmp_path: Path) -> Path:
        folder = tmp_path / "published"
        folder.mkdir()
        with DesWriter(folder / "20251125_05_0000.des") as writer:
            writer.add_file("5", b"five")
        (folder / "2025-11-25").mkdir()
        with DesWriter(folder / "2025-11-25" / "ef.des") as writer:
            writer.add_file("5", b"FIVE")
        return folder

    @pytest.mark.parametrize(("layout", "payload"), [("des-core", "five"), ("datavision", "FIVE")])
    def test_they_are_read_as_they_are(self, des: Des, published: Path, trees: Any, layout: str, payload: str) -> None:
        before = trees.read(published)
        chosen = ("--layout", layout, "--n-bits", 8)
        assert des("store", "get", published, "5", *AT, *chosen).stdout == payload
        assert des("store", "get", published, "5", *AT, *chosen, "--range", "1:3").stdout == payload[1:3]
        assert des("store", "ls", published, *chosen).stdout == "20251125\n"
        assert des("store", "ls", published, "20251125", *chosen).stdout == "5\n"
        assert des("store", "get", published, "6", *AT, *chosen).exit_code == 3
        assert trees.read(published) == before

    def test_without_a_layout_there_is_no_store(self, des: Des, published: Path) -> None:
        assert des("store", "ls", published).exit_code == 3
