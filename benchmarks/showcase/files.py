"""The demo's input: regular files that may be unreadable, change or vanish at any moment."""

from __future__ import annotations

import os
import stat
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from des_format import DesReader

__all__ = ["SMALL_BYTES", "Content", "SourceFile", "default_folders", "find_files"]

SMALL_BYTES = 32 * 2**20
PIECE_BYTES = 2**20

Content = bytes | BinaryIO


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A regular file as it was when it was found."""

    path: Path
    name: str
    size: int
    modified_ns: int

    def _is_unchanged(self, handle: int) -> bool:
        found = os.fstat(handle)
        return (found.st_size, found.st_mtime_ns) == (self.size, self.modified_ns)

    def read(self) -> Content:
        """The content; an open file, which the caller closes, where it is large.

        Raises:
            OSError: It cannot be read, or is not what was found.
        """
        file = self.path.open("rb")
        try:
            if self._is_unchanged(file.fileno()):
                if self.size > SMALL_BYTES:
                    return file
                content = file.read(self.size + 1)
                if len(content) == self.size:
                    file.close()
                    return content
            raise OSError("changed since it was found")
        except BaseException:
            file.close()
            raise

    def matches(self, reader: DesReader) -> bool | None:
        """Whether an archive's entry equals the file, byte for byte; None when the file changed or is gone."""
        try:
            file = self.path.open("rb")
        except OSError:
            return None
        with file, reader.open(self.name) as entry:
            while True:
                expected = file.read(PIECE_BYTES)
                if entry.read(PIECE_BYTES) != expected:
                    return False if self._is_unchanged(file.fileno()) else None
                if not expected:
                    return True


def default_folders() -> list[Path]:
    """The folders of the running Python's installation: its library and its packages."""
    paths = sysconfig.get_paths()
    return [Path(paths[key]).resolve() for key in ("stdlib", "platstdlib", "purelib", "platlib")]


def find_files(folders: list[Path], unreadable: dict[str, str]) -> Iterator[SourceFile]:
    """Yield every regular file below the folders once; links are not followed.

    Args:
        folders: A folder that repeats, or lies in another one, adds nothing.
        unreadable: Receives the reason for each folder and file that is left out.
    """
    unique = list(dict.fromkeys(folders))
    tops = [folder for folder in unique if not any(other in folder.parents for other in unique)]

    def note(error: OSError) -> None:
        unreadable[str(error.filename)] = error.strerror or str(error)

    for top in tops:
        for folder, below, files in os.walk(top, onerror=note):
            below.sort()
            for file in sorted(files):
                path = Path(folder, file)
                name = path.relative_to(top).as_posix()
                if len(tops) > 1:
                    name = f"{tops.index(top)}/{name}"
                try:
                    found = path.lstat()
                    name.encode()
                except OSError as error:
                    note(error)
                except UnicodeEncodeError:
                    unreadable[str(path)] = "its name is not valid Unicode"
                else:
                    if stat.S_ISREG(found.st_mode):
                        yield SourceFile(path, name, found.st_size, found.st_mtime_ns)
