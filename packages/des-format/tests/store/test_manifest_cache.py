"""Manifests in an index cache: what is asked of the object store, and that nobody sees an older state than without."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from des_format.caches import MemoryIndexCache
from des_format.errors import UnavailableError
from des_format.objects import MemoryObjectStore
from des_format.store.model.commits import Commit, Operation
from des_format.store.model.keys import ShardKey
from des_format.store.model.state import NO_TIME
from des_format.store.reading.manifestcache import ManifestCache
from des_format.store.reading.shards import Shard, Shards
from des_format.store.reading.snapshots import Present
from des_format.store.sansio.running import Runner
from des_format.store.writing.transactions import Transactions
from des_format.testing import MeteredObjectStore, Plan
from des_format.testing.caches import FaultyIndexCache
from des_format.testing.faults import fail_before
from hypothesis import example, given, settings
from hypothesis import strategies as st

STORE_ID = "0198c2a4f00070008000000000000001"
WHERE, OTHER = ShardKey("20251125", "0"), ShardKey("20251125", "1")
TTL_SECONDS = 8.0
NOW = datetime(2025, 11, 25, tzinfo=UTC)


class World:
    """One time, one object store and one index cache for all processes."""

    def __init__(self, cache: Any = None) -> None:
        self.seconds = 1000.0
        self.objects = MeteredObjectStore(MemoryObjectStore())
        self.cache = cache or MemoryIndexCache(clock=lambda: self.seconds)

    def process(self, *, slow_by: float = 0.0, ttl_seconds: float = TTL_SECONDS, **options: Any) -> Process:
        """A process that starts now, and whose clock of the day is slow."""

        def clock() -> datetime:
            return NOW + timedelta(seconds=self.seconds - slow_by)

        cache = ManifestCache(STORE_ID, ttl_seconds=ttl_seconds, clock=clock)
        return Process(self, cache, ttl_seconds, **options)

    def transferred(self) -> tuple[int, int]:
        """Requests to the object store since the last call, and the bytes that they read."""
        found = (self.objects.request_count, self.objects.bytes_read)
        self.objects.reset()
        return found


class Process:
    """A reader and writer with a memory of its own."""

    def __init__(self, world: World, cache: ManifestCache, ttl_seconds: float, limit_bytes: int = 1 << 20) -> None:
        self._runner = Runner(world.objects, cache=world.cache)
        shards = Shards(STORE_ID)
        self.present = Present(
            shards,
            ttl_seconds=ttl_seconds,
            limit_bytes=limit_bytes,
            cache=cache,
            monotonic=lambda: world.seconds,
        )
        self._transactions = Transactions(shards)

    def read(self, where: ShardKey = WHERE, *, fresh: bool = False) -> int:
        """The sequence of the shard that a read sees."""
        return self._runner.run(self.present.shard(where, fresh=fresh)).manifest.sequence

    def commit(self, where: ShardKey = WHERE) -> int:
        def change(_shard: Shard) -> Commit:
            return Commit(0, NO_TIME, "", Operation.CONDEMN)

        committed = self._runner.run(self._transactions.commit(where, change))
        self.present.keep(committed.shard)
        return committed.shard.manifest.sequence


class NeverForgets(MemoryIndexCache):
    """A cache that ignores times."""

    def set_expiring(self, items: Mapping[str, bytes], _ttl_seconds: float, /) -> None:
        self.set_many(items)


def test_a_process_that_starts_asks_nobody_for_what_another_one_saw_lately() -> None:
    world = World()
    world.process().commit()
    assert world.process().read() == 1
    world.transferred()
    assert world.process().read() == 1
    assert world.transferred() == (0, 0)


def test_later_it_asks_and_gets_no_body() -> None:
    world = World()
    world.process().commit()
    assert world.process().read() == 1
    world.transferred()
    world.seconds += TTL_SECONDS / 2
    assert world.process().read() == 1
    assert world.transferred() == (1, 0)


def test_who_asks_each_time_still_gets_no_body() -> None:
    world = World()
    world.process().commit()
    for is_first in (True, False):
        world.transferred()
        assert world.process(ttl_seconds=0.0).read() == 1
        requests, size_bytes = world.transferred()
        assert (requests, size_bytes > 0) == (1, is_first)


def test_what_was_found_by_another_process_is_believed_for_the_rest_of_its_time() -> None:
    world = World()
    writer = world.process()
    writer.commit()
    world.process().read()
    world.seconds += 3.9
    reader = world.process()
    assert reader.read() == 1
    writer.commit()
    world.transferred()
    world.seconds += 3.9
    assert reader.read() == 1
    assert world.transferred() == (0, 0)
    world.seconds += 0.2
    assert reader.read() == 2


def test_that_a_shard_is_not_there_is_kept_as_long() -> None:
    world = World()
    assert world.process().read() == 0
    world.transferred()
    assert world.process().read() == 0
    assert world.transferred() == (0, 0)
    world.process().commit()
    world.seconds += TTL_SECONDS / 2
    assert world.process().read() == 1


def test_a_fresh_read_asks_whatever_others_saw() -> None:
    world = World()
    writer = world.process()
    writer.commit()
    world.process().read()
    writer.commit()
    reader = world.process()
    assert reader.read() == 1
    assert reader.read(fresh=True) == 2
    assert world.process().read() == 2


def test_processes_that_believe_for_other_times_share_only_contents() -> None:
    world = World()
    writer = world.process()
    writer.commit()
    assert world.process(ttl_seconds=3600.0).read() == 1
    writer.commit()
    world.seconds += TTL_SECONDS
    assert world.process().read() == 2


def test_what_is_there_in_the_cache_alone_is_no_manifest() -> None:
    """Another version's bytes under the version that is there now would be a wrong state."""
    world = World()
    writer = world.process()
    writer.commit()
    world.process().read()
    old = world.cache.get_many(list(world.cache._items))
    writer.commit()
    world.seconds += TTL_SECONDS
    world.process().read()
    world.cache.set_many({key: value for key, value in old.items() if key.endswith(".manifest")})
    assert world.process().read() == 2


@pytest.mark.parametrize("operations", [["get_expiring"], ["set_expiring"], ["get_expiring", "set_expiring"]])
def test_a_cache_that_fails_changes_no_answer(operations: list[str]) -> None:
    world = World()
    world.cache = FaultyIndexCache(world.cache, Plan(fail_before(None, operations, error=UnavailableError)))
    world.process().commit()
    for _ in range(2):
        assert world.process().read() == 1


@pytest.mark.parametrize("cut", [slice(-1), slice(0), slice(1, None), slice(8)])
def test_a_cache_that_damages_changes_no_answer(cut: slice) -> None:
    world = World()
    world.process().commit()
    world.process().read()
    for key, value in world.cache.get_many(list(world.cache._items)).items():
        world.cache.set_many({key: value[cut]})
    world.transferred()
    assert world.process().read() == 1
    assert world.transferred()[0] == 1


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["read", "read", "read", "commit", "fresh", "wait", "wait", "forget", "start"]),
        st.integers(0, 2),
        st.sampled_from([WHERE, WHERE, OTHER]),
        st.sampled_from([0.0, 0.5, 1.9, 3.9, 4.1, 7.9]),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(steps=STEPS, slow_by=st.tuples(*[st.sampled_from([0.0, 1.0, -3.0, 100.0])] * 3), limit_bytes=st.just(1))
def test_nobody_sees_what_is_older_than_without_a_cache(
    steps: list[tuple[str, int, ShardKey, float]], slow_by: tuple[float, ...], limit_bytes: int
) -> None:
    run(World(), steps, slow_by, limit_bytes)


@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
@example([("read", 0, WHERE, 0.0), ("commit", 1, WHERE, 0.0), *[("wait", 0, WHERE, 4.1)] * 2, ("read", 2, WHERE, 0.0)])
def test_where_clocks_are_right_not_even_a_cache_that_never_forgets_shows_what_is_older(
    steps: list[tuple[str, int, ShardKey, float]],
) -> None:
    run(World(NeverForgets()), steps, (0.0, 0.0, 0.0), 1 << 20)


def run(
    world: World, steps: list[tuple[str, int, ShardKey, float]], slow_by: tuple[float, ...], limit_bytes: int
) -> None:
    """Let three processes read and commit; a memory of one byte holds one shard."""
    processes = [world.process(slow_by=seconds, limit_bytes=limit_bytes) for seconds in slow_by]
    commits: list[tuple[float, ShardKey, int]] = []
    known: dict[tuple[int, ShardKey], int] = {}
    for step, number, where, seconds in steps:
        if step == "wait":
            world.seconds += seconds
        elif step == "forget" and isinstance(world.cache, MemoryIndexCache):
            world.cache.delete_many(list(itertools.islice(world.cache._items, 2)))
        elif step == "start":
            processes[number] = world.process(slow_by=slow_by[number], limit_bytes=limit_bytes)
            known = {key: sequence for key, sequence in known.items() if key[0] != number}
        elif step == "commit":
            sequence = processes[number].commit(where)
            commits.append((world.seconds, where, sequence))
            known[number, where] = sequence
        else:
            found = processes[number].read(where, fresh=step == "fresh")
            oldest = world.seconds - (0.0 if step == "fresh" else TTL_SECONDS)
            expected = [sequence for at, place, sequence in commits if place == where and at <= oldest]
            assert found >= max([*expected, known.get((number, where), 0)])
            known[number, where] = found


def test_many_processes_ask_about_as_often_as_two_would_without_a_cache() -> None:
    world = World()
    world.process().commit()
    processes = [world.process() for _ in range(20)]
    world.transferred()
    for _ in range(1000):
        for process in processes:
            assert process.read() == 1
        world.seconds += 0.1
    requests, _size_bytes = world.transferred()
    assert requests <= 2 * 100 / TTL_SECONDS + 1
