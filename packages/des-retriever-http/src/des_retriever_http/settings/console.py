"""Whether there is a console."""

from __future__ import annotations

from pydantic import BaseModel, Field

__all__ = ["ConsoleSettings"]


class ConsoleSettings(BaseModel):
    """Whether there is a console."""

    console: bool = Field(True, description="Serve the web console at `/ui/`; its files need no credentials.")
