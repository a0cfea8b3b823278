"""What makes an application one that can be operated: observed, bounded, probed, and stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from des_format.errors import ConfigurationError
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector

from ..app import Retriever
from ..http.heads import head_routes
from ..observing.live import LiveFigures
from ..observing.metrics import RetrieverMetrics
from ..observing.readiness import Readiness
from ..observing.requests import Requests
from ..observing.storage import StorageHistory, observed
from ..observing.tracing import Traced, open_tracing
from ..routes.health import health_router
from ..routes.metrics import metrics_router
from ..service import Service
from ..settings import Settings
from ..settings.limits import LimitSettings
from ..settings.server import ServerSettings
from ..shedding import Shedding
from ..storage.opening import open_backend
from .draining import Drain

if TYPE_CHECKING:
    from ..security.gate import Guards

__all__ = ["Operations", "RetrieverSettings", "refuse_replays", "shared_folder"]

SHARED = "PROMETHEUS_MULTIPROC_DIR"
NOT_SHARED = "figures_not_shared"

log = logging.getLogger(__name__)


class RetrieverSettings(ServerSettings, LimitSettings, Settings):
    """How the command runs: what the service serves, how it listens, and what it takes on."""


def shared_folder() -> Path | None:
    """Return the folder in which the workers of one command share metrics; None for a single process."""
    folder = os.environ.get(SHARED)
    return Path(folder) if folder else None


def refuse_replays(settings: RetrieverSettings, guards: Guards) -> None:
    """Refuse to start where each worker alone would accept the same signed request once.

    Raises:
        ConfigurationError: It is so.
    """
    if settings.workers > 1 and settings.auth_redis_url is None and guards.credentials().public_keys:
        raise ConfigurationError(
            "authorized_keys with several workers need DES_AUTH_REDIS_URL, where they see each other's nonces"
        )


class Operations:
    """Adds to an application: request ids, logs and metrics, limits, probes, and figures.

    It opens the store in place of the application, so that adapters register their metrics too.

    Args:
        app: The application, which has not started.
        settings: How it runs.
        drain: What SIGTERM begins with; only for a process that belongs to the service.

    Attributes:
        metrics: What is counted.
        registry: Where that is registered, and while the store is open, what its adapters count.
    """

    def __init__(self, app: Retriever, settings: RetrieverSettings, drain: Drain | None = None) -> None:
        shared = shared_folder()
        self._settings = settings
        self._drain = drain
        self._history = StorageHistory()
        self._adapters = CollectorRegistry()
        self._service: Service = app.state.service
        self.registry = CollectorRegistry()
        self.metrics = RetrieverMetrics(self.registry)
        self._service.count_access = self.metrics.accessed
        if shared is None:
            ProcessCollector(registry=self.registry)
        self._tracing = open_tracing(settings.tracing)
        self._live = LiveFigures(self.metrics, self._adapters, shared)
        self._readiness = Readiness(
            self._check,
            self._history,
            timeout_seconds=settings.ready_timeout_seconds,
            is_draining=self._is_draining,
        )
        self._shedding = Shedding(app.front, settings, self.metrics)
        app.front = Requests(
            self._shedding,
            self.metrics,
            log_share=settings.access_log_share,
            is_draining=self._is_draining,
        )
        if self._tracing is not None:
            app.front = Traced(app.front, self._tracing)
        figures = metrics_router(self.metrics, self.registry, self._live, shared)
        for router in (health_router(self._readiness), figures):
            app.include_router(router)
            app.router.routes.extend(head_routes(router))
        app.router.lifespan_context = self._lifespan

    def _is_draining(self) -> bool:
        return self._drain is not None and self._drain()

    async def _check(self) -> None:
        await self._service.backend.check()

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            backend = await stack.enter_async_context(open_backend(self._settings, self._adapters))
            self.registry.register(self._adapters)
            stack.callback(self._forget_adapters)
            self.metrics.backend = backend.label
            self._service.backend = observed(backend, self.metrics, self._history, self._tracing)
            stack.callback(setattr, self._service, "backend", None)
            read_again = await stack.enter_async_context(self._service.guarded())
            if self._settings.has_gate:
                refuse_replays(self._settings, self._service.guards)
            stack.push_async_callback(self._readiness.close)
            stack.callback(self._live.close)
            for work in (self._shedding.watch(), self._tick()):
                stack.push_async_callback(_ended, asyncio.create_task(work))
            if self._drain is not None:
                stack.callback(self._drain.install(asyncio.get_running_loop()))
                stack.callback(_on_hangup(read_again))
            yield

    def _forget_adapters(self) -> None:
        """Let a store that is opened again register anew."""
        self.registry.unregister(self._adapters)
        for collector in list(self._adapters._collector_to_names):
            self._adapters.unregister(collector)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            try:
                self._live.tick()
            except OSError as error:
                log.warning(NOT_SHARED, extra={"error": str(error)})


def _on_hangup(act: Callable[[], None]) -> Callable[[], None]:
    """Do something at SIGHUP; return what undoes it. Nobody handles signals in other threads than the main one."""
    if threading.current_thread() is not threading.main_thread():
        return lambda: None
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, act)

    def undo() -> None:
        loop.remove_signal_handler(signal.SIGHUP)

    return undo


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
