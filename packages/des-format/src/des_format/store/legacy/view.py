"""A read-only view of an object store: below one prefix, with listings that end where the wanted keys do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import NoReturn

from ...errors import InvalidInputError, UnsupportedOperationError
from ...ports.objects import (
    AsyncObjectStore,
    Content,
    GetOptions,
    GetResult,
    GetResultAsync,
    ObjectMeta,
    ObjectStore,
    PutMode,
    PutResult,
)

__all__ = ["AsyncView", "View", "check_prefix"]


def check_prefix(prefix: str, what: str) -> str:
    """Return a prefix as it stands before keys: empty, or folders that each end with `/`.

    Raises:
        InvalidInputError: A segment is empty, `.` or `..`, or holds a backslash or NUL.
    """
    segments = prefix.strip("/").split("/")
    if segments == [""]:
        return ""
    if any(segment in ("", ".", "..") or "\\" in segment or "\0" in segment for segment in segments):
        raise InvalidInputError(f"{what} {prefix!r} must be folders, separated by '/'; none may lead elsewhere")
    return "/".join([*segments, ""])


class _Cut:
    """Which keys of a listing are wanted: those that begin with one text, shown without the prefix."""

    def __init__(self, prefix: str, stem: str, in_order: bool) -> None:
        self._prefix = prefix
        self.stem = prefix + stem
        self._in_order = in_order

    def apply(self, page: Sequence[ObjectMeta]) -> list[ObjectMeta]:
        skip = len(self._prefix)
        return [{**meta, "path": meta["path"][skip:]} for meta in page if meta["path"].startswith(self.stem)]

    def is_past(self, page: Sequence[ObjectMeta]) -> bool:
        """Whether no wanted key can follow this page."""
        last = page[-1]["path"] if page and self._in_order else ""
        return last > self.stem and not last.startswith(self.stem)


class _Prefixed:
    def __init__(self, prefix: str, in_order: bool) -> None:
        self._prefix = prefix
        self._in_order = in_order

    def _folder(self, prefix: str | None) -> str | None:
        return (self._prefix + (prefix or "")).removesuffix("/") or None

    def _cut(self, offset: str | None) -> _Cut:
        return _Cut(self._prefix, offset or "", self._in_order)


def _refuse(path: object) -> NoReturn:
    raise UnsupportedOperationError(f"stores of the published systems are only read; {path!r} is left as it is")


class View(_Prefixed):
    """What a legacy store may do with an object store: look, but not touch.

    Unlike in the port, the `offset` of a listing is what keys begin with, and none beyond are asked for when
    the object store lists in the order of keys.

    Args:
        objects: The object store.
        prefix: Below which folder everything happens: empty, or ending with `/`.
        in_order: Whether the object store lists in the order of keys.
    """

    def __init__(self, objects: ObjectStore, prefix: str, in_order: bool) -> None:
        super().__init__(prefix, in_order)
        self._objects = objects

    def get(self, path: str, *, options: GetOptions | None = None) -> GetResult:
        return self._objects.get(self._prefix + path, options=options)

    def head(self, path: str) -> ObjectMeta:
        return self._objects.head(self._prefix + path)

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]:
        cut = self._cut(offset)
        for page in self._objects.list(self._folder(prefix), offset=cut.stem or None):
            yield cut.apply(page)
            if cut.is_past(page):
                return

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        _refuse(path)

    def delete(self, paths: str | Sequence[str]) -> None:
        _refuse(paths)


class AsyncView(_Prefixed):
    """Asynchronous twin of `View`."""

    def __init__(self, objects: AsyncObjectStore, prefix: str, in_order: bool) -> None:
        super().__init__(prefix, in_order)
        self._objects = objects

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> GetResultAsync:
        return await self._objects.get_async(self._prefix + path, options=options)

    async def head_async(self, path: str) -> ObjectMeta:
        return await self._objects.head_async(self._prefix + path)

    async def list_async(
        self, prefix: str | None = None, *, offset: str | None = None
    ) -> AsyncIterator[Sequence[ObjectMeta]]:
        cut = self._cut(offset)
        async for page in self._objects.list_async(self._folder(prefix), offset=cut.stem or None):
            yield cut.apply(page)
            if cut.is_past(page):
                return

    async def put_async(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        _refuse(path)

    async def delete_async(self, paths: str | Sequence[str]) -> None:
        _refuse(paths)
