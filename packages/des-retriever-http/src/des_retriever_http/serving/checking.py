"""`des-retriever --check`: whether the settings are right, and what the service would find."""

from __future__ import annotations

import ssl
import time
from typing import TextIO
from urllib.parse import urlsplit

from ..storage.opening import open_backend, store_url
from .application import unprotected
from .operating import RetrieverSettings, refuse_replays
from .running import address

__all__ = ["check"]


async def check(settings: RetrieverSettings, out: TextIO) -> None:
    """Open the storage, ask it, and say what was found.

    Raises:
        DesError: It cannot be opened or asked.
        OSError: Files of TLS cannot be read, or are not what they should be.
    """
    if settings.tls_certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
        if settings.tls_client_ca is not None:
            context.load_verify_locations(settings.tls_client_ca)
    print(f"address   {address(settings)}, {settings.workers} {_plural(settings.workers, 'worker')}", file=out)
    print(f"storage   {_without_query(store_url(settings))}", file=out)
    async with open_backend(settings) as backend:
        kind = "a published layout, read-only" if backend.des_store is None else "a store"
        print(f"found     {kind} ({backend.label})", file=out)
        began = time.monotonic()
        await backend.check()
        print(f"answers   in {(time.monotonic() - began) * 1000:.1f} ms", file=out)
    if settings.has_gate:
        from ..security.opening import open_guards

        async with open_guards(settings) as (guards, _read_again):
            refuse_replays(settings, guards)
            known = guards.credentials()
            print(f"keys      {len(known.api_keys)} API, {len(known.public_keys)} public", file=out)
    if unprotected(settings):
        print("warning   everybody who reaches this address can read everything", file=out)


def _without_query(url: str) -> str:
    """What a URL says of the place; what else is in it may be no business of a log."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}" if parts.scheme else url


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
