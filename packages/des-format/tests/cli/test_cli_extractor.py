from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from des_format import DesReader, DesWriter, Entry
from des_format.cli.extracting import Extractor, batches
from des_format.cli.targetfolder import TargetFolder


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".des-*")]


class TestTargetFolder:
    ENTRY = Entry("x", 1, 1, *[0] * 4)  # type: ignore[arg-type]

    def test_a_file_that_appeared_meanwhile_is_kept(self, tmp_path: Path) -> None:
        folder = TargetFolder(tmp_path, overwrite=False)
        (tmp_path / "x").write_bytes(b"mine")
        with pytest.raises(FileExistsError, match="x exists"):
            folder.write(self.ENTRY, b"new", lambda count: None)
        assert [path.name for path in tmp_path.iterdir()] == ["x"]
        assert (tmp_path / "x").read_bytes() == b"mine"

    def test_a_file_system_without_hard_links_serves_as_well(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_links(*_arguments: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_links)
        TargetFolder(tmp_path, overwrite=False).write(self.ENTRY, b"new", lambda count: None)
        assert [path.name for path in tmp_path.iterdir()] == ["x"]


class TestExtractor:
    def test_what_interrupts_the_listing_ends_the_threads_and_leaves_nothing_half_written(
        self, archive: Path, tmp_path: Path
    ) -> None:
        def interrupted(reader: DesReader) -> Iterator[Entry]:
            yield from reader.entries()
            raise KeyboardInterrupt

        with DesReader(archive) as reader:
            extractor = Extractor(reader, TargetFolder(tmp_path / "out", overwrite=False), lambda count: None)
            with pytest.raises(KeyboardInterrupt):
                list(extractor.run(interrupted(reader), 2))
        assert leftovers(tmp_path) == []

    def test_a_full_disk_ends_the_extraction_and_stops_the_other_threads(self, tmp_path: Path) -> None:
        with DesWriter(tmp_path / "a.des", compression="none") as writer:
            for number in range(3000):
                writer.add_file(f"{number:04}", b"x")
        written = 0

        def full(_count: int) -> None:
            nonlocal written
            written += 1
            if written > 300:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with DesReader(tmp_path / "a.des") as reader:
            extractor = Extractor(reader, TargetFolder(tmp_path / "out", overwrite=False), full)
            with pytest.raises(OSError, match="No space left"):
                list(extractor.run(reader.entries(), 1))
        assert written < 2900
        assert leftovers(tmp_path) == []

    def test_threads_stop_in_the_middle_of_their_batch_when_another_meets_a_full_disk(self, tmp_path: Path) -> None:
        with DesWriter(tmp_path / "a.des", compression="none") as writer:
            for number in range(512):
                writer.add_file(f"{number:03}", b"x")
        both_at_work = threading.Barrier(2, timeout=30)

        def full(_count: int) -> None:
            both_at_work.wait()
            if threading.current_thread().name.endswith("_0"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            assert extractor.stopping.wait(30)

        with DesReader(tmp_path / "a.des") as reader:
            extractor = Extractor(reader, TargetFolder(tmp_path / "out", overwrite=False), full)
            with pytest.raises(OSError, match="No space left"):
                list(extractor.run(reader.entries(), 2))
        assert list((tmp_path / "out").iterdir()) == []

    def test_batches_are_bounded_in_entries_and_bytes(self) -> None:
        small = [Entry(str(number), 1, 1, *[0] * 4) for number in range(600)]  # type: ignore[arg-type]
        assert [len(batch) for batch in batches(small)] == [256, 256, 88]
        large = [Entry(str(number), 5 * 2**20, 1, *[0] * 4) for number in range(5)]  # type: ignore[arg-type]
        assert [len(batch) for batch in batches(large)] == [2, 2, 1]
