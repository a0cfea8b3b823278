"""Errors of the service and of connections as the errors of `des_format`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import httpx
from des_format import errors
from des_format.errors import DesError, InvalidInputError, UnavailableError

__all__ = ["HttpProblem", "UnexpectedAnswerError", "error_of", "may_pass", "problem_of", "translated", "wait_of"]

_MAX_DETAIL = 1000
_MAY_PASS = frozenset({429, 503})


class UnexpectedAnswerError(DesError):
    """The answer is none of this service: it, or something in between, is not what the client was made for."""

    code = "unexpected_answer"


class HttpProblem(Exception):
    """What the service said of an error: `__cause__` of the error that was raised.

    Attributes:
        status: The HTTP status.
        code: Stable and machine-readable; empty if what answered has no codes, such as a proxy.
        detail: What happened.
        request_id: Under which the log of the service has it.
        retry_after_seconds: When the service wants to be asked again.
        attempt: Which attempt was answered so; 1 for the first.
    """

    def __init__(
        self,
        status: int,
        code: str = "",
        detail: str = "",
        *,
        request_id: str = "",
        retry_after_seconds: float | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds
        self.attempt = 1
        reference = f", request {request_id}" if request_id else ""
        super().__init__(f"{detail} ({f'{status} {code}'.strip()}{reference})")


_BY_CODE: dict[str, type[DesError]] = {
    kind.code: kind for kind in (getattr(errors, name) for name in errors.__all__)
} | {
    "locator_outdated": errors.NotFoundError,
    "not_configured": errors.UnsupportedOperationError,
}
# For codes that are of the service alone, and for those who have none. 404 and 410 are not here: what does not know
# this service's codes cannot tell that a file is missing.
_BY_STATUS: dict[int, type[DesError]] = {
    **dict.fromkeys((400, 413, 414, 416, 422, 431), InvalidInputError),
    **dict.fromkeys((401, 403, 407), errors.AccessDeniedError),
    409: errors.ConflictError,
    412: errors.ObjectChangedError,
    500: DesError,
    501: errors.UnsupportedOperationError,
    **dict.fromkeys((408, 429, 502, 503, 504), UnavailableError),
}


def problem_of(status: int, headers: Mapping[str, str], body: bytes, *, now: datetime | None = None) -> HttpProblem:
    """Return what an answer says of an error; bodies that are no problem details are not shown.

    Args:
        status: Its status.
        headers: Its headers.
        body: Its body.
        now: For `Retry-After` with a date; None for the present.
    """
    members: dict[str, Any] = {}
    if "json" in headers.get("content-type", ""):
        try:
            found = json.loads(body)
            members = found if isinstance(found, dict) else {}
        except ValueError:
            pass
    code, detail = members.get("code"), members.get("detail")
    if not isinstance(detail, str):
        detail = HTTPStatus(status).phrase if status in list(HTTPStatus) else "no known status"
    request_id = members.get("request_id") or headers.get("x-request-id") or ""
    return HttpProblem(
        status,
        code if isinstance(code, str) else "",
        detail[:_MAX_DETAIL],
        request_id=str(request_id)[:_MAX_DETAIL],
        retry_after_seconds=_retry_after(headers.get("retry-after", ""), now or datetime.now(UTC)),
    )


def error_of(what: str, problem: HttpProblem) -> DesError:
    """Return the error that a problem is, with it as the cause.

    Args:
        what: What was asked for.
        problem: What the service said.
    """
    kind = _BY_CODE.get(problem.code) or _BY_STATUS.get(problem.status, UnexpectedAnswerError)
    hint = "; is this the URL of a retriever?" if kind is UnexpectedAnswerError else ""
    error = kind(f"{what}: {problem}{hint}")
    error.__cause__ = problem
    return error


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later: a connection broke, or the service asks for patience."""
    if not isinstance(error, DesError) or not error.retryable:
        return False
    cause = error.__cause__
    return cause.status in _MAY_PASS if isinstance(cause, HttpProblem) else isinstance(error, UnavailableError)


def wait_of(error: BaseException) -> float | None:
    """Return how many seconds the service wants a client to wait, or None if it does not say."""
    cause = error.__cause__
    return cause.retry_after_seconds if isinstance(cause, HttpProblem) else None


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn errors of httpx into those of `des_format`.

    Args:
        what: What is asked for.

    Raises:
        UnavailableError: There is no connection, or it broke or took too long.
        InvalidInputError: It cannot be sent.
    """
    try:
        yield
    except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        # Their texts may have the value of a header, which may be a secret.
        raise InvalidInputError(f"{what}: this cannot be sent by HTTP ({type(error).__name__})") from None
    except httpx.RequestError as error:
        raise UnavailableError(f"{what}: {str(error) or 'it failed'} ({type(error).__name__})") from error


def _retry_after(text: str, now: datetime) -> float | None:
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        time = parsedate_to_datetime(text)
        return max(0.0, (time - now).total_seconds())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
