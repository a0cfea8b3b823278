"""`des store init`, `info`, `put` and `put-archive`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format import DesWriter
from des_format.cli.store import adding, grouping
from des_format.store import DesStore

Des = Callable[..., Any]

NOON = datetime(2025, 11, 25, 12, tzinfo=UTC)
AT_NOON = ("--created-at", "2025-11-25T12:00:00Z")


@pytest.fixture
def empty(des: Des, tmp_path: Path) -> Path:
    path = tmp_path / "empty"
    assert des("store", "init", path, "--n-bits", 4).exit_code == 0
    return path


def rows(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


class TestInit:
    def test_a_store_is_made_once(self, des: Des, tmp_path: Path) -> None:
        result = des("store", "init", tmp_path / "new" / "store", "--n-bits", 6, "--routing", "sha256-prefix")
        assert (result.exit_code, result.stdout) == (0, "")
        assert "64 shards a day, routing sha256-prefix" in result.stderr
        again = des("store", "init", tmp_path / "new" / "store")
        assert again.exit_code == 4
        assert "a store is here already" in again.stderr

    def test_the_descriptor_is_shown(self, des: Des, tmp_path: Path) -> None:
        (made,) = rows(des("store", "init", tmp_path / "s", "--json"))
        (shown,) = rows(des("store", "info", (tmp_path / "s").as_uri(), "--json"))
        assert made | {"store": ""} == shown | {"store": ""}
        assert (shown["n_bits"], shown["shards_per_day"], shown["routing"]) == (8, 256, "modulo-crc32")
        assert f"store id         {made['store_id']}\n" in des("store", "info", tmp_path / "s").stdout

    @pytest.mark.parametrize(
        ("url", "code", "says"),
        [
            ("nowhere", 3, "is no folder"),
            (".", 3, "des store init"),
            ("gopher://x", 2, "nothing installed opens gopher://"),
        ],
    )
    def test_no_store_is_said(self, des: Des, url: str, code: int, says: str) -> None:
        for command in (["info"], ["stats"], ["ls"], ["gc"], ["compact"], ["verify"]):
            result = des("store", *command, url)
            assert result.exit_code == code
            assert says in result.stderr

    def test_bits_are_checked(self, des: Des, store: Path) -> None:
        assert des("store", "init", "x", "--n-bits", 17).exit_code == 2
        result = des("store", "ls", store, "--n-bits", 8)
        assert result.exit_code == 2
        assert "contradicts the store" in result.stderr


class TestPut:
    def test_the_files_of_a_shard_share_an_archive(self, des: Des, empty: Path, tmp_path: Path, trees: Any) -> None:
        trees.write(tmp_path / "in", {"1": b"one", "17": b"seventeen", "2": b"two"})
        result = des("store", "put", empty, *sorted((tmp_path / "in").iterdir()), *AT_NOON)
        assert result.exit_code == 0
        assert [line.split()[0] for line in result.stdout.splitlines()] == ["20251125/1", "20251125/2"]
        assert result.stdout.splitlines()[0].endswith("  2 entries, 12 B")
        assert result.stderr == f"3 entries, 15 B added to 2 shards of {empty}\n"
        with DesStore.open(empty) as opened:
            assert opened.get("17", NOON) == b"seventeen"

    def test_json_names_each_entry(self, des: Des, empty: Path) -> None:
        Path("a").write_bytes(b"alpha")
        (row,) = rows(des("store", "put", empty, "a", "--uid", "5", *AT_NOON, "--meta", '{"k": [1]}', "--json"))
        assert row.pop("archive_id")
        assert row == {
            "uid": "5",
            "created_at": "2025-11-25T12:00:00Z",
            "size": 5,
            "day": "20251125",
            "shard": "5",
            "sequence": 1,
        }
        with DesStore.open(empty) as opened:
            assert opened.get_entry("5", NOON).entry.meta == {"k": [1]}

    def test_without_a_time_it_is_that_of_the_file(self, des: Des, empty: Path) -> None:
        Path("a").write_bytes(b"alpha")
        os.utime("a", ns=(0, 1_700_000_000_123_456_789))
        for options in ([], ["--created-at", "mtime"]):
            (row,) = rows(des("store", "put", empty, "a", "--json", *options))
            assert (row["created_at"], row["day"]) == ("2023-11-14T22:13:20.123456Z", "20231114")

    def test_a_manifest_of_the_published_packer_is_taken(self, des: Des, empty: Path) -> None:
        Path("a").write_bytes(b"alpha")
        Path("b").write_bytes(b"")
        items = [
            {"uid": 1, "created_at": "2025-11-25T01:00:00+02:00", "size_bytes": 5, "source_path": "a"},
            {"uid": "x", "created_at": "2025-11-25T01:00:00Z", "size_bytes": 0, "source_path": "b"},
        ]
        Path("list.json").write_text(json.dumps(items))
        added = rows(des("store", "put", empty, "--from-json", "list.json", "--json"))
        assert [(row["uid"], row["day"]) for row in added] == [("1", "20251124"), ("x", "20251125")]

    @pytest.mark.parametrize(
        ("change", "code", "says"),
        [
            ({"size_bytes": 6}, 1, "a has 5 bytes, the list says 6"),
            ({"size_bytes": True}, 2, "item 0: size_bytes is True"),
            ({"source_path": "absent"}, 3, "absent: No such file"),
            ({"source_path": "."}, 2, ". is no regular file"),
            ({"created_at": "2025-11-25T01:00:00"}, 2, "has no time zone"),
            ({"uid": None}, 2, "item 0: uid is None"),
            ({"size": 1}, 2, "an object of uid, created_at, size_bytes, source_path is expected"),
        ],
    )
    def test_a_manifest_that_is_wrong_adds_nothing(
        self, des: Des, empty: Path, change: dict[str, Any], code: int, says: str
    ) -> None:
        Path("a").write_bytes(b"alpha")
        item = {"uid": "1", "created_at": "2025-11-25T01:00:00Z", "size_bytes": 5, "source_path": "a"}
        Path("list.json").write_text(json.dumps([item | change]))
        result = des("store", "put", empty, "--from-json", "list.json")
        assert result.exit_code == code
        assert says in result.stderr
        assert des("store", "ls", empty).stdout == ""

    @pytest.mark.parametrize("text", ["{}", "[1]", "[", "\xff"])
    def test_a_manifest_that_is_none_is_refused(self, des: Des, empty: Path, text: str) -> None:
        Path("list.json").write_bytes(text.encode("latin-1"))
        assert des("store", "put", empty, "--from-json", "list.json").exit_code == 2

    @pytest.mark.parametrize(
        ("arguments", "code", "says"),
        [
            ([], 2, "files or --from-json"),
            (["a", "--from-json", "a"], 2, "not both"),
            (["--from-json", "a", "--uid", "x"], 2, "are for files"),
            (["a", "b", "--uid", "x"], 2, "--uid names one entry, but there are 2 files"),
            (["a", "--meta", "{"], 2, "no JSON"),
            (["a", "--meta", "[]"], 2, "must be a JSON object"),
            (["a", "--created-at", "2025-11-25"], 2, "in UTC: 2025-11-25T00:00:00Z"),
            (["a", "--uid", ""], 2, "non-empty"),
            (["a", "folder/a", *AT_NOON], 4, "uid 'a' comes twice for 20251125: a and folder/a; nothing was added"),
            (["a", "absent"], 3, "absent: No such file"),
            (["a", "folder"], 2, "folder is no regular file"),
        ],
    )
    def test_what_cannot_be_added_adds_nothing(
        self, des: Des, empty: Path, trees: Any, arguments: list[str], code: int, says: str
    ) -> None:
        trees.write(Path(), {"a": b"a", "b": b"b", "folder/a": b"c"})
        result = des("store", "put", empty, *arguments)
        assert result.exit_code == code
        assert says in result.stderr
        assert des("store", "ls", empty).stdout == ""

    def test_what_does_not_fit_into_memory_is_streamed(
        self, des: Des, empty: Path, trees: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(grouping, "_BATCH_BYTES", 100)
        payloads = {str(uid): b"x" * size for uid, size in enumerate((60, 60, 30, 200, 0))}
        trees.write(Path("in"), payloads)
        assert des("store", "put", empty, *sorted(Path("in").iterdir()), *AT_NOON).exit_code == 0
        with DesStore.open(empty) as opened:
            assert {uid: opened.get(uid, NOON) for uid in payloads} == payloads

    @pytest.mark.parametrize("batch_bytes", [2**20, 4])
    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda path: path.write_bytes(b"other size"), "2: changed since the command began: it had 3 bytes"),
            (lambda path: path.unlink(), "2: cannot be opened: No such file or directory"),
        ],
    )
    def test_a_file_that_changes_meanwhile_is_named(
        self,
        des: Des,
        empty: Path,
        trees: Any,
        monkeypatch: pytest.MonkeyPatch,
        batch_bytes: int,
        change: Callable[[Path], None],
        says: str,
    ) -> None:
        trees.write(Path(), {"2": b"two", "18": b"eighteen"})

        def late(store: Any, incoming: Any, on_bytes: Any) -> Any:
            change(Path("2"))
            return grouping.add_grouped(store, incoming, on_bytes)

        monkeypatch.setattr(adding, "add_grouped", late)
        monkeypatch.setattr(grouping, "_BATCH_BYTES", batch_bytes)
        result = des("store", "put", empty, "2", "18", *AT_NOON)
        assert (result.exit_code, result.stdout) == (1, "")
        assert says in result.stderr
        assert des("store", "ls", empty, "20251125").stdout == ""


class TestPutArchive:
    @pytest.fixture
    def packed(self, tmp_path: Path) -> Path:
        with DesWriter(tmp_path / "packed.des", big_file_threshold=100) as writer:
            writer.add_file("16", b"sixteen")
            writer.add_file("32", b"x" * 101)
        return tmp_path / "packed.des"

    def test_an_archive_is_added_once(self, des: Des, empty: Path, packed: Path) -> None:
        place = ("--day", "2025-11-25", "--shard", "0", "--id", "task7")
        result = des("store", "put-archive", empty, packed, *place)
        assert (result.exit_code, result.stdout) == (0, "20251125/0  task7\n")
        assert des("store", "get", empty, "32", *AT_NOON).stdout == "x" * 101
        again = des("store", "put-archive", empty, packed, *place, "--json")
        assert rows(again)[0]["existed"]
        assert "nothing was changed" in again.stderr

    def test_entries_of_other_shards_are_refused(self, des: Des, empty: Path, packed: Path) -> None:
        result = des("store", "put-archive", empty, packed, "--day", "20251125", "--shard", "1")
        assert result.exit_code == 2
        assert "uid '16' belongs to shard 0, not 1" in result.stderr

    def test_what_is_no_archive_is_refused(self, des: Des, empty: Path, legacy_archive: Path) -> None:
        place = ("--day", "20251125", "--shard", "0")
        Path("text").write_bytes(b"just text" * 100)
        assert des("store", "put-archive", empty, "text", *place).exit_code == 5
        assert des("store", "put-archive", empty, "absent", *place).exit_code == 3
        with DesWriter("one.des") as writer:
            writer.add_file("16", b"")
        assert des("store", "put-archive", empty, "one.des", "--day", "20251132", "--shard", "0").exit_code == 2
        assert des("store", "put-archive", empty, "one.des", "--day", "20251125", "--shard", "10").exit_code == 2
        assert des("store", "put-archive", empty, legacy_archive, *place).exit_code == 2
