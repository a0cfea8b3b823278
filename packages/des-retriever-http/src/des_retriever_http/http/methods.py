"""Which methods a path has, for `Allow`."""

from __future__ import annotations

from starlette.routing import Match
from starlette.types import Scope

__all__ = ["allowed_methods"]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def allowed_methods(scope: Scope) -> str:
    """Return the methods of all routes of a request's path; the router itself names those of one of them only."""
    routes = scope["app"].router.routes
    found = [
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    return ", ".join(found)
