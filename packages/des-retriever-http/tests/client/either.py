"""Both clients under one interface, so that one test is for both."""

from __future__ import annotations

import asyncio
from typing import Any

from des_format.errors import DesError
from des_retriever_http.client import AsyncRetrieverClient, RetrieverClient, RetryPolicy

__all__ = ["QUICK", "Either"]

QUICK = RetryPolicy(retries=3, deadline_seconds=20.0, first_wait_seconds=0.001, max_wait_seconds=0.01)


class Either:
    """A client, synchronous or not, whose methods are called by their names."""

    def __init__(self, kind: str, url: str, **arguments: Any) -> None:
        arguments = {"retries": QUICK, **arguments}
        self.inner: Any = (
            RetrieverClient(url, **arguments) if kind == "sync" else AsyncRetrieverClient(url, **arguments)
        )
        self._is_sync = kind == "sync"

    async def __call__(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Call a method that returns something."""
        if self._is_sync:
            return await asyncio.to_thread(getattr(self.inner, name), *arguments, **named)
        return await getattr(self.inner, name)(*arguments, **named)

    async def all(self, name: str, *arguments: Any) -> list[Any]:
        """Call a method that yields; return all of it."""
        found, error = await self.until_error(name, *arguments)
        if error is not None:
            raise error
        return found

    async def until_error(self, name: str, *arguments: Any) -> tuple[list[Any], DesError | None]:
        """Call a method that yields; return what came, and the error that ended it."""
        found: list[Any] = []

        def take() -> DesError | None:
            try:
                for item in getattr(self.inner, name)(*arguments):
                    found.append(item)
            except DesError as error:
                return error
            return None

        if self._is_sync:
            return found, await asyncio.to_thread(take)
        try:
            async for item in getattr(self.inner, name)(*arguments):
                found.append(item)
        except DesError as error:
            return found, error
        return found, None

    async def stream(self, *arguments: Any, into: list[bytes] | None = None) -> tuple[Any, list[bytes]]:
        """Read a file piece by piece; return what its head says, and the pieces, which are also put into a list."""
        pieces: list[bytes] = [] if into is None else into

        def take() -> Any:
            with self.inner.stream(*arguments) as download:
                for piece in download:
                    pieces.append(piece)
            return download.head

        if self._is_sync:
            return await asyncio.to_thread(take), pieces
        async with self.inner.stream(*arguments) as download:
            async for piece in download:
                pieces.append(piece)
        return download.head, pieces

    async def close(self) -> None:
        await self("close" if self._is_sync else "aclose")
