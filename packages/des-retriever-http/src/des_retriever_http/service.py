"""What the routes of one application share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.types import Scope

from .http.problems import Problem
from .security.principals import LINK, Permission, principal_of

if TYPE_CHECKING:
    from .security.gate import Guards
    from .settings import Settings
    from .storage.backend import Backend

__all__ = ["Service", "service_of"]


@dataclass(slots=True)
class Service:
    """What the routes of one application share.

    Attributes:
        settings: How it runs.
        count_access: Is told how requests end at the gate.
    """

    settings: Settings
    count_access: Callable[[str], None] = field(default=lambda _result: None)
    _backend: Backend | None = field(default=None, init=False)
    _guards: Guards | None = field(default=None, init=False)

    @property
    def backend(self) -> Backend:
        """The store; there is one between start and stop.

        Raises:
            Problem: 503; the service has not started yet, or has stopped.
        """
        if self._backend is None:
            raise _not_running()
        return self._backend

    @backend.setter
    def backend(self, backend: Backend | None) -> None:
        self._backend = backend

    @property
    def guards(self) -> Guards:
        """What the gate asks, if there is a gate; there are some between start and stop.

        Raises:
            Problem: 503; the service has not started yet, or has stopped.
        """
        if self._guards is None:
            raise _not_running()
        return self._guards

    @asynccontextmanager
    async def guarded(self) -> AsyncIterator[Callable[[], None]]:
        """Know who may ask; gives what reads credentials again at once.

        Raises:
            ConfigurationError: Credentials are malformed.
            UnavailableError: They cannot be read.
        """
        if not self.settings.has_gate:
            yield lambda: None
            return
        from .security.opening import open_guards

        async with open_guards(self.settings) as (guards, read_again):
            self._guards = guards
            try:
                yield read_again
            finally:
                self._guards = None

    def audit_read(self, scope: Scope, uid: str, created_at: str, status: int) -> None:
        """Write down that a file was read beside others, if there is an audit log."""
        principal = principal_of(scope)
        if self._guards is not None and principal is not None:
            self._guards.audit.record(scope, principal.id, Permission.READ, status, uid=uid, created_at=created_at)

    def audit_link(self, scope: Scope, uid: str, day: datetime) -> None:
        """Write down that a link was used, if there is an audit log."""
        if self._guards is not None:
            self._guards.audit.record(scope, LINK, Permission.READ, 200, uid=uid, created_at=day.isoformat())

    def audit_refused_link(self, scope: Scope, reason: str) -> None:
        """Write down that a link was shown that nobody made here, if there is an audit log."""
        if self._guards is not None:
            self._guards.audit.record(scope, LINK, Permission.READ, 403, reason=reason)


def _not_running() -> Problem:
    return Problem(503, "unavailable", "The service is not running", headers={"Retry-After": "1"})


def service_of(request: Request) -> Service:
    """The service that a request belongs to."""
    service: Service = request.app.state.service
    return service
