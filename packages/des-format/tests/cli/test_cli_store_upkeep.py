"""`des store compact`, `expire`, `gc`, `verify`, `rebuild` and `stats`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from des_format.errors import AccessDeniedError
from des_format.objects.memory import _named, open_memory
from des_format.store import DesStore, NewEntry
from des_format.testing import FaultyObjectStore, Plan, fail_before

Des = Callable[..., Any]

AT = ("--created-at", "2025-11-25T10:00:00Z")


def rows(result: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def worn(des: Des, store: Path) -> Path:
    """In shard 0, an entry that was deleted, one that was replaced, and three archives."""
    for payload in (b"one", b"two"):
        Path("48").write_bytes(payload)
        assert des("store", "put", store, "48", *AT).exit_code == 0
    assert des("store", "rm", store, "16", *AT, "--reason", "r", "--by", "b", "--yes").exit_code == 0
    return store


def damage_manifest(store: Path, shard: str) -> None:
    path = store / "20251125" / f"{shard}.manifest"
    path.write_bytes(path.read_bytes()[:-40])


class TestLifeCycle:
    def test_what_is_deleted_takes_no_space_in_the_end(self, des: Des, worn: Path, trees: Any) -> None:
        dry = des("store", "compact", worn, "--dry-run")
        assert dry.stdout.startswith("20251125/0: 3 archives of ")
        assert dry.stderr == "dry run: 3 archives would become 1 or fewer; nothing was changed\n"
        (merged,) = rows(des("store", "compact", worn, "--json"))
        assert (len(merged["inputs"]), merged["entries_kept"], merged["entries_dropped"]) == (3, 2, 2)
        assert des("store", "compact", worn).stderr == "nothing to compact\n"
        assert any(b"sixteen" in content for content in trees.read(worn).values())

        dry = des("store", "expire", worn, "--older-than", "0s", "--dry-run", "--day", "20251125", "--shard", "0")
        assert dry.stdout == "20251125/0: history before sequence 5: 5 commits, 3 archives, 1 tombstone\n"
        assert dry.stderr == "dry run: 5 commits of 1 shard would be dropped, with 3 archives for `gc` to delete\n"
        dropped = rows(des("store", "expire", worn, "--older-than", "0s", "--yes", "--json"))
        assert [(row["shard"], len(row["archives_released"])) for row in dropped] == [("0", 3)]

        dry = des("store", "gc", worn, "--min-age", "0s")
        assert "its history was dropped" in dry.stdout
        assert "dry run: 4 objects, " in dry.stderr
        assert "des: warning: --min-age 0s is below 24h" in dry.stderr
        assert any(b"sixteen" in content for content in trees.read(worn).values())
        (report,) = rows(des("store", "gc", worn, "--min-age", "0s", "--delete", "--yes", "--json"))
        assert (report["deleted_count"], report["dry_run"], report["left_alone"]) == (4, False, [])
        assert not any(b"sixteen" in content for content in trees.read(worn).values())
        assert des("store", "get", worn, "48", *AT).stdout == "two"
        assert des("store", "verify", worn).exit_code == 0

    def test_young_garbage_is_kept(self, des: Des, worn: Path) -> None:
        des("store", "compact", worn)
        des("store", "expire", worn, "--older-than", "0s", "--yes")
        result = des("store", "gc", worn, "--delete", "--yes")
        assert result.exit_code == 0
        assert result.stderr == f"0 objects, 0 B deleted from {worn}; 4 younger ones were left\n"

    def test_shard_and_day_choose(self, des: Des, worn: Path) -> None:
        for chosen in (["--shard", "1"], ["--day", "20240101"], ["--day", "20251125", "--shard", "D"]):
            assert des("store", "compact", worn, *chosen).stdout == ""
        assert des("store", "compact", worn, "--shard", "0").stdout.startswith("20251125/0: 3 archives")

    @pytest.mark.parametrize("error", [None, "no"])
    def test_what_the_storage_copied_is_said_and_why_it_did_not(
        self, des: Des, monkeypatch: pytest.MonkeyPatch, error: str | None
    ) -> None:
        url = f"memory://copied-{error}"
        store = DesStore.init(open_memory(url), n_bits=0)
        at = datetime(2025, 11, 25, 12, tzinfo=UTC)
        for first, count in ((0, 100), (100, 10)):
            store.put_many([NewEntry(first + number, at, os.urandom(2000)) for number in range(count)])
        plan = Plan(fail_before(None, ["assemble"], error=AccessDeniedError)) if error else Plan()
        monkeypatch.setitem(_named, f"copied-{error}", FaultyObjectStore(open_memory(url), plan))
        line = des("store", "compact", url, "--full").stdout
        assert ("KiB copied by the storage" in line) is (error is None)
        assert ("(copying by the storage failed: assemble of " in line) is (error is not None)

    def test_a_small_target_leaves_archives_alone(self, des: Des, worn: Path) -> None:
        (only,) = rows(des("store", "compact", worn, "--target", "1K", "--json"))
        assert (len(only["inputs"]), only["entries_dropped"]) == (1, 1)

    def test_what_is_left_empty_is_said(self, des: Des, store: Path) -> None:
        des("store", "rm", store, "16", "32", *AT, "--reason", "r", "--by", "b", "--yes")
        result = des("store", "compact", store)
        assert "had nothing to keep, 2 entries dropped" in result.stdout
        assert result.stderr == "1 archive became 0, 2 entries dropped\n"

    @pytest.mark.parametrize(
        "arguments",
        [
            ["compact", "--target", "x"],
            ["compact", "--shard", "G"],
            ["expire", "--older-than", "30"],
            ["expire"],
            ["gc", "--min-age", "-1h"],
            ["gc", "--day", "today"],
            ["verify", "--sample", "0"],
            ["verify", "--budget", "x"],
            ["rebuild", "--shard", "0"],
            ["stats", "--day", "x"],
        ],
    )
    def test_what_makes_no_sense_is_refused(self, des: Des, store: Path, arguments: list[str]) -> None:
        assert des("store", arguments[0], store, *arguments[1:]).exit_code == 2

    def test_a_damaged_shard_does_not_keep_the_others(self, des: Des, worn: Path) -> None:
        damage_manifest(worn, "D")
        result = des("store", "compact", worn)
        assert result.exit_code == 1
        assert "des: 20251125/D: " in result.stderr
        assert "20251125/0: 3 archives" in result.stdout
        assert des("store", "expire", worn, "--older-than", "0s", "--yes").exit_code == 1
        result = des("store", "gc", worn, "--min-age", "0s", "--delete", "--yes")
        assert result.exit_code == 1
        assert "des: 20251125/D: left alone: " in result.stderr


class TestVerify:
    def test_a_sound_store_is_ok(self, des: Des, store: Path) -> None:
        result = des("store", "verify", store)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith(f"{store}: ok; 2 shards, 2 archives, 3 entries, ")
        (report,) = rows(des("store", "verify", store, "--sample", "1%", "--json"))
        assert (report["ok"], report["complete"], report["problems"], report["resume_after"]) == (True, False, [], None)

    def test_problems_are_listed(self, des: Des, store: Path) -> None:
        (archive,) = store.rglob("0_*.des")
        archive.write_bytes(archive.read_bytes().replace(b"sixteen", b"sixtEEn"))
        result = des("store", "verify", store)
        assert result.exit_code == 1
        assert archive.name in result.stdout
        assert "'16'" in result.stdout
        assert ": 1 problem; " in result.stderr or " problems; " in result.stderr
        (report,) = rows(des("store", "verify", store, "--json"))
        assert not report["ok"]
        assert report["problems"][0]["where"] == f"20251125/{archive.name}"

    def test_a_nightly_job_goes_round(self, des: Des, store: Path) -> None:
        def night() -> dict[str, Any]:
            (report,) = rows(des("store", "verify", store, "--budget", "0s", "--state", "state.json", "--json"))
            return report

        first, second, third = night(), night(), night()
        assert [one["archives_checked"] for one in (first, second, third)] == [1, 1, 1]
        assert first["resumed_after"] is None
        assert second["resumed_after"] == first["resume_after"]
        assert third["resumed_after"] == second["resume_after"] is None
        assert [path.name for path in Path().iterdir()] == ["state.json"]

    def test_the_state_is_kept_with_problems_too(self, des: Des, store: Path) -> None:
        (archive,) = store.rglob("0_*.des")
        archive.unlink()
        assert des("store", "verify", store, "--state", "state.json").exit_code == 1
        assert json.loads(Path("state.json").read_text())["resume_after"] is None

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"store_id": "x", "resume_after": 1}', '{"store_id": 1}'])
    def test_a_state_that_is_none_is_refused(self, des: Des, store: Path, text: str) -> None:
        Path("state.json").write_text(text)
        result = des("store", "verify", store, "--state", "state.json")
        assert result.exit_code == 2
        assert "was not written by `des store verify --state`" in result.stderr
        assert Path("state.json").read_text() == text

    def test_a_state_of_another_store_is_refused(self, des: Des, store: Path) -> None:
        assert des("store", "init", "other").exit_code == 0
        assert des("store", "verify", "other", "--state", "state.json").exit_code == 0
        result = des("store", "verify", store, "--state", "state.json")
        assert result.exit_code == 2
        assert "take another file" in result.stderr


class TestRebuild:
    def test_lost_and_damaged_manifests_are_made_anew(self, des: Des, worn: Path) -> None:
        damage_manifest(worn, "0")
        (worn / "20251125" / "D.manifest").unlink()
        assert des("store", "ls", worn, "20251125").exit_code == 5
        assert des("store", "stats", worn).exit_code == 5
        dry = des("store", "rebuild", worn)
        assert dry.exit_code == 0
        assert [line.split(" ")[0] for line in dry.stdout.splitlines()] == ["20251125/0:", "20251125/D:"]
        assert dry.stderr == "dry run: 2 manifests would be made anew with --write\n"
        made = rows(des("store", "rebuild", worn, "--write", "--yes", "--json"))
        assert [(row["shard"], len(row["archives"]), row["blocked"]) for row in made] == [("0", 3, 0), ("D", 1, 0)]
        assert (worn / made[0]["kept_as"]).exists()
        assert sorted(des("store", "ls", worn, "20251125").stdout.split()) == ["1.big", "32", "48"]
        assert des("store", "rebuild", worn).stdout == ""

    def test_deletions_that_cannot_be_read_block_it(self, des: Des, worn: Path) -> None:
        damage_manifest(worn, "0")
        (record,) = worn.rglob("*.tombstones")
        record.write_bytes(b"?")
        result = des("store", "rebuild", worn, "--write", "--yes")
        assert result.exit_code == 1
        assert "deleted entries might come back; --force goes on" in result.stderr
        assert result.stderr.endswith("0 manifests made anew\n")
        assert des("store", "ls", worn, "20251125", "0").exit_code == 5
        result = des("store", "rebuild", worn, "--day", "20251125", "--shard", "0", "--force", "--write", "--yes")
        assert result.exit_code == 1, "what could not be read is named all the same"
        assert des("store", "get", worn, "48", *AT).stdout == "two"

    def test_a_lost_descriptor_is_made_anew(self, des: Des, store: Path) -> None:
        before = (store / "des-store.json").read_bytes()
        assert des("store", "rebuild-descriptor", store, "--n-bits", 4).exit_code == 4
        (store / "des-store.json").unlink()
        assert des("store", "rebuild-descriptor", store, "--n-bits", 8).exit_code == 2
        (row,) = rows(des("store", "rebuild-descriptor", store, "--n-bits", 4, "--json"))
        assert row["store_id"] in before.decode()
        assert (store / "des-store.json").read_bytes() == before


class TestStats:
    def test_sums_are_shown(self, des: Des, store: Path) -> None:
        lines = dict(line.rsplit("  ", 1) for line in des("store", "stats", store).stdout.splitlines())
        found = {label.strip(): value.strip() for label, value in lines.items()}
        assert (found["shards"], found["archives"], found["entries"]) == ("2", "2", "3")
        assert found["external bytes"] == "2.0 KiB"
        (described,) = rows(des("store", "stats", store, "--json"))
        assert (described["days"], described["raw_bytes"], len(described["by_day"])) == (1, 2048 + 17, 1)
        head, line = des("store", "stats", store, "--by-day").stdout.splitlines()
        assert len(head) == len(line)
        assert line.split()[:4] == ["20251125", "2", "2", "3"]
        assert rows(des("store", "stats", store, "--day", "20240101", "--json"))[0]["shards"] == 0
