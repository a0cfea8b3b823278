"""What a client proves itself with. None of it is ever part of a text."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from inspect import isawaitable

import httpx
from des_format.errors import ConfigurationError

__all__ = ["AsyncToken", "Credentials", "Token"]

Token = str | Callable[[], str]
AsyncToken = str | Callable[[], str] | Callable[[], Awaitable[str]]


class Credentials(httpx.Auth):
    """Adds an API key and a bearer token to each request, and then what another `httpx.Auth` adds.

    Args:
        api_key: For `X-API-Key`.
        token: For `Authorization: Bearer`; a callable is asked before each attempt.
        inner: Sees the request with them, so it can sign all of it.

    Raises:
        ConfigurationError: A value cannot be part of a header.
    """

    def __init__(self, api_key: str | None, token: AsyncToken | None, inner: httpx.Auth | None) -> None:
        self._api_key = None if api_key is None else _checked("api_key", api_key)
        self._token = token if token is None or callable(token) else _checked("token", token)
        self._inner = inner
        self.requires_request_body = inner is not None and inner.requires_request_body
        self.requires_response_body = inner is not None and inner.requires_response_body

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add them to a request of a synchronous client."""
        token = self._token() if callable(self._token) else self._token
        self._add(request, token)
        if self._inner is None:
            yield request
        else:
            yield from self._inner.sync_auth_flow(request)

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add them to a request of an asynchronous client."""
        token = self._token() if callable(self._token) else self._token
        self._add(request, await token if isawaitable(token) else token)
        if self._inner is None:
            yield request
            return
        flow = self._inner.async_auth_flow(request)
        try:
            request = await anext(flow)
            while True:
                response = yield request
                request = await flow.asend(response)
        except StopAsyncIteration:
            pass
        finally:
            await flow.aclose()

    def _add(self, request: httpx.Request, token: object) -> None:
        if self._api_key is not None:
            request.headers["X-API-Key"] = self._api_key
        if token is not None:
            request.headers["Authorization"] = f"Bearer {_checked('token', token)}"


def _checked(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or not all("!" <= character <= "~" for character in value):
        raise ConfigurationError(f"{name} must be text of printable ASCII characters without spaces")
    return value
