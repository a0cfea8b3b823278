"""Port of index caches: small bytes by key, which may be gone at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable

__all__ = ["AsyncExpires", "AsyncIndexCache", "Expires", "IndexCache"]


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


@runtime_checkable
class Expires(Protocol):
    """What only some caches can do: forget values after a time, told by a clock of the cache's own.

    So processes whose clocks differ agree on what is too old. No copy of such a value outlives it: tiers keep it in one
    place.
    """

    def get_expiring(self, keys: Iterable[str], /) -> dict[str, bytes]:
        """As `get_many`, of what `set_expiring` kept."""
        ...

    def set_expiring(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        """Keep these values, or some of them, for at most so long from now on; 0 or less: not at all."""
        ...


@runtime_checkable
class AsyncExpires(Protocol):
    """Asynchronous twin of `Expires`."""

    async def get_expiring_async(self, keys: Iterable[str], /) -> dict[str, bytes]: ...

    async def set_expiring_async(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None: ...
