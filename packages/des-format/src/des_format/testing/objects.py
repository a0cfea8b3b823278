"""Object stores around another one: one that fails as planned, one that counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..objects.content import pieces
from ..ports.objects import (
    Assembles,
    AsyncObjectStore,
    Buffer,
    Content,
    Creates,
    Front,
    GetOptions,
    GetResult,
    GetResultAsync,
    Mappable,
    ObjectMeta,
    ObjectStore,
    PutMode,
    PutResult,
)
from .faults import Fault, Plan, perform, perform_async, script
from .meter import Meter

__all__ = ["AnyObjectStore", "FaultyObjectStore", "MeteredObjectStore"]


class AnyObjectStore(ObjectStore, AsyncObjectStore, Protocol):
    """A store with the methods of both ports."""


class FaultyObjectStore:
    """A store that fails as planned; of the optional capabilities it has `Assembles`, where the inner store does.

    Args:
        inner: The store that it stands for.
        plan: Faults; operations are `get`, `put`, `assemble`, `head`, `list` and `delete`.
    """

    def __init__(self, inner: AnyObjectStore, plan: Plan | None = None) -> None:
        self.inner = inner
        self.plan = plan or Plan()
        if isinstance(inner, Assembles):
            self.least_front_bytes = inner.least_front_bytes
            self.assemble = partial(self._assemble, inner)
            self.assemble_async = partial(self._assemble_async, inner)

    def _assemble(self, inner: Assembles, path: str, front: Front, rest: Content) -> PutResult:
        faults = self.plan.meet("assemble", [path], conditional=True)
        content = _repeatable(rest, faults)
        steps = script(faults, "assemble", [path], lambda: inner.assemble(path, front, content))
        result: PutResult = perform(steps)
        return result

    async def _assemble_async(self, inner: Assembles, path: str, front: Front, rest: Content) -> PutResult:
        faults = self.plan.meet("assemble", [path], conditional=True)
        content = _repeatable(rest, faults)
        steps = script(faults, "assemble", [path], lambda: inner.assemble_async(path, front, content))
        result: PutResult = await perform_async(steps)
        return result

    def get(self, path: str, *, options: GetOptions | None = None) -> GetResult:
        faults = self.plan.meet("get", [path])
        steps = script(faults, "get", [path], lambda: self.inner.get(path, options=options))
        result: GetResult = _cut(perform(steps), faults)
        return result

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        faults = self.plan.meet("put", [path], conditional=_is_conditional(mode))
        content = _repeatable(file, faults)
        result: PutResult = perform(script(faults, "put", [path], lambda: self.inner.put(path, content, mode=mode)))
        return result

    def head(self, path: str) -> ObjectMeta:
        faults = self.plan.meet("head", [path])
        result: ObjectMeta = perform(script(faults, "head", [path], lambda: self.inner.head(path)))
        return result

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterator[Sequence[ObjectMeta]]:
        faults = self.plan.meet("list", [prefix or ""])
        steps = script(faults, "list", [prefix or ""], lambda: [*self.inner.list(prefix, offset=offset)])
        return _lazily(lambda: perform(steps))

    def delete(self, paths: str | Sequence[str]) -> None:
        keys = _keys(paths)
        faults = self.plan.meet("delete", keys)
        perform(script(faults, "delete", keys, lambda: self.inner.delete(paths)))

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> GetResultAsync:
        faults = self.plan.meet("get", [path])
        steps = script(faults, "get", [path], lambda: self.inner.get_async(path, options=options))
        result: GetResultAsync = _cut(await perform_async(steps), faults)
        return result

    async def put_async(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        faults = self.plan.meet("put", [path], conditional=_is_conditional(mode))
        content = _repeatable(file, faults)
        steps = script(faults, "put", [path], lambda: self.inner.put_async(path, content, mode=mode))
        result: PutResult = await perform_async(steps)
        return result

    async def head_async(self, path: str) -> ObjectMeta:
        faults = self.plan.meet("head", [path])
        result: ObjectMeta = await perform_async(script(faults, "head", [path], lambda: self.inner.head_async(path)))
        return result

    async def list_async(
        self, prefix: str | None = None, *, offset: str | None = None
    ) -> AsyncIterator[Sequence[ObjectMeta]]:
        faults = self.plan.meet("list", [prefix or ""])

        async def collect() -> Sequence[Sequence[ObjectMeta]]:
            return [chunk async for chunk in self.inner.list_async(prefix, offset=offset)]

        for chunk in await perform_async(script(faults, "list", [prefix or ""], collect)):
            yield chunk

    async def delete_async(self, paths: str | Sequence[str]) -> None:
        keys = _keys(paths)
        faults = self.plan.meet("delete", keys)
        await perform_async(script(faults, "delete", keys, lambda: self.inner.delete_async(paths)))


class MeteredObjectStore(Meter):
    """A store that counts requests and bytes; a delete counts once for each key.

    Args:
        inner: The store that it stands for.
        capabilities: Pass `map` and `target` through, uncounted, where the inner store has them.
    """

    def __init__(self, inner: AnyObjectStore, *, capabilities: bool = False) -> None:
        super().__init__()
        self.inner = inner
        if capabilities and isinstance(inner, Mappable):
            self.map = inner.map
        if capabilities and isinstance(inner, Creates):
            self.target = inner.target

    def get(self, path: str, *, options: GetOptions | None = None) -> GetResult:
        self.count("get", [path])
        result = self.inner.get(path, options=options)
        self.add_bytes(read=result.range[1] - result.range[0])
        return result

    def put(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        self.count("put", [path])
        content, size = _sized(file)
        result = self.inner.put(path, content, mode=mode)
        self.add_bytes(written=size())
        return result

    def head(self, path: str) -> ObjectMeta:
        self.count("head", [path])
        return self.inner.head(path)

    def list(self, prefix: str | None = None, *, offset: str | None = None) -> Iterable[Sequence[ObjectMeta]]:
        self.count("list", [prefix or ""])
        return self.inner.list(prefix, offset=offset)

    def delete(self, paths: str | Sequence[str]) -> None:
        self.count("delete", _keys(paths))
        self.inner.delete(paths)

    async def get_async(self, path: str, *, options: GetOptions | None = None) -> GetResultAsync:
        self.count("get", [path])
        result = await self.inner.get_async(path, options=options)
        self.add_bytes(read=result.range[1] - result.range[0])
        return result

    async def put_async(self, path: str, file: Content, *, mode: PutMode | None = None) -> PutResult:
        self.count("put", [path])
        content, size = _sized(file)
        result = await self.inner.put_async(path, content, mode=mode)
        self.add_bytes(written=size())
        return result

    async def head_async(self, path: str) -> ObjectMeta:
        self.count("head", [path])
        return await self.inner.head_async(path)

    def list_async(
        self, prefix: str | None = None, *, offset: str | None = None
    ) -> AsyncIterator[Sequence[ObjectMeta]]:
        self.count("list", [prefix or ""])
        return self.inner.list_async(prefix, offset=offset)

    async def delete_async(self, paths: str | Sequence[str]) -> None:
        self.count("delete", _keys(paths))
        await self.inner.delete_async(paths)


class _CutResult:
    """A result whose bytes end early."""

    def __init__(self, inner: Any, length: int) -> None:
        self._inner = inner
        self._length = length
        self.meta: ObjectMeta = inner.meta
        self.range: tuple[int, int] = inner.range

    def buffer(self) -> Buffer:
        return bytes(self._inner.buffer())[: self._length]

    async def buffer_async(self) -> Buffer:
        return bytes(await self._inner.buffer_async())[: self._length]


def _cut(result: Any, faults: Sequence[Fault]) -> Any:
    for fault in faults:
        if fault.kind == "truncate":
            result = _CutResult(result, fault.length)
    return result


def _is_conditional(mode: PutMode | None) -> bool:
    return mode is not None and mode != "overwrite"


def _keys(paths: str | Sequence[str]) -> Sequence[str]:
    return [paths] if isinstance(paths, str) else paths


def _lazily(collect: Callable[[], Iterable[Sequence[ObjectMeta]]]) -> Iterator[Sequence[ObjectMeta]]:
    yield from collect()


def _repeatable(content: Content, faults: Sequence[Fault]) -> Content:
    # A put whose reply is lost is sent again, which a stream cannot be.
    return b"".join(pieces(content)) if any(fault.kind == "lose_reply" for fault in faults) else content


def _sized(content: Content) -> tuple[Content, Callable[[], int]]:
    """Return the content, and how to learn its size once it was written."""
    if isinstance(content, Path):
        return content, lambda: content.stat().st_size
    if isinstance(content, bytes | bytearray | memoryview):
        return content, lambda: memoryview(content).nbytes
    sizes: list[int] = []

    def counted() -> Iterator[Buffer]:
        for piece in pieces(content):
            sizes.append(len(piece))
            yield piece

    return counted(), lambda: sum(sizes)
