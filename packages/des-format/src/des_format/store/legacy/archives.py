"""Opened archives of a store: read over effects, and kept while they are in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from ...bigfiles import BIG_FILES_FOLDER
from ...core import ArchiveCore
from ...errors import (
    BigFileMissingError,
    CorruptArchiveError,
    DesError,
    InvalidInputError,
    ObjectNotFoundError,
    UnavailableError,
    UnsupportedFormatError,
)
from ...legacy.datavision import DatavisionArchive
from ...legacy.des_core import DesCoreArchive
from ...opening import ReadOptions, open_core
from ...ranges import ByteRange, Reply, Steps, Tail, TailRead
from ..sansio.effects import Effects, Head, Read, ReadTail, ask, value_of
from .listings import Found
from .recent import Recent

__all__ = ["ArchiveSource", "Archives", "Opened"]

T = TypeVar("T")

_BROKEN = (CorruptArchiveError, UnsupportedFormatError)


@dataclass(slots=True)
class ArchiveSource:
    """Where one archive, and what lies beside it, is read from.

    Attributes:
        key: The archive's key.
        e_tag: The version that was opened; another one is never read.
        folders: Where the objects beside it may lie, the likeliest first: empty, or ending with `/`.
        big_files_folder: How the folder `_bigFiles` is called there.
    """

    key: str
    e_tag: str | None = None
    folders: list[str] = field(default_factory=list)
    big_files_folder: str = BIG_FILES_FOLDER

    def run(self, steps: Steps[T], versions: dict[str, str | None] | None = None) -> Effects[T]:
        """Run an archive's steps.

        Args:
            steps: What to run.
            versions: Versions of objects beside the archive that must not change any more; those that are read
                are added.

        Raises:
            ObjectChangedError: The archive, or one of these objects, is another version by now.
        """
        versions = {} if versions is None else versions
        try:
            request = next(steps)
            while True:
                try:
                    reply = yield from self._answer(request, versions)
                except BigFileMissingError as error:
                    request = steps.throw(error)
                else:
                    request = steps.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result
        except (*_BROKEN, BigFileMissingError) as error:
            error.args = (f"{self.key}: {error}",)
            raise

    def _answer(self, request: list[ByteRange] | TailRead, versions: dict[str, str | None]) -> Effects[Reply]:
        if isinstance(request, TailRead):
            data = yield from ask(ReadTail(self.key, request.length))
            self.e_tag = data.e_tag
            return Tail(data.data, data.size)
        answers: dict[int, bytes] = {}
        for folder in tuple(self.folders):
            wanted = {at: self._read(part, folder, versions) for at, part in enumerate(request) if at not in answers}
            replies = yield list(wanted.values())
            for (at, read), reply in zip(wanted.items(), replies, strict=True):
                beside = bool(request[at].beside)
                if beside and isinstance(reply, ObjectNotFoundError | InvalidInputError):
                    continue
                if beside and isinstance(reply, UnavailableError):
                    reply = yield from _past_its_end(read, reply)
                answers[at] = value_of(reply).data
                if beside:
                    versions[read.key] = reply.e_tag
                    self._prefer(folder)
            if len(answers) == len(request):
                return [answers[at] for at in range(len(request))]
        missing = ", ".join(part.beside for at, part in enumerate(request) if at not in answers)
        raise BigFileMissingError(f"big file {missing} is missing")

    def _read(self, part: ByteRange, folder: str, versions: dict[str, str | None]) -> Read:
        if not part.beside:
            return Read(self.key, part.start, part.end, self.e_tag)
        name = part.beside
        if name.startswith(f"{BIG_FILES_FOLDER}/"):
            name = self.big_files_folder + name.removeprefix(BIG_FILES_FOLDER)
        key = folder + name
        return Read(key, part.start, part.end, versions.get(key), "bigfile")

    def _prefer(self, folder: str) -> None:
        """Look there first from now on: one writer put all payloads of an archive into one place."""
        if self.folders[0] != folder:
            self.folders = [folder, *(other for other in self.folders if other != folder)]


def _past_its_end(read: Read, error: UnavailableError) -> Effects[Any]:
    """The answer to a read that some stores fail because it begins after the object's end."""
    meta = yield from ask(Head(read.key))
    if meta["size"] > read.start:
        raise error
    return _Nothing(b"", meta["e_tag"])


class _Nothing(NamedTuple):
    data: bytes
    e_tag: str | None


class Opened(NamedTuple):
    """An archive that is open."""

    found: Found
    source: ArchiveSource
    core: ArchiveCore

    @property
    def key(self) -> str:
        return self.found.key

    @property
    def id(self) -> str:
        """What tells it from others of its shard: the name of its object, without folder and `.des`."""
        return self.key.rpartition("/")[2].removesuffix(".des")


class Archives:
    """Opens archives, and keeps those that were used last, also those that turned out to be broken.

    Args:
        options: How to read them.
        big_files_folder: Name of the folder of big files of des_core archives.
        max_count: How many are kept.
    """

    def __init__(self, options: ReadOptions, *, big_files_folder: str, max_count: int) -> None:
        self._options = options
        self._big_files_folder = big_files_folder
        self._opened: Recent[str, Opened | tuple[Found, DesError]] = Recent(max_count)

    def open(self, found: Found) -> Effects[Opened]:
        """Open an archive, unless it is open.

        Raises:
            CorruptArchiveError: It is damaged.
            UnsupportedFormatError: It is no archive, or one that needs a newer reader.
            ObjectNotFoundError: It is not there any more.
        """
        held = self._opened.get(found.key)
        if held is not None and held[0].version == found.version:
            if isinstance(held, Opened):
                return held
            raise again(held[1])
        try:
            opened = yield from self._open(found)
        except _BROKEN as error:
            self._opened.set(found.key, (found, again(error)))
            raise
        self._opened.set(found.key, opened)
        return opened

    def _open(self, found: Found) -> Effects[Opened]:
        if not found.size:
            raise UnsupportedFormatError(f"{found.key}: is empty: not an archive")
        folder = found.key[: found.key.rfind("/") + 1]
        source = ArchiveSource(found.key, folders=[folder])
        core = yield from source.run(open_core(self._options))
        if isinstance(core, DesCoreArchive):
            source.big_files_folder = self._big_files_folder
        if isinstance(core, DatavisionArchive) and folder:
            # `external_key` counts from the bucket, whose end the archive's own folder need not be.
            source.folders.append("")
        return Opened(found, source, core)

    def forget(self, keys: Sequence[str]) -> None:
        """Open these anew when they are wanted next."""
        self._opened.forget(set(keys).__contains__)


def again(error: DesError) -> DesError:
    """The same error without its traceback, which would grow each time that one instance is raised."""
    return type(error)(*error.args)
