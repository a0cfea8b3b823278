"""Objects as files of a folder."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..durable import make_folder, sync_folder
from ..errors import (
    ConfigurationError,
    DesError,
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreNotFoundError,
    UnavailableError,
    UnsupportedOperationError,
)
from ..ports.objects import Content, GetOptions, ObjectMeta, PutMode, PutResult, translate
from ..sources import FileSource
from .content import pieces
from .folders import Folders, walk
from .keys import split_prefix
from .locking import locked
from .results import LoadedResult, check_conditions, expected_tag, resolve_range
from .threaded import ThreadedObjectStore
from .versions import VersionFile, describe, tag_of

__all__ = ["LocalObjectStore", "LocalTarget", "open_local", "path_of"]

_CHUNK_COUNT = 1000
_ABSENT = (FileNotFoundError, NotADirectoryError)


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
        with _translated(path):
            handle = _open(self._folders.locate(path))
            try:
                # One open file is one version, whatever happens to its name meanwhile.
                status = _check_file(path, os.fstat(handle))
                check_conditions(path, tag_of(status), options)
                start, end = resolve_range(path, status.st_size, options)
                return LoadedResult(describe(path, status), (start, end), _read(path, handle, start, end))
            finally:
                os.close(handle)

    def head(self, path: str) -> ObjectMeta:
        with _translated(path):
            return describe(path, _check_file(path, os.lstat(self._folders.locate(path))))

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]:
        segments = split_prefix(prefix)
        with _translated(prefix or ""):
            files = walk(self._folders.descend(segments), "/".join([*segments, ""]), offset or "")
            while chunk := [describe(*item) for item in itertools.islice(files, _CHUNK_COUNT)]:
                yield chunk

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        mode = "overwrite" if mode is None else mode
        wanted = expected_tag(path, mode)
        with _writing(path):
            target = self._folders.make_way(path)
            found = _status(path, target)
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
            with _writing(key):
                e_tag = file.stamp(None)
                file.publish(target, replace=False)
                return e_tag

    def _replace(self, key: str, target: Path, content: Content, wanted: str | None) -> str:
        with contextlib.ExitStack() as stack:
            lock = locked(_lock_of(target))
            if wanted is not None:
                with _writing(key):
                    stack.enter_context(lock)
                    _check_version(key, _status(key, target), wanted)
            file = stack.enter_context(_temporary(key, target))
            _fill(key, file, content)
            with _writing(key):
                if wanted is None:
                    # Nothing to compare: others wait only for the last step.
                    file.sync()
                    stack.enter_context(lock)
                e_tag = file.stamp(_status(key, target))
                file.publish(target, replace=True)
                return e_tag

    def delete(self, paths: str | Sequence[str]) -> None:
        changed = set()
        try:
            for path in [paths] if isinstance(paths, str) else paths:
                with _translated(path):
                    target = self._folders.locate(path)
                    if target.is_file():
                        changed.add(target.parent)
                        _remove(target)
        finally:
            for folder in changed:
                with _translated(str(folder)):
                    sync_folder(folder)

    def map(self, key: str, /) -> FileSource:
        """Map an object into memory; see `des_format.ports.objects.Mappable`."""
        with _translated(key):
            path = self._folders.locate(key)
            _check_file(key, os.lstat(path))
            return FileSource(path)

    def target(self, key: str, /) -> LocalTarget:
        """Begin a new object; see `des_format.ports.objects.Creates`."""
        with _writing(key):
            path = self._folders.make_way(key)
            if _status(key, path) is not None:
                raise ObjectExistsError(f"object {key!r} exists")
            return LocalTarget(key, path)


class LocalTarget:
    """A new object that is written front to back and appears by `commit`."""

    def __init__(self, key: str, path: Path) -> None:
        self._key = key
        self._path = path
        self._file = VersionFile(path.parent, path.name)

    def write(self, data: bytes, /) -> int:
        with _writing(self._key):
            return self._file.write(data)

    def commit(self) -> None:
        with _writing(self._key):
            self._file.stamp(None)
            self._file.publish(self._path, replace=False)

    def rollback(self) -> None:
        self._file.discard()


@contextlib.contextmanager
def _translated(key: str) -> Iterator[None]:
    """Make errors of the tree of what the system raises."""
    try:
        yield
    except DesError:
        raise
    except _ABSENT as error:
        raise ObjectNotFoundError(f"object {key!r} does not exist") from error
    except OSError as error:
        raise translate(error, key) from error


@contextlib.contextmanager
def _writing(key: str) -> Iterator[None]:
    """As `_translated`, where the folder was there a moment ago."""
    try:
        with _translated(key):
            yield
    except ObjectNotFoundError as error:
        raise UnavailableError(f"object {key!r} cannot be written: its folder is gone") from error


def _open(path: Path) -> int:
    # A name that is no file must neither lead elsewhere (a link) nor block (a pipe).
    special = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        return os.open(path, os.O_RDONLY | special)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise FileNotFoundError(error.errno, "is a link", str(path)) from error
        raise


def _check_file(key: str, status: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        raise ObjectNotFoundError(f"object {key!r} does not exist: what has its name is no file")
    return status


def _status(key: str, path: Path) -> os.stat_result | None:
    """Return the status of the file at `path`; None when there is nothing."""
    try:
        status = os.lstat(path)
    except _ABSENT:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise UnsupportedOperationError(f"object {key!r} cannot be written: {path} is a folder or a link")
    return status


def _check_version(key: str, found: os.stat_result | None, wanted: str | None) -> None:
    if wanted is not None and (found is None or tag_of(found) != wanted):
        version = f"version {tag_of(found)}" if found else "missing"
        raise ObjectChangedError(f"object {key!r} is {version}, expected version {wanted}")


def _read(key: str, handle: int, start: int, end: int) -> bytes:
    parts = []
    position = start
    while position < end:
        part = _pread(handle, end - position, position)
        if not part:
            raise UnavailableError(f"object {key!r} ends at byte {position}, before its size")
        parts.append(part)
        position += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _pread(handle: int, size: int, position: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(handle, size, position)
    os.lseek(handle, position, os.SEEK_SET)  # Windows; nobody else uses this handle
    return os.read(handle, size)


def _temporary(key: str, target: Path) -> VersionFile:
    with _writing(key):
        return VersionFile(target.parent, target.name)


def _fill(key: str, file: VersionFile, content: Content) -> None:
    # An error of the content is the caller's, not the store's.
    for piece in pieces(content):
        with _writing(key):
            file.write(piece)


def _lock_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.lock")


def _remove(target: Path) -> None:
    lock = _lock_of(target)
    with locked(lock):
        for path in (target, lock):
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
