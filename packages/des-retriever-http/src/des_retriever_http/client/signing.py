"""Sign requests with a private key, for services that know the public one."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from des_format.errors import ConfigurationError

from ..security.signing import canonical_text

__all__ = ["SignedRequests"]

PrivateKey = Ed25519PrivateKey | RSAPrivateKey | EllipticCurvePrivateKey

_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"


class SignedRequests(httpx.Auth):
    """Signs each request, also when it is sent again: a signature is good once, and for five minutes.

    Args:
        key: The private key: Ed25519, ECDSA, or RSA of 2048 bits or more.
    """

    requires_request_body = True

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        self._public_key = base64.b64encode(line).decode()

    @classmethod
    def from_file(cls, path: str | Path, password: bytes | None = None) -> SignedRequests:
        """Read a private key as ssh-keygen or OpenSSL writes it.

        Raises:
            ConfigurationError: It is no such key, or its password is wrong or missing.
            OSError: The file cannot be read.
        """
        data = Path(path).read_bytes()
        load = load_ssh_private_key if data.lstrip().startswith(_OPENSSH) else load_pem_private_key
        try:
            key = load(data, password)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigurationError(f"{path}: this is no private key that can be used: {error}") from None
        if not isinstance(key, PrivateKey):
            raise ConfigurationError(f"{path}: a key of Ed25519, ECDSA or RSA is needed")
        return cls(key)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the headers that show who asks."""
        timestamp = datetime.now(UTC).isoformat()
        nonce = secrets.token_urlsafe(24)
        path, _separator, query = request.url.raw_path.partition(b"?")
        text = canonical_text(
            method=request.method,
            raw_path=path,
            query=query,
            body=request.content,
            public_key=self._public_key,
            timestamp=timestamp,
            nonce=nonce,
        )
        request.headers["X-DES-Public-Key"] = self._public_key
        request.headers["X-DES-Signature"] = base64.b64encode(self._sign(text)).decode()
        request.headers["X-DES-Timestamp"] = timestamp
        request.headers["X-DES-Nonce"] = nonce
        yield request

    def _sign(self, text: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(text)
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(text, PKCS1v15(), SHA256())
        return self._key.sign(text, ECDSA(SHA256()))
