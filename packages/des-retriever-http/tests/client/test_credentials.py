"""Credentials: they are sent as the service wants them, and are part of no text."""

from __future__ import annotations

import ssl
import traceback
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import httpx
import pytest
from des_format.errors import AccessDeniedError, ConfigurationError, DesError, InvalidInputError, UnavailableError
from des_retriever_http.client import AsyncRetrieverClient, RetrieverClient, RetryPolicy

from ..times import MORNING
from .either import Either
from .scripted import Scripted, answer, problem, scripted

SECRET = "s3cr3t-value"
OK = answer(200, b"x", X_DES_Size_Bytes="1")

Connected = Callable[..., Either]


class Stamp(httpx.Auth):
    """Sees what was there before it, and asks again with what the first answer says."""

    requires_request_body = True

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["X-Seen"] = request.headers.get("x-api-key", "")
        response = yield request
        request.headers["X-Again"] = str(response.status_code)
        yield request


async def sent(connected: Connected, *answers: bytes, **arguments: Any) -> Scripted:
    with scripted(*answers or (OK,)) as server:
        await connected(server.url, **arguments)("get", "a", MORNING)
        return server


async def test_keys_and_tokens_are_headers(connected: Connected) -> None:
    (request,) = (await sent(connected, api_key="k", token="t")).requests
    assert (request.headers["x-api-key"], request.headers["authorization"]) == ("k", "Bearer t")
    (request,) = (await sent(connected)).requests
    assert not {"x-api-key", "authorization"} & {*request.headers}


async def test_a_function_gives_a_fresh_token_for_each_attempt(connected: Connected) -> None:
    tokens = iter("abc")
    server = await sent(connected, problem(503, "overloaded"), OK, token=lambda: next(tokens))
    assert [one.headers["authorization"] for one in server.requests] == ["Bearer a", "Bearer b"]


async def test_a_token_may_be_waited_for() -> None:
    async def token() -> str:
        return "later"

    with scripted(OK) as server:
        async with AsyncRetrieverClient(server.url, token=token) as client:
            await client.get("a", MORNING)
        assert server.requests[0].headers["authorization"] == "Bearer later"


async def test_another_auth_sees_the_key_and_goes_its_way(connected: Connected) -> None:
    server = await sent(connected, api_key="k", auth=Stamp())
    first, second = server.requests
    assert (first.headers["x-seen"], second.headers["x-again"]) == ("k", "200")
    (request,) = (await sent(connected, auth=httpx.BasicAuth("me", "pw"))).requests
    assert request.headers["authorization"].startswith("Basic ")


async def test_the_auth_of_ones_own_client_is_used() -> None:
    with scripted(OK) as server:
        with httpx.Client(auth=("me", "pw")) as http, RetrieverClient(server.url, http_client=http) as client:
            client.get("a", MORNING)
        async with httpx.AsyncClient(auth=("me", "pw")) as ahttp:
            await AsyncRetrieverClient(server.url, http_client=ahttp, api_key="k").get("a", MORNING)
        assert all(one.headers["authorization"].startswith("Basic ") for one in server.requests)


async def test_a_redirect_gets_no_credentials(connected: Connected) -> None:
    with scripted(OK) as elsewhere:
        with scripted(answer(307, Location=elsewhere.url)) as server, pytest.raises(DesError):
            await connected(server.url, api_key=SECRET)("get", "a", MORNING)
        assert elsewhere.requests == []


@pytest.mark.parametrize("value", ["", "with space", "line\nbreak", "ü", f"{SECRET}\r\nX: y"])
async def test_what_is_no_header_is_refused_without_being_shown(connected: Connected, value: str) -> None:
    for arguments in ({"api_key": value}, {"token": value}):
        with pytest.raises(ConfigurationError) as caught:
            connected("http://des", **arguments)
        assert SECRET not in "".join(traceback.format_exception(caught.value))
    with scripted(OK) as server, pytest.raises(ConfigurationError) as caught:
        await connected(server.url, token=lambda: value)("get", "a", MORNING)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


class Careless(httpx.Auth):
    """Sends what cannot be sent."""

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["X-Secret"] = f"{SECRET}\n"
        yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        request.headers["X-Secret"] = f"{SECRET}\n"
        yield request


async def test_no_text_has_a_secret(connected: Connected) -> None:
    secrets = {"api_key": SECRET, "token": SECRET}
    with scripted(problem(401, "unauthorized", "Unauthorized")) as server:
        client = connected(server.url, **secrets)
        assert repr(client.inner).endswith(f"RetrieverClient('{server.url}')")
        with pytest.raises(AccessDeniedError) as refused:
            await client("get", "a", MORNING)
        with pytest.raises(AccessDeniedError) as link:
            await client("get_located", SECRET)
        with pytest.raises(InvalidInputError) as careless:
            await connected(server.url, auth=Careless())("get", "a", MORNING)
    with pytest.raises(DesError) as nobody:
        await connected("http://127.0.0.1:1", retries=0, **secrets)("get_located", SECRET)
    for caught in (refused, link, careless, nobody):
        assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "url", ["", "archive.example.org", "ftp://x", "http://", "http://x:y/", f"https://me:{SECRET}@x/", "http://x?a=b"]
)
def test_what_is_no_address_of_a_service_is_refused(connected: Connected, url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        connected(url)
    assert SECRET not in str(caught.value)


def test_arguments_that_would_have_no_effect_are_refused() -> None:
    with httpx.Client() as http:
        for arguments in ({"timeout": 5.0}, {"verify": False}):
            with pytest.raises(ConfigurationError):
                RetrieverClient("http://des", http_client=http, **arguments)
    for policy in ({"retries": -1}, {"deadline_seconds": 0.0}, {"first_wait_seconds": -1.0}):
        with pytest.raises(ConfigurationError):
            RetryPolicy(**policy)
    with pytest.raises(ConfigurationError):
        RetrieverClient("http://des", retries=-1)


async def test_what_speaks_no_tls_is_not_spoken_to(connected: Connected) -> None:
    with scripted(OK) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(UnavailableError):
            await connected(url, verify=ssl.create_default_context(), timeout=0.5, retries=0)("get", "a", MORNING)
