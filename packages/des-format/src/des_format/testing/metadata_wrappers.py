"""Metadata databases around another one: one that fails as planned, one that counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from ..ports.metadata import Claims, Containers, Leases, Metadata
from .faults import Plan, perform_async, script
from .meter import Meter

__all__ = ["FaultyMetadata", "MeteredMetadata"]

Call = Callable[[], Awaitable[Any]]
Around = Callable[[str, list[str], Call], Awaitable[Any]]


class _Part:
    """Every coroutine method of `inner`, called through `around`."""

    def __init__(self, name: str, inner: object, around: Around) -> None:
        self._name = name
        self._inner = inner
        self._around = around

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._inner, name)

        def call(*args: Any, **kwargs: Any) -> Awaitable[Any]:
            return self._around(f"{self._name}.{name}", [_key_of(args)], lambda: method(*args, **kwargs))

        return call


class _Wrapper:
    def __init__(self, inner: Metadata) -> None:
        self.inner = inner

    async def around(self, operation: str, keys: list[str], call: Call) -> Any:
        """Make one call."""
        raise NotImplementedError

    @property
    def leases(self) -> Leases:
        return cast(Leases, _Part("leases", self.inner.leases, self.around))

    @property
    def claims(self) -> Claims:
        return cast(Claims, _Part("claims", self.inner.claims, self.around))

    @property
    def containers(self) -> Containers:
        return cast(Containers, _Part("containers", self.inner.containers, self.around))

    async def close(self) -> None:
        await self.inner.close()


class FaultyMetadata(_Wrapper):
    """A database that fails as planned.

    Operations are named like `leases.acquire`; the key is the first argument, or its name, item or key.
    """

    def __init__(self, inner: Metadata, plan: Plan | None = None) -> None:
        super().__init__(inner)
        self.plan = plan or Plan()

    async def around(self, operation: str, keys: list[str], call: Call) -> Any:
        return await perform_async(script(self.plan.meet(operation, keys), operation, keys, call))


class MeteredMetadata(_Wrapper, Meter):
    """A database that counts calls, named as in `FaultyMetadata`."""

    def __init__(self, inner: Metadata) -> None:
        _Wrapper.__init__(self, inner)
        Meter.__init__(self)

    async def around(self, operation: str, keys: list[str], call: Call) -> Any:
        self.count(operation, keys)
        return await call()


def _key_of(args: tuple[Any, ...]) -> str:
    first = args[0] if args else ""
    if isinstance(first, list | tuple):
        first = first[0] if first else ""
    for attribute in ("name", "item", "key"):
        if hasattr(first, attribute):
            return str(getattr(first, attribute))
    return str(first)
