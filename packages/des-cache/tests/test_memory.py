"""The cache in memory: its bounds, its time, its published methods."""

from __future__ import annotations

import tracemalloc
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import pytest
from des_cache import InMemoryIndexCache
from des_format.errors import ConfigurationError
from hypothesis import given
from hypothesis import strategies as st

from .clock import Clock


def test_an_empty_value_is_a_hit() -> None:
    cache = InMemoryIndexCache()
    cache.set("key", b"")
    assert cache.get("key") == b""
    assert cache.get("other") is None
    assert (cache.get_stats()["hits"], cache.get_stats()["misses"]) == (1, 1)


def test_the_published_methods_do_as_published(clock: Clock) -> None:
    cache = InMemoryIndexCache(2, 10, clock=clock)
    cache.set("a", b"1")
    cache.set("b", b"2", ttl=5)
    clock.advance(5)
    stats = cache.get_stats()
    assert {name: stats[name] for name in ("entries", "expired", "active", "max_size")} == {
        "entries": 2,
        "expired": 1,
        "active": 1,
        "max_size": 2,
    }
    cache.delete("a")
    cache.delete("a")
    assert (cache.get("a"), cache.get("b")) == (None, None)
    cache.set("a", b"1")
    cache.clear()
    assert cache.get_stats()["entries"] == cache.get_stats()["bytes"] == 0


def test_a_value_is_forgotten_when_its_time_is_over(clock: Clock) -> None:
    cache = InMemoryIndexCache(default_ttl=10, clock=clock)
    cache.set_many({"a": b"1"})
    clock.advance(9.5)
    assert cache.get("a") == b"1"
    clock.advance(0.5)
    assert cache.get_many(["a"]) == {}
    assert cache.get_stats()["entries"] == 0


def test_setting_again_starts_the_time_again(clock: Clock) -> None:
    cache = InMemoryIndexCache(default_ttl=10, clock=clock)
    cache.set("a", b"1")
    clock.advance(9)
    cache.set("a", b"2")
    clock.advance(9)
    assert cache.get("a") == b"2"


def test_no_time_to_live_means_not_at_all() -> None:
    cache = InMemoryIndexCache()
    cache.set("a", b"old")
    cache.set("a", b"new", ttl=0)
    assert cache.get("a") is None


def test_a_value_that_does_not_fit_replaces_nothing_but_its_own() -> None:
    cache = InMemoryIndexCache(max_bytes=3000)
    cache.set_many({"a": bytes(100), "b": b"old"})
    cache.set("b", bytes(5000))
    assert set(cache.get_many(["a", "b"])) == {"a"}


def test_values_are_bytes_and_stay_as_they_were() -> None:
    cache = InMemoryIndexCache()
    value = bytearray(b"one")
    cache.set("a", value)  # type: ignore[arg-type]
    value[:] = b"two"
    assert cache.get("a") == b"one"
    for wrong in (5, "text", [1, 2]):
        with pytest.raises(TypeError):
            cache.set("b", wrong)  # type: ignore[arg-type]
    assert cache.get("b") is None


@pytest.mark.parametrize(
    "arguments", [{"max_size": -1}, {"max_bytes": -1}, {"default_ttl": 0}, {"default_ttl": float("nan")}]
)
def test_senseless_bounds_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        InMemoryIndexCache(**arguments)  # type: ignore[arg-type]


keys = st.sampled_from([f"k{number}" for number in range(8)] + ["größe"])
operations = st.one_of(
    st.tuples(st.just("set"), keys, st.integers(0, 1500)),
    st.tuples(st.just("get"), keys, st.just(0)),
    st.tuples(st.just("delete"), keys, st.just(0)),
)


@given(st.lists(operations, max_size=60), st.integers(0, 6000), st.one_of(st.none(), st.integers(0, 5)))
def test_it_does_what_a_simple_model_does(
    steps: list[tuple[str, str, int]], max_bytes: int, max_size: int | None
) -> None:
    """The model keeps (value, cost) in order of use, and drops the first until the bounds hold."""
    cache = InMemoryIndexCache(max_size, max_bytes=max_bytes)
    model: OrderedDict[str, tuple[bytes, int]] = OrderedDict()
    for step, key, size in steps:
        if step == "set":
            empty = InMemoryIndexCache(max_bytes=1 << 20)
            empty.set(key, bytes(size))
            cost = empty.get_stats()["bytes"]
            cache.set_many({key: bytes(size)})
            model.pop(key, None)
            if cost <= max_bytes:
                model[key] = bytes(size), cost
            while sum(cost for _, cost in model.values()) > max_bytes or (
                max_size is not None and len(model) > max_size
            ):
                model.popitem(last=False)
        elif step == "get":
            assert cache.get(key) == model.get(key, (None, 0))[0]
            if key in model:
                model.move_to_end(key)
        else:
            cache.delete(key)
            model.pop(key, None)
        stats = cache.get_stats()
        assert stats["entries"] == len(model)
        assert stats["bytes"] == sum(cost for _, cost in model.values())


def test_the_bound_in_bytes_is_the_memory_that_it_takes() -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache = InMemoryIndexCache(max_bytes=4 << 20)
        for number in range(5000):
            cache.set(f"0192f7a3c1d27e6fb0a1c2d3e4f50617/0192f7a3c1d27e6fb0a1c2d3e4f50617/{number}", bytes(1000))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.95 * (4 << 20) < taken < 1.02 * (4 << 20)
    assert cache.get_stats()["evictions"] == 5000 - cache.get_stats()["entries"]


def test_the_bounds_hold_for_many_threads() -> None:
    cache = InMemoryIndexCache(15, max_bytes=20_000)

    def use(seed: int) -> None:
        for number in range(500):
            key = f"k{(seed * 7 + number) % 40}"
            cache.set_many({key: key.encode() * (number % 300)})
            found = cache.get(key)
            assert found is None or found.replace(key.encode(), b"") == b""
            cache.delete(f"k{(seed + number) % 40}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    stats = cache.get_stats()
    assert stats["bytes"] <= 20_000
    assert stats["entries"] <= 15
    cache.clear()
    assert cache.get_stats()["bytes"] == 0
