"""What the service offers beyond reading."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["FeatureSettings"]


class FeatureSettings(BaseModel):
    """What the service offers beyond reading, and how it answers."""

    cache_control: str = Field(
        "private, no-cache",
        description="`Cache-Control` of files. Whoever lets others keep them lets them show what was deleted since.",
    )
    docs: bool = Field(False, description="Serve the pages `/docs` and `/redoc`, which load scripts from elsewhere.")
