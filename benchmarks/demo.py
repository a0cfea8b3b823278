"""Pack real files, read them back, rescue a damaged copy, and do the same with tar and zip in the same run.

    python3 dev.py demo [FOLDER]    FOLDER: the files of this Python's installation, unless given

Ends with exit code 0 only if everything that came back equals the files it was made from.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from des_format import ArchiveStats, DesError, DesReader
from showcase.checks import Check, compare, salvage, size_text, verify
from showcase.console import Progress, print_table
from showcase.files import SMALL_BYTES, Content, SourceFile, default_folders, find_files
from showcase.packers import DesArchive, Packer, TarWithIndex, ZipArchive

READS = 10_000
READ_BUDGET_BYTES = 2 * 2**30
# The archive and its damaged and rescued copies at once; the other systems come later, one after the other.
SPACE_FACTOR = 2.5
HEADS = ("", "stored", "ratio", "write, files/s", "MB/s", "open + first read", "random reads/s")


@dataclass(frozen=True, slots=True)
class Figures:
    """What one system needed for the same files."""

    label: str
    file_count: int
    raw_bytes: int
    stored_bytes: int
    write_seconds: float
    open_seconds: float
    read_count: int
    read_seconds: float

    def cells(self) -> list[str]:
        """The row of the table."""
        return [
            self.label,
            size_text(self.stored_bytes),
            f"{self.stored_bytes / self.raw_bytes:.3f}" if self.raw_bytes else "-",
            f"{self.file_count / self.write_seconds:,.0f}",
            f"{self.raw_bytes / self.write_seconds / 1e6:,.0f}",
            f"{self.open_seconds * 1e3:,.2f} ms",
            f"{self.read_count / self.read_seconds:,.0f}" if self.read_count else "-",
        ]


class Demo:
    """One run over some files; everything is written below `work`.

    Attributes:
        left_out: Why, for each file that could not be packed.
        packed: The files that were packed.
        stats: What the first archive adds up to, once it was checked.
    """

    def __init__(self, files: list[SourceFile], left_out: dict[str, str], work: Path, progress: Progress) -> None:
        self._files = files
        self._work = work
        self._progress = progress
        self.left_out = left_out
        self.packed: list[SourceFile] = []
        self.stats: ArchiveStats | None = None

    def run(self) -> tuple[list[Figures], list[Check]]:
        """Measure every system, and check what the first one, a compressed DES archive, gives back."""
        for _ in self._contents("reading the files once", self.packed):
            pass  # From here on all systems find them in the same cache.
        self._files = self.packed
        archive = DesArchive("DES, balanced (zstd)", self._work / "balanced", "balanced")
        figures = [self._measure(archive)]
        checks = self._check(archive.path)
        shutil.rmtree(archive.folder)
        for packer in (
            DesArchive("DES, uncompressed", self._work / "uncompressed", "none"),
            TarWithIndex("tar + index in memory", self._work / "tar"),
            ZipArchive("zip, stored", self._work / "stored", zipfile.ZIP_STORED),
            ZipArchive("zip, deflated", self._work / "deflated", zipfile.ZIP_DEFLATED),
        ):
            figures.append(self._measure(packer))
            shutil.rmtree(packer.folder)
        return figures, checks

    def _contents(self, text: str, packed: list[SourceFile]) -> Iterator[tuple[str, Content]]:
        """Yield what to pack; what cannot be read (any more) is noted and left out."""
        for file in self._progress.over(self._files, len(self._files), text):
            try:
                content = file.read()
            except OSError as error:
                self.left_out[str(file.path)] = error.strerror or str(error)
                continue
            packed.append(file)
            try:
                yield file.name, content
            finally:
                if not isinstance(content, bytes):
                    content.close()

    def _measure(self, packer: Packer) -> Figures:
        packed: list[SourceFile] = []
        started = time.perf_counter()
        packer.write(self._contents(f"{packer.label}: writing", packed))
        write_seconds = time.perf_counter() - started
        self.packed = packed
        names = [file.name for file in self._sample()]
        started = time.perf_counter()
        get = packer.open()
        for name in names[:1]:
            get(name)
        open_seconds = time.perf_counter() - started
        self._progress.show(f"{packer.label}: reading")
        read_seconds = time_reads(get, names)
        packer.close()
        size = sum(file.size for file in packed)
        stored = packer.stored_bytes()
        return Figures(packer.label, len(packed), size, stored, write_seconds, open_seconds, len(names), read_seconds)

    def _sample(self) -> list[SourceFile]:
        """10,000 random files, none of them large; with repetition where there are fewer."""
        chance = random.Random(READS)
        small = [file for file in self.packed if file.size <= SMALL_BYTES]
        chosen = chance.sample(small, READS) if len(small) >= READS else chance.choices(small, k=READS) if small else []
        total = 0
        for number, file in enumerate(chosen):
            total += file.size
            if total > READ_BUDGET_BYTES:
                return chosen[:number]
        return chosen

    def _check(self, path: Path) -> list[Check]:
        chosen = dict.fromkeys(self._sample())
        chosen.update(dict.fromkeys(file for file in self.packed if file.size > SMALL_BYTES))
        with DesReader(path) as reader:
            self.stats = reader.get_stats()
            self._progress.show("verifying")
            checks = [verify(reader, len(self.packed))]
            checks.append(compare(reader, self._progress.over(chosen, len(chosen), "comparing")))
            self._progress.show("salvaging a damaged copy")
            checks.append(salvage(reader, path))
        return checks


def time_reads(get: Callable[[str], bytes], names: list[str]) -> float:
    """Seconds to read all names, after half of them were read to warm up."""
    for name in names[::2]:
        get(name)
    started = time.perf_counter()
    for name in names:
        get(name)
    return max(time.perf_counter() - started, 1e-9)


def report(demo: Demo, figures: list[Figures], checks: list[Check]) -> bool:
    """Print what was found; return whether everything matched."""
    title = f"{figures[0].file_count:,} files, {size_text(figures[0].raw_bytes)}; writing includes making it durable"
    print_table(title, HEADS, [row.cells() for row in figures])
    for check in checks:
        print(f"{'FAILED' if check.problems else 'ok':6}  {check.text}")
        for problem in check.problems[:10]:
            print(f"        {problem}")
        if len(check.problems) > 10:
            print(f"        and {len(check.problems) - 10:,} more")
    if demo.left_out:
        path, reason = next(iter(demo.left_out.items()))
        print(f"note    {len(demo.left_out):,} files or folders were left out, such as {path!r}: {reason}")
    if demo.stats and demo.stats.external_files:
        beside = f"{demo.stats.external_files:,} files ({size_text(demo.stats.external_size_bytes)})"
        print(f"note    DES put {beside} beside the archive, uncompressed: each is over 10 MiB")
    return not any(check.problems for check in checks)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="pack the regular files below this folder")
    parser.add_argument("--work", type=Path, help="folder for temporary files, instead of the system's")
    arguments = parser.parse_args()
    if arguments.folder is not None and not arguments.folder.is_dir():
        parser.error(f"{arguments.folder} is no folder")
    return arguments


def main() -> int:
    """Run the demo; 0 when everything matched, 1 when not, 2 when it could not run."""
    arguments = parse_arguments()
    folders = [arguments.folder.resolve()] if arguments.folder else default_folders()
    left_out: dict[str, str] = {}
    try:
        with Progress() as progress, tempfile.TemporaryDirectory(prefix="des-demo-", dir=arguments.work) as work:
            progress.show("looking for files")
            files = list(find_files(folders, left_out))
            needed = SPACE_FACTOR * sum(file.size for file in files)
            if shutil.disk_usage(work).free < needed:
                print(f"demo: {size_text(int(needed))} must be free in {work}; choose --work", file=sys.stderr)
                return 2
            demo = Demo(files, left_out, Path(work), progress)
            figures, checks = demo.run()
    except KeyboardInterrupt:
        return 130
    except (DesError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0 if report(demo, figures, checks) else 1


if __name__ == "__main__":
    sys.exit(main())
