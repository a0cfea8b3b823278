from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from des_format import Codec, DesReader

Des = Callable[..., Any]


def test_a_folder_is_packed_with_names_below_it_and_read_back_as_it_was(des: Des, odd_tree: Path, trees: Any) -> None:
    result = des("pack", odd_tree, "-o", "out.des")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "11 entries added" in result.stderr
    assert trees.of_archive(Path("out.des")) == trees.odd


def test_packing_the_same_files_again_gives_the_same_bytes(des: Des, odd_tree: Path, trees: Any) -> None:
    other = trees.write(odd_tree.parent / "other", {"x": b"1", "y/z": b"2"})
    assert des("pack", odd_tree, other, "-o", "first.des").exit_code == 0
    assert des("pack", other, odd_tree, "-o", "second.des").exit_code == 0
    assert Path("first.des").read_bytes() == Path("second.des").read_bytes()


def test_modification_time_and_unusual_permissions_are_stored_and_nothing_else(des: Des) -> None:
    for name, mode in (("plain", 0o644), ("program", 0o755)):
        Path(name).write_bytes(b"x")
        Path(name).chmod(mode)
        os.utime(name, ns=(1, 1_700_000_000_123_456_789))
    des("pack", "plain", "program", "-o", "out.des")
    with DesReader("out.des") as reader:
        assert reader.get_meta("plain") == {"mtime_ns": 1_700_000_000_123_456_789}
        assert reader.get_meta("program") == {"mtime_ns": 1_700_000_000_123_456_789, "mode": 0o755}


def test_no_meta_stores_none(des: Des, odd_tree: Path) -> None:
    des("pack", odd_tree, "-o", "out.des", "--no-meta")
    with DesReader("out.des") as reader:
        assert not any(entry.meta for entry in reader.entries())


def test_links_and_special_files_are_skipped_and_counted(des: Des, special_files: Path, trees: Any) -> None:
    result = des("pack", special_files, "-o", "out.des", "--json")
    assert result.exit_code == 0
    assert set(trees.of_archive(Path("out.des"))) == {"file", "sub/inner"}
    assert json.loads(result.stdout)["skipped"] == {
        "empty folder": 1,
        "named pipe": 1,
        "socket": 1,
        "symbolic link": 3,
    }
    assert "3 symbolic links (first: " in result.stderr


def test_follow_packs_what_links_point_to_but_never_in_circles(des: Des, trees: Any) -> None:
    folder = trees.write(Path("t"), {"file": b"f", "sub/inner": b"i"})
    (folder / "link").symlink_to("file")
    (folder / "sub" / "up").symlink_to("..")
    (folder / "twice").symlink_to("sub")
    result = des("pack", folder, "-o", "out.des", "--follow")
    assert result.exit_code == 0
    assert set(trees.of_archive(Path("out.des"))) == {"file", "link", "sub/inner", "twice/inner"}
    assert "2 circular symbolic links (first: t/" in result.stderr


def test_follow_reports_a_link_to_itself(des: Des) -> None:
    Path("t").mkdir()
    Path("t/self").symlink_to("self")
    result = des("pack", "t", "-o", "out.des", "-L")
    assert result.exit_code == 1
    assert "t/self" in result.stderr
    assert not Path("out.des").exists()


def test_a_link_that_is_named_is_followed(des: Des, trees: Any) -> None:
    trees.write(Path("t"), {"file": b"f"})
    Path("link").symlink_to("t/file")
    Path("folder").symlink_to("t")
    des("pack", "link", "folder", "-o", "out.des")
    assert trees.of_archive(Path("out.des")) == {"link": b"f", "file": b"f"}


def test_a_pipe_that_is_named_is_an_error(des: Des) -> None:
    os.mkfifo("pipe")
    result = des("pack", "pipe", "-o", "out.des")
    assert result.exit_code == 1
    assert "is a named pipe, no file or folder" in result.stderr


def test_names_follow_base_and_prefix(des: Des, trees: Any) -> None:
    trees.write(Path("t"), {"a/x": b"1", "b/x": b"2"})
    assert des("pack", "t/a", "t/b/x", "--base", ".", "--prefix", "p/", "-o", "out.des").exit_code == 0
    assert trees.of_archive(Path("out.des")) == {"p/t/a/x": b"1", "p/t/b/x": b"2"}


@pytest.mark.parametrize("base", ["t", "."])
def test_a_folder_that_is_the_base_itself_adds_nothing_to_the_names(des: Des, trees: Any, base: str) -> None:
    trees.write(Path("t"), {"x": b"1"})
    assert des("pack", base, "--base", base, "-o", "out.des").exit_code == 0
    assert set(trees.of_archive(Path("out.des"))) == {"x" if base == "t" else "t/x"}


def test_what_is_not_below_the_base_is_refused(des: Des, trees: Any) -> None:
    trees.write(Path("t"), {"a/x": b"1", "b": b"2"})
    result = des("pack", "t/b", "--base", "t/a", "-o", "out.des")
    assert result.exit_code == 2
    assert "t/b is not below t/a" in result.stderr


def test_two_files_of_one_name_are_refused_before_anything_is_written(des: Des, trees: Any) -> None:
    trees.write(Path("t"), {"a/x": b"1", "b/x": b"2"})
    result = des("pack", "t/a", "t/b", "-o", "out.des")
    assert result.exit_code == 2
    assert "t/a/x and t/b/x would both be named 'x'" in result.stderr
    assert not Path("out.des").exists()


def test_patterns_choose_what_is_packed(des: Des, trees: Any) -> None:
    trees.write(
        Path("t"), {"a.txt": b"", "a.tmp": b"", "s/b.txt": b"", "s/node_modules/c.txt": b"", "s/keep/d.bin": b""}
    )
    result = des("pack", "t", "-o", "out.des", "--include", "*.txt", "--include", "keep/", "--exclude", "node_modules")
    assert result.exit_code == 0
    assert set(trees.of_archive(Path("out.des"))) == {"a.txt", "s/b.txt", "s/keep/d.bin"}


def test_an_existing_archive_is_kept_unless_asked_and_never_packed_into_itself(des: Des, trees: Any) -> None:
    trees.write(Path(), {"x": b"x" * 100, "small": b"s"})
    assert des("pack", ".", "-o", "out.des", "--threshold", "50").exit_code == 0
    first = Path("out.des").read_bytes()
    refused = des("pack", ".", "-o", "out.des")
    assert refused.exit_code == 4
    assert "out.des exists" in refused.stderr
    assert Path("out.des").read_bytes() == first
    again = des("pack", ".", "-o", "out.des", "--threshold", "50", "--overwrite")
    assert again.exit_code == 0
    assert "2 archive's own files (first: " in again.stderr
    assert Path("out.des").read_bytes() == first
    assert [path.name for path in Path().iterdir() if path.name.endswith(".tmp")] == []


def test_payloads_over_the_threshold_go_beside_the_archive(des: Des, trees: Any) -> None:
    trees.write(Path("t"), {"big": b"b" * 2049, "small": b"s" * 2048})
    result = des("pack", "t", "-o", "out.des", "--threshold", "2K")
    assert "and 1 payload beside it" in result.stderr
    assert len(list(Path("_bigFiles").iterdir())) == 1
    with DesReader("out.des") as reader:
        assert [entry.name for entry in reader.entries() if entry.is_external] == ["big"]


@pytest.mark.parametrize(
    ("profile", "codec"),
    [("none", Codec.NONE), ("speed", Codec.LZ4), ("balanced", Codec.ZSTD), ("aggressive", Codec.ZSTD)],
)
def test_profiles_choose_the_codec(des: Des, profile: str, codec: Codec) -> None:
    Path("x.json").write_bytes(b"{}" * 1000)
    assert des("pack", "x.json", "-o", "out.des", "--compression", profile).exit_code == 0
    with DesReader("out.des") as reader:
        assert reader.get_entry("x.json").codec is codec


def test_a_higher_level_makes_a_smaller_archive(des: Des) -> None:
    Path("x").write_bytes(b"".join(b"%d %d\n" % (i, i * i) for i in range(20_000)))
    des("pack", "x", "-o", "low.des", "--level", "1")
    des("pack", "x", "-o", "high.des", "--level", "19")
    assert Path("high.des").stat().st_size < Path("low.des").stat().st_size


def test_a_dictionary_is_trained_or_taken_from_a_file(des: Des, trees: Any) -> None:
    records = {f"{i}.json": b'{"id": %d, "kind": "document", "owner": "somebody"}' % i for i in range(800)}
    trees.write(Path("t"), records)
    assert des("pack", "t", "-o", "auto.des", "--dictionary", "auto").exit_code == 0
    with DesReader("auto.des") as reader:
        core: Any = reader.core
        dictionary = Path("auto.des").read_bytes()[core.footer.dictionary_start :][: core.footer.dictionary_length]
    trained = dictionary[dictionary.index(b"\x37\xa4\x30\xec") :]
    Path("trained").write_bytes(trained)
    assert des("pack", "t", "-o", "given.des", "--dictionary", "trained").exit_code == 0
    assert trees.of_archive(Path("given.des")) == records
    info = json.loads(des("info", "given.des", "--json").stdout)
    assert info["dictionary"]["bytes"] == len(trained)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "nothing was given"),
        (["x", "--from-tar", "y"], 2, "2 of these were given"),
        (["x", "--null"], 2, "--null describes the list"),
        (["--from-zip", "x", "--follow"], 2, "are about files"),
        (["absent"], 3, "absent does not exist"),
        (["x", "--threshold", "10X"], 2, "size '10X'"),
        (["x", "--threshold", "2G"], 2, "at most 1.0 GiB"),
        (["x", "--compression", "speed", "--level", "3"], 2, "need zstd"),
        (["x", "--compression", "none", "--dictionary", "auto"], 2, "need zstd"),
        (["x", "--compression", "best"], 2, "best"),
        (["x", "--level", "23"], 2, "--level"),
        (["x", "--dictionary", "absent"], 3, "dictionary absent does not exist"),
        (["x", "--dictionary", "x"], 2, "no trained zstd dictionary"),
        (["x", "--include", "[z-a]"], 2, "pattern '[z-a]'"),
        (["x", "-o", "-", "--json"], 2, "cannot both go to stdout"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    des: Des, arguments: list[str], code: int, says: str
) -> None:
    Path("x").write_bytes(b"x")
    result = des("pack", *arguments, *([] if "-o" in arguments else ["-o", "out.des"]))
    assert result.exit_code == code
    assert says in result.stderr
    assert [path.name for path in Path().iterdir()] == ["x"]


def test_an_archive_on_stdout_is_the_same_as_in_a_file(des: Des, odd_tree: Path) -> None:
    des("pack", odd_tree, "-o", "out.des")
    result = des("pack", odd_tree, "-o", "-")
    assert result.stdout_bytes == Path("out.des").read_bytes()


def test_an_archive_on_stdout_has_no_place_for_big_files(des: Des) -> None:
    with Path("sparse").open("wb") as file:
        file.truncate(2**30 + 1)
    Path("small").write_bytes(b"s")
    result = des("pack", "sparse", "small", "-o", "-")
    assert result.exit_code == 1
    assert "too large for an archive without a folder" in result.stderr


def test_a_name_that_is_not_unicode_stops_the_command_unless_it_may_go_on(des: Des, trees: Any) -> None:
    Path("t").mkdir()
    (Path("t") / os.fsdecode(b"\xff\xfe")).write_bytes(b"bad name")
    Path("t/good").write_bytes(b"good")
    stopped = des("pack", "t", "-o", "out.des")
    assert stopped.exit_code == 1
    assert "lone surrogate" in stopped.stderr
    assert "nothing was written (--keep-going packs the rest)" in stopped.stderr
    assert not Path("out.des").exists()
    went_on = des("pack", "t", "-o", "out.des", "--keep-going", "--json")
    assert went_on.exit_code == 1
    assert json.loads(went_on.stdout)["failed"] == [os.fsdecode(b"\xff\xfe")]
    assert trees.of_archive(Path("out.des")) == {"good": b"good"}


def test_a_folder_that_cannot_be_read_is_reported(des: Des, trees: Any) -> None:
    trees.write(Path("t"), {"file": b"f"})
    handle = os.open("t", os.O_RDONLY)
    for _ in range(20):  # Deeper than the system takes in one path.
        os.mkdir("d" * 250, dir_fd=handle)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = deeper
    os.close(handle)
    assert des("pack", "t", "-o", "out.des").exit_code == 1
    result = des("pack", "t", "-o", "out.des", "-k")
    assert result.exit_code == 1
    assert "folder cannot be read: File name too long" in result.stderr
    assert trees.of_archive(Path("out.des")) == {"file": b"f"}


def test_quiet_says_nothing_when_all_is_well(des: Des, special_files: Path) -> None:
    result = des("--quiet", "pack", special_files, "-o", "out.des")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
