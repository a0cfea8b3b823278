from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from des_format import DesReader

Des = Callable[..., Any]


class TestLists:
    def test_files_keep_their_order_and_are_named_by_their_paths(self, des: Des, trees: Any) -> None:
        trees.write(Path("t"), {"b": b"1", "a": b"2", "s/c": b"3"})
        lines = b"./t/b\nt//s/c\n\nt\nt/a\n"
        assert des("pack", "--files-from", "-", "-o", "out.des", input=lines).exit_code == 0
        with DesReader("out.des") as reader:
            assert [entry.name for entry, _payload in reader.scan()] == ["t/b", "t/s/c", "t/a"]

    def test_nul_separates_names_with_new_lines(self, des: Des, odd_tree: Path, trees: Any) -> None:
        names = b"\0".join(os.fsencode(odd_tree / name) for name in trees.odd) + b"\0"
        Path("list").write_bytes(names)
        result = des("pack", "--files-from", "list", "-0", "--base", odd_tree, "-o", "out.des")
        assert result.exit_code == 0
        assert trees.of_archive(Path("out.des")) == trees.odd

    def test_nul_in_a_list_of_lines_is_refused(self, des: Des) -> None:
        result = des("pack", "--files-from", "-", "-o", "out.des", input=b"a\0b\0")
        assert result.exit_code == 2
        assert "--null (-0)" in result.stderr

    def test_missing_files_and_paths_outside_are_reported(self, des: Des, trees: Any) -> None:
        trees.write(Path("t"), {"a": b"1"})
        Path("outside").write_bytes(b"o")
        Path("t/link").symlink_to("a")
        Path("t/up").symlink_to("..")
        lines = b"t/a\nt/absent\noutside\nt/link\nt/up\n"
        result = des("pack", "--files-from", "-", "--base", "t", "-o", "out.des", "-k", input=lines)
        assert result.exit_code == 1
        assert "t/absent: cannot be examined: No such file or directory" in result.stderr
        assert "outside is not below t" in result.stderr
        assert "2 symbolic links" in result.stderr
        assert trees.of_archive(Path("out.des")) == {"a": b"1"}

    def test_the_same_file_twice_is_refused(self, des: Des) -> None:
        Path("a").write_bytes(b"1")
        assert des("pack", "--files-from", "-", "-o", "out.des", input=b"a\n./a\n").exit_code == 2
