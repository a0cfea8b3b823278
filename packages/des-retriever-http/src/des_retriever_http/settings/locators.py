"""Links to files, for those who have no credentials."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr, field_validator

__all__ = ["LocatorSettings"]

_MIN_KEY_BYTES = 16


class LocatorSettings(BaseModel):
    """Links to files, for those who have no credentials."""

    locator_keys: SecretStr | None = Field(
        None,
        description="Secrets that sign links, with commas between, each of 16 characters or more: the first one signs,"
        " all of them are believed. Without any there are no links.",
    )
    locator_max_seconds: int = Field(
        7 * 24 * 3600, ge=1, description="How long a link may be valid. It cannot be taken back but by a new key."
    )

    @field_validator("locator_keys")
    @classmethod
    def _are_long(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None and any(len(key.encode()) < _MIN_KEY_BYTES for key in keys.get_secret_value().split(",")):
            raise ValueError(f"each key needs {_MIN_KEY_BYTES} characters or more")
        return keys

    def signing_keys(self) -> list[bytes]:
        """Return the secrets, the one that signs first."""
        return (
            []
            if self.locator_keys is None
            else [key.encode() for key in self.locator_keys.get_secret_value().split(",")]
        )
