"""Which inputs `des pack` and `des append` are asked for: folders and files, a list, a tar or a zip."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InvalidInputError
from .inputs import Input, Report
from .patterns import Selection

__all__ = ["STDIN", "Wanted", "paths_from"]

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of `des pack` that say what to pack; exactly one of the first four is given."""

    sources: Sequence[Path] = ()
    from_tar: str | None = None
    from_zip: Path | None = None
    files_from: str | None = None
    null: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    base: Path | None = None
    prefix: str = ""
    follow: bool = False

    def __post_init__(self) -> None:
        kinds = (self.sources, self.from_tar, self.from_zip, self.files_from)
        given = sum(kind is not None and kind != () for kind in kinds)
        if given != 1:
            raise InvalidInputError(
                "give files and folders, or one of --from-tar, --from-zip and --files-from;"
                + (" nothing was given" if not given else f" {given} of these were given")
            )
        if self.null and self.files_from is None:
            raise InvalidInputError("--null describes the list of --files-from, which was not given")
        if (self.from_tar or self.from_zip) and (self.base or self.follow):
            raise InvalidInputError("--base and --follow are about files, not about members of a tar or a zip")

    @contextmanager
    def gather(self, archive: Path | None, report: Report) -> Iterator[tuple[Iterable[Input], int]]:
        """Find the inputs, and how many bytes they have together (0 for not known).

        Args:
            archive: The archive that is being written, which is never an input; None for no file.
            report: Told what is left out.

        Raises:
            NotFoundError: A source does not exist.
            InvalidInputError: Names that are equal, or patterns that cannot be understood.
        """
        selection = Selection(self.include, self.exclude)
        if self.from_tar is not None:
            from .tarfiles import tar_inputs

            path = None if self.from_tar == STDIN else Path(self.from_tar)
            with _opened(path) as file:
                yield tar_inputs(file, selection, report, prefix=self.prefix, path=path), 0
        elif self.from_zip is not None:
            from .zipfiles import zip_inputs

            yield zip_inputs(self.from_zip, selection, report, prefix=self.prefix), 0
        else:
            found = self._files(archive, selection, report)
            yield found, sum(item.size for item in found)

    def _files(self, archive: Path | None, selection: Selection, report: Report) -> list[Input]:
        from .tree import FileFinder

        finder = FileFinder(selection, report, archive, self.base, self.prefix, self.follow)
        if self.files_from is None:
            return finder.find(self.sources)
        with _opened(None if self.files_from == STDIN else Path(self.files_from)) as file:
            return finder.listed(paths_from(file, null=self.null))


@contextmanager
def _opened(path: Path | None) -> Iterator[io.BufferedReader]:
    if path is not None:
        with path.open("rb") as file:
            yield file
    else:
        # Buffered once more, because only then every stdin can be peeked at.
        stream: Any = io.BufferedReader(sys.stdin.buffer)
        try:
            yield stream
        finally:
            stream.detach()


def paths_from(file: BinaryIO, *, null: bool) -> list[str]:
    """Return the paths of a list, one a line or separated by NUL.

    Raises:
        InvalidInputError: NUL in a list of lines.
    """
    data = file.read()
    if not null and b"\0" in data:
        raise InvalidInputError("the list holds NUL characters; use --null (-0) for lists that are separated by them")
    return [os.fsdecode(path) for path in data.split(b"\0" if null else b"\n") if path]
