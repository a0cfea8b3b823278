"""The bound of the index cache in memory."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from des_format.caches import MemoryIndexCache
from des_format.errors import ConfigurationError

ROOM = 1000 + 2 + 200  # of one value of these tests, its key and what an item costs besides


def test_what_was_used_last_stays() -> None:
    cache = MemoryIndexCache(3 * ROOM)
    cache.set_many({key: bytes(1000) for key in ("k1", "k2", "k3")})
    cache.get_many(["k1"])
    cache.set_many({"k4": bytes(1000)})
    assert set(cache.get_many(["k1", "k2", "k3", "k4"])) == {"k1", "k3", "k4"}
    assert cache.size_bytes == 3 * ROOM


def test_a_value_that_does_not_fit_is_not_kept() -> None:
    cache = MemoryIndexCache(2 * ROOM)
    cache.set_many({"k1": bytes(1000), "k2": b"old"})
    cache.set_many({"k2": bytes(5000)})
    assert set(cache.get_many(["k1", "k2"])) == {"k1"}
    assert cache.size_bytes == ROOM


def test_a_cache_without_room_keeps_nothing() -> None:
    cache = MemoryIndexCache(0)
    cache.set_many({"a": b""})
    assert cache.get_many(["a"]) == {}


def test_values_do_not_change_with_what_they_were_made_of() -> None:
    cache = MemoryIndexCache()
    value = bytearray(b"one")
    cache.set_many({"a": value})  # type: ignore[dict-item]
    value[:] = b"two"
    assert cache.get_many(["a"]) == {"a": b"one"}


def test_a_negative_bound_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        MemoryIndexCache(-1)


def test_the_bound_holds_for_many_threads() -> None:
    cache = MemoryIndexCache(20 * ROOM)

    def use(seed: int) -> None:
        chosen = random.Random(seed)
        for _ in range(300):
            key = f"k{chosen.randrange(40)}"
            cache.set_many({key: bytes(chosen.randrange(2000))})
            cache.delete_many([f"k{chosen.randrange(40)}"])
            cache.get_many([key])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert 0 < cache.size_bytes <= cache.max_bytes
    cache.delete_many([f"k{number}" for number in range(40)])
    assert cache.size_bytes == 0
