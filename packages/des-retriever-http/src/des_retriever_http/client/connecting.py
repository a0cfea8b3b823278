"""What both clients are made of: where the service is, and how its requests are sent."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx
from des_format.errors import ConfigurationError, DesError

from .messages import Request
from .problems import error_of, problem_of
from .retrying import RetryPolicy

__all__ = ["Timeout", "Verify", "checked_url", "http_arguments", "policy_of", "prepared", "refused"]

Timeout = float | httpx.Timeout
Verify = bool | ssl.SSLContext

# The service answers within 30 seconds, or says that it cannot.
_USUAL_TIMEOUT = httpx.Timeout(60.0, connect=10.0)


def checked_url(base_url: str) -> str:
    """Return the URL of a service, without a slash at its end.

    Raises:
        ConfigurationError: It is none, or has a part that belongs elsewhere.
    """
    try:
        parts = urlsplit(base_url)
        usual = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except (ValueError, AttributeError, TypeError):
        usual = False
    if not usual:
        raise ConfigurationError("base_url must be a URL such as https://archive.example.org")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("base_url must not have credentials; give them as auth=httpx.BasicAuth(...)")
    if parts.query or parts.fragment:
        raise ConfigurationError("base_url must have neither a query nor a fragment")
    return base_url.rstrip("/")


def http_arguments(http_client: object | None, timeout: Timeout | None, verify: Verify | None) -> dict[str, Any]:
    """Return the arguments for a client of httpx.

    Raises:
        ConfigurationError: There is one already, so they would have no effect.
    """
    if http_client is not None and (timeout is not None or verify is not None):
        raise ConfigurationError("timeout and verify belong to the http_client that was given")
    return {
        "timeout": _USUAL_TIMEOUT if timeout is None else timeout,
        "verify": True if verify is None else verify,
    }


def policy_of(retries: int | RetryPolicy | None) -> RetryPolicy:
    """Return how often failed requests are sent again."""
    if retries is None:
        return RetryPolicy()
    return retries if isinstance(retries, RetryPolicy) else RetryPolicy(retries)


def prepared(http: httpx.Client | httpx.AsyncClient, base_url: str, request: Request) -> httpx.Request:
    """Return a request as httpx sends it."""
    return http.build_request(
        request.method, base_url + request.target, headers=dict(request.headers), content=request.body
    )


def refused(what: str, response: httpx.Response, attempt: int) -> DesError:
    """Return the error that an answer is.

    Args:
        what: What was asked for.
        response: The answer, which was read.
        attempt: Which attempt was answered so; 1 for the first.
    """
    problem = problem_of(response.status_code, response.headers, response.content)
    problem.attempt = attempt
    return error_of(what, problem)
