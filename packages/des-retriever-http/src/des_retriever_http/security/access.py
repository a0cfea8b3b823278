"""Which permission a request needs."""

from __future__ import annotations

from starlette.types import Scope

from ..http.paths import root_of
from .principals import Permission

__all__ = ["needed_permission"]

_OPEN = frozenset(
    {
        "/health",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/stats/live",
        "/openapi.json",
        "/docs",
        "/docs/oauth2-redirect",
        "/redoc",
        "/ui",
    }
)
# The console is files that everybody may have; what it shows it asks for. Of a link, the token is the credential.
_OPEN_BELOW = ("/ui/", "/locators/")

_FILES = {
    ("GET", ""): Permission.READ,
    ("HEAD", ""): Permission.READ,
    ("DELETE", ""): Permission.WRITE,
    ("GET", "/meta"): Permission.READ,
    ("GET", "/history"): Permission.READ,
    ("POST", "/locator"): Permission.SHARE,
    ("PUT", "/retention-policy"): Permission.EXTEND_RETENTION,
}


def needed_permission(scope: Scope) -> Permission | None:
    """Return what it takes to make a request, or None for nothing.

    A route that is not known here takes what most do: it is better refused than open by mistake.
    """
    path = scope["path"].removeprefix(root_of(scope))
    if path in _OPEN or path.startswith(_OPEN_BELOW):
        return None
    if "path_uid" in scope:
        return _FILES.get((scope["method"], scope["path_sub"]), Permission.WRITE)
    return Permission.READ
