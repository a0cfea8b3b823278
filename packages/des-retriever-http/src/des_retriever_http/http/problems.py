"""Errors as HTTP shows them: RFC 9457 problem details.

`detail` begins with the text of the published retriever where that had one, so its clients still recognise it.
What an error says of keys, paths or services stays in the log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from des_format import errors
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from .methods import allowed_methods

__all__ = ["PROBLEM_TYPE", "Problem", "problem_of", "shown"]

PROBLEM_TYPE = "application/problem+json"
REQUEST_FAILED = "request_failed"

log = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS = 1


class Problem(Exception):
    """An answer that is an error.

    Args:
        status: The HTTP status.
        code: Stable and machine-readable, as `DesError.code`.
        detail: What happened and what to do, for the client.
        title: The kind of problem, the same for each of its code.
        headers: More headers of the answer.
        extra: More members of the problem.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        title: str | None = None,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.title = title or code.replace("_", " ").capitalize()
        self.headers = dict(headers or {})
        self.extra = extra

    def body(self, request_id: str | None = None) -> bytes:
        """The problem as JSON."""
        members = {
            "type": f"urn:des:error:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.extra,
        }
        if request_id:
            members["request_id"] = request_id
        return json.dumps(members, ensure_ascii=False).encode()


# The most derived class of an error decides. What is not here is a fault of the service.
_KNOWN: dict[type[errors.DesError], tuple[int, str | None]] = {
    errors.EntryDeletedError: (410, "File deleted"),
    errors.LocatorExpiredError: (410, "The locator has expired; ask for a new one"),
    errors.InvalidLocatorError: (403, "The locator is not valid"),
    errors.BigFileMissingError: (502, "The payload of this file is missing in the storage"),
    errors.NotFoundError: (404, "File not found"),
    errors.StoreNotFoundError: (503, "There is no store where this service looks for one"),
    errors.InvalidInputError: (400, None),
    errors.ConflictError: (409, "Something else was changed at the same time; try again"),
    errors.ContentionError: (503, "Others change the same shard; try again"),
    errors.UnavailableError: (503, "The storage is unavailable; try again"),
    errors.AccessDeniedError: (502, "The storage refuses this service"),
    errors.UnsupportedOperationError: (501, "The storage cannot do this"),
    errors.EntryTooLargeError: (502, "The file is larger than this service expands"),
    errors.CorruptArchiveError: (502, "The file is damaged in the storage; nothing of it is sent"),
    errors.UnsupportedFormatError: (502, "The file is stored in a format that this service does not read"),
    errors.ConfigurationError: (500, "The service is not set up for this"),
}


_CODES = {404: "no_such_route", 405: "method_not_allowed"}


def problem_of(error: Exception) -> Problem:
    """Return how an error is shown; anything unknown is 500, of which nothing is told."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        return Problem(422, "invalid_input", "; ".join(faults))
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, "http_error")
        return Problem(error.status_code, code, str(error.detail), headers=error.headers)
    for kind in type(error).__mro__:
        if kind in _KNOWN:
            status, detail = _KNOWN[kind]
            headers = {"Retry-After": str(_RETRY_AFTER_SECONDS)} if status == 503 else {}
            return Problem(status, error.code, detail or str(error), headers=headers)  # type: ignore[attr-defined]
    return Problem(500, "internal_error", "The service failed; the log has the request id")


def shown(error: Exception, scope: Scope) -> Response:
    """Return the answer that shows an error, and log what only the log may know of it."""
    problem = problem_of(error)
    request_id = scope.get("state", {}).get("request_id")
    if problem.status >= 500:
        fields = {"code": problem.code, "status": problem.status, "request_id": request_id}
        if problem.status == 500:
            log.error(REQUEST_FAILED, extra=fields, exc_info=error)
        else:
            log.warning(REQUEST_FAILED, extra={**fields, "error": str(error)})
    if problem.status == 405:
        problem.headers["Allow"] = allowed_methods(scope)
    return Response(problem.body(request_id), problem.status, problem.headers, PROBLEM_TYPE)
