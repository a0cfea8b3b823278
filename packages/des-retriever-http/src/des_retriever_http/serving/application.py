"""What each worker serves."""

from __future__ import annotations

import ipaddress
import logging
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait

from fastapi import FastAPI

from ..app import Retriever, create_app
from .draining import Drain
from .operating import Operations, RetrieverSettings

__all__ = ["create", "unprotected"]

UNPROTECTED = "unprotected"

log = logging.getLogger(__name__)


def create() -> FastAPI:
    """Make the application as the environment says, for a process that is the service's own."""
    settings = RetrieverSettings.read()
    app = create_app(settings)
    assert isinstance(app, Retriever)
    Operations(app, settings, Drain(settings.drain_seconds))
    if unprotected(settings):
        log.warning(
            UNPROTECTED,
            extra={
                "address": settings.retriever_host,
                "advice": "EVERYBODY who reaches this address can read EVERYTHING: listen on 127.0.0.1, ask for"
                " credentials (DES_AUTHORIZED_KEYS_PATH, DES_JWT_ISSUER) or client certificates (DES_TLS_CLIENT_CA), or"
                " let nobody but an authenticating proxy reach it",
            },
        )
    _end_with_parent()
    return app


def unprotected(settings: RetrieverSettings) -> bool:
    """Whether others than users of this machine can read without credentials."""
    is_known = settings.is_authentication_required or settings.tls_client_ca is not None
    return not is_known and not _is_loopback(settings.retriever_host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _end_with_parent() -> None:
    """Stop as for SIGTERM when the process that started this one is gone: nobody else would stop it."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            wait([parent.sentinel])
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=watch, name="parent", daemon=True).start()
