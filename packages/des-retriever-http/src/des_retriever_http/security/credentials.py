"""The document of credentials: the published `authorized_keys`, and API keys beside them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import yaml
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from des_format.errors import ConfigurationError
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from .principals import Permission, Principal
from .signatures import PublicKey, is_supported

__all__ = ["Credentials", "digest_of", "fingerprint", "parse_credentials"]

_DIGEST = r"^sha256:[0-9a-f]{64}$"
Prefixes = Annotated[list[Annotated[str, Field(min_length=1)]], Field(default_factory=list)]


@dataclass(frozen=True, slots=True)
class Credentials:
    """All that is known of who may ask.

    Attributes:
        api_keys: Principals by the SHA-256 of their key.
        public_keys: Keys and their principals, by the OpenSSH blob of the key.
    """

    api_keys: dict[bytes, Principal] = field(default_factory=dict)
    public_keys: dict[bytes, tuple[PublicKey, Principal]] = field(default_factory=dict)

    def of_api_key(self, key: str) -> Principal | None:
        """Return whose API key it is, if anybody's.

        What is compared are digests, which nobody can steer: how long a comparison takes tells nothing of a key.
        """
        return self.api_keys.get(digest_of(key))


class _Granted(BaseModel):
    """What an item of the document grants."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    permissions: list[Permission] = Field(min_length=1)
    allowed_prefixes: Prefixes
    excluded_prefixes: Prefixes
    expires_at: AwareDatetime | None = None
    max_requests_per_hour: int | None = Field(None, ge=1)
    comment: str = ""

    @field_validator("allowed_prefixes", "excluded_prefixes", mode="before")
    @classmethod
    def _null_is_none(cls, value: Any) -> Any:
        return [] if value is None else value

    def principal(self, id: str) -> Principal:
        expires_at: datetime | None = self.expires_at
        return Principal(
            id,
            frozenset(self.permissions),
            tuple(self.allowed_prefixes),
            tuple(self.excluded_prefixes),
            expires_at,
            self.max_requests_per_hour,
        )


class _AuthorizedKey(_Granted):
    public_key: str


class _ApiKey(_Granted):
    id: str = Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")
    hash: str = Field(pattern=_DIGEST)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    authorized_keys: list[_AuthorizedKey] = Field(default_factory=list)
    api_keys: list[_ApiKey] = Field(default_factory=list)


def parse_credentials(document: Any, *, where: str) -> Credentials:
    """Parse a document of credentials.

    Args:
        document: It as YAML or JSON text, or parsed.
        where: Where it is, for errors.

    Raises:
        ConfigurationError: It is malformed, has a key twice, or has none at all. Nothing secret is shown.
    """
    try:
        parsed = _Document.model_validate(_loaded(document, where) or {})
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ConfigurationError(f"{where}: {'; '.join(faults)}") from None
    api_keys = [(bytes.fromhex(one.hash.removeprefix("sha256:")), one.principal(one.id)) for one in parsed.api_keys]
    public_keys = [_public_key(one, f"{where}: authorized_keys.{n}") for n, one in enumerate(parsed.authorized_keys)]
    if not api_keys and not public_keys:
        raise ConfigurationError(f"{where}: there is no key in it; it needs authorized_keys or api_keys")
    found = Credentials(dict(api_keys), {blob: (key, principal) for blob, key, principal in public_keys})
    _refuse_repeated((key.hex()[:12] for key, _ in api_keys), f"{where}: the hash of an API key")
    _refuse_repeated((principal.id for _, principal in api_keys), f"{where}: the id of an API key")
    _refuse_repeated((fingerprint(blob) for blob, _, _ in public_keys), f"{where}: a public key")
    return found


def _loaded(document: Any, where: str) -> Any:
    if not isinstance(document, str | bytes):
        return document
    try:
        return yaml.safe_load(document)
    # PyYAML lets through what its constructors raise, such as ValueError for the 30th of February.
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark is not None else ""
        raise ConfigurationError(f"{where}: it is neither YAML nor JSON{line}, or a value in it is malformed") from None


def _public_key(item: _AuthorizedKey, where: str) -> tuple[bytes, PublicKey, Principal]:
    try:
        key = load_ssh_public_key(item.public_key.encode())
        blob = ssh_blob(item.public_key)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigurationError(f"{where}: public_key is not a line as ssh-keygen writes it") from None
    if not is_supported(key):
        raise ConfigurationError(f"{where}: only Ed25519, ECDSA, and RSA of 2048 bits or more are accepted")
    return blob, key, item.principal(f"{fingerprint(blob)}{f' {item.comment}' if item.comment else ''}")


def ssh_blob(line: str) -> bytes:
    """Return what names a key in an OpenSSH line, without its comment.

    Raises:
        ValueError: It is no such line.
    """
    words = line.split()
    if len(words) < 2:
        raise ValueError("it has no key")
    try:
        return base64.b64decode(words[1], validate=True)
    except binascii.Error:
        raise ValueError("its key is not base64") from None


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint of a public key, as ssh-keygen shows it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def digest_of(key: str) -> bytes:
    """Return the digest by which an API key is known.

    Keys are random and long, so a plain SHA-256 cannot be turned back by trying.
    """
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _refuse_repeated(values: Iterable[str], what: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ConfigurationError(f"{what} is there twice: {value}")
        seen.add(value)
