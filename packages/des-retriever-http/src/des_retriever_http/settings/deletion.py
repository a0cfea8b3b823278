"""Who may delete files."""

from __future__ import annotations

from pydantic import BaseModel, Field, SecretStr

__all__ = ["DeletionSettings"]


class DeletionSettings(BaseModel):
    """Who may delete files."""

    delete_api_key: SecretStr | None = Field(
        None,
        min_length=8,
        description="`DELETE` must bring it in the header `X-API-Key`. Without one nobody can delete here.",
    )
