"""Ports of the metadata database: leases, claims and the record of published archives.

Time is the database's own: no call takes a time, so clocks of clients do not matter. Each call is one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

__all__ = ["Claim", "ClaimState", "Claims", "Container", "Containers", "Lease", "Leases", "Metadata"]


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on what has this name, until it expires.

    Attributes:
        name: What is leased.
        holder: Who holds it.
        token: Fencing token; of two leases of one name, the later one has the greater token.
        expires_at: Aware UTC time of the database.
    """

    name: str
    holder: str
    token: int
    expires_at: datetime


class Leases(Protocol):
    """Leases by name, at most one of each at a time."""

    async def acquire(self, name: str, holder: str, *, seconds: float) -> Lease | None:
        """Take a lease that nobody holds; None when someone does, `holder` included."""
        ...

    async def renew(self, lease: Lease, *, seconds: float) -> Lease:
        """Return the lease, with the same token, valid for `seconds` from now.

        Raises:
            LeaseLostError: It ran out, or someone else took it since.
        """
        ...

    async def release(self, lease: Lease) -> None:
        """Give a lease back; one that was lost already is no error, and nobody else's is touched."""
        ...


ClaimState = Literal["pending", "claimed", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Claim:
    """A work item, and the right to work on it until the claim expires.

    Attributes:
        queue: The queue that the item is in.
        item: The item's name within it.
        holder: Who works on it.
        token: Fencing token; a later claim of the same item has a greater one.
        attempt: How often the item was claimed, this time included.
        expires_at: Aware UTC time of the database.
    """

    queue: str
    item: str
    holder: str
    token: int
    attempt: int
    expires_at: datetime


class Claims(Protocol):
    """Work items that are each done once: an item is claimed by one holder at a time."""

    async def add(self, queue: str, items: Sequence[str]) -> int:
        """Add items that are new to the queue, whatever became of the others; return how many were."""
        ...

    async def claim(self, queue: str, holder: str, *, limit: int, seconds: float) -> list[Claim]:
        """Claim up to `limit` items, the oldest first, that are pending or whose claim expired."""
        ...

    async def renew(self, claims: Sequence[Claim], *, seconds: float) -> list[Claim]:
        """Extend claims, all or none.

        Raises:
            LeaseLostError: One of them expired or is not held any more.
        """
        ...

    async def done(self, claims: Sequence[Claim]) -> None:
        """Mark items as done, all or none; marking again with the same claim is no error.

        Raises:
            LeaseLostError: One of them expired or was claimed by someone else since.
        """
        ...

    async def failed(self, claim: Claim, *, error: str, retry: bool) -> None:
        """Mark an item as failed; with `retry` it becomes pending again, behind the others.

        Raises:
            LeaseLostError: As `done`.
        """
        ...

    async def count(self, queue: str) -> dict[ClaimState, int]:
        """Return how many items are in each state; a state without items may be missing."""
        ...


@dataclass(frozen=True, slots=True)
class Container:
    """A published archive.

    Attributes:
        store: Id of the store.
        day: Day of its entries, `YYYYMMDD`.
        shard: The shard's text in keys.
        archive_id: Id within day and shard.
        key: Key of the archive's object.
        entry_count: Entries in the archive.
        size_bytes: Size of the object.
        digest: Digest of the object's content.
        token: Fencing token of the lease it was published under; 0 when there was none, and nothing to check.
    """

    store: str
    day: str
    shard: str
    archive_id: str
    key: str
    entry_count: int
    size_bytes: int
    digest: str
    token: int


class Containers(Protocol):
    """Published archives, each recorded once."""

    async def record(self, container: Container, *, lease: Lease | None = None) -> bool:
        """Record an archive; return False when it was recorded before, just so.

        Args:
            container: What is recorded; store, day, shard and archive id identify it.
            lease: Checked in the same transaction: nothing is recorded unless it is still held.

        Raises:
            ConflictError: Another archive is recorded under this identity.
            LeaseLostError: The lease ran out or is not held any more, or `container.token` is smaller than one
                recorded for the same store, day and shard. What was recorded before, just so, needs no lease.
        """
        ...

    async def list(self, store: str, *, day: str | None = None, shard: str | None = None) -> list[Container]:
        """Return the archives of a store, ordered by day, shard and archive id."""
        ...

    async def remove(self, store: str, day: str, shard: str, archive_id: str) -> bool:
        """Forget an archive that is deleted; return whether it was recorded."""
        ...


class Metadata(Protocol):
    """One database with all of them."""

    @property
    def leases(self) -> Leases: ...

    @property
    def claims(self) -> Claims: ...

    @property
    def containers(self) -> Containers: ...

    async def close(self) -> None:
        """Close the connections."""
        ...
