"""Who did what to which file: one line of the log for each, by the logger `des_retriever_http.audit`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal
from urllib.parse import parse_qs

from .principals import Permission

if TYPE_CHECKING:
    from starlette.types import Scope

__all__ = ["REFUSALS", "TIME_KEY", "Audit", "AuditLevel"]

ACCESS = "access"

AuditLevel = Literal["off", "changes", "all"]

REFUSALS = {401: "no_credentials", 403: "forbidden", 429: "rate_limited"}
"""Statuses of refusals, and the reason where nothing else tells it."""

TIME_KEY = "des_created_at"
"""Where the route of a retention, which has the file's time in its body, puts it into the scope."""

log = logging.getLogger("des_retriever_http.audit")

_TIME_CHARACTERS = 64


class Audit:
    """Writes the audit log.

    Args:
        level: `changes` for everything but reads that are allowed; `all` for these too.
    """

    def __init__(self, level: AuditLevel) -> None:
        self._level = level

    def wants(self, permission: Permission, status: int) -> bool:
        """Whether something is written down."""
        if self._level == "changes":
            return permission is not Permission.READ or status in REFUSALS
        return self._level == "all"

    def record(
        self,
        scope: Scope,
        principal: str,
        permission: Permission,
        status: int,
        *,
        uid: str | None = None,
        created_at: str | None = None,
        reason: str = "",
    ) -> None:
        """Write down what was asked for and how it was answered, if it is to be.

        Args:
            scope: Of the request.
            principal: Who it was, as far as that is known.
            permission: What it needed.
            status: Of the answer.
            uid: The file, if it is not the one of the path.
            created_at: Its time, if it is not the one of the query.
            reason: Why it was refused.
        """
        if not self.wants(permission, status):
            return
        fields = {
            "principal": principal,
            "permission": permission.value,
            "method": scope["method"],
            "uid": scope.get("path_uid") if uid is None else uid,
            "created_at": _time_of(scope) if created_at is None else created_at,
            "status": status,
            "client": (scope.get("client") or ("",))[0],
        }
        if reason:
            fields["reason"] = reason
        log.info(ACCESS, extra={name: value for name, value in fields.items() if value is not None})


def _time_of(scope: Scope) -> str | None:
    if scope.get("path_sub") == "/retention-policy":
        # What the query says there means nothing.
        given: str | None = scope.get(TIME_KEY)
        return given and given[:_TIME_CHARACTERS]
    times = parse_qs(scope["query_string"].decode("latin-1")).get("created_at")
    return times[-1][:_TIME_CHARACTERS] if times else None
