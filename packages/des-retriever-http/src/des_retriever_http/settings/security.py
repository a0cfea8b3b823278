"""Who may ask, and what is written down of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, SecretStr, model_validator

__all__ = ["SecuritySettings"]

# Signed by a private key that only the provider has; with a shared secret, whoever checks tokens could make them.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class SecuritySettings(BaseModel):
    """Who may read and delete, and what is written down of it."""

    require_authentication: bool | None = Field(
        None,
        description="Whether reading takes credentials. If unset: as soon as there are keys or tokens to show."
        " `false` lets everybody read, beside those who have more permissions.",
    )
    authorized_keys_path: Path | None = Field(
        None, description="A file, YAML or JSON, with `authorized_keys` as published, and `api_keys`."
    )
    vault_addr: str | None = Field(
        None, pattern=r"^https?://", description="Vault or OpenBao that has this document; it comes before the file."
    )
    vault_token: SecretStr | None = Field(None, description="To log in with.")
    vault_role: str | None = Field(None, description="To log in as, with the pod's service account.")
    vault_mount: str = Field("secret", min_length=1, description="Where its KV engine (version 2) is.")
    vault_path: str = Field("des/authorized_keys", min_length=1, description="The secret.")
    credentials_reload_seconds: float = Field(
        10.0, gt=0, description="After so long, file or secret are read again; SIGHUP does it at once."
    )
    delete_api_key: SecretStr | None = Field(
        None,
        min_length=8,
        description="As published: who sends it as `X-API-Key` may delete files, and nothing else.",
    )
    jwt_issuer: str | None = Field(
        None, description="The OpenID Connect provider, letter for letter as in `iss`. Its tokens are believed."
    )
    jwt_audience: str | None = Field(None, description="What `aud` of its tokens must be for this service.")
    jwt_jwks_url: str | None = Field(
        None, pattern=r"^https?://", description="Where its keys are, if it does not tell by OpenID Connect Discovery."
    )
    jwt_algorithms: list[Algorithm] = Field(
        ["RS256", "ES256", "EdDSA"], min_length=1, description="How they may be signed, as a JSON list."
    )
    jwt_permissions_claim: str = Field(
        "scope", min_length=1, description="The claim with permissions, such as `des:read des:write`."
    )
    jwt_prefixes_claim: str = Field(
        "des_prefixes", min_length=1, description="The claim that says how uids begin; without it a token is for all."
    )
    rate_limit_per_hour: int | None = Field(
        None, ge=1, description="Requests that each principal may make in an hour, unless its key says otherwise."
    )
    auth_redis_url: SecretStr | None = Field(
        None, description="Redis in which all processes remember nonces and count requests together."
    )
    audit: Literal["off", "changes", "all"] = Field(
        "changes",
        description="What the audit log has: deletions, links and refusals, or every read too. Without credentials it"
        " has nothing.",
    )

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Self:
        if (self.jwt_issuer is None) != (self.jwt_audience is None):
            raise ValueError("DES_JWT_ISSUER and DES_JWT_AUDIENCE need each other")
        if self.jwt_jwks_url is not None and self.jwt_issuer is None:
            raise ValueError("DES_JWT_JWKS_URL needs DES_JWT_ISSUER")
        if self.vault_addr is not None and (self.vault_token is None) == (self.vault_role is None):
            raise ValueError("DES_VAULT_ADDR needs one of DES_VAULT_TOKEN and DES_VAULT_ROLE")
        if self.require_authentication and not self.has_principals:
            raise ValueError(
                "DES_REQUIRE_AUTHENTICATION needs credentials: DES_AUTHORIZED_KEYS_PATH, DES_VAULT_ADDR or"
                " DES_JWT_ISSUER"
            )
        return self

    @property
    def has_principals(self) -> bool:
        """Whether there are credentials for reading."""
        return any(one is not None for one in (self.authorized_keys_path, self.vault_addr, self.jwt_issuer))

    @property
    def is_authentication_required(self) -> bool:
        """Whether reading takes credentials."""
        return self.has_principals if self.require_authentication is None else self.require_authentication

    @property
    def has_gate(self) -> bool:
        """Whether there are any credentials at all."""
        return self.has_principals or self.delete_api_key is not None
