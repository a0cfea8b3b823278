"""`des store rm` and `history`, the past, and what is asked before."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Des = Callable[..., Any]

AT = ("--created-at", "2025-11-25T10:00:00Z")
WHY = ("--reason", "erasure request", "--by", "dpo")


def on_terminal(answer: bytes, *arguments: object) -> tuple[int, str]:
    """Run the command on a terminal, type an answer, and return its exit code and what it said there."""
    outside, inside = pty.openpty()
    try:
        command = [sys.executable, "-m", "des_format.cli", *map(str, arguments)]
        with subprocess.Popen(command, stdin=inside, stdout=subprocess.DEVNULL, stderr=inside) as process:
            os.close(inside)
            os.write(outside, answer)
            said = b""
            try:
                while piece := os.read(outside, 1000):
                    said += piece
            except OSError:
                pass  # Linux says so when the other end is closed.
        return process.returncode, said.decode()
    finally:
        os.close(outside)


class TestRm:
    def test_entries_are_deleted_together_or_not_at_all(self, des: Des, store: Path) -> None:
        assert des("store", "rm", store, "16", "48", *AT, *WHY, "--yes").exit_code == 3
        assert des("store", "get", store, "16", *AT).exit_code == 0
        result = des("store", "rm", store, "16", "1.big", "16", *AT, *WHY, "--yes")
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith(f"2 entries deleted from {store}: 20251125/0 sequence 2, 20251125/D sequence 2")
        assert des("store", "ls", store, "20251125").stdout == "32\n"

    def test_what_was_deleted_has_an_exit_code_of_its_own(self, des: Des, store: Path) -> None:
        (row,) = map(json.loads, des("store", "rm", store, "16", *AT, *WHY, "-y", "--json").stdout.splitlines())
        assert row == {"day": "20251125", "shard": "0", "sequence": 2}
        for command in (["get"], ["locate"], ["rm", *WHY, "--yes"]):
            result = des("store", command[0], store, "16", *AT, *command[1:])
            assert result.exit_code == 7
            assert "was deleted" in result.stderr

    def test_adding_restores(self, des: Des, store: Path) -> None:
        des("store", "rm", store, "16", *AT, *WHY, "--yes")
        Path("16").write_bytes(b"again")
        assert des("store", "put", store, "16", *AT).exit_code == 0
        assert des("store", "get", store, "16", *AT).stdout == "again"

    def test_reason_and_person_are_needed(self, des: Des, store: Path) -> None:
        assert des("store", "rm", store, "16", *AT, "--by", "me", "--yes").exit_code == 2
        assert des("store", "rm", store, "16", *AT, "--reason", "x", "--yes").exit_code == 2
        assert des("store", "rm", store, "16", *AT, "--reason", " ", "--by", "me", "--yes").exit_code == 2
        assert des("store", "get", store, "16", *AT).exit_code == 0


class TestConfirmation:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["rm", "16", *AT, *WHY],
            ["expire", "--older-than", "0s"],
            ["gc", "--delete"],
            ["rebuild", "--write"],
        ],
    )
    def test_without_a_terminal_nothing_is_done(self, des: Des, store: Path, trees: Any, arguments: list[str]) -> None:
        before = trees.read(store)
        result = des("store", arguments[0], store, *arguments[1:], input=b"y\n")
        assert result.exit_code == 2
        assert "--yes is required" in result.stderr
        assert trees.read(store) == before

    def test_a_dry_run_is_not_confirmed(self, des: Des, store: Path) -> None:
        assert des("store", "gc", store, "--yes").exit_code == 2
        assert des("store", "rebuild", store, "--yes").exit_code == 2

    @pytest.mark.parametrize(
        ("answer", "code", "end"),
        [(b"y\n", 0, "1 entry deleted"), (b"\n", 130, "nothing was changed"), (b"\x04", 130, "nothing was changed")],
    )
    def test_on_a_terminal_it_is_asked(self, des: Des, store: Path, answer: bytes, code: int, end: str) -> None:
        found, said = on_terminal(answer, "store", "rm", store, "16", *AT, *WHY)
        assert f"Delete 1 entry (16) from {store}? [y/N]" in said
        assert end in said
        assert found == code
        assert des("store", "get", store, "16", *AT).exit_code == (7 if code == 0 else 0)


@pytest.mark.parametrize(
    ("command", "title"), [(["expire", "--older-than", "0s", "--yes"], "expiring"), (["verify"], "verifying")]
)
def test_long_work_shows_a_bar_on_a_terminal(store: Path, command: list[str], title: str) -> None:
    code, said = on_terminal(b"", "store", command[0], store, *command[1:])
    assert code == 0
    assert title in said


class TestHistory:
    @pytest.fixture
    def past(self, des: Des, store: Path) -> Path:
        """Sequence 1 adds 16 and 32, 2 deletes 16, 3 adds 48, 4 merges."""
        des("store", "rm", store, "16", *AT, *WHY, "--ticket", "T-\x1b7", "--yes")
        Path("48").write_bytes(b"forty-eight")
        des("store", "put", store, "48", *AT)
        assert des("store", "compact", store, "--full").exit_code == 0
        return store

    def test_commits_come_oldest_first(self, des: Des, past: Path) -> None:
        lines = des("store", "history", past, "20251125", "0").stdout.splitlines()
        assert [(line.split()[0], " ".join(line.split()[2:])) for line in lines] == [
            ("1", "add 1 archive added (2 entries)"),
            ("2", "delete 16: erasure request, by dpo (T-\\x1b7)"),
            ("3", "add 1 archive added (1 entry)"),
            ("4", "compact 1 archive added (2 entries); 2 archives removed"),
        ]

    def test_json_says_more(self, des: Des, past: Path) -> None:
        lines = des("store", "history", past, "20251125", "0", "--json").stdout.splitlines()
        rows = [json.loads(line) for line in lines]
        assert rows[1]["deleted"] == [{"uid": "16", "by": "dpo", "reason": "erasure request", "ticket": "T-\x1b7"}]
        assert sorted(rows[3]["removed"]) == sorted(rows[number]["added"][0]["id"] for number in (0, 2))
        assert rows[0]["at"].endswith("Z")

    @pytest.mark.parametrize(("uid", "sequences"), [("16", "12"), ("32", "14"), ("48", "34"), ("64", "")])
    def test_one_entry_can_be_followed(self, des: Des, past: Path, uid: str, sequences: str) -> None:
        lines = des("store", "history", past, "20251125", "0", "--uid", uid).stdout.splitlines()
        assert [line.split()[0] for line in lines] == list(sequences)

    def test_an_entry_of_another_shard_is_refused(self, des: Des, past: Path) -> None:
        result = des("store", "history", past, "20251125", "0", "--uid", "17")
        assert result.exit_code == 2
        assert "belongs to shard 1" in result.stderr

    def test_the_past_can_be_listed(self, des: Des, past: Path) -> None:
        def listed(*point: str) -> str:
            return ",".join(des("store", "ls", past, "20251125", "0", *point).stdout.split())

        assert listed() == "32,48"
        assert [listed("--as-of", str(sequence)) for sequence in (1, 2, 3, 4)] == ["16,32", "32", "32,48", "32,48"]
        at = json.loads(des("store", "history", past, "20251125", "0", "--json").stdout.splitlines()[0])["at"]
        assert listed("--as-of", at) == "16,32"
        assert listed("--as-of", "2020-01-01T00:00:00Z") == ""

    def test_a_shard_without_commits_has_no_history(self, des: Des, store: Path) -> None:
        result = des("store", "history", store, "20240101", "0")
        assert (result.exit_code, result.stdout) == (0, "")
