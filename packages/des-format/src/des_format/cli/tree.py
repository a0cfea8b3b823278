"""Find the files to pack: in folders, one by one, or from a list."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..bigfiles import BIG_FILES_FOLDER
from ..errors import InvalidInputError, NotFoundError
from .inputs import FileInput, Input, Report, clean_name
from .patterns import Selection

__all__ = ["FileFinder"]

_KINDS = {
    stat.S_IFIFO: "named pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
}
LINK = "symbolic link"
LOOP = "circular symbolic link"
EMPTY = "empty folder"
OWN = "archive's own file"


@dataclass(frozen=True, slots=True)
class FileFinder:
    """Turns paths into inputs.

    A folder's files are named by their path below it, a single file by its own name, both by
    their path below `base` if there is one; `prefix` is put in front. Symbolic links are left
    out unless `follow` says otherwise, except when they are given by name; so are sockets and
    the like, the archive that is being written, and its big files.

    Attributes:
        selection: Which names are wanted.
        report: Told what is left out.
        archive: The archive that is being written; None when it is no file.
        base: Folder that names are relative to.
        prefix: Put in front of every name.
        follow: Pack what symbolic links point to.
    """

    selection: Selection
    report: Report
    archive: Path | None = None
    base: Path | None = None
    prefix: str = ""
    follow: bool = False

    def find(self, sources: Iterable[Path]) -> list[Input]:
        """Return the files below the sources in the order of their names, no matter in which order they are given.

        Raises:
            NotFoundError: A source does not exist.
            InvalidInputError: Two files would have the same name, or a source is not below `base`.
        """
        found: list[FileInput] = []
        for source in sources:
            if not os.path.lexists(source):
                raise NotFoundError(f"{source} does not exist")
            name = _relative(str(source), self.base) if self.base else ""
            if source.is_dir():
                self._walk(str(source), "" if name in ("", ".") else f"{name}/", found)
            else:
                self._add_path(name or source.name, str(source), found, given=True)
        found.sort(key=lambda item: item.name)
        self._refuse_duplicates(found)
        return list(found)

    def listed(self, paths: Iterable[str]) -> list[Input]:
        """Return the files of a list, in its order; folders in it are ignored.

        Raises:
            InvalidInputError: Two files would have the same name.
        """
        found: list[FileInput] = []
        base = self.base or Path()
        for path in paths:
            if Path(path).is_dir():
                if Path(path).is_symlink() and not self.follow:
                    self.report.skip(LINK, path)
                continue
            try:
                self._add_path(clean_name(_relative(path, base)), path, found)
            except InvalidInputError as error:
                self.report.fail(path, error)
        self._refuse_duplicates(sorted(found, key=lambda item: item.name))
        return list(found)

    def _walk(self, top: str, below_top: str, found: list[FileInput]) -> None:
        waiting: list[tuple[str, str, tuple[str, ...]]] = [(top, below_top, ())]
        while waiting:
            folder, below, around = waiting.pop()
            try:
                with os.scandir(folder) as listing:
                    children = sorted(listing, key=lambda child: child.name)
            except OSError as error:
                self.report.fail(folder, OSError(f"folder cannot be read: {error.strerror}"))
                continue
            if not children:
                self.report.skip(EMPTY, folder)
            if self.follow:
                around = (*around, os.path.realpath(folder))
            for child in children:
                name = below + child.name
                if not _is_folder(child, follow=self.follow):
                    self._add_path(name, child.path, found)
                elif self._is_own(child.path):
                    self.report.skip(OWN, child.path)
                elif self.follow and os.path.realpath(child.path) in around:
                    self.report.skip(LOOP, child.path)
                elif not self.selection.prunes(self.prefix + name):
                    waiting.append((child.path, f"{name}/", around))

    def _add_path(self, name: str, path: str, found: list[FileInput], *, given: bool = False) -> None:
        name = self.prefix + name
        if not self.selection.wants(name):
            return
        try:
            status = os.stat(path, follow_symlinks=self.follow or given)
        except OSError as error:
            self.report.fail(path, OSError(f"cannot be examined: {error.strerror}"))
            return
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFLNK:
            self.report.skip(LINK, path)
        elif kind != stat.S_IFREG and given:
            self.report.fail(path, InvalidInputError(f"is a {_KINDS.get(kind, 'special file')}, no file or folder"))
        elif kind != stat.S_IFREG:
            self.report.skip(_KINDS.get(kind, "special file"), path)
        elif self._is_own(path):
            self.report.skip(OWN, path)
        else:
            found.append(FileInput(name, path, status.st_size))

    def _is_own(self, path: str) -> bool:
        """Whether this is the archive that is being written, or the folder of its big files."""
        archive = self.archive
        # Nearly no path gets beyond its last characters.
        if archive is None or not path.endswith((archive.name, BIG_FILES_FOLDER)):
            return False
        own = (archive, archive.parent / BIG_FILES_FOLDER)
        return os.path.realpath(path) in map(os.path.realpath, own)

    def _refuse_duplicates(self, found: list[FileInput]) -> None:
        for first, second in itertools.pairwise(found):
            if first.name == second.name:
                raise InvalidInputError(
                    f"{first.path} and {second.path} would both be named {first.name!r};"
                    " --base names them by their paths below a common folder"
                )


def _is_folder(child: os.DirEntry[str], *, follow: bool) -> bool:
    try:
        return child.is_dir(follow_symlinks=follow)
    except OSError:  # A link to itself; examining it as a file says what is wrong.
        return False


def _relative(path: str, base: Path) -> str:
    """The path below `base`, by name alone: no link is followed."""
    relative = os.path.relpath(path, base)
    if relative == os.pardir or relative.startswith(os.pardir + os.sep):
        raise InvalidInputError(f"{path} is not below {base}")
    return relative.replace(os.sep, "/")
