"""Connections of the cache's own, to the server of a given client.

A client's defaults are for data that must not be lost: it waits seconds for an answer, and repeats what failed
after pauses. A cache has nothing to lose but time.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["quick_client"]

_SAME = {
    *("host", "port", "path", "db"),
    *("username", "password", "credential_provider", "redis_connect_func"),
    *("client_name", "protocol", "socket_keepalive", "socket_keepalive_options", "health_check_interval"),
}
"""Where the server is and who we are; internals of a pool, and how answers are decoded, are not taken over."""

_MAX_CONNECTIONS = 32
"""A burst of reads waits for one of them; opening hundreds at once would take longer than the timeout."""


def quick_client(client: Any, timeout_seconds: float) -> Any | None:
    """Return a client of the same server and login that gives up quickly and never repeats; it has its own connections.

    None for a client whose pool is of a kind of its own, such as one of Sentinel, which is to be used as it is.
    """
    pool: Any = getattr(client, "connection_pool", None)
    kind = type(pool)
    package = _package(kind)
    if package not in {"redis", "valkey"} or kind.__name__ not in {"ConnectionPool", "BlockingConnectionPool"}:
        return None
    if _package(pool.connection_class) != package:
        return None
    home = import_module(kind.__module__)
    retries = import_module(kind.__module__.replace(".connection", ".retry"))
    backoff = import_module(f"{package}.backoff")
    given = pool.connection_kwargs
    same = {name: value for name, value in given.items() if name in _SAME or name.startswith("ssl_")}
    own_pool = home.BlockingConnectionPool(
        connection_class=pool.connection_class,
        max_connections=_MAX_CONNECTIONS,
        timeout=timeout_seconds,
        **same,
        socket_timeout=_sooner(given.get("socket_timeout"), timeout_seconds),
        socket_connect_timeout=_sooner(given.get("socket_connect_timeout"), timeout_seconds),
        retry=retries.Retry(backoff.NoBackoff(), 0),
    )
    client_kind = next(base for base in type(client).__mro__ if _package(base) == package)
    return client_kind(connection_pool=own_pool)


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _sooner(given: float | None, timeout_seconds: float) -> float:
    return timeout_seconds if given is None else min(given, timeout_seconds)
