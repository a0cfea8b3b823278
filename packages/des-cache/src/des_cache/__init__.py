"""Index caches for stores of DES archives: in memory, on disk, in Redis, in tiers."""

from .disk import DiskIndexCache
from .flight import SingleFlight, SingleFlightAsync
from .loader import AsyncCachedLoader, CachedLoader
from .memory import InMemoryIndexCache
from .metrics import CacheMetrics
from .opening import open_async_cache, open_cache
from .rediscache import AsyncRedisIndexCache, RedisIndexCache
from .tiers import TieredCache

__all__ = [
    "AsyncCachedLoader",
    "AsyncRedisIndexCache",
    "CacheMetrics",
    "CachedLoader",
    "DiskIndexCache",
    "InMemoryIndexCache",
    "RedisIndexCache",
    "SingleFlight",
    "SingleFlightAsync",
    "TieredCache",
    "open_async_cache",
    "open_cache",
]
