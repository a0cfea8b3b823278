"""The keys that an OpenID Connect provider publishes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from http.client import HTTPException
from time import monotonic
from typing import Any
from urllib.request import HTTPRedirectHandler, Request, build_opener

import jwt
from des_format.errors import UnavailableError

__all__ = ["KeySet"]

FETCH_FAILED = "jwks_fetch_failed"

log = logging.getLogger(__name__)

_MAX_BYTES = 2**20
_TIMEOUT_SECONDS = 5
_FRESH_SECONDS = 600
_PAUSE_SECONDS = 15
_FAILURES = (
    OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError, RecursionError, jwt.PyJWTError
)  # fmt: skip
"""What comes of a provider that does not answer, or with something else than keys."""
_DISCOVERY = "/.well-known/openid-configuration"


class KeySet:
    """Keys by their `kid`, fetched when one is asked for.

    They are fetched again after ten minutes, or when a key is asked for that is not there: at most every 15 s then,
    so that made-up tokens cannot make the service ask its provider all the time. When the provider does not answer,
    keys that are known stay good.

    Args:
        issuer: The provider, which tells where its keys are.
        url: Where they are, if the provider does not tell it.
        clock: Seconds that never go back.
    """

    def __init__(self, issuer: str, url: str | None = None, *, clock: Callable[[], float] = monotonic) -> None:
        self._issuer = issuer
        self._url = url
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self, kid: str | None) -> jwt.PyJWK | None:
        """Return a key, or None if the provider has no such key.

        Raises:
            UnavailableError: No key is known, and the provider does not answer.
        """
        # Who comes while they are fetched waits, or else a right token would be refused.
        if self._is_due(kid) or (kid not in self._keys and self._lock.locked()):
            async with self._lock:
                if self._is_due(kid):
                    await self._fetch()
        if not self._keys:
            raise UnavailableError("the keys of the OpenID Connect provider are not known; try again")
        return self._keys.get(kid)

    def _is_due(self, kid: str | None) -> bool:
        now = self._clock()
        if now - self._tried_at < _PAUSE_SECONDS:
            return False
        return kid not in self._keys or now - self._fetched_at > _FRESH_SECONDS

    async def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            document = await asyncio.to_thread(self._load)
            keys = _signing_keys(document)
        except _FAILURES as error:
            log.error(FETCH_FAILED, extra={"issuer": self._issuer, "error": str(error)})
            return
        self._keys = keys
        self._fetched_at = self._clock()

    def _load(self) -> Any:
        url = self._url
        if url is None:
            configuration = _get(self._issuer.rstrip("/") + _DISCOVERY)
            if configuration["issuer"] != self._issuer:
                raise ValueError(f"the provider calls itself {configuration['issuer']!r}")
            url = configuration["jwks_uri"]
        return _get(url)


class _NoRedirects(HTTPRedirectHandler):
    """Keys come from where they were said to be, and over the same protocol."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Follow none: the answer is an error then."""


_OPENER = build_opener(_NoRedirects)


def _get(url: str) -> Any:
    if not url.startswith(("https://", "http://")):
        raise ValueError(f"not a URL of HTTP: {url!r}")
    with _OPENER.open(Request(url, headers={"Accept": "application/json"}), timeout=_TIMEOUT_SECONDS) as answer:
        body = answer.read(_MAX_BYTES + 1)
    if len(body) > _MAX_BYTES:
        raise ValueError(f"{url} answers with more than {_MAX_BYTES} bytes")
    return json.loads(body)


def _signing_keys(document: Any) -> dict[str | None, jwt.PyJWK]:
    """Return the keys of a set that sign; those of kinds that are not known here are passed over."""
    found: dict[str | None, jwt.PyJWK] = {}
    for one in document["keys"]:
        if one.get("use", "sig") != "sig" or one.get("kty") == "oct":
            continue
        try:
            found[one.get("kid")] = jwt.PyJWK(one)
        except jwt.PyJWTError:
            continue
    if not found:
        raise ValueError("there is no key in it that signs")
    return found
