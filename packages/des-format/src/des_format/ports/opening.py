"""Opening adapters by URL: what is built in, and what other distributions add through entry points."""

from __future__ import annotations

import inspect
import os
import re
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from .caches import AsyncIndexCache, IndexCache
from .metadata import Metadata
from .objects import ObjectStore

__all__ = ["open_async_index_cache", "open_index_cache", "open_metadata", "open_object_store"]

OBJECT_STORES = "des.object_stores"
INDEX_CACHES = "des.index_caches"
ASYNC_INDEX_CACHES = "des.async_index_caches"
METADATA = "des.metadata"

_SEVERAL = re.compile(r",\s*[A-Za-z][A-Za-z0-9+.-]*://")

# By name, as in an entry point: ports are below the adapters, and one is imported only when it is asked for.
_BUILT_IN = {
    OBJECT_STORES: {
        "file": "des_format.objects.local:open_local",
        "memory": "des_format.objects.memory:open_memory",
    },
    INDEX_CACHES: {"memory": "des_format.caches.memory:open_memory"},
    METADATA: {"memory": "des_format.testing.metadata:open_memory"},
}
_DISTRIBUTIONS = {
    OBJECT_STORES: {"s3": "des-s3"},
    INDEX_CACHES: {"file": "des-cache", "redis": "des-cache", "rediss": "des-cache"},
    METADATA: {"postgresql": "des-meta", "sqlite": "des-meta"},
}


def open_object_store(url: str | os.PathLike[str], **options: Any) -> ObjectStore:
    """Open an object store by its URL.

    `file:///folder` or a plain path is a folder that exists; `memory://name` is in memory, within one process always
    the same for one name; other schemes come from installed distributions (entry points `des.object_stores`, whose
    value is called with the URL).

    Args:
        url: The URL, or the path.
        options: What an adapter may take besides, such as `registry`, where it registers its Prometheus metrics; what
            this one does not take is left out.

    Raises:
        ConfigurationError: No installed distribution knows the scheme, or the URL is malformed.
        StoreNotFoundError: There is no such folder.
    """
    text = os.fspath(url)
    if "://" not in text:
        text = Path(text).absolute().as_uri()
    store: ObjectStore = _open(OBJECT_STORES, text, **options)
    return store


def open_index_cache(url: str, **options: Any) -> IndexCache:
    """Open an index cache by its URL, such as `memory://?max_bytes=64MiB` (entry points `des.index_caches`).

    Options and errors as for `open_object_store`.
    """
    cache: IndexCache = _open(INDEX_CACHES, url, **options)
    return cache


def open_async_index_cache(url: str, **options: Any) -> AsyncIndexCache:
    """Open an index cache for one event loop by its URL, or tiers by several with commas between, the fastest first.

    Options as for `open_object_store`. The entry point `urls` of the group `des.async_index_caches` opens them; without
    one, a cache of this distribution is opened.

    Raises:
        ConfigurationError: Nothing installed opens it, or it is malformed.
    """
    installed = entry_points(group=ASYNC_INDEX_CACHES)
    if "urls" in installed.names:
        opened: AsyncIndexCache = _call(installed["urls"].load(), url, options)
        return opened
    if _SEVERAL.search(url):
        raise ConfigurationError("nothing installed opens caches in tiers; pip install des-cache")
    opened = _open(INDEX_CACHES, url, **options)
    return opened


def open_metadata(url: str) -> Metadata:
    """Open a metadata database by its URL (entry points `des.metadata`); `memory://name` is for tests.

    Raises:
        ConfigurationError: No installed distribution knows the scheme, or the URL is malformed.
    """
    metadata: Metadata = _open(METADATA, url)
    return metadata


def _open(group: str, url: str, **options: Any) -> Any:
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator:
        # Not shown: a DSN that lost its scheme may hold a password.
        raise ConfigurationError("the URL has no scheme; expected SCHEME://...")
    return _call(_find(group, scheme), url, options)


def _call(opener: Any, url: str, options: dict[str, Any]) -> Any:
    taken = inspect.signature(opener).parameters if options else {}
    return opener(url, **{name: value for name, value in options.items() if name in taken})


def _find(group: str, scheme: str) -> Any:
    if built_in := _BUILT_IN[group].get(scheme):
        return EntryPoint(scheme, built_in, group).load()
    installed = entry_points(group=group)
    # `postgresql+asyncpg` is a driver of the database `postgresql`.
    for name in dict.fromkeys((scheme, scheme.partition("+")[0])):
        if name in installed.names:
            return installed[name].load()
    known = ", ".join(sorted({*_BUILT_IN[group], *installed.names}))
    distribution = _DISTRIBUTIONS[group].get(scheme.partition("+")[0])
    advice = f"pip install {distribution}" if distribution else f"known schemes are {known}"
    raise ConfigurationError(f"nothing installed opens {scheme}:// (entry points {group}); {advice}")
