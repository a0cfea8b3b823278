"""Why someone is not let in."""

from __future__ import annotations

from ..http.problems import Problem

__all__ = ["Forbidden", "Refusal"]


class Refusal(Problem):
    """401: there are no credentials, or they are not right.

    Args:
        reason: Why, from a small set, for metrics and the audit log.
        detail: Why, for the client.
    """

    def __init__(self, reason: str, detail: str) -> None:
        # Browsers open no dialog for a scheme that they do not know.
        super().__init__(401, "unauthorized", detail, headers={"WWW-Authenticate": 'Bearer realm="des"'})
        self.reason = reason


class Forbidden(Problem):
    """403: the credentials are right, and do not allow it."""

    reason = "forbidden"

    def __init__(self, detail: str) -> None:
        super().__init__(403, "permission_denied", f"Permission denied: {detail}")
