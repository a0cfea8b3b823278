"""A nonce is good once."""

from __future__ import annotations

import pytest
from des_format.errors import UnavailableError
from des_retriever_http.security.nonces import MemoryNonces


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def nonces(clock: Clock) -> MemoryNonces:
    return MemoryNonces(ttl_seconds=600, max_count=2, clock=clock)


async def test_a_nonce_is_good_once(nonces: MemoryNonces) -> None:
    assert [await nonces.use("key", "n"), await nonces.use("key", "n")] == [True, False]


async def test_keys_do_not_use_up_each_others_nonces(nonces: MemoryNonces) -> None:
    assert [await nonces.use("one", "n"), await nonces.use("other", "n")] == [True, True]


async def test_a_nonce_is_remembered_until_its_time_is_over(nonces: MemoryNonces, clock: Clock) -> None:
    await nonces.use("key", "n")
    clock.now = 599.9
    assert not await nonces.use("key", "n")
    clock.now = 600.0
    assert await nonces.use("key", "n")


async def test_no_nonce_is_forgotten_early_to_make_room(nonces: MemoryNonces, clock: Clock) -> None:
    await nonces.use("key", "1")
    await nonces.use("key", "2")
    with pytest.raises(UnavailableError):
        await nonces.use("key", "3")
    assert not await nonces.use("key", "1")
    clock.now = 600.0
    assert await nonces.use("key", "3")
