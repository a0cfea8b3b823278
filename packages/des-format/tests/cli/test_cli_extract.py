from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from des_format import DesReader, DesWriter

Des = Callable[..., Any]

UNSAFE = ["../x", "/abs", "a//b", "C:\\x", "C:x", "..", "a/../../x", "a/", "./x", "back\\slash"]


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".des-*")]


@pytest.mark.parametrize("jobs", [1, 3])
def test_everything_comes_back_as_it_was_packed(des: Des, odd_tree: Path, trees: Any, jobs: int) -> None:
    des("pack", odd_tree, "-o", "out.des", "--threshold", "5K")
    result = des("extract", "out.des", "-o", "new/folder", "--jobs", jobs)
    assert result.exit_code == 0
    assert result.stderr.startswith("11 files, ")
    assert trees.read(Path("new/folder")) == trees.odd
    assert leftovers(Path("new")) == []


def test_many_small_files_come_back(des: Des, trees: Any) -> None:
    tree = {f"{i % 7}/{i}.json": b'{"id": %d}' % i for i in range(1500)}
    trees.write(Path("t"), tree)
    des("pack", "t", "-o", "out.des")
    result = des("extract", "out.des", "-o", "out", "-j", "4", "--json")
    assert json.loads(result.stdout) == {
        "extracted": 1500,
        "bytes": sum(map(len, tree.values())),
        "failed": [],
        "folder": "out",
    }
    assert trees.read(Path("out")) == tree


def test_names_that_lead_out_of_the_folder_are_refused_and_nothing_is_written_outside(des: Des, trees: Any) -> None:
    with DesWriter("evil.des") as writer:
        writer.add_file("good", b"good")
        for name in UNSAFE:
            writer.add_file(name, b"evil")
    before = sorted(path.name for path in Path("..").iterdir())
    result = des("extract", "evil.des", "-o", "inner/out")
    assert result.exit_code == 1
    for name in UNSAFE:
        assert repr(name) in result.stderr
    assert trees.read(Path("inner")) == {"out/good": b"good"}
    assert sorted(path.name for path in Path("..").iterdir()) == before
    assert not Path("/abs").exists()


def test_nothing_is_written_through_a_link_in_the_folder(des: Des, trees: Any) -> None:
    trees.write(Path("t"), {"sub/x": b"1", "y": b"2"})
    des("pack", "t", "-o", "out.des")
    Path("outside").mkdir()
    Path("out").mkdir()
    Path("out/sub").symlink_to("../outside")
    result = des("extract", "out.des", "-o", "out", "--overwrite")
    assert result.exit_code == 1
    assert "sub is in the way" in result.stderr
    assert list(Path("outside").iterdir()) == []
    assert Path("out/y").read_bytes() == b"2"


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(des: Des) -> None:
    Path("x").write_bytes(b"new")
    des("pack", "x", "-o", "out.des")
    Path("victim").write_bytes(b"victim")
    Path("out").mkdir()
    Path("out/x").symlink_to("../victim")
    assert des("extract", "out.des", "-o", "out").exit_code == 4
    assert des("extract", "out.des", "-o", "out", "--overwrite").exit_code == 0
    assert Path("victim").read_bytes() == b"victim"
    assert not Path("out/x").is_symlink()


def test_the_folder_itself_may_be_a_link(des: Des, archive: Path) -> None:
    Path("real").mkdir()
    Path("link").symlink_to("real")
    assert des("extract", archive, "-o", "link").exit_code == 0
    assert Path("real/a.txt").read_bytes() == b"alpha"


def test_an_existing_file_keeps_everything_from_being_extracted(des: Des, archive: Path, trees: Any) -> None:
    trees.write(Path("out"), {"b/empty": b"mine", "other": b"other"})
    result = des("extract", archive, "-o", "out")
    assert result.exit_code == 4
    assert "b/empty exists; nothing was extracted" in result.stderr
    assert trees.read(Path("out")) == {"b/empty": b"mine", "other": b"other"}


def test_unsafe_names_do_not_hide_what_exists(des: Des, trees: Any) -> None:
    with DesWriter("evil.des") as writer:
        writer.add_file("../x", b"evil")
        writer.add_file("y", b"new")
    trees.write(Path("out"), {"y": b"mine", "d/z": b"z"})
    assert des("extract", "evil.des", "-o", "out").exit_code == 4
    Path("out/y").unlink()
    assert des("extract", "evil.des", "-o", "out").exit_code == 1
    assert trees.read(Path("out")) == {"y": b"new", "d/z": b"z"}


def test_what_does_not_collide_is_extracted_beside_what_exists(des: Des, archive: Path, trees: Any) -> None:
    trees.write(Path(), {"other": b"other", "b/other": b"other"})
    assert des("extract", archive).exit_code == 0
    assert set(trees.read(Path())) == {"other", "b/other", "a.txt", "b/empty", "b/text.json", "big.bin"}


def test_overwrite_replaces(des: Des, archive: Path, trees: Any) -> None:
    trees.write(Path("out"), {"a.txt": b"mine"})
    assert des("extract", archive, "-o", "out", "--overwrite").exit_code == 0
    assert trees.read(Path("out")) == trees.of_archive(archive)


def test_time_and_permissions_are_restored_less_the_umask(des: Des, archive: Path) -> None:
    old = os.umask(0o027)
    try:
        assert des("extract", archive, "-o", "out").exit_code == 0
    finally:
        os.umask(old)
    status = Path("out/a.txt").stat()
    assert status.st_mtime_ns == 1_700_000_000_123_456_789
    assert stat.S_IMODE(status.st_mode) == 0o750
    assert stat.S_IMODE(Path("out/big.bin").stat().st_mode) == 0o640


def test_metadata_that_makes_no_sense_is_ignored(des: Des) -> None:
    metas: list[dict[str, Any]] = [
        {"mtime_ns": "yesterday", "mode": "rwx"},
        {"mtime_ns": 2**80, "mode": -1},
        {"mtime_ns": True, "mode": True},
        {"mtime_ns": None, "mode": 1.5},
        {"mtime_ns": -1_000_000_000, "mode": 0o4755},
    ]
    with DesWriter("odd.des") as writer:
        for number, meta in enumerate(metas):
            writer.add_file(str(number), b"x", meta)
    assert des("extract", "odd.des", "-o", "out").exit_code == 0
    assert stat.S_IMODE(Path("out/4").stat().st_mode) == 0o755  # never set-uid
    assert Path("out/4").stat().st_mtime_ns == -1_000_000_000


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["a.txt"], {"a.txt"}),
        (["a.txt", "b/empty"], {"a.txt", "b/empty"}),
        (["*.txt"], {"a.txt"}),
        (["b"], {"b/empty", "b/text.json"}),
        (["b/*.json", "a.txt"], {"a.txt", "b/text.json"}),
        (["--prefix", "b"], {"b/empty", "b/text.json", "big.bin"}),
        (["--prefix", "b/", "*.json"], {"b/text.json"}),
        (["--prefix", "a", "a.txt"], {"a.txt"}),
    ],
)
def test_names_patterns_and_prefixes_choose(
    des: Des, archive: Path, trees: Any, arguments: list[str], names: set[str]
) -> None:
    assert des("extract", archive, "-o", "out", *arguments).exit_code == 0
    assert set(trees.read(Path("out"))) == names


def test_a_name_that_looks_like_a_pattern_means_that_entry(des: Des, trees: Any) -> None:
    with DesWriter("odd.des") as writer:
        writer.add_file("*", b"star")
        writer.add_file("x", b"x")
    assert des("extract", "odd.des", "*", "-o", "out").exit_code == 0
    assert trees.read(Path("out")) == {"*": b"star"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.txt", "*.nothing"], "no entry matches '*.nothing'"),
        (["nothing"], "no entry is named, or lies below, 'nothing'"),
        (["--prefix", "nothing"], "no entry's name begins with 'nothing'"),
        (["--prefix", "b", "a.txt"], "no entry's name begins with 'b'"),
    ],
)
def test_what_chooses_nothing_is_an_error_and_nothing_is_written(
    des: Des, archive: Path, arguments: list[str], says: str
) -> None:
    result = des("extract", archive, "-o", "out", *arguments)
    assert result.exit_code == 3
    assert says in result.stderr
    assert not Path("out").exists()


def test_an_empty_archive_extracts_to_an_empty_folder(des: Des) -> None:
    DesWriter("empty.des").close()
    assert des("extract", "empty.des", "-o", "out").exit_code == 0
    assert list(Path("out").iterdir()) == []


def test_damaged_entries_are_named_and_the_others_extracted(des: Des, trees: Any) -> None:
    with DesWriter("d.des", compression="none") as writer:
        for number in range(10):
            writer.add_file(str(number), b"payload %d" % number * 10)
    with DesReader("d.des") as reader:
        bad = reader.get_entry("5")
    data = bytearray(Path("d.des").read_bytes())
    data[bad.offset + bad.length - 1] ^= 1
    Path("d.des").write_bytes(data)
    result = des("extract", "d.des", "-o", "out", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"] == ["5"]
    assert json.loads(result.stdout)["extracted"] == 9
    assert "des: 5: payload of entry '5'" in result.stderr
    assert set(trees.read(Path("out"))) == set("012346789")
    assert leftovers(Path("out")) == []


def test_a_missing_or_changed_big_file_never_becomes_a_file(des: Des, archive: Path) -> None:
    (big,) = (archive.parent / "_bigFiles").iterdir()
    content = big.read_bytes()
    for damage in (content[:-1] + b"?", content[:-1], content + b"?"):
        big.write_bytes(damage)
        result = des("extract", archive, "-o", "out", "big.bin", "--overwrite")
        assert (result.exit_code, Path("out/big.bin").exists()) == ((0, True) if damage[:-1] == content else (1, False))
    big.unlink()
    result = des("extract", archive, "-o", "again")
    assert result.exit_code == 1
    assert "big.bin: big file" in result.stderr
    assert Path("again/a.txt").exists()
    assert leftovers(Path()) == []


def test_entries_that_no_file_system_takes_are_named(des: Des, trees: Any) -> None:
    with DesWriter("odd.des") as writer:
        writer.add_file("n" * 300, b"too long a part")
        writer.add_file("a", b"a file")
        writer.add_file("a/b", b"below a file")
        writer.add_file("fine", b"fine")
    result = des("extract", "odd.des", "-o", "out", "-j", "1")
    assert result.exit_code == 1
    assert "File name too long" in result.stderr
    assert "a is in the way: it is no folder" in result.stderr
    assert trees.read(Path("out")) == {"a": b"a file", "fine": b"fine"}
