"""Objects as files of a folder."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..durable import make_folder, sync_folder
from ..errors import (
    ConfigurationError,
    ObjectChangedError,
    ObjectExistsError,
    StoreNotFoundError,
)
from ..ports.objects import Content, GetOptions, ObjectMeta, PutMode, PutResult
from ..sources import FileSource
from .content import pieces
from .files import check_file, open_file, read_file, status_of, translated, writing
from .folders import Folders, walk
from .keys import split_prefix
from .locking import LocalTurn, locked
from .results import LoadedResult, check_conditions, expected_tag, resolve_range
from .threaded import ThreadedObjectStore
from .versions import VersionFile, describe, tag_of

__all__ = ["LocalObjectStore", "LocalTarget", "open_local", "path_of"]

_CHUNK_COUNT = 1000


class LocalObjectStore(ThreadedObjectStore):
    """Objects as files below `root`, safe to share between threads and processes of one machine.

    A write is durable when it returns and appears in one step; a killed process leaves the old object or the new one,
    and perhaps a hidden temporary file. Replacing and deleting hold a lock file beside the object, `.<name>.lock`.
    Hidden names are the store's own: no key has them. Links below the root are never followed.

    Args:
        root: The folder.
        create: Make the folder when it is missing.

    Raises:
        StoreNotFoundError: The folder is missing and `create` is false.
    """

    def __init__(self, root: str | os.PathLike[str], *, create: bool = False) -> None:
        self.root = Path(root).absolute()
        if create:
            make_folder(self.root)
        if not self.root.is_dir():
            raise StoreNotFoundError(f"{self.root} is no folder")
        self._folders = Folders(self.root)

    def __repr__(self) -> str:
        return f"LocalObjectStore({str(self.root)!r})"

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        options = options or {}
        with translated(path):
            handle = open_file(self._folders.locate(path))
            try:
                # One open file is one version, whatever happens to its name meanwhile.
                status = check_file(path, os.fstat(handle))
                check_conditions(path, tag_of(status), options)
                start, end = resolve_range(path, status.st_size, options)
                return LoadedResult(describe(path, status), (start, end), read_file(path, handle, start, end))
            finally:
                os.close(handle)

    def head(self, path: str) -> ObjectMeta:
        with translated(path):
            return describe(path, check_file(path, os.lstat(self._folders.locate(path))))

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]:
        segments = split_prefix(prefix)
        with translated(prefix or ""):
            files = walk(self._folders.descend(segments), "/".join([*segments, ""]), offset or "")
            while chunk := [describe(*item) for item in itertools.islice(files, _CHUNK_COUNT)]:
                yield chunk

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        mode = "overwrite" if mode is None else mode
        wanted = expected_tag(path, mode)
        with writing(path):
            target = self._folders.make_way(path)
            found = status_of(path, target)
        if mode == "create":
            e_tag = self._create(path, target, file, found)
        else:
            # Who expects another version is told before anything is written; the lock proves it.
            _check_version(path, found, wanted)
            e_tag = self._replace(path, target, file, wanted)
        return PutResult(e_tag=e_tag, version=None)

    def _create(self, key: str, target: Path, content: Content, found: os.stat_result | None) -> str:
        if found is not None:
            raise ObjectExistsError(f"object {key!r} exists")
        with _temporary(key, target) as file:
            _fill(key, file, content)
            with writing(key):
                e_tag = file.stamp(None)
                file.publish(target, replace=False)
                return e_tag

    def _replace(self, key: str, target: Path, content: Content, wanted: str | None) -> str:
        with contextlib.ExitStack() as stack:
            lock = locked(_lock_of(target))
            if wanted is not None:
                with writing(key):
                    stack.enter_context(lock)
                    _check_version(key, status_of(key, target), wanted)
            file = stack.enter_context(_temporary(key, target))
            _fill(key, file, content)
            with writing(key):
                if wanted is None:
                    # Nothing to compare: others wait only for the last step.
                    file.sync()
                    stack.enter_context(lock)
                e_tag = file.stamp(status_of(key, target))
                file.publish(target, replace=True)
                return e_tag

    def delete(self, paths: str | Sequence[str]) -> None:
        changed = set()
        try:
            for path in [paths] if isinstance(paths, str) else paths:
                with translated(path):
                    target = self._folders.locate(path)
                    if target.is_file():
                        changed.add(target.parent)
                        _remove(target)
        finally:
            for folder in changed:
                with translated(str(folder)):
                    sync_folder(folder)

    def map(self, key: str, /) -> FileSource:
        """Map an object into memory; see `des_format.ports.objects.Mappable`."""
        with translated(key):
            path = self._folders.locate(key)
            check_file(key, os.lstat(path))
            return FileSource(path)

    def target(self, key: str, /) -> LocalTarget:
        """Begin a new object; see `des_format.ports.objects.Creates`."""
        with writing(key):
            path = self._folders.make_way(key)
            if status_of(key, path) is not None:
                raise ObjectExistsError(f"object {key!r} exists")
            return LocalTarget(key, path)

    def turn(self, key: str, /) -> LocalTurn | None:
        """Queue for an object, by another lock file; see `des_format.ports.objects.TakesTurns`."""
        return LocalTurn.at(_turn_of(self._folders.locate(key)))


class LocalTarget:
    """A new object that is written front to back and appears by `commit`."""

    def __init__(self, key: str, path: Path) -> None:
        self._key = key
        self._path = path
        self._file = VersionFile(path.parent, path.name)

    def write(self, data: bytes, /) -> int:
        with writing(self._key):
            return self._file.write(data)

    def commit(self) -> None:
        with writing(self._key):
            self._file.stamp(None)
            self._file.publish(self._path, replace=False)

    def rollback(self) -> None:
        self._file.discard()


def _check_version(key: str, found: os.stat_result | None, wanted: str | None) -> None:
    if wanted is not None and (found is None or tag_of(found) != wanted):
        version = f"version {tag_of(found)}" if found else "missing"
        raise ObjectChangedError(f"object {key!r} is {version}, expected version {wanted}")


def _temporary(key: str, target: Path) -> VersionFile:
    with writing(key):
        return VersionFile(target.parent, target.name)


def _fill(key: str, file: VersionFile, content: Content) -> None:
    # An error of the content is the caller's, not the store's.
    for piece in pieces(content):
        with writing(key):
            file.write(piece)


def _lock_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def _turn_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.turn")


def _remove(target: Path) -> None:
    lock, turn = _lock_of(target), _turn_of(target)
    with locked(lock):
        for path in (target, turn, lock) if turn.exists() else (target, lock):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def open_local(url: str) -> LocalObjectStore:
    """Open the folder of a URL such as `file:///data/store`.

    Raises:
        ConfigurationError: The URL names another machine, or more than a path.
        StoreNotFoundError: There is no such folder.
    """
    return LocalObjectStore(path_of(url))


def path_of(url: str) -> Path:
    """Return the path that a `file` URL stands for."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not parts.path.startswith("/"):
        raise ConfigurationError(f"{url} is no folder: expected file:///absolute/path")
    return Path(url2pathname(parts.path))
