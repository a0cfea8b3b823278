"""`AsyncDesStore` with the methods of `DesStore`, so that one test says what both do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from des_format.store import AsyncDesStore, AsyncSnapshot

__all__ = ["Bridge"]


class Bridge:
    """Calls an asynchronous store, and waits.

    Args:
        inner: The store, or a snapshot of one.
        loop: Where it runs.
    """

    def __init__(self, inner: AsyncDesStore | AsyncSnapshot, loop: asyncio.Runner) -> None:
        self._inner = inner
        self._loop = loop

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._loop.run(method(*args, **kwargs))

        return call

    def list(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        async def collect() -> list[Any]:
            return [entry async for entry in self._inner.list(*args, **kwargs)]

        return iter(self._loop.run(collect()))

    def as_of(self, **point: Any) -> Bridge:
        assert isinstance(self._inner, AsyncDesStore)
        return Bridge(self._inner.as_of(**point), self._loop)

    @property
    def descriptor(self) -> Any:
        assert isinstance(self._inner, AsyncDesStore)
        return self._inner.descriptor
