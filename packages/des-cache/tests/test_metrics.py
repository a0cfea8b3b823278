"""What Prometheus gets to see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from des_cache import CacheMetrics, DiskIndexCache, InMemoryIndexCache, RedisIndexCache, TieredCache
from des_format.caches import MemoryIndexCache
from des_format.testing import FaultyIndexCache, Plan, fail_before
from prometheus_client import CollectorRegistry, generate_latest

from .server import Server


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_hits_misses_evictions_bytes_and_entries(registry: CollectorRegistry) -> None:
    cache = InMemoryIndexCache(2, metrics=CacheMetrics(registry), tier="index")
    cache.set_many({"a": b"1", "b": b"2", "c": b"3"})
    cache.get_many(["a", "b", "c", "d"])
    assert value(registry, "des_cache_hits_total", tier="index") == 2
    assert value(registry, "des_cache_misses_total", tier="index") == 2
    assert value(registry, "des_cache_evictions_total", tier="index") == 1
    assert value(registry, "des_cache_entries", tier="index") == 2
    assert value(registry, "des_cache_bytes", tier="index") == cache.get_stats()["bytes"]
    cache.delete("b")
    assert value(registry, "des_cache_entries", tier="index") == 1
    cache.clear()
    assert value(registry, "des_cache_bytes", tier="index") == 0


def test_a_damaged_file_is_counted_and_usage_is_shown_when_it_was_looked_at(
    registry: CollectorRegistry, tmp_path: Path
) -> None:
    cache = DiskIndexCache(tmp_path, 64 << 10, metrics=CacheMetrics(registry))
    for number in range(20):
        cache.set_many({f"k{number}": b"value"})
    shown = value(registry, "des_cache_bytes", tier="disk")
    assert shown is not None
    assert 0 < shown <= 64 << 10
    assert value(registry, "des_cache_entries", tier="disk") == shown / 4096
    assert (value(registry, "des_cache_evictions_total", tier="disk") or 0) >= 4
    cache._path("k19").write_bytes(b"damaged")
    cache.get_many(["k19"])
    assert value(registry, "des_cache_errors_total", tier="disk", operation="verify") == 1
    assert value(registry, "des_cache_misses_total", tier="disk") == 1


def test_failures_of_redis_are_counted_by_operation(registry: CollectorRegistry, server: Server, client: Any) -> None:
    cache = RedisIndexCache(client, metrics=CacheMetrics(registry))
    server.kill()
    cache.get_many(["a"])
    cache.set_many({"a": b"1"})
    for operation in ("get", "set"):
        assert value(registry, "des_cache_errors_total", tier="redis", operation=operation) == 1
    cache.close()


def test_failures_of_foreign_tiers_are_counted_and_of_our_own_once(registry: CollectorRegistry, tmp_path: Path) -> None:
    metrics = CacheMetrics(registry)
    disk = DiskIndexCache(tmp_path, metrics=metrics)
    faulty = FaultyIndexCache(MemoryIndexCache(), Plan(fail_before(None)))
    cache = TieredCache(faulty, disk, metrics=metrics)
    cache.set_many({"a": b"1"})
    path = disk._path("a")
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="FaultyIndexCache"):
        cache.delete_many(["a"])
    for operation in ("set", "delete"):
        assert value(registry, "des_cache_errors_total", tier="FaultyIndexCache", operation=operation) == 1
    assert value(registry, "des_cache_errors_total", tier="disk", operation="delete") == 1


def test_names_and_labels_are_these(registry: CollectorRegistry) -> None:
    cache = InMemoryIndexCache(1, metrics=CacheMetrics(registry))
    cache.set_many({"a": b"", "b": b""})
    cache.get_many(["a", "b"])
    lines = generate_latest(registry).decode().splitlines()
    names = {line.partition(" ")[0] for line in lines if not line.startswith("#") and "_created" not in line}
    assert names == {
        'des_cache_hits_total{tier="memory"}',
        'des_cache_misses_total{tier="memory"}',
        'des_cache_evictions_total{tier="memory"}',
        'des_cache_bytes{tier="memory"}',
        'des_cache_entries{tier="memory"}',
    }


def test_importing_registers_nothing_and_needs_no_redis() -> None:
    script = (
        "import sys, prometheus_client as p; before = p.generate_latest(); import des_cache;"
        "assert b'des_cache' not in p.generate_latest(); assert 'redis' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
