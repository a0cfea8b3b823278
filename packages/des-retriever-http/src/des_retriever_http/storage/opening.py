"""Open what the settings say: a store, or what a published system left where there is none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

from des_format.errors import ConfigurationError, StoreNotFoundError
from des_format.ports.objects import AsyncObjectStore
from des_format.ports.opening import open_async_index_cache, open_object_store
from des_format.store import AsyncDesStore
from des_format.store.legacy import AsyncLegacyStore
from prometheus_client import CollectorRegistry

from ..settings import Settings
from .backend import Backend
from .fallback import Chain, Fallback, Source
from .retention import Retention
from .streaming import StreamMemory

__all__ = ["cache_url", "open_backend", "store_url"]

_DEFAULT_FOLDER = Path("data", "des")
_DEFAULT_BITS = 8


@asynccontextmanager
async def open_backend(settings: Settings, registry: CollectorRegistry | None = None) -> AsyncIterator[Backend]:
    """Open the store for one event loop; leaving closes it.

    Args:
        settings: Where it is.
        registry: Where adapters register their metrics, if anywhere.

    Raises:
        ConfigurationError: What it takes is not installed, or contradicts the store.
        DesError: The storage cannot be read.
    """
    async with AsyncExitStack() as stack:
        # Adapters have the methods of both protocols.
        objects = cast(
            "AsyncObjectStore", await _closing(stack, open_object_store(store_url(settings), registry=registry))
        )
        store = await _open_store(stack, settings, objects, registry)
        memory = StreamMemory(settings.stream_memory_bytes)
        retention = await _open_retention(stack, settings, registry)
        fallback = await _open_fallback(stack, settings, registry)
        sources: list[Source] = [source for source in (retention, fallback) if source is not None]
        yield Backend(_label(settings), store, memory, Chain(sources) if sources else None, retention, fallback)


async def _open_store(
    stack: AsyncExitStack, settings: Settings, objects: AsyncObjectStore, registry: CollectorRegistry | None
) -> AsyncDesStore | AsyncLegacyStore:
    url = cache_url(settings)
    cache = None if url is None else await _closing(stack, open_async_index_cache(url, registry=registry))
    try:
        return await AsyncDesStore.open(
            objects, n_bits=settings.n_bits, cache=cache, manifest_ttl_seconds=settings.manifest_ttl_seconds
        )
    except StoreNotFoundError:
        return AsyncLegacyStore.open(
            objects,
            settings.layout,
            n_bits=_bits(settings, objects),
            big_files_prefix=settings.bigfiles_prefix,
            listing_ttl_seconds=settings.manifest_ttl_seconds,
        )


async def _open_fallback(
    stack: AsyncExitStack, settings: Settings, registry: CollectorRegistry | None
) -> Fallback | None:
    if settings.fallback_url is None:
        return None
    objects = await _closing(stack, open_object_store(settings.fallback_url, registry=registry))
    days = settings.fallback_days

    def begins_at() -> datetime | None:
        return settings.fallback_after if days is None else datetime.now(UTC) - timedelta(days=days)

    return Fallback(cast("AsyncObjectStore", objects), settings.fallback_key, begins_at)


async def _open_retention(
    stack: AsyncExitStack, settings: Settings, registry: CollectorRegistry | None
) -> Retention | None:
    url = settings.ext_retention_url
    if settings.ext_retention_bucket is not None:
        url = _s3_url(settings, settings.ext_retention_bucket, "")
    if url is None:
        return None
    objects = await _closing(stack, open_object_store(url, registry=registry))
    return Retention(cast("AsyncObjectStore", objects), settings.ext_retention_prefix)


def _bits(settings: Settings, objects: AsyncObjectStore) -> int:
    """The bits of a published layout: of the file of zones, or of the settings."""
    if settings.n_bits is not None:
        return settings.n_bits
    of_zones: int = getattr(objects, "n_bits", _DEFAULT_BITS)
    return of_zones


async def _closing(stack: AsyncExitStack, opened: Any) -> Any:
    """Close it at the end, if it can be closed."""
    for name in ("aclose", "close_async"):
        if hasattr(opened, name):
            stack.push_async_callback(getattr(opened, name))
            break
    return opened


def store_url(settings: Settings) -> str:
    """Return the URL of the object store."""
    match settings.kind:
        case "url":
            return settings.store_url or ""
        case "local":
            return str(settings.base_dir or _DEFAULT_FOLDER)
        case "multi_s3":
            if settings.zones_config is None:
                raise ConfigurationError("DES_BACKEND=multi_s3 needs DES_ZONES_CONFIG")
            return settings.zones_config.absolute().as_uri().replace("file:", "zones:", 1)
    return _s3_url(settings, settings.s3_bucket or "", settings.s3_prefix or "")


def _s3_url(settings: Settings, bucket: str, prefix: str) -> str:
    given = {"endpoint_url": settings.s3_endpoint_url, "region": settings.s3_region}
    query = urlencode({name: value for name, value in given.items() if value})
    return f"s3://{bucket}/{quote(prefix.strip('/'))}" + (f"?{query}" if query else "")


def cache_url(settings: Settings) -> str | None:
    """Return the URL of the index cache, or None for none."""
    match settings.cache_backend:
        case None:
            return settings.cache_url
        case "memory":
            return "memory://"  # Blocks in memory are bounded in bytes, and never stale.
        case "redis":
            url = settings.redis_url or ""
            joint = "&" if "?" in url else "?"
            return url if settings.cache_ttl is None else f"{url}{joint}ttl={settings.cache_ttl}"


def _label(settings: Settings) -> str:
    if settings.kind != "url":
        return settings.kind
    scheme, separator, _rest = (settings.store_url or "").partition("://")
    return {"file": "local", "zones": "multi_s3"}.get(scheme.lower(), scheme.lower()) if separator else "local"
