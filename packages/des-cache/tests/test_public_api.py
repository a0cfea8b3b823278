"""The public names are these."""

import des_cache

NAMES = """
AsyncCachedLoader AsyncRedisIndexCache CacheMetrics CachedLoader DiskIndexCache InMemoryIndexCache RedisIndexCache
SingleFlight SingleFlightAsync TieredCache open_async_cache open_cache
""".split()


def test_public_names() -> None:
    assert sorted(des_cache.__all__) == sorted(NAMES)
    assert all(hasattr(des_cache, name) for name in NAMES)
