"""Copies of files that are kept for longer than their archives may be."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, Field, model_validator

__all__ = ["RetentionSettings"]

_PREFIX = "_ext_retention"


class RetentionSettings(BaseModel):
    """Copies of files that are kept for longer than their archives may be."""

    ext_retention_url: str | None = Field(
        None,
        description="Where copies of files under extended retention are kept: a folder, `s3://bucket/prefix`, or what"
        " else `DES_STORE_URL` may be. A bucket with object lock keeps them from everybody.",
    )
    ext_retention_bucket: str | None = Field(
        None,
        min_length=1,
        description="As published: the bucket of these copies, with the other `DES_S3_*` as they are.",
    )
    ext_retention_prefix: str = Field(
        _PREFIX, min_length=1, description="As published: the folder of these copies, there."
    )

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if self.ext_retention_url is not None and self.ext_retention_bucket is not None:
            raise ValueError("DES_EXT_RETENTION_URL and DES_EXT_RETENTION_BUCKET both say where copies are; set one")
        return self
