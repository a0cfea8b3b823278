"""A metadata database in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from ..errors import ConflictError, InvalidInputError, LeaseLostError
from ..ports.metadata import Claim, ClaimState, Container, Lease

__all__ = ["MemoryClaims", "MemoryContainers", "MemoryLeases", "MemoryMetadata", "open_memory"]

Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryLeases:
    """Leases in memory."""

    def __init__(self, clock: Clock = _now) -> None:
        self._clock = clock
        self._held: dict[str, Lease] = {}
        self._tokens: dict[str, int] = {}

    async def acquire(self, name: str, holder: str, *, seconds: float) -> Lease | None:
        if name in self._held and self._held[name].expires_at > self._clock():
            return None
        token = self._tokens[name] = self._tokens.get(name, 0) + 1
        self._held[name] = Lease(name, holder, token, _after(self._clock, seconds))
        return self._held[name]

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        self.check(lease)
        self._held[lease.name] = replace(lease, expires_at=_after(self._clock, seconds))
        return self._held[lease.name]

    async def release(self, lease: Lease) -> None:
        held = self._held.get(lease.name)
        if held is not None and held.token == lease.token:
            del self._held[lease.name]

    def check(self, lease: Lease) -> None:
        """Raise `LeaseLostError` unless the lease is held."""
        held = self._held.get(lease.name)
        if held is None or held.token != lease.token or held.expires_at <= self._clock():
            raise LeaseLostError(f"lease {lease.name!r} of {lease.holder!r}, token {lease.token}, is not held any more")


@dataclass(slots=True)
class _Item:
    order: int
    state: ClaimState = "pending"
    claim: Claim | None = None
    error: str | None = None


class MemoryClaims:
    """Work items in memory."""

    def __init__(self, clock: Clock = _now) -> None:
        self._clock = clock
        self._items: dict[tuple[str, str], _Item] = {}
        self._orders = itertools.count()
        self._tokens = itertools.count(1)

    async def add(self, queue: str, items: Sequence[str]) -> int:
        fresh = [(queue, item) for item in dict.fromkeys(items) if (queue, item) not in self._items]
        self._items.update((name, _Item(next(self._orders))) for name in fresh)
        return len(fresh)

    async def claim(self, queue: str, holder: str, *, limit: int, seconds: float) -> list[Claim]:
        expires_at = _after(self._clock, seconds)
        free = [(found.order, name[1]) for name, found in self._items.items() if name[0] == queue and self._free(found)]
        claims = []
        for _, item in sorted(free)[: max(0, limit)]:
            found = self._items[queue, item]
            attempt = found.claim.attempt + 1 if found.claim else 1
            found.claim = Claim(queue, item, holder, next(self._tokens), attempt, expires_at)
            found.state = "claimed"
            claims.append(found.claim)
        return claims

    async def renew(self, claims: Sequence[Claim], *, seconds: float) -> list[Claim]:
        expires_at = _after(self._clock, seconds)
        items = [self._held(claim) for claim in claims]
        renewed = [replace(claim, expires_at=expires_at) for claim in claims]
        for item, claim in zip(items, renewed, strict=True):
            item.claim = claim
        return renewed

    async def done(self, claims: Sequence[Claim]) -> None:
        for item in [self._held(claim, again="done") for claim in claims]:
            item.state = "done"

    async def failed(self, claim: Claim, *, error: str, retry: bool) -> None:
        item = self._held(claim)
        item.state = "pending" if retry else "failed"
        item.error = error
        item.order = next(self._orders)

    async def count(self, queue: str) -> dict[ClaimState, int]:
        counts: dict[ClaimState, int] = {}
        for name, item in self._items.items():
            if name[0] == queue:
                counts[item.state] = counts.get(item.state, 0) + 1
        return counts

    def _free(self, item: _Item) -> bool:
        return item.state == "pending" or (item.state == "claimed" and not self._valid(item))

    def _valid(self, item: _Item) -> bool:
        return item.claim is not None and item.claim.expires_at > self._clock()

    def _held(self, claim: Claim, again: ClaimState | None = None) -> _Item:
        item = self._items.get((claim.queue, claim.item))
        if item is None or item.claim is None or item.claim.token != claim.token or not self._counts(item, again):
            raise LeaseLostError(
                f"claim of {claim.item!r} by {claim.holder!r}, token {claim.token}, is not held any more"
            )
        return item

    def _counts(self, item: _Item, again: ClaimState | None) -> bool:
        return item.state == again or (item.state == "claimed" and self._valid(item))


class MemoryContainers:
    """Published archives in memory."""

    def __init__(self, leases: MemoryLeases) -> None:
        self._leases = leases
        self._rows: dict[tuple[str, str, str, str], Container] = {}
        self._tokens: dict[tuple[str, str, str], int] = {}

    async def record(self, container: Container, *, lease: Lease | None = None) -> bool:
        shard = (container.store, container.day, container.shard)
        known = self._rows.get((*shard, container.archive_id))
        if known is not None and known != container:
            raise ConflictError(f"another archive is recorded under the identity of {container.key!r}")
        if known is not None:
            return False
        if lease is not None:
            self._leases.check(lease)
        if 0 < container.token < self._tokens.get(shard, 0):
            raise LeaseLostError(f"archive {container.key!r} has token {container.token}, a later one was recorded")
        self._tokens[shard] = max(container.token, self._tokens.get(shard, 0))
        self._rows[(*shard, container.archive_id)] = container
        return True

    async def list(self, store: str, *, day: str | None = None, shard: str | None = None) -> list[Container]:
        rows = (row for name, row in sorted(self._rows.items()) if name[0] == store)
        return [row for row in rows if day in (None, row.day) and shard in (None, row.shard)]

    async def remove(self, store: str, day: str, shard: str, archive_id: str) -> bool:
        return self._rows.pop((store, day, shard, archive_id), None) is not None


class MemoryMetadata:
    """A metadata database in memory, for one event loop.

    Args:
        clock: The database's clock; returns aware UTC times.
    """

    def __init__(self, clock: Clock = _now) -> None:
        self.leases = MemoryLeases(clock)
        self.claims = MemoryClaims(clock)
        self.containers = MemoryContainers(self.leases)

    async def close(self) -> None:
        """Nothing to close."""


def _after(clock: Clock, seconds: float) -> datetime:
    if seconds <= 0:
        raise InvalidInputError(f"{seconds} seconds is no term; expected more than 0")
    return clock() + timedelta(seconds=seconds)


_named: dict[str, MemoryMetadata] = {}


def open_memory(url: str) -> MemoryMetadata:
    """Return the database of this name (`memory://name`): in one process, always the same one."""
    return _named.setdefault(urlsplit(url).netloc, MemoryMetadata())
