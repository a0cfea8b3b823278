"""The kinds of servers there are, and what is installed like them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from servers import ceph, chromium, clients, moto, valkey
from servers.processes import Processes, ServerError


@dataclass(frozen=True)
class Kind:
    """One kind of server.

    Attributes:
        name: Also the name of its pytest marker.
        missing: Says what this machine lacks, and how to get it; None if nothing.
        version: Of the server that `start` would start.
        start: Starts it and returns what a client has to know; raises ServerError.
        packages: Debian packages that `python -m servers install` can install.
    """

    name: str
    missing: Callable[[], str | None]
    version: Callable[[], str]
    start: Callable[[Processes], dict[str, str]]
    packages: tuple[str, ...] = ()


def _no_server(_processes: Processes) -> dict[str, str]:
    raise ServerError("there is nothing to start")


KINDS = {
    kind.name: kind
    for kind in (
        Kind("moto", moto.missing, moto.version, moto.start),
        Kind("valkey", valkey.missing, valkey.version, valkey.start),
        Kind("ceph", ceph.missing, ceph.version, ceph.start, ceph.PACKAGES),
        Kind("chromium", chromium.missing, chromium.version, chromium.start, chromium.PACKAGES),
        Kind("clients", clients.missing, clients.version, _no_server, clients.PACKAGES),
    )
}
