"""What a metadata database promises.

Expiry is tested through the fixture `pass_time`, which makes the database's clock advance: a twin's clock is moved, a
real database is made to believe that its rows are older.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from ...errors import ConflictError, LeaseLostError
from ...ports.metadata import Claims, Container, Containers, Lease, Leases, Metadata

__all__ = ["ClaimsContract", "ContainersContract", "LeasesContract"]

PassTime = Callable[[float], Awaitable[None]]


class _MetadataContract:
    @pytest.fixture
    def metadata(self) -> Metadata:
        """A database without rows."""
        raise NotImplementedError("override the fixture `metadata`")

    @pytest.fixture
    def pass_time(self) -> PassTime:
        """A coroutine function that lets this many seconds pass, as the database sees it."""
        raise NotImplementedError("override the fixture `pass_time`")


class LeasesContract(_MetadataContract):
    """Promises of `des_format.ports.metadata.Leases`; override `metadata` and `pass_time`."""

    @pytest.fixture
    def leases(self, metadata: Metadata) -> Leases:
        return metadata.leases

    async def test_a_lease_is_held_by_one(self, leases: Leases) -> None:
        lease = await leases.acquire("shard-1", "a", seconds=30)
        assert lease is not None
        assert (lease.name, lease.holder) == ("shard-1", "a")
        assert lease.expires_at.utcoffset() is not None
        assert await leases.acquire("shard-1", "b", seconds=30) is None
        assert await leases.acquire("shard-1", "a", seconds=30) is None
        assert await leases.acquire("shard-2", "b", seconds=30) is not None

    async def test_of_many_who_ask_one_gets_it(self, leases: Leases) -> None:
        found = await asyncio.gather(*(leases.acquire("shard", f"holder-{n}", seconds=30) for n in range(8)))
        assert len([lease for lease in found if lease]) == 1

    async def test_a_released_lease_is_free(self, leases: Leases) -> None:
        first = _held(await leases.acquire("shard", "a", seconds=30))
        await leases.release(first)
        await leases.release(first)
        assert await leases.acquire("shard", "b", seconds=30) is not None

    async def test_an_expired_lease_is_free(self, leases: Leases, pass_time: PassTime) -> None:
        _held(await leases.acquire("shard", "a", seconds=30))
        await pass_time(29)
        assert await leases.acquire("shard", "b", seconds=30) is None
        await pass_time(2)
        assert await leases.acquire("shard", "b", seconds=30) is not None

    async def test_tokens_grow(self, leases: Leases, pass_time: PassTime) -> None:
        tokens = []
        for number in range(4):
            lease = _held(await leases.acquire("shard", "a", seconds=30))
            tokens.append(lease.token)
            if number % 2:
                await leases.release(lease)
            else:
                await pass_time(31)
        assert tokens == sorted(set(tokens))

    async def test_a_renewed_lease_lasts_longer(self, leases: Leases, pass_time: PassTime) -> None:
        lease = _held(await leases.acquire("shard", "a", seconds=30))
        await pass_time(20)
        renewed = await leases.renew(lease, seconds=30)
        assert renewed.token == lease.token
        assert renewed.expires_at > lease.expires_at
        await pass_time(20)
        assert await leases.acquire("shard", "b", seconds=30) is None
        await leases.renew(lease, seconds=30)

    async def test_an_expired_lease_cannot_be_renewed(self, leases: Leases, pass_time: PassTime) -> None:
        lease = _held(await leases.acquire("shard", "a", seconds=30))
        await pass_time(31)
        with pytest.raises(LeaseLostError):
            await leases.renew(lease, seconds=30)

    async def test_who_lost_a_lease_cannot_touch_its_successor(self, leases: Leases, pass_time: PassTime) -> None:
        old = _held(await leases.acquire("shard", "a", seconds=30))
        await pass_time(31)
        new = _held(await leases.acquire("shard", "a", seconds=30))
        await leases.release(old)
        with pytest.raises(LeaseLostError):
            await leases.renew(old, seconds=30)
        await leases.renew(new, seconds=30)

    async def test_a_released_lease_cannot_be_renewed(self, leases: Leases) -> None:
        lease = _held(await leases.acquire("shard", "a", seconds=30))
        await leases.release(lease)
        with pytest.raises(LeaseLostError):
            await leases.renew(lease, seconds=30)


class ClaimsContract(_MetadataContract):
    """Promises of `des_format.ports.metadata.Claims`; override `metadata` and `pass_time`."""

    @pytest.fixture
    def claims(self, metadata: Metadata) -> Claims:
        return metadata.claims

    async def test_an_item_is_added_once(self, claims: Claims) -> None:
        assert await claims.add("q", ["a", "b", "a"]) == 2
        assert await claims.add("q", ["b", "c"]) == 1
        assert await claims.add("other", ["a"]) == 1
        assert await claims.add("q", []) == 0
        assert await self.counts(claims) == {"pending": 3}

    async def test_items_are_claimed_oldest_first_and_once(self, claims: Claims) -> None:
        await claims.add("q", ["c", "a", "b"])
        first = await claims.claim("q", "one", limit=2, seconds=30)
        second = await claims.claim("q", "two", limit=2, seconds=30)
        assert [claim.item for claim in first] == ["c", "a"]
        assert [claim.item for claim in second] == ["b"]
        assert await claims.claim("q", "three", limit=2, seconds=30) == []
        assert {(claim.queue, claim.holder, claim.attempt) for claim in first} == {("q", "one", 1)}

    async def test_no_two_get_the_same_item(self, claims: Claims) -> None:
        await claims.add("q", [f"{n:03d}" for n in range(40)])
        found = await asyncio.gather(*(claims.claim("q", f"w{n}", limit=7, seconds=30) for n in range(8)))
        items = [claim.item for batch in found for claim in batch]
        assert sorted(items) == [f"{n:03d}" for n in range(40)]

    async def test_an_expired_claim_is_claimed_again(self, claims: Claims, pass_time: PassTime) -> None:
        await claims.add("q", ["a"])
        (old,) = await claims.claim("q", "one", limit=1, seconds=30)
        await pass_time(31)
        (new,) = await claims.claim("q", "two", limit=1, seconds=30)
        assert new.token > old.token
        assert new.attempt == 2
        for call in (claims.done([old]), claims.failed(old, error="late", retry=True), claims.renew([old], seconds=9)):
            with pytest.raises(LeaseLostError):
                await call
        await claims.done([new])

    async def test_an_expired_claim_cannot_be_used(self, claims: Claims, pass_time: PassTime) -> None:
        await claims.add("q", ["a"])
        (claim,) = await claims.claim("q", "one", limit=1, seconds=30)
        await pass_time(31)
        with pytest.raises(LeaseLostError):
            await claims.done([claim])

    async def test_a_renewed_claim_lasts_longer(self, claims: Claims, pass_time: PassTime) -> None:
        await claims.add("q", ["a"])
        (claim,) = await claims.claim("q", "one", limit=1, seconds=30)
        await pass_time(20)
        (renewed,) = await claims.renew([claim], seconds=30)
        await pass_time(20)
        assert await claims.claim("q", "two", limit=1, seconds=30) == []
        await claims.done([renewed])

    async def test_what_is_done_stays_done(self, claims: Claims, pass_time: PassTime) -> None:
        await claims.add("q", ["a"])
        held = await claims.claim("q", "one", limit=1, seconds=30)
        await claims.done(held)
        await claims.done(held)
        await pass_time(31)
        await claims.add("q", ["a"])
        assert await claims.claim("q", "two", limit=1, seconds=30) == []
        assert await self.counts(claims) == {"done": 1}

    async def test_all_are_done_or_none(self, claims: Claims, pass_time: PassTime) -> None:
        await claims.add("q", ["a", "b"])
        (old,) = await claims.claim("q", "one", limit=1, seconds=10)
        await pass_time(11)
        (again,) = await claims.claim("q", "two", limit=1, seconds=30)
        (held,) = await claims.claim("q", "one", limit=1, seconds=30)
        with pytest.raises(LeaseLostError):
            await claims.done([held, old])
        assert await self.counts(claims) == {"claimed": 2}
        await claims.done([held, again])

    async def test_a_failed_item_may_be_tried_again_later(self, claims: Claims) -> None:
        await claims.add("q", ["a", "b", "c"])
        first, second = await claims.claim("q", "one", limit=2, seconds=30)
        await claims.failed(first, error="no luck", retry=True)
        await claims.failed(second, error="hopeless", retry=False)
        assert await self.counts(claims) == {"pending": 2, "failed": 1}
        found = await claims.claim("q", "two", limit=9, seconds=30)
        assert [(claim.item, claim.attempt) for claim in found] == [("c", 1), ("a", 2)]

    async def counts(self, claims: Claims) -> dict[str, int]:
        return {state: count for state, count in (await claims.count("q")).items() if count}


class ContainersContract(_MetadataContract):
    """Promises of `des_format.ports.metadata.Containers`; override `metadata` and `pass_time`."""

    @pytest.fixture
    def containers(self, metadata: Metadata) -> Containers:
        return metadata.containers

    async def test_an_archive_is_recorded_once(self, containers: Containers) -> None:
        assert await containers.record(_container()) is True
        assert await containers.record(_container()) is False
        assert await containers.list("store") == [_container()]

    async def test_an_identity_is_never_reused(self, containers: Containers) -> None:
        await containers.record(_container())
        with pytest.raises(ConflictError):
            await containers.record(replace(_container(), digest="other"))
        assert await containers.list("store") == [_container()]

    async def test_archives_are_listed_by_day_and_shard(self, containers: Containers) -> None:
        rows = [_container(day=day, shard=shard) for day in ("20251124", "20251125") for shard in ("00", "01")]
        for row in reversed(rows):
            await containers.record(row)
        await containers.record(_container(store="another"))
        assert await containers.list("store") == rows
        assert await containers.list("store", day="20251125") == rows[2:]
        assert await containers.list("store", day="20251125", shard="01") == rows[3:]
        assert await containers.list("store", shard="00") == rows[::2]
        assert await containers.list("none") == []

    async def test_a_stale_token_is_refused(self, containers: Containers) -> None:
        await containers.record(_container(archive_id="a", token=5))
        await containers.record(_container(archive_id="b", token=5))
        await containers.record(_container(archive_id="c", token=7))
        with pytest.raises(LeaseLostError):
            await containers.record(_container(archive_id="d", token=6))
        assert await containers.record(_container(archive_id="a", token=5)) is False
        assert await containers.record(_container(archive_id="d", token=0)) is True
        assert await containers.record(_container(archive_id="a", shard="zz", token=1)) is True

    async def test_a_lost_lease_records_nothing(
        self, metadata: Metadata, containers: Containers, pass_time: PassTime
    ) -> None:
        lease = _held(await metadata.leases.acquire("shard", "a", seconds=30))
        first = _container(archive_id="a", token=lease.token)
        assert await containers.record(first, lease=lease) is True
        await pass_time(31)
        with pytest.raises(LeaseLostError):
            await containers.record(_container(archive_id="b", token=lease.token), lease=lease)
        assert await containers.record(first, lease=lease) is False
        assert await containers.list("store") == [first]

    async def test_an_archive_can_be_forgotten(self, containers: Containers) -> None:
        await containers.record(_container())
        assert await containers.remove("store", "20251125", "4D", "0a") is True
        assert await containers.remove("store", "20251125", "4D", "0a") is False
        assert await containers.list("store") == []


def _held(lease: Lease | None) -> Lease:
    assert lease is not None
    return lease


def _container(
    store: str = "store", day: str = "20251125", shard: str = "4D", archive_id: str = "0a", token: int = 1
) -> Container:
    key = f"{day}/{shard}_{archive_id}.des"
    return Container(store, day, shard, archive_id, key, 10, 1000, "digest", token)
