from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Des = Callable[..., Any]


class TestAppend:
    def test_entries_are_added_and_the_old_ones_stay(self, des: Des, archive: Path, trees: Any) -> None:
        before = trees.of_archive(archive)
        trees.write(Path("t"), {"new": b"new", "b/more": b"more" * 100})
        result = des("append", archive, "t", "--json")
        assert result.exit_code == 0
        assert json.loads(result.stdout)["added"] == 2
        assert json.loads(result.stdout)["entries"] == 6
        assert trees.of_archive(archive) == before | {"new": b"new", "b/more": b"more" * 100}

    def test_a_name_that_exists_is_refused_and_the_archive_stays_as_it_was(self, des: Des, archive: Path) -> None:
        before = archive.read_bytes()
        Path("a.txt").write_bytes(b"other")
        Path("0").write_bytes(b"before it")
        result = des("append", archive, "0", "a.txt")
        assert result.exit_code == 4
        assert "already holds an entry 'a.txt'" in result.stderr
        assert archive.read_bytes() == before
        assert not list(archive.parent.glob("*.append"))

    def test_existing_names_can_be_skipped(self, des: Des, archive: Path, trees: Any) -> None:
        trees.write(Path("t"), {"a.txt": b"other", "new": b"new"})
        result = des("append", archive, "t", "--skip-existing")
        assert result.exit_code == 0
        assert "1 existing name (a.txt)" in result.stderr
        assert trees.of_archive(archive)["a.txt"] == b"alpha"
        assert trees.of_archive(archive)["new"] == b"new"

    def test_nothing_to_add_changes_nothing(self, des: Des, archive: Path) -> None:
        before = archive.read_bytes()
        Path("a.txt").write_bytes(b"other")
        assert des("append", archive, "a.txt", "--skip-existing").exit_code == 0
        assert archive.read_bytes() == before

    def test_existing_names_fail_one_by_one_when_it_may_go_on(self, des: Des, archive: Path, trees: Any) -> None:
        trees.write(Path("t"), {"a.txt": b"other", "new": b"new"})
        assert des("append", archive, "t", "--keep-going").exit_code == 1
        assert trees.of_archive(archive)["new"] == b"new"

    def test_a_missing_archive_is_not_made(self, des: Des) -> None:
        Path("x").write_bytes(b"x")
        assert des("append", "absent.des", "x").exit_code == 3
        assert not Path("absent.des").exists()
