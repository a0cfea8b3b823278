"""`/health`: probes, which answer however busy the service and however dead the storage is."""

from __future__ import annotations

import time
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from ..observing.readiness import Readiness

__all__ = ["Health", "Live", "Ready", "health_router"]


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Live(Health):
    """The process answers."""

    uptime_seconds: int = Field(description="For how long it has.")


class Ready(BaseModel):
    """Whether requests should come here."""

    status: Literal["ready", "degraded", "draining", "unavailable"]
    checks: dict[str, dict[str, Any]] = Field(description="What was asked, and what came of it.")


_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": Ready, "description": "The storage does not answer, or the process is about to stop"}
}


def health_router(readiness: Readiness) -> APIRouter:
    """Return the routes of the probes.

    Args:
        readiness: Knows whether requests should come here.
    """
    router = APIRouter(tags=["operations"])
    began_at = time.monotonic()

    @router.get("/health")
    async def get_health() -> Health:
        """Tell that the process answers."""
        return Health()

    @router.get("/health/live")
    async def get_live() -> Live:
        """Tell that the process answers, and since when; a process that does not should be started anew."""
        return Live(uptime_seconds=int(time.monotonic() - began_at))

    @router.get("/health/ready", responses=_NOT_READY)
    async def get_ready(response: Response) -> Ready:
        """Tell whether requests should come here. `degraded` means that they should: most of them are answered."""
        state = await readiness.state()
        response.status_code = 200 if state.is_ready else 503
        response.headers["Cache-Control"] = "no-store"
        return Ready(status=state.status, checks=state.checks)

    return router
