"""`/metrics` for Prometheus and `/stats/live` for the console, both of all workers together."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import BaseModel, Field

from ..observing.live import LiveFigures
from ..observing.metrics import RetrieverMetrics

__all__ = ["Figures", "metrics_router"]


class Figures(BaseModel):
    """What happened in the last minute; null where nothing was counted. Probes and the console do not count."""

    window_seconds: int = Field(description="How much time the figures are of.")
    workers: int = Field(description="Processes that answer.")
    uptime_seconds: float = Field(description="Since the first of them started.")
    in_flight: int = Field(description="Requests under way now.")
    requests_per_second: float
    bytes_per_second: float
    error_rate: float | None = Field(description="Share of answers with a status of 500 or more.")
    cache_hit_rate: float | None = Field(description="Share of index blocks that a cache had.")
    latency_p50_seconds: float | None
    latency_p90_seconds: float | None
    latency_p99_seconds: float | None


def metrics_router(
    metrics: RetrieverMetrics, registry: CollectorRegistry, live: LiveFigures, shared: Path | None
) -> APIRouter:
    """Return the routes.

    Args:
        metrics: Of this process.
        registry: Where they, and those of adapters, are registered.
        live: The figures.
        shared: The folder in which workers share metrics; None for a single process.
    """
    router = APIRouter(tags=["operations"])

    def render(accept: str) -> Response:
        encode, content_type = choose_encoder(accept)
        source = registry
        if shared is not None:
            source = CollectorRegistry()
            MultiProcessCollector(source, str(shared))  # type: ignore[no-untyped-call]
        return Response(encode(source), media_type=None, headers={"Content-Type": content_type})

    @router.get("/metrics", response_class=Response)
    async def get_metrics(request: Request) -> Response:
        """Tell all metrics, as Prometheus reads them."""
        metrics.flush()
        # It reads the files of all workers, and formats some hundred lines: reads should not wait for that.
        return await asyncio.to_thread(render, request.headers.get("accept", ""))

    @router.get("/stats/live")
    async def get_live(response: Response) -> Figures:
        """Tell what happened in the last minute."""
        response.headers["Cache-Control"] = "no-store"
        figures: dict[str, Any] = await asyncio.to_thread(live.figures)
        return Figures(**figures)

    return router
