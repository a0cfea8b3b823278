"""Stores of the two published systems, read-only."""

from .aio import AsyncLegacyStore
from .layouts import LegacyLayout
from .store import LegacyStore

__all__ = ["AsyncLegacyStore", "LegacyLayout", "LegacyStore"]
