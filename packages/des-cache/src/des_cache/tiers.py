"""Caches behind one another: the fast and small first, the slow and shared last."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from des_format.errors import ConfigurationError, UnavailableError, UnsupportedOperationError
from des_format.ports.caches import AsyncExpires, AsyncIndexCache, Expires, IndexCache

from .metrics import CacheMetrics, Operation, Tally

__all__ = ["TieredCache"]

T = TypeVar("T")
AnyTier = IndexCache | AsyncIndexCache

_BUGS = (AssertionError, AttributeError, MemoryError, NameError, TypeError)


class _Call(NamedTuple):
    """One call of a tier; answered with its result or its error."""

    tier: int
    operation: Operation
    method: str
    arguments: tuple[Any, ...]


_Steps = Generator[_Call, Any, T]


class TieredCache:
    """Asks one cache after the other; what a later one has is copied into those before it.

    A tier that fails was empty: no read and no write fails because of it. A tier may have the methods of either port
    or of both: the synchronous methods of this class need the synchronous ones of every tier; the asynchronous ones
    run a tier that has no asynchronous ones in a thread.

    A copy lives as long as the tier that it is in says, even if the original is forgotten earlier. Values with a time
    are not copied: they are kept in one place, the last tier that can let them go.

    Args:
        tiers: The caches, fastest first.
        metrics: Where to count failures of tiers that do not count themselves, by the names of their classes.

    Raises:
        ConfigurationError: There is no tier.
    """

    def __init__(self, *tiers: AnyTier, metrics: CacheMetrics | None = None) -> None:
        if not tiers:
            raise ConfigurationError("a tiered cache needs at least one tier")
        self.tiers = tiers
        expiring = [number for number, tier in enumerate(tiers) if isinstance(tier, Expires | AsyncExpires)]
        self._expiring = expiring[-1] if expiring else None
        self._tallies = [Tally(getattr(tier, "tier", type(tier).__name__), metrics) for tier in tiers]

    # -- the ports --------------------------------------------------------------------------

    def get_many(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return self._run(self._get(keys))

    def set_many(self, items: Mapping[str, bytes], /) -> None:
        self._run(self._set(items))

    def delete_many(self, keys: Iterable[str], /) -> None:
        """Forget keys in every tier, the last one first; one that fails keeps no other from it.

        Raises:
            UnavailableError: A tier failed: its values may come back. Deleting again is safe.
        """
        self._run(self._delete(keys))

    def get_expiring(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return self._run(self._get_expiring(keys))

    def set_expiring(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        self._run(self._set_expiring(items, ttl_seconds))

    async def get_many_async(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return await self._run_async(self._get(keys))

    async def set_many_async(self, items: Mapping[str, bytes], /) -> None:
        await self._run_async(self._set(items))

    async def delete_many_async(self, keys: Iterable[str], /) -> None:
        """As `delete_many`."""
        await self._run_async(self._delete(keys))

    async def get_expiring_async(self, keys: Iterable[str], /) -> dict[str, bytes]:
        return await self._run_async(self._get_expiring(keys))

    async def set_expiring_async(self, items: Mapping[str, bytes], ttl_seconds: float, /) -> None:
        await self._run_async(self._set_expiring(items, ttl_seconds))

    # -- all of it --------------------------------------------------------------------------

    def clear(self) -> None:
        """Forget everything in every tier that can; errors as for `delete_many`."""
        failures = []
        for tier in reversed(self.tiers):
            if (clear := getattr(tier, "clear", None)) is not None:
                try:
                    clear()
                except Exception as error:  # As in `_perform`.
                    failures.append(_accept(error))
        if failures:
            raise UnavailableError(f"{len(failures)} of {len(self.tiers)} tiers were not cleared") from failures[0]

    def get_stats(self) -> dict[str, Any]:
        """As `tiers`, for each of them its label and what was counted, in the words of its own `get_stats` if any."""
        tiers = [
            {"tier": tally.tier, **(tier.get_stats() if hasattr(tier, "get_stats") else tally.stats())}
            for tier, tally in zip(self.tiers, self._tallies, strict=True)
        ]
        return {"tiers": tiers}

    def close(self) -> None:
        """Close the tiers that can be closed."""
        for tier in self.tiers:
            if (close := getattr(tier, "close", None)) is not None:
                close()

    async def close_async(self) -> None:
        """Close the tiers that can be closed, either way."""
        for tier in self.tiers:
            if (close_async := getattr(tier, "close_async", None)) is not None:
                await close_async()
            elif (close := getattr(tier, "close", None)) is not None:
                await asyncio.to_thread(close)

    # -- what to ask whom -------------------------------------------------------------------

    def _get(self, keys: Iterable[str]) -> _Steps[dict[str, bytes]]:
        missing = list(dict.fromkeys(keys))
        found: dict[str, bytes] = {}
        copies: list[dict[str, bytes]] = []
        for number in range(len(self.tiers)):
            if not missing:
                break
            answer = yield from self._attempt(_Call(number, "get", "get_many", (missing,)))
            # A tier that answers what it was not asked for is not believed.
            had = {key: answer[key] for key in missing if key in answer} if isinstance(answer, dict) else {}
            found |= had
            for copy in copies:
                copy |= had
            copies.append({})
            missing = [key for key in missing if key not in had]
        for number, copy in enumerate(copies):
            if copy:
                yield from self._attempt(_Call(number, "set", "set_many", (copy,)))
        return found

    def _get_expiring(self, keys: Iterable[str]) -> _Steps[dict[str, bytes]]:
        keys = list(dict.fromkeys(keys))
        if self._expiring is None or not keys:
            return {}
        answer = yield from self._attempt(_Call(self._expiring, "get", "get_expiring", (keys,)))
        return {key: answer[key] for key in keys if key in answer} if isinstance(answer, dict) else {}

    def _set_expiring(self, items: Mapping[str, bytes], ttl_seconds: float) -> _Steps[None]:
        if self._expiring is not None and items:
            yield from self._attempt(_Call(self._expiring, "set", "set_expiring", (items, ttl_seconds)))

    def _set(self, items: Mapping[str, bytes]) -> _Steps[None]:
        for number in range(len(self.tiers) if items else 0):
            yield from self._attempt(_Call(number, "set", "set_many", (items,)))

    def _delete(self, keys: Iterable[str]) -> _Steps[None]:
        keys = list(keys)
        failures = []
        # The last tier first: what a reader copies forward meanwhile is deleted after it.
        for number in reversed(range(len(self.tiers) if keys else 0)):
            answer = yield from self._attempt(_Call(number, "delete", "delete_many", (keys,)))
            if isinstance(answer, Exception):
                failures.append((number, answer))
        if failures:
            labels = ", ".join(self._tallies[number].tier for number, _ in failures)
            raise UnavailableError(f"{len(keys)} cached values were not deleted from: {labels}") from failures[0][1]

    def _attempt(self, call: _Call) -> _Steps[Any]:
        answer = yield call
        if isinstance(answer, Exception) and not hasattr(self.tiers[call.tier], "tier"):
            self._tallies[call.tier].failed(call.operation)
        return answer

    # -- asking -----------------------------------------------------------------------------

    def _run(self, steps: _Steps[T]) -> T:
        try:
            call = next(steps)
            while True:
                call = steps.send(self._perform(call))
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _perform(self, call: _Call) -> Any:
        method = self._method(call, "")
        if method is None:
            raise UnsupportedOperationError(f"tier {self._tallies[call.tier].tier} is asynchronous only")
        try:
            return method(*call.arguments)
        except Exception as error:  # A foreign cache raises what it likes, and none of it may fail a read.
            return _accept(error)

    async def _run_async(self, steps: _Steps[T]) -> T:
        try:
            call = next(steps)
            while True:
                call = steps.send(await self._perform_async(call))
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _perform_async(self, call: _Call) -> Any:
        try:
            method = self._method(call, "_async")
            if method is None:
                return await asyncio.to_thread(_required(self._method(call, "")), *call.arguments)
            answer = method(*call.arguments)
            return await answer if inspect.isawaitable(answer) else answer
        except Exception as error:  # As in `_perform`.
            return _accept(error)

    def _method(self, call: _Call, suffix: str) -> Callable[..., Any] | None:
        return getattr(self.tiers[call.tier], call.method + suffix, None)


def _required(method: Callable[..., Any] | None) -> Callable[..., Any]:
    if method is None:
        raise TypeError("a tier has the methods of neither port")
    return method


def _accept(error: Exception) -> Exception:
    """Return an error of a cache; one that only a defect of the program can cause is raised."""
    if isinstance(error, _BUGS):
        raise error
    return error
