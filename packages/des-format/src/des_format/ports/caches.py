"""Port of index caches: small bytes by key, which may be gone at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

__all__ = ["AsyncIndexCache", "IndexCache"]


class IndexCache(Protocol):
    """Bytes by key, bounded: what was set may be forgotten at any time, but never comes back changed."""

    def get_many(self, keys: Iterable[str], /) -> dict[str, bytes]:
        """Return what is there; a key that is not there is not in the answer."""
        ...

    def set_many(self, items: Mapping[str, bytes], /) -> None:
        """Keep these values, or some of them."""
        ...

    def delete_many(self, keys: Iterable[str], /) -> None:
        """Forget these keys; afterwards none of them is returned until it is set again."""
        ...


class AsyncIndexCache(Protocol):
    """Asynchronous twin of `IndexCache`; an adapter may have the methods of both."""

    async def get_many_async(self, keys: Iterable[str], /) -> dict[str, bytes]: ...

    async def set_many_async(self, items: Mapping[str, bytes], /) -> None: ...

    async def delete_many_async(self, keys: Iterable[str], /) -> None: ...
