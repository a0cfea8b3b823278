"""Run the service: one process, or several that a parent watches."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import ssl
import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.supervisors import Multiprocess

from ..observing.logs import log_config
from .operating import SHARED, RetrieverSettings
from .protocol import BoundedConfig

__all__ = ["address", "run"]

FAILED = 1
GIVEN_UP = "workers_given_up"

log = logging.getLogger(__name__)

_MEMORY = Path("/dev/shm")
# So many deaths for each worker within this time are no accident; whoever started the command sees that it ends.
_MAX_DEATHS = 5
_DEATHS_SECONDS = 60


class Workers(Multiprocess):
    """Processes that serve from one socket. One that dies is replaced within a second, unless they die all the time.

    Attributes:
        has_failed: Whether they were given up.
    """

    has_failed = False

    def __init__(self, config: BoundedConfig, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._deaths: deque[float] = deque(maxlen=_MAX_DEATHS * config.workers)

    def keep_subprocess_alive(self) -> None:
        """Replace processes that died, and forget what they said of the moment."""
        if self.should_exit.is_set():
            return  # It was told to stop.
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        self.has_failed = self.should_exit.is_set()
        for gone in before - {process.pid for process in self.processes}:
            mark_process_dead(gone)  # type: ignore[no-untyped-call]
            self._deaths.append(monotonic())
        if len(self._deaths) == self._deaths.maxlen and self._deaths[-1] - self._deaths[0] < _DEATHS_SECONDS:
            log.error(GIVEN_UP, extra={"deaths": len(self._deaths), "seconds": _DEATHS_SECONDS})
            self.has_failed = True
            self.should_exit.set()

    def terminate_all(self) -> None:
        """Stop them; when they no longer listen, nobody does, and clients are refused instead of left waiting."""
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def run(settings: RetrieverSettings) -> int:
    """Serve until SIGTERM or SIGINT, and return the exit code.

    Workers read their settings from the environment.
    """
    config = _config(settings)
    listener = config.bind_socket()
    _end_dead_connections(listener, settings.stall_timeout_seconds)
    with listener:
        if settings.workers == 1:
            return _run_one(config, listener)
        with _shared_metrics():
            workers = Workers(config, [listener])
            workers.run()
    return FAILED if workers.has_failed else 0


def _run_one(config: BoundedConfig, listener: socket.socket) -> int:
    # uvicorn raises the signal that stopped it once more, when everything is done: then it has no effect.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    server = uvicorn.Server(config)
    # The same, for SIGINT; and a start that fails is an exit of uvicorn's own.
    with suppress(KeyboardInterrupt, SystemExit):
        server.run([listener])
    return 0 if server.started else FAILED


def _config(settings: RetrieverSettings) -> BoundedConfig:
    return BoundedConfig(
        app="des_retriever_http.serving.application:create",
        factory=True,
        host=settings.retriever_host,
        port=settings.retriever_port,
        workers=settings.workers,
        loop="auto",
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=log_config(settings.log_format, settings.log_level),
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        root_path=settings.root_path,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ssl_ca_certs=settings.tls_client_ca,
        ssl_cert_reqs=ssl.CERT_REQUIRED if settings.tls_client_ca is not None else ssl.CERT_NONE,
        max_head_bytes=settings.max_header_bytes,
        head_seconds=settings.header_timeout_seconds,
    )


def _end_dead_connections(listener: socket.socket, seconds: float) -> None:
    """Let the system end connections whose client takes nothing: their buffers are out of the service's reach."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        listener.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """Give workers a folder for their metrics, in memory if there is such a place."""
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    folder = tempfile.mkdtemp(prefix="des-retriever-", dir=place)
    os.environ[SHARED] = folder
    try:
        yield
    finally:
        del os.environ[SHARED]
        shutil.rmtree(folder, ignore_errors=True)


def address(settings: RetrieverSettings) -> str:
    """Return where the service is."""
    host = f"[{settings.retriever_host}]" if ":" in settings.retriever_host else settings.retriever_host
    return f"{'https' if settings.tls_certificate else 'http'}://{host}:{settings.retriever_port}{settings.root_path}"
