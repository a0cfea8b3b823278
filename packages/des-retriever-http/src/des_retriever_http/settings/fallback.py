"""Where files are that are not archived yet."""

from __future__ import annotations

import string
from typing import Self

from pydantic import AwareDatetime, BaseModel, Field, field_validator, model_validator

__all__ = ["FallbackSettings"]

_FIELDS = frozenset({"uid", "year", "month", "day"})


class FallbackSettings(BaseModel):
    """Where files are that are not archived yet."""

    fallback_url: str | None = Field(
        None,
        description="The original store: a folder, `s3://bucket/prefix`, or what else `DES_STORE_URL` may be. What the"
        " archives do not have is read there.",
    )
    fallback_key: str = Field(
        "{uid}", description="What a file is called there: `{uid}`, and `{year}`, `{month}`, `{day}` of `created_at`."
    )
    fallback_after: AwareDatetime | None = Field(
        None, description="Only files that were created later are looked for there."
    )
    fallback_days: float | None = Field(
        None, gt=0, description="In place of `DES_FALLBACK_AFTER`: only files of so many last days."
    )

    @field_validator("fallback_key")
    @classmethod
    def _is_template(cls, template: str) -> str:
        try:
            names = [name for _text, name, _spec, _conversion in string.Formatter().parse(template) if name is not None]
            template.format(uid="", year="", month="", day="")
        except (ValueError, KeyError, IndexError, AttributeError):
            raise ValueError("only {uid}, {year}, {month} and {day} may be in braces") from None
        if not set(names) <= _FIELDS or "uid" not in names:
            raise ValueError("{uid} must be in it, and only {year}, {month} and {day} beside it")
        return template

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        chosen = self.fallback_after is not None or self.fallback_days is not None
        if chosen and self.fallback_url is None:
            raise ValueError("DES_FALLBACK_AFTER and DES_FALLBACK_DAYS need DES_FALLBACK_URL")
        if self.fallback_after is not None and self.fallback_days is not None:
            raise ValueError("DES_FALLBACK_AFTER and DES_FALLBACK_DAYS both say from when on; set one of them")
        return self
