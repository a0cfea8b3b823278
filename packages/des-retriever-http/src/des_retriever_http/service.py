"""What the routes of one application share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request

from .http.problems import Problem

if TYPE_CHECKING:
    from .settings import Settings
    from .storage.backend import Backend

__all__ = ["Service", "service_of"]


@dataclass(slots=True)
class Service:
    """What the routes of one application share.

    Attributes:
        settings: How it runs.
    """

    settings: Settings
    _backend: Backend | None = field(default=None, init=False)

    @property
    def backend(self) -> Backend:
        """The store; there is one between start and stop.

        Raises:
            Problem: 503; the service has not started yet, or has stopped.
        """
        if self._backend is None:
            raise Problem(503, "unavailable", "The service is not running", headers={"Retry-After": "1"})
        return self._backend

    @backend.setter
    def backend(self, backend: Backend | None) -> None:
        self._backend = backend


def service_of(request: Request) -> Service:
    """The service that a request belongs to."""
    service: Service = request.app.state.service
    return service
