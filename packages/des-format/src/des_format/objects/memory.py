"""An object store in memory."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from ..errors import ConfigurationError, InvalidInputError, ObjectChangedError, ObjectExistsError, ObjectNotFoundError
from ..ports.objects import Content, Front, GetOptions, ObjectMeta, PutMode, PutResult
from .content import pieces
from .keys import split_key, split_prefix
from .results import LoadedResult, check_conditions, expected_tag, resolve_range
from .threaded import ThreadedObjectStore

__all__ = ["MemoryObjectStore", "open_memory"]

_CHUNK_COUNT = 1000


@dataclass(frozen=True, slots=True)
class _Object:
    data: bytes
    meta: ObjectMeta


class MemoryObjectStore(ThreadedObjectStore):
    """Objects in memory, with the semantics of `LocalObjectStore`; safe to share between threads."""

    def __init__(self) -> None:
        self._objects: dict[str, _Object] = {}
        self._tags = itertools.count(1)
        self._lock = threading.Lock()

    def get(self, path: str, *, options: GetOptions | None = None) -> LoadedResult:
        options = options or {}
        found = self._find(path)
        check_conditions(path, found.meta["e_tag"], options)
        start, end = resolve_range(path, len(found.data), options)
        return LoadedResult(found.meta.copy(), (start, end), found.data[start:end])

    def head(self, path: str) -> ObjectMeta:
        return self._find(path).meta.copy()

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        split_key(path)
        mode = "overwrite" if mode is None else mode
        self._check(path, mode)
        data = b"".join(pieces(file))
        with self._lock:
            self._check(path, mode)
            e_tag = f'"{next(self._tags)}"'
            meta = ObjectMeta(path=path, last_modified=datetime.now(UTC), size=len(data), e_tag=e_tag, version=None)
            self._objects[path] = _Object(data, meta)
        return PutResult(e_tag=e_tag, version=None)

    least_front_bytes = 1

    def assemble(self, path: str, front: Front, rest: Content) -> PutResult:
        """See `des_format.ports.objects.Assembles`."""
        found = self.get(front.path, options={"range": (0, front.length), "if_match": front.e_tag})
        if len(found.data) != front.length:
            raise InvalidInputError(f"object {front.path!r} has {len(found.data)} bytes, expected {front.length}")
        return self.put(path, found.data + b"".join(pieces(rest)), mode="create")

    async def assemble_async(self, path: str, front: Front, rest: Content) -> PutResult:
        """Asynchronous twin of `assemble`."""
        return await asyncio.to_thread(self.assemble, path, front, rest)

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]:
        start = "/".join([*split_prefix(prefix), ""])
        with self._lock:
            keys = sorted(key for key in self._objects if key.startswith(start) and (offset is None or key > offset))
        return self._chunks(keys)

    def _chunks(self, keys: Sequence[str]) -> Iterator[Sequence[ObjectMeta]]:
        for first in range(0, len(keys), _CHUNK_COUNT):
            found = map(self._objects.get, keys[first : first + _CHUNK_COUNT])
            yield [item.meta.copy() for item in found if item is not None]

    def delete(self, paths: str | Sequence[str]) -> None:
        for path in [paths] if isinstance(paths, str) else paths:
            split_key(path)
            with self._lock:
                self._objects.pop(path, None)

    def _find(self, key: str) -> _Object:
        split_key(key)
        found = self._objects.get(key)
        if found is None:
            raise ObjectNotFoundError(f"object {key!r} does not exist")
        return found

    def _check(self, key: str, mode: PutMode) -> None:
        """Raise when a write with this mode cannot be."""
        wanted = expected_tag(key, mode)
        found = self._objects.get(key)
        if mode == "create" and found is not None:
            raise ObjectExistsError(f"object {key!r} exists")
        if wanted is not None and (found is None or found.meta["e_tag"] != wanted):
            version = found.meta["e_tag"] if found else "missing"
            raise ObjectChangedError(f"object {key!r} is {version}, expected version {wanted}")


_named: dict[str, MemoryObjectStore] = {}


def open_memory(url: str) -> MemoryObjectStore:
    """Return the store of this name (`memory://name`): in one process, always the same one."""
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.path.strip("/"):
        raise ConfigurationError(f"{url} is no store in memory: expected memory://NAME")
    return _named.setdefault(parts.netloc, MemoryObjectStore())
