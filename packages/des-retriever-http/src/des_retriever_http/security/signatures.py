"""Requests that a key has signed, as the published retriever knew them, but for all of the request."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeGuard

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from starlette.types import Scope

from .nonces import Nonces
from .refusals import Refusal
from .signing import canonical_text

if TYPE_CHECKING:
    from .credentials import Credentials
    from .principals import Principal

__all__ = ["HEADERS", "SKEW_SECONDS", "PublicKey", "is_signed", "is_supported", "principal_of_signature"]

PublicKey = Ed25519PublicKey | RSAPublicKey | EllipticCurvePublicKey

HEADERS = ("x-des-public-key", "x-des-signature", "x-des-timestamp", "x-des-nonce")
SKEW_SECONDS = 300
"""How far the time of a signature may be from the service's."""

_NONCE = re.compile(r"[\x21-\x7e]{8,128}")
_MIN_RSA_BITS = 2048
_INVALID = "Invalid signature"


def is_supported(key: object) -> TypeGuard[PublicKey]:
    """Whether signatures of a key are accepted."""
    if isinstance(key, RSAPublicKey):
        return key.key_size >= _MIN_RSA_BITS
    return isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey)


def is_signed(headers: Mapping[str, str]) -> bool:
    """Whether a request shows a signature, or a part of one."""
    return any(name in headers for name in HEADERS)


async def principal_of_signature(
    credentials: Credentials,
    nonces: Nonces,
    scope: Scope,
    headers: Mapping[str, str],
    read_body: Callable[[], Awaitable[bytes]],
) -> Principal:
    """Return who has signed a request.

    Only of a signature that is right is the nonce used up, so nobody else can use it up. The body is read last: only
    who names a key that is known makes the service keep one.

    Raises:
        Refusal: It is not signed by a known key, was signed too long ago, or came before.
        UnavailableError: Whether it came before cannot be known.
    """
    missing = [name for name in HEADERS if name not in headers]
    if missing:
        raise Refusal("missing_header", f"Missing authentication headers: {', '.join(missing)}")
    public_key, signature, timestamp, nonce = (headers[name] for name in HEADERS)
    _check_time(timestamp)
    if not _NONCE.fullmatch(nonce):
        raise Refusal("invalid_nonce", f"{_INVALID}: X-DES-Nonce needs 8 to 128 visible ASCII characters")
    blob = _blob(public_key)
    found = credentials.public_keys.get(blob)
    if found is None:
        raise Refusal("unknown_key", f"{_INVALID}: the key is not known here")
    key, principal = found
    text = canonical_text(
        method=scope["method"],
        raw_path=scope["raw_path"],
        query=scope["query_string"],
        body=await read_body(),
        public_key=public_key,
        timestamp=timestamp,
        nonce=nonce,
    )
    # Once more: by the time that a slow body has come, its nonce may be forgotten.
    _check_time(timestamp)
    if not _is_of(key, _decoded(signature), text):
        raise Refusal("invalid_signature", f"{_INVALID}: it is not one of this request by this key")
    # By the key itself: what the document says of it may change between a request and its replay.
    # The gate refuses who has ended; they use none up.
    if not principal.has_expired() and not await nonces.use(hashlib.sha256(blob).hexdigest(), nonce):
        raise Refusal("replayed", f"{_INVALID}: its nonce was used before; sign each request anew")
    return principal


def _check_time(timestamp: str) -> None:
    try:
        signed_at = datetime.fromisoformat(timestamp)
        age = (datetime.now(UTC) - signed_at).total_seconds()
    except (ValueError, TypeError, OverflowError):
        raise Refusal("invalid_time", f"{_INVALID}: X-DES-Timestamp is no ISO 8601 time with an offset") from None
    if abs(age) > SKEW_SECONDS:
        raise Refusal("outdated", f"{_INVALID}: its time is more than {SKEW_SECONDS} s from the service's")


def _blob(public_key: str) -> bytes:
    """What names the key in `X-DES-Public-Key`, which is the base64 of an OpenSSH line."""
    words = _decoded(public_key).split()
    return _decoded(words[1].decode("latin-1")) if len(words) > 1 else b""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_of(key: PublicKey, signature: bytes, text: bytes) -> bool:
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, text)
        elif isinstance(key, RSAPublicKey):
            key.verify(signature, text, PKCS1v15(), SHA256())
        else:
            key.verify(signature, text, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
