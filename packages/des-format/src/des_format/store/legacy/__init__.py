"""Stores of the two published systems, read-only."""

from .aio import AsyncEntryFile, AsyncLegacyStore
from .layouts import LegacyLayout
from .store import LegacyStore

__all__ = ["AsyncEntryFile", "AsyncLegacyStore", "LegacyLayout", "LegacyStore"]
