"""Sizes, patterns, names and exit codes."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from des_format import DesReader
from des_format.cli import listing
from des_format.cli.exit_codes import EXIT_CODES, PartlyFailedError, exit_code_of
from des_format.cli.inputs import clean_name
from des_format.cli.messages import printable
from des_format.cli.patterns import Selection, pattern_regex
from des_format.cli.sizes import human_size, parse_share, parse_size, plural
from des_format.errors import (
    AccessDeniedError,
    AppendInProgressError,
    ArchiveCondemnedError,
    ArchiveExistsError,
    BigFileMissingError,
    ChecksumMismatchError,
    ConfigurationError,
    CorruptArchiveError,
    DesError,
    DuplicateEntryError,
    EntryDeletedError,
    EntryNotFoundError,
    InvalidInputError,
    InvalidNameError,
    LocatorExpiredError,
    ObjectChangedError,
    StoreExistsError,
    StoreNotFoundError,
    UnavailableError,
    UnsupportedFormatError,
    UnsupportedOperationError,
    WriterClosedError,
)
from hypothesis import given
from hypothesis import strategies as st

Des = Callable[..., Any]


class TestSizes:
    @pytest.mark.parametrize(
        ("text", "size"),
        [
            ("0", 0),
            ("4096", 4096),
            ("1K", 1024),
            ("1k", 1024),
            ("10M", 10 * 2**20),
            ("10MiB", 10 * 2**20),
            ("10 MB", 10 * 2**20),
            ("1.5G", 3 * 2**29),
            ("2T", 2**41),
            (" 7B ", 7),
        ],
    )
    def test_sizes_are_understood(self, text: str, size: int) -> None:
        assert parse_size(text) == size

    @pytest.mark.parametrize("text", ["", "K", "-1", "1P", "1e3", "1 2", "٣", "1.K"])
    def test_what_is_no_size_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="size"):
            parse_size(text)

    @pytest.mark.parametrize(
        ("size", "text"),
        [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (10 * 2**20, "10.0 MiB"),
            (2**40, "1.0 TiB"),
            (2**60, "1048576.0 TiB"),
        ],
    )
    def test_sizes_are_shown_to_people(self, size: int, text: str) -> None:
        assert human_size(size) == text

    @given(st.integers(0, 2**50))
    def test_what_is_shown_is_understood_and_near(self, size: int) -> None:
        assert abs(parse_size(human_size(size)) - size) <= max(1, size * 0.06)

    @pytest.mark.parametrize(("text", "share"), [("5%", 0.05), ("0.05", 0.05), ("1", 1.0), ("100%", 1.0)])
    def test_shares_are_understood(self, text: str, share: float) -> None:
        assert parse_share(text) == share

    def test_counts_have_their_nouns(self) -> None:
        assert plural(1, "entry", "entries") == "1 entry"
        assert plural(1200, "entry", "entries") == "1,200 entries"
        assert plural(0, "file") == "0 files"


class TestPatterns:
    @pytest.mark.parametrize(
        ("pattern", "matching", "others"),
        [
            ("*.txt", ["a.txt", "d/a.txt", ".txt"], ["a.txt.gz", "atxt"]),
            ("d", ["d", "d/a", "x/d/a"], ["dd", "ad/a"]),
            ("d/", ["d/a", "x/d/a"], ["d", "x/d"]),
            ("d/*.txt", ["d/a.txt"], ["x/d/a.txt", "d/e/a.txt"]),
            ("/a", ["a", "a/b"], ["x/a"]),
            ("d/**/a", ["d/a", "d/x/a", "d/x/y/a"], ["da", "d/xa"]),
            ("d/**", ["d/a", "d/x/y"], ["d", "x/d/a"]),
            ("**/a", ["a", "x/a", "x/y/a"], ["xa"]),
            ("?", ["a", "x/y"], ["ab"]),
            ("[a-c].txt", ["b.txt"], ["d.txt", "bb.txt"]),
            ("[!a-c]", ["d"], ["a", "b/c"]),
            ("x/[!a]y", ["x/by"], ["x/ay", "x//y"]),
            ("[]]", ["]"], ["["]),
            ("[[]", ["["], ["]"]),
            ("[^a]", ["^", "a"], ["b"]),
            ("[\\]", ["\\"], ["a"]),
            ("a[", ["a["], ["a"]),
            ("new\nline", ["new\nline"], ["newline"]),
            ("a.b", ["a.b"], ["axb"]),
        ],
    )
    def test_a_pattern_matches(self, pattern: str, matching: list[str], others: list[str]) -> None:
        selection = Selection(include=[pattern])
        assert [name for name in matching + others if selection.wants(name)] == matching

    @given(st.text(st.characters(exclude_characters="*?[/"), min_size=1), st.text(max_size=5))
    def test_text_without_magic_matches_itself_and_what_is_below(self, text: str, below: str) -> None:
        selection = Selection(include=[text])
        assert selection.wants(text)
        assert selection.wants(f"above/{text}/{below}")
        assert not selection.wants(f"{text}x")

    @given(st.text(max_size=12))
    def test_any_pattern_is_understood_or_refused(self, pattern: str) -> None:
        with suppress(InvalidInputError):
            Selection(include=[pattern]).wants("name")

    def test_exclude_wins_and_prunes_folders(self) -> None:
        selection = Selection(["*.txt"], ["tmp/", "secret*"])
        assert selection.wants("a/b.txt")
        assert not selection.wants("tmp/b.txt")
        assert not selection.wants("secret.txt")
        assert selection.prunes("a/tmp")
        assert not selection.prunes("a")
        assert not Selection().prunes("a")

    def test_the_anchors_are_part_of_the_expression(self) -> None:
        assert re.fullmatch(pattern_regex("a|b"), "a") is None


class TestNames:
    @pytest.mark.parametrize(("path", "name"), [("./a", "a"), ("/a//b/", "a/b"), ("a/./b", "a/b"), ("...", "...")])
    def test_paths_become_names(self, path: str, name: str) -> None:
        assert clean_name(path) == name

    @pytest.mark.parametrize("path", ["", ".", "/", "..", "a/../b"])
    def test_paths_that_lead_nowhere_or_upwards_do_not(self, path: str) -> None:
        with pytest.raises(ValueError, match="cannot become an entry name"):
            clean_name(path)

    @given(st.text())
    def test_nothing_that_drives_a_terminal_is_printed(self, text: str) -> None:
        assert printable(text).isprintable()


class TestExitCodes:
    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (PartlyFailedError("x"), 1),
            (WriterClosedError("x"), 1),
            (InvalidNameError("x"), 2),
            (ConfigurationError("x"), 2),
            (LocatorExpiredError("x"), 2),
            (EntryNotFoundError("x"), 3),
            (BigFileMissingError("x"), 3),
            (StoreNotFoundError("x"), 3),
            (FileNotFoundError(errno.ENOENT, "x"), 3),
            (ArchiveExistsError("x"), 4),
            (AppendInProgressError("x"), 4),
            (DuplicateEntryError("x"), 4),
            (StoreExistsError("x"), 4),
            (ArchiveCondemnedError("x"), 4),
            (ObjectChangedError("x"), 4),
            (FileExistsError(errno.EEXIST, "x"), 4),
            (CorruptArchiveError("x"), 5),
            (ChecksumMismatchError("x"), 5),
            (UnsupportedFormatError("x"), 5),
            (PermissionError(errno.EACCES, "x"), 6),
            (OSError(errno.ENOSPC, "x"), 6),
            (MemoryError(), 6),
            (AccessDeniedError("x"), 6),
            (UnavailableError("x"), 6),
            (UnsupportedOperationError("x"), 6),
            (EntryDeletedError("x"), 7),
            (KeyboardInterrupt(), 130),
            (BrokenPipeError(errno.EPIPE, "x"), 141),
        ],
    )
    def test_every_error_has_its_documented_code(self, error: BaseException, code: int) -> None:
        assert exit_code_of(error) == code
        assert code in EXIT_CODES

    def test_no_error_of_the_library_is_without_a_code(self) -> None:
        def all_below(kind: type[DesError]) -> Iterator[type[DesError]]:
            for below in kind.__subclasses__():
                yield below
                yield from all_below(below)

        assert {exit_code_of(kind("x")) for kind in all_below(DesError)} == {1, 2, 3, 4, 5, 6, 7}

    @pytest.mark.parametrize(
        ("error", "code", "says"),
        [
            (MemoryError(), 6, "out of memory"),
            (KeyboardInterrupt(), 130, "interrupted"),
            (PermissionError(errno.EACCES, "Permission denied", "secret.des"), 6, "secret.des: Permission denied"),
            (OSError("no number"), 6, "no number"),
        ],
    )
    def test_errors_of_the_system_are_sentences(
        self, des: Des, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
    ) -> None:
        def failing(_path: Path) -> DesReader:
            raise error

        monkeypatch.setattr(listing, "open_reader", failing)
        result = des("ls", "x.des")
        assert (result.exit_code, result.stderr) == (code, f"des: error: {says}\n")

    def test_a_broken_pipe_says_nothing(self, des: Des, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(_path: Path) -> DesReader:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

        monkeypatch.setattr(listing, "open_reader", broken)
        result = des("ls", "x.des")
        assert (result.exit_code, result.stderr) == (141, "")
