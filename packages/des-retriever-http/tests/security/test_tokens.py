"""Tokens of an OpenID Connect provider."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from des_format.errors import ConfigurationError
from des_retriever_http.security.jwks import KeySet
from jwt.algorithms import get_default_algorithms

AT = {"created_at": "2025-11-25T08:00:00Z"}
AUDIENCE = "https://archive.example.org"
Start = Callable[..., Awaitable[httpx.AsyncClient]]
KEYS: dict[str, Any] = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": Ed25519PrivateKey.generate(),
}


class Provider:
    """An OpenID Connect provider, as far as services see it."""

    def __init__(self) -> None:
        self.keys = dict(KEYS)
        self.asked: list[str] = []
        self.is_down = False
        self.issuer_told: str | None = None
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked.append(self.path)
                body = json.dumps(provider.answer(self.path)).encode()
                self.send_response(503 if provider.is_down else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}/realm"

    def answer(self, path: str) -> Any:
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.issuer_told or self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        assert path == "/realm/keys"
        found: list[dict[str, Any]] = []
        for name, key in self.keys.items():
            public = get_default_algorithms()[name].to_jwk(key.public_key(), as_dict=True)
            found.append({**public, "kid": name, "use": "sig", "alg": name})
        return {"keys": [*found, {"kty": "new-kind", "kid": "x"}, {"kty": "oct", "k": "c2VjcmV0", "kid": "HS256"}]}

    def token(
        self, algorithm: str = "RS256", *, headers: dict[str, Any] | None = None, key: Any = None, **changes: Any
    ) -> str:
        """A token for the user `ann`, with changes; None removes a claim."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "ann",
            "exp": now + 60,
            "iat": now,
            "scope": "openid des:read",
        }
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        given = {"kid": algorithm} | (headers or {})
        return jwt.encode(claims, KEYS[algorithm] if key is None else key, algorithm, headers=given)


@pytest.fixture
def provider() -> Iterator[Provider]:
    one = Provider()
    thread = threading.Thread(target=one.server.serve_forever)
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


@pytest.fixture
def start(guarded: Start, provider: Provider) -> Start:
    async def start(**settings: Any) -> httpx.AsyncClient:
        return await guarded(**{"jwt_issuer": provider.issuer, "jwt_audience": AUDIENCE} | settings)

    return start


async def status(client: httpx.AsyncClient, token: str, path: str = "/files/a%2F1", method: str = "GET") -> int:
    why = {**AT, "reason": "GDPR", "deleted_by": "ann"}
    answer = await client.request(method, path, params=why, headers={"Authorization": f"Bearer {token}"})
    assert token not in answer.text
    return answer.status_code


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_token_is_believed_and_its_keys_are_asked_for_once(
    start: Start, provider: Provider, algorithm: str
) -> None:
    client = await start()
    assert [await status(client, provider.token(algorithm)) for _ in range(5)] == [200] * 5
    assert provider.asked == ["/realm/.well-known/openid-configuration", "/realm/keys"]


async def test_api_keys_are_good_beside_tokens(start: Start) -> None:
    client = await start()
    assert await status(client, "reader-key") == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example.org"},
        {"iss": None},
        {"aud": "https://other.example.org"},
        {"aud": None},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"nbf": int(time.time()) + 3600},
        {"sub": None},
        {"headers": {"kid": "unknown"}},
        {"headers": {"kid": "ES256"}},
        {"headers": {"kid": "HS256"}},
        {"key": rsa.generate_private_key(65537, 2048)},
        {"scope": {"des:read": True}},
        {"des_prefixes": ["a/", ""]},
        {"des_prefixes": 7},
    ],
)
async def test_a_token_that_is_not_for_us_or_not_now_is_refused(
    start: Start, provider: Provider, changes: dict[str, Any]
) -> None:
    assert await status(await start(), provider.token(**changes)) == 401


async def test_how_a_token_is_signed_is_not_for_the_token_to_say(start: Start, provider: Provider) -> None:
    client = await start(jwt_algorithms=["ES256"])
    assert await status(client, provider.token("RS256")) == 401
    assert await status(client, provider.token("ES256")) == 200
    claims = jwt.decode(provider.token("ES256"), options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", "none", headers={"kid": "ES256"})
    with_shared_secret = jwt.encode(claims, "secret" * 8, "HS256", headers={"kid": "HS256"})
    for token in (unsigned, with_shared_secret, "a.b.c", "..", provider.token("ES256")[:-3], "x" * 20_000 + ".."):
        assert await status(client, token) == 401


@pytest.mark.parametrize(
    ("claims", "method", "path", "expected"),
    [
        ({"scope": "des:read"}, "GET", "/files/b%2F1", 200),
        ({"scope": ["read"]}, "GET", "/files/b%2F1", 200),
        ({"scope": "openid email"}, "GET", "/files/b%2F1", 403),
        ({"scope": None}, "GET", "/files/b%2F1", 403),
        ({"scope": "des:read"}, "DELETE", "/files/b%2F1", 403),
        ({"scope": "des:write"}, "DELETE", "/files/b%2F1", 200),
        ({"des_prefixes": ["a/"]}, "GET", "/files/a%2F1", 200),
        ({"des_prefixes": ["a/"]}, "GET", "/files/b%2F1", 403),
        ({"des_prefixes": []}, "GET", "/files/a%2F1", 403),
    ],
)
async def test_claims_say_what_a_token_allows(
    start: Start, provider: Provider, claims: dict[str, Any], method: str, path: str, expected: int
) -> None:
    assert await status(await start(), provider.token(**claims), path, method) == expected


async def test_a_provider_that_is_down_is_told_and_known_keys_stay_good(start: Start, provider: Provider) -> None:
    client = await start()
    provider.is_down = True
    assert await status(client, provider.token()) == 503
    provider.is_down = False
    other = await start()
    assert await status(other, provider.token()) == 200
    provider.is_down = True
    assert await status(other, provider.token()) == 200
    assert await status(other, provider.token(headers={"kid": "unknown"})) == 401


async def test_who_calls_itself_otherwise_is_not_the_provider(start: Start, provider: Provider) -> None:
    provider.issuer_told = "https://other.example.org"
    assert await status(await start(), provider.token()) == 503


async def test_keys_are_asked_for_again_when_one_is_new_but_not_all_the_time(provider: Provider) -> None:
    now = 0.0
    keys = KeySet(provider.issuer, f"{provider.issuer}/keys", clock=lambda: now)
    new = provider.keys.pop("ES256")
    assert await keys.get("RS256") is not None
    provider.keys["ES256"] = new
    for _ in range(3):
        assert await keys.get("ES256") is None
    assert len(provider.asked) == 1
    now = 16.0
    assert await keys.get("ES256") is not None
    assert await keys.get("ES256") is not None
    assert len(provider.asked) == 2
    # A key that its provider has taken back is known for ten minutes more.
    del provider.keys["RS256"]
    now = 500.0
    assert await keys.get("RS256") is not None
    now = 617.0
    assert await keys.get("RS256") is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jwt_audience": None}, "need each other"),
        ({"jwt_algorithms": ["HS256"]}, "DES_JWT_ALGORITHMS"),
        ({"jwt_algorithms": []}, "DES_JWT_ALGORITHMS"),
        ({"jwt_issuer": None, "jwt_audience": None, "jwt_jwks_url": "https://x/keys"}, "needs DES_JWT_ISSUER"),
        ({"jwt_jwks_url": "file:///keys"}, "DES_JWT_JWKS_URL"),
    ],
)
async def test_settings_that_contradict_each_other_stop_the_start(
    start: Start, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        await start(**settings)
