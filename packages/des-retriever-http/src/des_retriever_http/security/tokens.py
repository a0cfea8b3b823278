"""JSON Web Tokens of an OpenID Connect provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from .jwks import KeySet
from .principals import Permission, Principal
from .refusals import Refusal

__all__ = ["TokenRules", "Tokens"]

_LEEWAY_SECONDS = 30
_MAX_CHARACTERS = 16 * 2**10
_REQUIRED = ["exp", "iss", "aud", "sub"]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """Which tokens are believed, and how they are read.

    Attributes:
        issuer: `iss` of all of them.
        audience: `aud` that they must have.
        algorithms: How they may be signed; asymmetric ones only.
        permissions_claim: The claim with permissions: a list, or words in one text; others than ours are passed over.
        prefixes_claim: The claim with how uids begin; a token without it is for all uids.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    permissions_claim: str
    prefixes_claim: str


class Tokens:
    """Checks tokens.

    Args:
        rules: Which are believed.
        keys: Of the provider.
    """

    def __init__(self, rules: TokenRules, keys: KeySet) -> None:
        self._rules = rules
        self._keys = keys

    async def principal_of(self, token: str) -> Principal:
        """Return whose token it is.

        Raises:
            Refusal: It is not one of the provider for this service, or not valid now.
            UnavailableError: The provider's keys are not known, and cannot be had.
        """
        if len(token) > _MAX_CHARACTERS:
            raise Refusal("invalid_token", "The token is too long")
        try:
            header = jwt.get_unverified_header(token)
            key = await self._keys.get(header.get("kid"))
            if key is None:
                raise Refusal("unknown_key", "The token is signed by a key that its provider does not publish")
            claims = self._claims(token, key)
        except jwt.ExpiredSignatureError:
            raise Refusal("expired", "The token has expired") from None
        except jwt.PyJWTError as error:
            # What PyJWT says names claims, never the token.
            raise Refusal("invalid_token", f"The token is not valid: {error}") from None
        return self._principal(claims)

    def _claims(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(self._rules.algorithms),
            issuer=self._rules.issuer,
            audience=self._rules.audience,
            leeway=_LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )
        return claims

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        given = {word.removeprefix("des:") for word in _words(claims.get(self._rules.permissions_claim))}
        permissions = frozenset(one for one in Permission if one.value in given)
        prefixes: tuple[str, ...] = ()
        if self._rules.prefixes_claim in claims:
            prefixes = tuple(_words(claims[self._rules.prefixes_claim]))
            if not all(prefixes):
                raise Refusal("invalid_token", f"The token's {self._rules.prefixes_claim} has an empty prefix")
            if not prefixes:
                permissions = frozenset()  # It names no uid at all, which is not the same as all of them.
        return Principal(f"jwt:{claims['sub']}", permissions, prefixes)


def _words(claim: Any) -> list[str]:
    """A claim that is a list of texts, or words in one text."""
    if isinstance(claim, str):
        return claim.split()
    if isinstance(claim, list) and all(isinstance(one, str) for one in claim):
        return claim
    if claim is None:
        return []
    raise Refusal("invalid_token", "A claim of the token is neither a text nor a list of texts")
