"""What caches count: for `get_stats`, and for Prometheus if a registry is given."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Literal

import prometheus_client
from prometheus_client import CollectorRegistry

__all__ = ["CacheMetrics", "Operation", "Tally"]

Operation = Literal["get", "set", "delete", "verify"]
"""What failed; `verify`: a value was there and was damaged."""


class CacheMetrics:
    """The metrics of all caches of a process, in one registry.

    Args:
        registry: Where they are registered; once for each registry.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> prometheus_client.Counter:
            return prometheus_client.Counter(name, text, ["tier", *labels], registry=registry)

        self.hits = counter("des_cache_hits_total", "Keys that a tier had.")
        self.misses = counter("des_cache_misses_total", "Keys that a tier was asked for and did not have.")
        self.errors = counter("des_cache_errors_total", "Failures of a tier, none of which failed a read.", "operation")
        self.evictions = counter("des_cache_evictions_total", "Values that went because a bound was reached.")
        self.bytes = prometheus_client.Gauge(
            "des_cache_bytes", "What a tier holds, as it counts against its bound.", ["tier"], registry=registry
        )
        self.entries = prometheus_client.Gauge(
            "des_cache_entries", "How many values a tier holds.", ["tier"], registry=registry
        )


class Tally:
    """What one cache counted; safe to share.

    Args:
        tier: The label of the cache.
        metrics: Where to count too, or None.
    """

    def __init__(self, tier: str, metrics: CacheMetrics | None = None) -> None:
        self.tier = tier
        self._metrics = metrics
        self._lock = threading.Lock()
        self._hits = self._misses = self._evictions = 0
        self._errors: Counter[Operation] = Counter()

    def read(self, hits: int, misses: int) -> None:
        """Count keys that were there, and keys that were not."""
        with self._lock:
            self._hits += hits
            self._misses += misses
        if self._metrics is not None:
            self._metrics.hits.labels(self.tier).inc(hits)
            self._metrics.misses.labels(self.tier).inc(misses)

    def failed(self, operation: Operation, count: int = 1) -> None:
        """Count failures."""
        with self._lock:
            self._errors[operation] += count
        if self._metrics is not None:
            self._metrics.errors.labels(self.tier, operation).inc(count)

    def evicted(self, count: int) -> None:
        """Count values that went because a bound was reached."""
        with self._lock:
            self._evictions += count
        if self._metrics is not None:
            self._metrics.evictions.labels(self.tier).inc(count)

    def holds(self, size_bytes: int, entry_count: int) -> None:
        """Show how much there is."""
        if self._metrics is not None:
            self._metrics.bytes.labels(self.tier).set(size_bytes)
            self._metrics.entries.labels(self.tier).set(entry_count)

    def stats(self) -> dict[str, int]:
        """All counts, for `get_stats`."""
        with self._lock:
            return {
                "hits": self._hits,
                "misses": self._misses,
                "errors": self._errors.total(),
                "evictions": self._evictions,
            }
