"""Who has credentials, and what they allow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from starlette.types import Scope

__all__ = ["ACCESS_RESULTS", "ANONYMOUS", "LINK", "SCOPE_KEY", "Permission", "Principal", "principal_of"]

LINK = "link"
"""Names whoever has a link, in the audit log."""

SCOPE_KEY = "des_principal"

ACCESS_RESULTS = (
    "success",
    "invalid_sig",
    "expired",
    "rate_limited",
    "invalid_credentials",
    "no_credentials",
    "forbidden",
    "error",
)
"""How a request ended at the gate. The first four are what the published retriever counted."""


class Permission(StrEnum):
    """What a principal may be allowed to do. All but `share` are names of the published retriever."""

    READ = "read"
    WRITE = "write"
    """Delete files."""
    EXTEND_RETENTION = "extend_retention"
    SHARE = "share"
    """Make links, with which others read without credentials."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Someone with credentials.

    Attributes:
        id: Names them in logs and in the history of deletions; not secret.
        permissions: What they may do.
        allowed_prefixes: How uids begin that they may do it to; empty for all uids.
        excluded_prefixes: How uids begin that they may not.
        expires_at: When the credentials end.
        requests_per_hour: How many requests they may make; None for the service's default.
    """

    id: str
    permissions: frozenset[Permission]
    allowed_prefixes: tuple[str, ...] = ()
    excluded_prefixes: tuple[str, ...] = ()
    expires_at: datetime | None = None
    requests_per_hour: int | None = None

    def may(self, permission: Permission, uid: str) -> bool:
        """Whether they may do something to a file."""
        if permission not in self.permissions or uid.startswith(self.excluded_prefixes):
            return False
        return not self.allowed_prefixes or uid.startswith(self.allowed_prefixes)

    def may_list(self, prefix: str) -> bool:
        """Whether they may read every file whose uid begins with a prefix."""
        # An excluded prefix that is longer than the asked one names files that the listing would have.
        return self.may(Permission.READ, prefix) and not any(one.startswith(prefix) for one in self.excluded_prefixes)

    def has_expired(self) -> bool:
        """Whether the credentials have ended."""
        return self.expires_at is not None and self.expires_at <= datetime.now(UTC)


ANONYMOUS = Principal("anonymous", frozenset({Permission.READ, Permission.SHARE}))
"""Who shows no credentials, where that is allowed: a link lets nobody read who cannot."""


def principal_of(scope: Scope) -> Principal | None:
    """Return who makes a request; None if the service knows nobody, and lets everybody read."""
    principal: Principal | None = scope.get(SCOPE_KEY)
    return principal
